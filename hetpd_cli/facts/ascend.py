"""Facts about vllm-ascend's Mooncake connectors: what they are told, and what they take of sizes, stages and blocks.

MooncakeConnectorV1 reads (mode pull), MooncakeLayerwiseConnector writes layer by layer (mode push),
MooncakeHybridConnector reads KV of several kinds. Source: vllm-ascend 0.11.0, 0.12.0rc1 to 0.25.1rc1 and 182b75ea,
kv_p2p/mooncake_connector.py, mooncake_layerwise_connector.py, mooncake_hybrid_connector.py (up to 0.13:
distributed/mooncake_connector.py, mooncake_layerwise_connector.py) and ascend_config.py.
"""

from __future__ import annotations

import re
from typing import Final

from hetpd_cli.facts.mooncake import FIT, MISREAD, REFUSED, agreed
from hetpd_cli.facts.registry import Derivation, add, derived
from hetpd_cli.facts.representation import LATENT_KINDS
from hetpd_cli.facts.truth import all_true, any_true, equal, negate, ordered, within
from hetpd_cli.facts.values import NONE, UNDECIDED, Truth, Unknown, Value
from hetpd_cli.tables import row
from hetpd_cli.versions import is_version, version_in

_HYBRID_CLASS: Final = "MooncakeHybridConnector"
_BOTH_SIDES = ("prefill.engine.name", "decode.engine.name", "prefill.connector.name", "decode.connector.name")

_PLAIN = re.compile(r"v?[0-9.]+")
_CANDIDATE = re.compile(r"rc[0-9]+")


def since(version: Value, spec: str) -> Truth:
    """Tell whether a release lies in a range; undecided for one that is not known."""
    if not isinstance(version, str) or not is_version(version):
        return UNDECIDED
    # A plain release lies on one side of a release and of its candidates, and is compared at once.
    return version_in(version, _CANDIDATE.sub("", spec) if _PLAIN.fullmatch(version) else spec)


@derived("handoff", "ascend_mooncake", result="boolean", lenient=_BOTH_SIDES)
def ascend_mooncake(
    prefill__engine__name: Value,
    decode__engine__name: Value,
    prefill__connector__name: Value,
    decode__connector__name: Value,
) -> Truth:
    """Whether a Mooncake connector of vllm-ascend carries the KV on both sides."""
    engines = [equal(name, "vllm-ascend") for name in (prefill__engine__name, decode__engine__name)]
    return all_true(
        [*engines, *(equal(name, "mooncake") for name in (prefill__connector__name, decode__connector__name))]
    )


# -- what it is told ---------------------------------------------------------------------------------------------

_TP_TOLD = (
    "prefill.engine.version",
    "prefill.connector.mode",
    "prefill.model.attention.kind",
    "prefill.parallelism.tp",
    "decode.parallelism.tp",
    *(f"{side}.connector.extra.{stage}_tp_size" for side in ("prefill", "decode") for stage in ("prefill", "decode")),
)
_REST_TOLD = (
    "prefill.engine.version",
    "prefill.connector.mode",
    "prefill.parallelism.pp",
    "decode.connector.extra.prefill_pp_size",
    *(f"{side}.connector.extra.decode_pp_size" for side in ("prefill", "decode")),
    *(f"{side}.connector.extra.{stage}_dp_size" for side in ("prefill", "decode") for stage in ("prefill", "decode")),
)


def _whole(value: Value) -> int | None:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None


def _says(word: Value, size: Value) -> Truth:
    """Tell whether a size that is told is the one that a pool has."""
    if isinstance(word, Unknown):
        return UNDECIDED
    number = _whole(word)
    return number is not None and equal(number, size)


def _tp_told(*values: Value) -> Truth:
    """Tell whether the TP sizes that vllm-ascend's Mooncake is told are those of the pools.

    A reader asserts on both sides that they are there; its map of ranks rests on them, and nothing compares them.
    So did a writer up to 0.14; from then on they give the ratio by which heads are cut, 1 without them, none of
    a latent.
    """
    version, mode, kind, prefill_tp, decode_tp, *words = values
    told = all_true(_says(word, size) for word, size in zip(words, (prefill_tp, decode_tp) * 2, strict=True))
    silent = all_true(equal(word, NONE) for word in words)
    free = any_true([within(kind, LATENT_KINDS), all_true([silent, equal(prefill_tp, decode_tp)])])
    return _by_mode(mode, told, any_true([all_true([since(version, ">=0.15.0rc1"), free]), told]))


