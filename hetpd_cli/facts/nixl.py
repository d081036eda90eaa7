"""What two sides of vLLM's NIXL connector have to agree on: who checks whom, and what each check takes.

A check is a function of the side that begins the handshake (``local``) and the one that answers (``remote``). Decode
begins one always; prefill begins one too where it pushes, or where it reads from decode (bidirectional). Read in the
sources of vLLM 0.11.2 to 0.33: kv_connector/v1/nixl (before 0.20: v1/nixl_connector.py), kv_connector/utils.py.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from hetpd_cli.facts.registry import Derivation, add, derived
from hetpd_cli.facts.truth import all_true, any_true, equal, negate, ordered, within
from hetpd_cli.facts.values import NONE, UNDECIDED, Truth, Unknown, Value
from hetpd_cli.tables import covers
from hetpd_cli.versions import is_version

if TYPE_CHECKING:
    from collections.abc import Callable

    Side = dict[str, Any]
    Check = Callable[[Side, Side], Truth]

_MAX_CHOICES = 64

# -- values that may be unknown --------------------------------------------------------------------------------


def since(version: Value, release: str) -> Truth:
    """Tell whether ``version`` is ``release`` or a later one."""
    if isinstance(version, str) and is_version(version):
        return covers(f">={release}", version)
    return Unknown("the engine version is not known")


def lifted(function: Callable[..., bool], *values: Value) -> Truth:
    """Apply ``function`` to whole numbers, for all joint choices of those that are unknown."""
    found: list[tuple[Any, ...]] = []
    places: dict[object, int] = {}
    order: list[int] = []
    for value in values:
        key: object = (value.identity if isinstance(value, Unknown) else None) or len(order)
        if key not in places:
            places[key] = len(found)
            found.append((value.candidates or (None,)) if isinstance(value, Unknown) else (value,))
        order.append(places[key])
    results: set[bool] = set()
    for count, choice in enumerate(product(*found)):
        numbers = [choice[index] for index in order]
        if count >= _MAX_CHOICES or not all(isinstance(one, int) for one in numbers):
            return UNDECIDED
        results.add(function(*numbers))
    return results.pop() if len(results) == 1 else UNDECIDED


# -- a boundary of NIXL, and who checks it ---------------------------------------------------------------------

_NAMES = ("prefill.connector.name", "decode.connector.name", "prefill.engine.name", "decode.engine.name")


@derived("handoff", "nixl", result="boolean", lenient=_NAMES)
def nixl(
    prefill__connector__name: Value,
    decode__connector__name: Value,
    prefill__engine__name: Value,
    decode__engine__name: Value,
) -> Truth:
    """Whether vLLM's NIXL connector joins the two sides."""
    return all_true(
        [
            equal(prefill__connector__name, "nixl"),
            equal(decode__connector__name, "nixl"),
            equal(prefill__engine__name, "vllm"),
            equal(decode__engine__name, "vllm"),
        ]
    )


@derived(
    "handoff",
    "prefill_reads",
    result="boolean",
    lenient=("prefill.connector.mode", "prefill.connector.bidirectional", "decode.connector.bidirectional"),
)
def prefill_reads(
    prefill__connector__mode: Value, prefill__connector__bidirectional: Value, decode__connector__bidirectional: Value
) -> Truth:
    """Whether prefill reads the KV of earlier turns from decode: pull, and bidirectional on both sides."""
    both = all_true([prefill__connector__bidirectional, decode__connector__bidirectional])
    return all_true([negate(equal(prefill__connector__mode, "push")), both])


@derived("handoff", "prefill_checks", result="boolean", lenient=("prefill_reads", "prefill.connector.mode"))
def prefill_checks(prefill_reads: Value, prefill__connector__mode: Value) -> Truth:
    """Whether prefill begins a handshake too, so that it checks decode: it pushes, or reads earlier turns."""
    return any_true([equal(prefill__connector__mode, "push"), prefill_reads])


_DECODE_CHECKS = ("decode.connector.mode", "prefill.parallelism.pp", "decode.engine.version")


@derived("handoff", "decode_checks", result="boolean", lenient=_DECODE_CHECKS)
def decode_checks(
    decode__connector__mode: Value, prefill__parallelism__pp: Value, decode__engine__version: Value
) -> Truth:
    """Whether decode compares layouts and sizes with prefill's: not where it is pushed to by stages of a pipeline.

    From 0.26 on a pushed decode takes the agents of such a prefill for notifications only. Its handshake for heartbeats
    is a full one otherwise. Source: nixl/push_worker.py; base_worker.py, `_send_heartbeats` (0.26 to 0.33).
    """
    pushed = all_true(
        [
            equal(decode__connector__mode, "push"),
            negate(equal(prefill__parallelism__pp, 1)),
            since(decode__engine__version, "0.26"),
        ]
    )
    return negate(pushed)


