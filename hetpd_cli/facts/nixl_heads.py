"""Layouts, ranks and heads: what each side of a NIXL handshake takes of the other's."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from hetpd_cli.facts.nixl import check, lifted, replicated, since
from hetpd_cli.facts.truth import all_true, any_true, equal, negate, ordered, within
from hetpd_cli.facts.values import NONE, UNDECIDED, Truth, Unknown, Value

if TYPE_CHECKING:
    Side = dict[str, Any]

_HEADS = "model.attention.kv_heads"
_TP = "parallelism.tp"
_LAYOUT = "kv.layout"

# -- layouts ---------------------------------------------------------------------------------------------------

_ORDERED = ("engine.version", _LAYOUT, "connector.permute_local_kv", "connector.buffer_device", "kv.in_groups")


def _layout(side: Side) -> Value:
    """Return the layout that a side shows: a host buffer of an NHD cache is HND where permuting is set."""
    in_host = within(side["connector.buffer_device"], ("host",))
    turned = all_true([in_host, side["connector.permute_local_kv"], equal(side[_LAYOUT], "NHD")])
    if turned is True:
        return "HND"
    layout: Value = side[_LAYOUT]
    return layout if turned is False else Unknown("whether a host buffer turns the layout is not known", ("HND", "NHD"))


def _permutes(local: Side, remote: Side) -> Truth:
    """Tell whether ``local`` permutes what it receives: HND, by its setting, KV not in groups; from 0.32 on to NHD."""
    apart = negate(equal(_layout(local), _layout(remote)))
    to_nhd = any_true([negate(since(local["engine.version"], "0.32")), equal(_layout(local), "NHD")])
    whole = any_true([negate(local["kv.in_groups"]), negate(since(local["engine.version"], "0.18"))])
    return all_true([local["connector.permute_local_kv"], apart, equal(_layout(remote), "HND"), to_nhd, whole])


@check("takes_layouts", _ORDERED, ("latent_kv",))
def takes_layouts(local: Side, remote: Side) -> Truth:
    """Whether each side that checks takes the other's layout: its own, or HND that it permutes; any of a latent."""
    return any_true([local["latent_kv"], equal(_layout(local), _layout(remote)), _permutes(local, remote)])


_BLOCK_CONTIGUOUS = ("HND", "BLHNC")
"""Layouts in which the heads of a block are one piece each (0.33: KVCacheLayout.is_block_contiguous)."""


@check("takes_head_order", (*_ORDERED, _TP, _HEADS), ("latent_kv",))
def takes_head_order(local: Side, remote: Side) -> Truth:
    """Whether the heads of a block are in one piece, or nobody takes a part of them.

    A part is taken where TP sizes differ and the remote holds no copies. Source: "requires contiguous heads", 0.20 on.
    """
    contiguous = within(_layout(local), _BLOCK_CONTIGUOUS)
    return any_true(
        [
            local["latent_kv"],
            equal(local[_TP], remote[_TP]),
            replicated(local, remote),
            contiguous,
            _permutes(local, remote),
        ]
    )


_PACKED: Final = "BLHNC"
"""Layout in which one row holds a block of every layer."""


def _packs(side: Side) -> Truth:
    """Tell whether a side registers whole rows of a latent (from 0.33 on); a layout left to vLLM has no such rows."""
    layout = side[_LAYOUT]
    packed: Truth = False if isinstance(layout, Unknown) and layout.left else equal(layout, _PACKED)
    return all_true([side["latent_kv"], since(side["engine.version"], "0.33"), packed])


@check("packs_rows_alike", ("engine.version", _LAYOUT, "kv.kernel_block_size"), ("latent_kv",))
def packs_rows_alike(local: Side, remote: Side) -> Truth:
    """Whether the rows of a latent that hold a block of every layer are the same on the other side.

    A side that registers whole rows takes only such rows, with pages of one length. Source: vLLM 0.33, base_worker.py,
    add_remote_agent, packed_member_layouts.
    """
    alike = [equal(local[name], remote[name]) for name in (_LAYOUT, "kv.kernel_block_size")]
    return any_true([negate(_packs(local)), all_true(alike)])


# -- ranks and heads -------------------------------------------------------------------------------------------


@check("takes_tp_sizes", ("engine.version", _TP, "model.keeps_state"))
def takes_tp_sizes(local: Side, remote: Side) -> Truth:
    """Whether unequal TP sizes are taken: before 0.14 no remote with more ranks, in 0.18 and 0.19 none of hybrids."""
    version = local["engine.version"]
    more = ordered(">", remote[_TP], local[_TP])
    hybrid = all_true([since(version, "0.18"), negate(since(version, "0.20")), local["model.keeps_state"]])
    return any_true(
        [equal(local[_TP], remote[_TP]), all_true([any_true([since(version, "0.14"), negate(more)]), negate(hybrid)])]
    )


