"""Facts about connectors that keep KV elsewhere or hold others: stores, LMCache, offloading, MultiConnector, P2pNccl.

What they read from their extra configuration is `connector.extra`.
"""

from __future__ import annotations

import math
from typing import Final

from hetpd_cli.facts.registry import Derivation, add, derived
from hetpd_cli.facts.representation import LATENT_KINDS
from hetpd_cli.facts.truth import all_true, any_true, equal, negate, within
from hetpd_cli.facts.values import NONE, UNDECIDED, Truth, Unknown, Value
from hetpd_cli.versions import is_version, version_in


def _whole(value: Value) -> int | None:
    """Return the whole number that an extra key holds."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None


def _true(value: Value) -> Truth:
    """Tell whether a switch of an extra configuration is on; where nobody sets it, it is off."""
    if value is NONE:
        return False
    return value.lower() in {"true", "1"} if isinstance(value, str) else UNDECIDED


# -- MooncakeStore, LMCache: KV found again by its key ---------------------------------------------------------


def store_tp(lcm: Value, prefill_sizes: Value, own: Value) -> int | None:
    """Return the TP size that the store cuts KV for, None where each rank has its own keys.

    vLLM 0.30 to 0.33, kv_connector/v1/mooncake/store/worker.py, resolve_store_tp_size.
    """
    if _true(lcm) is True:
        sizes = [_whole(part.strip()) for part in str(prefill_sizes).split(",")]
        known = [size for size in sizes if size]
        return math.lcm(*known) if known and len(known) == len(sizes) else None
    return _whole(own) or None


_STORE_SIDE = (
    "engine.version",
    "parallelism.tp",
    "model.attention.kv_heads",
    "connector.extra.enable_store_tp_lcm",
    "connector.extra.prefill_tp_sizes",
    "connector.extra.store_tp_size",
)


def _store_shards(*values: Value) -> Value:
    """Return for how many ranks the store of a pool cuts KV: those of the pool, or the size that is set.

    A size that is no multiple of the pool's ranks, or that does not divide the KV heads, is put aside with a warning.
    Only from 0.30 on. Source: vLLM 0.30 to 0.33, kv_connector/v1/mooncake/store/worker.py, _select_store_layout.
    """
    version, tp, heads, lcm, sizes, own = values
    if not isinstance(tp, int):
        return Unknown("the tensor parallel size is not known")
    if any(isinstance(value, Unknown) for value in (lcm, sizes, own)):
        return Unknown("what the store is told of TP sizes is not known")
    asked = store_tp(lcm, sizes, own)
    if asked is None:
        return tp
    if not isinstance(version, str) or not is_version(version) or not isinstance(heads, int):
        return Unknown("the engine version or the KV heads are not known")
    cut = version_in(version, ">=0.30") and asked >= tp and asked % tp == 0 and heads % asked == 0
    return asked if cut else tp


add(
    Derivation(
        "pool",
        "connector.store_shards",
        None,
        _STORE_SIDE,
        frozenset(_STORE_SIDE),
        _store_shards,
        "For how many ranks the pool's MooncakeStore cuts KV.",
        "integer",
    )
)

_PLACES = (
    "prefill.connector.store_shards",
    "decode.connector.store_shards",
    "prefill.parallelism.pp",
    "decode.parallelism.pp",
    "prefill.connector.extra.cache_prefix",
    "decode.connector.extra.cache_prefix",
    "prefill.model.attention.kind",
)


def _places_meet(*values: Value) -> Truth:
    """Tell whether both sides' MooncakeStore keeps KV under one prefix, for one number of ranks and stages.

    A latent is one copy whatever the ranks. Source: vLLM 0.24 to 0.33, store/data.py, PoolKey.build_prefix.
    """
    shards, stages, prefixes, kind = values[:2], values[2:4], values[4:6], values[6]
    ranks = any_true([equal(*shards), within(kind, LATENT_KINDS)])
    return all_true([ranks, equal(*stages), equal(*prefixes)])


add(
    Derivation(
        "handoff",
        "store_places_meet",
        None,
        _PLACES,
        frozenset(_PLACES),
        _places_meet,
        "Whether both sides' MooncakeStore keeps KV under one prefix, for one number of ranks and stages.",
        "boolean",
    )
)

_DIRECTORY: Final = ("ExampleConnector", "SharedStorageConnector")
_HF3FS: Final = "HF3FSKVConnector"
_KEPT_BY = (
    "connector.class_name",
    "connector.extra.shared_storage_path",
    "connector.extra.hf3fs_metadata_server_url",
)


@derived("pool", "connector.kept_at", lenient=_KEPT_BY)
def kept_at(
    connector__class_name: Value,
    connector__extra__shared_storage_path: Value,
    connector__extra__hf3fs_metadata_server_url: Value,
) -> Value:
    """Directory (ExampleConnector) or metadata server (HF3FS) where KV is kept; none for connectors that have neither.

    Source: vLLM 0.11 to 0.33, kv_connector/v1/example_connector.py (before 0.13: shared_storage_connector.py); 0.20 to
    0.33, hf3fs/hf3fs_connector.py.
    """
    if isinstance(connector__class_name, Unknown):
        return Unknown("the class of the connector is not known")
    if connector__class_name in _DIRECTORY:
        path = connector__extra__shared_storage_path
        return "/tmp" if path is NONE else path  # noqa: S108
    if connector__class_name == _HF3FS:
        server = connector__extra__hf3fs_metadata_server_url
        return "http://localhost:18000" if server is NONE else server
    return NONE


_KEYS = (
    "prefill.connector.name",
    "decode.connector.name",
    "store_places_meet",
    "prefill.connector.lmcache_chunk_tokens",
    "decode.connector.lmcache_chunk_tokens",
)


@derived("handoff", "store_keys_meet", result="boolean", lenient=_KEYS)
def store_keys_meet(
    prefill__connector__name: Value,
    decode__connector__name: Value,
    store_places_meet: Value,
    prefill__connector__lmcache_chunk_tokens: Value,
    decode__connector__lmcache_chunk_tokens: Value,
) -> Truth:
    """Whether decode looks in a store for keys that prefill writes: LMCache's hold the hash of a chunk of tokens.

    Source: vLLM 0.24 to 0.33, mooncake/store/data.py; LMCache 0.3.9, token_database.py.
    """
    names = (prefill__connector__name, decode__connector__name)
    if any(isinstance(name, Unknown) for name in names):
        return Unknown("the connector of a side is not known")
    if names == ("mooncake-store", "mooncake-store"):
        return _as_truth(store_places_meet)
    if names == ("lmcache", "lmcache"):
        return equal(prefill__connector__lmcache_chunk_tokens, decode__connector__lmcache_chunk_tokens)
    return True


def _as_truth(value: Value) -> Truth:
    return value if isinstance(value, bool) else UNDECIDED


_CHUNK_TOKENS: Final = 256
"""LMCache's chunk where nobody sets one (LMCache 0.3.9, lmcache/v1/config.py)."""


