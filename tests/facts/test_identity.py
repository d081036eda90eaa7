"""Facts about what has to be one on both sides, and about what joins them: the cases that their rules rest on."""

from __future__ import annotations

from typing import Any

import pytest

from hetpd_cli.deployment import CLOSED
from hetpd_cli.engine.scopes import Scopes
from hetpd_cli.facts.values import NONE, Unknown
from tests.facts.building import AUTO, VLLM, Leaves, boundary, value
from tests.support import deployment_of

U = "unknown"
ANY = Unknown("?")


def of_handoff(path: str, prefill: Leaves, decode: Leaves, **rest: Any) -> Any:
    return value(boundary(prefill, decode, **rest), f"handoff.{path}")


def both(field: str, one: Any, other: Any) -> tuple[Leaves, Leaves]:
    return {field: one}, {field: other}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Qwen/Qwen3-32B", "Qwen/Qwen3-32B", True),
        ("in-house/m", "in-house/m", True),
        ("Qwen/Qwen3-32B", "Qwen/Qwen3-8B", False),
        ("zai-org/GLM-4.6", "zai-org/GLM-4.7", U),  # one row of the table, of one shape
        ("Qwen/Qwen3-32B", "/models/Qwen3-32B", U),
        ("Qwen/Qwen3-32B", "Qwen/Qwen3-32B-FP8", U),
        ("Qwen/Qwen3-32B", ANY, U),
    ],
)
def test_one_model(one, other, same) -> None:
    assert of_handoff("one_model", *both("model.id", one, other)) == same
    assert of_handoff("one_model", *both("model.id", other, one)) == same


def test_two_names_of_two_shapes_are_two_models_but_shapes_alone_say_nothing() -> None:
    small, large = {"model.layers": 32}, {"model.layers": 64}
    assert of_handoff("one_model", {"model.id": "a/b", **small}, {"model.id": "a/c", **large}) is False
    assert of_handoff("one_model", {"model.id": "a/b", **small}, {"model.id": "a/c", **small}) == U
    assert of_handoff("one_model", small, large) == U


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("9216db5781bf", "d47b0d4ae4b4", False),
        ("9216db5781bf", "9216db5", True),
        ("main", "main", True),
        ("main", "9216db5781bf", U),
        ("v1.0", "v1.1", U),
        ("20240101", "20240601", U),
        ("9216db5781bf", ANY, U),
    ],
)
def test_one_revision(one, other, same) -> None:
    sides = [{"model.id": "a/b", "model.revision": revision} for revision in (one, other)]
    assert of_handoff("one_revision", *sides) == same
    assert of_handoff("one_revision", {**sides[0], "model.id": "a/c"}, sides[1]) == U


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("a", "b"), ("b", "a"), True),
        ((), (), True),
        ((), ("a",), True),
        (NONE, ("a",), True),
        ((), ANY, True),
        (("a",), (), False),
        (("a",), NONE, False),
        (("/x/a",), (), False),
        (("a",), ("a", "b"), True),
        (("a", "b"), ("a",), False),
        (("a=/x",), ("a=/x", "b"), True),
        (("a=/x",), ("a=/y",), U),
        (("a=/x", "b"), ("a=/y",), False),
        (("a=/x",), ("b=/x",), False),
        (("/x/a",), ("a",), U),
        (("a",), ("/x/b",), U),
        (("a", "/x/b"), ("c",), False),
        (("a",), ANY, U),
        (ANY, ("a",), U),
    ],
)
@pytest.mark.parametrize("name", ["adapters_covered", "adapters_served"])
def test_adapters_of_prefill_that_decode_serves(name, one, other, same) -> None:
    assert of_handoff(name, *both("model.adapters", one, other)) == same


@pytest.mark.parametrize(
    ("decodes", "covered", "served"),
    [
        ((["a"], ["b"]), False, True),
        ((["a"], ["c"]), False, False),
        ((["a"], ["b=/x"]), False, U),
        ((["a"], None), False, U),
        ((["a"], None, ["b"]), False, True),
        ((["a", "b"], None), True, True),
        ((None, ["a", "b"]), U, True),
    ],
)
def test_adapters_may_be_spread_over_the_decode_pools_of_one_prefill_pool(decodes, covered, served) -> None:
    def pool(name: str, role: str, adapters: list[str] | None) -> str:
        return (
            f"  - {{name: {name}, role: {role}, model: {{id: a/b{f', adapters: {adapters}' if adapters else ''}}}}}\n"
        )

    text = "hetpd: 1\npools:\n" + pool("p", "prefill", ["a", "b"]) + pool("p2", "prefill", ["b", "c"])
    text += "".join(pool(f"d.{number}", "decode", adapters) for number, adapters in enumerate(decodes))
    text += pool("alone", "decode", ["b"])
    text += "handoffs:\n" + "".join(f"  - {{from: p, to: d.{number}}}\n" for number in range(len(decodes)))
    first = Scopes(deployment_of(text + "  - {from: p2, to: alone}\n")).boundaries[0]
    assert value(first, "handoff.adapters_covered") == covered
    assert value(first, "handoff.adapters_served") == served


