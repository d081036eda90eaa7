"""What people and programs see of a check: one renderer a format behind one interface.

A format is a module with a function ``render(report, options)``. :data:`FORMATS` names the modules and
:func:`renderer` imports one when it is asked for, so that nobody pays for a format that is not printed.
Renderers print nothing: they return the whole text, empty or ending in a newline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from hetpd_cli.findings import Report

FORMATS = {
    "full": "hetpd_cli.report.full",
    "concise": "hetpd_cli.report.concise",
    "json": "hetpd_cli.report.json_report",
}
"""Name of each format and the module that renders it."""


class Options(NamedTuple):
    """How to print.

    ``width`` is the number of columns of the terminal, or None where the output is no terminal: then no line
    is ever wrapped. ``quiet`` leaves only the findings. ``verbose`` adds suppressed findings, every input,
    every undecided rule and all evidence, and lifts the caps. ``show_paths_from`` is a directory: paths that
    start with it are printed relative to it. ``json`` heeds nothing else: its content does not vary.
    """

    colour: bool = False
    width: int | None = None
    quiet: bool = False
    verbose: bool = False
    show_paths_from: str | None = None


class Renderer(Protocol):
    """A format."""

    def render(self, report: Report, options: Options) -> str:
        """Return ``report`` as text."""


def renderer(name: str) -> Renderer:
    """Import and return the renderer of the format ``name``; KeyError if there is no such format."""
    from importlib import import_module

    return cast("Renderer", import_module(FORMATS[name]))
