"""NIXL: the compatibility hash, the handshake and the placement of blocks, by vLLM's own functions on stubs."""

from __future__ import annotations

import importlib
import inspect
from contextlib import nullcontext
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
from vllm.distributed.kv_transfer.kv_connector import utils
from vllm.distributed.kv_transfer.kv_connector.v1.nixl import metadata, tp_mapping
from vllm.distributed.kv_transfer.kv_connector.v1.nixl.base_worker import NixlBaseConnectorWorker as Worker
from vllm.distributed.kv_transfer.kv_connector.v1.nixl.pull_worker import NixlPullConnectorWorker as Puller
from vllm.distributed.kv_transfer.kv_connector.v1.nixl.push_worker import NixlPushConnectorWorker as Pusher
from vllm.v1.kv_cache_interface import FullAttentionSpec, MambaSpec, MLAAttentionSpec, SlidingWindowSpec

from tests.conformance.oracle.raised import splits_heads, where
from tests.conformance.oracle.wire import Wire

Verdict = tuple[str, str]

WIDTHS = {"bf16": 2.0, "fp16": 2.0, "fp8_e4m3": 1.0, "fp8_e5m2": 1.0, "nvfp4": 9 / 16}
"""Bytes per element, scales of NVFP4 (one byte for 16 elements) among them."""

EAGLE = {"eagle3", "mtp"}
LAYERS = 2
"""Regions of the stub: one a layer is enough, lengths are alike."""
HEAD_DIM = 128
LATENT = 576
HASH_DIFFERS = "the hash differs"


class Side:
    """One engine, in the words of a case."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.tp: int = values.get("tp", 4)
        self.block: int = values.get("block", 16)
        self.ratio: int = values.get("ratio", 1)
        self.layout: str = values.get("layout", "HND")
        self.permute: bool = values.get("permute", False)
        self.dtype: str = values.get("kv", "bf16")
        self.word: str = values.get("word", values.get("kv", "bf16"))
        self.enforce: bool = values.get("enforce", True)
        self.host: bool = values.get("buffer", "device") == "host"
        self.backend: str = values.get("backend", "FLASH_ATTN")
        self.cache: bool = values.get("cache", False)
        self.hma: bool = values.get("hma", True)
        self.push: bool = values.get("push", False)
        self.both: bool = values.get("both", False)
        self.model: str = values.get("model", "one")
        self.model_dtype: str = values.get("dtype", "bf16")
        self.kv_heads: int = values["kv_heads"]
        self.head_dim: int = values.get("head_dim", values.get("shared_head_dim", HEAD_DIM))
        self.layers: int = values.get("layers", LAYERS)
        self.crosslayer: bool = values.get("crosslayer", False) and crosses_layers(self.backend, self.layout)
        self.kind: str = values["kind"]
        self.draft: dict[str, Any] = values.get("draft", {})
        self.draft_heads: int = values.get("draft_heads", 0)

    @property
    def mla(self) -> bool:
        return self.kind == "mla"

    @property
    def mamba(self) -> bool:
        return self.kind == "mamba2"

    @property
    def hma_required(self) -> bool:
        """As the worker finds it: the manager is on and some layer is no full attention."""
        return self.hma and self.kind in {"window", "mamba2"}

    @property
    def compared_layout(self) -> str:
        """The layout in the metadata: a host buffer of a permuting NHD side is made in HND."""
        return "HND" if self.host and self.permute and not self.mla else self.layout

    def block_lens(self) -> list[int]:
        """Bytes of a kernel block in each region."""
        heads = max(1, self.kv_heads // self.tp)
        width = LATENT if self.mla else 2 * heads * self.head_dim
        block = int(self.block * width * WIDTHS[self.dtype])
        lens = [block * self.layers] if self.crosslayer else [block] * self.layers
        if self.draft.get("method") in EAGLE:
            # One draft has one geometry; what cannot be said of two is left out in judge_hash.
            lens.append(int(self.block * 2 * heads * self.head_dim * WIDTHS[self.draft["dtype"]]))
        if self.draft_heads and self.mla:
            own = max(1, self.draft_heads // self.tp)
            lens.append(int(self.block * 2 * own * self.head_dim * WIDTHS[self.dtype]))
        return lens

    def spec_types(self) -> tuple[type, ...]:
        full = MLAAttentionSpec if self.mla else FullAttentionSpec
        if self.mamba:
            return (full, MambaSpec)
        return (full, SlidingWindowSpec) if self.hma_required else (full,)


@cache
def crosses_layers(backend: str, layout: str) -> bool:
    """Return whether the connector of a side that asks for blocks across layers makes them."""
    from vllm.distributed.kv_transfer.kv_connector.v1.nixl import connector

    stub = SimpleNamespace(
        kv_cache_config=SimpleNamespace(kv_cache_groups=[]),
        _vllm_config=None,
        kv_transfer_config=SimpleNamespace(kv_connector_extra_config={"enable_cross_layers_blocks": "True"}),
        _kv_transfer_config=SimpleNamespace(kv_connector_extra_config={"enable_cross_layers_blocks": "True"}),
    )
    with (
        patch.object(connector, "get_current_attn_backend", lambda _config: SimpleNamespace(get_name=lambda: backend)),
        patch.object(connector, "get_kv_cache_layout", lambda: layout),
    ):
        return bool(connector.NixlBaseConnector.prefer_cross_layer_blocks.fget(stub))


class Backend:
    """An attention backend as the topology asks for it."""

    @staticmethod
    def get_kv_cache_shape(
        num_blocks: int, block_size: int, num_kv_heads: int, head_size: int, cache_dtype_str: str = "auto"
    ) -> tuple[int, ...]:
        return (num_blocks, 2, block_size, num_kv_heads, head_size)


def layout_name(layout: str, version: str) -> str:
    """Return a release's name of a layout."""
    return {"HND": "LBHNC", "NHD": "LBNHC"}[layout] if version >= "0.29" else layout


