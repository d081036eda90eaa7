"""Configuration, baseline and own rules by the command line: files found, exit codes, what is written."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from hetpd_cli.cli.app import run
from hetpd_cli.engine.check import RuleCrashError
from hetpd_cli.tables import use_own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., tuple[int, str, str]]

PAIR = """\
hetpd: 1
pools:
  - {name: p, role: prefill, connector: nixl, kv: {dtype: bf16}}
  - {name: d, role: decode, connector: mooncake, kv: {dtype: fp16}}
"""
FINE = PAIR.replace("mooncake", "nixl").replace("fp16", "bf16")
RULE = """\
code: ACME301
name: side-channel-port-of-another-team
title: A side channel uses a port of another team
severity: error
impact: hang
confidence: certain
over: pool
require: pool.connector.side_channel.port >= 6000
message: "{pool} listens on {pool.connector.side_channel.port}, below 6000"
why: Ports below 6000 belong to the storage team.
fix: "set connector.side_channel.port of {pool} to 6000 or above"
evidence: [{kind: documentation, at: our wiki, says: who has which ports}]
since: 0.1.0
examples:
  bad:
    - title: a low port
      deployment: |
        hetpd: 1
        pools: [{name: p, role: prefill, connector: {name: nixl, side_channel: {port: 5600}}}]
      at: ["2:5600"]
  good:
    - title: a high port
      deployment: |
        hetpd: 1
        pools: [{name: p, role: prefill, connector: {name: nixl, side_channel: {port: 6000}}}]
  near-miss:
    - title: no port
      deployment: |
        hetpd: 1
        pools: [{name: p, role: prefill, connector: nixl}]
