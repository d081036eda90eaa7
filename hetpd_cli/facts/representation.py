"""Facts about KV representation: what the two sides' connectors accept, and the model's attention geometry."""

from __future__ import annotations

from hetpd_cli.facts.registry import Derivation, Found, add, derived
from hetpd_cli.facts.truth import all_true, any_true, equal, negate, ordered, within
from hetpd_cli.facts.values import NONE, Truth, Unknown, Value
from hetpd_cli.tables import Cell, capability, cell, covers, known_releases
from hetpd_cli.versions import is_version, same_version

_MODEL_COLUMNS = {
    "attention.kind": ("attention_kind", "text"),
    "attention.heads": ("heads", "integer"),
    "attention.kv_heads": ("kv_heads", "integer"),
    "attention.head_dim": ("head_dim", "integer"),
    "attention.kv_lora_rank": ("kv_lora_rank", "integer"),
    "attention.rope_head_dim": ("rope_head_dim", "integer"),
    "layers": ("layers", "integer"),
    "hidden": ("hidden", "integer"),
    "hybrid": ("hybrid", "boolean"),
}
"""Field of the model to the column of the model table and the kind of its value."""


@derived("pool", "model.base")
def base(model__id: str) -> str:
    """Id in the model table whose geometry the checkpoint has: its own, where nobody says another.

    It is no field of a deployment: what is assumed of a checkpoint that the engine gets as a path.
    """
    return model__id


def _model_column(path: str, column: str, result: str) -> None:
    def look_up(model__base: str) -> Found | Unknown:
        found = cell("models", model__base, column)
        if found is None:
            return Unknown(f"the model table has no {column} for {model__base}")
        return Found(found.value, f"model table, {model__base} ({', '.join(found.source)}; {found.confidence})")

    description = f"{column} of the model, from the model table."
    add(Derivation("pool", f"model.{path}", None, ("model.base",), frozenset(), look_up, description, result))


for _path, (_column, _result) in _MODEL_COLUMNS.items():
    _model_column(_path, _column, _result)


@derived(
    "pool",
    "model.grouped_kv",
    result="boolean",
    lenient=("model.keeps_state", "model.attention.sliding_window", "model.base"),
)
def grouped_kv(model__keeps_state: Value, model__attention__sliding_window: Value, model__base: Value) -> Truth:
    """Whether layers of several kinds keep KV of their own: sliding-window or recurrent layers beside attention."""
    if isinstance(model__attention__sliding_window, int | float):
        return True
    found = cell("models", model__base, "windowed") if isinstance(model__base, str) else None
    windowed: Value = Unknown("whether the model has sliding-window layers is not known")
    if model__attention__sliding_window is NONE:
        windowed = False
    elif found is not None:
        windowed = found.value
    return any_true([model__keeps_state, windowed])


SIDES = (
    "prefill.engine.name",
    "prefill.connector.name",
    "prefill.engine.version",
    "decode.engine.name",
    "decode.connector.name",
    "decode.engine.version",
)


def _of_side(engine: Value, connector: Value, version: Value, name: str) -> Cell | None:
    """Return one side's capability; without an engine only what holds for every engine."""
    if not isinstance(connector, str):
        return None
    known = engine if isinstance(engine, str) else None
    return capability(known, connector, version if isinstance(version, str) else None, name)


def _both_sides(name: str, values: tuple[Value, ...]) -> tuple[Cell | None, Cell | None]:
    return _of_side(values[0], values[1], values[2], name), _of_side(values[3], values[4], values[5], name)


def ability(path: str, name: str, description: str, *, any_side: bool = False) -> None:
    """Register a capability of the handoff.

    An ability is yes only if both sides have it, no if either lacks it. With ``any_side`` the capability is a
    demand: yes if either side makes it, no only if neither does.
    """

    def look_up(*values: Value) -> Found | Unknown:
        cells = _both_sides(name, values)
        decisive = next((entry for entry in cells if entry is not None and entry.value is any_side), None)
        if decisive is not None:
            return Found(any_side, _note(decisive))
        prefill, decode = cells
        if prefill is None or decode is None:
            return Unknown(_missing(name, values, prefill is None))
        return Found(not any_side, _note(prefill))

    add(Derivation("handoff", path, None, SIDES, frozenset(SIDES), look_up, description, "boolean"))


def _note(entry: Cell) -> str:
    return f"capability table: {', '.join(entry.source)} ({entry.confidence})"


