"""Facts about vLLM's Mooncake connector, which compares nothing but lengths of bytes.

Prefill writes. A *slot* is what one block of one layer takes on one rank: keys and values of the heads that the rank
holds, or the latent. Releases differ in what they compare, and the side that writes decides:

- up to 0.18: nothing; both TP sizes have to be equal, and no side may have pipeline stages (0.16 to 0.23).
- 0.19 to 0.29: lengths of slots by the ratio of the TP sizes, not where prefill holds copies (a latent, or more ranks
  than KV heads).
- from 0.30 on: lengths by the ratio of the ranks that hold different heads, not of a latent or of recurrent layers.

Source: vLLM 0.13 to 0.33, kv_connector/v1/mooncake/mooncake_connector.py (0.13 to 0.15: v1/mooncake_connector.py),
`_validate_asymmetric_region_lengths`, `_compute_sender_transfer_plan`, `_build_transfer_params`,
`_validate_head_resharding_layout`, `send_kv_to_decode`; 0.24, 0.30 and 0.33 were run on a CPU.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from hetpd_cli.facts.registry import Derivation, add, derived
from hetpd_cli.facts.representation import LATENT_KINDS
from hetpd_cli.facts.truth import all_true, any_true, equal, is_number, negate, ordered, within
from hetpd_cli.facts.values import NONE, UNDECIDED, Truth, Unknown, Value
from hetpd_cli.physics.kv import ELEMENT_BYTES
from hetpd_cli.versions import is_version, version_in

EARLY: Final = "early"
BY_TP: Final = "by TP"
BY_HEADS: Final = "by heads"
_REGIMES: Final = ((EARLY, "<0.19"), (BY_TP, ">=0.19,<0.30"), (BY_HEADS, ">=0.30"))

FIT: Final = "fit"
REFUSED: Final = "refused"
MISREAD: Final = "misread"

_NVFP4_BYTES: Final = Fraction(1, 2) + Fraction(1, 16)
"""Bytes of an element of `nvfp4`: half a byte and one scale of a byte for 16 (vLLM 0.24, nvfp4_kv_cache_full_dim)."""
_DS_MLA_BYTES: Final = 656
"""Bytes of a token of `fp8_ds_mla`: 512 elements, 16 of scales, 64 of RoPE in 16 bits (vLLM 0.24, MLAAttentionSpec)."""
_DS_MLA_ELEMENTS: Final = 576


def regimes(version: Value) -> tuple[str, ...]:
    """Return what the release of the writing side may do: one of the regimes, or all where it is not known."""
    if not isinstance(version, str) or not is_version(version):
        return tuple(name for name, _ in _REGIMES)
    return tuple(name for name, spec in _REGIMES if version_in(version, spec))


def agreed(outcomes: set[str]) -> Value:
    """Return the one outcome of all releases that may run, else an unknown with those that there may be."""
    if len(outcomes) == 1:
        return next(iter(outcomes))
    return Unknown("what the connector makes of it depends on the release", tuple(sorted(outcomes)) or None)


_BOTH_SIDES = ("prefill.engine.name", "decode.engine.name", "prefill.connector.name", "decode.connector.name")


@derived("handoff", "vllm_mooncake", result="boolean", lenient=_BOTH_SIDES)
def vllm_mooncake(
    prefill__engine__name: Value,
    decode__engine__name: Value,
    prefill__connector__name: Value,
    decode__connector__name: Value,
) -> Truth:
    """Whether vLLM's own Mooncake connector carries the KV; vllm-ascend, SGLang and the store have other ones."""
    return all_true(
        [
            equal(prefill__connector__name, "mooncake"),
            equal(decode__connector__name, "mooncake"),
            equal(prefill__engine__name, "vllm"),
            equal(decode__engine__name, "vllm"),
        ]
    )


