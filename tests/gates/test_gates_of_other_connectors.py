"""Each release at which vLLM's Mooncake, MoRI-IO or offloading began to behave otherwise: the verdict switches there."""

from __future__ import annotations

import pytest

from tests.support import check_text

GQA = "{id: our/plain, hybrid: false, attention: {kind: gqa, heads: 64, kv_heads: 8, head_dim: 128, sliding_window: none}}"
MLA = "{id: our/latent, hybrid: false, attention: {kind: mla, heads: 128, kv_heads: 128, head_dim: 128}}"
WINDOWS = "{id: our/windows, hybrid: false, attention: {kind: gqa, heads: 64, kv_heads: 8, head_dim: 128, sliding_window: 512}}"
KDA = "{id: our/kda, hybrid: true, state_space: kda, attention: {kind: gqa, heads: 64, kv_heads: 8, head_dim: 128}}"


def deployment(
    version: str,
    connector: str,
    prefill: str = "",
    decode: str = "",
    *,
    model: str = GQA,
    kv: str = "{dtype: bf16, block_size: 16, layout: HND}",
    tp: tuple[int, int] = (4, 4),
) -> str:
    return f"""hetpd: 1
model: {model}
defaults:
  unstated: default
  engine: {{name: vllm, version: {version}, dtype: bf16, attention_backend: TRITON_ATTN, hybrid_kv_manager: true}}
  connector: {connector}
  speculative: {{method: none}}
  kv: {kv}
pools:
  - {{name: p, role: prefill, parallelism: {{tp: {tp[0]}, pp: {prefill or 1}}}}}
  - {{name: d, role: decode, parallelism: {{tp: {tp[1]}, pp: {decode or 1}}}}}
"""


MOONCAKE = "{name: mooncake, role: kv_both}"
WRITES = "{name: moriio, mode: push, extra: {http_port: 8100, proxy_ip: 10.0.0.1, proxy_ping_port: 36367}}"
READS = WRITES.replace("push", "pull")


def mooncake(version: str, **rest) -> str:
    return deployment(version, MOONCAKE, **rest)


GATES = {
    "HPD267 unequal TP": ("HPD267", "0.18.0", "0.19.0", lambda v: mooncake(v, tp=(8, 4))),
    "HPD260 more ranks than heads": ("HPD260", "0.29.0", "0.30.0", lambda v: mooncake(v, tp=(8, 16))),
    "HPD261 copies of one head into blocks of two": ("HPD261", "0.29.0", "0.30.0", lambda v: mooncake(v, tp=(16, 4))),
    "HPD263 stages": ("HPD263", "0.23.0", "0.24.0", lambda v: mooncake(v, prefill="2")),
    "HPD263 stages of decode": ("HPD263", "0.29.0", "0.30.0", lambda v: mooncake(v, decode="2")),
    "HPD264 drafts of decode alone": (
        "HPD264",
        "0.23.0",
        "0.24.0",
        lambda v: mooncake(v).replace("{name: d,", "{name: d, speculative: {method: eagle3},"),
    ),
    "HPD265 kernel blocks": (
        "HPD265",
        "0.29.0",
        "0.30.0",
        lambda v: mooncake(v, kv="{dtype: bf16, block_size: 64, kernel_block_size: 16, layout: HND}"),
    ),
    "HPD270 a reader of copies": (
        "HPD270",
        "0.24.0",
        "0.25.0",
        lambda v: deployment(v, READS, model=MLA, kv="{dtype: bf16, block_size: 64}", tp=(8, 4)),
    ),
    "HPD270 a writer of heads": ("HPD270", "0.32.0", "0.33.0", lambda v: deployment(v, WRITES, tp=(8, 4))),
    "HPD549 keys of the proxy": (
        "HPD549",
        "0.27.0",
        "0.28.0",
        lambda v: deployment(v, "{name: moriio, mode: push, extra: {http_port: 8100}}"),
    ),
    "HPD276 recurrent layers read": (
        "HPD276",
        "0.30.0",
        "0.31.0",
        lambda v: deployment(v, READS, model=KDA.replace("head_dim: 128", "head_dim: 128, sliding_window: none")),
    ),
    "HPD276 recurrent layers written": (
        "HPD276",
        "0.32.0",
        "0.33.0",
        lambda v: deployment(v, WRITES, model=KDA.replace("head_dim: 128", "head_dim: 128, sliding_window: none")),
    ),
    "HPD552 blocks were counted": (
        "HPD552",
        "0.13.0",
        "0.14.0",
        lambda v: deployment(v, "{name: offloading, extra: {cpu_bytes_to_use: 1000000000}}"),
    ),
}
"""Name to the code, the last release that breaks, the first that does not, and the deployment."""