def _missing(name: str, values: tuple[Value, ...], of_prefill: bool) -> str:
    engine, connector, version = values[:3] if of_prefill else values[3:]
    side = "prefill" if of_prefill else "decode"
    if isinstance(connector, Unknown):
        return f"the connector of {side} is not known"
    if isinstance(engine, Unknown):
        return f"the engine of {side} is not known"
    if isinstance(version, Unknown):
        return f"the engine version of {side} is not known"
    known = known_releases(str(engine), str(connector), name)
    nearest = f"; known for {' or '.join(known)}" if known else ""
    return f"no capability row says {name} for {connector} on {engine} {version}{nearest}"


ability("needs_equal_block_size", "needs_equal_block_size", "Blocks must hold equally many tokens.", any_side=True)
ability("sends_while_prefilling", "sends_while_prefilling", "KV crosses while prefill still computes.", any_side=True)
ability("needs_equal_dtype_word", "needs_equal_dtype_word",
        "Both engines must be given one word for the element type of the KV.", any_side=True)  # fmt: skip
ability("needs_equal_layout", "needs_equal_layout", "The order within a block must be equal.", any_side=True)
ability(
    "needs_equal_engine_version",
    "needs_equal_engine_version",
    "Both engines must be of one release.",
    any_side=True,
)
ability("needs_divisible_tp", "needs_divisible_tp", "One TP size must be a multiple of the other.", any_side=True)
ability(
    "needs_head_major_layout_for_unequal_tp",
    "needs_head_major_layout_for_unequal_tp",
    "Unequal TP sizes need heads before tokens in a block.",
    any_side=True,
)
ability(
    "refuses_tp_above_kv_heads",
    "refuses_tp_above_kv_heads",
    "A side that is read may not have more ranks than its reader and than KV heads.",
    any_side=True,
)


def _carries(*values: Value) -> Value | Found:
    """Return what crosses the boundary; none where a side has no connector."""
    prefill, decode = _both_sides("carries", values)
    if NONE in {values[1], values[4]}:
        return NONE
    if prefill is None or decode is None:
        return Unknown(_missing("carries", values, prefill is None))
    if prefill.value != decode.value:
        return Unknown("the two connectors carry different things")
    return Found(prefill.value, _note(prefill))


add(
    Derivation(
        "handoff",
        "carries",
        None,
        SIDES,
        frozenset(SIDES),
        _carries,
        "What crosses the boundary: `bytes` (raw KV buffers) or `objects`; none without a connector.",
        "text",
    )
)


def _conversion(aspect: str) -> None:
    """Register whether ``aspect`` is converted: by what the handoff declares, else by the connectors themselves."""

    def look_up(declared: Value, *values: Value) -> Value | Found:
        if declared is NONE:
            return False
        if isinstance(declared, tuple):
            return aspect in declared
        cells = _both_sides(f"converts_{aspect}", values)
        refusing = next((entry for entry in cells if entry is not None and entry.value is False), None)
        if refusing is not None:
            return Found(False, _note(refusing))
        prefill, decode = cells
        if prefill is None or decode is None:
            return Unknown(_missing(f"converts_{aspect}", values, prefill is None))
        if prefill.value is True and decode.value is True:
            return Found(True, _note(prefill))
        return Unknown(f"whether the connectors convert {aspect} depends on their settings")

    inputs = ("conversion.of", *SIDES)
    description = f"Whether something converts {aspect} between what prefill writes and what decode reads."
    add(Derivation("handoff", f"converts_{aspect}", None, inputs, frozenset(inputs), look_up, description, "boolean"))


for _aspect in ("dtype", "layout", "block_size"):
    _conversion(_aspect)


LATENT_KINDS = ("mla", "dsa")
"""Attention kinds whose KV is one latent per token: it has no heads to order or to split."""


@derived("handoff", "latent_kv", result="boolean", lenient=("prefill.model.attention.kind",))
def latent_kv(prefill__model__attention__kind: Value) -> Truth:
    """Whether the KV is an MLA latent, which every rank holds whole."""
    return within(prefill__model__attention__kind, LATENT_KINDS)


_BLOCKS_TAKEN = ("nixl", "takes_kernel_blocks", "prefill.kv.block_size", "decode.kv.block_size")


@derived("handoff", "takes_blocks", result="boolean", lenient=_BLOCKS_TAKEN)
def takes_blocks(
    nixl: Value, takes_kernel_blocks: Value, prefill__kv__block_size: Value, decode__kv__block_size: Value
) -> Truth:
    """Whether the connector takes the two block sizes: equal ones, in vLLM NIXL what it takes of kernel blocks."""
    return by_connector(nixl, takes_kernel_blocks, equal(prefill__kv__block_size, decode__kv__block_size))


