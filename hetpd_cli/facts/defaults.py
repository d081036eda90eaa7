"""What engines take where nothing is set, as far as device, model or other settings decide.

Defaults that hang on the release alone stand in the table of engines.
"""

from __future__ import annotations

import re

from hetpd_cli.facts.registry import Default, Found, default_of, derived
from hetpd_cli.facts.values import NONE, Nothing, Unknown, Value
from hetpd_cli.tables import cell, covers
from hetpd_cli.tables.images import repository_of

_VLLM = ("vllm", "vllm-ascend")
_PLAIN_ATTENTION = ("mha", "gqa", "mqa")
_VLLM_READ = "<0.34"
"""Releases of vLLM that the defaults below were read in (0.11 to 0.33), a release that is not known included."""
_SGLANG_READ = "<0.5.24"

BRINGS_KV_SCHEME = re.compile(r"(modelopt|compressed[-_]?tensors|quark)")
"""Quantisation methods whose checkpoints may say how KV is kept (vLLM 0.24 to 0.33: kv_cache_scheme,
kv_cache_quant_algo; SGLang 0.5.14: kv_cache_quant_algo)."""


def _read(engine: Value, version: Value) -> bool:
    """Tell whether the defaults of this release were read."""
    spec = {"vllm": _VLLM_READ, "vllm-ascend": "*", "sglang": _SGLANG_READ, "tensorrt-llm": "*"}.get(str(engine))
    return spec is not None and covers(spec, version if isinstance(version, str) else None)


_DYNAMO_IMAGES = ("vllm-runtime", "ai-dynamo-vllm-runtime")

# -- connector -------------------------------------------------------------------------------------------------


@default_of("connector.name")
def connector_name(engine__name: Value, engine__version: Value, engine__image: Value, role: Value) -> Default | None:
    """Return the connector of an engine that is told of none.

    vLLM has none without --kv-transfer-config; Dynamo's worker around it chose one itself in some releases. SGLang
    takes Mooncake for a prefill or decode server (0.5.2 to 0.5.23, disaggregation_transfer_backend).
    """
    if engine__name in _VLLM:
        if isinstance(engine__image, str) and repository_of(engine__image).rpartition("/")[2] in _DYNAMO_IMAGES:
            return None
        return Default(NONE, "vLLM has no connector without --kv-transfer-config")
    if engine__name == "sglang" and role != "aggregated" and _read(engine__name, engine__version):
        return Default("mooncake", "default of --disaggregation-transfer-backend (SGLANG-ARGS-ALL)")
    return None


# -- element type of the KV ------------------------------------------------------------------------------------


@derived("pool", "model.plain_dtype")
def plain_dtype(model__id: str, model__attention__kind: str) -> Value | Found:
    """Element type that the released checkpoint computes in, if it is unquantised: it has no say in how KV is kept.

    Sparse attention over a latent is left out: engines choose its KV by device and release.
    """
    found = cell("models", model__id, "native_weight_dtype")
    if found is None or found.confidence == "unverified" or found.value not in {"bf16", "fp16"}:
        return Unknown(f"whether the checkpoint of {model__id} says how KV is kept is not known")
    if model__attention__kind == "dsa":
        return Unknown(f"how KV of {model__id} is kept by default is not known")
    return Found(found.value, f"model table, {model__id} ({', '.join(found.source)}; {found.confidence})")


_KV_SCHEMES = ("fp8_e4m3", "fp8_e4m3fnuz", "fp8_ds_mla", "nvfp4")
"""What a checkpoint's own KV scheme, or an engine's choice for sparse attention, may give."""


@default_of("kv.dtype")
def kv_dtype(
    engine__name: Value,
    engine__version: Value,
    engine__dtype: Value,
    model__plain_dtype: Value,
    precision__weights: Value,
    precision__method: Value,
) -> Default | tuple[str, ...] | None:
    """Return the element type of KV that is left to the engine (`auto`).

    It is the checkpoint's KV scheme if there is one, else the type that the engine computes in: --dtype, else the
    checkpoint's own. Where a precision is stated, the checkpoint may be another than the released one. Source: vLLM
    0.16 to 0.33 utils/torch_utils.py, resolve_kv_cache_dtype_string; SGLang 0.5.14 model_runner.py.
    """
    if engine__name not in {"vllm", "sglang"} or not _read(engine__name, engine__version):
        return None
    computed = engine__dtype if isinstance(engine__dtype, str) else model__plain_dtype
    left = isinstance(engine__dtype, str) or (isinstance(engine__dtype, Unknown) and engine__dtype.left)
    as_released = not isinstance(precision__weights, str) and not isinstance(precision__method, str)
    if as_released and isinstance(model__plain_dtype, str) and isinstance(computed, str) and left:
        origin = "--dtype" if isinstance(engine__dtype, str) else "the checkpoint's type"
        return Default(computed, f"auto: {origin}, as the checkpoint has no KV scheme")
    if isinstance(engine__dtype, str):
        return (engine__dtype, *_KV_SCHEMES)
    return ("bf16", "fp16", "fp32", *_KV_SCHEMES)


