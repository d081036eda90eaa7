"""Findings counted by rule: order, alignment, what is left out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import typer
from sample_reports import BASE, DEPLOYMENT, PATH, at, example, finding, report

from hetpd_cli.cli.app import run
from hetpd_cli.cli.outputs import DEFAULT, Output, outputs
from hetpd_cli.findings import InputReport, Report, Tally
from hetpd_cli.report import Options
from hetpd_cli.report.statistics import render

if TYPE_CHECKING:
    from pathlib import Path

ROW = re.compile(r" *(\d+)  (\S+)  (error|warning|info) +(\S*) +(\d+) files? +(\S+)")


def rows(text: str) -> list[tuple[str, ...]]:
    return [found.groups() for found in map(ROW.fullmatch, text.splitlines()) if found]


def many() -> Report:
    """Ten mild findings in two files, two bad ones of each of two rules, and a suppressed one."""
    here, there = at(DEPLOYMENT, "fp16"), at(DEPLOYMENT, "bf16", path=BASE)
    mild = {"code": "HPD111", "name": "one-precision", "severity": "info", "impact": "slow", "decision": "placement"}
    hang = {"code": "HPD105", "name": "b", "impact": "hang", "decision": None}
    return report(
        *(finding(there if number % 2 else here, **mild) for number in range(10)),
        *(finding(here, decision="representation") for _ in range(2)),
        *(finding(here, **hang) for _ in range(2)),
        finding(here, code="HPD501", name="c", suppressed="known"),
    )


def test_a_line_a_rule_worst_and_most_frequent_first() -> None:
    shown = [(row[0], row[1], row[2], row[3], row[4]) for row in rows(render(many(), Options()))]
    assert shown == [
        ("2", "HPD105", "error", "hang", "1"),
        ("2", "HPD201", "error", "silent", "1"),
        ("10", "HPD111", "info", "slow", "2"),
    ]


@pytest.mark.parametrize("width", [None, 80, 120])
def test_columns_are_aligned(width: int | None) -> None:
    lines = [line for line in render(many(), Options(width=width)).splitlines() if ROW.fullmatch(line)]
    assert len({line.index("HPD") for line in lines}) == 1
    assert len({line.rindex("  ") for line in lines}) == 1


def test_counts_below_the_lines() -> None:
    lines = render(many(), Options()).splitlines()
    assert "impact: 10 slow, 2 hang, 2 silent" in lines
    assert "decision: 10 placement, 2 representation" in lines
    assert not any(line.startswith("suppressed:") for line in lines)
    assert "suppressed: 1 HPD501" in render(many(), Options(verbose=True)).splitlines()


def test_undecided_rules_and_what_would_settle_them() -> None:
    text = render(example(), Options())
    assert "undecided: 1 verdict of 1 rule\n" in text
    assert "settles most: decode.kv.layout (1), prefill.kv.layout (1)\n" in text
    assert text.splitlines()[-1].startswith("2 errors, 1 warning in ")


def test_quiet_leaves_the_lines_only() -> None:
    text = render(many(), Options(quiet=True, verbose=True))
    assert len(rows(text)) == len(text.splitlines()) == 3


def test_no_findings() -> None:
    assert render(report(), Options(quiet=True)) == ""
    assert len(render(report(), Options()).splitlines()) == 1
    assert len(render(report(), Options(below_summary=True)).splitlines()) == 0


def test_only_suppressed_findings() -> None:
    hidden = report(finding(at(DEPLOYMENT, "fp16"), suppressed="known"))
    assert rows(render(hidden, Options(verbose=True))) == []
    assert "suppressed: 1 HPD201\n" in render(hidden, Options(verbose=True))


def test_severities_have_their_colours() -> None:
    text = render(many(), Options(colour=True))
    assert "\x1b[1;31merror\x1b[0m" in text
    assert "\x1b[1;36minfo\x1b[0m" in text
    assert re.sub(r"\x1b\[[\d;]*m", "", text) == render(many(), Options())


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    longest = {"name": "x" * 37, "severity": "warning", "impact": "exposed"}
    spots = [at(DEPLOYMENT, "fp16", path=f"{number}.yaml") for number in range(100)]
    wide = report(*(finding(spot, **longest) for spot in spots))._replace(settling=example().settling * 9)
    assert max(map(len, render(wide, Options(width=width)).splitlines())) <= width


def test_left_out_inputs_are_in_the_summary() -> None:
    nothing = Report((), (), (), {}, Tally(), 3, (), {}, unchanged=4)
    assert render(nothing, Options()).count("4 files") == 1
    some = report(finding(at(DEPLOYMENT, "fp16")), inputs=(InputReport(PATH, "hetpd", "checked"),))
    assert "4 files unchanged" in render(some._replace(unchanged=4), Options())
    assert "unchanged" not in render(some, Options())


# -- on the command line ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], (Output("statistics"),)),
        (["full"], (Output("full"), Output("statistics"))),
        (["sarif=x"], (Output("sarif", "x"), Output("statistics"))),
        (["statistics"], (Output("statistics"),)),
        (["statistics=x"], (Output("statistics", "x"), Output("statistics"))),
        (["github", "concise"], (Output("github"), Output("concise"), Output("statistics"))),
    ],
)
def test_where_the_flag_puts_it(words: list[str], expected: tuple[Output, ...]) -> None:
    assert outputs(words, statistics=True) == expected
    assert outputs([]) == DEFAULT


@pytest.mark.parametrize("form", ["sarif", "json", "junit", "markdown"])
def test_what_it_cannot_follow(form: str) -> None:
    with pytest.raises(typer.BadParameter):
        outputs([form], statistics=True)


def test_it_follows_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "deploy.yaml"
    path.write_text(DEPLOYMENT)
    code = run(["check", str(path), "--format", "concise"])
    concise = capsys.readouterr().out
    assert run(["check", str(path), "--statistics"]) == code == 1
    alone = capsys.readouterr().out
    file = tmp_path / "counts.txt"
    assert run(["check", str(path), "--statistics", "--format", "concise", "-f", f"statistics={file}"]) == 1
    both = capsys.readouterr().out
    assert rows(alone)
    assert file.read_text() == alone
    *counts, summary = alone.splitlines()
    assert both.splitlines() == [*concise.splitlines(), "", *counts]
    assert concise.splitlines()[-1] == summary


def test_quiet_and_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "deploy.yaml"
    path.write_text("hetpd: 1\npools: [{name: p, role: prefill}]\n")
    assert run(["check", str(path), "--statistics", "--quiet", "--format", "concise"]) == 0
    assert capsys.readouterr().out == ""
