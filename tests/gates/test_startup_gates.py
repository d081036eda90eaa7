"""Rules about what one side is refused for at start switch at the releases that they name."""

from __future__ import annotations

import pytest

from tests.support import check_text

FILE = """hetpd: 1
model: {{id: ours/m{model}}}
defaults:
  engine: {{name: vllm, version: {version}{engine}}}
  connector: {{name: {connector}{more}}}
  env: {{{env}}}
pools:
  - {{name: p, role: prefill}}
  - {{name: d, role: decode}}
"""
SEGMENTS = "PYTORCH_CUDA_ALLOC_CONF: expandable_segments:True"


def codes(version, connector="nixl", engine="", env="A: b", model="", more="") -> set[str]:
    text = FILE.format(
        version=version, connector=connector, engine=engine and f", {engine}", env=env, model=model, more=more
    )
    return {found.code for found in check_text(text).findings}


@pytest.mark.parametrize(
    ("code", "before", "at", "settings"),
    [
        ("HPD520", "0.13.0", "0.14.0", {"engine": "kv_offloading_gib: 8"}),
        ("HPD521", "0.21.0", "0.22.0", {"engine": "routed_experts: true", "connector": "lmcache"}),
        ("HPD521", "0.31.0", "0.30.0", {"engine": "routed_experts: true", "connector": "lmcache"}),
        ("HPD521", "0.21.0", "0.31.0", {"engine": "routed_experts: true", "connector": "nixl"}),
        ("HPD522", "0.20.0", "0.21.0", {"env": SEGMENTS}),
        ("HPD522", "0.22.0", "0.21.0", {"env": SEGMENTS, "engine": "cumem_allocator: true"}),
        ("HPD523", "0.32.0", "0.33.0", {"engine": "sleep_mode: true", "connector": "moriio"}),
        ("HPD525", "0.12.0", "0.13.0", {"engine": "hybrid_kv_manager: true"}),
        ("HPD525", "0.18.0", "0.17.0", {"engine": "hybrid_kv_manager: true"}),
        ("HPD525", "0.20.0", "0.19.0", {"engine": "hybrid_kv_manager: true", "connector": "mooncake"}),
        ("HPD525", "0.30.0", "0.29.0", {"engine": "hybrid_kv_manager: true", "connector": "moriio"}),
        ("HPD526", "0.19.0", "0.20.0", {"model": ", hybrid: true", "env": "VLLM_SSM_CONV_STATE_LAYOUT: SD"}),
        ("HPD527", "0.22.0", "0.21.0", {"model": ", state_space: gdn"}),
        ("HPD527", "0.25.0", "0.24.0", {"model": ", state_space: mamba1"}),
        ("HPD528", "0.19.0", "0.20.0", {"model": ", hybrid: true", "engine": "hybrid_kv_manager: false"}),
        ("HPD529", "0.22.0", "0.23.0", {"engine": "attention_backend: ROCM_ATTN"}),
        ("HPD529", "0.30.0", "0.29.0", {"engine": "attention_backend: ROCM_AITER_UNIFIED_ATTN"}),
    ],
)
def test_the_verdict_switches_at_the_release(code, before, at, settings) -> None:
    """``before`` is the release on the side of the gate where the rule is silent."""
    assert code not in codes(before, **settings)
    assert code in codes(at, **settings)