def _rest_told(*values: Value) -> Truth:
    """Tell whether vllm-ascend's Mooncake is told DP sizes, one stage of decode, and the stages that prefill has.

    On both sides a reader, and up to 0.14 a writer, asserts that DP sizes of both stages are there, and a reader that
    decode is said to have one pipeline stage; decode uses the stages of prefill that it is told of.
    """
    version, mode, prefill_pp, told_stages, *rest = values
    one_stage = [any_true([equal(word, NONE), equal(word, "1")]) for word in rest[:2]]
    given = all_true(UNDECIDED if isinstance(word, Unknown) else word is not NONE for word in rest[2:])
    mapped = _says("1" if told_stages is NONE else told_stages, prefill_pp)
    reads = all_true([given, *one_stage, mapped])
    return _by_mode(mode, reads, any_true([since(version, ">=0.15.0rc1"), given]))


def _by_mode(mode: Value, reads: Truth, writes: Truth) -> Truth:
    """Return what holds of the mode; of one that is not known, what holds of both."""
    if mode == "pull":
        return reads
    if mode == "push":
        return writes
    return reads if reads is writes else UNDECIDED


for _path, _inputs, _function, _description in (
    ("ascend_tp_told", _TP_TOLD, _tp_told, "Whether vllm-ascend's Mooncake is told the TP sizes of both pools."),
    (
        "ascend_rest_told",
        _REST_TOLD,
        _rest_told,
        "Whether vllm-ascend's Mooncake is told DP sizes, one stage of decode, and the stages that prefill has.",
    ),
):
    add(Derivation("handoff", _path, None, _inputs, frozenset(_inputs), _function, _description, "boolean"))


@derived("handoff", "ascend_sizes_told", result="boolean", lenient=("ascend_tp_told", "ascend_rest_told"))
def ascend_sizes_told(ascend_tp_told: Value, ascend_rest_told: Value) -> Truth:
    """Whether vllm-ascend's Mooncake is told the sizes that prefill and decode have."""
    return all_true([ascend_tp_told, ascend_rest_told])


# -- what it takes -----------------------------------------------------------------------------------------------

_TP = (
    "prefill.engine.version",
    "prefill.connector.mode",
    "prefill.connector.class_name",
    "prefill.model.attention.kind",
    "prefill.model.hybrid",
    "prefill.parallelism.tp",
    "decode.parallelism.tp",
    "prefill.connector.extra.prefill_tp_size",
)


def _tp_taken(*values: Value) -> Truth:
    """Tell whether vllm-ascend's Mooncake takes the TP sizes of both stages, whole ratios given.

    A reader wants no more ranks on decode than on prefill (ValueError at start), and of recurrent layers in
    MooncakeHybridConnector as many. So did a writer up to 0.14; from then on the ratio of heads, which is not made of a
    latent or without the sizes, is refused (AssertionError at start), and recurrent layers are at the first request
    (from 0.17 on).
    """
    version, mode, class_name, kind, hybrid, prefill_tp, decode_tp, told = values
    fewer = ordered("<", prefill_tp, decode_tp)
    alike = any_true([negate(equal(class_name, _HYBRID_CLASS)), negate(hybrid), equal(prefill_tp, decode_tp)])
    reads = all_true([negate(fewer), alike])
    cut = all_true([negate(within(kind, LATENT_KINDS)), negate(equal(told, NONE))])
    checks = [since(version, "<0.15.0rc1"), cut, all_true([hybrid, since(version, ">=0.17.0rc1")])]
    return _by_mode(mode, reads, any_true([negate(fewer), negate(any_true(checks))]))


add(
    Derivation(
        "handoff",
        "ascend_tp_taken",
        None,
        _TP,
        frozenset(_TP),
        _tp_taken,
        "Whether vllm-ascend's Mooncake takes the TP sizes of prefill and decode, whole ratios given.",
        "boolean",
    )
)

_SPLIT = (
    "engine.version",
    "connector.mode",
    "connector.class_name",
    "role",
    "parallelism.pp",
    "parallelism.cp",
    "parallelism.dcp",
)


def _split_taken(*values: Value) -> Truth:
    """Tell whether vllm-ascend's Mooncake takes the stages and the context parallelism of a pool.

    A reader (from 0.12 on) takes no stages on decode, and on no side stages together with prefill context parallelism;
    MooncakeHybridConnector takes no context parallelism. A writer (from 0.17 on) takes no prefill context parallelism
    on decode.
    """
    version, mode, class_name, role, *sizes = values
    one_stage, one_cp, one_dcp = (equal(size, 1) for size in sizes)
    prefill = negate(equal(role, "decode"))
    whole = any_true([negate(equal(class_name, _HYBRID_CLASS)), all_true([one_cp, one_dcp])])
    taken = all_true([any_true([prefill, one_stage]), any_true([one_stage, one_cp]), whole])
    reads = any_true([negate(since(version, ">=0.12.0rc1")), taken])
    writes = any_true([negate(since(version, ">=0.17.0rc1")), prefill, one_cp])
    return _by_mode(mode, reads, writes)


