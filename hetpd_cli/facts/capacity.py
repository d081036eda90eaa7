"""Facts about the size of KV and the room for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.facts.quantities import calculated
from hetpd_cli.facts.registry import derived
from hetpd_cli.facts.values import Unknown, Value
from hetpd_cli.physics.flow import egress_bytes_per_s
from hetpd_cli.physics.kv import ELEMENT_BYTES, heads_bytes_per_token, latent_bytes_per_token
from hetpd_cli.physics.operations import BYTES_PER_GB, BYTES_PER_GIB
from hetpd_cli.tables import cell

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_HALF = "bf16"
"""Element type that the model table gives KV sizes in."""


def _formula(kind: str) -> Callable[..., Any] | None:
    if kind in {"mha", "gqa", "mqa"}:
        return heads_bytes_per_token
    return latent_bytes_per_token if kind == "mla" else None


def _alike_in_all_layers(bf16_bytes: Any, model_base: Value) -> bool:
    """Tell whether the model table agrees that every layer caches alike, as far as it knows the model."""
    found = cell("models", model_base, "kv_bytes_per_token_bf16") if isinstance(model_base, str) else None
    return found is None or found.value == bf16_bytes


@derived(
    "pool",
    "kv.bytes_per_token",
    unit="B/token",
    result="number",
    lenient=(
        "model.attention.kv_heads",
        "model.attention.head_dim",
        "model.attention.kv_lora_rank",
        "model.attention.rope_head_dim",
        "model.base",
        "kv.scales",
    ),
)
def bytes_per_token(  # noqa: PLR0913, PLR0917
    model__attention__kind: str,
    model__grouped_kv: bool,
    model__layers: int,
    model__attention__kv_heads: Value,
    model__attention__head_dim: Value,
    model__attention__kv_lora_rank: Value,
    model__attention__rope_head_dim: Value,
    model__base: Value,
    kv__dtype: str,
    kv__scales: Value,
) -> Any:
    """KV of one token in this pool, the whole model and one copy; draft models and scales of blocks come on top.

    Formulas: :mod:`hetpd_cli.physics.kv`. Not known where layers of several kinds keep KV of their own (windows,
    recurrent layers, layers without attention, the index keys of sparse attention), and where scales are packed
    beside the elements.
    """
    formula = _formula(model__attention__kind)
    if formula is None or model__grouped_kv:
        return Unknown("not every layer of the model keeps KV of the same kind")
    if formula is latent_bytes_per_token:
        widths: tuple[Value, Value] = (model__attention__kv_lora_rank, model__attention__rope_head_dim)
    else:
        widths = (model__attention__kv_heads, model__attention__head_dim)
    element = ELEMENT_BYTES.get(kv__dtype)
    if element is None or kv__scales == "inline" or (element < 1 and isinstance(kv__scales, Unknown)):
        return Unknown(f"how wide an element of {kv__dtype} is with its scales is not known")
    if not all(isinstance(width, int) for width in widths):
        return Unknown("the geometry of the model's attention is not known")
    if not _alike_in_all_layers(formula(model__layers, *widths, ELEMENT_BYTES[_HALF]), model__base):
        return Unknown(f"not every layer of {model__base} has attention")
    return calculated(formula, model__layers, *widths, element)


@derived("pool", "memory.kv_worker_tokens", unit="token", result="integer")
def kv_worker_tokens(memory__kv_capacity_gib: float, devices_per_worker: int, kv__bytes_per_token: float) -> Any:
    """Most tokens whose KV one worker holds: stated capacity of all its devices over the bytes of a token.

    An upper bound: copies of heads or latents on several ranks take room besides.
    """

    def tokens(capacity_gib: float, devices: int, per_token: float) -> int:
        return int(capacity_gib * BYTES_PER_GIB * devices // per_token)

    return calculated(tokens, memory__kv_capacity_gib, devices_per_worker, kv__bytes_per_token)


@derived("pool", "kv.output_gb_per_s", unit="GB/s", result="number")
def kv_output(measured__prefill_uncached_tokens_per_s: float, kv__bytes_per_token: float) -> Any:
    """KV that a prefill pool computes per second at its measured rate of uncached tokens, one copy."""

    def output(tokens_per_s: float, per_token: float) -> Any:
        return egress_bytes_per_s(tokens_per_s, per_token) / BYTES_PER_GB

    return calculated(output, measured__prefill_uncached_tokens_per_s, kv__bytes_per_token)
