"""What is resolved about one side at its start: the hybrid KV cache manager, and what a connector takes."""

from __future__ import annotations

import pytest

from hetpd_cli.deployment import CLOSED
from hetpd_cli.facts.values import NONE, Unknown
from tests.facts.building import boundary

VLLM = {"engine.name": "vllm", "model.id": "ours/m"}


def fact(path, **leaves):
    stated = {**VLLM, **{name.replace("__", "."): value for name, value in leaves.items()}}
    return boundary(stated, scope=CLOSED).fact(f"prefill.{path}").value


@pytest.mark.parametrize(
    ("connector", "version", "on"),
    [
        (NONE, "0.12.0", True),
        (NONE, "0.33.0", True),
        ("nixl", "0.16.0", False),
        ("nixl", "0.18.0", False),
        ("nixl", "0.21.0", False),
        ("nixl", "0.22.0", True),
        ("nixl", "0.23.0", True),
        ("mooncake", "0.23.0", True),
        ("moriio", "0.29.0", False),
        ("moriio", "0.30.0", True),
        ("lmcache", "0.33.0", False),
        ("mooncake-store", "0.33.0", True),
    ],
)
def test_the_hybrid_manager_by_connector_and_release(connector, version, on) -> None:
    assert fact("engine.hybrid_kv_manager", connector__name=connector, engine__version=version) is on


def test_a_connector_that_holds_others_may_turn_it_off() -> None:
    found = fact("engine.hybrid_kv_manager", connector__name="multi", engine__version="0.33.0")
    assert isinstance(found, Unknown)
    assert set(found.candidates or ()) == {True, False}


@pytest.mark.parametrize(
    ("name", "of_class", "version", "takes"),
    [
        ("offloading", "SimpleCPUOffloadConnector", "0.19.0", True),
        ("offloading", "OffloadingConnector", "0.20.0", False),
        ("offloading", "OffloadingConnector", "0.21.0", True),
        ("other", "HF3FSKVConnector", "0.33.0", False),
        ("other", "DecodeBenchConnector", "0.33.0", True),
    ],
)
def test_classes_that_take_hybrid_kv(name, of_class, version, takes) -> None:
    leaves = {"connector__name": name, "connector__class_name": of_class, "engine__version": version}
    assert fact("connector.takes_hybrid_kv", **leaves) is takes


@pytest.mark.parametrize(
    ("leaves", "moves"),
    [
        ({"engine__version": "0.24.0"}, True),
        ({"engine__version": "0.24.0", "engine__cumem_allocator": True}, False),
        ({"engine__version": "0.21.0", "engine__cumem_allocator": True}, True),
        ({"engine__version": "0.21.0", "engine__sleep_mode": True}, False),
    ],
)
def test_pages_that_move(leaves, moves) -> None:
    leaves["env__PYTORCH_CUDA_ALLOC_CONF"] = "max_split_size_mb:64,expandable_segments:True"
    assert fact("engine.moves_kv_pages", **leaves) is moves


@pytest.mark.parametrize(
    ("variables", "over"), [({}, True), ({"env__MC_USE_TENT": "0"}, False), ({"connector__protocol": "tcp"}, False)]
)
def test_mooncake_over_rdma(variables, over) -> None:
    leaves = {"connector__name": "mooncake", "engine__version": "0.33.0", **variables}
    assert fact("connector.over_rdma", **leaves) is over


@pytest.mark.parametrize(
    ("backend", "version", "word", "size", "dtype", "block"),
    [
        ("TRITON_ATTN", "0.24.0", "int4_per_token_head", 16, False, True),
        ("TRITON_ATTN", "0.25.0", "int4_per_token_head", 24, True, False),
        ("flashmla", "0.33.0", "fp8_e5m2", 64, False, True),
        ("TOKENSPEED_MLA", "0.33.0", "fp8", 96, True, True),
    ],
)
def test_what_a_backend_takes(backend, version, word, size, dtype, block) -> None:
    leaves = {"engine__attention_backend": backend, "engine__version": version}
    leaves |= {"kv__dtype_word": word, "kv__block_size": size}
    assert fact("engine.backend_takes_dtype", **leaves) is dtype
    assert fact("engine.backend_takes_block", **leaves) is block


@pytest.mark.parametrize(("model", "has"), [("Qwen/Qwen3-32B", False), ("ours/m", False)])
def test_a_model_of_which_nothing_is_said_has_no_encoder(model, has) -> None:
    assert fact("model.encoder_decoder", model__id=model) is has


def test_a_name_that_may_have_an_encoder() -> None:
    assert isinstance(fact("model.encoder_decoder", model__id="openai/whisper-large-v3"), Unknown)