@derived("pool", "connector.lmcache_chunk_tokens", unit="token", result="integer", lenient=(
    "connector.extra.lmcache_chunk_size", "env.LMCACHE_CHUNK_SIZE", "env.LMCACHE_CONFIG_FILE"))  # fmt: skip
def lmcache_chunk_tokens(
    connector__extra__lmcache_chunk_size: Value,
    env__LMCACHE_CHUNK_SIZE: Value,  # noqa: N803
    env__LMCACHE_CONFIG_FILE: Value,  # noqa: N803
) -> Value:
    """Tokens of a chunk by which LMCache hashes: extra key, else variable, else 256.

    A configuration file of LMCache's own is not read here.
    """
    for value in (connector__extra__lmcache_chunk_size, env__LMCACHE_CHUNK_SIZE):
        number = _whole(value)
        if number:
            return number
        if value is not NONE:
            return Unknown("the chunk size of LMCache is not known")
    if env__LMCACHE_CONFIG_FILE is not NONE:
        return Unknown("LMCache has a configuration of its own")
    return _CHUNK_TOKENS


_LMCACHE = (
    "model.attention.kind",
    "connector.extra.lmcache_remote_serde",
    "env.LMCACHE_REMOTE_SERDE",
    "connector.extra.lmcache_use_layerwise",
    "connector.extra.use_layerwise",
    "env.LMCACHE_USE_LAYERWISE",
)


def _lmcache_latent(*values: Value) -> Truth:
    """Tell whether LMCache takes the model: a latent only with the serialiser `naive`, and not layer by layer.

    Source: vLLM 0.12 to 0.33, lmcache_integration/vllm_v1_adapter.py, where it raises ValueError.
    """
    kind, *settings = values
    serde = [any_true([equal(value, NONE), equal(value, "naive")]) for value in settings[:2]]
    layerwise = [negate(_true(value)) for value in settings[2:]]
    return any_true([negate(within(kind, LATENT_KINDS)), all_true([*serde, *layerwise])])


add(
    Derivation(
        "pool",
        "connector.lmcache_takes_model",
        None,
        _LMCACHE,
        frozenset(_LMCACHE),
        _lmcache_latent,
        "Whether LMCache takes the attention of the model as it is told to keep it.",
        "boolean",
    )
)

# -- offloading --------------------------------------------------------------------------------------------------

