"""What a run exits with: 4 before 2 before 3 before 1 before 0."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hetpd_cli import __main__ as entry
from hetpd_cli.cli.app import run
from hetpd_cli.cli.exit_codes import Gate, exit_code
from hetpd_cli.findings import SEVERITIES, Finding, InputReport, LabelledPlace, Report, Tally, Undecided
from hetpd_cli.places import Place

if TYPE_CHECKING:
    from collections.abc import Callable

ERROR = """\
hetpd: 1
defaults: {connector: nixl}
pools:
  - {name: p, role: prefill, kv: {dtype: fp16}}
  - {name: d, role: decode, kv: {dtype: bf16}}
"""
WARNING = ERROR.replace("fp16", "bf16").replace("name: p", "name: !odd p")
GUESS = """\
hetpd: 1
pools:
  - {name: p, role: prefill, accelerator: metax-c600}
  - {name: d, role: decode, accelerator: h200}
handoffs: [{from: p, to: d, path: {link: roce-400g, staging: device, registration: none}}]
"""
SILENT = "hetpd: 1\ndefaults: {connector: nixl}\npools: [{name: p, role: prefill}, {name: d, role: decode}]\n"
FILES = {
    "error.yaml": ERROR,
    "warning.yaml": WARNING,
    "guess.yaml": GUESS,
    "silent.yaml": SILENT,
    "other.yaml": "kind: Pod\n",
    "broken.yaml": "hetpd: [\n",
    "alone.yaml": "hetpd: 1\npools: [{name: a, role: aggregated}]\n",
}

Run = "Callable[..., tuple[int, str, str]]"


@pytest.fixture
def hetpd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command in a folder with the files above."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
    Path("empty").mkdir()

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        return (code, *capsys.readouterr())

    return call


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("error.yaml", 1),
        ("silent.yaml", 0),
        ("other.yaml", 0),
        ("alone.yaml", 0),
        ("broken.yaml", 3),
        ("missing.yaml", 3),
        ("empty", 3),
        ("empty --allow-empty", 0),
        ("empty error.yaml --allow-empty", 1),
        ("empty silent.yaml", 3),
        ("missing.yaml --allow-empty", 3),
        ("missing.yaml error.yaml", 3),
        ("broken.yaml error.yaml", 3),
        ("error.yaml missing.yaml --select HPD8", 2),
        ("missing.yaml --ignore nonsense", 2),
        ("missing.yaml --fail-on-undecided=T9", 2),
        ("missing.yaml --fail-on sometimes", 2),
        ("missing.yaml --no-such-option", 2),
        ("broken.yaml --fail-on never", 3),
        ("broken.yaml --ignore HPD0", 3),
        ("other.yaml error.yaml silent.yaml", 1),
        ("error.yaml --fail-on error", 1),
        ("error.yaml --fail-on info", 1),
        ("error.yaml --fail-on never", 0),
        ("error.yaml --ignore kv-dtype-mismatch", 0),
        ("error.yaml --select HPD5", 0),
        ("warning.yaml", 0),
        ("warning.yaml --fail-on warning", 1),
        ("warning.yaml --fail-on info", 1),
        ("warning.yaml --fail-on never", 0),
        ("guess.yaml --select HPD303 --fail-on info", 0),
        ("silent.yaml --fail-on-undecided", 1),
        ("--fail-on-undecided silent.yaml", 1),
        ("silent.yaml --fail-on-undecided any", 1),
        ("silent.yaml --fail-on-undecided T4", 1),
        ("silent.yaml --select HPD201 --fail-on-undecided T4", 1),
        ("silent.yaml --select HPD201 --fail-on-undecided T5", 0),
        ("silent.yaml --select HPD201 --fail-on-undecided T5 --fail-on-undecided T4", 1),
        ("silent.yaml --select HPD201 --fail-on-undecided=T4", 1),
        ("silent.yaml --fail-on never --fail-on-undecided T4", 1),
        ("other.yaml --fail-on-undecided", 0),
        ("silent.yaml --fail-on-unresolved", 0),
    ],
)
def test_exit_codes(hetpd: Callable[..., tuple[int, str, str]], arguments: str, code: int) -> None:
    exited, shown, said = hetpd("check", *arguments.split())
    assert exited == code, shown + said
    assert bool(shown) is (code != 2)


def test_what_looks_like_an_option_may_be_a_path(hetpd: Callable[..., tuple[int, str, str]]) -> None:
    code, shown, _ = hetpd("check", "-f", "concise", "--", "--fail-on-undecided")
    assert (code, shown.partition(" ")[0]) == (3, "--fail-on-undecided:1:1:")


def test_the_current_directory_is_the_default(hetpd: Callable[..., tuple[int, str, str]]) -> None:
    code, shown, _ = hetpd("check", "-f", "concise")
    assert code == 3
    assert "error.yaml:4:42: error HPD201" in shown
    assert "broken.yaml:1:8: error HPD004" in shown


@pytest.mark.parametrize("arguments", [[], ["chek"], ["--nope"], ["check", "--format", "xml"], ["check", "--color"]])
def test_usage(hetpd: Callable[..., tuple[int, str, str]], arguments: list[str]) -> None:
    code, shown, said = hetpd(*arguments)
    assert code == 2
    assert any(word in shown + said for word in ("Usage: hetpd", "Error: "))
    assert "Traceback" not in said


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["check", "--help"], ["check", "-h"], ["--version"], ["-V"]])
def test_help_and_version(hetpd: Callable[..., tuple[int, str, str]], arguments: list[str]) -> None:
    code, shown, said = hetpd(*arguments)
    assert (code, said) == (0, "")
    assert shown.startswith(("Usage: hetpd", "hetpd "))


# -- the gate by itself ----------------------------------------------------------------------------------------


def report(
    *, findings: tuple[Finding, ...] = (), status: str = "checked", undecided: tuple[Undecided, ...] = ()
) -> Report:
    inputs = (InputReport("a.yaml", "hetpd", status),)
    return Report(inputs, findings, undecided, {}, Tally(), 1, (), {})


def finding(severity: str, confidence: str = "certain", suppressed: str | None = None) -> Finding:
    spot = LabelledPlace(Place("a.yaml", 1, 1, 1, 2, 0, 1), "here", primary=True)
    return Finding("HPD201", "x", severity, "m", (spot,), confidence=confidence, suppressed=suppressed)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("level", [*SEVERITIES, "never"])
def test_levels(severity: str, level: str) -> None:
    reaches = level != "never" and SEVERITIES.index(severity) <= SEVERITIES.index(level)
    gate = Gate(fail_on=level)
    assert exit_code(report(findings=(finding(severity),)), (), gate) == int(reaches)
    assert exit_code(report(findings=(finding(severity, "likely"),)), (), gate) == int(reaches)
    assert exit_code(report(findings=(finding(severity, "guess"),)), (), gate) == 0
    assert exit_code(report(findings=(finding(severity, suppressed="known"),)), (), gate) == 0


def test_unresolved_inputs_fail_where_asked() -> None:
    unresolved = report(status="unresolved")
    assert [exit_code(unresolved, (), Gate(unresolved=asked)) for asked in (False, True)] == [0, 1]
    assert exit_code(report(status="not-pd"), (), Gate(unresolved=True)) == 0


@pytest.mark.parametrize(
    ("cell", "wanted", "code"), [("T4", ("T4",), 1), ("T4", ("T5",), 0), (None, ("T4",), 0), (None, ("any",), 1)]
)
def test_undecided_cells(cell: str | None, wanted: tuple[str, ...], code: int) -> None:
    waiting = report(undecided=(Undecided("HPD201", "x", cell, (), ()),))
    assert exit_code(waiting, (), Gate(undecided=wanted)) == code


# -- hetpd's own failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError("a\x1b[31m\nb"), RecursionError(), MemoryError(), OSError(28, "No space left")]
)
@pytest.mark.parametrize("debug", [False, True])
def test_its_own_failure_is_4_before_all_else(
    hetpd: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    debug: bool,
) -> None:
    def fail(*_: object) -> None:
        raise error

    codes: list[int] = []
    monkeypatch.setattr("hetpd_cli.cli.check.run", fail)
    monkeypatch.setattr(entry.os, "_exit", codes.append)
    monkeypatch.setattr(sys, "argv", ["hetpd", "check", "missing.yaml", "error.yaml", "empty"])
    monkeypatch.setattr(entry.gc, "set_threshold", lambda _: None)
    if debug:
        monkeypatch.setenv("HETPD_DEBUG", "1")
    entry.main()
    shown, said = capsys.readouterr()
    assert (codes, shown) == ([4], "")
    assert ("Traceback" in said) is debug
    if not debug:
        assert (said.count("\n"), "\x1b" in said, said.startswith("hetpd ")) == (1, False, True)


def test_an_interrupt_is_no_failure_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    codes: list[int] = []
    monkeypatch.setattr("hetpd_cli.cli.app.run", interrupt)
    monkeypatch.setattr(entry.os, "_exit", codes.append)
    monkeypatch.setattr(entry.gc, "set_threshold", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["hetpd", "check"])
    entry.main()
    assert (codes, capsys.readouterr().err) == ([130], "")
