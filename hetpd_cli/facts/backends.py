"""Which element types and block sizes an attention backend of vLLM takes.

The lists were got from the backends' own classes (``supported_kv_cache_dtypes``, ``get_supported_kernel_block_sizes``)
of vLLM 0.18, 0.20 and 0.22 to 0.33; those of CUTLASS_MLA and FLASHINFER_MLA were read in 0.18, 0.24 and 0.33. Backends
that work out what they take from the device, as FLASH_ATTN does for 8 bits, are left out.
"""

from __future__ import annotations

from typing import NamedTuple

from hetpd_cli.facts.registry import derived
from hetpd_cli.facts.values import Truth, Unknown, Value
from hetpd_cli.tables import covers

_HALF = ("auto", "float16", "bfloat16")
_E4M3 = ("fp8", "fp8_e4m3")
_FP8 = (*_E4M3, "fp8_e5m2")
_HEADS = ("int8_per_token_head", "fp8_per_token_head")


class Takes(NamedTuple):
    """Words for an element type, and whole numbers of one of which a block has to be a multiple, in some releases."""

    of: str
    words: tuple[str, ...]
    multiples: tuple[int, ...]


BACKENDS: dict[str, tuple[Takes, ...]] = {
    "TRITON_ATTN": (
        Takes(">=0.18,<0.20", (*_HALF, *_FP8), (16,)),
        Takes(">=0.20,<0.25", (*_HALF, *_FP8, *_HEADS), (16,)),
        Takes(">=0.25,<0.34", (*_HALF, *_FP8, *_HEADS, "int4_per_token_head"), (16,)),
    ),
    "TRITON_MLA": (Takes(">=0.18,<0.34", (*_HALF, *_E4M3), (16,)),),
    "FLEX_ATTENTION": (Takes(">=0.18,<0.22", _HALF, (1,)), Takes(">=0.22,<0.34", _HALF, (16,))),
    "FLASHMLA": (Takes(">=0.18,<0.34", (*_HALF, *_E4M3), (64,)),),
    "FLASHMLA_SPARSE": (
        Takes(">=0.18,<0.30", ("auto", "bfloat16", "fp8_ds_mla", "fp8"), (64,)),
        Takes(">=0.30,<0.34", ("auto", "bfloat16", "fp8_ds_mla", "fp8", "nvfp4_ds_mla"), (64,)),
    ),
    "TOKENSPEED_MLA": (Takes(">=0.22,<0.34", _E4M3, (32, 64)),),
    "ROCM_AITER_FA": (Takes(">=0.18,<0.34", (*_HALF, *_FP8), (16, 32)),),
    "ROCM_AITER_MLA": (Takes(">=0.18,<0.34", (*_HALF, *_FP8), (1,)),),
    "ROCM_AITER_MLA_SPARSE": (Takes(">=0.22,<0.34", (*_HALF, *_E4M3), (1,)),),
    "CUTLASS_MLA": (Takes(">=0.18,<0.34", (*_HALF, *_E4M3), (128,)),),
    "FLASHINFER_MLA": (Takes(">=0.18,<0.34", (*_HALF, *_E4M3), (32, 64)),),
}
"""Attention backend to what it takes, by release."""


def _row(backend: Value, version: str) -> Takes | None:
    rows = BACKENDS.get(str(backend).upper(), ())
    return next((row for row in rows if covers(row.of, version)), None)


@derived("pool", "engine.backend_takes_dtype", result="boolean", lenient=("engine.attention_backend", "kv.dtype_word"))
def backend_takes_dtype(engine__version: str, engine__attention_backend: Value, kv__dtype_word: Value) -> Truth:
    """Whether the attention backend takes the word for the KV's element type; one that is left to vLLM does."""
    if isinstance(engine__attention_backend, Unknown) and engine__attention_backend.left:
        return True
    row = None if isinstance(engine__attention_backend, Unknown) else _row(engine__attention_backend, engine__version)
    if row is None or isinstance(kv__dtype_word, Unknown):
        return Unknown("which element types the attention backend takes is not known")
    return kv__dtype_word in row.words


@derived("pool", "engine.backend_takes_block", result="boolean", lenient=("engine.attention_backend", "kv.block_size"))
def backend_takes_block(engine__version: str, engine__attention_backend: Value, kv__block_size: Value) -> Truth:
    """Whether the attention backend takes blocks of this size: a multiple of a size of its kernel."""
    if any(isinstance(one, Unknown) and one.left for one in (engine__attention_backend, kv__block_size)):
        return True
    row = None if isinstance(engine__attention_backend, Unknown) else _row(engine__attention_backend, engine__version)
    if row is None or not isinstance(kv__block_size, int):
        return Unknown("which block sizes the attention backend takes is not known")
    return any(kv__block_size % size == 0 for size in row.multiples)