AUTO_WORDS = ("auto", "fp8", "fp8_e4m3", "fp8_ds_mla", "nvfp4", "bfloat16")
"""Words that an engine may put in place of `auto` when it has read the checkpoint."""


# -- blocks ----------------------------------------------------------------------------------------------------

_BLOCK_SIZES = (16, 32, 64, 128, 256)
_ANY_16 = ("FLASH_ATTN", "FLASHINFER", "TRITON_ATTN", "FLEX_ATTENTION")
_WIDEST_HEAD = 128
"""Wider heads have pages of their own in some kernels (vLLM from 0.29 on)."""


_SGLANG_PAGES = (1, 16, 32, 64, 128, 256)
"""Page sizes that SGLang's attention backends and models force; 1 without any."""
_SGLANG_FORCED = {"flashmla": 64, "cutlass_mla": 128, "trtllm_mla": 64, "trtllm_mha": 64}
"""Page size that an attention backend of SGLang forces where nobody sets one (0.5.2 to 0.5.13, server_args.py)."""
_VLLM_FORCED = {"FLASHMLA": 64, "CUTLASS_MLA": 128}
"""Block size that an attention backend of vLLM wants (0.11 to 0.33)."""


@default_of(
    "kv.block_size",
    "engine.name",
    "engine.version",
    "model.hybrid",
    "model.attention.kind",
    "model.attention.head_dim",
    "engine.attention_backend",
    "accelerator.platform",
    "engine.built_for",
)
def block_size(*values: Value) -> Default | tuple[int, ...] | None:
    """Return the tokens of a KV block where nobody sets them.

    A model with recurrent layers gets a size that is worked out from its state, which is not known here.
    """
    engine, version, hybrid, kind = values[:4]
    if not _read(engine, version):
        return None
    if engine == "sglang":
        forced = _SGLANG_FORCED.get(str(values[5]).lower())
        return Default(forced, f"forced by the backend {values[5]} (SGLANG-ARGS-ALL)") if forced else _SGLANG_PAGES
    if hybrid is not False:
        return None
    if engine == "tensorrt-llm":
        if kind in _PLAIN_ATTENTION:
            return Default(32, "tokens_per_block of KvCacheConfig (TRTLLM-ARGS)")
        return (32, 64)
    if engine == "vllm-ascend":
        if kind in _PLAIN_ATTENTION:
            return Default(128, "set by the Ascend platform (ASCEND-PLATFORM)")
        return _BLOCK_SIZES
    return _vllm_block_size(*values[3:])


def _vllm_block_size(
    kind: Value, head_dim: Value, backend: Value, device: Value, image: Value
) -> Default | tuple[int, ...]:
    """Return vLLM's block size for a model without recurrent layers (0.11 to 0.33: platforms, backends' preference)."""
    platforms = {name for name in (device, image) if isinstance(name, str)}
    narrow = isinstance(head_dim, int) and head_dim <= _WIDEST_HEAD
    usual = isinstance(backend, Unknown) or str(backend).upper() in _ANY_16
    forced = _VLLM_FORCED.get(str(backend).upper())
    if forced and platforms == {"cuda"}:
        return Default(forced, f"wanted by the backend {backend} (VLLM-BLOCKS)")
    if kind in _PLAIN_ATTENTION and narrow and usual:
        if platforms == {"cuda"}:
            return Default(16, "vLLM on CUDA, attention without a latent (VLLM-CACHE, VLLM-BLOCKS)")
        if platforms == {"rocm"}:
            return (16, 64)
    return _BLOCK_SIZES


_WHOLE_BLOCKS = ("FLASH_ATTN", "TRITON_ATTN", "FLEX_ATTENTION", "TRITON_MLA", "FLASH_ATTN_MLA")
"""Attention backends of vLLM whose kernels take any multiple of 16 tokens (0.24 to 0.33)."""
_SMALL_BLOCKS = (16, 32, 64)
"""Blocks that the kernels of every backend take whole, for attention without a latent."""


