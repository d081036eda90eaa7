"""Defaults that hang on device, model and other settings: each step from silence to a value."""

from __future__ import annotations

from typing import Any

import pytest

from hetpd_cli.deployment import CLOSED
from hetpd_cli.facts.space import Fact
from hetpd_cli.facts.values import DEFAULT, NONE, Unknown
from tests.facts.building import VLLM, Leaves, boundary

QWEN = {"model.id": "Qwen/Qwen3-32B"}
SGLANG = {"engine.name": "sglang"}
CUDA = {"accelerator": "h200"}
ANY = Unknown("?")


def fact(leaves: Leaves, path: str) -> Fact:
    return boundary(leaves, scope=CLOSED).fact(f"prefill.{path}")


@pytest.mark.parametrize(
    ("leaves", "path", "expected"),
    [
        ({**VLLM, **QWEN}, "kv.dtype", "bf16"),
        ({**VLLM, **QWEN, "engine.version": ANY}, "kv.dtype", "bf16"),
        ({**VLLM, **QWEN, "engine.dtype": "fp16"}, "kv.dtype", "fp16"),
        ({**SGLANG, **QWEN}, "kv.dtype", "bf16"),
        ({**VLLM, **QWEN, **CUDA}, "kv.block_size", 16),
        ({**VLLM, **QWEN, "engine.image": "vllm/vllm-openai:v0.24.0"}, "kv.block_size", 16),
        ({**VLLM, **QWEN}, "kv.layout", "HND"),
        ({**VLLM, **QWEN, "env.VLLM_KV_CACHE_LAYOUT": "NHD"}, "kv.layout", "NHD"),
        ({**VLLM, **QWEN, "connector.name": "mooncake"}, "kv.layout", "HND"),
        ({**VLLM, **QWEN}, "engine.prefix_caching", True),
        ({"engine.name": "tensorrt-llm", **QWEN}, "kv.block_size", 32),
        ({"engine.name": "vllm-ascend", **QWEN}, "kv.block_size", 128),
        ({**SGLANG, "engine.attention_backend": "flashmla"}, "kv.block_size", 64),
        ({**VLLM, "model.id": "deepseek-ai/DeepSeek-V3", **CUDA, "engine.attention_backend": "FLASHMLA"},
         "kv.block_size", 64),
        ({"engine.name": "vllm"}, "connector.name", NONE),
        ({"engine.name": "sglang"}, "connector.name", "mooncake"),
        ({"engine.name": "vllm"}, "parallelism.tp", 1),
        ({"engine.name": "vllm", "engine.version": "0.11.0", "connector.name": "nixl"}, "connector.side_channel.port", 5557),
        ({"engine.name": "vllm", "engine.version": "0.14.1"}, "connector.failure_policy", "recompute"),
        ({"engine.name": "vllm", "engine.version": "0.18.0"}, "memory.utilization", 0.9),
    ],
)  # fmt: skip
def test_a_default_is_known(leaves, path, expected) -> None:
    found = fact(leaves, path)
    assert (found.value, found.origin) == (expected, DEFAULT)
    assert found.note
    assert found.behind


