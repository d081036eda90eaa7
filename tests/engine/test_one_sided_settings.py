"""Complete command lines with one side changed: what is found although release, device and model are not known."""

from __future__ import annotations

from typing import Any

import pytest

from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.rule_examples import report_on, spots

RULES = catalogue()
LOCAL = "/models/checkpoint"
KNOWN = "Qwen/Qwen3-32B"

Fields = dict[str, str]


def _vllm(connector: str, model: str = LOCAL, image: str = "my-registry/vllm:my-tag") -> Fields:
    return {
        "engine": f"{{name: vllm, image: '{image}'}}",
        "model": model,
        "connector": connector,
        "devices_per_worker": "4",
        "parallelism": "{tp: 4}",
    }


def _sglang(mode: str) -> str:
    return f"{{name: sglang, image: 'my-registry/sglang-runtime:my-tag', mode: {mode}}}"


def _trtllm(mode: str) -> str:
    return f"{{name: tensorrt-llm, image: 'my-registry/tensorrtllm-runtime:my-tag', mode: {mode}}}"


def _transceiver(backend: str) -> str:
    return f"{{name: trtllm-transceiver, backends: [{backend}]}}"


BASES: dict[str, tuple[Fields, Fields]] = {
    "nixl": (_vllm("nixl"), _vllm("nixl")),
    "nixl-known": (_vllm("nixl", KNOWN), _vllm("nixl", KNOWN)),
    "nixl-release": (
        _vllm("nixl", KNOWN, "vllm/vllm-openai:v0.23.0"),
        _vllm("nixl", KNOWN, "vllm/vllm-openai:v0.23.0"),
    ),
    "mooncake": (
        _vllm("{name: mooncake, role: kv_producer}"),
        _vllm("{name: mooncake, role: kv_consumer}"),
    ),
    "sglang": (
        {"engine": _sglang("prefill"), "model": LOCAL, "devices_per_worker": "8", "parallelism": "{tp: 8}"},
        {"engine": _sglang("decode"), "model": LOCAL, "devices_per_worker": "8", "parallelism": "{tp: 8}"},
    ),
    "trtllm": (
        {
            "engine": _trtllm("prefill"),
            "model": LOCAL,
            "devices_per_worker": "4",
            "parallelism": "{tp: 4, ep: 4, dp_attention: true}",
            "connector": _transceiver("DEFAULT"),
        },
        {
            "engine": _trtllm("decode"),
            "model": LOCAL,
            "devices_per_worker": "4",
            "parallelism": "{tp: 4, ep: 4, dp_attention: true}",
            "connector": _transceiver("DEFAULT"),
        },
    ),
}
FP8, E5M2, BF16 = ({"kv": f"{{dtype: {word}}}"} for word in ("fp8", "fp8_e5m2", "bfloat16"))


def _block(size: int) -> Fields:
    return {"kv": f"{{block_size: {size}}}"}


def _tp(size: int) -> Fields:
    return {"parallelism": f"{{tp: {size}}}"}


def _text(base: str, prefill: Fields, decode: Fields) -> str:
    lines = ["hetpd: 1", "pools:"]
    for name, role, own, changed in (
        ("p", "prefill", BASES[base][0], prefill),
        ("d", "decode", BASES[base][1], decode),
    ):
        body = ", ".join(f"{key}: {value}" for key, value in {**own, **changed}.items() if value)
        lines.append(f"  - {{name: {name}, role: {role}, unstated: default, {body}}}")
    return "\n".join(lines) + "\n"


def _found(base: str, prefill: Fields, decode: Fields) -> dict[str, list[str]]:
    report = report_on(_text(base, prefill, decode), RULES)
    return {finding.code: spots(finding, report.texts) for finding in report.findings}


@pytest.mark.parametrize("base", BASES)
def test_both_sides_alike_are_no_finding(base) -> None:
    assert _found(base, {}, {}) == {}


