"""What a family of cases is: its dimensions, how often which value is drawn, and its words in a deployment file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.tables import Case

Fields = dict[str, Any]
"""Fields of a pool by their dotted path, as a deployment file says them."""


class Family(NamedTuple):
    """Cases about one part of vLLM.

    ``dimensions`` gives the values of each dimension at a release, the usual value first. ``likely`` is the chance that
    a dimension has its usual value (0: all alike), ``alike`` the chance that the two sides' dimensions (`p_`, `d_`)
    have one value. ``fields`` says a case in the words of a deployment file: prefill's and decode's.
    """

    name: str
    about: str
    sizes: dict[str, int]
    """Cases per release."""
    dimensions: Callable[[str], dict[str, list[Any]]]
    likely: dict[str, float]
    alike: dict[str, float]
    fields: Callable[[Case, str], tuple[Fields, Fields]]
    labels: dict[str, str]
    """What labels of the oracle that are no exception of vLLM's rest on."""
    others: dict[str, list[Any]] = {}  # noqa: RUF012
    """Other values of dimensions, by their name without side: for a second grid, of which no table is kept."""

    def other_dimensions(self, version: str) -> dict[str, list[Any]]:
        """Return the dimensions of a release with other values, and those that only the second grid has."""
        found = {}
        for name, values in self.dimensions(version).items():
            found[name] = self.others.get(name.removeprefix("p_").removeprefix("d_"), values)
        return {**found, **{name: values for name, values in self.others.items() if name.startswith("shared_")}}


def both(fields: Fields, prefill: Fields, decode: Fields) -> tuple[Fields, Fields]:
    """Return the fields of both pools: what they share, and what each has."""
    return {**fields, **prefill}, {**fields, **decode}


ENGINE: Fields = {
    "engine.name": "vllm",
    "accelerator": "h100-sxm",
    "devices_per_worker": 64,
    "workers": 1,
    "parallelism.dp_attention": False,
}

DTYPES = {
    "bf16": ("bf16", "bfloat16", "none"),
    "fp16": ("fp16", "float16", "none"),
    "fp8_e4m3": ("fp8_e4m3", "fp8_e4m3", "static"),
    "fp8_e5m2": ("fp8_e5m2", "fp8_e5m2", "static"),
    "nvfp4": ("nvfp4", "nvfp4", "inline"),
}
"""Element type, vLLM's word for it, and where its scales are."""


def kv(dtype: str, word: str | None = None) -> Fields:
    """Return the fields of a KV cache of one element type."""
    canonical, usual, scales = DTYPES[dtype]
    return {
        "kv.dtype": canonical,
        "kv.dtype_word": word or usual,
        "kv.scales": scales,
        "kv.rotation": "none",
        "kv.residual_tokens": 0,
        "kv.quality_probe": "passed",
        "kv.scale_group": "block" if scales == "inline" else "tensor",
    }


def attention(word: str) -> Fields:
    """Return the geometry that a word like `gqa:8`, `window:2`, `mamba2:8` or `mla` stands for.

    Query heads are 480, which every TP size of the tables divides. What has no word for having none (a draft's name, what
    shares a scale) is stated all the same: silence would be a default that hangs on every other setting.
    """
    kind, _, heads = word.partition(":")
    latent = kind in {"mla", "kda"}
    fields: Fields = {
        "model.id": "example/model",
        "model.revision": "main",
        "model.dtype": "bf16",
        "engine.dtype": "bf16",
        "model.layers": 48,
        "model.hidden": 61440,
        "model.attention.kind": "mla" if latent else "gqa",
        "model.attention.heads": 480,
        "model.attention.kv_heads": 1 if latent else int(heads),
        "model.attention.head_dim": 128,
        "model.attention.sliding_window": 1024 if kind == "window" else "none",
        "model.hybrid": kind in {"mamba2", "kda"},
        "model.position.rope_scaling": "none",
        "model.position.rope_theta": 10000,
        "model.encoder_decoder": False,
        "model.mtp_layers": 0,
        "model.adapters": (),
        "precision.weights": "bf16",
        "speculative.draft_model": "example/draft",
        "speculative.tokens": 3,
    }
    if latent:
        fields |= {"model.attention.kv_lora_rank": 512, "model.attention.rope_head_dim": 64}
    if kind in {"mamba2", "kda"}:
        fields["model.state_space"] = kind
    return fields