def test_who_reads_the_kv_of_a_pool() -> None:
    text = (
        "hetpd: 1\nmodel: a/b\npools: [{name: p, role: prefill}, {name: q, role: prefill}, {name: d, role: decode}, "
        "{name: e, role: decode}, {name: x, role: aggregated}]\nhandoffs: [{from: p, to: d}, {from: p, to: e}]\n"
    )
    pools = {scope.label: value(scope, "pool.read_by") for scope in Scopes(deployment_of(text)).of("pool")}
    assert pools == {"p": ("d", "e"), "q": (), "d": ("d",), "e": ("e",), "x": ("x",)}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("yarn:4.0", "yarn:4", True),
        ("YaRN:4", "yarn:4", True),
        ("none", "default", True),
        ("su:4", "longrope:4", True),
        ("yarn:4", "yarn:8", False),
        ("yarn", "none", False),
        ("yarn", "yarn:4", U),
        ("yarn", "yarn", True),
        ("ours:4", "none", U),
        ("ours:4", "ours:4", True),
    ],
)
def test_one_rope_scaling(one, other, same) -> None:
    assert of_handoff("one_rope_scaling", *both("model.position.rope_scaling", one, other)) == same


def test_what_nobody_says_of_a_shared_model_is_one() -> None:
    for name in ("one_model", "one_revision", "adapters_covered", "adapters_served", "one_rope_scaling"):
        assert of_handoff(name, {"model.id": "a/b"}, {"model.id": "a/b"}, shares_model=True) is True
        assert of_handoff(name, {"model.id": "a/b"}, {}) == U


@pytest.mark.parametrize(
    ("dtype", "quantised", "low_bit", "travels_if_dynamic"),
    [
        ("bf16", False, False, True),
        ("fp8_e4m3", True, False, False),
        ("int8", True, False, False),
        ("int4", True, True, False),
        ("nvfp4", True, True, True),
        ("fp8_per_token_head", True, False, True),
        ("fp8_ds_mla", True, False, True),
        (AUTO, U, U, U),
    ],
)
def test_forms_of_kv(dtype, quantised, low_bit, travels_if_dynamic) -> None:
    scope = boundary({"kv.dtype": dtype, "kv.scales": "dynamic"})
    assert value(scope, "prefill.kv.quantised") == quantised
    assert value(scope, "prefill.kv.low_bit") == low_bit
    assert value(scope, "prefill.kv.scales_travel") == travels_if_dynamic


@pytest.mark.parametrize(("scales", "travels"), [("static", True), ("inline", True), (NONE, True), (ANY, U)])
def test_scales_that_are_not_computed_by_the_run_travel(scales, travels) -> None:
    assert value(boundary({"kv.dtype": "fp8_e4m3", "kv.scales": scales}), "prefill.kv.scales_travel") == travels


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("hadamard:128", "Hadamard-128", True),
        ("hadamard:128", "hadamard:64", False),
        ("hadamard:128", NONE, False),
        (NONE, NONE, True),
        ("hadamard:128", ANY, U),
        ("hadamard:128", Unknown("?", ("HADAMARD-128",)), True),
    ],
)
def test_one_rotation(one, other, same) -> None:
    assert of_handoff("one_rotation", *both("kv.rotation", one, other)) == same


def test_what_is_left_to_the_engine() -> None:
    path = "prefill.kv.dtype_left_to_engine"
    assert value(boundary({"kv.dtype": AUTO}), path) is True
    assert value(boundary({"kv.dtype": "bf16"}), path) is False
    assert value(boundary({}), path) == U
    assert value(boundary({}, scope=CLOSED), path) is True
    gone = boundary({"kv.dtype": AUTO})
    assert value(gone.without({gone.subjects["prefill"]: frozenset({"kv.dtype"})}), path) == U


def test_an_id_that_nobody_sets_is_drawn() -> None:
    path = "prefill.connector.engine_id_drawn"
    assert value(boundary({"connector.engine_id": "a"}), path) is False
    assert value(boundary({}), path) == U
    assert value(boundary({}, scope=CLOSED), path) is True


AWQ = {"precision.method": "awq", "precision.weights": "int4"}
PLAIN = {"precision.weights": "bf16"}
IN_BF16 = {"engine.dtype": "bf16"}


@pytest.mark.parametrize(
    ("prefill", "decode", "same"),
    [
        (AWQ, PLAIN, False),
        (AWQ, {"precision.method": "fp8"}, False),
        (AWQ, {"precision.method": "gptq"}, U),
        (AWQ, {"precision.weights": "fp16"}, U),
        ({**AWQ, **IN_BF16}, {**PLAIN, **IN_BF16}, U),
        (PLAIN, {"precision.weights": "fp16"}, False),
        ({"precision.method": "modelopt", **IN_BF16}, {**AWQ, **IN_BF16}, False),
        (AWQ, {"precision.method": "Compressed-Tensors"}, False),
        (PLAIN, {"precision.weights": "int8"}, U),
        ({"engine.dtype": "fp16"}, IN_BF16, False),
        ({"model.dtype": "fp16"}, {"model.dtype": "bf16"}, False),
        ({"model.dtype": "fp16", **IN_BF16}, {"model.dtype": "bf16", **IN_BF16}, U),
        ({}, {}, U),
        ({**AWQ, **IN_BF16, "model.dtype": "fp16"}, {**AWQ, **IN_BF16, "model.dtype": "fp16"}, True),
    ],
)
def test_one_kv_default(prefill, decode, same) -> None:
    assert of_handoff("one_kv_default", prefill, decode) == same
    assert of_handoff("one_kv_default", decode, prefill) == same