LATER = {
    "HPD260 NVFP4 split by heads": (
        "HPD260",
        "0.29.0",
        "0.30.0",
        lambda v: mooncake(v, kv="{dtype: nvfp4, block_size: 16, layout: HND}", tp=(4, 8)),
    ),
    "HPD276 windows written": ("HPD276", "0.29.0", "0.30.0", lambda v: deployment(v, WRITES, model=WINDOWS)),
}
"""The same, where a later release refuses what an earlier one took."""


def codes(text: str) -> set[str]:
    return {finding.code for finding in check_text(text).findings}


@pytest.mark.parametrize("name", GATES)
def test_the_last_release_that_breaks_and_the_first_that_does_not(name: str) -> None:
    code, breaks, takes, text = GATES[name]
    assert code in codes(text(breaks))
    report = check_text(text(takes))
    assert code not in {finding.code for finding in report.findings}
    assert code not in {entry.code for entry in report.undecided}


@pytest.mark.parametrize("name", LATER)
def test_the_last_release_that_takes_it_and_the_first_that_does_not(name: str) -> None:
    code, takes, breaks, text = LATER[name]
    report = check_text(text(takes))
    assert code not in {finding.code for finding in report.findings}
    assert code not in {entry.code for entry in report.undecided}
    assert code in codes(text(breaks))


def two(prefill: str, decode: str) -> str:
    text = mooncake("0.33.0").replace("version: 0.33.0, ", "")
    for name, version in (("p", prefill), ("d", decode)):
        text = text.replace(f"{{name: {name},", f"{{name: {name}, engine: {{version: {version}}},")
    return text


@pytest.mark.parametrize(
    ("prefill", "decode", "read"),
    [
        ("0.16.0", "0.14.0", False),
        ("0.19.0", "0.18.0", False),
        ("0.18.0", "0.19.0", True),
        ("0.20.0", "0.19.0", False),
        ("0.19.0", "0.20.0", False),
        ("0.24.0", "0.23.0", False),
        ("0.23.0", "0.24.0", True),
        ("0.25.0", "0.24.0", False),
        ("0.24.0", "0.25.0", True),
        ("0.33.0", "0.25.0", True),
    ],
)
def test_messages_of_two_releases_of_mooncake(prefill: str, decode: str, read: bool) -> None:
    assert ("HPD548" not in codes(two(prefill, decode))) is read


@pytest.mark.parametrize(
    ("version", "mode", "blocks", "expected"),
    [
        ("0.23.0", "push", (32, 16), "HPD273"),
        ("0.24.0", "push", (32, 16), "HPD272"),
        ("0.25.0", "push", (32, 16), "HPD272"),
        ("0.26.0", "push", (32, 16), "HPD273"),
        ("0.32.0", "push", (32, 16), "HPD273"),
        ("0.33.0", "push", (32, 16), "HPD272"),
        ("0.32.0", "pull", (16, 32), "HPD273"),
        ("0.32.0", "pull", (32, 16), "HPD272"),
    ],
)
def test_blocks_of_two_sizes_over_moriio(version: str, mode: str, blocks: tuple[int, int], expected: str) -> None:
    text = deployment(version, WRITES if mode == "push" else READS, kv="{dtype: bf16, layout: HND}")
    for name, size in zip(("p", "d"), blocks, strict=True):
        text = text.replace(f"{{name: {name},", f"{{name: {name}, kv: {{block_size: {size}}},")
    assert codes(text) & {"HPD272", "HPD273"} == {expected}


@pytest.mark.parametrize(("version", "told"), [("0.32.0", False), ("0.33.0", True)])
def test_moriio_tells_layouts_from_0_33_on(version: str, told: bool) -> None:
    text = deployment(version, READS, kv="{dtype: bf16, block_size: 16}")
    for name, layout in (("p", "HND"), ("d", "NHD")):
        text = text.replace(f"{{name: {name},", f"{{name: {name}, kv: {{layout: {layout}}},")
    assert ("HPD274" not in codes(text)) is told