_ENFORCED = (
    "prefill_checks",
    "prefill.connector.enforce_handshake_compat",
    "decode.connector.enforce_handshake_compat",
)


@derived("handoff", "hash_enforced", result="boolean", lenient=_ENFORCED)
def hash_enforced(
    prefill_checks: Value,
    prefill__connector__enforce_handshake_compat: Value,
    decode__connector__enforce_handshake_compat: Value,
) -> Truth:
    """Whether a side that begins a handshake enforces the compatibility hash: decode, and prefill where it checks.

    Source: vLLM 0.13 to 0.33, `enforce_compat_hash`.
    """
    by_prefill = all_true([prefill_checks, prefill__connector__enforce_handshake_compat])
    return any_true([decode__connector__enforce_handshake_compat, by_prefill])


@derived("handoff", "hash_compared", result="boolean", lenient=("hash_enforced", "needs_equal_engine_version"))
def hash_compared(hash_enforced: Value, needs_equal_engine_version: Value) -> Truth:
    """Whether the handshake compares a hash, which holds the release among others, and refuses another one."""
    return all_true([hash_enforced, needs_equal_engine_version])


_EITHER_WAY = ("prefill_checks", "decode_checks")


def check(path: str, needs: tuple[str, ...], of_handoff: tuple[str, ...] = ()) -> Callable[[Check], Check]:
    """Register the decorated function as a check that every side that begins a handshake makes.

    It gets the facts ``needs`` of both sides, and those ``of_handoff`` with either.
    """

    def register(function: Check) -> Check:
        inputs = (
            *_EITHER_WAY,
            *of_handoff,
            *(f"prefill.{name}" for name in needs),
            *(f"decode.{name}" for name in needs),
        )

        def both(*values: Value) -> Truth:
            around = dict(zip(inputs, values, strict=True))
            shared = {name: around[name] for name in of_handoff}
            prefill, decode = (
                {**shared, **{name: around[f"{side}.{name}"] for name in needs}} for side in ("prefill", "decode")
            )
            return all_true(
                [
                    any_true([negate(around["decode_checks"]), function(decode, prefill)]),
                    any_true([negate(around["prefill_checks"]), function(prefill, decode)]),
                ]
            )

        description = (function.__doc__ or "").partition("\n\n")[0]
        add(Derivation("handoff", path, None, inputs, frozenset(inputs), both, description, "boolean"))
        return function

    return register


# -- facts of a pool -------------------------------------------------------------------------------------------


@derived("pool", "model.keeps_state", result="boolean", lenient=("model.hybrid", "model.state_space"))
def keeps_state(model__hybrid: Value, model__state_space: Value) -> Truth:
    """Whether the model has layers that keep a state instead of KV: Mamba, gated delta nets, linear attention."""
    if isinstance(model__state_space, str):
        return model__state_space != "none"
    return False if model__state_space is NONE else model__hybrid if isinstance(model__hybrid, bool) else UNDECIDED


_GROUPS = ("engine.hybrid_kv_manager", "model.grouped_kv")


@derived("pool", "kv.in_groups", result="boolean", lenient=_GROUPS)
def kv_in_groups(engine__hybrid_kv_manager: Value, model__grouped_kv: Value) -> Truth:
    """Whether the engine keeps KV of several kinds in groups: such a model, with the hybrid KV cache manager on.

    Source: `_is_hma_required` (vLLM 0.18 to 0.33).
    """
    return all_true([engine__hybrid_kv_manager, model__grouped_kv])


_KERNEL_SIZES = {
    "FLASHINFER": (16, 32, 64),
    "FLASHINFER_MLA": (32, 64),
    "TOKENSPEED_MLA": (32, 64),
    "FLASHMLA": (64,),
    "CUTLASS_MLA": (128,),
    "ROCM_AITER_FA": (16, 32),
    "TURBOQUANT": (16, 32, 64, 128),
    "HPC_ATTN": (64,),
    "CUTLASS_MSA": (128,),
    "TRITON_MSA": (128,),
}
"""Kernel block sizes of the backends that have a list of them (vLLM 0.20 to 0.33, get_supported_kernel_block_sizes)."""
_ANY_MULTIPLE = {
    "FLASH_ATTN": 16,
    "TRITON_ATTN": 16,
    "FLEX_ATTENTION": 16,
    "ROCM_ATTN": 16,
    "TRITON_MLA": 16,
    "FLASH_ATTN_MLA": 16,
    "ROCM_AITER_MLA": 1,
    "ROCM_AITER_TRITON_MLA": 1,
    "XPU_MLA_SPARSE": 1,
}
"""Backends whose kernels take blocks of any multiple of so many tokens: the engine's blocks are theirs."""
_BY_ANY_BACKEND = {16: (16,), 32: (32,), 64: (64, 32), 128: (128, 64), 256: (256, 128, 64)}
"""Kernel blocks that some backend takes for a block of the engine; 64 is cut to 32 by one of ROCm alone."""
_KERNEL_INPUTS = ("kv.block_size", "engine.attention_backend", "accelerator.platform")


