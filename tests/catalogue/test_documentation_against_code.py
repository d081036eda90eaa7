"""Where vLLM's documentation and its code disagree, the code decides, and the evidence of a rule says so."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from hetpd_cli.engine.catalogue import load_rule
from hetpd_cli.resources import rules_dir
from tests.support import check_text

DENSE, STATE, LATENT = "Qwen/Qwen3-32B", "Qwen/Qwen3-Next-80B-A3B-Instruct", "deepseek-ai/DeepSeek-V3"
GROUPS = "openai/gpt-oss-120b"
ROWS = "{id: our/latent, hybrid: false, attention: {kind: mla, sliding_window: none}}"
MTP = "{id: our/mtp, layers: 4, hybrid: false, mtp_layers: 4, attention: {kind: mla, sliding_window: none}}"
WINDOW = "{{id: our/windows, hybrid: false, attention: {{kind: gqa, sliding_window: {0}}}}}"


class Entry(NamedTuple):
    """A disagreement: the rule that decides, whether it speaks, and a deployment on which code and page differ."""

    code: str
    speaks: bool
    version: str
    model: str
    prefill: str
    decode: str
    common: str = "connector: {name: nixl, mode: pull}"
    engine: str = ""
    rest: str = ""


TP = "parallelism: {{tp: {0}}}"
ENTRIES = {
    "state layers and unequal TP": Entry("HPD237", False, "0.24.0", STATE, TP.format(1), TP.format(2)),
    "KV in groups and two block sizes": Entry(
        "HPD202", False, "0.27.0", GROUPS,
        "kv: {block_size: 16, kernel_block_size: 16}", "kv: {block_size: 64, kernel_block_size: 64}",
        "connector: {name: nixl, mode: pull}, parallelism: {tp: 4}", "hybrid_kv_manager: true",
    ),
    "unequal TP of dense models, fully": Entry(
        "HPD205", True, "0.33.0", DENSE, TP.format(16), TP.format(4),
        "connector: {name: nixl, mode: pull}, kv: {layout: HND}",
    ),
    "block sizes may safely differ": Entry(
        "HPD232", True, "0.33.0", DENSE, "kv: {block_size: 16}", "kv: {block_size: 64}",
        "connector: {name: nixl, mode: pull}, parallelism: {tp: 4}", "prefix_caching: true",
    ),
    "num_speculative_tokens may differ": Entry(
        "HPD249", True, "0.33.0", MTP, "speculative: {method: mtp, tokens: 2}", "speculative: {method: mtp, tokens: 4}"
    ),
    "sliding windows are hashed": Entry(
        "HPD236", False, "0.33.0", WINDOW.format(1024), "kv: {block_size: 16}", f"model: {WINDOW.format(512)}"
    ),
    "layouts are hashed": Entry(
        "HPD203", True, "0.33.0", DENSE, "kv: {layout: NHD}", "kv: {layout: HND}",
        "connector: {name: nixl, mode: pull, enforce_handshake_compat: false}",
    ),
    "HND and NHD are permuted": Entry(
        "HPD203", True, "0.33.0", DENSE, "kv: {layout: NHD}", "kv: {layout: HND}",
        "connector: {name: nixl, mode: pull, permute_local_kv: true}",
    ),
    "block sizes or vice versa": Entry(
        "HPD202", True, "0.33.0", DENSE,
        "kv: {block_size: 64, kernel_block_size: 64}", "kv: {block_size: 16, kernel_block_size: 16}",
    ),
    "cross-layer blocks of two backends": Entry(
        "HPD240", True, "0.24.0", DENSE, "connector: {cross_layer_blocks: true}", "connector: {cross_layer_blocks: false}",
        "connector: {name: nixl, mode: pull}, kv: {layout: HND}", "attention_backend: TRITON_ATTN",
    ),
    "a watchdog fails stale requests": Entry(
        "HPD408", True, "0.33.0", DENSE, "workers: 1", "connector: {push_registration_timeout_s: 60}",
        "connector: {name: nixl, mode: push}", rest="router: {request_timeout_s: 600}",
    ),
    "kv_both in every example": Entry(
        "HPD515", False, "0.33.0", DENSE, "workers: 1", "workers: 1",
        "connector: {name: nixl, mode: pull, role: kv_both}",
    ),
    "identical configurations": Entry(
        "HPD214", False, "0.33.0", DENSE, TP.format(2), TP.format(4),
        "connector: {name: nixl, mode: pull}, kv: {layout: HND}",
    ),
    "the hybrid allocator is enabled, says the log": Entry(
        "HPD241", True, "0.33.0", DENSE, "engine: {hybrid_kv_manager: true}", "engine: {hybrid_kv_manager: false}"
    ),
    "strides of packed rows may differ": Entry(
        "HPD290", True, "0.33.0", ROWS,
        "kv: {block_size: 128, kernel_block_size: 64}", "kv: {block_size: 128, kernel_block_size: 128}",
        "connector: {name: nixl, mode: pull}, kv: {layout: BLHNC}",
    ),
    "nothing on a latent over Mooncake": Entry(
        "HPD261", True, "0.33.0", LATENT, "kv: {block_size: 64}", "kv: {block_size: 128}",
        "connector: {name: mooncake}, kv: {dtype: bf16}, parallelism: {tp: 8, pp: 1}",
    ),
    "a lease reclaims without a heartbeat": Entry(
        "HPD407", True, "0.24.0", DENSE,
        "workers: 2, devices_per_worker: 8, memory: {kv_capacity_gib: 40}", "workers: 2, devices_per_worker: 8",
        "kv: {dtype: bf16}, connector: {name: nixl, mode: pull, lease_s: 480}",
        rest="workload: {input_tokens: 8K, prefix_hit_rate: 0, rate_per_s: 4}",
    ),
}  # fmt: skip
"""What the documentation says, in short words, to the rule that decides."""


def deployment(entry: Entry) -> str:
    engine = f"engine: {{name: vllm, version: {entry.version}{entry.engine and f', {entry.engine}'}}}"
    return f"""hetpd: 1
model: {entry.model}
defaults: {{{engine}, {entry.common}}}
pools:
  - {{name: p, role: prefill, {entry.prefill}}}
  - {{name: d, role: decode, {entry.decode}}}
{entry.rest}
"""


def test_there_are_seventeen() -> None:
    assert len(ENTRIES) == 17


@pytest.mark.parametrize("name", ENTRIES)
def test_the_evidence_tells_both(name) -> None:
    (path,) = rules_dir().rglob(f"{ENTRIES[name].code}-*.yaml")
    kinds = {entry["kind"] for entry in load_rule(path)["evidence"]}
    assert {"source-code", "documentation"} <= kinds


@pytest.mark.parametrize("name", ENTRIES)
def test_the_code_decides(name) -> None:
    entry = ENTRIES[name]
    report = check_text(deployment(entry))
    assert (entry.code in {finding.code for finding in report.findings}) is entry.speaks
    assert entry.code not in {open_one.code for open_one in report.undecided}