@pytest.mark.parametrize(
    ("tp", "heads", "dcp", "kind", "copies"),
    [
        (16, 8, 1, "gqa", 2),
        (16, 8, 2, "gqa", 1),
        (16, 8, 4, "gqa", 1),
        (8, 8, ANY, ANY, 1),
        (16, 8, ANY, "gqa", U),
        (16, 8, 1, ANY, U),
        (16, 1, 1, "mla", 1),
        (6, 4, 1, "gqa", 1.5),
    ],
)
def test_copies_of_a_head(tp, heads, dcp, kind, copies) -> None:
    leaves = {
        "engine.name": "vllm",
        "parallelism.tp": tp,
        "parallelism.dcp": dcp,
        "model.attention.kv_heads": heads,
        "model.attention.kind": kind,
    }
    assert value(boundary(leaves), "prefill.kv.head_copies") == copies


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("FLASH_ATTN", "flash_attn", True),
        ("FLASH_ATTN", "FLASHINFER", False),
        ("ROCM_AITER_FA", "FLASH_ATTN", True),
        ("ours", "FLASH_ATTN", U),
        (AUTO, "FLASH_ATTN", U),
    ],
)
def test_one_attention_backend(one, other, same) -> None:
    assert of_handoff("one_attention_backend", *both("engine.attention_backend", one, other)) == same


@pytest.mark.parametrize(
    ("method", "hashed"),
    [("eagle3", "eagle3"), ("MTP", "mtp"), ("ngram", NONE), (NONE, NONE), ("draft_model", NONE), ("ours", U), (ANY, U)],
)
def test_method_of_speculation_in_a_hash(method, hashed) -> None:
    assert value(boundary({"speculative.method": method}), "prefill.speculative.hashed_method") == hashed


@pytest.mark.parametrize(
    ("engine", "connector", "prefill", "decode", "taken"),
    [
        (("sglang", "0.5.14"), "mooncake", 4, 1, True),
        (("sglang", "0.5.14"), "mooncake", 4, 4, True),
        (("sglang", "0.5.23"), "nixl", 4, 2, False),
        (("sglang", "0.5.23"), "nixl", 1, 2, False),
        (("sglang", "0.5.99"), "nixl", 4, 2, U),
        (("vllm", "0.25.0"), "nixl", 1, 1, True),
        (("vllm", "0.25.0"), "nixl", 2, 1, False),
        (("vllm", "0.25.0"), "nixl", 2, 2, False),
        (("vllm", "0.26.0"), "nixl", 2, 1, U),
        (("vllm", "0.26.0"), "nixl", 1, 1, True),
        (("sglang", "0.5.14"), "mooncake", 4, ANY, U),
    ],
)
def test_pipelines(engine, connector, prefill, decode, taken) -> None:
    common = {"engine.name": engine[0], "engine.version": engine[1], "connector.name": connector}
    sides = [{**common, "parallelism.pp": size} for size in (prefill, decode)]
    assert of_handoff("takes_pp", *sides) == taken


@pytest.mark.parametrize(
    ("version", "connector", "backend", "speculation", "role"),
    [
        ("0.22.0", "nixl", True, False, False),
        ("0.27.0", "nixl", True, False, False),
        ("0.28.0", "nixl", True, True, False),
        ("0.33.0", "mooncake", False, False, True),
        ("0.33.0", "moriio", False, U, True),
        ("9.9.0", "nixl", U, U, U),
    ],
)
def test_demands_of_vllm(version, connector, backend, speculation, role) -> None:
    scope = boundary(*[{**VLLM, "engine.version": version, "connector.name": connector}] * 2)
    names = ("needs_equal_attention_backend", "needs_equal_speculation", "role_decides")
    assert [value(scope, f"handoff.{name}") for name in names] == [backend, speculation, role]


@pytest.mark.parametrize(
    ("speaks", "connector", "spoken"),
    [
        (("nixlv2",), "nixl", True),
        (("NixlConnector", "lmcache"), "lmcache", True),
        (("nixlv2",), "mooncake", False),
        ((), "mooncake", False),
        (("sglang",), "mooncake", U),
        (("sglang", "mooncake"), "mooncake", True),
        (("nixl",), "other", U),
        (("nixl",), "multi", U),
        (("nixl",), NONE, U),
        (ANY, "nixl", U),
    ],
)
def test_what_a_router_speaks(speaks, connector, spoken) -> None:
    scope = boundary({"connector.name": connector}, router={"speaks": speaks})
    assert value(scope, "handoff.router_speaks_connector") == spoken
