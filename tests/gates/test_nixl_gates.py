"""Verdicts on NIXL's handshake switch at the release that changed the check."""

from __future__ import annotations

import pytest

from tests.support import check_text

DENSE, STATE, LATENT = "Qwen/Qwen3-32B", "Qwen/Qwen3-Next-80B-A3B-Instruct", "deepseek-ai/DeepSeek-V3"
HASHED = "connector: {name: nixl, mode: pull}"


def _text(version: str, model: str, shared: str, prefill: str, decode: str) -> str:
    connector = "" if "connector:" in shared + prefill else f", {HASHED}"
    pools = "".join(
        f"  - {{name: {name}, role: {role}, {own}}}\n"
        for name, role, own in (("p", "prefill", prefill), ("d", "decode", decode))
    ).replace("VERSION", version)
    shared = shared.replace("VERSION", version)
    return (
        f"hetpd: 1\nmodel: {model}\ndefaults: {{{shared}{connector}}}\npools:\n{pools}handoffs: [{{from: p, to: d}}]\n"
    )


VLLM = "engine: {name: vllm, version: VERSION}"
CACHED = "engine: {name: vllm, version: VERSION, prefix_caching: true}"
GROUPED = "engine: {name: vllm, version: VERSION, hybrid_kv_manager: true}"
PUSH, PULL = "connector: {name: nixl, mode: push}", HASHED
ON, OFF = (f"engine: {{name: vllm, version: VERSION, hybrid_kv_manager: {word}}}" for word in ("true", "false"))
FLASH = "engine: {name: vllm, version: VERSION, attention_backend: FLASH_ATTN}, kv: {layout: HND}"
CROSSED, PLAIN = (f"connector: {{name: nixl, mode: pull, cross_layer_blocks: {word}}}" for word in ("true", "false"))
PERMUTES = "connector: {name: nixl, mode: pull, permute_local_kv: true}"
IN_HOST = "connector: {name: nixl, mode: pull, buffer_device: cpu}, parallelism: {tp: 4}"
TP1, TP2, TP4, TP8 = (f"parallelism: {{tp: {size}}}" for size in (1, 2, 4, 8))
FEW_HEADS = "{id: in-house/latent, layers: 4, hybrid: false, attention: {kind: mla, kv_heads: 2, sliding_window: none}}"
SMALL, LARGE = (f"kv: {{block_size: {size}, kernel_block_size: {size}}}" for size in (16, 64))
MTP = "{id: in-house/mtp, layers: 4, hybrid: false, mtp_layers: 4, attention: {kind: mla, sliding_window: none}}"
DRAFT = "kv: {layout: HND}, speculative: {method: eagle3, draft_model: in-house/draft, kv_heads: 8}"
DRAFTS_2, DRAFTS_4 = (f"speculative: {{method: mtp, tokens: {count}}}" for count in (2, 4))
NOT, EAGLE = "speculative: {method: none}", "speculative: {method: eagle3, draft_model: in-house/draft}"
UNHASHED = "connector: {name: nixl, mode: pull, enforce_handshake_compat: false}"
ON_BACKEND = "engine: {name: vllm, version: VERSION, hybrid_kv_manager: true, attention_backend"
HALF, BFLOAT = (f"engine: {{name: vllm, version: VERSION, dtype: {word}}}" for word in ("half", "bfloat16"))

