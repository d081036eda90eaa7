"""facts: what is known of a deployment, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from hetpd_cli.cli.app import run
from hetpd_cli.report.style import width
from hetpd_cli.resources import load_schema
from tests.cli.test_cli_output import EXAMPLES, TEXTS, hetpd, on_a_terminal
from tests.support import ROOT

CLEAN = str(ROOT / "examples" / "vllm-nixl-1p1d.yaml")
VALIDATOR = Draft202012Validator(load_schema("facts-output"))


@pytest.fixture
def facts(capsys: pytest.CaptureFixture[str]):
    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["facts", *arguments])
        return (code, *capsys.readouterr())

    return call


@pytest.mark.parametrize("path", EXAMPLES)
def test_json_keeps_its_schema(facts, path) -> None:
    code, shown, said = facts(path, "--format", "json")
    assert (code, said) == (0, "")
    printed = json.loads(shown)
    VALIDATOR.validate(printed)
    assert printed["path"] == path
    origins = {fact["origin"] for one in printed["deployments"][0]["subjects"] for fact in one["facts"]}
    assert {"stated", "looked up", "unknown"} <= origins


def test_json_of_odd_values_keeps_its_schema(facts, tmp_path: Path) -> None:
    for index, text in enumerate([*TEXTS[::8], "hetpd: 1\npools: [{name: p, role: prefill, workers: 1e400}]"]):
        (tmp_path / "a.yaml").write_text(text)
        code, shown, _ = facts(str(tmp_path / "a.yaml"), "-f", "json")
        assert code in {0, 3}, index
        if code == 0:
            VALIDATOR.validate(json.loads(shown))


def test_text_names_value_origin_and_place(facts) -> None:
    code, shown, _ = facts(CLEAN, "--fact", "prefill.kv.block_size", "--fact", "handoff.one_release")
    assert code == 0
    assert [line.split() for line in shown.splitlines()] == [
        ["pool", "prefill", f"{CLEAN}:18:11"],
        ["kv.block_size", "16", "tokens", "stated", f"{CLEAN}:13:33"],
        [],
        ["handoff", "prefill", "->", "decode", f"{CLEAN}:33:5"],
        ["one_release", "true", "derived", *shown.splitlines()[-1].split()[3:]],
    ]
    assert "from " in shown


def test_unknown_facts_are_counted_or_all_told(facts) -> None:
    brief, whole = facts(CLEAN)[1], facts(CLEAN, "--all")[1]
    assert "facts unknown: " in brief
    assert "facts unknown: " not in whole
    assert "does not state" in whole
    assert len(whole.splitlines()) > len(brief.splitlines())


@pytest.mark.parametrize(
    ("content", "arguments", "code"),
    [
        (None, "", 3),
        ("kind: Pod\n", "", 3),
        ("hetpd: [\n", "", 3),
        ("hetpd: 1\n", "", 0),
        ("hetpd: 1\npools: [{name: a, role: aggregated}]\n", "", 0),
        ("hetpd: 1\npools: [{name: a, role: prefill, colour: red}]\n", "", 0),
        ("hetpd: 1\npools: [{name: a, role: prefill}]\n", "--fact kv.dtpe", 2),
        ("hetpd: 1\npools: [{name: a, role: prefill}]\n", "--fact kv.* --no-such", 2),
    ],
)
def test_exit_codes(facts, tmp_path: Path, content, arguments, code) -> None:
    path = tmp_path / "a.yaml"
    if content is not None:
        path.write_text(content)
    exited, shown, said = facts(str(path), *arguments.split())
    assert (exited, "Traceback" in said) == (code, False)
    assert (shown == "") is (code != 0 or content == "hetpd: 1\n")
    assert ("did you mean kv.dtype?" in said) is ("dtpe" in arguments)
    assert ("1 fault" in said) is ("colour" in str(content) or content == "hetpd: 1\n")


def test_several_deployments_in_one_file(facts, tmp_path: Path) -> None:
    one = "hetpd: 1\nname: {0}\npools: [{{name: p, role: prefill}}]\n"
    (tmp_path / "a.yaml").write_text(one.format("first") + "---\n" + one.format("second"))
    shown = facts(str(tmp_path / "a.yaml"), "--fact", "name")[1]
    assert [line for line in shown.splitlines() if line.startswith("deployment ")] == [
        "deployment first", "deployment second"
    ]  # fmt: skip


def test_standard_input_and_hostile_text() -> None:
    text = 'hetpd: 1\nname: "\\x1b[31mx"\npools:\n  - {name: "p\\x1b]0;x\\x07\\u202e", role: prefill, engine: {version: "##[error]\\x1b"}}\n'
    done = hetpd("facts", "-", "--all", stdin=text.encode())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"pool p\\x1b]0;x\\x07\\u202e, prefill  <stdin>:4:")
    for form in ("text", "json"):
        out = hetpd("facts", "-", "--all", "-f", form, stdin=text.encode()).stdout
        assert b"\x1b" not in out
        assert b"##[" not in out


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal(columns) -> None:
    shown = on_a_terminal(columns, ["facts", "examples/paper-production.yaml"], NO_COLOR="1")
    for row in shown.splitlines():
        assert width(row) <= columns or width(max(row.split(), key=len)) > columns * 2 // 5, row
    assert "\x1b[1m" in on_a_terminal(columns, ["facts", CLEAN])
