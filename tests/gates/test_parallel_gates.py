"""Verdicts on stages and context parallelism switch at the release that changed the check."""

from __future__ import annotations

import pytest

from tests.support import check_text

DENSE, LATENT, SPARSE = "Qwen/Qwen3-32B", "deepseek-ai/DeepSeek-V3", "deepseek-ai/DeepSeek-V3.2"
KIMI = (
    "{id: in-house/kimi, layers: 4, hybrid: true, state_space: kda, attention: {kind: mla, heads: 32, kv_heads: 1, "
    "sliding_window: none}}"
)
PULL, PUSH = "connector: {name: nixl, mode: pull}", "connector: {name: nixl, mode: push, role: producer}"
WRITES = "connector: {name: nixl, mode: pull, role: producer}"
BOTH = "connector: {name: nixl, mode: pull, role: both}"
BLOCKS_16, BLOCKS_64 = (f"kv: {{block_size: {size}, kernel_block_size: {size}}}" for size in (16, 64))


def ranks(tp: int = 1, pp: int = 1, cp: int = 1, dcp: int = 1) -> str:
    return f"parallelism: {{tp: {tp}, pp: {pp}, cp: {cp}, dcp: {dcp}}}"


GATES = [
    ("HPD258", "0.25.0", "0.26.0", False, True, (DENSE, "kv: {layout: HND}", f"{BOTH}, {ranks(4)}", f"{BOTH}, {ranks(2, pp=2)}")),
    ("HPD218", "0.25.0", "0.26.0", True, False, (DENSE, "kv: {layout: HND}", f"{BOTH}, {ranks(4)}", f"{BOTH}, {ranks(2, pp=2)}")),
    ("HPD257", "0.28.0", "0.29.0", False, True, (LATENT, PULL, f"{ranks(8)}, {BLOCKS_16}", f"{ranks(8, dcp=8)}, {BLOCKS_64}")),
    ("HPD252", "0.28.0", "0.29.0", True, False, (LATENT, PULL, ranks(8, dcp=8), ranks(4, dcp=4))),
    ("HPD244", "0.28.0", "0.29.0", False, True, (LATENT, "kv: {layout: HND}", f"{WRITES}, {ranks(4, cp=2)}", f"{PULL}, {ranks(4)}")),
    ("HPD244", "0.29.0", "0.30.0", True, False, (LATENT, "kv: {layout: HND}", f"{WRITES}, {ranks(4, cp=2)}", f"{PULL}, {ranks(4)}")),
    ("HPD244", "0.29.0", "0.30.0", True, False, (SPARSE, "kv: {layout: HND}", f"{WRITES}, {ranks(1, cp=4, dcp=4)}", f"{PULL}, {ranks(4)}")),
    ("HPD244", "0.29.0", "0.30.0", True, False, (KIMI, PULL, ranks(4, dcp=4), ranks(4, dcp=4))),
    ("HPD538", "0.25.0", "0.26.0", True, False, (LATENT, PULL, ranks(4, cp=2), ranks(4))),
    ("HPD538", "0.31.0", "0.32.0", True, False, (LATENT, PUSH, ranks(4, pp=2, cp=2), ranks(4))),
    ("HPD538", "0.29.0", "0.30.0", False, True, (LATENT, PUSH, ranks(1, cp=2, dcp=2), ranks(4))),
]  # fmt: skip


def text(version: str, model: str, shared: str, prefill: str, decode: str) -> str:
    pools = "".join(
        f"  - {{name: {name}, role: {role}, {own}}}\n"
        for name, role, own in (("p", "prefill", prefill), ("d", "decode", decode))
    )
    engine = f"engine: {{name: vllm, version: {version}, prefix_caching: false}}"
    return (
        f"hetpd: 1\nmodel: {model}\ndefaults: {{{engine}, {shared}}}\npools:\n{pools}handoffs: [{{from: p, to: d}}]\n"
    )


@pytest.mark.parametrize(
    ("code", "version", "found", "parts"),
    [(code, *end, parts) for code, before, at, old, new, parts in GATES for end in ((before, old), (at, new))],
)
def test_a_verdict_switches_at_the_release(code, version, found, parts) -> None:
    report = check_text(text(version, *parts))
    assert (code in {finding.code for finding in report.findings}) is found
    assert code not in {entry.code for entry in report.undecided}
