"""Facts about what one side's configuration is refused for at start, and what a connector silently turns off.

Sources: vLLM 0.11.2, 0.12, 0.13, 0.14, 0.16 to 0.33: ``config/vllm.py`` (``__post_init__``,
``_verify_kv_transfer_compat``), ``distributed/kv_transfer/kv_connector/factory.py`` and ``v1``.
"""

from __future__ import annotations

import re

from hetpd_cli.facts.nixl import lifted, since
from hetpd_cli.facts.registry import Default, Found, default_of, derived
from hetpd_cli.facts.representation import LATENT_KINDS
from hetpd_cli.facts.truth import all_true, any_true, equal, negate, within
from hetpd_cli.facts.values import DEFAULT, NONE, Truth, Unknown, Value
from hetpd_cli.tables import covers
from hetpd_cli.versions import is_version, version_in

_READ = "<0.34"
_BOTH = (True, False)

# -- the hybrid KV cache manager -------------------------------------------------------------------------------

_HYBRID_SINCE = {
    "nixl": ">=0.18",
    "mooncake": ">=0.20",
    "offloading": ">=0.21",
    "mooncake-store": ">=0.22",
    "moriio": ">=0.30",
}
"""Connector to the releases in which its class says that it takes KV of several groups (``SupportsHMA``)."""
_HYBRID_SINCE_OF_CLASS = {
    "OffloadingConnector": ">=0.21",
    "SimpleCPUOffloadConnector": ">=0.19",
    "DecodeBenchConnector": ">=0.21",
    "ExampleHiddenStatesConnector": ">=0.22",
    "HiSparseConnector": ">=0.30",
}
"""The same for classes without a short name of their own."""
_NEVER_HYBRID = ("lmcache", "p2p-nccl", "flagcx")
_NEVER_HYBRID_CLASS = ("ExampleConnector", "SharedStorageConnector", "FlexKVConnectorV1", "HF3FSKVConnector")
_HYBRID_PLATFORMS = ("cuda", "rocm", "xpu", "cpu")


@derived("pool", "connector.takes_hybrid_kv", result="boolean", lenient=("connector.class_name",))
def takes_hybrid_kv(
    engine__name: str, engine__version: str, connector__name: str, connector__class_name: Value
) -> Truth:
    """Whether the connector takes KV of several groups, which the hybrid KV cache manager makes (vLLM, SupportsHMA).

    MultiConnector does if all that it holds do.
    """
    unknown = Unknown("whether the connector takes KV of several groups is not known", _BOTH)
    if engine__name != "vllm" or not is_version(engine__version) or not covers(_READ, engine__version):
        return unknown
    if connector__name in _NEVER_HYBRID:
        return False
    since = _HYBRID_SINCE.get(connector__name)
    if connector__name in {"offloading", "other"} and isinstance(connector__class_name, str):
        if connector__class_name in _NEVER_HYBRID_CLASS:
            return False
        since = _HYBRID_SINCE_OF_CLASS.get(connector__class_name)
    elif connector__name == "offloading" and version_in(engine__version, ">=0.19,<0.21"):
        since = None
    return unknown if since is None else version_in(engine__version, since)


@default_of(
    "engine.hybrid_kv_manager",
    "engine.name",
    "engine.version",
    "connector.name",
    "connector.takes_hybrid_kv",
    "accelerator.platform",
    "engine.built_for",
    "model.id",
)
def hybrid_kv_manager(*values: Value) -> Default | tuple[bool, ...] | None:
    """Return whether vLLM runs its hybrid KV cache manager where no flag says so.

    Without a connector it does. With one it does not before 0.22, whatever the connector; from then on if the connector
    takes KV of several groups. Models with chunked attention (Llama 4) turn it off for reasons of their own.
    """
    engine, version, connector, takes, device, image, model = values
    if engine != "vllm" or not isinstance(version, str) or not is_version(version) or not covers(_READ, version):
        return _BOTH if engine == "vllm" else None
    if "llama-4" in str(model).lower() or isinstance(connector, Unknown):
        return _BOTH
    if connector is not NONE and version_in(version, "<0.22"):
        return Default(False, "a connector turns it off (VLLM-CONFIG)")
    platforms = {one for one in (device, image) if isinstance(one, str)}
    if platforms and not platforms & set(_HYBRID_PLATFORMS):
        return _BOTH
    if connector is NONE or takes is True:
        return Default(True, "nothing turns it off (VLLM-CONFIG)")
    return Default(False, "the connector turns it off (VLLM-CONFIG)") if takes is False else _BOTH