"""


@pytest.fixture
def hetpd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "a.yaml").write_text(PAIR)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    yield call
    use_own([])


def codes(shown: str) -> list[str]:
    return sorted(finding["code"] for finding in json.loads(shown)["findings"] if finding["suppressed"] is None)


def check(hetpd: Run, *arguments: str) -> tuple[int, list[str]]:
    code, shown, said = hetpd("check", "deploy", "-f", "json", *arguments)
    assert said == ""
    return code, codes(shown)


def test_the_configuration_above_the_inputs_holds(hetpd, tmp_path) -> None:
    assert check(hetpd) == (1, ["HPD201", "HPD501"])
    (tmp_path / "hetpd.toml").write_text('ignore = ["HPD5"]\n[rules.HPD201]\nseverity = "warning"\n')
    assert check(hetpd) == (0, ["HPD201"])
    assert check(hetpd, "--no-config") == (1, ["HPD201", "HPD501"])
    (tmp_path / "other.toml").write_text('select = ["HPD5"]\nfail-on = "never"\n')
    assert check(hetpd, "--config", "other.toml") == (0, ["HPD501"])


def test_the_command_line_comes_before_the_configuration(hetpd, tmp_path) -> None:
    (tmp_path / "hetpd.toml").write_text('select = ["HPD5"]\nfail-on = "never"\n')
    assert check(hetpd) == (0, ["HPD501"])
    assert check(hetpd, "--fail-on", "error") == (1, ["HPD501"])
    assert check(hetpd, "--select", "HPD2") == (0, ["HPD201"])
    assert check(hetpd, "--ignore", "HPD501") == (0, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("selct = []\n", "hetpd: hetpd.toml:1: selct is no key of the configuration, did you mean select?\n"),
        ("ignore = ['HPD777']\n", "hetpd: HPD777 names no rule"),
        ("[rules.HPD777]\n", "hetpd: hetpd.toml:1: HPD777 names no rule"),
        ("[[assume]]\nfact='x'\nvalue=1\nreason='r'\n", "hetpd: hetpd.toml:1: x is no fact of a pool"),
        (
            "baseline = 'none.json'\n",
            "hetpd: no baseline: cannot read none.json: no such file; --write-baseline makes one",
        ),
        ("rule-folders = ['none']\n", "hetpd: hetpd.toml: rule-folders: none: no such folder of rules\n"),
        ("table-folders = ['none']\n", "hetpd: hetpd.toml: table-folders: cannot read the tables in none"),
        ("x = [", "hetpd: hetpd.toml: not TOML"),
    ],
)
def test_a_faulty_configuration_is_wrong_usage(hetpd, tmp_path, text, message) -> None:
    (tmp_path / "hetpd.toml").write_text(text)
    code, shown, said = hetpd("check", "deploy")
    assert (code, shown) == (2, "")
    assert said.startswith(message)


def test_every_fault_has_its_line(hetpd, tmp_path) -> None:
    (tmp_path / "hetpd.toml").write_text("selct = []\nignor = []\n")
    assert len(hetpd("check", "deploy")[2].splitlines()) == 2


def test_config_and_no_config_exclude_each_other(hetpd) -> None:
    assert hetpd("check", "deploy", "--config", "x", "--no-config")[0] == 2
    assert hetpd("check", "deploy", "--config", "missing.toml")[0] == 2


# -- baseline --------------------------------------------------------------------------------------------------


def test_a_baseline_is_written_used_and_shrinks_by_itself(hetpd, tmp_path) -> None:
    assert hetpd("check", "deploy", "--write-baseline")[0] == 2
    code, shown, said = hetpd("check", "deploy", "--baseline", "base.json", "--write-baseline")
    assert (code, shown, said) == (0, "", "hetpd: 2 findings in base.json\n")
    written = json.loads((tmp_path / "base.json").read_text())
    assert [(entry["path"], entry["code"], entry["count"]) for entry in written["findings"]] == [
        ("deploy/a.yaml", "HPD201", 1),
        ("deploy/a.yaml", "HPD501", 1),
    ]
    assert check(hetpd, "--baseline", "base.json") == (0, [])
    before = (tmp_path / "base.json").read_bytes()
    (tmp_path / "deploy" / "a.yaml").write_text("# moved\n\n" + PAIR)
    assert check(hetpd, "--baseline", "base.json") == (0, [])
    assert (tmp_path / "base.json").read_bytes() == before
    (tmp_path / "deploy" / "a.yaml").write_text(PAIR.replace("mooncake", "nixl"))
    code, _, said = hetpd("check", "deploy", "--baseline", "base.json")
    assert (code, said) == (0, "hetpd: 1 finding is gone and has left base.json\n")
    (tmp_path / "deploy" / "a.yaml").write_text(PAIR)
    assert check(hetpd, "--baseline", "base.json") == (1, ["HPD501"])


def test_what_is_not_looked_at_stays_in_the_baseline(hetpd, tmp_path) -> None:
    (tmp_path / "deploy" / "b.yaml").write_text(PAIR)
    hetpd("check", "deploy", "--baseline", "base.json", "--write-baseline")
    before = (tmp_path / "base.json").read_bytes()
    (tmp_path / "deploy" / "a.yaml").write_text(FINE)
    assert hetpd("check", "deploy/b.yaml", "--baseline", "base.json")[0] == 0
    assert hetpd("check", "deploy", "--select", "HPD3", "--baseline", "base.json")[0] == 0
    assert (tmp_path / "base.json").read_bytes() == before
    (tmp_path / "deploy" / "a.yaml").write_text("hetpd: 1\n# \xff", encoding="latin-1")
    assert hetpd("check", "deploy", "--baseline", "base.json")[0] == 3
    assert (tmp_path / "base.json").read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        PAIR.replace("connector: mooncake", "connector: {{ .Values.connector }}"),
        PAIR.replace("connector: mooncake, ", ""),
        PAIR.replace("hetpd: 1", "apiVersion: 1"),
        PAIR.replace("name: d", "nmae: d"),
    ],
    ids=["template", "not stated", "no deployment", "misspelt"],
)
def test_what_is_open_is_not_gone(hetpd, tmp_path, text) -> None:
    hetpd("check", "deploy", "--select", "HPD501", "--baseline", "base.json", "--write-baseline")
    before = (tmp_path / "base.json").read_bytes()
    (tmp_path / "deploy" / "a.yaml").write_text(text)
    hetpd("check", "deploy", "--baseline", "base.json")
    assert (tmp_path / "base.json").read_bytes() == before


def test_a_finding_that_rests_on_an_assumption_is_not_gone_without_it(hetpd, tmp_path) -> None:
    (tmp_path / "deploy" / "a.yaml").write_text(PAIR.replace("connector: mooncake, ", ""))
    (tmp_path / "hetpd.toml").write_text('[[assume]]\nfact = "connector.name"\nvalue = "mooncake"\nreason = "r"\n')
    hetpd("check", "deploy", "--select", "HPD501", "--baseline", "base.json", "--write-baseline")
    before = (tmp_path / "base.json").read_bytes()
    assert b"HPD501" in before
    hetpd("check", "deploy", "--no-config", "--baseline", "base.json")
    assert (tmp_path / "base.json").read_bytes() == before


def test_a_file_that_is_deleted_leaves_the_baseline(hetpd, tmp_path) -> None:
    (tmp_path / "deploy" / "b.yaml").write_text(PAIR)
    hetpd("check", "deploy", "--baseline", "base.json", "--write-baseline")
    (tmp_path / "deploy" / "b.yaml").unlink()
    assert hetpd("check", "deploy/a.yaml", "--baseline", "base.json")[2] == ""
    assert (
        hetpd("check", "deploy", "--baseline", "base.json")[2] == "hetpd: 2 findings are gone and have left base.json\n"
    )


def test_writing_again_keeps_what_was_not_looked_at(hetpd, tmp_path) -> None:
    (tmp_path / "deploy" / "b.yaml").write_text(PAIR)
    hetpd("check", "deploy", "--baseline", "base.json", "--write-baseline")
    before = (tmp_path / "base.json").read_bytes()
    hetpd("check", "deploy/a.yaml", "--select", "HPD201", "--baseline", "base.json", "--write-baseline")
    assert (tmp_path / "base.json").read_bytes() == before


def test_what_cannot_be_read_is_never_accepted(hetpd, tmp_path) -> None:
    (tmp_path / "deploy" / "a.yaml").write_text("hetpd: 1\npools: [\n")
    assert hetpd("check", "deploy", "missing.yaml", "--baseline", "base.json", "--write-baseline")[0] == 3
    assert json.loads((tmp_path / "base.json").read_text())["findings"] == []


def test_only_a_baseline_is_overwritten(hetpd, tmp_path) -> None:
    before = (tmp_path / "deploy" / "a.yaml").read_bytes()
    assert hetpd("check", "deploy", "--baseline", "deploy/a.yaml", "--write-baseline")[0] == 2
    assert (tmp_path / "deploy" / "a.yaml").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deploy"]


def test_one_file_under_two_names_is_one(hetpd, tmp_path) -> None:
    code, shown, _ = hetpd("check", "deploy/a.yaml", str(tmp_path / "deploy" / "a.yaml"), "-f", "json")
    assert (code, len(json.loads(shown)["inputs"])) == (1, 1)


def test_a_baseline_that_is_no_file_is_refused(hetpd, tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in ("pipe", "deploy"):
        assert hetpd("check", "deploy", "--baseline", path)[0] == 2


def test_a_baseline_that_cannot_be_written_is_said(hetpd, tmp_path) -> None:
    assert hetpd("check", "deploy", "--baseline", "none/base.json", "--write-baseline")[0] == 2


def test_the_folder_of_the_call_does_not_matter(hetpd, tmp_path, monkeypatch) -> None:
    hetpd("check", "deploy", "--baseline", "base.json", "--write-baseline")
    monkeypatch.chdir(tmp_path / "deploy")
    assert hetpd("check", "a.yaml", "--baseline", "../base.json")[0] == 0
    assert hetpd("check", str(tmp_path / "deploy" / "a.yaml"), "--baseline", str(tmp_path / "base.json"))[0] == 0


def test_a_baseline_in_the_configuration(hetpd, tmp_path, monkeypatch) -> None:
    (tmp_path / "hetpd.toml").write_text('baseline = "ops/base.json"\n')
    (tmp_path / "ops").mkdir()
    assert hetpd("check", "deploy", "--write-baseline")[0] == 0
    monkeypatch.chdir(tmp_path / "deploy")
    assert hetpd("check", ".")[0] == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": 2, "findings": []}',
        '{"schema": 1, "findings": [{"path": 1}]}',
        "[" * 100_000,
        '{"schema": 1, "findings": [{"path": "a", "code": "b", "facts": [], "count": 1e999}]}',
    ],
)
def test_what_is_no_baseline_is_wrong_usage(hetpd, tmp_path, text) -> None:
    (tmp_path / "base.json").write_text(text)
    code, shown, said = hetpd("check", "deploy", "--baseline", "base.json")
    assert (code, shown, said.count("\n")) == (2, "", 1)
    assert "base.json" in said


# -- own rules and tables --------------------------------------------------------------------------------------


def test_own_rules_are_asked_like_the_built_in_ones(hetpd, tmp_path) -> None:
    (tmp_path / "our-rules").mkdir()
    (tmp_path / "our-rules" / "ports.yaml").write_text(RULE)
    (tmp_path / "hetpd.toml").write_text('rule-folders = ["our-rules"]\n')
    (tmp_path / "deploy" / "a.yaml").write_text(
        FINE.replace("connector: nixl", "connector: {name: nixl, side_channel: {port: 5600}}", 1)
    )
    assert check(hetpd) == (1, ["ACME301"])
    assert check(hetpd, "--select", "HPD") == (0, [])
    assert check(hetpd, "--ignore", "ACME") == (0, [])
    assert hetpd("rules", "test", "our-rules")[0] == 0
    assert "ACME301" in hetpd("rules", "ACME301")[1]
    assert "storage team" in hetpd("explain", "side-channel-port-of-another-team")[1]
    assert hetpd("explain", "ACME301", "--no-config")[0] == 2
    (tmp_path / "hetpd.toml").write_text('rule-folders = ["our-rules"]\n[rules.ACME301]\nseverity = "info"\n')
    assert check(hetpd) == (0, ["ACME301"])


def test_explain_says_where_thresholds_and_severities_are_set(hetpd, tmp_path) -> None:
    path = tmp_path / "hetpd.toml"
    path.write_text("# ours\n\n\n[rules.offered-load-above-served]\nnoise = 1.1\n")
    shown = " ".join(hetpd("explain", "HPD103")[1].split())
    assert "1.1 (hetpd.toml:4; the rule has 1.05)" in shown
    assert "the rule has error" not in shown
    path.write_text('[rules.HPD103]\nseverity = "info"\n')
    shown = " ".join(hetpd("explain", "HPD103")[1].split())
    assert "(hetpd.toml:1; the rule has error)" in shown
    assert "; the rule has 1.05" not in shown
    assert "hetpd.toml" not in hetpd("explain", "HPD103", "--no-config")[1]


def test_a_rule_that_raises_is_wrong_usage(hetpd, tmp_path, monkeypatch) -> None:
    (tmp_path / "our-rules").mkdir()
    (tmp_path / "our-rules" / "ports.yaml").write_text(RULE)
    (tmp_path / "hetpd.toml").write_text('rule-folders = ["our-rules"]\n')

    def judging(rule, _scope):
        raise TypeError(rule.code)

    monkeypatch.setattr("hetpd_cli.engine.check.judge", judging)
    code, shown, said = hetpd("check", "deploy", "--select", "ACME")
    assert (code, shown, said.count("\n")) == (2, "", 1)
    assert "our-rules/ports.yaml: rule ACME301 failed" in said
    with pytest.raises(RuleCrashError):
        hetpd("check", "deploy", "--select", "HPD2")


def test_a_faulty_rule_is_wrong_usage(hetpd, tmp_path) -> None:
    (tmp_path / "our-rules").mkdir()
    (tmp_path / "our-rules" / "ports.yaml").write_text(RULE.replace("side_channel.port >=", "side_channel.prt >="))
    (tmp_path / "hetpd.toml").write_text('rule-folders = ["our-rules"]\n')
    code, _, said = hetpd("check", "deploy")
    assert code == 2
    assert said.startswith(
        "hetpd: hetpd.toml: rule-folders: our-rules/ports.yaml:8: require: pool.connector.side_channel.prt is no fact"
    )


def test_own_tables_are_used(hetpd, tmp_path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "accelerators.yaml").write_text("rows: [{id: our-npu, vendor: Ours, formats: [bf16]}]\n")
    (tmp_path / "hetpd.toml").write_text('table-folders = ["ours"]\n')
    (tmp_path / "deploy" / "a.yaml").write_text(
        "hetpd: 1\npools: [{name: p, role: prefill, accelerator: our-npu, precision: {activations: fp8}}]\n"
    )
    assert check(hetpd) == (1, ["HPD101"])


def test_assumptions_reach_facts_and_contract(hetpd, tmp_path) -> None:
    (tmp_path / "hetpd.toml").write_text(
        '[[assume]]\nfact = "engine.version"\nvalue = "0.24.0"\nreason = "as in production"\n'
    )
    assert "as in production (hetpd.toml:1)" in hetpd("facts", "deploy/a.yaml", "--fact", "engine.version")[1]
    assert "0.24.0" in hetpd("contract", "deploy/a.yaml")[1]
    assert "0.24.0" not in hetpd("contract", "deploy/a.yaml", "--no-config")[1]


def test_options_reach_check_facts_and_contract(hetpd, tmp_path) -> None:
    said = ("--engine-version", "vllm=0.24.0", "--prefill-gpu", "h100", "--model", "Qwen/Qwen3-32B")
    (tmp_path / "deploy" / "a.yaml").write_text(FINE.replace("nixl,", "nixl, engine: vllm,"))
    pool = json.loads(hetpd("check", "deploy", "--format", "json", *said)[1])["inputs"][0]["pools"][0]
    assert (pool["version"], pool["accelerator"], pool["model"]) == ("0.24.0", "h100", "Qwen/Qwen3-32B")
    assert "--prefill-gpu" in hetpd("facts", "deploy/a.yaml", "--fact", "accelerator", *said)[1]
    assert "0.24.0" in hetpd("contract", "deploy/a.yaml", *said)[1]


@pytest.mark.parametrize("command", ["check", "facts", "contract"])
def test_an_option_with_a_word_that_nobody_knows_is_wrong_usage(hetpd, command) -> None:
    code, out, err = hetpd(command, "deploy/a.yaml", "--prefill-gpu", "h10", "--link", "roce-400")
    assert (code, out) == (2, "")
    assert [line.split()[1] for line in err.splitlines()] == ["--prefill-gpu:", "--link:"]
    assert "did you mean h100?" in err


def test_an_option_without_effect_is_a_finding(hetpd, tmp_path) -> None:
    (tmp_path / "deploy" / "a.yaml").write_text(FINE.replace("role: prefill,", "role: prefill, accelerator: h100,"))
    content = json.loads(hetpd("check", "deploy", "--format", "json", "--prefill-gpu", "h200")[1])
    (found,) = [one for one in content["findings"] if one["code"] == "HPD905"]
    assert [place["path"] for place in found["places"]] == ["<command line>", "deploy/a.yaml"]