GATES = [
    ("HPD253", "0.12.0", "0.13.0", False, True, (DENSE, "kv: {dtype: fp8_e4m3}", HALF, BFLOAT)),
    ("HPD229", "0.12.0", "0.13.0", False, True, (DENSE, VLLM, "kv: {dtype: bf16}", "kv: {dtype: fp8}")),
    ("HPD237", "0.13.0", "0.14.0", True, False, (DENSE, VLLM, TP4, TP2)),
    ("HPD237", "0.17.0", "0.18.0", False, True, (STATE, VLLM, TP1, TP2)),
    ("HPD237", "0.19.0", "0.20.0", True, False, (STATE, VLLM, TP1, TP2)),
    ("HPD205", "0.13.0", "0.14.0", False, True, (DENSE, VLLM, TP8, TP2)),
    ("HPD205", "0.19.0", "0.20.0", True, False, (DENSE, VLLM, TP8, TP2)),
    ("HPD205", "0.20.0", "0.21.0", True, False, (FEW_HEADS, VLLM, TP4, TP2)),
    ("HPD240", "0.14.0", "0.16.0", False, True, (DENSE, FLASH, CROSSED, PLAIN)),
    ("HPD240", "0.28.0", "0.29.0", True, False, (DENSE, FLASH, CROSSED, PLAIN)),
    ("HPD241", "0.17.0", "0.18.0", False, True, (DENSE, "kv: {dtype: bf16}", ON, OFF)),
    ("HPD202", "0.17.0", "0.18.0", False, True, ("openai/gpt-oss-120b", f"{GROUPED}, {TP4}", SMALL, LARGE)),
    ("HPD202", "0.26.0", "0.27.0", True, False, ("openai/gpt-oss-120b", f"{GROUPED}, {TP4}", SMALL, LARGE)),
    ("HPD202", "0.26.0", "0.27.0", False, True, (DENSE, f"{VLLM}, {IN_HOST}", SMALL, LARGE)),
    ("HPD203", "0.31.0", "0.32.0", False, True, (DENSE, f"{VLLM}, {PERMUTES}", "kv: {layout: HND}", "kv: {layout: BLHNC}")),
    (
        "HPD243", "0.21.0", "0.22.0", False, True,
        (STATE, CACHED, "kv: {block_size: 640, kernel_block_size: 64}", "kv: {block_size: 384, kernel_block_size: 64}"),
    ),
    ("HPD232", "0.27.0", "0.28.0", True, False, (DENSE, f"{CACHED}, {PUSH}, kv: {{block_size: 16}}", TP1, TP1)),
    ("HPD242", "0.27.0", "0.28.0", False, True, (DENSE, VLLM, PUSH, PULL)),
    ("HPD502", "0.27.0", "0.28.0", True, False, (DENSE, VLLM, PUSH, PULL)),
    ("HPD216", "0.27.0", "0.28.0", False, True, (DENSE, VLLM, NOT, EAGLE)),
    ("HPD248", "0.27.0", "0.28.0", True, False, (DENSE, VLLM, NOT, EAGLE)),
    ("HPD218", "0.25.0", "0.26.0", True, False, (DENSE, f"{VLLM}, {PUSH}", "parallelism: {tp: 1, pp: 2}", "parallelism: {tp: 1, pp: 1}")),
    (
        "HPD218", "0.30.0", "0.31.0", True, False,
        ("openai/gpt-oss-120b", f"{GROUPED}, {PUSH}, {SMALL}", "parallelism: {tp: 1, pp: 2}", "parallelism: {tp: 1, pp: 1}"),
    ),
    (
        "HPD244", "0.28.0", "0.29.0", False, True,
        (LATENT, VLLM, "parallelism: {tp: 8, cp: 1, dcp: 1}", "parallelism: {tp: 8, cp: 1, dcp: 4}"),
    ),
    (
        "HPD252", "0.28.0", "0.29.0", True, False,
        (LATENT, VLLM, "parallelism: {tp: 8, cp: 1, dcp: 1}", "parallelism: {tp: 8, cp: 1, dcp: 8}"),
    ),
    ("HPD249", "0.30.0", "0.31.0", False, True, (MTP, VLLM, DRAFTS_2, DRAFTS_4)),
    ("HPD245", "0.32.0", "0.33.0", False, True, (DENSE, f"{VLLM}, kv: {{dtype: nvfp4}}", TP2, TP4)),
    (
        "HPD254", "0.19.0", "0.20.0", False, True,
        ("openai/gpt-oss-120b", UNHASHED, f"{ON_BACKEND}: FLASH_ATTN}}", f"{ON_BACKEND}: CPU_ATTN}}"),
    ),
    ("HPD246", "0.32.0", "0.33.0", True, False, (DENSE, f"{VLLM}, kv: {{dtype: nvfp4}}", TP2, TP4)),
    ("HPD247", "0.32.0", "0.33.0", False, True, (LATENT, f"{VLLM}, {DRAFT}", TP4, TP2)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "version", "found", "parts"),
    [(code, *end, parts) for code, before, at, old, new, parts in GATES for end in ((before, old), (at, new))],
)
def test_a_verdict_switches_at_the_release(code, version, found, parts) -> None:
    report = check_text(_text(version, *parts))
    assert (code in {finding.code for finding in report.findings}) is found
    assert code not in {entry.code for entry in report.undecided}