def by_connector(nixl: Value, of_nixl: Value, of_others: Truth) -> Truth:
    """Return what holds for vLLM NIXL or for other connectors; where nobody knows the connector, what both agree on."""
    return any_true([all_true([nixl, of_nixl]), all_true([negate(nixl), of_others]), all_true([of_nixl, of_others])])


_LAYOUTS_TAKEN = ("nixl", "takes_layouts", "prefill.kv.layout", "decode.kv.layout")


@derived("handoff", "layouts_agree", result="boolean", lenient=_LAYOUTS_TAKEN)
def layouts_agree(nixl: Value, takes_layouts: Value, prefill__kv__layout: Value, decode__kv__layout: Value) -> Truth:
    """Whether the two layouts are one, or the connector takes the two (vLLM NIXL, `enable_permute_local_kv`)."""
    return by_connector(nixl, takes_layouts, equal(prefill__kv__layout, decode__kv__layout))


_HEADS_TAKEN = (
    "nixl",
    "takes_head_order",
    "prefill.parallelism.tp",
    "decode.parallelism.tp",
    "decode.kv.layout",
    "prefill.model.attention.kv_heads",
)


@derived("handoff", "parts_in_one_piece", result="boolean", lenient=_HEADS_TAKEN)
def parts_in_one_piece(
    nixl: Value,
    takes_head_order: Value,
    prefill__parallelism__tp: Value,
    decode__parallelism__tp: Value,
    decode__kv__layout: Value,
    prefill__model__attention__kv_heads: Value,
) -> Truth:
    """Whether a rank finds the heads that it takes of another rank in one piece, or takes all or a copy of them."""
    others = [
        equal(prefill__parallelism__tp, decode__parallelism__tp),
        negate(equal(decode__kv__layout, "NHD")),
        ordered(">", prefill__parallelism__tp, prefill__model__attention__kv_heads),
    ]
    return by_connector(nixl, takes_head_order, any_true(others))


@derived("handoff", "one_connector", result="boolean", lenient=("prefill.connector.name", "decode.connector.name"))
def one_connector(prefill__connector__name: Value, decode__connector__name: Value) -> Truth:
    """Whether both sides use one connector; `multi` holds others within and `other` is any."""
    names = (prefill__connector__name, decode__connector__name)
    if any(name in ("multi", "other") for name in names):
        return Unknown("a connector that holds others within, or is not named, may match")
    return equal(*names)


_SKEW = ("nixl", "hash_enforced", "prefill.engine.version", "decode.engine.version")
_FORMATS = (("<0.21", 2), (">=0.21,<0.22", 3), (">=0.22,<0.26", 4), (">=0.26,<0.28", 5), (">=0.28,<0.29", 7),
            (">=0.29,<0.30", 9), (">=0.30,<0.31", 11), (">=0.31,<0.32", 13), (">=0.32,<0.33", 14),
            (">=0.33,<0.34", 15))  # fmt: skip
"""Version of NIXL's metadata by release (0.13 to 0.33, NIXL_CONNECTOR_VERSION)."""
_TWO_PART_REPLY = 5
"""From this version on a query names the stage, and the reply has a second part: others do not read each other."""


@derived("handoff", "tolerates_release_skew", result="boolean", lenient=_SKEW)
def tolerates_release_skew(
    nixl: Value, hash_enforced: Value, prefill__engine__version: Value, decode__engine__version: Value
) -> Truth:
    """Whether two releases may meet: not where the compatibility hash is enforced, else where one format joins them."""
    if nixl is not True or hash_enforced is not False:
        return False if nixl is True and hash_enforced is True else Unknown("whether the hash is enforced is not known")
    formats = [_format(version) for version in (prefill__engine__version, decode__engine__version)]
    if None in formats:
        return Unknown("the format of a release's metadata is not known")
    if formats[0] == formats[1]:
        return True
    if len({number is not None and number >= _TWO_PART_REPLY for number in formats}) > 1:
        return False
    return Unknown("whether the two releases read each other's metadata is not known")


def _format(version: Value) -> int | None:
    if not isinstance(version, str) or not is_version(version):
        return None
    return next((number for spec, number in _FORMATS if covers(spec, version)), None)


