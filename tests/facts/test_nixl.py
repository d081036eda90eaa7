"""NIXL's checks and where blocks land, against a direct reckoning with lists of blocks."""

from __future__ import annotations

from itertools import product
from math import ceil, lcm

import pytest

from hetpd_cli.facts.values import NONE, Unknown
from tests.facts.building import boundary, value

ANY = Unknown("not said")
NIXL = {"engine.name": "vllm", "engine.version": "0.24.0", "connector.name": "nixl", "connector.mode": "pull"}
PLAIN = {
    **NIXL,
    "parallelism.pp": 1,
    "parallelism.tp": 1,
    "connector.bidirectional": False,
    "connector.buffer_device": "device",
    "connector.permute_local_kv": False,
    "engine.hybrid_kv_manager": True,
    "engine.prefix_caching": True,
    "model.attention.kind": "gqa",
    "model.attention.kv_heads": 8,
    "model.attention.sliding_window": NONE,
    "model.hybrid": False,
    "model.state_space": NONE,
    "kv.layout": "HND",
    "kv.block_size": 64,
    "kv.kernel_block_size": 64,
}


def of(path: str, prefill: dict, decode: dict) -> object:
    return value(boundary(PLAIN | prefill, PLAIN | decode), f"handoff.{path}")


def _kernel_blocks(first: int, tokens: int, logical: int, kernel: int) -> list[int]:
    """Return the start, in tokens, of each kernel block of a list that is rounded up to logical blocks."""
    return list(range(first, ceil(tokens / logical) * logical, kernel))


def _lands(source: int, reader: int, kernels: tuple[int, int], tokens: int, cached: int) -> str:
    """Pair the blocks of a prompt as the pull of 0.24 does: from the ends, the reader's cut to the source's kernel."""
    written = _kernel_blocks(0, tokens, source, kernels[0])
    read = _kernel_blocks(cached * reader, tokens, reader, kernels[0])
    if kernels[1] > kernels[0]:
        read = read[: len(written)]
    if len(read) > len(written):
        return "stops"
    return "right" if read == written[-len(read) :] else "misplaced"


@pytest.mark.parametrize("kernels", [(16, 16), (16, 32), (16, 64), (32, 96)])
def test_where_blocks_land(kernels) -> None:
    for source, reader in product((kernels[0] * i for i in (1, 2, 3, 4)), (kernels[1] * i for i in (1, 2, 3))):
        lengths = range(1, 2 * lcm(source, reader) + 2)
        plain = {_lands(source, reader, kernels, tokens, 0) for tokens in lengths}
        hit = {_lands(source, reader, kernels, n, c) for n in lengths for c in (1, 2) if c * reader < n}
        prefill = {"kv.block_size": source, "kv.kernel_block_size": kernels[0]}
        decode = {"kv.block_size": reader, "kv.kernel_block_size": kernels[1]}
        assert of("misplaces_blocks", prefill, decode) is ("misplaced" in plain)
        assert of("stops_on_blocks", prefill, decode) is ("stops" in plain)
        assert of("misplaces_after_hit", prefill, decode) is ("misplaced" in hit)
        assert of("misplaces_after_hit", prefill, decode | {"engine.prefix_caching": False}) is False


FLASH, CPU = (
    {"engine.attention_backend": word, "model.attention.sliding_window": 128} for word in ("FLASH_ATTN", "CPU_ATTN")
)
PUSH, BOTH = {"connector.mode": "push"}, {"connector.bidirectional": True}