# -- the hash --------------------------------------------------------------------------------------------------


def hash_of(side: Side, version: str) -> str:
    """Return what compute_nixl_compatibility_hash says of one side."""
    model = SimpleNamespace(
        model=side.model,
        dtype=f"torch.{ {'bf16': 'bfloat16', 'fp16': 'float16'}[side.model_dtype] }",
        get_total_num_kv_heads=lambda: 1 if side.mla else side.kv_heads,
        get_head_size=lambda: LATENT if side.mla else side.head_dim,
        get_total_num_hidden_layers=lambda: side.layers,
    )
    config = SimpleNamespace(
        model_config=model,
        cache_config=SimpleNamespace(cache_dtype=side.word),
        scheduler_config=SimpleNamespace(disable_hybrid_kv_cache_manager=not side.hma),
        speculative_config=_speculative(side.draft),
    )
    third: Any = side.crosslayer if version < "0.29" else ("push" if side.push else "pull")
    found: str = metadata.compute_nixl_compatibility_hash(config, side.backend, third)
    return found


def _speculative(draft: dict[str, Any]) -> SimpleNamespace | None:
    if not draft or draft["method"] == "none":
        return None
    from vllm.config.speculative import SpeculativeConfig

    config = SimpleNamespace(
        method=draft["method"],
        parallel_drafting=draft["parallel"],
        kv_cache_dtype=draft["word"],
        num_speculative_tokens=draft["tokens"],
        draft_model_config=SimpleNamespace(
            model=draft["model"],
            revision=draft["revision"],
            code_revision=None,
            hf_config=SimpleNamespace(eagle_aux_hidden_state_layer_ids=None),
        ),
    )
    config.use_eagle = lambda: SpeculativeConfig.use_eagle(config)
    return config


# -- the handshake ---------------------------------------------------------------------------------------------


