"""Cases about NIXL: the compatibility hash, the handshake, parallelism, where the blocks of a prompt land."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conformance.families.base import ENGINE, Family, attention, both, kv

if TYPE_CHECKING:
    from tests.conformance.families.base import Fields
    from tests.conformance.tables import Case

_PULL, _PUSH = ("NixlConnector", "pull", False), ("NixlPushConnector", "push", False)
_BOTH = ("NixlConnector", "pull", True)
TRANSFERS = {
    "pull": (_PULL, _PULL),
    "push": (_PUSH, _PUSH),
    "bidirectional": (_BOTH, _BOTH),
    "push to pull": (_PUSH, _PULL),
    "pull to push": (_PULL, _PUSH),
}
"""Class, direction and whether both sides read, of prefill and decode."""


def _connector(transfer: str, role: str) -> Fields:
    name, mode, bidirectional = TRANSFERS[transfer][role == "consumer"]
    return {
        "connector.name": "nixl",
        "connector.class_name": name,
        "connector.mode": mode,
        "connector.bidirectional": bidirectional,
        "connector.role": role,
    }


_PLAIN: Fields = {
    "connector.enforce_handshake_compat": True,
    "connector.permute_local_kv": False,
    "connector.buffer_device": "device",
    "connector.cross_layer_blocks": False,
    "connector.backends": ("UCX",),
    "connector.failure_policy": "fail",
    "parallelism.pp": 1,
    "parallelism.dp": 1,
    "parallelism.cp": 1,
    "parallelism.dcp": 1,
    "kv.layout": "HND",
    "kv.block_size": 16,
    "kv.kernel_block_size": 16,
    "engine.prefix_caching": False,
    "engine.hybrid_kv_manager": True,
    "engine.attention_backend": "FLASH_ATTN",
    "speculative.method": "none",
    "env.VLLM_SSM_CONV_STATE_LAYOUT": "DS",
}
"""What the cases of all families say unless a dimension says otherwise."""


def _pair(transfer: str, version: str, shared: Fields, prefill: Fields, decode: Fields) -> tuple[Fields, Fields]:
    common = {**ENGINE, "engine.version": version, **_PLAIN, **shared}
    return both(common, {**_connector(transfer, "producer"), **prefill}, {**_connector(transfer, "consumer"), **decode})


def _sides(names: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return a dimension of each side for each of ``names``."""
    return {f"{side}_{name}": values for name, values in names.items() for side in ("p", "d")}


# -- the hash --------------------------------------------------------------------------------------------------

_HASHED: dict[str, list[Any]] = {
    "model": ["Qwen/Qwen3-32B", "/models/model", "meta-llama/Llama-3.1-8B-Instruct"],
    "dtype": ["bf16", "fp16"],
    "kv_heads": [8, 4],
    "head_dim": [128, 64],
    "layers": [48, 32],
    "backend": ["FLASH_ATTN", "FLASHINFER", "TRITON_ATTN"],
    "word": ["auto", "bfloat16", "float16", "fp8", "fp8_e4m3", "fp8_e5m2"],
    "hma": [True, False],
    "enforce": [True, False],
    "draft_method": ["none", "eagle3", "mtp", "ngram"],
    "draft_model": ["example/draft", "example/other-draft"],
    "draft_revision": ["main", "v2"],
    "draft_parallel": [False, True],
    "draft_word": ["none", "fp8", "bfloat16"],
    "draft_tokens": [3, 5],
}

WORDS = {
    "auto": "bf16",
    "bfloat16": "bf16",
    "float16": "fp16",
    "fp8": "fp8_e4m3",
    "fp8_e4m3": "fp8_e4m3",
    "fp8_e5m2": "fp8_e5m2",
}
"""Element type that a word stands for; `auto` is the element type of the model."""


def element_type(word: str, dtype: str) -> str:
    """Return the element type that ``word`` stands for in a model of ``dtype``."""
    return dtype if word == "auto" else WORDS[word]


def _hash_dimensions(version: str) -> dict[str, list[Any]]:
    names = dict(_HASHED)
    if version < "0.29":
        names["crosslayer"] = [False, True]
        del names["draft_word"]
    return {"transfer": list(TRANSFERS), **_sides(names)}