@derived("pool", "kv.kernel_block_size", unit="token", result="integer", lenient=_KERNEL_INPUTS)
def kernel_block_size(kv__block_size: Value, engine__attention_backend: Value, accelerator__platform: Value) -> Value:
    """Tokens of the block that the attention kernel takes: the largest that it has and that divides the engine's.

    Source: vLLM 0.16 to 0.33, v1/worker/utils.py, select_common_block_size; what each backend has, by its class.
    """
    size, backend = kv__block_size, engine__attention_backend
    if not isinstance(size, int):
        return Unknown("not known without kv.block_size", None, _joint(size, backend))
    name = backend.upper() if isinstance(backend, str) else ""
    if name in _ANY_MULTIPLE and size % _ANY_MULTIPLE[name] == 0:
        return size
    sizes = [one for one in _KERNEL_SIZES.get(name, ()) if size % one == 0]
    if sizes and not (name == "FLASHINFER" and size > sizes[-1]):
        return max(sizes)
    known = _BY_ANY_BACKEND.get(size) or tuple(one for one in (size, 64, 32, 16) if size % one == 0)
    if accelerator__platform == "cuda" and size == known[0] and set(known) == {64, 32}:
        known = (64,)
    if len(known) == 1:
        return known[0]
    return Unknown("which blocks the attention backend takes is not known", known, _joint(size, backend))


def _joint(size: Value, backend: Value) -> str | None:
    """Return what names the kernel block of a size and a backend that may be unknown."""
    names = [value.identity if isinstance(value, Unknown) else repr(value) for value in (size, backend)]
    return None if None in names else f"kernel block of {names[0]} and {names[1]}"


# -- blocks ----------------------------------------------------------------------------------------------------

_HOST = ("host",)
_KERNEL = "kv.kernel_block_size"
_LATENT_STATE_SPLIT = 128
"""Up to so many parts of a block are paired for a latent with state layers (`_MAX_HYBRID_BLOCK_SPLIT`, 0.33)."""


def replicated(local: Side, remote: Side) -> Truth:
    """Tell whether the remote's ranks hold copies of KV heads: more ranks than heads, before 0.20 as many as well.

    Source: kv_connector/utils.py, `is_kv_replicated` (0.14 to 0.19: `tp_size // total_num_kv_heads >= 1`).
    """
    ranks, heads = remote["parallelism.tp"], local["model.attention.kv_heads"]
    as_many = all_true([negate(since(local["engine.version"], "0.20")), equal(ranks, heads)])
    return any_true([ordered(">", ranks, heads), as_many])


def _kernel_ratio(local: Side, remote: Side) -> Truth:
    return lifted(lambda ours, theirs: ours % theirs == 0, local[_KERNEL], remote[_KERNEL])


