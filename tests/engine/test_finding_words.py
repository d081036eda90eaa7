"""Findings speak in the words of the source: the arguments of a command, not those of other engines."""

from __future__ import annotations

from typing import Any

import pytest

from hetpd_cli.engine.findings import shown
from hetpd_cli.facts.space import Fact
from hetpd_cli.facts.values import Unknown
from tests.support import check_text

NOBODY: Any = None
SCRIPT = "".join(
    f"vllm serve Qwen/Qwen3-32B --block-size {size} "
    f"""--kv-transfer-config '{{"kv_connector":"NixlConnector","kv_role":"kv_{role}"}}' &\n"""
    for size, role in ((32, "producer"), (48, "consumer"))
)
FILE = """\
hetpd: 1
model: Qwen/Qwen3-32B
defaults: {engine: vllm, connector: {name: nixl, mode: pull}}
pools:
  - {name: prefill, role: prefill, kv: {block_size: 32}}
  - {name: decode, role: decode, kv: {block_size: 48}}
"""


def test_a_fix_has_the_argument_of_the_command_and_no_other_engine_s() -> None:
    fix = {finding.code: finding.fix for finding in check_text(SCRIPT, "serve.sh").findings}["HPD202"]
    assert "--block-size of decode" in fix
    assert "SGLang" not in fix
    assert "(" not in fix
    fix = {finding.code: finding.fix for finding in check_text(FILE).findings}["HPD202"]
    assert "kv.block_size of decode" in fix
    assert "(vLLM --block-size, SGLang --page-size)" in fix


@pytest.mark.parametrize(
    ("unknown", "text"),
    [
        (Unknown("x", candidates=(16, 64)), "16 tokens or 64 tokens"),
        (Unknown("x", candidates=(1, 2, 3, 4, 5)), "unknown"),
        (Unknown("x", left=True), "what the engine takes"),
        (Unknown("x"), "unknown"),
    ],
)
def test_an_unknown_says_what_it_can_be(unknown: Unknown, text: str) -> None:
    fact = Fact(NOBODY, "kv.block_size", unknown, "unknown")
    fact.unit = "token"
    assert shown(fact) == text
