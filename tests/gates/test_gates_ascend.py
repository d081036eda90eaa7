"""Each release at which vllm-ascend's Mooncake began to behave otherwise: the verdict switches there."""

from __future__ import annotations

import pytest

from tests.support import check_text

GQA = "{id: our/plain, hybrid: false, attention: {kind: gqa, sliding_window: none}}"
STATE = "{id: our/state, hybrid: true, attention: {kind: gqa, sliding_window: none}}"
TOLD = "prefill_tp_size: {0}, prefill_dp_size: 1, decode_tp_size: {1}, decode_dp_size: 1"


def deployment(
    version: str,
    mode: str,
    prefill: str = "",
    decode: str = "",
    *,
    tp: tuple[int, int] = (8, 8),
    told: bool = True,
    model: str = GQA,
    more: str = "kv: {block_size: 128}",
) -> str:
    extra = f", extra: {{{TOLD.format(*tp)}}}" if told else ""
    return f"""hetpd: 1
model: {model}
defaults:
  unstated: default
  engine: {{name: vllm-ascend, version: {version}}}
  connector: {{name: mooncake, mode: {mode}{extra}}}
  {more}
pools:
  - {{name: p, role: prefill, parallelism: {{tp: {tp[0]}{prefill}}}}}
  - {{name: d, role: decode, parallelism: {{tp: {tp[1]}{decode}}}}}
"""


def blocks(version: str, mode: str, prefill: int, decode: int) -> str:
    text = deployment(version, mode, more="env: {A: b}")
    for name, size in (("p", prefill), ("d", decode)):
        text = text.replace(f"{{name: {name},", f"{{name: {name}, kv: {{block_size: {size}}},")
    return text


GATES = [
    ("HPD285", "0.15.0rc1", "0.14.0rc1", lambda v: deployment(v, "push", told=False)),
    ("HPD286", "0.16.0rc1", "0.17.0rc1", lambda v: deployment(v, "push", tp=(4, 8), told=False, model=STATE)),
    ("HPD286", "0.15.0rc1", "0.14.0rc1", lambda v: deployment(v, "push", tp=(4, 8)).replace("kind: gqa", "kind: mla")),
    ("HPD287", "0.11.0", "0.12.0rc1", lambda v: deployment(v, "pull", decode=", pp: 2")),
    ("HPD287", "0.16.0rc1", "0.17.0rc1", lambda v: deployment(v, "push", decode=", cp: 2")),
    ("HPD288", "0.22.1rc1", "0.23.0rc1", lambda v: blocks(v, "pull", 128, 192)),
    ("HPD288", "0.16.0rc1", "0.17.0rc1", lambda v: blocks(v, "push", 256, 128)),
    ("HPD289", "0.23.0rc1", "0.22.1rc1", lambda v: blocks(v, "pull", 64, 128)),
    ("HPD289", "0.17.0rc1", "0.16.0rc1", lambda v: blocks(v, "push", 64, 128)),
    (
        "HPD554",
        "0.14.0rc1",
        "0.15.0rc1",
        lambda v: deployment(v, "pull").replace("mode: pull", "mode: pull, kv_port: 20001"),
    ),
]
"""The code, the last release (the first, where the fault went) without a finding, its neighbour with one, the text."""


def outcome(code: str, text: str) -> str:
    report = check_text(text)
    if code in {finding.code for finding in report.findings}:
        return "violated"
    return "undecided" if code in {entry.code for entry in report.undecided} else "decided"


@pytest.mark.parametrize(("code", "without", "with_it", "text"), GATES, ids=[f"{gate[0]}-{gate[2]}" for gate in GATES])
def test_the_verdict_switches_at_the_release(code, without, with_it, text) -> None:
    assert outcome(code, text(with_it)) == "violated"
    left = outcome(code, text(without))
    assert left == ("undecided" if code == "HPD554" else "decided")


@pytest.mark.parametrize(
    ("sizes", "split", "expected"),
    [
        ((128, 256), (2, 1, 1, 1), None),
        ((256, 128), (2, 1, 1, 1), None),
        ((128, 256), (4, 1, 1, 2), None),
        ((128, 256), (2, 1, 1, 2), "HPD288"),
        ((256, 128), (4, 1, 1, 2), "HPD288"),
        ((128, 192), (1, 1, 1, 1), "HPD288"),
    ],
)
def test_blocks_that_a_reader_cuts_anew(sizes, split, expected) -> None:
    lines = blocks("0.23.0", "pull", *sizes).splitlines()
    for pool, cp, dcp in (("prefill", *split[:2]), ("decode", *split[2:])):
        lines = [
            line.replace("{tp: 8", f"{{tp: 8, cp: {cp}, dcp: {dcp}") if f"role: {pool}" in line else line
            for line in lines
        ]
    found = {finding.code for finding in check_text("\n".join(lines)).findings} & {"HPD288", "HPD289"}
    assert found == ({expected} if expected else set())


@pytest.mark.parametrize(
    ("version", "found"), [("0.10.0", False), ("0.11.0", True), ("0.25.1", True), ("0.26.0", False)]
)
def test_releases_that_nobody_has_read_are_undecided(version, found) -> None:
    text = deployment(version, "pull", tp=(4, 8))
    assert outcome("HPD286", text) == ("violated" if found else "undecided")
