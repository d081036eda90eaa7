"""Facts about what joins the two sides at launch: the router and the roles given to connectors."""

from __future__ import annotations

from hetpd_cli.facts.registry import Derivation, add, derived
from hetpd_cli.facts.representation import ability
from hetpd_cli.facts.space import DTYPE_WORD, READ_BY
from hetpd_cli.facts.values import NONE, Truth, Unknown, Value

ability("role_decides", "role_decides", "The connector does only what its role says.", any_side=True)
ability("router_carries_parameters", "router_carries_parameters",
        "A transfer takes parameters of its connector that the router carries.", any_side=True)  # fmt: skip


def _not_read() -> Unknown:
    return Unknown("the handoffs around the pool are not known")


add(
    Derivation(
        "pool",
        READ_BY,
        None,
        (),
        frozenset(),
        _not_read,
        "Decode pools that read the KV of this pool, by its handoffs; a decode pool reads its own.",
        "list",
    )
)


def _word(_: Value, __: Value) -> Unknown:
    return Unknown("only a complete command line tells the engine's word for kv.dtype")


add(
    Derivation(
        "pool",
        DTYPE_WORD,
        None,
        ("kv.dtype", "model.plain_dtype"),
        frozenset({"kv.dtype", "model.plain_dtype"}),
        _word,
        "The engine's own word for the element type of the KV, as a complete command line gives it: `auto` by silence.",
        "text",
    )
)


@derived("pool", "engine.mode")
def engine_mode(role: str) -> str:
    """Stage that the engine runs: that of its pool, where nothing says that it was told another."""
    return role


@derived("pool", "connector.engine_id_drawn", result="boolean", lenient=("connector.engine_id",))
def engine_id_drawn(connector__engine_id: Value) -> Truth:
    """Whether the engine draws an id of its own, as nobody sets one (vLLM: a random UUID)."""
    if not isinstance(connector__engine_id, Unknown):
        return False
    return True if connector__engine_id.left else Unknown("whether connector.engine_id is set is not known")


_SPOKEN = {
    "nixl": "nixl",
    "nixlv2": "nixl",
    "nixlconnector": "nixl",
    "nixlpullconnector": "nixl",
    "nixlpushconnector": "nixl",
    "mooncake": "mooncake",
    "mooncakeconnector": "mooncake",
    "mooncake-store": "mooncake-store",
    "mooncakestoreconnector": "mooncake-store",
    "moriio": "moriio",
    "mori": "moriio",
    "moriioconnector": "moriio",
    "lmcache": "lmcache",
    "lmcacheconnectorv1": "lmcache",
    "lmcache-mp": "lmcache-mp",
    "lmcachempconnector": "lmcache-mp",
    "p2p-nccl": "p2p-nccl",
    "p2pncclconnector": "p2p-nccl",
    "flagcx": "flagcx",
    "flagcxconnector": "flagcx",
    "trtllm-transceiver": "trtllm-transceiver",
}
"""Words for connectors, small letters, to the name of the connector. Other words may stand for several."""


@derived("handoff", "router_speaks_connector", result="boolean", lenient=("prefill.connector.name", "router.speaks"))
def router_speaks_connector(router__speaks: Value, prefill__connector__name: Value) -> Truth:
    """Whether the router forwards the parameters of prefill's connector.

    A word that names no connector (a protocol, an engine) may stand for any, so such a list excludes nothing.
    """
    if not isinstance(router__speaks, tuple) or not isinstance(prefill__connector__name, str):
        return Unknown("what the router speaks, or the connector, is not known")
    if prefill__connector__name not in _SPOKEN.values():
        return Unknown("a connector that holds others within, or is not named, may be spoken")
    spoken = [_SPOKEN.get(str(word).strip().lower(), NONE) for word in router__speaks]
    if prefill__connector__name in spoken:
        return True
    if NONE in spoken:
        return Unknown("a word of router.speaks names no connector")
    return False


_BACKEND_VARIABLES = ("NIXL", "UCX", "MOONCAKE", "MPI")
"""Backends that TRTLLM_USE_{}_KVCACHE=1 makes the default, the first one first."""


@derived(
    "pool",
    "connector.effective_backend",
    lenient=("engine.version", *(f"env.TRTLLM_USE_{name}_KVCACHE" for name in _BACKEND_VARIABLES)),
)
def effective_backend(
    connector__backends: tuple[str, ...],
    engine__version: Value,
    env__TRTLLM_USE_NIXL_KVCACHE: Value,  # noqa: N803
    env__TRTLLM_USE_UCX_KVCACHE: Value,  # noqa: N803
    env__TRTLLM_USE_MOONCAKE_KVCACHE: Value,  # noqa: N803
    env__TRTLLM_USE_MPI_KVCACHE: Value,  # noqa: N803
) -> Value:
    """Backend of TensorRT-LLM's transceiver; `DEFAULT` is the one that a variable chooses, else UCX or NIXL.

    Which of several variables wins is not the same in all releases. Source: NVIDIA/TensorRT-LLM@00620eb0
    kv_cache_transceiver.py, _resolve_default_backend; cacheTransceiver.cpp, createCacheTransceiver, before that, where
    UCX is the default in older releases and NIXL in newer ones.
    """
    word = str(connector__backends[0]).upper() if len(connector__backends) == 1 else ""
    if word != "DEFAULT":
        return word or Unknown("a transceiver has one backend")
    chosen = (
        env__TRTLLM_USE_NIXL_KVCACHE,
        env__TRTLLM_USE_UCX_KVCACHE,
        env__TRTLLM_USE_MOONCAKE_KVCACHE,
        env__TRTLLM_USE_MPI_KVCACHE,
    )
    names = [name for name, setting in zip(_BACKEND_VARIABLES, chosen, strict=True) if setting == "1"]
    if any(isinstance(setting, Unknown) for setting in chosen) or len(names) > 1:
        return Unknown("what DEFAULT stands for is not known")
    if names:
        return names[0]
    release = engine__version.identity if isinstance(engine__version, Unknown) else engine__version
    identity = f"DEFAULT backend of {release}" if release else None
    return Unknown("what DEFAULT stands for depends on the release", ("UCX", "NIXL"), identity)
