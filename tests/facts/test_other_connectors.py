"""What vLLM's Mooncake and MoRI-IO make of two sides, by hand-worked cases, and what stores are told."""

from __future__ import annotations

import pytest

from hetpd_cli.facts.values import Unknown
from tests.facts.building import Leaves, boundary

PLAIN: Leaves = {
    "engine.name": "vllm",
    "connector.name": "mooncake",
    "parallelism.tp": 4,
    "kv.block_size": 16,
    "kv.dtype": "bf16",
    "model.attention.kind": "gqa",
    "model.attention.kv_heads": 8,
    "model.hybrid": False,
}
LATENT: Leaves = {**PLAIN, "model.attention.kind": "mla"}


def fact(name: str, prefill: Leaves, decode: Leaves):
    value = boundary(prefill, decode).fact(name).value
    return value if not isinstance(value, Unknown) else None


@pytest.mark.parametrize(
    ("version", "prefill", "decode", "expected"),
    [
        # TP 2 holds four heads a rank, TP 8 one: the parts are in the ratio of the ranks
        ("0.24.0", {"parallelism.tp": 2}, {"parallelism.tp": 8}, "fit"),
        ("0.24.0", {"parallelism.tp": 8}, {"parallelism.tp": 16}, "refused"),
        ("0.30.0", {"parallelism.tp": 8}, {"parallelism.tp": 16}, "fit"),
        ("0.24.0", {"parallelism.tp": 16}, {"parallelism.tp": 8}, "fit"),
        ("0.24.0", {"parallelism.tp": 16}, {"parallelism.tp": 2}, "misread"),
        ("0.33.0", {"parallelism.tp": 16}, {"parallelism.tp": 2}, "fit"),
        # neither size divides the other: told elsewhere
        ("0.33.0", {"parallelism.tp": 4}, {"parallelism.tp": 6}, "fit"),
        ("0.33.0", {"kv.block_size": 16}, {"kv.block_size": 32}, "refused"),
        # twice the tokens at half the width are as many bytes
        ("0.33.0", {"kv.block_size": 16}, {"kv.block_size": 32, "kv.dtype": "fp8_e4m3"}, "misread"),
        ("0.33.0", {"kv.block_size": 32, "kv.dtype": "fp8_e4m3"}, {"kv.block_size": 16}, "refused"),
        ("0.33.0", {"kv.dtype": "fp8_e4m3"}, {}, "refused"),
        ("0.33.0", {"kv.dtype": "fp16"}, {}, "fit"),
        ("0.24.0", {"kv.dtype": "nvfp4", "parallelism.tp": 2}, {"kv.dtype": "nvfp4"}, "misread"),
        ("0.30.0", {"kv.dtype": "nvfp4", "parallelism.tp": 2}, {"kv.dtype": "nvfp4"}, "refused"),
        ("0.33.0", {"kv.dtype": "nvfp4", "parallelism.tp": 8}, {"kv.dtype": "nvfp4", "parallelism.tp": 16}, "fit"),
        ("0.18.0", {"kv.dtype": "fp8_e4m3"}, {}, "misread"),
        ("0.18.0", {}, {"kv.dtype": "fp8_e4m3"}, "misread"),
        # the kernel's blocks are what is registered, the engine's what is counted
        ("0.33.0", {"kv.block_size": 64, "kv.kernel_block_size": 16}, {"kv.block_size": 64}, "refused"),
        ("0.33.0", {"kv.block_size": 32, "kv.kernel_block_size": 16}, {}, "refused"),
        ("0.33.0", {}, {"kv.block_size": 32, "kv.kernel_block_size": 16}, "misread"),
        # with recurrent layers 0.33 compares as 0.24 does
        ("0.33.0", {"parallelism.tp": 8, "model.hybrid": True}, {"parallelism.tp": 16}, "refused"),
    ],
)
def test_slots_of_heads(version: str, prefill: Leaves, decode: Leaves, expected: str) -> None:
    sides = ({**PLAIN, "engine.version": version, **prefill}, {**PLAIN, "engine.version": version, **decode})
    assert fact("handoff.mooncake_slots", *sides) == expected


