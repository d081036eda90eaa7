"""What NIXL's compatibility hash compares, and what stages, context parallelism and drafts have to agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetpd_cli.facts.nixl import check, lifted, since
from hetpd_cli.facts.registry import Derivation, add, derived
from hetpd_cli.facts.truth import all_true, any_true, equal, negate, ordered, within
from hetpd_cli.facts.values import NONE, UNDECIDED, Truth, Unknown, Value

if TYPE_CHECKING:
    from collections.abc import Callable

    Side = dict[str, Any]


def boundary_fact(path: str, *inputs: str) -> Callable[[Callable[..., Truth]], Callable[..., Truth]]:
    """Register the decorated function as a fact of the handoff that gets ``inputs``, known or not."""

    def register(function: Callable[..., Truth]) -> Callable[..., Truth]:
        description = (function.__doc__ or "").partition("\n\n")[0]
        add(Derivation("handoff", path, None, inputs, frozenset(inputs), function, description, "boolean"))
        return function

    return register


def of_both(*paths: str) -> tuple[str, ...]:
    """Return each fact of prefill and decode, in turn."""
    return tuple(f"{side}.{path}" for path in paths for side in ("prefill", "decode"))


# -- the hash --------------------------------------------------------------------------------------------------


@boundary_fact(
    "one_hashed_model", *of_both("model.id", "model.attention.kv_heads", "model.attention.head_dim", "model.layers")
)
def one_hashed_model(*values: Value) -> Truth:
    """Whether the hash takes both sides' models for one: the name letter by letter, KV heads, head size, layers.

    One name is one model wherever its geometry is not stated to differ.
    """
    (one, other), *geometry = zip(values[::2], values[1::2], strict=True)
    if any(equal(*pair) is False for pair in geometry):
        return False
    return equal(one, other)


@boundary_fact("one_computed_dtype", *of_both("engine.dtype", "model.plain_dtype", "model.dtype"))
def one_computed_dtype(*values: Value) -> Truth:
    """Whether both engines compute in one element type: what --dtype says, else the checkpoint's 16 bits."""
    stated, plain, of_checkpoint = zip(values[::2], values[1::2], strict=True)
    if equal(*stated) is True:
        return True
    types = []
    for dtype, released, own in zip(stated, plain, of_checkpoint, strict=True):
        known = own if isinstance(own, str) else released
        left = isinstance(dtype, Unknown) and dtype.left
        types.append(known if left and known in {"bf16", "fp16"} else dtype)
    return equal(*types)


@derived(
    "pool",
    "connector.crosses_layers",
    result="boolean",
    lenient=(
        "engine.version",
        "connector.cross_layer_blocks",
        "engine.attention_backend",
        "kv.layout",
        "model.keeps_state",
    ),
)
def crosses_layers(
    engine__version: Value,
    connector__cross_layer_blocks: Value,
    engine__attention_backend: Value,
    kv__layout: Value,
    model__keeps_state: Value,
) -> Truth:
    """Whether blocks of all layers lie in one: the setting, in effect from 0.16 to 0.28 for some backends and HND.

    Source: vLLM 0.16 to 0.28, prefer_cross_layer_blocks; TRITON_ATTN is among them in 0.24 (not in 0.16).
    """
    name = engine__attention_backend
    backend = within(name.upper() if isinstance(name, str) else name, ("FLASH_ATTN", "FLASHINFER", "TRITON_ATTN"))
    return all_true(
        [
            connector__cross_layer_blocks,
            since(engine__version, "0.16"),
            negate(since(engine__version, "0.29")),
            backend,
            equal(kv__layout, "HND"),
            negate(model__keeps_state),
        ]
    )


_WITHOUT_KV = ("ngram", "ngram_gpu", "suffix", "medusa", "mlp_speculator", "extract_hidden_states")
"""Methods of speculation whose draft keeps no KV."""
_WITH_KV = ("eagle", "eagle3", "mtp", "dflash", "dspark", "draft_model")


