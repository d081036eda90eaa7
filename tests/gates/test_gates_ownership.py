"""Rules about ownership and addresses switch at the releases that their evidence names."""

from __future__ import annotations

import pytest

from tests.support import check_text


def outcome(code: str, text: str) -> str:
    """Return what becomes of a rule on a deployment."""
    report = check_text(text)
    if code in {finding.code for finding in report.findings}:
        return "violated"
    return "undecided" if code in {entry.code for entry in report.undecided} else "decided"


def pair(version: str, prefill: str, decode: str, common: str = "", rest: str = "") -> str:
    """Return a deployment of two pools on one release, which says all of its settings."""
    return f"""hetpd: 1
model: {{id: own/windowed, hybrid: false, attention: {{kind: gqa, sliding_window: 1024}}}}
defaults: {{engine: {{name: vllm, version: {version}}}, unstated: default, parallelism: {{pp: 1}}{common}}}
pools:
  - {{name: p, role: prefill, {prefill}}}
  - {{name: d, role: decode, {decode}}}
{rest}"""


ONE = "workers: 1, host_network: true"
GATES = [
    ("HPD401", "0.21.0", "0.22.0", "connector: {name: nixl, lease_s: 6}", "connector: {name: nixl, lease_s: 60}", ""),
    ("HPD406", "0.22.0", "0.21.0", "connector: nixl", "connector: nixl", ""),
    ("HPD413", "0.21.0", "0.22.0", "connector: {name: nixl, lease_s: 18}", "connector: {name: nixl, lease_s: 60}", ""),
    ("HPD414", "0.21.0", "0.22.0", "connector: {name: nixl, lease_s: 6}", "connector: {name: nixl, lease_s: 5}", ""),
    (
        "HPD415",
        "0.27.0",
        "0.26.0",
        "connector: nixl, workers: 1, hosts: [a, b], parallelism: {tp: 16, dp: 1}",
        "connector: nixl",
        "",
    ),
    ("HPD417", "0.21.0", "0.22.0", "connector: nixl", "connector: nixl", ""),
    ("HPD417", "0.30.0", "0.29.0", "connector: nixl", "connector: nixl", ""),
    (
        "HPD417",
        "0.17.0",
        "0.18.0",
        "connector: nixl",
        "connector: nixl, engine: {hybrid_kv_manager: true}",
        "",
    ),
    ("HPD402", "0.17.0", "0.16.0", "connector: nixl", "connector: nixl", ""),
    ("HPD402", "0.11.0", "0.11.1", "connector: nixl", "connector: nixl", ""),
    ("HPD402", "0.29.0", "0.30.0", "connector: mooncake", "connector: {name: mooncake, failure_policy: recompute}", ""),
    ("HPD418", "0.30.0", "0.29.0", "connector: mooncake", "connector: mooncake", "router: {request_timeout_s: 1800}"),
    (
        "HPD419",
        "0.14.0",
        "0.16.0",
        "connector: {name: mooncake, abort_timeout_s: 480}",
        "connector: {name: mooncake, abort_timeout_s: 120}",
        "",
    ),
    (
        "HPD540",
        "0.24.0",
        "0.25.0",
        "connector: {name: nixl, mode: push, bidirectional: true}",
        "connector: {name: nixl, mode: push}",
        "",
    ),
    (
        "HPD546",
        "0.24.0",
        "0.23.0",
        "connector: {name: nixl, engine_id: one}, workers: 1, hosts: [a, b], parallelism: {tp: 1, dp: 16}",
        "connector: nixl, workers: 1",
        "",
    ),
    (
        "HPD504",
        "0.11.1",
        "0.11.0",
        f"connector: {{name: nixl, side_channel: {{port: 5600}}}}, hosts: [a], {ONE}, parallelism: {{tp: 4, dp: 1}}",
        f"connector: {{name: nixl, side_channel: {{port: 5602}}}}, hosts: [a], {ONE}, parallelism: {{tp: 4, dp: 1}}",
        "",
    ),
]


@pytest.mark.parametrize(("code", "without", "with_it", "prefill", "decode", "rest"), GATES)
def test_the_verdict_switches_at_the_gate(code, without, with_it, prefill, decode, rest) -> None:
    """The first release of the pair gives no finding and is decided, the second one gives the finding."""
    assert outcome(code, pair(with_it, prefill, decode, rest=rest)) == "violated"
    assert outcome(code, pair(without, prefill, decode, rest=rest)) == "decided"


RELEASES = (
    *("0.11.0", "0.11.2", "0.12.0", "0.13.0", "0.14.0", "0.16.0", "0.18.0", "0.20.0", "0.21.0", "0.22.0", "0.24.0"),
    *("0.26.0", "0.28.0", "0.30.0", "0.31.0", "0.33.0"),
)
OWN = {
    *("HPD301", "HPD304", "HPD310", "HPD401", "HPD402", "HPD406", "HPD408", "HPD413", "HPD414", "HPD415", "HPD417"),
    *("HPD418", "HPD419", "HPD502", "HPD504", "HPD512", "HPD540", "HPD541", "HPD542", "HPD543", "HPD545", "HPD546"),
    "HPD547",
}


FIRST_WITH_MOONCAKE = 3


@pytest.mark.parametrize(
    ("release", "connector"),
    [(release, "nixl") for release in RELEASES] + [(release, "mooncake") for release in RELEASES[FIRST_WITH_MOONCAKE:]],
)
def test_a_complete_pair_of_defaults_is_decided_in_every_release(release, connector) -> None:
    """One host, one worker each, everything at its default: nothing is left open, and no error is found."""
    first, second = (f"{{name: {connector}, side_channel: {{port: {port}}}}}" for port in (5600, 5700))
    text = f"""hetpd: 1
model: Qwen/Qwen3-32B
defaults: {{engine: {{name: vllm, version: {release}}}, unstated: default, workers: 1, hosts: [a], host_network: true}}
pools:
  - {{name: p, role: prefill, connector: {first}}}
  - {{name: d, role: decode, connector: {second}}}
"""
    report = check_text(text)
    assert {entry.code for entry in report.undecided} & OWN == set()
    assert {finding.code for finding in report.findings if finding.severity == "error"} & OWN == set()