@pytest.mark.parametrize(
    ("prefill", "decode", "expected"),
    [
        ({"parallelism.tp": 16}, {"parallelism.tp": 1}, "fit"),
        ({"kv.block_size": 16}, {"kv.block_size": 64}, "misread"),
        ({"kv.block_size": 64}, {"kv.block_size": 16}, "refused"),
        ({"kv.dtype": "fp8_e4m3"}, {}, "misread"),
        ({}, {"kv.dtype": "fp8_e4m3"}, "refused"),
        ({"kv.dtype": "fp8_ds_mla"}, {}, "misread"),
        ({"kv.dtype": "fp8_ds_mla"}, {"kv.dtype": "fp8_e4m3"}, "refused"),
    ],
)
@pytest.mark.parametrize("version", ["0.24.0", "0.33.0"])
def test_slots_of_a_latent(version: str, prefill: Leaves, decode: Leaves, expected: str) -> None:
    sides = ({**LATENT, "engine.version": version, **prefill}, {**LATENT, "engine.version": version, **decode})
    assert fact("handoff.mooncake_slots", *sides) == expected


def test_a_release_that_is_not_known_decides_where_all_agree() -> None:
    wide = {**PLAIN, "parallelism.tp": 8}
    assert fact("handoff.mooncake_slots", wide, {**PLAIN, "parallelism.tp": 16}) is None
    assert fact("handoff.mooncake_slots", wide, wide) == "fit"


@pytest.mark.parametrize(
    ("layouts", "tp", "expected"),
    [
        (("HND", "HND"), (4, 8), True),
        (("NHD", "NHD"), (4, 4), True),
        (("NHD", "NHD"), (4, 8), False),
        (("NHD", "HND"), (4, 4), False),
        (("NHD", "HND"), (8, 16), True),
        (("BLHNC", "HND"), (4, 8), True),
        (("NHD", "NHD"), (8, 16), True),
    ],
)
def test_order_within_a_block(layouts: tuple[str, str], tp: tuple[int, int], expected: bool) -> None:
    sides = [{**PLAIN, "kv.layout": layout, "parallelism.tp": size} for layout, size in zip(layouts, tp, strict=True)]
    assert fact("handoff.mooncake_order", *sides) is expected


@pytest.mark.parametrize(
    ("mode", "tp", "heads", "latent", "expected"),
    [
        ("push", (4, 6), 8, False, "refused"),
        ("push", (3, 6), 8, False, "refused"),
        ("push", (12, 4), 8, False, "refused"),
        ("push", (4, 8), 8, False, "fit"),
        ("push", (16, 8), 8, False, "fit"),
        ("push", (4, 8), 8, True, "fit"),
        ("pull", (8, 4), 8, False, "refused"),
        ("pull", (16, 8), 8, False, "fit"),
        ("pull", (4, 8), 8, True, "fit"),
        ("pull", (4, 6), 8, True, "refused"),
        ("pull", (6, 6), 8, False, "fit"),
    ],
)
def test_tp_over_moriio(mode: str, tp: tuple[int, int], heads: int, latent: bool, expected: str) -> None:
    base: Leaves = {
        **(LATENT if latent else PLAIN),
        "engine.version": "0.33.0",
        "connector.name": "moriio",
        "connector.mode": mode,
        "model.attention.kv_heads": heads,
    }
    sides = ({**base, "parallelism.tp": tp[0]}, {**base, "parallelism.tp": tp[1]})
    assert fact("handoff.moriio_tp", *sides) == expected


@pytest.mark.parametrize(
    ("extra", "tp", "version", "expected"),
    [
        ({}, 2, "0.33.0", 2),
        ({"store_tp_size": "8"}, 2, "0.33.0", 8),
        ({"store_tp_size": "8"}, 2, "0.29.0", 2),
        ({"store_tp_size": "6"}, 4, "0.33.0", 4),
        ({"store_tp_size": "16"}, 4, "0.33.0", 4),
        ({"enable_store_tp_lcm": "true", "prefill_tp_sizes": "2,8"}, 4, "0.33.0", 8),
        ({"enable_store_tp_lcm": "true", "prefill_tp_sizes": "2,x"}, 4, "0.33.0", 4),
    ],
)
def test_shards_of_the_store(extra: dict[str, str], tp: int, version: str, expected: int) -> None:
    leaves: Leaves = {**PLAIN, "engine.version": version, "parallelism.tp": tp}
    for key in ("store_tp_size", "enable_store_tp_lcm", "prefill_tp_sizes"):
        leaves[f"connector.extra.{key}"] = extra.get(key, "")
    assert fact("prefill.connector.store_shards", leaves, PLAIN) == expected