def _stub(local: Side, remote: Side, version: str) -> SimpleNamespace:
    """Return what stands for the worker of ``local`` when it validates ``remote``."""
    lens = local.block_lens()
    draft = {len(lens) - 1} if local.draft_heads and local.mla else set()
    topology = utils.TransferTopology(
        tp_rank=0,
        tp_size=local.tp,
        block_size=local.block,
        engine_id="local",
        is_mla=local.mla,
        is_mamba=local.mamba,
        total_num_kv_heads=1 if local.mla else local.kv_heads,
        attn_backends=[Backend],
    )
    nvfp4 = SimpleNamespace(is_nvfp4=local.dtype == "nvfp4")
    spec = object.__new__(MLAAttentionSpec if local.mla else FullAttentionSpec)
    object.__setattr__(spec, "kv_quant_mode", nvfp4)
    stub = SimpleNamespace(
        transfer_topo=topology,
        use_mla=local.mla,
        _has_mamba=local.mamba,
        _is_hma_required=local.hma_required,
        _is_csa_linear=False,
        _physical_blocks_per_logical_kv_block=local.ratio,
        block_len_per_layer=lens,
        _region_is_mla=[local.mla and index not in draft for index in range(len(lens))],
        kv_cache_layout=layout_name(local.layout, version),
        host_buffer_kv_cache_layout=layout_name(local.compared_layout, version),
        use_host_buffer=local.host,
        enable_permute_local_kv=False,
        enable_heterogeneous_attn_post_process=False,
        kv_transfer_config=SimpleNamespace(enable_permute_local_kv=local.permute),
        backend_name=local.backend,
        dst_num_blocks={"remote": 1000},
        vllm_config=SimpleNamespace(cache_config=SimpleNamespace(enable_prefix_caching=local.cache)),
        dcp_size=1,
        pcp_size=1,
        region_group_ids=[],
        dst_region_group_ids={"remote": []},
        region_names=[],
        _transfer_layer_region_indices=(),
        _transfer_layer_names=(),
        _head_sharded_draft_regions=draft,
        _head_sharded_draft_kv_heads=local.draft_heads if draft else None,
        _layer_specs={"layer": spec},
        _TRANSFER_MODE="push" if local.push else "pull",
    )
    stub._is_region_replicated = lambda index: Worker._is_region_replicated(stub, index)
    info = {
        "remote_tp_size": remote.tp,
        "remote_block_size": remote.block,
        "remote_block_len": remote.block_lens()[0],
        "remote_physical_blocks_per_logical": remote.ratio,
    }
    topology.register_remote_engine("remote", utils.EngineTransferInfo(**info))
    return stub


def _metadata(remote: Side, version: str) -> Any:
    lens = remote.block_lens()
    values = {
        "engine_id": "remote",
        "agent_metadata": b"",
        "kv_caches_base_addr": list(range(len(lens))),
        "device_id": 0,
        "num_blocks": 1000,
        "block_lens": lens,
        "kv_cache_layout": layout_name(remote.compared_layout, version),
        "block_size": remote.block,
        "ssm_sizes": (0, 0),
        "attn_backend_name": remote.backend,
        "physical_blocks_per_logical_kv_block": remote.ratio,
    }
    if version >= "0.29":
        values["block_strides"] = lens
    return metadata.NixlAgentMetadata(**values)


_BACKENDS = {"TRITON_ATTN": ("triton_attn", "TritonAttentionBackend")}
"""Backends whose classes say on a CPU what they take; what the others take hangs on the device, and is not asked."""
_VLLM_WORDS = {"bf16": "bfloat16", "fp16": "float16"}


@cache
def chosen_backend(name: str) -> Any:
    """Return vLLM's class of an attention backend that says without a device what it takes, else None."""
    if name not in _BACKENDS:
        return None
    module, of_class = _BACKENDS[name]
    return getattr(importlib.import_module(f"vllm.v1.attention.backends.{module}"), of_class)


def starts(side: Side) -> None:
    """Fail as the engine does at its start.

    Heads that cannot be split, recurrent layers without the hybrid manager, a backend that does not take the KV.
    """
    splits_heads(side.kv_heads, side.tp, latent=side.mla)
    backend = chosen_backend(side.backend)
    if backend is not None:
        assert backend.supports_kv_cache_dtype(_VLLM_WORDS.get(side.word, side.word)), "kv_cache_dtype not supported"
        assert backend.supports_block_size(side.block * side.ratio), "block_size not supported"
    if side.mamba:
        assert side.hma_required


