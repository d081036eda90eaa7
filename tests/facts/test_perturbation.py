"""A derived fact depends on the facts that its signature names, on all of them, and on nothing else."""

from __future__ import annotations

from functools import cache
from itertools import product
from random import Random
from typing import Any

import pytest

from hetpd_cli.deployment import CLOSED, OPEN
from hetpd_cli.facts import registry
from hetpd_cli.facts.space import DTYPE_WORD
from hetpd_cli.facts.values import NONE, Unknown
from hetpd_cli.fields import Field, field, fields
from tests.facts.building import Leaves, boundary

ALL = [
    derivation
    for kind in ("pool", "handoff", "workload")
    for derivation in registry.derivations(kind).values()
    if derivation.path != DTYPE_WORD  # a pool reads it off the source text
]
IDS = [f"{entry.kind}.{entry.path}" for entry in ALL]
TRIALS = 60

WORDS: dict[str, tuple[Any, ...]] = {
    "accelerator": ("h100", "a100", "metax-c600", "ascend-910b3", "910C", "mi300x", "our-own"),
    "model.id": ("Qwen/Qwen3-32B", "deepseek-ai/DeepSeek-V3", "openai/gpt-oss-120b", "in-house/thing"),
    "model.base": ("Qwen/Qwen3-32B", "deepseek-ai/DeepSeek-V3", "openai/gpt-oss-120b", "in-house/thing", "our/Llama-4"),
    "path.link": ("nvlink-3", "nvlink-4", "roce-400g", "carrier-pigeon"),
    "engine.name": ("vllm", "sglang", "vllm-ascend", "other"),
    "engine.hybrid_kv_manager": (True, False, Unknown("left to the engine", left=True)),
    "engine.image": ("vllm/vllm-openai:v0.24.0", "vllm/vllm-openai:latest", "x@sha256:1", "lmsysorg/sglang:v0.5.14"),
    "engine.version": ("0.24.0", "0.24", "0.25.0+cu126", "0.20.0", "0.30.0", "0.33.0", "0.13.0", "0.5.14", "0.99.0"),
    "connector.name": ("nixl", "mooncake", "lmcache", "mooncake-store", "moriio", "offloading", "other", "multi", NONE),
    "connector.extra.enable_store_tp_lcm": ("true", "false", NONE),
    "connector.extra.prefill_tp_sizes": ("4,8", "6", "x", NONE),
    "connector.extra.store_tp_size": ("8", "16", "x", NONE),
    "connector.extra.cpu_bytes_to_use": ("1000", "0", NONE),
    "connector.extra.num_cpu_blocks": ("1000", "0", NONE),
    "connector.extra.spec_name": ("CPUOffloadingSpec", "OurSpec", NONE),
    "connector.extra.block_size": ("16", "48", NONE),
    "connector.extra.lmcache_chunk_size": ("256", "128", "x", NONE),
    "env.LMCACHE_CHUNK_SIZE": ("256", "128", NONE),
    "env.LMCACHE_CONFIG_FILE": ("lmcache.yaml", NONE),
    **dict.fromkeys(("connector.extra.lmcache_remote_serde", "env.LMCACHE_REMOTE_SERDE"), ("naive", "cachegen", NONE)),
    **dict.fromkeys(
        ("connector.extra.lmcache_use_layerwise", "connector.extra.use_layerwise", "env.LMCACHE_USE_LAYERWISE"),
        ("true", "False", NONE),
    ),
    **dict.fromkeys(("connector.extra.prefill_tp_size", "connector.extra.decode_tp_size"), ("4", "8", NONE)),
    **dict.fromkeys(("connector.extra.decode_pp_size", "connector.extra.prefill_pp_size"), ("1", "2", NONE)),
    **dict.fromkeys(("connector.extra.prefill_dp_size", "connector.extra.decode_dp_size"), ("1", "2", NONE)),
    "ascend_tp_told": (True, False),
    "ascend_rest_told": (True, False),
    "connector.mode": ("pull", "push"),
    **dict.fromkeys(
        ("connector.extra.http_port", "connector.extra.proxy_ip", "connector.extra.proxy_ping_port"), ("8100", NONE)
    ),
    "connector.held.classes": (
        ("NixlConnector",),
        ("NixlConnector", "MooncakeConnector"),
        ("LMCacheConnectorV1",),
        ("ExampleHiddenStatesConnector", "OffloadingConnector"),
        ("ExampleHiddenStatesConnector", "NixlConnector"),
    ),
    "connector.children_want_one_layout": (True, False),
    "env.VLLM_KV_CACHE_LAYOUT": ("HND", NONE),
    "connector.held.engine_id": ("a", NONE),
    "connector.children_taken": (True, False),
    "model.attention.sliding_window": (1024, NONE),
    "model.attention.kv_heads": (2, 8),
    "block_tokens_ratio": (1, 2, 0.5),
    "head_bytes_ratio": (1, 2, 0.5),
    "connector.store_shards": (4, 8),
    "connector.lmcache_chunk_tokens": (128, 256),
    "connector.extra.shared_storage_path": ("/kv", NONE),
    "connector.extra.hf3fs_metadata_server_url": ("http://meta:18000", NONE),
    "mooncake_slots": ("fit", "refused", "misread"),
    "moriio_blocks": ("fit", "refused", "misread"),
    "parallelism.tp": (1, 2, 4, 8, 16),
    "connector.side_channel.host": ("localhost", "0.0.0.0", "10.0.0.1", "::1"),
    "connector.env.UCX_TLS": ("all", "tcp", "rc,cuda_copy", "sm", NONE),
    "env.UCX_TLS": ("all", "tcp", "^ib", "sm", NONE),
    "connector.backends": (("UCX",), ("GDS",), ("DEFAULT",), ("default",)),
    **{f"env.TRTLLM_USE_{name}_KVCACHE": ("1", "0", NONE) for name in ("NIXL", "UCX", "MOONCAKE", "MPI")},
    "hosts": (("a",), ("b",), ("a", "b")),
    "conversion.of": (NONE, ("dtype",), ("layout", "block_size")),
    "accelerator.platform": ("cuda", "rocm"),
    "speculative.kv_dtype_word": ("fp8", NONE),
    "engine.dtype": ("bf16", "fp16", Unknown("left to the engine", left=True)),
    "model.plain_dtype": ("bf16", "fp16"),
    "carries": ("bytes", "objects", NONE),
    "kv.dtype_word": ("auto", "bfloat16", "fp8_e5m2"),
    "kv.dtype": ("bf16", "fp8_e4m3", "fp8_ds_mla", "nvfp4"),
    "model.kv_split": ("latent", "heads", "recurrent"),
    "store_places_meet": (True, False),
    "kv.block_size": (1, 16, 48, 64),
    "accelerator.vendor": ("NVIDIA", "AMD"),
    "precision.activations": ("bf16", "fp32", "nvfp4", "fp8_e4m3"),
    "parallelism.dp": (1, 2),
    "model.revision": ("main", "0123abcd", "0123abcd4567", "89abcdef"),
    "model.adapters": (("a",), ("b",), ("a", "b"), ("a=/x",), ()),
    "model.position.rope_scaling": ("none", "default", "yarn", "yarn:4.0", "yarn:4", "ours:4"),
    "engine.attention_backend": ("FLASH_ATTN", "flash_attn", "FLASHINFER", "ROCM_AITER_FA", "ROCM_ATTN", "TRITON_MLA"),
    "speculative.method": ("ngram", "eagle3", "mtp", "ours", NONE),
    "precision.method": ("awq", "AWQ", "fp8", "modelopt", "compressed-tensors"),
    "connector.class_name": (
        "NixlConnector",
        "SimpleCPUOffloadConnector",
        "ExampleConnector",
        "MooncakeHybridConnector",
        "HF3FSKVConnector",
    ),
    "connector.protocol": ("rdma", "tcp"),
    "engine.built_for": ("cuda", "cpu"),
    "env.PYTORCH_CUDA_ALLOC_CONF": ("expandable_segments:True", "max_split_size_mb:64", NONE),
    "env.VLLM_SSM_CONV_STATE_LAYOUT": ("SD", "DS", NONE),
    **{f"env.{name}": ("1", NONE) for name in ("MC_FORCE_MNNVL", "MC_INTRANODE_NVLINK", "MC_USE_TENT", "MC_USE_TEV1")},
    "kv.rotation": ("hadamard:128", "Hadamard-128", NONE),
    "speaks": (("nixl",), ("nixlv2", "lmcache"), ("mooncake",), ("sglang",), ()),
    "model.attention.kind": ("gqa", "mla", "dsa"),
    "kv.scales": (NONE, "static", "inline"),
    "env.VLLM_NIXL_ABORT_REQUEST_TIMEOUT": ("60", "x", NONE),
    "connector.env.VLLM_NIXL_ABORT_REQUEST_TIMEOUT": ("90", NONE),
    "location.sites": (("east",), ("west",), ("east", "west")),
    "prefix_hit_rate": (0, 0.5, 1),
    "wire.codec": ("zstd", NONE),
    "wire.dtype": ("bf16",),
    "wire.form": ("same", "converted"),
}
KINDS: dict[str, tuple[Any, ...]] = {
    "boolean": (True, False),
    "integer": (1, 2, 4, 8, 16, 48),
    "number": (1, 2.5, 30, 4096),
    "text": ("a", "b"),
    "list": (("a",), ("b", "c"), ()),
}


