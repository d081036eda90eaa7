"""Where facts come from: stated, looked up, derived, the engine's default, or nowhere."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from hetpd_cli.engine.expressions import COLLECTIONS
from hetpd_cli.engine.scopes import Scopes
from hetpd_cli.facts import registry
from hetpd_cli.facts.truth import equal
from hetpd_cli.facts.values import NONE, Unknown
from tests.support import deployment_of

TEMPLATE = """\
hetpd: 1
model: {model}
defaults: {{{defaults}}}
pools:
  - {{name: p, role: prefill{prefill}}}
  - {{name: d, role: decode{decode}}}
"""


def boundary(prefill: str = "", decode: str = "", defaults: str = "", model: str = "Qwen/Qwen3-32B") -> Any:
    text = TEMPLATE.format(
        model=model, defaults=defaults, prefill=prefill and f", {prefill}", decode=decode and f", {decode}"
    )
    (scope,) = Scopes(deployment_of(text)).of("boundary")
    return scope


def origin_and_value(scope: Any, name: str) -> tuple[str, Any]:
    fact = scope.fact(name)
    return fact.origin, None if isinstance(fact.value, Unknown) else fact.value


VLLM = "engine: {name: vllm, version: 0.24.0}"


@pytest.mark.parametrize(
    ("pool", "name", "expected"),
    [
        ("kv: {dtype: bfloat16}", "prefill.kv.dtype", ("stated", "bf16")),
        ("", "prefill.kv.dtype", ("unknown", None)),
        ("", "prefill.model.attention.kv_heads", ("looked up", 8)),
        ("accelerator: h200", "prefill.accelerator.vendor", ("looked up", "NVIDIA")),
        ("accelerator: our-own", "prefill.accelerator.vendor", ("unknown", None)),
        ("engine: {name: vllm, image: 'vllm/vllm-openai:v0.24.0'}", "prefill.engine.version", ("looked up", "0.24.0")),
        ("engine: {name: vllm, image: 'vllm/vllm-openai:latest'}", "prefill.engine.version", ("unknown", None)),
        ("engine: {name: vllm, image: 'my/fork:v0.24.0'}", "prefill.engine.version", ("unknown", None)),
        (f"{VLLM}, connector: nixl", "prefill.connector.lease_s", ("unknown", None)),
        (f"{VLLM}, connector: nixl, unstated: default", "prefill.connector.lease_s", ("default", 30)),
        ("engine: vllm, connector: nixl, unstated: default", "prefill.connector.lease_s", ("unknown", None)),
        ("connector: {name: nixl}", "prefill.connector.permute_local_kv", ("default", False)),
        ("connector: {name: nixl, permute_local_kv: true}", "prefill.connector.permute_local_kv", ("stated", True)),
        (f"{VLLM}, parallelism: {{tp: 4, pp: 2, dp: 2, cp: 1}}", "prefill.parallelism.ranks", ("derived", 16)),
        (f"{VLLM}, parallelism: {{tp: 4}}", "prefill.parallelism.ranks", ("unknown", None)),
        (f"{VLLM}, parallelism: {{tp: 4}}, unstated: default", "prefill.parallelism.ranks", ("derived", 4)),
        ("connector: none", "prefill.connector.name", ("stated", NONE)),
        (f"{VLLM}, unstated: default", "prefill.env.UCX_TLS", ("default", NONE)),
    ],
)
def test_origins(pool, name, expected) -> None:
    assert origin_and_value(boundary(pool), name) == expected


SILENT = f"{VLLM}, accelerator: h200, connector: nixl, unstated: default"


def test_two_silent_pools_are_equal_only_where_all_behind_a_default_is() -> None:
    def same_block_size(prefill: str, decode: str, defaults: str = SILENT) -> Any:
        scope = boundary(prefill, decode, defaults, model="in-house/thing")
        truth = equal(scope.fact("prefill.kv.block_size").value, scope.fact("decode.kv.block_size").value)
        return truth if isinstance(truth, bool) else None

    assert same_block_size("", "") is True
    assert same_block_size("", "accelerator: b200") is None
    assert same_block_size("", "kv: {dtype: fp8}") is None
    assert same_block_size("", "engine: {name: vllm, version: 0.25.0}") is None
    assert same_block_size("kv: {block_size: 16}", "") is None
    assert same_block_size("", "", SILENT.replace("unstated: default", "unstated: unknown")) is None
    digest = "engine: {name: vllm, image: 'vllm/vllm-openai@sha256:abc'}"
    assert same_block_size("", "", SILENT.replace(VLLM, digest)) is True


def test_what_is_no_setting_of_the_engine_is_never_equal_by_silence() -> None:
    scope = boundary("", "", SILENT)
    for path in ("hosts", "devices_per_worker", "measured.step_s", "connector.engine_id"):
        truth = equal(scope.fact(f"prefill.{path}").value, scope.fact(f"decode.{path}").value)
        assert isinstance(truth, Unknown), path


def test_pools_of_one_model_share_what_nobody_says_about_it() -> None:
    scope = boundary(model="in-house/thing")
    assert equal(scope.fact("prefill.model.layers").value, scope.fact("decode.model.layers").value) is True


@pytest.mark.parametrize(
    ("prefill", "decode", "carries", "needs"),
    [
        ("connector: nixl", "connector: nixl", "bytes", None),
        (f"{VLLM}, connector: nixl", f"{VLLM}, connector: nixl", "bytes", True),
        (f"{VLLM}, connector: nixl", f"{VLLM}, connector: mooncake", "bytes", True),
        (f"{VLLM}, connector: mooncake", f"{VLLM}, connector: mooncake", "bytes", False),
        ("engine: {name: vllm, version: 0.99.0}, connector: nixl", f"{VLLM}, connector: mooncake", "bytes", None),
        ("connector: none", "connector: nixl", NONE, None),
        ("connector: lmcache", "connector: lmcache", None, None),
    ],
)
def test_an_ability_is_looked_up_on_each_side(prefill, decode, carries, needs) -> None:
    scope = boundary(prefill, decode)
    assert origin_and_value(scope, "handoff.carries")[1] == carries
    assert origin_and_value(scope, "handoff.needs_equal_engine_version")[1] == needs


@pytest.mark.parametrize(
    ("words", "admits"),
    [
        ("all", True), ("rc,cuda_copy", True), ("ib", True), ("\\\\rc_mlx5,cuda_copy", True), ("gga_mlx5", True),
        ("srd", True),
        ("tcp,cuda_copy", False), ("cuda_ipc", False), ("RC", False), ("tcp,all", False), ("rc:aux,tcp", False),
        ("^ib", False), ("^ud", True), ("^rc,dc,ud", True), ("^rc,dc,ud,gga,srd,rc_gda", False), ("^tcp", True),
        ("", None),
    ],
)  # fmt: skip
def test_words_of_ucx_tls(words, admits) -> None:
    scope = boundary(f'connector: {{name: nixl, env: {{UCX_TLS: "{words}"}}}}')
    assert origin_and_value(scope, "prefill.connector.ucx_rdma")[1] is admits


@pytest.mark.parametrize(
    ("prefill", "decode", "crosses"),
    [
        ("hosts: [a]", "hosts: [b]", True),
        ("hosts: [a]", "hosts: [a]", False),
        ("hosts: [a, b]", "hosts: [a, b]", None),
        ("hosts: [a, b]", "hosts: [b]", None),
        ("", "hosts: [b]", None),
    ],
)
def test_crossing_hosts(prefill, decode, crosses) -> None:
    assert origin_and_value(boundary(prefill, decode), "handoff.crosses_hosts")[1] is crosses


@pytest.mark.parametrize(
    ("host", "reach"),
    [
        ("localhost", "loopback"), ("127.0.0.5", "loopback"), ("::1", "loopback"), ("[::1]", "loopback"),
        ("0.0.0.0", "wildcard"), ("::", "wildcard"), ("10.0.0.1", "routable"), ("pod-0.svc", "routable"),
    ],
)  # fmt: skip
def test_reach_of_a_side_channel(host, reach) -> None:
    scope = boundary(f'connector: {{name: nixl, side_channel: {{host: "{host}"}}}}')
    assert origin_and_value(scope, "prefill.connector.side_channel.reach")[1] == reach


ALL = [derivation for kind in ("pool", "handoff", "workload") for derivation in registry.derivations(kind).values()]


@pytest.mark.parametrize("derivation", ALL, ids=[f"{entry.kind}.{entry.path}" for entry in ALL])
def test_a_derived_fact_names_what_it_receives(derivation) -> None:
    """Its inputs are its parameters, and it reads nothing that changes: no globals beyond constants and functions."""
    assert set(derivation.lenient) <= set(derivation.inputs)
    parameters = inspect.signature(derivation.function).parameters.values()
    if not any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        assert len(list(parameters)) == len(derivation.inputs)
    assert derivation.description


def test_a_derived_fact_depends_on_nothing_else() -> None:
    """With everything but its inputs unknown, it has the value that it had."""
    rich = f"{VLLM}, accelerator: h200, hosts: [a], kv: {{dtype: bf16, block_size: 16, layout: HND}}, parallelism: {{tp: 4, pp: 1, dp: 1, cp: 1}}, precision: {{activations: bf16}}, connector: {{name: nixl, mode: pull, lease_s: 30, side_channel: {{host: h, port: 5600}}, env: {{UCX_TLS: rc}}}}"
    scope = boundary("", "", rich)
    for prefix, subject in scope.subjects.items():
        for path in registry.derivations(subject.kind):
            fact = scope.fact(f"{prefix}.{path}")
            kept = {(behind.owner, behind.path) for behind in fact.support()}
            gone = {
                other: frozenset(name for name in other.section.stated if (other, name) not in kept)
                for other in scope.subjects.values()
            }
            again = scope.without(gone).fact(f"{prefix}.{path}")
            assert repr(again.value) == repr(fact.value), f"{prefix}.{path}"
    assert COLLECTIONS
