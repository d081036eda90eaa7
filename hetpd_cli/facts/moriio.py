"""Facts about vLLM's MoRI-IO connector: what its two modes ask of TP sizes, blocks and models, by release.

In write mode (the default) prefill copies, in read mode decode does; the side that copies is the local one. Source:
vLLM 0.14 to 0.33, kv_connector/v1/moriio: `validate_moriio_heterogeneous_tp_kv_heads` (0.25 to 0.33),
`validate_write_tp_topology` (0.33), `_check_peer_block_size`, `_block_copy_matches_peer`, `compute_head_slice_offsets`
(0.33), `compute_block_transfer_offsets` (0.23 to 0.33), MoRIIOConfig.from_vllm_config; 0.24 and 0.33 were run on a CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hetpd_cli.facts.mooncake import FIT, MISREAD, REFUSED, agreed, as_fraction, width_quotient
from hetpd_cli.facts.registry import Derivation, add, derived
from hetpd_cli.facts.representation import LATENT_KINDS
from hetpd_cli.facts.truth import all_true, any_true, equal, negate, within
from hetpd_cli.facts.values import NONE, UNDECIDED, Truth, Unknown, Value
from hetpd_cli.versions import is_version, version_in

if TYPE_CHECKING:
    from fractions import Fraction

WAITS: Final = "waits"
"""The two sides' ranks wait for one another."""

_SAMPLES: Final = ("0.22.0", "0.24.0", "0.27.0", "0.30.0", "0.32.0", "0.33.0")
"""A release of each behaviour, for a release that is not known."""

_BOTH_SIDES = ("prefill.engine.name", "decode.engine.name", "prefill.connector.name", "decode.connector.name")


def _releases(version: Value) -> tuple[str, ...]:
    return (version,) if isinstance(version, str) and is_version(version) else _SAMPLES


@derived("handoff", "vllm_moriio", result="boolean", lenient=_BOTH_SIDES)
def vllm_moriio(
    prefill__engine__name: Value,
    decode__engine__name: Value,
    prefill__connector__name: Value,
    decode__connector__name: Value,
) -> Truth:
    """Whether vLLM's MoRI-IO connector carries the KV."""
    return all_true(
        [
            equal(prefill__connector__name, "moriio"),
            equal(decode__connector__name, "moriio"),
            equal(prefill__engine__name, "vllm"),
            equal(decode__engine__name, "vllm"),
        ]
    )


def splits_heads(tp: int, kv_heads: int) -> bool:
    """Tell whether ranks hold whole heads, or each head is held by as many ranks."""
    return kv_heads % tp == 0 if tp <= kv_heads else tp % kv_heads == 0


def _tp_outcome(version: str, reads: bool, tp: tuple[int, int], heads: int, latent: bool, recurrent: bool) -> str:
    """Return what MoRI-IO of ``version`` makes of two TP sizes that are not equal."""
    divisible = max(tp) % min(tp) == 0
    if version_in(version, "<0.25") or (not reads and version_in(version, "<0.33")):
        return WAITS
    if not divisible:
        return REFUSED
    if not reads:
        return FIT if latent or all(splits_heads(size, heads) for size in tp) else REFUSED
    return REFUSED if recurrent or not (latent or min(tp) >= heads) else FIT


_TP_INPUTS = (
    "prefill.engine.version",
    "prefill.connector.mode",
    "prefill.parallelism.tp",
    "decode.parallelism.tp",
    "prefill.model.attention.kind",
    "prefill.model.attention.kv_heads",
    "prefill.model.hybrid",
)


def _tp(*values: Value) -> Value:
    """Tell what vLLM's MoRI-IO makes of the two TP sizes.

    `fit`, `refused`, or `waits`. Up to 0.24 rank r speaks to rank r; from 0.25 on a reader takes unequal sizes where
    every rank holds a copy (a latent, or at least as many ranks as KV heads on both sides); from 0.33 on a writer
    takes sizes that divide, if the KV heads divide among the ranks too.
    """
    version, mode, prefill, decode, kind, heads, hybrid = values
    if equal(prefill, decode) is True:
        return FIT
    if not isinstance(prefill, int) or not isinstance(decode, int):
        return Unknown("a tensor parallel size is not known")
    latents = [within(kind, LATENT_KINDS)]
    if not isinstance(latents[0], bool):
        latents = [True, False]
    modes = (mode == "pull",) if isinstance(mode, str) else (True, False)
    recurrent = hybrid is True
    outcomes = set()
    for latent in latents:
        if latent is False and not isinstance(heads, int):
            outcomes |= {_tp_outcome(release, reads, (prefill, decode), 1, True, recurrent)
                         for release in _releases(version) for reads in modes} | {REFUSED}  # fmt: skip
            continue
        total = heads if isinstance(heads, int) else 1
        outcomes |= {
            _tp_outcome(release, reads, (prefill, decode), total, latent is True, recurrent)
            for release in _releases(version)
            for reads in modes
        }
    return agreed(outcomes)


