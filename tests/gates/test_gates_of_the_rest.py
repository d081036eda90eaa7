"""Gates of rules about sizes, states, backends and leases that no other file of this folder has."""

from __future__ import annotations

import pytest

from tests.support import check_text

NIXL = "connector: {name: nixl, mode: pull}"
KV = "kv: {dtype: bf16, block_size: 16, layout: HND}"
LEASE = "connector: {name: nixl, mode: pull, lease_s: 12}"
STRANDED = "workload: {input_tokens: 8K, prefix_hit_rate: 0, rate_per_s: 4}"


def deployment(version: str, common: str, prefill: str, decode: str, rest: str = "", engine: str = "") -> str:
    return f"""hetpd: 1
model: Qwen/Qwen3-32B
defaults: {{engine: {{name: vllm, version: {version}{engine and f", {engine}"}}}, {common}}}
pools:
  - {{name: p, role: prefill, {prefill}}}
  - {{name: d, role: decode, {decode}}}
{rest}
"""


GATES = [
    ("HPD284", "0.23.0", "0.24.0", (f"unstated: default, {KV}, connector: p2p-nccl", "parallelism: {tp: 4, pp: 1}", "parallelism: {tp: 2, pp: 1}")),
    (
        "HPD407", "0.22.0", "0.21.0",
        ("kv: {dtype: bf16}, connector: {name: nixl, mode: pull, lease_s: 480}",
         "workers: 2, devices_per_worker: 8, memory: {kv_capacity_gib: 40}", "workers: 2", STRANDED),
    ),
    ("HPD420", "0.22.0", "0.21.0", (LEASE, "measured: {step_s: 5}", "measured: {step_s: 1}")),
    ("HPD503", "0.13.0", "0.12.0", (f"{NIXL}, {KV}", "workers: 1", "workers: 1, engine: {version: VERSION+cu126}")),
    (
        "HPD228", "0.28.0", "0.27.0",
        (f"{NIXL}, {KV}", "speculative: {method: eagle3, draft_model: ours/a}", "speculative: {method: eagle3, draft_model: ours/b}"),
    ),
    (
        "HPD239", "0.28.0", "0.27.0",
        (f"{NIXL}, {KV}", "speculative: {method: eagle3, draft_model: ours/a, revision: main}",
         "speculative: {method: eagle3, draft_model: ours/a, revision: '0123abcd'}"),
    ),
    (
        "HPD551", "0.22.0", "0.21.0",
        ("unstated: default", "connector: {name: multi, held: {classes: [OffloadingConnector, ExampleHiddenStatesConnector]}}",
         "connector: multi"),
    ),
    (
        "HPD551", "0.20.0", "0.19.0",
        ("unstated: default", "connector: {name: multi, held: {classes: [MooncakeConnector, ExampleHiddenStatesConnector]}}",
         "connector: multi"),
    ),
    ("HPD556", "0.17.0", "0.16.0", ("connector: {name: lmcache, extra: {use_layerwise: true}}", "workers: 1", "workers: 1")),
    ("HPD218", "0.25.0", "0.26.0", ("connector: {name: nixl, mode: push}, parallelism: {tp: 1}", "parallelism: {pp: 2}", "parallelism: {pp: 1}")),
    (
        "HPD527", "0.20.0", "0.19.0",
        ("model: {id: ours/h, state_space: gdn}, connector: nixl", "workers: 1", "workers: 1"),
    ),
    (
        "HPD530", "0.18.0", "0.17.0",
        ("connector: nixl, kv: {dtype: bf16, dtype_word: bfloat16, block_size: 16}", "workers: 1", "workers: 1", "", "attention_backend: FLASHMLA"),
    ),
    (
        "HPD290", "0.33.0", "0.32.0",
        (f"model: {{id: our/latent, hybrid: false, attention: {{kind: mla, sliding_window: none}}}}, {NIXL}, kv: {{layout: BLHNC}}",
         "kv: {block_size: 128, kernel_block_size: 64}", "kv: {block_size: 128, kernel_block_size: 128}"),
    ),
]  # fmt: skip
"""The code, the release on the side of the gate with a finding, its neighbour without one, the deployment."""


@pytest.mark.parametrize(("code", "with_it", "without", "parts"), GATES, ids=[f"{gate[0]}-{gate[1]}" for gate in GATES])
def test_the_verdict_switches_at_the_release(code, with_it, without, parts) -> None:
    for version, found in ((with_it, True), (without, False)):
        report = check_text(deployment(version, *parts).replace("VERSION", version))
        assert (code in {finding.code for finding in report.findings}) is found
        assert code not in {entry.code for entry in report.undecided}