@derived("pool", "speculative.keeps_kv", result="boolean", lenient=("speculative.method",))
def speculative_keeps_kv(speculative__method: Value) -> Truth:
    """Whether a draft keeps KV of its own, which is registered and transferred beside the model's."""
    if speculative__method is NONE or isinstance(speculative__method, str):
        name = speculative__method.lower() if isinstance(speculative__method, str) else None
        known = name is None or name in _WITHOUT_KV or name in _WITH_KV
        return name in _WITH_KV if known else Unknown(f"whether {name} keeps KV is not known")
    return UNDECIDED


@boundary_fact(
    "one_draft", *of_both("speculative.revision", "speculative.parallel_drafting", "speculative.hashed_kv_word")
)
def one_draft(*values: Value) -> Truth:
    """Whether both sides' drafts have one revision, one way of drafting and one word for their KV."""
    return all_true(equal(*pair) for pair in zip(values[::2], values[1::2], strict=True))


@derived(
    "pool",
    "speculative.hashed_kv_word",
    lenient=("speculative.kv_dtype_word", "kv.dtype_word"),
)
def hashed_kv_word(speculative__kv_dtype_word: Value, kv__dtype_word: Value) -> Value:
    """Word for the element type of the draft's KV, as the hash holds it: the model's where none is given."""
    if isinstance(speculative__kv_dtype_word, str):
        return speculative__kv_dtype_word
    if speculative__kv_dtype_word is NONE:
        return kv__dtype_word
    return UNDECIDED


_DIRECTION = ("hash_enforced", "prefill.engine.version", *of_both("connector.mode"))


@boundary_fact("direction_refused", "nixl", *_DIRECTION)
def direction_refused(*values: Value) -> bool:
    """Whether the handshake is known to refuse a side that pushes and one that pulls: by the hash, from 0.28 on."""
    joined, enforced, version, one, other = values
    apart = negate(equal(one, other))
    return all_true([joined, enforced, since(version, "0.28"), apart]) is True


# -- stages and context parallelism ----------------------------------------------------------------------------

_STAGES = (
    "prefill.engine.version",
    "decode.connector.mode",
    "prefill.connector.mode",
    "decode.connector.role",
    "prefill_reads",
    "latent_kv",
    "prefill.model.keeps_state",
    "prefill.kv.in_groups",
    *of_both("parallelism.pp", "parallelism.tp", "kv.kernel_block_size"),
)


@boundary_fact("takes_stages", *_STAGES)
def takes_stages(*values: Value) -> Truth:
    """Whether NIXL takes the two pipeline parallel sizes: 1 and 1, and from 0.26 on stages of a prefill that pushes.

    Not with layers that keep a state; with KV in groups from 0.31 on, with one kernel block, and with no more ranks on
    decode than on prefill, unless the KV is a latent. A pulling decode counts the regions of a stage, and refuses them;
    with stages of its own it takes a prefill without, if it is no kv_consumer (and not rightly: :func:`frees_early`).
    """
    facts = dict(zip(_STAGES, values, strict=True))
    version = facts["prefill.engine.version"]
    stages = [equal(facts[f"{side}.parallelism.pp"], 1) for side in ("prefill", "decode")]
    few = any_true([facts["latent_kv"], ordered("<=", facts["decode.parallelism.tp"], facts["prefill.parallelism.tp"])])
    kernels = equal(facts["prefill.kv.kernel_block_size"], facts["decode.kv.kernel_block_size"])
    grouped = all_true([since(version, "0.31"), kernels, few])
    pushed = all_true(
        [
            equal(facts["prefill.connector.mode"], "push"),
            equal(facts["decode.connector.mode"], "push"),
            any_true([negate(facts["prefill.kv.in_groups"]), grouped]),
        ]
    )
    pulled = all_true(
        [
            equal(facts["decode.connector.mode"], "pull"),
            negate(facts["prefill_reads"]),
            negate(equal(facts["decode.connector.role"], "consumer")),
            negate(facts["prefill.kv.in_groups"]),
        ]
    )
    known = all_true([since(version, "0.26"), negate(facts["prefill.model.keeps_state"])])
    return any_true(
        [
            all_true(stages),
            all_true([stages[1], known, pushed]),
            all_true([stages[0], known, pulled]),
        ]
    )