def _split_alike(local: Side, remote: Side) -> Truth:
    """Tell whether remote blocks are cut to a common size: a latent with state layers, pull, 0.33."""
    from math import gcd

    few = lifted(lambda a, b: max(a, b) // gcd(a, b) <= _LATENT_STATE_SPLIT, local[_KERNEL], remote[_KERNEL])
    pulled = negate(equal(local["connector.mode"], "push"))
    return all_true(
        [since(local["engine.version"], "0.33"), local["latent_kv"], local["model.keeps_state"], pulled, few]
    )


@check(
    "takes_kernel_blocks",
    (
        "engine.version",
        _KERNEL,
        "kv.in_groups",
        "connector.buffer_device",
        "connector.mode",
        "parallelism.tp",
        "model.keeps_state",
    ),
    ("latent_kv",),
)
def takes_kernel_blocks(local: Side, remote: Side) -> Truth:
    """Whether each side that checks takes the other's kernel blocks: equal ones, or its own a multiple of them.

    A multiple is not taken where the remote has more ranks (0.14 on; but of a latent or a model with state layers),
    with KV in groups (0.18 to 0.26), or in a host buffer (0.27 on).
    """
    version = local["engine.version"]
    more_ranks = ordered(">", remote["parallelism.tp"], local["parallelism.tp"])
    groups = all_true([since(version, "0.18"), negate(since(version, "0.27")), local["kv.in_groups"]])
    in_host = all_true([since(version, "0.27"), within(local["connector.buffer_device"], _HOST)])
    ratio = all_true(
        [
            since(version, "0.11.2"),
            any_true([_kernel_ratio(local, remote), _split_alike(local, remote)]),
            any_true([local["latent_kv"], local["model.keeps_state"], negate(more_ranks)]),
            negate(groups),
            negate(in_host),
        ]
    )
    return any_true([equal(local[_KERNEL], remote[_KERNEL]), ratio])


# -- where blocks land -----------------------------------------------------------------------------------------

_LANDING = ("engine.version", "kv.block_size", "model.keeps_state", "connector.mode")


def landing(path: str, *more: str) -> Callable[[Check], Check]:
    """Register the decorated function as a harm to the blocks that a reader gets from a source, in each direction."""

    def register(function: Check) -> Check:
        needs = (*_LANDING, *more)
        inputs = ("prefill_reads", *(f"{side}.{name}" for side in ("prefill", "decode") for name in needs))

        def both(*values: Value) -> Truth:
            around = dict(zip(inputs, values, strict=True))
            prefill, decode = ({name: around[f"{side}.{name}"] for name in needs} for side in ("prefill", "decode"))
            back = all_true([around["prefill_reads"], function(prefill, decode)])
            return any_true([function(decode, prefill), back])

        description = (function.__doc__ or "").partition("\n\n")[0]
        add(Derivation("handoff", path, None, inputs, frozenset(inputs), both, description, "boolean"))
        return function

    return register


def _divides(part: Value, whole: Value) -> Truth:
    same = equal(part, whole)
    return True if same is True else lifted(lambda one, other: other % one == 0, part, whole)


def _trimmed_in_front(local: Side) -> Truth:
    """Tell whether a push pairs blocks from the first one on (0.24 to 0.27)."""
    return all_true([equal(local["connector.mode"], "push"), negate(since(local["engine.version"], "0.28"))])


def _written_in_parts(reader: Side, source: Side) -> Truth:
    """Tell whether blocks are pushed in parts of the reader's kernel size: its list is clipped at the end (0.28 on).

    Only stages of a prefill are let do so; elsewhere decode checks too, and refuses smaller blocks than prefill's.
    """
    parts = lifted(lambda one, other: other > one and other % one == 0, reader[_KERNEL], source[_KERNEL])
    return all_true([equal(reader["connector.mode"], "push"), parts])


@landing("misplaces_blocks", _KERNEL)
def misplaces_blocks(reader: Side, source: Side) -> Truth:
    """Whether blocks land beside their place at some length of the prompt, without any prefix in a cache.

    Lists of kernel blocks are paired from their ends, and each side's list is rounded up to its own blocks: P for the
    source, D for the reader. They end at one token for every length N only if ceil(N/P) x P <= ceil(N/D) x D, where the
    rest is clipped or stops the step: if P divides D. Models with state layers are paired from the first block on.
    """
    apart = negate(_divides(source["kv.block_size"], reader["kv.block_size"]))
    paired = negate(any_true([_trimmed_in_front(reader), _written_in_parts(reader, source)]))
    return all_true([apart, negate(reader["model.keeps_state"]), paired])


@landing("stops_on_blocks", _KERNEL)
def stops_on_blocks(reader: Side, source: Side) -> Truth:
    """Whether an assertion stops the step at some length of the prompt: the reader's list is longer than the source's.

    ceil(N/D) x D > ceil(N/P) x P for some N, unless D divides P; where the reader's kernel block is a multiple of the
    source's, its list is clipped instead.
    """
    longer = negate(_divides(reader["kv.block_size"], source["kv.block_size"]))
    one_kernel = any_true([equal(reader[_KERNEL], source[_KERNEL]), _written_in_parts(reader, source)])
    return all_true([longer, one_kernel, negate(reader["model.keeps_state"]), negate(_trimmed_in_front(reader))])


@landing("misplaces_after_hit", _KERNEL, "engine.prefix_caching")
def misplaces_after_hit(reader: Side, source: Side) -> Truth:
    """Whether blocks land beside their place at some length of the prompt where the reader has a prefix cached.

    With c blocks of D tokens cached the pairs are right only if ceil(N/P) x P = ceil(N/D) x D: for every N if P = D.
    With state layers two ratios of logical to kernel blocks are refused, so that kernel blocks differ here. A push of
    0.24 to 0.27 pairs from the first block on, and so wrongly after any hit.
    """
    apart = negate(equal(reader["kv.block_size"], source["kv.block_size"]))
    paired = any_true([negate(reader["model.keeps_state"]), negate(equal(reader[_KERNEL], source[_KERNEL]))])
    trimmed = any_true([all_true([apart, paired]), _trimmed_in_front(reader)])
    return all_true([reader["engine.prefix_caching"], trimmed])
