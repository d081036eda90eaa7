"""What people and programs see of a check: one renderer a format behind one interface.

A format is a module with a function ``render(report, options)``. :data:`FORMATS` names the modules and
:func:`renderer` imports one when it is asked for, so that nobody pays for a format that is not printed.
Renderers print nothing: they return the whole text, empty or ending in a newline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from hetpd_cli.findings import Report

FORMATS = {
    "full": "hetpd_cli.report.full",
    "concise": "hetpd_cli.report.concise",
    "json": "hetpd_cli.report.json_report",
    "jsonl": "hetpd_cli.report.json_lines",
    "sarif": "hetpd_cli.report.sarif",
    "github": "hetpd_cli.report.github",
    "gitlab": "hetpd_cli.report.gitlab",
    "junit": "hetpd_cli.report.junit",
    "markdown": "hetpd_cli.report.markdown",
    "statistics": "hetpd_cli.report.statistics",
}
"""Name of each format and the module that renders it."""

LINES = ("full", "concise", "github", "statistics")
"""Formats for a log: lines that may follow those of another one. A text in any other format stands alone."""


class Repository(NamedTuple):
    """The checkout that a run stands in: what CI knows files by.

    ``root`` is its top and ``folder`` the working directory, both absolute. ``url`` is where the files of this revision
    can be looked at, up to and with the stroke before their path; empty where nobody said so.
    """

    root: str
    folder: str
    url: str = ""


class Options(NamedTuple):
    """How to print.

    ``width`` is the number of columns of the terminal, or None where the output is no terminal: then no line
    is ever wrapped. ``quiet`` leaves only the findings. ``verbose`` adds suppressed findings, every input,
    every undecided rule and all evidence, and lifts the caps. ``show_paths_from`` is a directory: paths that
    start with it are printed relative to it. ``json`` heeds nothing else: its content does not vary. ``repository`` is
    for formats by which a file is found again (:mod:`hetpd_cli.report.repository`). ``fail_on`` is the mildest severity
    that fails the run, or ``never``. ``rule_source`` returns the content of the file of the rule with a code.
    ``below_summary`` tells that another text with the summary stands right above.
    """

    colour: bool = False
    width: int | None = None
    quiet: bool = False
    verbose: bool = False
    show_paths_from: str | None = None
    repository: Repository | None = None
    fail_on: str = "error"
    rule_source: Callable[[str], Mapping[str, Any]] | None = None
    below_summary: bool = False


class Renderer(Protocol):
    """A format."""

    def render(self, report: Report, options: Options) -> str:
        """Return ``report`` as text."""


def renderer(name: str) -> Renderer:
    """Import and return the renderer of the format ``name``; KeyError if there is no such format."""
    from importlib import import_module

    return cast("Renderer", import_module(FORMATS[name]))