@boundary_fact("frees_early", "nixl", "takes_stages", "decode.parallelism.pp")
def frees_early(*values: Value) -> Truth:
    """Whether prefill frees blocks that a stage of decode has still to read: it counts the readers of one stage.

    Source: vLLM 0.26 to 0.33, pull_worker.py, `_get_new_notifs`; the refusal of a kv_consumer in base_worker.py.
    """
    joined, taken, stages = values
    return all_true([joined, negate(equal(stages, 1)), taken])


_CONTEXT = (
    "engine.version",
    "connector.mode",
    "connector.role",
    "connector.bidirectional",
    "parallelism.tp",
    "parallelism.cp",
    "parallelism.dcp",
    "model.keeps_state",
)


def _starts(side: Side) -> Truth:
    """Tell whether a side starts with its context parallel sizes (0.29 to 0.33, nixl/connector.py, config/vllm.py).

    0.29 takes prefill context parallelism in push mode only and alone, decode context parallelism without state layers.
    """
    dcp, cp, tp = side["parallelism.dcp"], side["parallelism.cp"], side["parallelism.tp"]
    later, pushes = since(side["engine.version"], "0.30"), equal(side["connector.mode"], "push")
    spread = lifted(lambda one, ranks, prefill: one in {1, max(ranks, prefill)}, dcp, tp, cp)
    both = lifted(lambda one, prefill, ranks: ranks == 1 and one == prefill, dcp, cp, tp)
    together = any_true([equal(cp, 1), equal(dcp, 1), all_true([later, both])])
    written = all_true(
        [equal(side["connector.role"], "producer"), negate(side["connector.bidirectional"]), any_true([later, pushes])]
    )
    state = any_true([later, negate(side["model.keeps_state"])])
    shared = all_true([spread, side["latent_kv"], negate(pushes), state])
    return all_true([any_true([equal(dcp, 1), shared]), any_true([equal(cp, 1), written]), together])


def _ranks_divide(ours: int, prefill: int, shared: int, theirs: int, other_prefill: int, other_shared: int) -> bool:
    """Tell whether the ranks that two sides show are multiples: context parallel ones where both kinds are on."""
    ranks = [
        cp if cp > 1 and dcp > 1 else tp
        for tp, cp, dcp in ((ours, prefill, shared), (theirs, other_prefill, other_shared))
    ]
    return max(ranks) % min(ranks) == 0


@check("takes_context_parallel", _CONTEXT, ("latent_kv",))
def takes_context_parallel(local: Side, remote: Side) -> Truth:
    """Whether the context parallel sizes of both sides are taken: both start with theirs, and they divide one another.

    Before 0.29 only sizes of 1 are known to be.
    """
    dcp, cp = "parallelism.dcp", "parallelism.cp"
    plain = all_true([equal(side[name], 1) for side in (local, remote) for name in (dcp, cp)])
    divide = lifted(lambda one, other: one % other == 0 or other % one == 0, local[dcp], remote[dcp])
    state = any_true([negate(local["model.keeps_state"]), equal(local[dcp], remote[dcp])])
    apart = lifted(
        lambda our, ours, their, theirs: (
            not (their > 1 and theirs not in {1, their})
            and not ((our > 1 and ours == 1 and theirs > 1) or (their > 1 and theirs == 1 and ours > 1))
        ),
        local[cp], local[dcp], remote[cp], remote[dcp],
    )  # fmt: skip
    ranks = lifted(_ranks_divide, *(side[name] for side in (local, remote) for name in ("parallelism.tp", cp, dcp)))
    taken = [_starts(local), _starts(remote), divide, apart, state, ranks]
    return any_true([plain, all_true([since(local["engine.version"], "0.29"), *taken])])


