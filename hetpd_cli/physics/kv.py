"""Size of the KV state: bytes per token, copies on the wire, bytes of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.physics.operations import maximum

if TYPE_CHECKING:
    from hetpd_cli.physics.operations import Quantity

ELEMENT_BYTES: dict[str, int | float] = {
    "fp32": 4,
    "bf16": 2,
    "fp16": 2,
    "fp8_e4m3": 1,
    "fp8_e4m3fnuz": 1,
    "fp8_e5m2": 1,
    "fp8_e5m2fnuz": 1,
    "int8": 1,
    "fp6": 0.75,
    "int4": 0.5,
    "fp4": 0.5,
    "fp4_e2m1": 0.5,
}
"""Bytes of one element. Types that pack scales beside the elements (``nvfp4``, ``fp8_ds_mla``, ``*_per_token_head``)
are missing: their width depends on the group that shares a scale."""

_KEY_AND_VALUE = 2


def heads_bytes_per_token(
    layers: Quantity, kv_heads: Quantity, head_dim: Quantity, element_bytes: Quantity
) -> Quantity:
    """Return the KV bytes of one token of a model that caches keys and values of heads (MHA, GQA, MQA).

    ``2 * layers * kv_heads * head_dim * element_bytes``, the whole model, one copy. Every layer has to cache
    alike: not for sliding windows or recurrent layers. Source: arXiv 2309.06180, section 3 (PagedAttention).
    """
    return _KEY_AND_VALUE * layers * kv_heads * head_dim * element_bytes


def latent_bytes_per_token(
    layers: Quantity, kv_lora_rank: Quantity, rope_head_dim: Quantity, element_bytes: Quantity
) -> Quantity:
    """Return the KV bytes of one token of a model that caches an MLA latent.

    ``layers * (kv_lora_rank + rope_head_dim) * element_bytes``, one copy. Without the index keys of sparse
    attention. Source: arXiv 2405.04434, section 2.1 (DeepSeek-V2, table 1).
    """
    return layers * (kv_lora_rank + rope_head_dim) * element_bytes


def head_copies(tp: Quantity, kv_heads: Quantity) -> Quantity:
    """Return how often each KV head is held by the ranks of one tensor parallel group: ``max(1, tp / kv_heads)``.

    The wire carries the copies. Source: Mooncake, sglang-benchmark-results-v1.md: Qwen3-235B (4 KV heads) moves
    385,132 B per token to TP 8, twice its 192,512.
    """
    return maximum(1, tp / kv_heads)


def request_bytes(tokens: Quantity, bytes_per_token: Quantity, copies: Quantity = 1) -> Quantity:
    """Return the KV bytes of a request: ``tokens * bytes_per_token * copies``."""
    return tokens * bytes_per_token * copies