def _hash_fields(case: Case, version: str) -> tuple[Fields, Fields]:
    def side(prefix: str) -> Fields:
        def of(name: str) -> Any:
            return case[f"{prefix}_{name}"]

        word, dtype, own = of("word"), of("dtype"), case.get(f"{prefix}_draft_word")
        draft: Fields = {"speculative.method": of("draft_method")}
        if of("draft_method") != "none":
            draft |= {"speculative.tokens": of("draft_tokens")}
        if of("draft_method") in {"eagle3", "mtp"}:
            draft |= {
                "speculative.draft_model": of("draft_model"),
                "speculative.revision": of("draft_revision"),
                "speculative.parallel_drafting": of("draft_parallel"),
                "speculative.kv_dtype_word": word if own in {None, "none"} else own,
            }
        return {
            **attention("gqa:8"),
            "model.id": of("model"),
            "model.dtype": dtype,
            "engine.dtype": dtype,
            "model.attention.kv_heads": of("kv_heads"),
            "model.attention.head_dim": of("head_dim"),
            "model.layers": of("layers"),
            "model.mtp_layers": 1,
            "parallelism.tp": 4,
            "engine.attention_backend": of("backend"),
            **kv(element_type(word, dtype), word),
            "engine.hybrid_kv_manager": of("hma"),
            "connector.enforce_handshake_compat": of("enforce"),
            "connector.cross_layer_blocks": case.get(f"{prefix}_crosslayer", False),
            **draft,
        }

    return _pair(case["transfer"], version, {}, side("p"), side("d"))


HASH = Family(
    name="hash",
    about="compute_nixl_compatibility_hash of both sides, compared by every side that begins a handshake",
    sizes={"0.24.0": 8000, "0.33.0": 9000},
    dimensions=_hash_dimensions,
    likely=dict.fromkeys(("model", "dtype", "kv_heads", "head_dim", "layers", "backend", "hma", "transfer"), 0.6),
    alike=dict.fromkeys(_HASHED, 0.94) | {"enforce": 0.5, "crosslayer": 0.94, "draft_tokens": 0.5},
    fields=_hash_fields,
    others={
        "model": ["Qwen/Qwen3-8B", "Qwen/Qwen3-14B", "/srv/weights/one"],
        "kv_heads": [16, 8, 2],
        "head_dim": [96, 256, 64, 192],
        "layers": [62, 40],
        "backend": ["FLASHINFER", "FLASH_ATTN", "CPU_ATTN"],
        "word": ["fp8", "auto", "float16", "fp8_e4m3", "bfloat16"],
        "draft_method": ["mtp", "none", "suffix", "eagle3"],
        "draft_revision": ["v3", "main"],
        "draft_tokens": [2, 7],
    },
    labels={
        "other model": "the hash is off on the side that begins, and the checkpoints are not one: KV of another model",
        "equal width": "the hash is off on the side that begins, and two element types of one width are exchanged: bytes "
        "of one are read as the other; block lengths are equal, so nothing else compares them",
        "two protocols": "one side writes and the other waits to read, or reads what nobody offers: the push "
        "registration is no notification that a pull worker decodes (read in push_worker.py and pull_worker.py)",
    },
)

# -- the handshake ---------------------------------------------------------------------------------------------