@check("takes_copied_heads", ("engine.version", _TP, _HEADS, "model.keeps_state"), ("latent_kv",))
def takes_copied_heads(local: Side, remote: Side) -> Truth:
    """Whether no remote with more ranks than its reader holds copies of KV heads.

    Models with state layers are exempt from 0.20 on, a latent from 0.21 on; before, a latent is judged by the KV
    heads that its config.json states. Before 0.14 a remote with more ranks is refused in any case (`takes_tp_sizes`).
    """
    version = local["engine.version"]
    more = ordered(">", remote[_TP], local[_TP])
    latent = local["latent_kv"]
    exempt = [
        negate(since(version, "0.14")),
        all_true([since(version, "0.21"), latent]),
        all_true([since(version, "0.20"), local["model.keeps_state"]]),
    ]
    return any_true([*exempt, negate(more), negate(replicated(local, remote))])


def _heads(heads: int, ranks: int) -> int:
    return max(1, heads // ranks)


@check("keeps_heads_whole", (_TP, _HEADS), ("latent_kv",))
def keeps_heads_whole(local: Side, remote: Side) -> Truth:
    """Whether a rank of each side holds equally many KV heads, max(1, heads / TP), or the KV is a latent."""
    one = lifted(lambda heads, ours, theirs: _heads(heads, ours) == _heads(heads, theirs),
                 local[_HEADS], local[_TP], remote[_TP])  # fmt: skip
    return any_true([local["latent_kv"], equal(local[_TP], remote[_TP]), one])


@check("takes_nvfp4_heads", (_TP, _HEADS, "kv.dtype"), ("latent_kv",))
def takes_nvfp4_heads(local: Side, remote: Side) -> Truth:
    """Whether each side that checks has no NVFP4 pages, or its ranks hold as many KV heads as the other's.

    Source: vLLM 0.33, _validate_remote_agent_handshake, "not supported for NVFP4 KV cache": it asks its own pages only.
    """
    return any_true([negate(equal(local["kv.dtype"], "nvfp4")), keeps_heads_whole(local, remote)])


_PROCESSED = ("engine.version", "engine.attention_backend", "kv.in_groups")


@check("takes_attention_backend", _PROCESSED)
def takes_attention_backend(local: Side, remote: Side) -> Truth:
    """Whether no side that checks has to put the other's KV in the order of CPU_ATTN while its KV is in groups.

    Source: vLLM 0.20 to 0.33, _validate_remote_agent_handshake, "heterogeneous attn post process".
    """
    backends = [_upper(side["engine.attention_backend"]) for side in (local, remote)]
    reordered = all_true([equal(backends[0], "CPU_ATTN"), negate(equal(*backends))])
    return negate(all_true([since(local["engine.version"], "0.20"), local["kv.in_groups"], reordered]))


def _upper(word: Value) -> Value:
    return word.upper() if isinstance(word, str) else word


_DRAFT = ("speculative.kv_heads", "speculative.keeps_kv", "model.keeps_state", _TP)


def _sharded(local: Side) -> Truth:
    """Tell whether a draft has heads of KV beside a latent (0.33: `_head_sharded_draft_regions`)."""
    heads = local["speculative.kv_heads"]
    with_heads = False if heads is NONE or heads == 0 else ordered(">", heads, 0)
    drafts = all_true([local["speculative.keeps_kv"], with_heads])
    return all_true([local["latent_kv"], negate(local["model.keeps_state"]), drafts])


@check("takes_draft_ranks", (*_DRAFT, "parallelism.dcp"), ("latent_kv",))
def takes_draft_ranks(local: Side, remote: Side) -> Truth:
    """Whether the ranks can share out a draft with heads beside a latent: no remote with more ranks, no DCP."""
    fits = [
        negate(ordered(">", remote[_TP], local[_TP])),
        equal(local["parallelism.dcp"], 1),
        equal(remote["parallelism.dcp"], 1),
    ]
    return any_true([negate(_sharded(local)), all_true(fits)])


@check("takes_draft_layouts", (*_DRAFT, _LAYOUT), ("latent_kv",))
def takes_draft_layouts(local: Side, remote: Side) -> Truth:
    """Whether a draft's heads beside a latent stay with their ranks, or both sides have them in one piece."""
    whole = lifted(lambda h, a, b: _heads(h, a) == _heads(h, b), local["speculative.kv_heads"], local[_TP], remote[_TP])
    in_pieces = all_true([equal(local[_LAYOUT], remote[_LAYOUT]), within(local[_LAYOUT], _BLOCK_CONTIGUOUS)])
    return any_true([negate(_sharded(local)), equal(local[_TP], remote[_TP]), whole, in_pieces])


# -- lengths of blocks -----------------------------------------------------------------------------------------

_ELEMENT_BYTES = {
    "fp32": Fraction(4),
    "bf16": Fraction(2),
    "fp16": Fraction(2),
    "fp8_e4m3": Fraction(1),
    "fp8_e4m3fnuz": Fraction(1),
    "fp8_e5m2": Fraction(1),
    "fp8": Fraction(1),
    "int8": Fraction(1),
    "nvfp4": Fraction(9, 16),
}
"""Bytes of an element with the scales that lie within the block; nvfp4 has one byte of scale for 16 elements."""


@check("takes_layers", ("model.layers",))
def takes_layers(local: Side, remote: Side) -> Truth:
    """Whether both sides register as many layers; where neither side's number is known, they do not differ."""
    return _of_one_name(local["model.layers"], remote["model.layers"])


_LENGTH = ("kv.dtype", "model.attention.head_dim", _HEADS, _TP, "model.keeps_state")


@check("takes_block_bytes", _LENGTH, ("latent_kv",))
def takes_block_bytes(local: Side, remote: Side) -> Truth:
    """Whether a token is as long as the other side expects: element x head size x heads of a rank, max(1, heads / TP).

    What is twice in one factor and half in another is as long. Not compared where layers keep a state.
    """
    widths = [_bytes(side["kv.dtype"]) for side in (local, remote)]
    sizes = [side["model.attention.head_dim"] for side in (local, remote)]
    counts = [side[_HEADS] for side in (local, remote)]
    width = True if equal(local["kv.dtype"], remote["kv.dtype"]) is True else equal(*widths)
    size = _of_one_name(*sizes)
    shared = lifted(lambda ours, theirs, tp: _heads(ours, tp) == _heads(theirs, tp), *counts, remote[_TP])
    heads = any_true([local["latent_kv"], equal(*counts), shared])
    taken = all_true([width, size, heads])
    if taken is False and [width, size, heads].count(True) < 2:
        taken = _one_product(widths, sizes, counts, remote[_TP], local["latent_kv"])
    return any_true([local["model.keeps_state"], taken])


def _one_product(widths: list[Any], sizes: list[Value], counts: list[Value], tp: Value, latent: Value) -> Truth:
    """Compare two products whose factors differ."""
    if not isinstance(latent, bool) or any(isinstance(one, Unknown) for one in (*widths, *sizes, *counts, tp)):
        return UNDECIDED
    ours, theirs = (
        width * size * (1 if latent else _heads(count, tp))  # type: ignore[arg-type]
        for width, size, count in zip(widths, sizes, counts, strict=True)
    )
    return bool(ours == theirs)


_DRAFTED = (
    "kv.dtype",
    "kv.dtype_word",
    "model.keeps_state",
    "speculative.keeps_kv",
    "speculative.kv_dtype_word",
)


@check("takes_draft_bytes", _DRAFTED)
def takes_draft_bytes(local: Side, remote: Side) -> Truth:
    """Whether two drafts' KV has elements as wide, or a side has no draft; not compared where layers keep a state."""
    keeps = [side["speculative.keeps_kv"] for side in (local, remote)]
    words = [_draft_word(side) for side in (local, remote)]
    alike = True if equal(*words) is True else equal(*(_draft_bytes(side) for side in (local, remote)))
    return any_true([local["model.keeps_state"], negate(all_true(keeps)), alike])


def _draft_word(side: Side) -> Value:
    own: Value = side["speculative.kv_dtype_word" if side["speculative.kv_dtype_word"] is not NONE else "kv.dtype_word"]
    return own


def _draft_bytes(side: Side) -> Any:
    """Return the bytes of an element of a draft's KV: the model's, where it has the model's word."""
    own = side["speculative.kv_dtype_word"]
    if own is NONE or equal(own, side["kv.dtype_word"]) is True:
        return _bytes(side["kv.dtype"])
    width = _ELEMENT_BYTES.get(_WORDS.get(own, own)) if isinstance(own, str) else None
    return UNDECIDED if width is None else width


_WORDS = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "half": "fp16"}


def _of_one_name(ours: Value, theirs: Value) -> Truth:
    """Compare two numbers; where neither side knows one, they do not differ."""
    if isinstance(ours, Unknown) and isinstance(theirs, Unknown):
        return True
    return equal(ours, theirs)


def _bytes(dtype: Value) -> Any:
    if isinstance(dtype, str) and dtype in _ELEMENT_BYTES:
        return _ELEMENT_BYTES[dtype]
    return dtype if isinstance(dtype, Unknown) and dtype.candidates is None else Unknown("bytes of an element")


@check("one_region_list", ("speculative.keeps_kv", "connector.crosses_layers"))
def one_region_list(local: Side, remote: Side) -> Truth:
    """Whether a draft with KV of its own, or one block for all layers, makes both sides' regions equally many."""
    crossed = equal(local["connector.crosses_layers"], remote["connector.crosses_layers"])
    return all_true([equal(local["speculative.keeps_kv"], remote["speculative.keeps_kv"]), crossed])