@cache
def domain(kind: str, path: str) -> tuple[Any, ...]:
    """Return values that the fact may have, unknown ones among them."""
    known: Field | None = field(kind, path)
    derivation = registry.derivation(kind, path)
    shape = known.kind if known else derivation.result if derivation else "text"
    values = WORDS.get(path) or (known.choices if known else None) or KINDS[shape]
    some = tuple(entry for entry in values if entry is not NONE)[:2]
    return (*values, Unknown("not said"), Unknown("one of two", some), Unknown("named", None, f"the {path}"))


def home(derivation: registry.Derivation, name: str) -> tuple[str, str, str]:
    """Return the subject, its kind and the path of an input."""
    prefix, _, rest = name.partition(".")
    if derivation.kind == "handoff" and prefix in SIDES_AND_AROUND:
        return prefix, SIDES_AND_AROUND[prefix], rest
    return SUBJECT_OF[derivation.kind], derivation.kind, name


SIDES_AND_AROUND = {"prefill": "pool", "decode": "pool", "workload": "workload", "router": "router"}
SUBJECT_OF = {"pool": "prefill", "handoff": "handoff", "workload": "workload"}
SUBJECTS = {**SIDES_AND_AROUND, "handoff": "handoff"}


def others(derivation: registry.Derivation, random: Random) -> dict[str, Leaves]:
    """Return random leaves of all facts but the derived one and its inputs."""
    taken = {home(derivation, name)[::2] for name in derivation.inputs}
    taken.add((SUBJECT_OF[derivation.kind], derivation.path))
    return {
        subject: {
            path: random.choice(domain(kind, path))
            for path in (*fields(kind), *registry.derivations(kind))
            if (subject, path) not in taken and "*" not in path and random.random() < 0.5
        }
        for subject, kind in SUBJECTS.items()
    }