def shake_hands(local: Side, remote: Side, version: str) -> None:
    """Let ``local`` validate ``remote`` and map its ranks; raises what vLLM raises."""
    stub = _stub(local, remote, version)
    for rank in {0, local.tp - 1}:
        stub.transfer_topo.tp_rank = rank
        # The mapping comes first in add_remote_agent, the validation after it.
        tp_mapping.compute_tp_mapping(stub.transfer_topo, remote.tp, local.spec_types())
    if version >= "0.29":
        Worker._validate_remote_parallel_config(stub, _metadata(remote, version))
    Worker._validate_remote_agent_handshake(stub, _metadata(remote, version), remote.tp)


# -- placement -------------------------------------------------------------------------------------------------

PROMPTS = (1, 7, 15, 16, 17, 31, 33, 47, 48, 49, 63, 64, 65, 70, 96, 100, 112, 127, 128, 129, 160, 192, 200, 255, 256,
           257, 300, 320, 384, 400, 500, 512, 513, 600, 640, 700, 768, 900, 1000, 1024, 1025, 1100, 2047, 2100)  # fmt: skip


def _prompts(*logical: int) -> list[int]:
    """Return the lengths that are tried: those of all cases, and those that end with or just after a block."""
    return sorted({*PROMPTS, *(size * count + more for size in logical for count in (1, 2, 3) for more in (0, 1))})