_COMPARED: dict[str, list[Any]] = {
    "tp": [4, 1, 2, 3, 6, 8, 16],
    "block": [16, 32, 48, 64, 128],
    "ratio": [1, 2, 4],
    "layout": ["HND", "NHD"],
    "permute": [False, True],
    "kv": ["bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "nvfp4"],
    "enforce": [True, False],
    "buffer": ["device", "host"],
    "backend": ["FLASH_ATTN", "FLASHINFER", "TRITON_ATTN", "CPU_ATTN"],
    "cache": [False, True],
    "hma": [True, False],
}


def _handshake_dimensions(version: str) -> dict[str, list[Any]]:
    kinds = ["gqa:8", "gqa:1", "gqa:2", "gqa:4", "gqa:12", "mla", "window:8", "window:2", "mamba2:8", "mamba2:2"]
    new = {"draft_heads": [0, 2, 8]} if version >= "0.33" else {}
    return {"transfer": ["pull", "push", "bidirectional"], "attention": kinds, **_sides(_COMPARED), **new}


def _handshake_fields(case: Case, version: str) -> tuple[Fields, Fields]:
    def side(prefix: str) -> Fields:
        def of(name: str) -> Any:
            return case[f"{prefix}_{name}"]

        return {
            "parallelism.tp": of("tp"),
            "kv.block_size": of("block") * of("ratio"),
            "kv.kernel_block_size": of("block"),
            "kv.layout": of("layout"),
            "connector.permute_local_kv": of("permute"),
            **kv(of("kv")),
            "connector.enforce_handshake_compat": of("enforce"),
            "connector.buffer_device": of("buffer"),
            "engine.attention_backend": of("backend"),
            "engine.prefix_caching": of("cache"),
            "engine.hybrid_kv_manager": of("hma"),
        }

    shared = attention(case["attention"])
    if "shared_head_dim" in case:
        shared["model.attention.head_dim"] = case["shared_head_dim"]
    heads = case.get("draft_heads", 0)
    if heads and case["attention"] == "mla":
        shared |= {
            "speculative.method": "eagle3",
            "speculative.draft_model": "example/draft",
            "speculative.revision": "main",
            "speculative.parallel_drafting": False,
            "speculative.tokens": 3,
            "speculative.kv_heads": heads,
        }
    return _pair(case["transfer"], version, shared, side("p"), side("d"))


HANDSHAKE = Family(
    name="handshake",
    about="a side's start, the hash, _validate_remote_agent_handshake and compute_tp_mapping by every side that begins a "
    "handshake, then the placement of blocks by _read_blocks",
    sizes={"0.24.0": 22000, "0.33.0": 24000},
    dimensions=_handshake_dimensions,
    likely={"layout": 0.75, "permute": 0.8, "buffer": 0.85, "ratio": 0.8, "draft_heads": 0.6, "transfer": 0.5},
    alike=dict.fromkeys(_COMPARED, 0.9) | {"tp": 0.6, "block": 0.75, "cache": 0.5, "permute": 0.7, "layout": 0.85},
    fields=_handshake_fields,
    others={
        "attention": [
            "gqa:10",
            "gqa:3",
            "gqa:5",
            "gqa:20",
            "gqa:2",
            "mla",
            "window:5",
            "window:20",
            "mamba2:3",
            "mamba2:10",
        ],
        "tp": [10, 5, 12, 24, 32, 2, 1],
        "block": [96, 8, 256, 16, 32],
        "ratio": [1, 3, 5],
        "kv": ["fp8_e4m3", "bf16", "nvfp4", "fp16"],
        "draft_heads": [0, 3, 10],
        "shared_head_dim": [96, 64, 256],
    },
    labels={
        "equal width": "the hash is off on the side that begins, and two element types of one width are exchanged: bytes "
        "of one are read as the other; block lengths are equal, so nothing else compares them",
        "packed scales": "up to 0.32 nothing refuses NVFP4 pages whose heads are split anew, although a page holds all "
        "heads' elements before all heads' scales (0.33 refuses it for this reason)",
        "misplaced": "_read_blocks (_xfer_blocks of a push) of that release, run with a stub transport that records descriptors: for some prompt "
        "length and prefix-cache hit, tokens of the prompt are read into another place, or not at all",
        "stops": "the same, and for some prompt length an assertion fails within the engine's step",
    },
)

# -- placement -------------------------------------------------------------------------------------------------

PLACEMENT = Family(
    name="placement",
    about="_logical_to_kernel_block_ids and _read_blocks, or _xfer_blocks of a push, with a stub transport, over prompt "
    "lengths and cache hits",
    sizes={"0.24.0": 5000, "0.33.0": 5000},
    dimensions=lambda version: {
        "transfer": ["pull", "push", "bidirectional"],
        "attention": ["gqa:8", "mla", "mamba2:8"],
        "tp": [4, 1, 2, 8],
        "d_cache": [False, True],
        "p_block": [16, 32, 64, 128],
        "d_block": [16, 32, 64, 128],
        "p_ratio": [1, 2, 3, 4, 8],
        "d_ratio": [1, 2, 3, 4, 8],
        "p_cache": [False, True],
        "hma": [True, False],
        "layout": ["HND", "NHD"],
    },
    likely={"hma": 0.5, "layout": 0.5, "attention": 0.4},
    alike={"block": 0.5, "ratio": 0.6, "cache": 0.5},
    fields=lambda case, version: _pair(
        case["transfer"],
        version,
        {
            **attention(case["attention"]),
            **kv("bf16"),
            "parallelism.tp": case["tp"],
            "engine.hybrid_kv_manager": case["hma"],
            "kv.layout": case["layout"],
        },
        {
            "kv.block_size": case["p_block"] * case["p_ratio"],
            "kv.kernel_block_size": case["p_block"],
            "engine.prefix_caching": case["p_cache"],
        },
        {
            "kv.block_size": case["d_block"] * case["d_ratio"],
            "kv.kernel_block_size": case["d_block"],
            "engine.prefix_caching": case["d_cache"],
        },
    ),
    labels=HANDSHAKE.labels,
    others={
        "attention": ["gqa:5", "mla", "mamba2:10"],
        "tp": [10, 5, 20],
        "block": [8, 48, 96, 256],
        "ratio": [1, 2, 5, 6, 7],
    },
)