@pytest.mark.parametrize(
    ("path", "prefill", "decode", "taken"),
    [
        ("takes_kernel_blocks", {"kv.kernel_block_size": 16}, {}, True),
        ("takes_kernel_blocks", {"kv.kernel_block_size": 16}, BOTH, True),
        ("takes_kernel_blocks", {"kv.kernel_block_size": 16, **BOTH}, BOTH, False),
        ("takes_kernel_blocks", {"kv.kernel_block_size": 16, **PUSH}, PUSH, False),
        ("takes_kernel_blocks", {}, {"kv.kernel_block_size": 16}, False),
        ("takes_kernel_blocks", {"kv.kernel_block_size": 16, "parallelism.tp": 4}, {"parallelism.tp": 2}, False),
        ("takes_kernel_blocks", {"kv.kernel_block_size": 16}, {"model.attention.sliding_window": 4096}, False),
        ("takes_kernel_blocks", {"kv.kernel_block_size": 48}, {}, False),
        ("takes_kernel_blocks", {"kv.kernel_block_size": ANY}, {}, "unknown"),
        ("takes_layouts", {}, {"kv.layout": "NHD"}, False),
        ("takes_layouts", {}, {"kv.layout": "NHD", "connector.permute_local_kv": True}, True),
        ("takes_layouts", {"kv.layout": "NHD"}, {"connector.permute_local_kv": True}, False),
        ("takes_layouts", PUSH, {"kv.layout": "NHD", "connector.permute_local_kv": True, **PUSH}, False),
        (
            "takes_layouts",
            {},
            {"kv.layout": "NHD", "connector.permute_local_kv": True, "connector.buffer_device": "host"},
            True,
        ),
        ("takes_head_order", {"parallelism.tp": 2, "kv.layout": "NHD"}, {"kv.layout": "NHD"}, False),
        ("takes_head_order", {"parallelism.tp": 16, "kv.layout": "NHD"}, {"kv.layout": "NHD"}, True),
        ("takes_copied_heads", {"parallelism.tp": 16}, {"parallelism.tp": 8}, False),
        ("takes_copied_heads", {"parallelism.tp": 8}, {"parallelism.tp": 16}, True),
        ("takes_copied_heads", {"parallelism.tp": 8, **PUSH}, {"parallelism.tp": 16, **PUSH}, False),
        ("keeps_heads_whole", {"parallelism.tp": 8}, {"parallelism.tp": 16}, True),
        ("keeps_heads_whole", {"parallelism.tp": 4}, {"parallelism.tp": 8}, False),
        ("takes_block_bytes", {"kv.dtype": "fp16"}, {"kv.dtype": "bf16"}, True),
        (
            "takes_block_bytes",
            {"kv.dtype": "bf16", "model.attention.head_dim": 64},
            {"kv.dtype": "fp8_e4m3", "model.attention.head_dim": 128},
            True,
        ),
        (
            "takes_block_bytes",
            {"kv.dtype": "bf16", "model.attention.head_dim": 64},
            {"kv.dtype": "fp8_e4m3", "model.attention.head_dim": 256},
            False,
        ),
        ("takes_layers", {"model.layers": 48}, {"model.layers": 32}, False),
        (
            "takes_nvfp4_heads",
            {"kv.dtype": "nvfp4", "parallelism.tp": 4},
            {"kv.dtype": "bf16", "parallelism.tp": 2},
            True,
        ),
        ("takes_nvfp4_heads", {"parallelism.tp": 4}, {"kv.dtype": "nvfp4", "parallelism.tp": 2}, False),
        ("takes_attention_backend", FLASH, CPU, False),
        ("takes_attention_backend", CPU, FLASH, True),
        ("takes_attention_backend", CPU, CPU, True),
        ("takes_attention_backend", FLASH, CPU | {"engine.hybrid_kv_manager": False}, True),
        ("takes_block_bytes", {"kv.dtype": "fp8_e4m3"}, {"kv.dtype": "bf16"}, False),
        ("hash_enforced", {"connector.enforce_handshake_compat": False}, {}, "unknown"),
        ("hash_enforced", {}, {"connector.enforce_handshake_compat": True}, True),
        (
            "hash_enforced",
            {"connector.enforce_handshake_compat": True},
            {"connector.enforce_handshake_compat": False},
            False,
        ),
        (
            "hash_enforced",
            {"connector.enforce_handshake_compat": True, **PUSH},
            {"connector.enforce_handshake_compat": False, **PUSH},
            True,
        ),
    ],
)
def test_what_each_side_takes(path, prefill, decode, taken) -> None:
    assert of(path, prefill, decode) == taken


@pytest.mark.parametrize(
    ("size", "backend", "platform", "kernel"),
    [
        (128, "FLASH_ATTN", ANY, 128),
        (128, "FLASHMLA", ANY, 64),
        (64, "FLASHINFER", ANY, 64),
        (128, "FLASHINFER", ANY, {128, 64}),
        (64, "ROCM_AITER_FA", ANY, 32),
        (16, ANY, ANY, 16),
        (64, ANY, "cuda", 64),
        (64, ANY, ANY, {64, 32}),
    ],
)
def test_the_block_of_the_kernel(size, backend, platform, kernel) -> None:
    leaves = {"kv.block_size": size, "engine.attention_backend": backend, "accelerator.platform": platform}
    found = boundary(leaves).fact("prefill.kv.kernel_block_size").value
    assert (set(found.candidates) if isinstance(found, Unknown) else found) == kernel


def test_two_kernel_blocks_of_one_unknown_backend_are_one() -> None:
    backend = Unknown("left to the engine", None, "default of engine.attention_backend")
    leaves = PLAIN | {"kv.block_size": 256, "engine.attention_backend": backend}
    del leaves["kv.kernel_block_size"]
    assert value(boundary(leaves, leaves), "handoff.takes_kernel_blocks") is True