@derived(
    "handoff",
    "one_engine",
    result="boolean",
    lenient=("prefill.engine.name", "decode.engine.name", "prefill.connector.name"),
)
def one_engine(prefill__engine__name: Value, decode__engine__name: Value, prefill__connector__name: Value) -> Truth:
    """Whether both sides run engines that share the handshake of their connector.

    vllm-ascend registers a Mooncake connector of its own with other metadata; the rest it takes from vLLM.
    """
    names = {prefill__engine__name, decode__engine__name}
    if names == {"vllm", "vllm-ascend"} and prefill__connector__name != "mooncake":
        return Unknown("whether vLLM and vllm-ascend share this connector's handshake is not known")
    if "other" in names:
        return Unknown("an engine that is not named may be the same")
    return equal(prefill__engine__name, decode__engine__name)


_FP8_OF_SPARSE_MLA = {"fp8_e4m3", "fp8_ds_mla"}


@derived("pool", "accelerator.fp8_flavour", result="text")
def fp8_flavour(accelerator: str) -> Value | Found:
    """Which e4m3 the device calls FP8: `fn`, or `fnuz` (gfx94x: MI300X, MI325X), whose numbers are others.

    Engines take the device's own, whatever the word (SGLang 0.5.14 model_runner.py; vLLM platforms/rocm.py).
    """
    found = cell("accelerators", accelerator, "formats")
    formats = found.value if found is not None and found.confidence != "unverified" else ()
    if isinstance(formats, tuple) and "fp8_e4m3fnuz" in formats and "fp8_e4m3" not in formats and found:
        return Found("fnuz", f"accelerator table, {accelerator} ({', '.join(found.source)}; {found.confidence})")
    if isinstance(formats, tuple) and "fp8_e4m3" in formats and "fp8_e4m3fnuz" not in formats and found:
        return Found("fn", f"accelerator table, {accelerator} ({', '.join(found.source)}; {found.confidence})")
    return Unknown(f"which FP8 {accelerator} has is not known")


@derived(
    "handoff",
    "one_kv_dtype",
    result="boolean",
    lenient=("prefill.kv.dtype", "decode.kv.dtype", "prefill.model.attention.kind"),
)
def one_kv_dtype(prefill__kv__dtype: Value, decode__kv__dtype: Value, prefill__model__attention__kind: Value) -> Truth:
    """Whether both sides hold KV in one element type.

    For sparse attention over an MLA latent vLLM may keep `fp8` as `fp8_ds_mla`, so that pair is not known to differ.
    """
    if {prefill__kv__dtype, decode__kv__dtype} == _FP8_OF_SPARSE_MLA and prefill__model__attention__kind not in {
        "mha",
        "gqa",
        "mqa",
    }:
        return Unknown("whether fp8 is kept as fp8_ds_mla for this model is not known")
    return equal(prefill__kv__dtype, decode__kv__dtype)


_DTYPE_WORD = (
    "one_kv_dtype",
    "prefill.engine.name",
    "decode.engine.name",
    "prefill.kv.dtype_word",
    "decode.kv.dtype_word",
)


@derived("handoff", "one_dtype_word", result="boolean", lenient=_DTYPE_WORD)
def one_dtype_word(
    one_kv_dtype: Value,
    prefill__engine__name: Value,
    decode__engine__name: Value,
    prefill__kv__dtype_word: Value,
    decode__kv__dtype_word: Value,
) -> Truth:
    """Whether both engines have one word for the element type of the KV; two engines have words of their own.

    Two element types have two words, whatever they are.
    """
    if equal(prefill__engine__name, decode__engine__name) is not True:
        return Unknown("two engines have words of their own")
    one = equal(prefill__kv__dtype_word, decode__kv__dtype_word)
    return False if isinstance(one, Unknown) and one_kv_dtype is False else one


@derived("pool", "kv.shown_dtype", lenient=("kv.dtype_word", "kv.dtype"))
def shown_dtype(kv__dtype_word: Value, kv__dtype: Value) -> Value:
    """The engine's word for the element type of the KV, the type itself where nobody knows the word."""
    return kv__dtype if isinstance(kv__dtype_word, Unknown) else kv__dtype_word


_REFUSED_WORDS = ("one_connector", "needs_equal_dtype_word", "hash_enforced", "prefill.engine.name", "one_dtype_word")