add(
    Derivation(
        "handoff",
        "moriio_tp",
        None,
        _TP_INPUTS,
        frozenset(_TP_INPUTS),
        _tp,
        "What vLLM's MoRI-IO makes of the two TP sizes: `fit`, `refused` or `waits`.",
        "text",
    )
)


def _block_outcome(version: str, reads: bool, latent: bool, block: Fraction, per_element: Fraction) -> str:
    """Return what MoRI-IO makes of blocks whose tokens are in the ratio ``block`` (prefill to decode)."""
    if version_in(version, ">=0.33") and (not latent or (not reads and block != 1)):
        return FIT if block == per_element == 1 else REFUSED
    if block == 1:
        return FIT
    local = 1 / block if reads else block
    # Smaller blocks make a longer list.
    if local < 1 or version_in(version, ">=0.24,<0.26"):
        return REFUSED
    return MISREAD


_BLOCK_INPUTS = (
    "prefill.engine.version",
    "prefill.connector.mode",
    "block_tokens_ratio",
    "prefill.kv.dtype",
    "decode.kv.dtype",
    "prefill.model.attention.kind",
)


def _blocks(*values: Value) -> Value:
    """Tell what vLLM's MoRI-IO makes of two block sizes and the widths of two element types.

    `fit`, `refused` or `misread`. Before 0.33 only the numbers of blocks are compared: the side that copies may not
    have more than the other (0.24 and 0.25: as many). From 0.33 on tokens and bytes of a head are compared; of a
    latent the tokens, and by a writer alone. What two element types of one width, or of a latent, come to is told
    elsewhere.
    """
    version, mode, tokens_ratio, prefill_type, decode_type, kind = values
    block, per_element = as_fraction(tokens_ratio), width_quotient(prefill_type, decode_type)
    if block is None or per_element is None:
        return Unknown("the element type or the block size of a side is not known")
    if block == per_element == 1:
        return FIT
    found = within(kind, LATENT_KINDS)
    latents = (found,) if isinstance(found, bool) else (True, False)
    modes = (mode == "pull",) if isinstance(mode, str) else (True, False)
    return agreed(
        {
            _block_outcome(release, reads, latent, block, per_element)
            for release in _releases(version)
            for reads in modes
            for latent in latents
        }
    )


add(
    Derivation(
        "handoff",
        "moriio_blocks",
        None,
        _BLOCK_INPUTS,
        frozenset(_BLOCK_INPUTS),
        _blocks,
        "What vLLM's MoRI-IO makes of the sides' blocks: `fit`, `refused` or `misread`.",
        "text",
    )
)


_ELSEWHERE = ("vllm_mooncake", "mooncake_takes_lengths", "vllm_moriio", "moriio_blocks")


@derived("handoff", "settled_elsewhere", result="boolean", lenient=_ELSEWHERE)
def settled_elsewhere(
    vllm_mooncake: Value, mooncake_takes_lengths: Value, vllm_moriio: Value, moriio_blocks: Value
) -> bool:
    """Whether a connector with rules of its own is known to take or to refuse the two block sizes."""
    pairs = ((vllm_mooncake, mooncake_takes_lengths), (vllm_moriio, moriio_blocks))
    return any(ours is True and not isinstance(found, Unknown) for ours, found in pairs)


@derived("handoff", "moriio_misreads", result="boolean", lenient=("moriio_blocks", "one_kv_dtype"))
def moriio_misreads(moriio_blocks: Value, one_kv_dtype: Value) -> Truth:
    """Whether blocks are copied to wrong places; not where two element types, told elsewhere, may do it."""
    return all_true([equal(moriio_blocks, MISREAD), one_kv_dtype])


@derived("handoff", "moriio_order", result="boolean", lenient=(
    "prefill.engine.version", "prefill.kv.layout", "decode.kv.layout", "prefill.model.attention.kind"))  # fmt: skip