def heads_of_rank(kv_heads: int, tp: int) -> int:
    """Return the KV heads that one rank holds: ``max(1, kv_heads // tp)`` (vLLM 0.24, TransferTopology)."""
    return max(1, kv_heads // tp)


def width(dtype: str) -> Fraction | None:
    """Return the bytes of one element of the KV on average, scales packed beside it included; None where not known."""
    if dtype == "nvfp4":
        return _NVFP4_BYTES
    if dtype == "fp8_ds_mla":
        return Fraction(_DS_MLA_BYTES, _DS_MLA_ELEMENTS)
    known = ELEMENT_BYTES.get(dtype)
    return None if known is None else Fraction(known)


def quotient(one: Value, other: Value) -> Fraction | None:
    """Return the quotient of two numbers, 1 where they are known to be equal, None where it is not known."""
    if isinstance(one, int) and isinstance(other, int):
        return Fraction(one, other)
    return Fraction(1) if equal(one, other) is True else None


def width_quotient(one: Value, other: Value) -> Fraction | None:
    """Return the quotient of the widths of two element types, 1 where they are one, None where it is not known."""
    if equal(one, other) is True:
        return Fraction(1)
    if not isinstance(one, str) or not isinstance(other, str):
        return None
    ours, theirs = width(one), width(other)
    return None if ours is None or theirs is None else ours / theirs


@derived("pool", "kv.registered_block_size", unit="token", result="integer", lenient=("kv.kernel_block_size",))
def registered_block_size(kv__kernel_block_size: Value, kv__block_size: int) -> int:
    """Tokens per block as connectors register it: that of the attention kernel, where one is stated."""
    return kv__kernel_block_size if isinstance(kv__kernel_block_size, int) else kv__block_size


class _Slots:
    """What the two sides' slots are, as quotients of prefill to decode."""

    def __init__(self, tp: tuple[int, int], heads: int, *, latent: bool, recurrent: bool, nvfp4: bool) -> None:
        self.tp = tp
        self.heads = heads
        self.latent = latent
        self.recurrent = recurrent
        self.nvfp4 = nvfp4

    def outcome(self, regime: str, per_head: Fraction, block: Fraction) -> str:
        """Return what comes of slots of which a head of prefill takes ``per_head`` times the bytes of decode's.

        ``block`` is the quotient of the tokens of the engines' blocks, which are paired by number. Where lengths pass,
        prefill may still have fewer blocks than decode asks for (refused), or blocks go into longer ones (misread).
        """
        prefill, decode = self.tp
        held = (1, 1) if self.latent else (heads_of_rank(self.heads, prefill), heads_of_rank(self.heads, decode))
        length = per_head * held[0] / held[1]
        if regime == EARLY:
            return self._copied(length, block, overwrites=True) if prefill == decode else FIT
        if regime == BY_HEADS and not self.latent and not self.recurrent:
            return self._by_heads(length, block)
        if self.latent or prefill > self.heads:
            return self._copied(length, block, overwrites=False)
        if length * prefill != decode:
            return REFUSED
        scattered = self.nvfp4 and held[0] != held[1]
        return MISREAD if scattered and block <= 1 else self._paired(block)

    def _by_heads(self, length: Fraction, block: Fraction) -> str:
        """Compare as 0.30 and later do: ranks beyond the heads hold copies and do not count."""
        prefill, decode = (min(size, self.heads) for size in self.tp)
        if prefill != decode and self.nvfp4:
            return REFUSED
        if max(prefill, decode) % min(prefill, decode) or length * prefill != decode:
            return REFUSED
        return self._paired(block)

    @staticmethod
    def _copied(length: Fraction, block: Fraction, *, overwrites: bool) -> str:
        """Return what comes of slots that are copied whole at their own length, which nothing compares.

        A longer one fails an assertion, in early releases it is written over the next slot.
        """
        if block > 1 or (length > 1 and not overwrites):
            return REFUSED
        return FIT if length == 1 and block == 1 else MISREAD

    @staticmethod
    def _paired(block: Fraction) -> str:
        if block == 1:
            return FIT
        return REFUSED if block > 1 else MISREAD


_BLOCKS = ("prefill.kv.block_size", "decode.kv.block_size")


@derived("handoff", "block_tokens_ratio", result="number", lenient=_BLOCKS)
def block_tokens_ratio(prefill__kv__block_size: Value, decode__kv__block_size: Value) -> Value:
    """Tokens of a block of prefill, divided by those of a block of decode."""
    ratio = quotient(prefill__kv__block_size, decode__kv__block_size)
    return Unknown("the block size of a side is not known") if ratio is None else float(ratio)


_HEAD_BYTES = (
    "prefill.kv.registered_block_size",
    "decode.kv.registered_block_size",
    "prefill.kv.dtype",
    "decode.kv.dtype",
)


@derived("handoff", "head_bytes_ratio", result="number", lenient=_HEAD_BYTES)
def head_bytes_ratio(
    prefill__kv__registered_block_size: Value,
    decode__kv__registered_block_size: Value,
    prefill__kv__dtype: Value,
    decode__kv__dtype: Value,
) -> Value:
    """Bytes that a block of one head (or of the latent) takes in prefill, divided by those in decode."""
    tokens = quotient(prefill__kv__registered_block_size, decode__kv__registered_block_size)
    element = width_quotient(prefill__kv__dtype, decode__kv__dtype)
    if tokens is None or element is None:
        return Unknown("the element type or the block size of a side is not known")
    return float(tokens * element)


def as_fraction(ratio: Value) -> Fraction | None:
    """Return a quotient of two small numbers exactly, None where it is not known."""
    return Fraction(ratio).limit_denominator(10_000) if isinstance(ratio, int | float) else None


LATENT: Final = "latent"
RECURRENT: Final = "recurrent"
BY_HEAD: Final = "heads"


@derived("pool", "model.kv_split", lenient=("model.attention.kind", "model.hybrid"))
def kv_split(model__attention__kind: Value, model__hybrid: Value) -> Value:
    """How ranks share the KV: the `latent` whole on each, `heads` of their own, or these beside `recurrent` layers."""
    latent = within(model__attention__kind, LATENT_KINDS)
    if latent is True:
        return LATENT
    other = (RECURRENT if model__hybrid else BY_HEAD,) if isinstance(model__hybrid, bool) else (BY_HEAD, RECURRENT)
    choices = other if latent is False else (LATENT, *other)
    return choices[0] if len(choices) == 1 else Unknown("the attention of the model is not known", choices)


def splits(kind: Value) -> tuple[Value, ...]:
    """Return how ranks may share the KV."""
    if isinstance(kind, Unknown):
        return kind.candidates or (LATENT, BY_HEAD, RECURRENT)
    return (kind,)


_SLOT_INPUTS = (
    "prefill.engine.version",
    "prefill.parallelism.tp",
    "decode.parallelism.tp",
    "block_tokens_ratio",
    "head_bytes_ratio",
    "prefill.kv.dtype",
    "prefill.model.kv_split",
    "prefill.model.attention.kv_heads",
)


def _slots(*values: Value) -> Value:
    """Tell what vLLM's Mooncake makes of the lengths of the two sides' slots.

    `fit`, `refused`, or `misread`: copied, but not to where decode looks. Where the TP sizes do not divide, nothing is
    compared: that is told elsewhere.
    """
    version, prefill_tp, decode_tp, tokens_ratio, bytes_ratio, dtype, split, heads = values
    block, per_head = as_fraction(tokens_ratio), as_fraction(bytes_ratio)
    if equal(prefill_tp, decode_tp) is True:
        if per_head == block == 1:
            return FIT
        prefill_tp = decode_tp = prefill_tp if isinstance(prefill_tp, int) else 1
    if not isinstance(prefill_tp, int) or not isinstance(decode_tp, int):
        return Unknown("a tensor parallel size is not known")
    if max(prefill_tp, decode_tp) % min(prefill_tp, decode_tp):
        return FIT
    if per_head is None and block not in {None, 1} and (prefill_tp == decode_tp or EARLY not in regimes(version)):
        return agreed({REFUSED, MISREAD})
    if per_head is None or block is None:
        return Unknown("the element type or the block size of a side is not known")
    if isinstance(heads, int):
        totals: tuple[int, ...] = (heads,)
    elif prefill_tp == decode_tp:
        totals = (1, prefill_tp)
    else:
        totals = ()
    outcomes = set()
    for kind in splits(split):
        if kind != LATENT and not totals:
            return Unknown("the KV heads of the model are not known")
        nvfp4 = dtype == "nvfp4" and kind != LATENT
        for total in totals or (1,):
            slots = _Slots(
                (prefill_tp, decode_tp), total, latent=kind == LATENT, recurrent=kind == RECURRENT, nvfp4=nvfp4
            )
            outcomes |= {slots.outcome(regime, per_head, block) for regime in regimes(version)}
    return agreed(outcomes)


add(
    Derivation(
        "handoff",
        "mooncake_slots",
        None,
        _SLOT_INPUTS,
        frozenset(_SLOT_INPUTS),
        _slots,
        "What vLLM's Mooncake makes of the lengths of the two sides' blocks: `fit`, `refused` or `misread`.",
        "text",
    )
)


@derived("handoff", "mooncake_takes_lengths", result="boolean", lenient=("mooncake_slots",))
def mooncake_takes_lengths(mooncake_slots: Value) -> Truth:
    """Whether the lengths are not refused; not where they are refused or misread by what is not known."""
    if isinstance(mooncake_slots, Unknown):
        wrong = bool(mooncake_slots.candidates) and set(mooncake_slots.candidates or ()) <= {REFUSED, MISREAD}
        return False if wrong else UNDECIDED
    return mooncake_slots != REFUSED


@derived("handoff", "mooncake_misreads", result="boolean", lenient=("mooncake_slots", "one_kv_dtype"))
def mooncake_misreads(mooncake_slots: Value, one_kv_dtype: Value) -> Truth:
    """Whether blocks of two lengths are copied to wrong places.

    Not where two element types may do it: that is told elsewhere.
    """
    return all_true([equal(mooncake_slots, MISREAD), one_kv_dtype])


_ORDER_INPUTS = (
    "prefill.kv.layout",
    "decode.kv.layout",
    "prefill.parallelism.tp",
    "decode.parallelism.tp",
    "prefill.model.attention.kind",
    "prefill.model.attention.kv_heads",
)
_TOKENS_FIRST: Final = "NHD"


def _order(*values: Value) -> Truth:
    """Tell whether heads and tokens of a slot are where decode looks for them: the layout is compared nowhere.

    A latent, and a slot of one head, has one order. In equal orders, tokens first, a part of the heads is scattered, so
    both sides have to hold equally many.
    """
    prefill_layout, decode_layout, prefill_tp, decode_tp, kind, heads = values
    latent = within(kind, LATENT_KINDS)
    tokens_first = [equal(layout, _TOKENS_FIRST) for layout in (prefill_layout, decode_layout)]
    one_order = equal(prefill_layout, decode_layout)
    if isinstance(tokens_first[0], bool) and isinstance(tokens_first[1], bool):
        one_order = tokens_first[0] is tokens_first[1]
    held: list[Value] = [
        heads_of_rank(heads, tp) if isinstance(heads, int) and isinstance(tp, int) else UNDECIDED
        for tp in (prefill_tp, decode_tp)
    ]
    as_many = True if equal(prefill_tp, decode_tp) is True else equal(held[0], held[1])
    in_pieces = all_true([any_true([equal(held[side], 1), negate(tokens_first[side])]) for side in (0, 1)])
    return any_true([latent, in_pieces, all_true([one_order, as_many])])


add(
    Derivation(
        "handoff",
        "mooncake_order",
        None,
        _ORDER_INPUTS,
        frozenset(_ORDER_INPUTS),
        _order,
        "Whether heads and tokens of a block are where decode looks for them, as vLLM's Mooncake copies bytes.",
        "boolean",
    )
)

_STAGE_INPUTS = ("prefill.engine.version", "decode.engine.version", "prefill.parallelism.pp", "decode.parallelism.pp")


def _stages(*values: Value) -> Truth:
    """Tell whether vLLM's Mooncake takes the two pipeline parallel sizes.

    Up to 0.23 no side may have stages. From 0.24 to 0.29 each layer of a stage of prefill has to be on every stage of
    decode that asks for it, so decode has one stage or as many as prefill. From 0.30 on any sizes, as layers that a
    stage of decode does not have are left out. Source: `_align_transfer_regions`, its argument allow_partial_layers.
    """
    prefill_version, decode_version, prefill_stages, decode_stages = values
    none = all_true([equal(prefill_stages, 1), equal(decode_stages, 1)])
    joined = any_true([equal(decode_stages, 1), equal(prefill_stages, decode_stages)])
    results = set()
    for version in (prefill_version, decode_version):
        if not isinstance(version, str) or not is_version(version):
            results |= {none, joined, True}
        elif version_in(version, "<0.24"):
            results.add(none)
        else:
            results.add(True if version_in(version, ">=0.30") else joined)
    return all_true(results) if UNDECIDED not in results and len(results) == 1 else _joint(results)


def _joint(results: set[Truth]) -> Truth:
    """Return false where every release that may run refuses, true where none does."""
    if results == {False}:
        return False
    return True if results == {True} else UNDECIDED


add(
    Derivation(
        "handoff",
        "mooncake_stages",
        None,
        _STAGE_INPUTS,
        frozenset(_STAGE_INPUTS),
        _stages,
        "Whether vLLM's Mooncake takes the two pipeline parallel sizes.",
        "boolean",
    )
)

_PROTOCOL_GATES: Final = ("<0.16", ">=0.16,<0.19", ">=0.19,<0.20", ">=0.20,<0.24", ">=0.24,<0.25", ">=0.25")
_FORMS: Final = (0, 1, 1, 2, 2, 2)
"""Form of the message of each generation."""
_ONE_WAY: Final = frozenset({(2, 1), (4, 3), (5, 3), (5, 4)})
"""Generations of messages of the writing and the reading side of which the first cannot read the second's."""


@derived("handoff", "mooncake_messages", result="boolean", lenient=("prefill.engine.version", "decode.engine.version"))
def mooncake_messages(prefill__engine__version: Value, decode__engine__version: Value) -> Truth:
    """Whether prefill can read what decode asks it with.

    Fields that the reader requires came in 0.19 (block_lens), 0.24 (names of layers) and 0.25 (kv_block_lens); 0.16
    and 0.20 changed the form of the message. A later decode may ask an earlier prefill within one form. Source: vLLM
    0.13 to 0.33, MooncakeXferMetadata, _expand_transfer_regions.
    """
    if equal(prefill__engine__version, decode__engine__version) is True:
        return True
    ages = []
    for version in (prefill__engine__version, decode__engine__version):
        if not isinstance(version, str) or not is_version(version):
            return Unknown("an engine version is not known")
        ages.append(next(age for age, spec in enumerate(_PROTOCOL_GATES) if version_in(version, spec)))
    writer, reader = ages
    if writer == reader:
        return True
    return _FORMS[writer] == _FORMS[reader] and (writer, reader) not in _ONE_WAY


@derived("handoff", "mooncake_groups", result="boolean", lenient=(
    "prefill.model.grouped_kv", "prefill.engine.hybrid_kv_manager", "decode.engine.hybrid_kv_manager"))  # fmt: skip
def mooncake_groups(
    prefill__model__grouped_kv: Value,
    prefill__engine__hybrid_kv_manager: Value,
    decode__engine__hybrid_kv_manager: Value,
) -> Truth:
    """Whether both sides keep KV in as many groups: one manager on both, or layers of one kind.

    Source: vLLM 0.20 to 0.33, _build_transfer_params ("KV group count mismatch").
    """
    return any_true(
        [
            negate(prefill__model__grouped_kv),
            equal(prefill__engine__hybrid_kv_manager, decode__engine__hybrid_kv_manager),
        ]
    )


_KEEPS_KV: Final = ("eagle", "eagle3", "mtp", "dflash", "dspark", "draft_model")
_KEEPS_NONE: Final = ("ngram", "ngram_gpu", "suffix", "medusa", "mlp_speculator")
_DRAFTS = ("prefill.engine.version", "prefill.speculative.method", "decode.speculative.method")


def keeps_kv(method: Value) -> Truth:
    """Tell whether drafts of this method keep KV in layers of their own (vLLM 0.24 to 0.33, config/speculative.py)."""
    if method is NONE or method in _KEEPS_NONE:
        return False
    return True if method in _KEEPS_KV else UNDECIDED


@derived("handoff", "mooncake_draft_layers", result="boolean", lenient=_DRAFTS)
def mooncake_draft_layers(
    prefill__engine__version: Value, prefill__speculative__method: Value, decode__speculative__method: Value
) -> Truth:
    """Whether decode has the layers of drafts that prefill sends: one method, or none of prefill's own.

    From 0.19 to 0.23 both sides have to have as many layers. Source: vLLM 0.19 to 0.33,
    `_validate_asymmetric_region_lengths`, `_align_transfer_regions` (0.24 to 0.33).
    """
    ours, theirs = keeps_kv(prefill__speculative__method), keeps_kv(decode__speculative__method)
    one = equal(prefill__speculative__method, decode__speculative__method)
    results = set()
    for regime in regimes(prefill__engine__version):
        by_name: Truth = regime == BY_HEADS or UNDECIDED
        if regime == BY_TP and isinstance(prefill__engine__version, str) and is_version(prefill__engine__version):
            by_name = version_in(prefill__engine__version, ">=0.24")
        sent = any_true([all_true([by_name, negate(ours)]), all_true([negate(ours), negate(theirs)])])
        results.add(True if regime == EARLY else any_true([one, sent]))
    return results.pop() if len(results) == 1 else UNDECIDED


@derived("handoff", "held_as_long", result="boolean", lenient=(
    "prefill.connector.abort_timeout_s", "decode.connector.abort_timeout_s"))  # fmt: skip
def held_as_long(prefill__connector__abort_timeout_s: Value, decode__connector__abort_timeout_s: Value) -> Truth:
    """Whether prefill holds blocks at least as long as decode waits for them, but for the minute that decode adds."""
    ours, theirs = prefill__connector__abort_timeout_s, decode__connector__abort_timeout_s
    if ours is NONE or theirs is NONE or not (is_number(ours) and is_number(theirs)):
        return True if equal(ours, theirs) is True else UNDECIDED
    return ordered(">=", ours, theirs)