@derived("handoff", "dtype_words_refused", result="boolean", lenient=_REFUSED_WORDS)
def dtype_words_refused(
    one_connector: Value,
    needs_equal_dtype_word: Value,
    hash_enforced: Value,
    prefill__engine__name: Value,
    one_dtype_word: Value,
) -> bool:
    """Whether the two words for the element type of the KV are known to be refused; not where anything is open."""
    compared = any_true([equal(prefill__engine__name, "sglang"), hash_enforced])
    return all_true([one_connector, needs_equal_dtype_word, compared, negate(one_dtype_word)]) is True


_PINNED = (
    "prefill.kv.dtype",
    "decode.kv.dtype",
    "prefill.kv.dtype_left_to_engine",
    "decode.kv.dtype_left_to_engine",
)


@derived("handoff", "kv_dtype_pinned_once", result="boolean", lenient=_PINNED)
def kv_dtype_pinned_once(
    prefill__kv__dtype: Value,
    decode__kv__dtype: Value,
    prefill__kv__dtype_left_to_engine: Value,
    decode__kv__dtype_left_to_engine: Value,
) -> Truth:
    """Whether one side says in few bits what it keeps KV in, and the other leaves it to engine and checkpoint."""
    sides = (
        (prefill__kv__dtype, decode__kv__dtype_left_to_engine),
        (decode__kv__dtype, prefill__kv__dtype_left_to_engine),
    )
    return any_true([all_true([negate(within(dtype, _PLAIN_TYPES)), other_left]) for dtype, other_left in sides])


_PLAIN_TYPES = ("fp32", "bf16", "fp16")


@derived("pool", "kv.block_size_left_to_engine", result="boolean", lenient=("kv.block_size",))
def block_size_left_to_engine(kv__block_size: Value) -> Truth:
    """Whether the engine chooses the size of a block and nobody knows what it chooses."""
    if not isinstance(kv__block_size, Unknown):
        return False
    return True if kv__block_size.left else Unknown("whether kv.block_size is set is not known")


_USUAL_BLOCK = {"vllm": (16,), "sglang": (1,), "tensorrt-llm": (32,), "vllm-ascend": (128,)}
"""Block size of most models on most devices, where nobody sets it."""
_USUAL_LATENT_BLOCK = {
    "vllm": (16, 32, 64, 128),
    "sglang": (1, 64, 128),
    "tensorrt-llm": (32, 64),
    "vllm-ascend": (128,),
}
"""The same of models with a latent, whose attention kernels want sizes of their own."""

_BLOCK_PINNED = (
    "prefill.engine.name",
    "prefill.model.attention.kind",
    "prefill.kv.block_size",
    "decode.kv.block_size",
    "prefill.kv.block_size_left_to_engine",
    "decode.kv.block_size_left_to_engine",
)


@derived("handoff", "block_size_pinned_once", result="boolean", lenient=_BLOCK_PINNED)
def block_size_pinned_once(
    prefill__engine__name: Value,
    prefill__model__attention__kind: Value,
    prefill__kv__block_size: Value,
    decode__kv__block_size: Value,
    prefill__kv__block_size_left_to_engine: Value,
    decode__kv__block_size_left_to_engine: Value,
) -> Truth:
    """Whether one side sets a block size that is not the engine's usual one, and the other leaves it to the engine."""
    latent = prefill__model__attention__kind in LATENT_KINDS
    usual = (_USUAL_LATENT_BLOCK if latent else _USUAL_BLOCK).get(str(prefill__engine__name))
    if usual is None:
        return Unknown("the usual block size of the engine is not known")
    sides = (
        (prefill__kv__block_size, decode__kv__block_size_left_to_engine),
        (decode__kv__block_size, prefill__kv__block_size_left_to_engine),
    )
    return any_true([all_true([negate(within(size, usual)), other_left]) for size, other_left in sides])


_REFUSED = ("one_connector", "needs_equal_block_size", "takes_blocks")


@derived("handoff", "block_sizes_refused", result="boolean", lenient=_REFUSED)
def block_sizes_refused(one_connector: Value, needs_equal_block_size: Value, takes_blocks: Value) -> bool:
    """Whether the connector is known to refuse the two block sizes; not where anything is open."""
    return all_true([one_connector, needs_equal_block_size, negate(takes_blocks)]) is True


@derived("handoff", "kv_dtypes_told_apart", result="boolean", lenient=("one_kv_dtype",))
def kv_dtypes_told_apart(one_kv_dtype: Value) -> bool:
    """Whether the two sides are known to keep KV in two element types; not where that of a side is open."""
    return one_kv_dtype is False