@derived("pool", "model.state_space")
def state_space(model__hybrid: bool) -> Value:
    """Kind of the recurrent layers, as far as a model has none where nobody says which."""
    return Unknown("the kind of the recurrent layers is not known") if model__hybrid else NONE


_ENCODERS = re.compile(r"whisper|bart|florence-2|donut|(^|[-/])t5|nllb|parse", re.IGNORECASE)
"""Names of models that may have an encoder."""


@derived("pool", "model.encoder_decoder", result="boolean")
def encoder_decoder(model__id: str) -> Truth | Found:
    """Whether the decoder attends to an encoder's output: not where nobody says so, and the model's name does not.

    A model that is served in two stages is a decoder, all but a few.
    """
    if _ENCODERS.search(model__id):
        return Unknown(f"whether {model__id} has an encoder is not stated")
    return Found(False, "a model of which nothing is said", DEFAULT)


@derived(
    "pool",
    "engine.hybrid_manager_fits",
    result="boolean",
    lenient=("engine.hybrid_kv_manager", "connector.takes_hybrid_kv"),
)
def hybrid_manager_fits(engine__hybrid_kv_manager: Value, connector__takes_hybrid_kv: Value) -> Truth:
    """Whether the connector has no quarrel with the hybrid KV cache manager; one that is left to vLLM always fits."""
    if isinstance(engine__hybrid_kv_manager, Unknown) and engine__hybrid_kv_manager.left:
        return True
    return any_true([negate(engine__hybrid_kv_manager), connector__takes_hybrid_kv])


@derived(
    "pool",
    "engine.conv_state_layout",
    lenient=("engine.built_for", "env.VLLM_SSM_CONV_STATE_LAYOUT"),
)
def conv_state_layout(
    engine__name: str,
    engine__built_for: Value,
    env__VLLM_SSM_CONV_STATE_LAYOUT: Value,  # noqa: N803
) -> Value:
    """Order of the convolution's state in vLLM's recurrent layers: SD, or DS with the dimension first.

    VLLM_SSM_CONV_STATE_LAYOUT, SD where it is not set, but on CPUs, where the platform may set it.
    """
    text = env__VLLM_SSM_CONV_STATE_LAYOUT
    if engine__name != "vllm":
        return Unknown("how this engine keeps recurrent state is not known")
    if text is NONE:
        return Unknown("the platform may set it", ("SD", "DS")) if engine__built_for == "cpu" else "SD"
    return text


# -- memory that a connector has registered ----------------------------------------------------------------------

_EXPANDS = "expandable_segments:True"
_ALLOCATOR = "PYTORCH_CUDA_ALLOC_CONF"


@derived(
    "pool",
    "engine.allocates_by_cumem",
    result="boolean",
    lenient=("engine.sleep_mode", "engine.cumem_allocator"),
)
def allocates_by_cumem(engine__version: str, engine__sleep_mode: Value, engine__cumem_allocator: Value) -> Truth:
    """Whether vLLM takes the memory of the KV from its own pool, whose physical pages stay (CuMemAllocator).

    Sleep mode turns it on; a switch of its own is there from 0.22 on.
    """
    if not is_version(engine__version):
        return Unknown("the release is not known")
    own = engine__cumem_allocator if version_in(engine__version, ">=0.22") else False
    return any_true([engine__sleep_mode, own])


