"""Workflow commands as the runner of GitHub Actions reads them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_reports import BASE, DEPLOYMENT, PATH, also, at, example, finding, report
from test_report_hostile import HOSTILE, assert_inert, hostile

from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.findings import LabelledPlace, Report
from hetpd_cli.places import Place
from hetpd_cli.report import Options, Repository
from hetpd_cli.report.github import render
from hetpd_cli.sources.inputs import find
from hetpd_cli.sources.text import Limits

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
COMMANDS = {
    "error",
    "warning",
    "notice",
    "debug",
    "group",
    "endgroup",
    "add-mask",
    "stop-commands",
    "echo",
    "set-output",
}


class Command(NamedTuple):
    name: str
    properties: dict[str, str]
    data: str

    @property
    def span(self) -> list[int]:
        return [int(self.properties[name]) for name in ("line", "col", "endLine", "endColumn")]


def unescaped(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for written, meant in pairs:
        text = text.replace(written, meant)
    return text


DATA = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
PROPERTY = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))


def command_in(line: str) -> Command | None:
    """What actions/runner takes from a line of the log, by src/Runner.Common/ActionCommand.cs: TryParseV2, TryParse."""
    return _colons(line.lstrip()) or _brackets(line)


def _colons(line: str) -> Command | None:
    end = line.find("::", 2)
    if not line.startswith("::") or end < 0:
        return None
    name, _, rest = line[2:end].partition(" ")
    return (
        Command(name, _pairs(rest.strip(), ",", PROPERTY), unescaped(line[end + 2 :], DATA))
        if name in COMMANDS
        else None
    )


def _brackets(line: str) -> Command | None:
    begin = line.find("##[")
    end = line.find("]", begin)
    if begin < 0 or end < 0:
        return None
    name, _, rest = line[begin + 3 : end].partition(" ")
    return Command(name, _pairs(rest, ";", PROPERTY), line[end + 1 :]) if name in COMMANDS else None


def _pairs(text: str, separator: str, escapes: tuple[tuple[str, str], ...]) -> dict[str, str]:
    found = {}
    for part in filter(None, text.split(separator)):
        # Split with RemoveEmptyEntries and a count of two: equals signs before the value are lost.
        key, _, value = part.lstrip("=").partition("=")
        if key and value.lstrip("="):
            found[key] = unescaped(value.lstrip("="), escapes)
    return found


def commands(result: Report, options: Options = Options(quiet=True)) -> list[Command]:
    found = [command_in(line) for line in render(result, options).splitlines()]
    return [command for command in found if command is not None]


def test_a_command_a_finding() -> None:
    found = {command.properties["title"]: command for command in commands(example())}
    assert {title: command.name for title, command in found.items()} == {
        "HPD201 kv-dtype-mismatch": "error",
        "HPD405 transfer-direction-mismatch": "error",
        "HPD402 lease-shorter-than-queue": "warning",
    }
    assert found["HPD201 kv-dtype-mismatch"].properties["file"] == PATH
    assert found["HPD201 kv-dtype-mismatch"].span == [6, 17, 6, 21]


def test_the_message_holds_both_places_why_and_fix() -> None:
    first = example().findings[0]
    lines = commands(report(first))[0].data.split("\n")
    assert lines == [
        first.message,
        f"at {PATH}:6:17: KV written as fp16",
        f"also {PATH}:10:17: KV read as bf16",
        f"why: {first.why}",
        f"fix: {first.fix}",
    ]


def test_the_summary_is_the_last_line_and_no_command() -> None:
    lines = render(example(), Options()).splitlines()
    assert len(lines) == len(example().findings) + 1
    assert command_in(lines[-1]) is None
    assert render(report(), Options(quiet=True)) == ""
    assert len(render(report(), Options()).splitlines()) == 1


@pytest.mark.parametrize(("severity", "name"), [("error", "error"), ("warning", "warning"), ("info", "notice")])
def test_severities(severity: str, name: str) -> None:
    assert [found.name for found in commands(report(finding(at(DEPLOYMENT, "fp16"), severity=severity)))] == [name]


def test_suppressed_findings_are_notices_when_verbose() -> None:
    result = report(finding(at(DEPLOYMENT, "fp16"), suppressed="known"))
    assert commands(result) == []
    (found,) = commands(result, Options(verbose=True, quiet=True))
    assert (found.name, found.data.split("\n")[-1]) == ("notice", "suppressed: known")


def test_a_place_of_several_lines_has_no_columns() -> None:
    spot = LabelledPlace(Place(PATH, 2, 3, 4, 5, 0, 0), "here", primary=True)
    (found,) = commands(report(finding(spot)))
    assert {name: found.properties.get(name) for name in ("line", "endLine", "col", "endColumn")} == {
        "line": "2",
        "endLine": "4",
        "col": None,
        "endColumn": None,
    }


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("a.yaml", "sub/a.yaml"),
        ("./a.yaml", "sub/a.yaml"),
        ("../b.yaml", "b.yaml"),
        ("/top/sub/c.yaml", "sub/c.yaml"),
        ("/elsewhere/d.yaml", None),
        ("../../e.yaml", None),
        ("<stdin>", None),
        ("<command line>", None),
        ("a\udcff.yaml", None),
        ("a\nb.yaml", None),
        ("100%,a:b=c.yaml", "sub/100%,a:b=c.yaml"),
    ],
)
def test_files_are_named_from_the_top_of_the_checkout(path: str, file: str | None) -> None:
    options = Options(quiet=True, repository=Repository("/top", "/top/sub"))
    (found,) = commands(
        report(finding(at(DEPLOYMENT, "fp16", path=path), also(DEPLOYMENT, "bf16", path=BASE))), options
    )
    assert found.properties.get("file") == file
    assert ("line" in found.properties) == (file is not None)
    assert re.search(r":6:17: here$", found.data, re.MULTILINE)
    assert f"also sub/{BASE}:10:17: there" in found.data


def test_a_path_that_a_property_cannot_hold_is_left_out() -> None:
    (found,) = commands(report(finding(at(DEPLOYMENT, "fp16", path="=a.yaml"))))
    assert "file" not in found.properties
    assert "at =a.yaml:6:17: here" in found.data


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_every_place_of_an_example_is_found_again(path: Path) -> None:
    result = check(list(find([str(path)]).readings(Limits())), catalogue())
    options = Options(quiet=True, repository=Repository(str(path.parents[1]), "/"))
    found = commands(result, options)
    assert len(found) == len(result.findings)
    for command, violated in zip(found, sorted(result.findings, key=lambda one: one.primary), strict=True):
        told = re.findall(rf"^(?:at|also) examples/{path.name}:(\d+):(\d+): ", command.data, re.MULTILINE)
        assert {(int(line), int(column)) for line, column in told} == {spot.place[1:3] for spot in violated.places}
        assert command.properties["file"] == f"examples/{path.name}"
        assert int(command.properties["line"]) == violated.primary.line


def assert_only_own_commands(result: Report) -> None:
    for options in (Options(verbose=True), Options(verbose=True, repository=Repository("/top", "/top"))):
        lines = render(result, options).split("\n")
        assert lines.pop() == ""
        *annotations, summary = lines
        assert_inert(summary)
        assert len(annotations) == len(result.findings)
        for line, severity in zip(annotations, ("error", "notice"), strict=True):
            found = command_in(line)
            assert found is not None
            assert (found.name, found.properties["title"]) == (severity, "HPD201 kv-dtype-mismatch")
            assert set(found.properties) <= {"file", "line", "endLine", "col", "endColumn", "title"}
            assert "\r" not in found.data
            # An annotation is shown in the log, line by line.
            assert_inert(found.data)
            assert_inert(line.removeprefix("::"))


@pytest.mark.parametrize("text", [*HOSTILE, "a%0A::error::b", "100%25", "a,title=x::y", "a::b", "::stop-commands::x"])
def test_hostile_content_makes_no_command(text: str) -> None:
    assert_only_own_commands(hostile(text))


@given(st.text(st.characters(), min_size=1, max_size=40))
def test_any_text_makes_no_command(text: str) -> None:
    assert_only_own_commands(hostile(text))