@pytest.mark.parametrize(
    ("leaves", "path", "candidates"),
    [
        ({**VLLM, "engine.dtype": "fp16"}, "kv.dtype", {"fp16", "fp8_e4m3", "fp8_e4m3fnuz", "fp8_ds_mla", "nvfp4"}),
        ({**VLLM, **QWEN, "engine.dtype": ANY}, "kv.dtype", {"bf16", "fp16", "fp32", "fp8_e4m3", "fp8_e4m3fnuz",
                                                            "fp8_ds_mla", "nvfp4"}),
        ({**VLLM, **QWEN, "precision.method": "awq"}, "kv.dtype", {"bf16", "fp16", "fp32", "fp8_e4m3", "fp8_e4m3fnuz",
                                                                  "fp8_ds_mla", "nvfp4"}),
        ({**VLLM, **QWEN}, "kv.block_size", {16, 32, 64, 128, 256}),
        ({**VLLM, **QWEN, "accelerator": "mi300x"}, "kv.block_size", {16, 64}),
        ({**VLLM, **QWEN, **CUDA, "engine.attention_backend": "OURS"}, "kv.block_size", {16, 32, 64, 128, 256}),
        (SGLANG, "kv.block_size", {1, 16, 32, 64, 128, 256}),
        ({**VLLM, **QWEN, **CUDA, "engine.image": "vllm/vllm-openai-rocm:nightly"}, "kv.block_size",
         {16, 32, 64, 128, 256}),
        ({**VLLM, "model.id": "Qwen/Qwen3-Next-80B-A3B-Instruct", **CUDA}, "kv.block_size", None),
        ({**VLLM, "model.id": "in-house/thing", **CUDA}, "kv.block_size", None),
        ({"engine.name": "tensorrt-llm", "model.hybrid": False}, "kv.block_size", {32, 64}),
        ({**VLLM, **QWEN, "engine.version": "9.9.0"}, "kv.block_size", None),
        ({**VLLM, **QWEN, "env.VLLM_KV_CACHE_LAYOUT": ANY}, "kv.layout", {"HND", "NHD", "BLHNC", "LHBNC"}),
        ({**VLLM, "model.id": "deepseek-ai/DeepSeek-V3"}, "kv.layout", {"HND", "NHD", "BLHNC", "LHBNC"}),
        ({**VLLM, "model.id": "Qwen/Qwen3-Next-80B-A3B-Instruct"}, "engine.prefix_caching", {True, False}),
        ({"engine.name": "vllm", "engine.version": "9.9.0"}, "parallelism.tp", None),
        ({"engine.name": "tensorrt-llm"}, "connector.name", ...),
    ],
)  # fmt: skip
def test_a_default_that_is_not_known_knows_what_it_can_be(leaves, path, candidates) -> None:
    found: Any = fact(leaves, path).value
    assert isinstance(found, Unknown)
    assert found.left
    if candidates is not ...:
        assert (None if found.candidates is None else set(found.candidates)) == candidates


@pytest.mark.parametrize(
    ("leaves", "written", "word"),
    [
        ({**VLLM, "kv.dtype": "fp8_e4m3"}, "fp8", "fp8"),
        ({**VLLM, "kv.dtype": "fp8_e4m3"}, None, "fp8_e4m3"),
        ({**VLLM, **QWEN}, None, "auto"),
        ({**VLLM, **QWEN, "kv.dtype": Unknown("auto", None, "auto")}, None, "auto"),
        ({**VLLM, "model.id": "in-house/thing"}, None, None),
        ({**VLLM, "kv.dtype": ANY}, None, None),
    ],
)
def test_the_word_for_the_element_type(leaves, written, word) -> None:
    scope = boundary(leaves, scope=CLOSED)
    stated = scope.subjects["prefill"].section.stated
    if written is not None:
        stated["kv.dtype"] = stated["kv.dtype"]._replace(written=written)
    found = scope.fact("prefill.kv.dtype_word").value
    assert (None if isinstance(found, Unknown) else found) == word


def test_the_word_is_not_known_of_an_open_pool_nor_when_taken_away() -> None:
    assert boundary({**VLLM, "kv.dtype": "fp8_e4m3"}).fact("prefill.kv.dtype_word").unknown
    scope = boundary({**VLLM, "kv.dtype": "fp8_e4m3"}, scope=CLOSED)
    without = scope.without({scope.subjects["prefill"]: frozenset({"kv.dtype"})})
    assert without.fact("prefill.kv.dtype_word").unknown


def test_one_image_of_no_known_release_is_one_release() -> None:
    leaves = {"engine.name": "vllm", "engine.image": "my/vllm-runtime:my-tag", "accelerator": "h200", **QWEN}
    scope = boundary({**leaves, "connector.name": "nixl"}, {**leaves, "connector.name": "nixl"}, scope=CLOSED)
    for path in ("engine.version", "engine.attention_backend", "engine.max_sequences"):
        ours, theirs = (scope.fact(f"{side}.{path}").value for side in ("prefill", "decode"))
        assert isinstance(ours, Unknown)
        assert ours.identity is not None
        assert ours.identity == theirs.identity, path


def test_without_an_image_two_silences_are_not_one() -> None:
    leaves = {"engine.name": "vllm", "accelerator": "h200", "connector.name": "nixl", **QWEN}
    scope = boundary(leaves, leaves, scope=CLOSED)
    assert scope.fact("prefill.engine.attention_backend").value.identity is None