@boundary_fact("decode_is_whole", "decode.parallelism.cp")
def decode_is_whole(*values: Value) -> Truth:
    """Whether decode has no prefill context parallelism."""
    return equal(values[0], 1)


_SHARES = ("prefill_reads", *of_both("parallelism.tp", "parallelism.dcp"))


def _own_share(ranks: int, others: int, parts: int, other_parts: int) -> bool:
    """Tell whether every rank reads from ranks with its part of the tokens; parts are dealt out rank by rank."""
    pairs = [(rank, rank * others // ranks) for rank in range(ranks)]
    return parts == other_parts and all(rank % parts == other % parts for rank, other in pairs)


@boundary_fact("one_share_of_tokens", *_SHARES)
def one_share_of_tokens(*values: Value) -> Truth:
    """Whether ranks that meet hold the same part of the tokens, of which nothing is exchanged before 0.29.

    Rank r of R reads from rank r x S // R of S (from several where heads are split, which comes with DCP 1). It has
    part r mod DCP. Source: vLLM 0.24, tp_mapping.py, compute_tp_mapping; parallel_state.py, the groups of DCP.
    """
    reads, tp, other_tp, dcp, other_dcp = values
    plain = all_true([equal(dcp, 1), equal(other_dcp, 1)])
    back = lifted(_own_share, tp, other_tp, dcp, other_dcp)
    return any_true(
        [plain, all_true([lifted(_own_share, other_tp, tp, other_dcp, dcp), any_true([negate(reads), back])])]
    )


# -- state layers with a prefix cache --------------------------------------------------------------------------

_RATIO = ("kv.block_size", "kv.kernel_block_size", "model.keeps_state", "engine.prefix_caching")


@check("takes_cached_state", _RATIO)
def takes_cached_state(local: Side, remote: Side) -> Truth:
    """Whether a model without state layers, a side without a prefix cache, or one ratio of logical to kernel blocks."""
    names = ("kv.block_size", "kv.kernel_block_size")
    same = all_true([equal(local[name], remote[name]) for name in names])
    ratio = lifted(
        lambda ours, kernel, theirs, other: ours // kernel == theirs // other,
        *(side[name] for side in (local, remote) for name in names),
    )
    return any_true([negate(local["model.keeps_state"]), negate(local["engine.prefix_caching"]), same, ratio])


# -- several modules that predict tokens -----------------------------------------------------------------------


@derived(
    "pool",
    "speculative.backoff_tokens",
    unit="token",
    result="integer",
    lenient=("speculative.method", "speculative.tokens", "model.mtp_layers", "model.keeps_state"),
)
def backoff_tokens(
    speculative__method: Value, speculative__tokens: Value, model__mtp_layers: Value, model__keeps_state: Value
) -> Value:
    """Tokens at the end of a prompt that decode computes itself: max(1 with state layers, lookahead - 1).

    The lookahead is the number of drafted tokens where several MTP modules draft, else 1 or none. Source: vLLM 0.31 to
    0.33, base_scheduler.py, `_prefill_backoff`; config/vllm.py, num_prefill_lookahead_tokens.
    """
    if not isinstance(model__keeps_state, bool):
        return Unknown("whether layers keep a state is not known")
    least = int(model__keeps_state)
    name = speculative__method.lower() if isinstance(speculative__method, str) else speculative__method
    if isinstance(name, Unknown):
        return Unknown("the method of speculation is not known")
    layers = 1 if model__mtp_layers is NONE else model__mtp_layers
    if name != "mtp" or (isinstance(layers, int) and layers <= 1) or speculative__tokens in {0, 1}:
        return least
    if not isinstance(layers, int) or not isinstance(speculative__tokens, int):
        return Unknown("not known without model.mtp_layers and speculative.tokens")
    return max(least, speculative__tokens - 1)


@boundary_fact("model_refused", "nixl", "hash_compared", "one_hashed_model")
def model_refused(*values: Value) -> bool:
    """Whether the handshake is known to refuse the two sides' models; not where anything is open."""
    joined, enforced, one = values
    return all_true([joined, enforced, negate(one)]) is True
