"""JSON Lines for programs that read as they go: the objects of :mod:`hetpd_cli.report.json_report`, one a line.

``type`` says what a line is; ``schemas/check-lines.schema.json`` describes each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetpd_cli.report.json_report import (
    about_run,
    as_finding,
    as_input,
    as_matrix,
    as_summary,
    as_undecided,
    dump,
)
from hetpd_cli.report.words import ordered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.findings import Report
    from hetpd_cli.report import Options


def render(report: Report, options: Options) -> str:
    """Return a line for the run, each input, finding and undecided rule, and the summary with the matrix.

    Only ``show_paths_from`` of ``options`` matters.
    """
    return "".join(dump({"type": kind, **content}, indent=None) for kind, content in _lines(report, options))


def _lines(report: Report, options: Options) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "run", about_run()
    yield from (("input", as_input(item, options)) for item in report.inputs)
    yield from (("finding", as_finding(finding, options)) for finding in ordered(report))
    yield from (("undecided", as_undecided(item, options)) for item in report.undecided)
    yield "summary", {**as_summary(report), "matrix": as_matrix(report)}