@default_of("kv.kernel_block_size")
def kernel_block_size(
    engine__name: Value,
    engine__version: Value,
    engine__attention_backend: Value,
    model__attention__kind: Value,
    kv__block_size: Value,
) -> Default | None:
    """Return the tokens of a block of the attention kernel where nobody states them: the engine's own, where they fit.

    Source: vLLM 0.24 to 0.33, get_supported_kernel_block_sizes of the backends, select_common_block_size.
    """
    if engine__name != "vllm" or not _read(engine__name, engine__version) or not isinstance(kv__block_size, int):
        return None
    small = model__attention__kind in _PLAIN_ATTENTION and kv__block_size in _SMALL_BLOCKS
    usual = isinstance(engine__attention_backend, Unknown) or str(engine__attention_backend).upper() in _ANY_16
    if str(engine__attention_backend).upper() in _WHOLE_BLOCKS or (small and usual):
        return Default(kv__block_size, "a block of the engine is one of the kernel (VLLM-BLOCKS)")
    return None


# -- layout ----------------------------------------------------------------------------------------------------


@default_of("kv.layout")
def layout(
    engine__name: Value,
    engine__version: Value,
    connector__name: Value,
    model__attention__kind: Value,
    env__VLLM_KV_CACHE_LAYOUT: Value,  # noqa: N803
) -> Default | None:
    """Return the layout that vLLM takes where no argument sets one: its variable, else what the connector wants.

    NIXL, and Mooncake from 0.19 on, want HND, but for a latent. Source: vLLM 0.11 to 0.33,
    get_required_kvcache_layout.
    """
    if engine__name != "vllm" or not _read(engine__name, engine__version):
        return None
    if env__VLLM_KV_CACHE_LAYOUT in {"HND", "NHD"}:
        return Default(env__VLLM_KV_CACHE_LAYOUT, "VLLM_KV_CACHE_LAYOUT")
    wanted = connector__name == "nixl" or (
        connector__name == "mooncake" and isinstance(engine__version, str) and covers(">=0.19,<0.34", engine__version)
    )
    if wanted and env__VLLM_KV_CACHE_LAYOUT is NONE and model__attention__kind in _PLAIN_ATTENTION:
        return Default("HND", "asked for by the connector (VLLM-NIXL-CONN, VLLM-NIXL-OLD, VLLM-MOONCAKE)")
    return None


# -- prefix cache ----------------------------------------------------------------------------------------------


@default_of("engine.prefix_caching")
def prefix_caching(engine__name: Value, engine__version: Value, model__hybrid: Value) -> Default | None:
    """Return whether vLLM caches prefixes where nobody says: yes for models without recurrent layers (0.11 to 0.33)."""
    if engine__name == "vllm" and model__hybrid is False and _read(engine__name, engine__version):
        return Default(True, "vLLM, model without recurrent layers (VLLM-CACHE)")
    return None


# -- hybrid KV cache manager -----------------------------------------------------------------------------------


@default_of("engine.hybrid_kv_manager")
def hybrid_kv_manager(
    engine__name: Value, engine__version: Value, connector__name: Value, model__base: Value
) -> Default | None:
    """Return whether vLLM keeps KV of several kinds in groups where nobody says: with NIXL yes, from 0.23 on.

    Not for models with chunked local attention (Llama 4), nor with a connector that does not support it. Before, any
    connector turned it off. Source: vLLM 0.20 to 0.33, config/vllm.py, supports_hma_config.
    """
    if engine__name != "vllm" or not isinstance(engine__version, str) or not covers("<0.34", engine__version):
        return None
    if connector__name != "nixl":
        return None
    if covers("<0.23", engine__version):
        return Default(False, "vLLM before 0.23 turns it off with a connector (VLLM-NIXL-CONN)")
    if isinstance(model__base, str) and "llama-4" not in model__base.lower():
        return Default(True, "vLLM, NIXL supports it (VLLM-NIXL-CONN)")
    return None


# -- drafts ----------------------------------------------------------------------------------------------------


def _draft_default(path: str, value: bool | Nothing, note: str) -> None:
    @default_of(path, "engine.name", "engine.version")
    def of_draft(engine__name: Value, engine__version: Value) -> Default | None:
        return Default(value, note) if engine__name == "vllm" and _read(engine__name, engine__version) else None


_draft_default("speculative.parallel_drafting", False, "vLLM's speculative configuration (VLLM-NIXL-META)")
_draft_default("speculative.kv_dtype_word", NONE, "vLLM: that of the model (VLLM-NIXL-META)")
_draft_default("speculative.revision", NONE, "vLLM's speculative configuration (VLLM-NIXL-META)")