STORES = ("lmcache", "lmcache-mp", "mooncake-store", "offloading")
"""Connectors that keep KV under keys of their own, cut anew, and not by the blocks of the engine."""

_SETTLED = (
    "one_connector",
    "one_engine",
    "needs_equal_block_size",
    "takes_blocks",
    "block_size_pinned_once",
    "prefill.connector.name",
    "decode.connector.name",
    "decode.engine.prefix_caching",
    "settled_elsewhere",
    "misplaces_blocks",
    "stops_on_blocks",
    "misplaces_after_hit",
)


def _block_sizes_settled(*values: Value) -> Truth:
    """Tell whether what is known of the connector says what two block sizes come to.

    It refuses them, keeps no blocks, or other rules tell where they land (NIXL). Where nobody knows where NIXL's blocks
    land, the prefix cache of decode decides alone.
    """
    one, one_engine, demanded, taken, pinned, prefill, decode, caching, elsewhere, *harms = values
    if prefill in STORES or decode in STORES or elsewhere is True:
        return True
    if all_true([one, demanded]) is True and (taken is False or all_true([one_engine, pinned]) is True):
        return True
    if prefill != "nixl" or decode != "nixl":
        return False
    if True in harms or all(harm is False for harm in harms):
        return True
    if caching is True or (isinstance(caching, Unknown) and caching.left):
        return False
    return Unknown("whether decode caches prefixes, or where its blocks land, is not known")


add(
    Derivation(
        "handoff",
        "block_sizes_settled",
        None,
        _SETTLED,
        frozenset(_SETTLED),
        _block_sizes_settled,
        "Whether what is known of the connector says what two block sizes come to.",
        "boolean",
    )
)


_BLOCKS = (
    "converts_block_size",
    "one_engine",
    "block_size_pinned_once",
    "prefill.kv.block_size",
    "decode.kv.block_size",
)


@derived("handoff", "blocks_differ", result="boolean", lenient=_BLOCKS)
def blocks_differ(
    converts_block_size: Value,
    one_engine: Value,
    block_size_pinned_once: Value,
    prefill__kv__block_size: Value,
    decode__kv__block_size: Value,
) -> Truth:
    """Whether the two sides cut KV into blocks of two sizes, or one into unusual ones and the other as it likes.

    Not where a component or the connector is known to cut them anew.
    """
    apart = negate(equal(prefill__kv__block_size, decode__kv__block_size))
    return all_true(
        [converts_block_size is not True, any_true([apart, all_true([one_engine, block_size_pinned_once])])]
    )


@derived("handoff", "carries_bytes", result="boolean", lenient=("carries",))
def carries_bytes(carries: Value) -> bool:
    """Whether raw KV buffers are known to cross; not where nobody knows what does."""
    return carries == "bytes"


_APART = ("converts_dtype", "one_kv_dtype", "one_engine", "kv_dtype_pinned_once")


@derived("handoff", "kv_dtypes_differ", result="boolean", lenient=_APART)
def kv_dtypes_differ(
    converts_dtype: Value, one_kv_dtype: Value, one_engine: Value, kv_dtype_pinned_once: Value
) -> Truth:
    """Whether the two sides keep KV in two element types, or one in few bits and the other in what its checkpoint says.

    Not where a component or the connector is known to convert them.
    """
    pinned = all_true([one_engine, kv_dtype_pinned_once])
    return all_true([converts_dtype is not True, any_true([negate(one_kv_dtype), pinned])])


@derived(
    "handoff",
    "one_release",
    result="boolean",
    lenient=(
        "prefill.engine.version",
        "decode.engine.version",
        "prefill.accelerator.vendor",
        "decode.accelerator.vendor",
    ),
)
def one_release(
    prefill__engine__version: Value,
    decode__engine__version: Value,
    prefill__accelerator__vendor: Value,
    decode__accelerator__vendor: Value,
) -> Truth:
    """Whether both sides run one release of the engine, local labels (+cu126, +rocm) included.

    Builds for two vendors have different labels, so equal plain releases say nothing there.
    """
    versions = (prefill__engine__version, decode__engine__version)
    if isinstance(versions[0], str) and isinstance(versions[1], str):
        one: Truth = same_version(versions[0], versions[1])
    else:
        one = equal(*versions)
    labelled = all(isinstance(version, str) and "+" in version for version in versions)
    if one is True and not labelled and equal(prefill__accelerator__vendor, decode__accelerator__vendor) is False:
        return Unknown("builds for two vendors differ in their local label, which is not stated")
    return one