@derived(
    "pool",
    "engine.moves_kv_pages",
    result="boolean",
    lenient=("env.PYTORCH_CUDA_ALLOC_CONF", "engine.allocates_by_cumem"),
)
def moves_kv_pages(env__PYTORCH_CUDA_ALLOC_CONF: Value, engine__allocates_by_cumem: Value) -> Truth:  # noqa: N803
    """Whether the pages under the KV may be swapped while a connector has them registered.

    PyTorch's expandable segments do that, unless vLLM takes the KV's memory from its own pool.
    """
    text = env__PYTORCH_CUDA_ALLOC_CONF
    expands: Truth = _EXPANDS in text if isinstance(text, str) else text is not NONE
    if isinstance(text, Unknown):
        expands = Unknown(f"{_ALLOCATOR} is not stated")
    return all_true([expands, negate(engine__allocates_by_cumem)])


_NVLINK = ("MC_FORCE_MNNVL", "MC_INTRANODE_NVLINK", "MC_USE_TENT", "MC_USE_TEV1")
"""Variables by any of which Mooncake leaves RDMA."""


@derived(
    "pool",
    "connector.over_rdma",
    result="boolean",
    lenient=("connector.protocol", *(f"env.{name}" for name in _NVLINK)),
)
def over_rdma(
    connector__protocol: Value,
    env__MC_FORCE_MNNVL: Value,  # noqa: N803
    env__MC_INTRANODE_NVLINK: Value,  # noqa: N803
    env__MC_USE_TENT: Value,  # noqa: N803
    env__MC_USE_TEV1: Value,  # noqa: N803
) -> Truth:
    """Whether Mooncake moves KV over RDMA as it does unless told otherwise: its protocol, and four variables."""
    variables = (env__MC_FORCE_MNNVL, env__MC_INTRANODE_NVLINK, env__MC_USE_TENT, env__MC_USE_TEV1)
    protocol: Truth = Unknown("the protocol is not stated")
    if not isinstance(connector__protocol, Unknown):
        protocol = connector__protocol == "rdma"
    return all_true([protocol, *(_is_none(value) for value in variables)])


@default_of("connector.backends")
def backends(engine__name: Value, engine__version: Value, connector__name: Value) -> Default | None:
    """Return the backends of NIXL that vLLM takes where nobody names any: UCX alone (0.11 to 0.33)."""
    release = engine__version if isinstance(engine__version, str) else None
    if engine__name == "vllm" and connector__name == "nixl" and covers(_READ, release):
        return Default(("UCX",), "default of backends (VLLM-NIXL-WORKER, VLLM-NIXL-OLD)")
    return None


@derived(
    "pool",
    "connector.takes_sleep",
    result="boolean",
    lenient=("connector.mode", "connector.backends", "connector.over_rdma"),
)
def takes_sleep(
    connector__name: str, connector__mode: Value, connector__backends: Value, connector__over_rdma: Value
) -> Truth:
    """Whether the connector follows the KV when sleep mode maps it anew (vLLM 0.33, supports_sleep_mode).

    NIXL does in pull mode with UCX as its one backend, Mooncake over RDMA; push mode, MoRI-IO and the stores do not.
    """
    if connector__name in {"moriio", "mooncake-store"}:
        return False
    if connector__name == "mooncake":
        return all_true([connector__over_rdma])
    if connector__name != "nixl":
        return Unknown("whether this connector follows the KV is not known")
    alone: Truth = Unknown("the backends are not stated")
    if not isinstance(connector__backends, Unknown):
        alone = connector__backends == ("UCX",)
    return all_true([within(connector__mode, ("pull",)), alone])


def _is_none(value: Value) -> Truth:
    return Unknown("a variable is not stated") if isinstance(value, Unknown) else value is NONE


# -- kernels without connectors ----------------------------------------------------------------------------------

_UNCONNECTED = (("ROCM_ATTN", ">=0.23"), ("ROCM_AITER_UNIFIED_ATTN", ">=0.23,<0.30"), ("ROCM_SEGMENTED_ATTN", ">=0.23"))
"""Attention backends whose cache no connector can read, with the releases that refuse them beside one."""