add(
    Derivation(
        "pool",
        "connector.ascend_takes_split",
        None,
        _SPLIT,
        frozenset(_SPLIT),
        _split_taken,
        "Whether vllm-ascend's Mooncake takes the pipeline stages and the context parallelism of the pool.",
        "boolean",
    )
)

_BLOCKS = (
    "prefill.engine.version",
    "prefill.connector.mode",
    "prefill.connector.class_name",
    "prefill.kv.block_size",
    "decode.kv.block_size",
    *(f"{side}.parallelism.{axis}" for side in ("prefill", "decode") for axis in ("cp", "dcp")),
)


def _blocks(*values: Value) -> Value:
    """Tell what vllm-ascend's Mooncake makes of blocks of two sizes: `fit`, `refused` or `misread`.

    Up to 0.22 a reader, and up to 0.16 a writer, pairs blocks by their place, whatever they hold. A later reader takes
    sizes of which one divides the other, with context parallelism on decode only prefill's smaller one, if prefill is
    split further by a multiple of their ratio. A later writer takes a larger block of decode that is a multiple, but no
    context parallelism.
    """
    version, mode, class_name, ours, theirs, *parallel = values
    if equal(ours, theirs) is True:
        return FIT
    unknown = Unknown("what vllm-ascend makes of these blocks is not known", (FIT, REFUSED, MISREAD))
    if not isinstance(ours, int) or not isinstance(theirs, int) or class_name == _HYBRID_CLASS:
        return unknown
    if not isinstance(version, str) or not is_version(version) or mode not in {"pull", "push"}:
        return unknown
    if since(version, "<0.23.0rc1" if mode == "pull" else "<0.17.0rc1") is True:
        return MISREAD
    splits = [size for size in parallel if isinstance(size, int)]
    if len(splits) < len(parallel):
        return agreed({FIT, REFUSED})
    fits = _reader_fits if mode == "pull" else _writer_fits
    return FIT if fits(ours, theirs, splits[0] * splits[1], splits[2] * splits[3]) else REFUSED


def _reader_fits(prefill: int, decode: int, prefill_split: int, decode_split: int) -> bool:
    if decode_split == 1:
        return decode % prefill == 0 or prefill % decode == 0
    return decode % prefill == 0 and (prefill_split // decode_split) % (decode // prefill) == 0


def _writer_fits(prefill: int, decode: int, prefill_split: int, decode_split: int) -> bool:
    return decode > prefill and decode % prefill == 0 and prefill_split * decode_split == 1


add(
    Derivation(
        "handoff",
        "ascend_blocks",
        None,
        _BLOCKS,
        frozenset(_BLOCKS),
        _blocks,
        "What vllm-ascend's Mooncake makes of the blocks of both sides: `fit`, `refused` or `misread`.",
        "text",
    )
)

# -- ports -------------------------------------------------------------------------------------------------------


@derived("pool", "connector.kv_last_port", unit="port", result="integer", lenient=("hosts", "connector.mode"))
def kv_last_port(
    connector__kv_port: int,
    connector__mode: Value,
    hosts: Value,
    parallelism__tp: int,
    parallelism__pp: int,
    parallelism__dp: int,
    parallelism__cp: int,
) -> Value:
    """Last port on which ranks of a pool of vllm-ascend wait for the other side: one port a rank from kv_port on.

    kv_port + rank of DP x TP x PP x PCP + rank within; a writer's decode pool leaves out the stages.
    """
    if isinstance(hosts, tuple) and len(hosts) > 1:
        return Unknown("which ranks run on which host is not known")
    stages = 1 if connector__mode == "push" else parallelism__pp
    return connector__kv_port + parallelism__dp * parallelism__tp * stages * parallelism__cp - 1


@derived("pool", "connector.waits_on_kv_port", result="boolean", lenient=("connector.mode",))
def waits_on_kv_port(engine__name: str, connector__name: str, connector__mode: Value, role: str) -> Truth:
    """Whether ranks wait on kv_port: those of prefill where decode reads, those of decode where prefill writes."""
    if engine__name != "vllm-ascend" or connector__name != "mooncake":
        return False
    return equal(connector__mode, "pull" if role == "prefill" else "push")


_GENERATIONS = (("ascend-910b", "A2"), ("ascend-910c", "A3"))


@derived("pool", "accelerator.npu_generation")
def npu_generation(accelerator: str) -> Value:
    """Generation of an Ascend NPU, A2 or A3, by its row in the table of accelerators."""
    known = row("accelerators", accelerator)
    for prefix, name in _GENERATIONS:
        if known is not None and str(known["id"]).startswith(prefix):
            return name
    return Unknown("the device is no Ascend NPU of a known generation")