def result(derivation: registry.Derivation, inputs: dict[str, Any], rest: dict[str, Leaves], scope: str) -> Any:
    leaves = {subject: dict(stated) for subject, stated in rest.items()}
    for name, value in inputs.items():
        subject, _, path = home(derivation, name)
        leaves[subject][path] = value
    found = boundary(
        *(leaves[name] for name in ("prefill", "decode", "handoff", "router")), workload=leaves["workload"], scope=scope
    )
    fact = found.fact(f"{SUBJECT_OF[derivation.kind]}.{derivation.path}")
    assert [entry.value for entry in fact.inputs] == list(inputs.values())
    return repr(fact.value), fact.origin, fact.note, fact.unit


@pytest.mark.parametrize("derivation", ALL, ids=IDS)
def test_all_other_facts_can_be_anything(derivation) -> None:
    random = Random(derivation.path)
    for _ in range(TRIALS // 3):
        inputs = {name: random.choice(domain(*home(derivation, name)[1:])) for name in derivation.inputs}
        alone = result(derivation, inputs, {subject: {} for subject in SUBJECTS}, OPEN)
        for scope in (OPEN, CLOSED):
            assert result(derivation, inputs, others(derivation, random), scope) == alone


@pytest.mark.parametrize("derivation", ALL, ids=IDS)
def test_every_input_matters(derivation) -> None:
    """An input that changes nothing is an edge of the graph that isn't there."""
    random = Random(derivation.path)
    domains = {name: domain(*home(derivation, name)[1:]) for name in derivation.inputs}
    idle = set(derivation.inputs)
    for _ in range(TRIALS * 200):
        if not idle:
            break
        inputs = {name: random.choice(values) for name, values in domains.items()}
        if random.random() < 0.5:
            # Two sides that are mostly alike: many checks say something only where the others hold.
            odd = random.choice(list(domains))
            inputs |= {
                name: inputs[f"prefill{name.removeprefix('decode')}"]
                for name in domains
                if name.startswith("decode.") and f"prefill{name.removeprefix('decode')}" in domains and name != odd
            }
        before = repr(direct(derivation, inputs))
        idle -= {
            name
            for name in idle
            for other in domains[name]
            if repr(direct(derivation, inputs | {name: other})) != before
        }
    assert idle <= OF_NO_ENGINE.get(derivation.path, frozenset())


OF_NO_ENGINE = {
    "converts_dtype": {f"{side}.engine.{name}" for side in ("prefill", "decode") for name in ("name", "version")}
}
"""Inputs that the capability table does not ask about, as all its rows for this ability hold for every engine."""


def direct(derivation: registry.Derivation, inputs: dict[str, Any]) -> Any:
    """Call the function; unknowns that it does not take stand for themselves."""
    for name, value in inputs.items():
        if isinstance(value, Unknown) and name not in derivation.lenient:
            return value
    return registry.plain(derivation.function(*inputs.values()))


FALLS_BACK = {
    "connector.ucx_rdma": "the connector's environment is taken to be empty where only the pool's is known",
    "crosses_hosts": "the link is asked where hosts are not known",
    "model.grouped_kv": "the model table is asked where the window is not known",
    "slo.ttft_typical_s": "the next percentile is asked where one has no objective",
    "usable_gb_per_s": "the link is asked where nothing was measured",
    "transfer_s": "an estimate stands in where nothing was measured, a fixed cost where none is stated",
    "connector.side_channel.last_port": "where the release is not known, ranks are taken to listen as they do from 0.11.1 on",
    "connector.reports_failed_loads": "where the release is not known, NIXL is taken to report as it does from 0.11.1 on",
    "ucx_transport_shared": "the connector's environment is taken to be empty where only the pool's is known",
    "connector.workers_share_port": "where a pool says nothing of machines, its workers are taken to be apart",
    "engine_spans_hosts": "where a pool says nothing of machines, an engine is taken to stay on one",
    "connector.hold_s": "the connector's environment is asked where no timeout is stated",
    "model.keeps_state": "the kind of its layers is asked where it is stated",
    "kv.shown_dtype": "the element type stands in where a word is not known",
    "one_dtype_word": "the element types are asked where a word is not known",
    "block_sizes_settled": "a rule takes over where no other one knows what the connector does",
    **dict.fromkeys(
        (
            "block_sizes_refused",
            "kv_dtypes_told_apart",
            "dtype_words_refused",
            "direction_refused",
            "model_refused",
        ),
        "a rule for what is open steps back where another one knows",
    ),
    **dict.fromkeys(
        ("takes_layers", "takes_block_bytes"),
        "a number that neither side states is taken to be that of one model",
    ),
    "mooncake_takes_lengths": "what is wrong in one of two ways is told as refused",
    "settled_elsewhere": "a rule takes over where no other one knows what the connector does",
    "kv.registered_block_size": "the engine's block is taken to be the kernel's where nobody states that",
    "model.windowed_kv": "the groups of KV are asked where no window is stated",
    "carries_bytes": "a rule takes over where nobody knows what crosses",
    "engine.hybrid_manager_fits": "vLLM never turns on by itself what it would refuse",
    "takes_block_bytes": "what neither side of one model states is taken to be alike",
    **dict.fromkeys(
        ("blocks_differ", "kv_dtypes_differ"),
        "nothing is taken to convert where nobody knows of it",
    ),
    **dict.fromkeys(
        ("converts_dtype", "converts_layout", "converts_block_size"),
        "the connectors are asked where no conversion is declared",
    ),
}
"""Facts that read a second source where the first says nothing: two sources may contradict each other."""

LENIENT = [entry for entry in ALL if entry.lenient and entry.path not in FALLS_BACK]


@pytest.mark.parametrize("derivation", LENIENT, ids=[entry.path for entry in LENIENT])
def test_knowing_more_never_contradicts(derivation) -> None:
    """What a function decides while some of its inputs are unknown is what it says once they are known."""
    random = Random(derivation.path)
    for _ in range(TRIALS):
        part = {name: random.choice(domain(*home(derivation, name)[1:])) for name in derivation.inputs}
        before = direct(derivation, part)
        if isinstance(before, Unknown):
            continue
        for _ in range(5):
            whole = completed(derivation, part, random)
            after = direct(derivation, whole)
            assert isinstance(after, Unknown) or after == before, (part, whole)


def completed(derivation: registry.Derivation, part: dict[str, Any], random: Random) -> dict[str, Any]:
    """Return ``part`` with its unknowns replaced by a possible value, those of one identity by the same."""
    chosen: dict[str, Any] = {}
    whole = dict(part)
    for name, value in part.items():
        if isinstance(value, Unknown):
            known = [entry for entry in domain(*home(derivation, name)[1:]) if not isinstance(entry, Unknown)]
            whole[name] = chosen.setdefault(value.identity or name, random.choice(value.candidates or known))
    return whole


def test_joint_choices_are_tried_and_none_is_not_swallowed() -> None:
    """The framework's own completion: brute force over the candidates of two inputs of a strict function."""
    ports, sizes = (5600, 5700), (1, 2, 4)
    leaves = {
        "connector.side_channel.port": Unknown("?", ports),
        "parallelism.dp": Unknown("?", sizes),
        "hosts": ("a",),
    }
    fact = boundary(leaves).fact("prefill.connector.side_channel.last_port")
    assert set(fact.value.candidates) == {port + size - 1 for port, size in product(ports, sizes)}
    many = Unknown("?", tuple(range(1, 40)))
    fact = boundary({**leaves, "parallelism.dp": many}).fact("prefill.connector.side_channel.last_port")
    assert fact.value.candidates is None
    some_none = Unknown("?", (1, NONE))
    fact = boundary({**leaves, "parallelism.dp": some_none}).fact("prefill.connector.side_channel.last_port")
    assert fact.value.candidates is None
    assert (
        boundary({**leaves, "parallelism.dp": Unknown("?", ())})
        .fact("prefill.connector.side_channel.last_port")
        .unknown
    )


def test_an_identity_goes_through_a_derivation_if_every_input_has_one() -> None:
    def ranks(tp: Any, pp: int) -> Any:
        sizes = {f"parallelism.{name}": 1 for name in ("dp", "cp", "dp_attention")}
        leaves = {"engine.name": "vllm", "parallelism.tp": tp, "parallelism.pp": pp, **sizes}
        return boundary(leaves).fact("prefill.parallelism.ranks").value

    named = Unknown("?", None, "a")
    assert ranks(named, 2).identity == ranks(Unknown("!", None, "a"), 2).identity is not None
    assert ranks(named, 2).identity != ranks(named, 4).identity
    assert ranks(named, 2).identity != ranks(Unknown("?", None, "b"), 2).identity
    assert ranks(Unknown("?"), 2).identity is None
