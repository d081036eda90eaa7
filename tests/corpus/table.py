"""How far reading reaches on the real files: ``python -m tests.corpus.table`` writes docs/corpus.md."""

from __future__ import annotations

import os
import sys
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.engine.catalogue import INPUT, catalogue
from hetpd_cli.engine.check import check, judge_deployment
from hetpd_cli.findings import STATUSES
from tests.corpus.support import CORPUS, Row, readings, rows
from tests.support import ROOT

if TYPE_CHECKING:
    from hetpd_cli.findings import FactCounts

PAGE = ROOT / "docs" / "corpus.md"
SHOWN = ("checked", "unresolved", "not-pd", "unreadable")
ORIGINS = ("stated", "default", "derived", "unknown")
OUTCOMES = ("holds", "violated", "undecided")


class Counted(NamedTuple):
    """Files of one format by status, and the facts of the pools of those that are checked, by origin."""

    files: int
    statuses: Counter[str]
    origins: Counter[str]


@cache
def counts() -> dict[str, FactCounts]:
    """Return the facts of each file that the report counts, by origin."""
    report = check(list(readings().values()), catalogue())
    return {os.path.relpath(one.path, CORPUS): one.counts for one in report.inputs if one.counts is not None}


def counted(format_rows: list[Row]) -> Counted:
    """Count the files of one format."""
    statuses = Counter(readings()[row.file].status for row in format_rows)
    origins: Counter[str] = Counter()
    for row in format_rows:
        if row.file in counts():
            origins.update(counts()[row.file]._asdict())
    return Counted(len(format_rows), statuses, origins)


def outcomes() -> dict[str, Counter[str]]:
    """Return how often each rule held, was violated and was undecided on some scope of a checked file."""
    rules = [rule for rule in catalogue() if rule.over != INPUT]
    found: dict[str, Counter[str]] = {rule.code: Counter() for rule in rules}
    for file in sorted({row.file for row in rows()}):
        for deployment in readings()[file].deployments:
            for code, reached in judge_deployment(deployment, rules).outcomes.items():
                found[code].update(reached)
    return found


def page() -> str:
    """Return the page."""
    by_format: dict[str, list[Row]] = {}
    for row in rows():
        by_format.setdefault(row.format, []).append(row)
    lines = [
        "<!-- Made by `python -m tests.corpus.table` where the files are at hand: edit that instead. -->\n",
        "# Reading real files\n",
        "Public prefill-decode configurations, by the format that their index gives them, in formats that are read",
        "([reading.md](reading.md)). Facts are those that rules read of the checked files, by origin, as the report counts them;",
        "two halves in two files are two files, and their facts count in one of them. Nothing is said to fill what they leave out.\n",
        "| format | files | checked | unresolved | not-pd | unreadable | stated | default | derived, looked up | unknown |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    total = Counted(0, Counter(), Counter())
    for name in sorted(by_format):
        one = counted(by_format[name])
        total = Counted(total.files + one.files, total.statuses + one.statuses, total.origins + one.origins)
        lines.append(_row(name, one))
    lines += [_row("**all**", total), "", *_left_over(), *_rules()]
    return "\n".join(lines) + "\n"


def _row(name: str, one: Counted) -> str:
    cells = [one.files, *(one.statuses[status] for status in SHOWN)]
    cells += [one.origins[origin] for origin in ORIGINS]
    return f"| {name} | {' | '.join(map(str, cells))} |"


def _left_over() -> list[str]:
    """Return a list of the files that are not checked, with the reason."""
    lines = ["## Not checked\n", "| file | status | why |", "| --- | --- | --- |"]
    for row in sorted(rows(), key=lambda row: row.file):
        reading = readings()[row.file]
        if reading.status != "checked":
            lines.append(f"| `{row.file}` | {reading.status} | {reading.detail.replace('|', '&#124;')} |")
    return [*lines, ""]


def _rules() -> list[str]:
    lines = [
        "## Rules\n",
        "How many of the checked deployments each rule held on, was violated on, or was undecided on, at some boundary.",
        "Rules that applied to none are left out.\n",
        "| rule | held | violated | undecided |",
        "| --- | ---: | ---: | ---: |",
    ]
    names = {rule.code: rule.name for rule in catalogue()}
    for code, counts in sorted(outcomes().items()):
        if any(counts[outcome] for outcome in OUTCOMES):
            cells = " | ".join(str(counts[outcome]) for outcome in OUTCOMES)
            lines.append(f"| {code} [{names[code]}](rules/{code}-{names[code]}.md) | {cells} |")
    return lines


if __name__ == "__main__":
    os.environ.setdefault("HETPD_CORPUS", str(CORPUS))
    assert set(SHOWN) == set(STATUSES)
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.relative_to(ROOT)}\n")