def moriio_order(
    prefill__engine__version: Value,
    prefill__kv__layout: Value,
    decode__kv__layout: Value,
    prefill__model__attention__kind: Value,
) -> Truth:
    """Whether heads and tokens of a block are where the other side looks for them.

    From 0.33 on the sides tell each other where each head lies; before, blocks are copied as they are.
    """
    told = [version_in(release, ">=0.33") for release in _releases(prefill__engine__version)]
    tells: Truth = told[0] if len(set(told)) == 1 else UNDECIDED
    one = equal(prefill__kv__layout, decode__kv__layout)
    return any_true([tells, one, within(prefill__model__attention__kind, LATENT_KINDS)])


_KEYS = (
    "engine.version",
    "connector.extra.http_port",
    "connector.extra.proxy_ip",
    "connector.extra.proxy_ping_port",
)


@derived("pool", "connector.moriio_keys", result="boolean", lenient=_KEYS)
def moriio_keys(
    engine__version: Value,
    connector__extra__http_port: Value,
    connector__extra__proxy_ip: Value,
    connector__extra__proxy_ping_port: Value,
) -> Truth:
    """Whether MoRI-IO finds the keys that it reads without a default: http_port, up to 0.27 those of the proxy too."""
    given = [
        UNDECIDED if isinstance(value, Unknown) else value is not NONE
        for value in (connector__extra__http_port, connector__extra__proxy_ip, connector__extra__proxy_ping_port)
    ]
    needed = {version_in(release, "<0.28") for release in _releases(engine__version)}
    proxy: Truth = not needed.pop() if len(needed) == 1 else UNDECIDED
    return all_true([given[0], any_true([proxy, all_true(given[1:])])])


_STATES: Final = ("mamba1", "mamba2", "gdn", "kda")
"""Recurrent layers that keep two states, convolution and recurrence."""

_MODEL_INPUTS = (
    "engine.version",
    "connector.mode",
    "model.hybrid",
    "model.state_space",
    "model.windowed_kv",
    "engine.hybrid_kv_manager",
    "speculative.method",
)


@derived(
    "pool",
    "model.windowed_kv",
    result="boolean",
    lenient=("model.attention.sliding_window", "model.grouped_kv", "model.hybrid"),
)
def windowed_kv(model__attention__sliding_window: Value, model__grouped_kv: Value, model__hybrid: Value) -> Truth:
    """Whether some layers keep KV of a sliding window."""
    if isinstance(model__attention__sliding_window, int | float):
        return True
    if model__attention__sliding_window is NONE:
        return False
    return all_true([model__grouped_kv, any_true([negate(model__hybrid), UNDECIDED])])


def _model_outcome(version: str, reads: bool, hybrid: Truth, state: Value, windowed: Truth, method: Value) -> Truth:
    """Tell whether MoRI-IO of ``version`` starts with the groups of KV of a model."""
    if version_in(version, "<0.30"):
        return negate(hybrid)
    drafts = [equal(method, NONE)]
    if version_in(version, ">=0.32"):
        drafts.append(equal(method, "dspark"))
    recurrent = [
        version_in(version, ">=0.31") and (reads or version_in(version, ">=0.33")),
        within(state, _STATES),
        any_true(drafts),
    ]
    return all_true([any_true([negate(windowed), reads]), any_true([negate(hybrid), all_true(recurrent)])])


def _model(*values: Value) -> Truth:
    """Tell whether MoRI-IO takes the layers of the model.

    From 0.30 on it works with the hybrid KV cache manager: windows in read mode, from 0.31 on layers of two recurrent
    states in read mode, from 0.33 on in both, without drafts (from 0.32 on: but DSpark's); what else keeps KV of its
    own is refused at start. Before, the manager is turned off, and without it recurrent layers are refused.
    """
    version, mode, hybrid, state, windowed, manager, method = values
    modes = (mode == "pull",) if isinstance(mode, str) else (True, False)
    results = {
        _model_outcome(release, reads, _as_truth(hybrid), state, _as_truth(windowed), method)
        for release in _releases(version)
        for reads in modes
    }
    taken = results.pop() if len(results) == 1 else UNDECIDED
    unified = all_true([equal(manager, False), negate(_as_truth(hybrid))])
    return any_true([unified, taken])


def _as_truth(value: Value) -> Truth:
    return value if isinstance(value, bool) else UNDECIDED


add(
    Derivation(
        "pool",
        "model.taken_by_moriio",
        None,
        _MODEL_INPUTS,
        frozenset(_MODEL_INPUTS),
        _model,
        "Whether vLLM's MoRI-IO takes the layers of the model.",
        "boolean",
    )
)