FAULTS: list[tuple[str, Fields, Fields, str, str]] = [
    ("nixl", FP8, {}, "HPD230", "3:fp8"),
    ("nixl", {}, FP8, "HPD230", "4:fp8"),
    ("nixl", E5M2, {}, "HPD201", "3:fp8_e5m2"),
    ("nixl", _block(48), {}, "HPD231", "3:48"),
    ("nixl", {}, _block(32), "HPD231", "4:32"),
    ("nixl", _block(128), _block(64), "HPD234", "3:128"),
    ("nixl", {"parallelism": "{tp: 2, pp: 2}"}, {}, "HPD218", "3:2"),
    ("nixl", {"connector": "mooncake"}, {}, "HPD501", "3:mooncake"),
    ("nixl", {}, {"connector": "LMCacheConnectorV1"}, "HPD501", "4:LMCacheConnectorV1"),
    ("nixl", {}, {"connector": ""}, "HPD505", "4:d"),
    ("nixl", _tp(8), {}, "HPD102", "3:8"),
    ("nixl", {}, _tp(2), "HPD112", "4:2"),
    ("nixl", _tp(3), {}, "HPD204", "3:3"),
    ("nixl", {"connector": "{name: nixl, role: kv_consumer}"}, {}, "HPD515", "3:kv_consumer"),
    ("nixl-known", FP8, {}, "HPD201", "3:fp8"),
    ("nixl-known", _block(16), _block(64), "HPD232", "4:64"),
    ("nixl-known", {}, _tp(3), "HPD113", "4:3"),
    ("nixl-release", BF16, {}, "HPD229", "3:bfloat16"),
    ("nixl-release", {}, _block(32), "HPD232", "4:32"),
    ("nixl-release", _block(32), {}, "HPD202", "3:32"),
    ("mooncake", FP8, {}, "HPD230", "3:fp8"),
    ("mooncake", _block(64), _block(128), "HPD260", "4:128"),
    ("mooncake", {"connector": "{name: mooncake, role: kv_consumer}"}, {}, "HPD511", "3:kv_consumer"),
    ("sglang", FP8, {}, "HPD230", "3:fp8"),
    ("sglang", {}, _block(64), "HPD231", "4:64"),
    ("sglang", _block(64), _block(32), "HPD202", "3:64"),
    ("sglang", {"connector": "nixl"}, {}, "HPD501", "3:nixl"),
    ("sglang", {"connector": "nixl"}, {"connector": "mooncake"}, "HPD501", "4:mooncake"),
    ("sglang", {}, {"engine": _sglang("prefill")}, "HPD513", "4:prefill"),
    ("sglang", _tp(16), {}, "HPD102", "3:16"),
    ("trtllm", FP8, {}, "HPD230", "3:fp8"),
    ("trtllm", _block(64), {}, "HPD231", "3:64"),
    ("trtllm", _block(64), _block(128), "HPD202", "4:128"),
    ("trtllm", {"connector": _transceiver("UCX")}, {"connector": _transceiver("NIXL")}, "HPD514", "3:[UCX]"),
    ("trtllm", {"connector": _transceiver("MOONCAKE")}, {}, "HPD514", "3:[MOONCAKE]"),
    ("trtllm", {}, {"engine": _trtllm("prefill")}, "HPD513", "4:prefill"),
    ("trtllm", {}, _tp(8), "HPD102", "4:8"),
]


@pytest.mark.parametrize(("base", "prefill", "decode", "code", "at"), FAULTS)
def test_one_side_changed_is_found_at_the_changed_token(base, prefill, decode, code, at) -> None:
    assert at in _found(base, prefill, decode)[code]


ALIKE: list[tuple[str, Any, Any]] = [
    ("nixl", BF16, {}),
    ("nixl", _block(16), {}),
    ("nixl-release", _block(16), {}),
    ("nixl-release", {"kv": "{dtype: auto}"}, {}),
    ("nixl", FP8, FP8),
    ("nixl", {"connector": "MultiConnector"}, {}),
    ("nixl", {"parallelism": "{tp: 1, dp: 4}"}, {}),
    ("nixl", {"connector": "{name: nixl, role: kv_both}"}, {"connector": "{name: nixl, role: kv_consumer}"}),
    ("sglang", {"connector": "mooncake"}, {}),
    ("sglang", {}, {"parallelism": "{tp: 8, dp: 8, dp_attention: true}"}),
    ("sglang", _block(1), {}),
    ("trtllm", _block(32), {}),
    ("trtllm", {"connector": _transceiver("UCX")}, {}),
    ("trtllm", {}, {"parallelism": "{tp: 4}"}),
]


@pytest.mark.parametrize(("base", "prefill", "decode"), ALIKE)
def test_what_may_be_alike_is_no_finding(base, prefill, decode) -> None:
    assert _found(base, prefill, decode) == {}


def test_a_dynamo_image_of_vllm_may_choose_a_connector_itself() -> None:
    image = {"engine": "{name: vllm, image: 'my-registry/vllm-runtime:my-tag'}", "connector": ""}
    assert _found("nixl", image, image) == {}