@derived(
    "pool",
    "engine.backend_takes_connector",
    result="boolean",
    lenient=("engine.version", "engine.attention_backend", "accelerator.platform"),
)
def backend_takes_connector(
    engine__version: Value, engine__attention_backend: Value, accelerator__platform: Value
) -> Truth:
    """Whether the attention backend runs beside a connector (vLLM 0.23 to 0.33, supports_kv_connector).

    One that is left to vLLM does: it passes over those that do not, which are all ROCm's.
    """
    if accelerator__platform == "cuda":
        return True
    if isinstance(engine__attention_backend, Unknown):
        return True if engine__attention_backend.left else Unknown("the attention backend is not known")
    spec = dict(_UNCONNECTED).get(str(engine__attention_backend).upper())
    if spec is None:
        return True
    if not isinstance(engine__version, str) or not is_version(engine__version):
        return Unknown("the release is not known")
    return not version_in(engine__version, spec)


# -- context parallelism ---------------------------------------------------------------------------------------

_HEADS = ("parallelism.tp", "parallelism.dcp", "model.attention.heads", "model.attention.kv_heads")


@derived("pool", "parallelism.heads_share_tokens", result="boolean", lenient=("model.attention.kind", *_HEADS))
def heads_share_tokens(
    parallelism__tp: Value,
    parallelism__dcp: Value,
    model__attention__kind: Value,
    model__attention__heads: Value,
    model__attention__kv_heads: Value,
) -> Truth:
    """Whether the ranks that hold copies of a KV head are enough for vLLM's decode context parallelism; a latent is.

    TP > KV heads, DCP <= TP // KV heads, and the query heads of a KV head are a multiple of DCP.
    Source: vLLM 0.11.2 to 0.33, config/model.py, verify_with_parallel_config.
    """
    dcp, heads = parallelism__dcp, model__attention__kv_heads
    few = lifted(lambda one, ranks, kv: ranks > kv and one <= ranks // kv, dcp, parallelism__tp, heads)
    queries = lifted(lambda one, query, kv: query // kv % one == 0, dcp, model__attention__heads, heads)
    return any_true([equal(dcp, 1), within(model__attention__kind, LATENT_KINDS), all_true([few, queries])])


_CONTEXT = (
    "engine.version",
    "parallelism.tp",
    "parallelism.pp",
    "parallelism.cp",
    "parallelism.dcp",
    "model.attention.kind",
    "parallelism.heads_share_tokens",
)


@derived("pool", "parallelism.context_starts", result="boolean", lenient=_CONTEXT)
def context_starts(
    engine__version: Value,
    parallelism__tp: Value,
    parallelism__pp: Value,
    parallelism__cp: Value,
    parallelism__dcp: Value,
    model__attention__kind: Value,
    parallelism__heads_share_tokens: Value,
) -> Truth:
    """Whether vLLM starts with the context parallel sizes, whatever the connector.

    DCP divides TP (0.26 on: with CP it is 1, CP or TP x CP). CP > 1: nothing takes it up to 0.25; from 0.26 on a latent
    does, up to 0.31 without stages, and from 0.30 on with DCP only one with an index.
    Source: vLLM 0.11.2 to 0.33, config/parallel.py, v1/worker/cp_utils.py, v1/worker/gpu/pcp_manager.py.
    """
    cp, dcp, kind = parallelism__cp, parallelism__dcp, model__attention__kind
    indexed = any_true([equal(dcp, 1), equal(kind, "dsa"), negate(since(engine__version, "0.30"))])
    whole = any_true([equal(parallelism__pp, 1), since(engine__version, "0.32")])
    written = all_true([since(engine__version, "0.26"), within(kind, LATENT_KINDS), whole, indexed])
    even = lifted(_even, dcp, parallelism__tp, cp)
    return all_true([even, parallelism__heads_share_tokens, any_true([equal(cp, 1), written])])


def _even(dcp: int, tp: int, cp: int) -> bool:
    return tp % dcp == 0 if cp == 1 else dcp in {1, cp, tp * cp}
