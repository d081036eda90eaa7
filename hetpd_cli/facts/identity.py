"""Facts about what has to be one on both sides of a handoff: model, adapters, position, scales, engine settings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hetpd_cli.facts.defaults import BRINGS_KV_SCHEME
from hetpd_cli.facts.registry import Derivation, add, derived
from hetpd_cli.facts.representation import LATENT_KINDS, ability, by_connector
from hetpd_cli.facts.truth import all_true, any_true, equal, negate, within
from hetpd_cli.facts.values import NONE, Truth, Unknown, Value
from hetpd_cli.tables import row

if TYPE_CHECKING:
    from collections.abc import Callable

# -- the model -------------------------------------------------------------------------------------------------

_GEOMETRY = ("layers", "hidden", "attention.kv_heads", "attention.head_dim")
_MODEL = tuple(f"{side}.model.{path}" for path in ("id", *_GEOMETRY) for side in ("prefill", "decode"))


def _one_model(*values: Value) -> Truth:
    """Tell whether both sides serve one model. Two names may mean one: a local path, a mirror, a quantised checkpoint.

    Known to differ are two names with rows of their own in the model table, and two names of different geometry.
    """
    pairs = tuple(zip(values[::2], values[1::2], strict=True))
    one, other = pairs[0]
    if equal(one, other) is True:
        return True
    if isinstance(one, str) and isinstance(other, str):
        rows = (row("models", one), row("models", other))
        if rows[0] is not None and rows[1] is not None and rows[0] is not rows[1]:
            return False
        if any(equal(*pair) is False for pair in pairs[1:]):
            return False
    return Unknown("whether the two names mean one model is not known")


add(
    Derivation(
        "handoff",
        "one_model",
        None,
        _MODEL,
        frozenset(_MODEL),
        _one_model,
        "Whether both sides serve one model, under whatever names.",
        "boolean",
    )
)


_COMMIT = re.compile(r"(?=[0-9]*[a-f])[0-9a-f]{7,40}\Z")
"""A commit, whole or shortened; digits alone may be a tag that is a date."""


@derived(
    "handoff",
    "one_revision",
    result="boolean",
    lenient=("prefill.model.id", "decode.model.id", "prefill.model.revision", "decode.model.revision"),
)
def one_revision(
    prefill__model__id: Value,
    decode__model__id: Value,
    prefill__model__revision: Value,
    decode__model__revision: Value,
) -> Truth:
    """Whether both sides load one revision of one repository.

    Two commits differ; a branch or tag may be any commit, and commits of two repositories say nothing.
    """
    revisions = (prefill__model__revision, decode__model__revision)
    one_repository = equal(prefill__model__id, decode__model__id)
    if one_repository is True and equal(*revisions) is True:
        return True
    if one_repository is True and all(isinstance(name, str) and _COMMIT.match(name) for name in revisions):
        one, other = (str(name) for name in revisions)
        return one.startswith(other) or other.startswith(one)
    return Unknown("whether the two revisions are one is not known")


_ADAPTERS = ("prefill.model.adapters", "decode.model.adapters")


def _covers_adapters(ours: Value, *theirs: Value) -> Truth:
    """Tell whether some pool of ``theirs`` serves each adapter of ``ours``; an entry is a name, `name=path` or a path.

    One name for two paths is not known to be two adapters, nor is a path known to lack a name.
    """
    wanted = _entries(ours)
    if wanted == frozenset() or any(equal(ours, other) is True for other in theirs):
        return True
    sides = [_entries(other) for other in theirs]
    served = frozenset().union(*(side for side in sides if side is not None))
    if wanted is None or (None in sides and not wanted <= served):
        return Unknown("the adapters of a pool are not known")
    missing = {entry.partition("=")[0] for entry in wanted - served}
    names = {entry.partition("=")[0] for entry in served}
    if not missing:
        return True
    nameless = any("/" in name for name in names)
    if not names or (not nameless and any(name not in names and "/" not in name for name in missing)):
        return False
    return Unknown("whether the adapters of one name are one is not known")


def _entries(adapters: Value) -> frozenset[str] | None:
    if adapters is NONE:
        return frozenset()
    return frozenset(map(str, adapters)) if isinstance(adapters, tuple) else None


def _adapters(path: str, description: str, of_siblings: tuple[str, ...] = ()) -> None:
    lenient = frozenset(_ADAPTERS)
    add(Derivation("handoff", path, None, _ADAPTERS, lenient, _covers_adapters, description, "boolean", of_siblings))


_adapters("adapters_covered", "Whether decode serves every adapter that prefill serves.")
_adapters(
    "adapters_served",
    "Whether this decode pool, or another one that prefill hands over to, serves each adapter that prefill serves.",
    ("model.adapters",),
)


def _surely_one(one: Value, other: Value) -> Truth:
    """Tell whether two values of which one is unknown are surely the same: two spellings never make them differ."""
    return True if equal(one, other) is True else Unknown("a side is not known")


# -- position --------------------------------------------------------------------------------------------------

_ROPE = re.compile(r"([a-z][a-z0-9_]*)(?::(\d+(?:\.\d+)?))?\Z")
_ROPE_KINDS = {"none": "none", "default": "none", "linear": "linear", "dynamic": "dynamic", "yarn": "yarn",
               "llama3": "llama3", "longrope": "longrope", "su": "longrope"}  # fmt: skip
"""Kinds of RoPE scaling that are known to be different functions, by their spellings (Hugging Face rope_type)."""


def _rope(text: str) -> tuple[str, float | None] | None:
    match = _ROPE.match(text.strip().lower())
    if match is None or match[1] not in _ROPE_KINDS:
        return None
    return _ROPE_KINDS[match[1]], float(match[2]) if match[2] else None


@derived(
    "handoff",
    "one_rope_scaling",
    result="boolean",
    lenient=("prefill.model.position.rope_scaling", "decode.model.position.rope_scaling"),
)
def one_rope_scaling(
    prefill__model__position__rope_scaling: Value, decode__model__position__rope_scaling: Value
) -> Truth:
    """Whether both sides scale RoPE alike, by kind and factor (`yarn:4` is `yarn:4.0`)."""
    texts = (prefill__model__position__rope_scaling, decode__model__position__rope_scaling)
    if not isinstance(texts[0], str) or not isinstance(texts[1], str) or texts[0] == texts[1]:
        return _surely_one(*texts)
    one, other = _rope(texts[0]), _rope(texts[1])
    if one is None or other is None:
        return Unknown("what the RoPE scaling stands for is not known")
    if one[0] != other[0]:
        return False
    if one[0] == "none":
        return True
    if one[1] is None or other[1] is None:
        return Unknown("the factor of the RoPE scaling is not stated")
    return one[1] == other[1]


# -- the numbers of the KV -------------------------------------------------------------------------------------

_PLAIN = ("fp32", "bf16", "fp16")
_SCALED_INLINE = ("fp8_per_token_head", "int8_per_token_head", "int4_per_token_head", "fp8_ds_mla",
                  "nvfp4", "mxfp4", "mxfp8")  # fmt: skip
"""Element types whose scales lie within the block: a transfer of whole blocks takes them along."""
_LOW_BIT = ("int4", "int4_per_token_head", "nvfp4", "mxfp4", "fp4", "fp4_e2m1")


@derived("pool", "kv.quantised", result="boolean")
def kv_quantised(kv__dtype: str) -> bool:
    """Whether KV is kept in fewer bits than the model computes in, so that scales have a say."""
    return kv__dtype not in _PLAIN


@derived("pool", "kv.low_bit", result="boolean")
def kv_low_bit(kv__dtype: str) -> bool:
    """Whether an element of the KV has four bits."""
    return kv__dtype in _LOW_BIT


@derived("pool", "kv.scales_travel", result="boolean", lenient=("kv.scales", "kv.dtype"))
def scales_travel(kv__scales: Value, kv__dtype: Value) -> Truth:
    """Whether a reader of the blocks has their scales: there are none, the checkpoint or the block itself has them."""
    return any_true([negate(equal(kv__scales, "dynamic")), within(kv__dtype, (*_PLAIN, *_SCALED_INLINE))])


@derived("handoff", "one_rotation", result="boolean", lenient=("prefill.kv.rotation", "decode.kv.rotation"))
def one_rotation(prefill__kv__rotation: Value, decode__kv__rotation: Value) -> Truth:
    """Whether both sides rotate alike before quantising; letter case and signs between words say nothing."""
    return equal(_spelt(prefill__kv__rotation, _bare), _spelt(decode__kv__rotation, _bare))


def _spelt(value: Any, spelling: Callable[[str], Any]) -> Any:
    """Return ``value``, or what it can be, in one spelling."""
    if isinstance(value, Unknown) and value.candidates is not None:
        return Unknown(value.reason, tuple(_spelt(one, spelling) for one in value.candidates), value.identity)
    return spelling(value) if isinstance(value, str) else value


def _bare(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


@derived("pool", "kv.dtype_left_to_engine", result="boolean", lenient=("kv.dtype",))
def kv_dtype_left_to_engine(kv__dtype: Value) -> Truth:
    """Whether the engine chooses the element type of the KV and nobody knows what it chooses."""
    if not isinstance(kv__dtype, Unknown):
        return False
    return True if kv__dtype.left else Unknown("whether kv.dtype is set is not known")


_COMPUTES_IN = {"fp16": "fp16", "awq": "fp16", "bf16": "bf16", "fp8": "bf16"}
"""Type that a checkpoint computes, and so keeps KV, in by default: by its plain weights, or by the method that
quantised it (AWQ and FP8: paper, table 7)."""

_KV_DEFAULT = tuple(
    f"{side}.{path}"
    for path in ("engine.dtype", "model.dtype", "precision.method", "precision.weights")
    for side in ("prefill", "decode")
)


def _one_kv_default(*values: Value) -> Truth:
    """Tell whether a KV element type that is left to the engine rests on the same settings on both sides.

    It is that of the checkpoint's KV scheme if it has one, else the engine's --dtype, else the checkpoint's own.
    """
    engines, models, methods, weights = zip(values[::2], values[1::2], strict=True)
    engine, model = equal(*engines), equal(*models)
    set_alike = engine is True and isinstance(engines[0], str)
    if engine is False or (model is False and not set_alike):
        return False
    kinds = tuple(_checkpoint(*side) for side in zip(methods, weights, strict=True))
    if None not in kinds and kinds[0] != kinds[1]:
        in_two_types = {_COMPUTES_IN.get(str(kind)) for kind in kinds} == {"fp16", "bf16"}
        if any(BRINGS_KV_SCHEME.match(str(kind)) for kind in kinds) or (in_two_types and not set_alike):
            return False
    alike = (engine, model, equal(*methods), equal(*weights))
    return True if all(one is True for one in alike) else Unknown("what the two engines choose is not known")


def _checkpoint(method: Value, weights: Value) -> str | None:
    """Return the method by which a checkpoint is quantised, for plain weights their type; None if not known."""
    if weights in _PLAIN:
        return str(weights)
    return method.lower() if isinstance(method, str) else None


add(
    Derivation(
        "handoff",
        "one_kv_default",
        None,
        _KV_DEFAULT,
        frozenset(_KV_DEFAULT),
        _one_kv_default,
        "Whether a KV element type that is left to the engine rests on the same settings on both sides.",
        "boolean",
    )
)


@derived(
    "pool",
    "kv.head_copies",
    unit="rank",
    result="number",
    lenient=("parallelism.dcp", "model.attention.kind"),
)
def head_copies(
    parallelism__attention_tp: int,
    model__attention__kv_heads: int,
    parallelism__dcp: Value,
    model__attention__kind: Value,
) -> Value:
    """Ranks that hold the same KV: attention TP / (KV heads x DCP), at least 1; 1 for a latent, which has no heads.

    Decode context parallelism spreads the tokens of one head over the ranks that would hold copies of it.
    """
    latent = within(model__attention__kind, LATENT_KINDS)
    if latent is True or parallelism__attention_tp <= model__attention__kv_heads:
        return 1
    if latent is not False:
        return Unknown("the kind of attention is not known")
    if not isinstance(parallelism__dcp, int):
        return Unknown("not known without parallelism.dcp")
    return max(1, parallelism__attention_tp / (model__attention__kv_heads * parallelism__dcp))


# -- settings of the engine ------------------------------------------------------------------------------------

ability("needs_equal_attention_backend", "needs_equal_attention_backend",
        "Both sides must run one attention backend.", any_side=True)  # fmt: skip
ability("needs_equal_speculation", "needs_equal_speculation",
        "Both sides must speculate by one method and one draft model.", any_side=True)  # fmt: skip
ability("needs_decode_cp_1", "needs_decode_cp_1", "Decode may not use context parallelism.", any_side=True)
ability("needs_pp_1", "needs_pp_1", "Neither side may use pipeline parallelism.", any_side=True)
ability("needs_decode_pp_1_or_equal", "needs_decode_pp_1_or_equal",
        "Decode's pipeline parallel size must be 1 or prefill's.", any_side=True)  # fmt: skip

_REPORTED = {"ROCM_AITER_FA": "FLASH_ATTN", "ROCM_AITER_TRITON_MLA": "AITER_TRITON_MLA"}
"""Backends that report another name than the one they are chosen by (vLLM 0.16 to 0.33, `get_name`)."""
_OWN_NAME = frozenset(
    {
        "FLASH_ATTN",
        "FLASH_ATTN_DIFFKV",
        "FLASHINFER",
        "TRITON_ATTN",
        "TRITON_ATTN_DIFFKV",
        "FLEX_ATTENTION",
        "ROCM_ATTN",
        "ROCM_AITER_UNIFIED_ATTN",
        "CPU_ATTN",
        "TURBOQUANT",
        "HPC_ATTN",
        "B12X",
        "FLASHMLA",
        "FLASHMLA_SPARSE",
        "FLASH_ATTN_MLA",
        "FLASH_ATTN_MLA_SPARSE",
        "FLASHINFER_MLA",
        "FLASHINFER_MLA_SPARSE",
        "CUTLASS_MLA",
        "TRITON_MLA",
        "TOKENSPEED_MLA",
        "CPU_MLA",
        "AMX_MLA",
        "ROCM_AITER_MLA",
        "ROCM_AITER_MLA_SPARSE",
        "XPU_MLA_SPARSE",
    }
)
"""Backends that report the name they are chosen by."""


def _reported(name: str) -> str:
    return _REPORTED.get(name.upper(), name.upper())


@derived(
    "handoff",
    "one_attention_backend",
    result="boolean",
    lenient=("prefill.engine.attention_backend", "decode.engine.attention_backend"),
)
def one_attention_backend(prefill__engine__attention_backend: Value, decode__engine__attention_backend: Value) -> Truth:
    """Whether both sides run the attention backend of one name; two names of vLLM may report one."""
    names = tuple(
        _spelt(name, _reported) for name in (prefill__engine__attention_backend, decode__engine__attention_backend)
    )
    one = equal(*names)
    known = _OWN_NAME.union(_REPORTED.values())
    if one is False and not all(isinstance(name, str) and name in known for name in names):
        return Unknown("whether the two backends report one name is not known")
    return one


_HIDDEN_STATE_METHODS = ("eagle", "eagle3", "mtp", "dflash", "dspark")
"""Methods whose draft reads the target's hidden states: vLLM's `use_eagle` (0.28 to 0.33)."""
_OTHER_METHODS = ("ngram", "suffix", "medusa", "mlp_speculator", "draft_model")


@derived("pool", "speculative.hashed_method")
def hashed_method(speculative__method: Value) -> Value:
    """Method of speculation as far as a hash holds it: none for methods that do not read hidden states."""
    name = speculative__method.lower() if isinstance(speculative__method, str) else speculative__method
    if name is NONE or name in _OTHER_METHODS:
        return NONE
    return name if name in _HIDDEN_STATE_METHODS else Unknown(f"what {name} puts into the hash is not known")


_PP = (
    "nixl",
    "takes_stages",
    "needs_pp_1",
    "needs_decode_pp_1_or_equal",
    "prefill.parallelism.pp",
    "decode.parallelism.pp",
)


@derived("handoff", "takes_pp", result="boolean", lenient=_PP)
def takes_pp(
    nixl: Value,
    takes_stages: Value,
    needs_pp_1: Value,
    needs_decode_pp_1_or_equal: Value,
    prefill__parallelism__pp: Value,
    decode__parallelism__pp: Value,
) -> Truth:
    """Whether the connector takes the two pipeline parallel sizes."""
    prefill_1, decode_1 = equal(prefill__parallelism__pp, 1), equal(decode__parallelism__pp, 1)
    alike = any_true([decode_1, equal(prefill__parallelism__pp, decode__parallelism__pp)])
    others = all_true(
        [
            any_true([negate(needs_pp_1), all_true([prefill_1, decode_1])]),
            any_true([negate(needs_decode_pp_1_or_equal), alike]),
        ]
    )
    return by_connector(nixl, takes_stages, others)