_OFFLOADING = (
    "engine.version",
    "engine.kv_offloading_gib",
    "kv.block_size",
    "connector.extra.cpu_bytes_to_use",
    "connector.extra.num_cpu_blocks",
    "connector.extra.spec_name",
    "connector.extra.block_size",
)
_CPU_SPEC: Final = "CPUOffloadingSpec"


def _offloading(*values: Value) -> Truth:
    """Tell whether OffloadingConnector starts: the size of host memory is set, and its blocks are whole ones of the
    engine.

    cpu_bytes_to_use from 0.14 on, num_cpu_blocks before. Source: vLLM 0.12 to 0.33, v1/kv_offload/cpu (spec.py),
    base.py.
    """
    version, gib, block, size, count, spec, own_block = values
    if isinstance(version, str) and is_version(version):
        given = [count if version_in(version, "<0.14") else size]
    else:
        given = [size, count]
    filled = [
        UNDECIDED if isinstance(value, Unknown) else value is not NONE and str(value) not in {"", "0"}
        for value in given
    ]
    sized = filled[0] if len(set(filled)) == 1 else UNDECIDED
    of_cpu = any_true([equal(spec, NONE), equal(spec, _CPU_SPEC)])
    by_argument = UNDECIDED if isinstance(gib, Unknown) else isinstance(gib, int | float) and gib > 0
    return all_true([any_true([sized, negate(of_cpu), by_argument]), _whole_blocks(own_block, block)])


def _left(value: Value) -> bool:
    return value is NONE or (isinstance(value, Unknown) and value.left)


def _whole_blocks(own: Value, block: Value) -> Truth:
    if own is NONE:
        return True
    number = _whole(own)
    if number is None or not isinstance(block, int):
        return UNDECIDED
    return number % block == 0


add(
    Derivation(
        "pool",
        "connector.offloading_starts",
        None,
        _OFFLOADING,
        frozenset(_OFFLOADING),
        _offloading,
        "Whether OffloadingConnector is told how much host memory it has, in whole blocks of the engine.",
        "boolean",
    )
)

# -- connectors within a connector -------------------------------------------------------------------------------

HANDS_OVER: Final = frozenset(
    {"NixlConnector", "NixlPullConnector", "NixlPushConnector", "MooncakeConnector", "MoRIIOConnector"}
)
"""Classes that give the router parameters for decode."""


_CHILDREN = ("connector.held.classes", "connector.held.engine_id")


@derived("pool", "connector.children_taken", result="boolean", lenient=_CHILDREN)
def children_taken(connector__held__classes: Value, connector__held__engine_id: Value) -> Truth:
    """Whether MultiConnector takes the connectors that it holds.

    At most one may hand KV over, as two would fill the same parameters, and none may have an engine id of its own,
    which is handed on twice. Source: vLLM 0.16 to 0.33, kv_connector/v1/multi_connector.py.
    """
    held = connector__held__classes
    once: Truth = sum(name in HANDS_OVER for name in held) <= 1 if isinstance(held, tuple) else UNDECIDED
    return all_true([once, equal(connector__held__engine_id, NONE)])


_WANTS_HND: Final = (
    ("NixlConnector", "<0.34", False),
    ("NixlPullConnector", "<0.34", False),
    ("NixlPushConnector", "<0.34", False),
    ("MooncakeConnector", ">=0.20", False),
    ("OffloadingConnector", ">=0.22", True),
)
"""Classes that ask for HND, since when, and whether of a latent too."""
_WANTS_NHD: Final = ("ExampleHiddenStatesConnector",)
_LAYOUTS = ("engine.version", "model.attention.kind", "connector.held.classes", "env.VLLM_KV_CACHE_LAYOUT")


@derived("pool", "connector.children_want_one_layout", result="boolean", lenient=_LAYOUTS)
def children_want_one_layout(
    engine__version: Value,
    model__attention__kind: Value,
    connector__held__classes: Value,
    env__VLLM_KV_CACHE_LAYOUT: Value,  # noqa: N803
) -> Truth:
    """Whether the connectors that MultiConnector holds ask for one layout, or the environment says which it is.

    vLLM 0.18 to 0.33, kv_connector/v1, get_required_kvcache_layout; they are asked only where no VLLM_KV_CACHE_LAYOUT
    is set.
    """
    held = connector__held__classes
    if not isinstance(held, tuple):
        return UNDECIDED
    if not any(name in _WANTS_NHD for name in held):
        return True
    asked = []
    for name, releases, of_latent in _WANTS_HND:
        if name in held:
            known = isinstance(engine__version, str) and is_version(engine__version)
            release: Truth = version_in(str(engine__version), releases) if known else UNDECIDED
            asked.append(all_true([release, of_latent or negate(within(model__attention__kind, LATENT_KINDS))]))
    return any_true([negate(any_true(asked)), negate(equal(env__VLLM_KV_CACHE_LAYOUT, NONE))])
