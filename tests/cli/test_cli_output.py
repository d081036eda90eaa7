"""What is printed: the contract of JSON, lines for editors, widths, colours, streams that are odd or go away."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from hetpd_cli.cli.app import run
from hetpd_cli.cli.output import terminal_width, wants_colour
from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.report import Options, concise, full, json_report
from hetpd_cli.report.style import width
from hetpd_cli.resources import load_schema
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.text import Limits, SourceText
from tests.support import ROOT, examples

if TYPE_CHECKING:
    from hetpd_cli.findings import Report

VALIDATOR = Draft202012Validator(load_schema("check-output"))
EXAMPLES = sorted(str(path) for path in ROOT.glob("examples/*.yaml"))
TEXTS = [example["deployment"] for kind in ("bad", "good", "near-miss") for _, example in examples(kind)]
FAULTY = str(ROOT / "examples" / "vllm-1p1d-mismatch.yaml")
CLEAN = str(ROOT / "examples" / "vllm-nixl-1p1d.yaml")


def reports() -> list[Report]:
    """Return a report on every example of every rule."""
    return [check([read_text(SourceText("dir/a.yaml", text), Limits())], catalogue()) for text in TEXTS]


@pytest.fixture(scope="module", name="reports")
def _reports() -> list[Report]:
    return reports()


def hetpd(*arguments: str | bytes, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "hetpd_cli", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        env={**_environment(), **environment},
    )


def _environment() -> dict[str, str]:
    odd = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "PYTHONIOENCODING"}
    return {key: value for key, value in os.environ.items() if key not in odd} | {"PYTHONPATH": str(ROOT)}


# -- json ------------------------------------------------------------------------------------------------------


def test_json_of_every_example_keeps_the_contract(reports: list[Report]) -> None:
    for report in reports:
        VALIDATOR.validate(json.loads(json_report.render(report, Options())))


def test_json_of_all_kinds_of_inputs_keeps_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    contents: dict[str, bytes] = {
        "broken.yaml": b"hetpd: [",
        "other.yaml": b"kind: Pod",
        "bytes.yaml": b"hetpd: \xff",
        "empty.yaml": b"",
        "none.yaml": b"hetpd: 1",
        "alone.yaml": b"hetpd: 1\npools: [{name: a, role: aggregated}]",
        "huge.yaml": b"hetpd: 1\npools: [{name: p, role: prefill, workers: 1e400, measured: {quality_gap: .nan}}]",
    }
    for name, data in contents.items():
        Path(name).write_bytes(data)
    code = run(["check", "-f", "json", *sorted(contents), "missing.yaml", *EXAMPLES])
    printed = json.loads(capsys.readouterr().out)
    VALIDATOR.validate(printed)
    assert code == 3
    assert [entry["status"] for entry in printed["inputs"]] == [
        "not-pd", "unreadable", "unreadable", "not-pd", "checked", "checked", "not-pd", "unreadable",
    ] + ["checked"] * len(EXAMPLES)  # fmt: skip
    assert printed["summary"]["inputs"] == {"checked": 2 + len(EXAMPLES), "unresolved": 0, "not-pd": 3, "unreadable": 3}
    assert VALIDATOR.is_valid({**printed, "schema": 2}) is False


def test_json_does_not_vary(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    printed = []
    for options in ([], ["-q"], ["-v"], ["--color", "always"]):
        run(["check", "-f", "json", FAULTY, *options])
        printed.append(capsys.readouterr().out)
    monkeypatch.setenv("COLUMNS", "40")
    run(["check", "-f", "json", FAULTY])
    assert set(printed) == {capsys.readouterr().out}


# -- concise ---------------------------------------------------------------------------------------------------


def test_concise_lines_are_for_editors(reports: list[Report]) -> None:
    line = re.compile(r"dir/a\.yaml:[1-9]\d*:[1-9]\d*: (error|warning|info) HPD\d{3} [a-z0-9-]+: \S")
    for report in reports:
        rows = concise.render(report, Options(quiet=True)).splitlines()
        assert len(rows) == len(report.findings)
        assert all(map(line.match, rows))


def test_quiet_and_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    printed: dict[str, str] = {}
    for name, options in {"plain": [], "quiet": ["-q"], "verbose": ["-v"], "both": ["-q", "-v"]}.items():
        run(["check", FAULTY, *options])
        printed[name] = capsys.readouterr().out
    header, _, findings = printed["plain"].partition("\n\n")
    assert header.startswith(FAULTY)
    assert findings.startswith(printed["quiet"])
    for part in ("coupling matrix", "undecided:", "errors in"):
        assert (part in printed["plain"], part in printed["quiet"], part in printed["verbose"]) == (True, False, True)
    assert "HPD503" in printed["verbose"]
    assert len(printed["quiet"]) < len(printed["both"]) < len(printed["verbose"])
    assert run(["check", CLEAN, "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    run(["check", CLEAN, "-q", "-f", "concise"])
    assert capsys.readouterr() == ("", "")


# -- terminals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120])
def test_no_line_is_wider_than_the_terminal(reports: list[Report], columns: int) -> None:
    for report in reports:
        for row in full.render(report, Options(width=columns, verbose=True)).splitlines():
            words = row.split()
            assert width(row) <= columns or width(max(words, key=len)) > columns // 2, row


def on_a_terminal(columns: int, arguments: list[str], **environment: str) -> str:
    """Return what a command prints on a terminal of its own."""
    import fcntl
    import pty
    import struct
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "hetpd_cli", *arguments],
        stdout=follower,
        stderr=follower,
        env={**_environment(), "TERM": "xterm", **environment},
    ) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
        process.wait(20)
    os.close(leader)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [80, 120])
def test_a_real_terminal_is_measured_and_coloured(columns: int) -> None:
    shown = on_a_terminal(columns, ["check", "-v", *EXAMPLES])
    assert "\x1b[1;31m" in shown
    rows = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert max(map(width, rows)) <= max(columns, *(len(word) + 16 for word in shown.split()))
    assert max(map(width, rows)) > columns - 20
    matrix = next(row for row in rows if row.startswith("  T1"))
    assert ("T6" in matrix) is (columns == 120)


@pytest.mark.parametrize(
    ("environment", "options", "coloured"),
    [
        ({}, [], True),
        ({"NO_COLOR": "1"}, [], False),
        ({"TERM": "dumb"}, [], False),
        ({"NO_COLOR": "1"}, ["--color", "always"], True),
        ({}, ["--color", "never"], False),
    ],
)
def test_colour_on_a_terminal(environment: dict[str, str], options: list[str], coloured: bool) -> None:
    assert ("\x1b" in on_a_terminal(80, ["check", FAULTY, "-f", "concise", *options], **environment)) is coloured


@pytest.mark.parametrize(
    ("environment", "choice", "coloured"),
    [
        ({}, "auto", False),
        ({"FORCE_COLOR": "1"}, "auto", True),
        ({"FORCE_COLOR": ""}, "auto", False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, "auto", False),
        ({"NO_COLOR": ""}, "auto", False),
        ({"NO_COLOR": "1"}, "always", True),
        ({"FORCE_COLOR": "1"}, "never", False),
    ],
)
def test_colour_off_a_terminal(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], choice: str, coloured: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert wants_colour(choice) is coloured


@pytest.mark.parametrize(
    ("columns", "expected"),
    [("100", 100), ("0", 80), ("-5", 80), ("wide", 80), ("", 80), ("9" * 9, 999_999), ("²", 80)],
)
def test_width_of_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: str, expected: int) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def fileno(self) -> int:
            return -1

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((0, 0)))
    monkeypatch.setenv("COLUMNS", columns)
    assert terminal_width() == expected
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert terminal_width() is None


# -- streams ---------------------------------------------------------------------------------------------------


def test_standard_input() -> None:
    done = hetpd("check", "-", "-f", "concise", stdin=Path(FAULTY).read_bytes())
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.startswith(b"<stdin>:14:17: error HPD201 ")
    assert hetpd("check", "-", stdin=b"kind: Pod").returncode == 0
    assert hetpd("check", "-", stdin=b"").returncode == 0
    assert hetpd("check", "-", stdin=b"hetpd: \xff").returncode == 3


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "ascii:strict"])
def test_encodings_of_standard_output(encoding: str, tmp_path: Path) -> None:
    text = Path(FAULTY).read_text().replace("decode-bf16", "dékodé-模型")
    (tmp_path / "a.yaml").write_text(text)
    done = hetpd("check", str(tmp_path / "a.yaml"), PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (1, b"")
    codec = encoding.partition(":")[0]
    assert ("模型" in done.stdout.decode(codec)) is (codec == "utf-8")
    assert ("\\u6a21" in done.stdout.decode(codec)) is (codec != "utf-8")


def test_what_goes_to_standard_error_is_harmless_too(tmp_path: Path) -> None:
    odd = tmp_path / "\x1b[31m\n::error::x"
    odd.mkdir()
    done = hetpd("check", str(odd))
    assert done.returncode == 3
    assert b"\x1b" not in done.stderr
    assert b"\n::" not in done.stderr


# -- start-up, beyond tests/test_startup.py --------------------------------------------------------------------


# typer brings inspect (with ast) and shellingham along whatever is asked.
HEAVY = {"rich", "numpy", "networkx", "jsonschema", "packaging", "pydantic"}
OURS_OF_VERSION = {"hetpd_cli", "hetpd_cli.__main__"}


def imported(*arguments: str) -> set[str]:
    """Return every module that a run imports, as the interpreter itself tells."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hetpd_cli", *arguments],
        capture_output=True, text=True, check=False, env=_environment(),
    )  # fmt: skip
    return {row.rpartition("|")[2].strip() for row in done.stderr.splitlines() if row.startswith("import time:")}


def top(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_the_version_imports_two_modules_of_its_own() -> None:
    for flag in ("--version", "-V"):
        modules = imported(flag)
        assert {name for name in modules if name.startswith("hetpd_cli")} <= OURS_OF_VERSION
        assert not top(modules) & (HEAVY | {"typer", "click", "yaml", "json", "pathlib"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", FAULTY],
        ["check", FAULTY, "-f", "json"],
        ["check", FAULTY, "-f", "concise", "-s", "HPD2"],
        ["check", *EXAMPLES, "-v"],
        ["check", str(ROOT / "schemas")],
        ["check", "missing.yaml"],
        ["check", "--no-such-option"],
        ["check", FAULTY, "-s", "HPD999"],
        ["--help"],
    ],
)
def test_no_call_imports_what_it_does_not_need(arguments: list[Any]) -> None:
    modules = imported(*arguments)
    assert not top(modules) & HEAVY
    assert not modules & {"hetpd_cli.engine.parse", "hetpd_cli.compile"}