@cache
def placed(blocks: tuple[int, int, int, int], cached: bool, mamba: bool, push: bool) -> Verdict | None:
    """Transfer every prompt with every cache hit; None if all tokens come to their place.

    ``blocks`` are kernel block and ratio of the side whose KV is taken, then of the side that gets it, which reads it
    itself, or is written to by the other one with ``push``. Both sides' blocks are numbered by position, so a block's
    number tells the tokens it holds.
    """
    source, _, own, own_ratio = blocks
    unit = min(source, own)
    misplaced = None
    logical = own * own_ratio
    for prompt in _prompts(logical, source * blocks[1]):
        hits = range(0, prompt, logical) if cached else (0,)
        for hit in hits:
            try:
                moved = _transferred(blocks, prompt, hit, mamba, push)
            except AssertionError as error:
                return "stops", f"stops: {where(error)}"
            wanted = {(at, at) for at in range(hit // unit, -(-prompt // unit))}
            if not wanted <= set(moved) or any(to != origin for to, origin in moved if origin * unit < prompt):
                misplaced = misplaced or ("wrong", "misplaced")
    return misplaced


def _transferred(
    blocks: tuple[int, int, int, int], prompt: int, hit: int, mamba: bool, push: bool
) -> list[tuple[int, int]]:
    """Return what is copied into what: numbers of blocks of the smaller kernel size, to and from."""
    source, source_ratio, own, own_ratio = blocks
    theirs = list(range(-(-prompt // (source * source_ratio))))
    ours = list(range(hit // (own * own_ratio), -(-prompt // (own * own_ratio))))
    if push:
        _transfer((source, source_ratio, theirs), (own, own_ratio, ours), mamba, wire := Wire(), push=True)
        return [(to, origin) for origin, to in wire.pairs]
    _transfer((own, own_ratio, ours), (source, source_ratio, theirs), mamba, wire := Wire(), push=False)
    return wire.pairs


_End = tuple[int, int, list[int]]
"""Kernel block, ratio and logical blocks of one end of a transfer."""


def _transfer(local_end: _End, remote_end: _End, mamba: bool, wire: Wire, *, push: bool) -> None:
    """Let the worker of the local end read from the remote one, or write to it."""
    own, own_ratio, ours = local_end
    other, other_ratio, theirs = remote_end
    stub = _transfer_stub((own, own_ratio), (other, other_ratio), mamba, wire)
    if hasattr(Worker, "_logical_to_remote_kernel_block_ids"):  # up to 0.25
        local = Worker._logical_to_kernel_block_ids(stub, [ours])
        remote = Worker._logical_to_remote_kernel_block_ids(stub, [theirs], other_ratio)
    else:
        local = Worker._logical_to_kernel_block_ids(stub, [ours], own_ratio)
        remote = Worker._logical_to_kernel_block_ids(stub, [theirs], other_ratio)
    words: dict[str, Any] = {
        "read_spec": tp_mapping.ReadSpec(remote_rank=0, local_block_ids=local, remote_block_ids=remote),
        "dst_engine_id": "remote",
        "request_id": "request",
        "remote_request_id": "request",
        "local_xfer_side_handle": 1,
        "remote_xfer_side_handle": 2,
    }
    function = Pusher._xfer_blocks if push else Puller._read_blocks
    more = {"local_dram_handle": None, "expected_consumers": 1, "awaiting_kvs": True}
    known = inspect.signature(function).parameters
    function(stub, **words, **{name: value for name, value in more.items() if name in known})


def _transfer_stub(local: tuple[int, int], remote: tuple[int, int], mamba: bool, wire: Wire) -> SimpleNamespace:
    """Return what stands for the worker that reads or writes."""
    group = SimpleNamespace(kv_cache_spec=object.__new__(FullAttentionSpec))
    topology = utils.TransferTopology(
        tp_rank=0, tp_size=1, block_size=local[0], engine_id="local", is_mla=False, is_mamba=False,
        total_num_kv_heads=8, attn_backends=[Backend],
    )  # fmt: skip
    topology.register_remote_engine(
        "remote",
        utils.EngineTransferInfo(
            remote_tp_size=1, remote_block_size=remote[0], remote_block_len=1,
            remote_physical_blocks_per_logical=remote[1],
        ),
    )  # fmt: skip
    stub = SimpleNamespace(
        transfer_topo=topology,
        world_size=1,
        nixl_wrapper=wire,
        kv_cache_config=SimpleNamespace(kv_cache_groups=[group], transfer_groups=[group]),
        _group_spec_types=(FullAttentionSpec,),
        _has_mamba=mamba,
        _is_hma_required=False,
        _physical_blocks_per_logical_kv_block=local[1],
        num_regions=1,
        block_len_per_layer=[1],
        dst_num_blocks={"remote": 10**6, "local": 10**6},
        engine_id="local",
        dcp_size=1,
        _mixed_mem_types=False,
        dst_region_num_blocks={"remote": [10**6], "local": [10**6]},
        dst_region_group_ids={"remote": [0], "local": [0]},
        region_group_ids=[0],
        _transfer_layer_group_ids=(),
        dst_uses_region_group_mapping={"remote": False},
        _uses_region_group_mapping=False,
        _remote_agents={"remote": {0: "agent", (0, 0): "agent"}},
        _recving_transfers={"request": []},
        _sending_transfers={"request": []},
        _sending_transfers_lock=nullcontext(),
        get_mapped_blocks=lambda ids, ratio: Worker.get_mapped_blocks(None, ids, ratio),
    )
    if mamba:
        # The descriptors of recurrent layers come after all others, and there is no group of them here.
        stub._compute_desc_ids = lambda block_ids, **_more: np.concatenate([np.asarray(one) for one in block_ids])
    else:
        stub._compute_desc_ids = lambda **words: Worker._compute_desc_ids(stub, **words)
    stub._apply_prefix_caching = lambda *ids, **words: Worker._apply_prefix_caching(stub, *ids, **words)
    stub._map_block_ids_for_block_size_ratio = lambda *ids: Worker._map_block_ids_for_block_size_ratio(stub, *ids)
    stub._log_failure = _reraise
    return stub


def _reraise(**words: Any) -> None:
    raise words["error"]


# -- the whole pair --------------------------------------------------------------------------------------------


def judge_pair(prefill: Side, decode: Side, version: str) -> Verdict:
    """Return the verdict on two engines: their start, the hash, the handshakes, the blocks of prompts."""
    pairs = [(decode, prefill)]
    if prefill.push or prefill.both:
        pairs.append((prefill, decode))
    try:
        starts(prefill)
        starts(decode)
    except AssertionError as error:
        return "reject", f"at start: {where(error)}"
    equal = hash_of(prefill, version) == hash_of(decode, version)
    for local, remote in pairs:
        if local.enforce and not equal:
            return "reject", HASH_DIFFERS
        try:
            shake_hands(local, remote, version)
        except Exception as error:
            return "reject", where(error)
    if prefill.push != decode.push:
        return "reject", "two protocols"
    return _said_of_accepted(prefill, decode, version)


def _said_of_accepted(prefill: Side, decode: Side, version: str) -> Verdict:
    found = []
    readers = [(prefill, decode), (decode, prefill)] if prefill.both else [(prefill, decode)]
    for source, reader in readers:
        blocks = (source.block, source.ratio, reader.block, reader.ratio)
        found.append(placed(blocks, reader.cache, source.mamba, source.push))
    for verdict in ("stops", "wrong"):
        for one in found:
            if one is not None and one[0] == verdict:
                return one
    if prefill.model != decode.model:
        # A path may hold the weights of a repository: without the hash nobody can say.
        named = not any(side.model.startswith("/") for side in (prefill, decode))
        return ("wrong", "other model") if named else ("open", "a path against a name")
    if prefill.dtype != decode.dtype:
        return "wrong", "equal width"
    heads = [max(1, side.kv_heads // side.tp) for side in (prefill, decode)]
    if prefill.dtype == "nvfp4" and not prefill.mla and heads[0] != heads[1]:
        return "wrong", "packed scales"
    return "accept", ""


TRANSFERS = {
    "pull": ({}, {}),
    "push": ({"push": True}, {"push": True}),
    "bidirectional": ({"both": True}, {"both": True}),
    "push to pull": ({"push": True}, {}),
    "pull to push": ({}, {"push": True}),
}


def _sides(case: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    prefill, decode = TRANSFERS[case.get("transfer", "pull")]
    shared = {name: value for name, value in case.items() if name[:2] not in {"p_", "d_"}}
    if "attention" in case:
        kind, _, heads = case["attention"].partition(":")
        shared |= {"kind": kind, "kv_heads": int(heads or 1)}
    return tuple(  # type: ignore[return-value]
        {**shared, **more, **{name[2:]: value for name, value in case.items() if name.startswith(prefix)}}
        for prefix, more in (("p_", prefill), ("d_", decode))
    )


def judge_handshake(case: dict[str, Any], version: str) -> Verdict:
    """Return the verdict on a case of the handshake."""
    prefill, decode = _sides(case)
    return judge_pair(Side(prefill), Side(decode), version)


judge_placement = judge_handshake

_WORDS = {"bfloat16": "bf16", "float16": "fp16", "fp8": "fp8_e4m3", "fp8_e4m3": "fp8_e4m3", "fp8_e5m2": "fp8_e5m2"}


def judge_hash(case: dict[str, Any], version: str) -> Verdict:
    """Return the verdict on a case of the hash."""
    sides = []
    for values in _sides(case):
        word = values["word"]
        dtype = values["dtype"] if word == "auto" else _WORDS[word]
        draft_word = values.get("draft_word")
        draft_word = None if draft_word == "none" else draft_word
        effective = dtype if draft_word is None else _WORDS[draft_word]
        draft = {
            "method": values["draft_method"],
            "model": values["draft_model"],
            "revision": values["draft_revision"],
            "parallel": values["draft_parallel"],
            "word": draft_word,
            "dtype": effective,
            "tokens": values["draft_tokens"],
        }
        sides.append(Side({**values, "kind": "gqa", "kv": dtype, "draft": draft}))
    verdict = judge_pair(sides[0], sides[1], version)
    shapes = {(side.kv_heads, side.head_dim) for side in sides}
    if len(shapes) > 1 and all(side.draft["method"] in EAGLE for side in sides) and verdict[1] != HASH_DIFFERS:
        return "open", "the geometry of a draft beside two models is not said"
    return verdict
