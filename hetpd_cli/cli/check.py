"""``hetpd check``: read, judge, print."""

from __future__ import annotations

import sys
from typing import NamedTuple

from hetpd_cli.cli.exit_codes import USAGE, Gate, exit_code, undecided_failures
from hetpd_cli.cli.output import options, write
from hetpd_cli.cli.selection import UnknownRuleError, selected
from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.report import renderer
from hetpd_cli.report.style import inert
from hetpd_cli.sources.inputs import find, read
from hetpd_cli.sources.text import Limits


class Request(NamedTuple):
    """What the user asks for."""

    paths: tuple[str, ...]
    format: str = "full"
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    gate: Gate = Gate()
    colour: str = "auto"
    quiet: bool = False
    verbose: bool = False


def run_check(request: Request) -> int:
    """Check the inputs, write the report to standard output and return the exit code."""
    try:
        rules = selected(catalogue(), request.select, request.ignore)
    except UnknownRuleError as error:
        sys.stderr.write(f"hetpd: {inert(str(error))}\n")
        return USAGE
    found = find(request.paths)
    limits = Limits()
    report = check([read(path, limits) for path in found.files], rules)
    how = options(request.colour, quiet=request.quiet, verbose=request.verbose)
    write(renderer(request.format).render(report, how))
    for directory in found.empty:
        sys.stderr.write(f"hetpd: nothing to check in {inert(directory)} (--allow-empty lets that pass)\n")
    failures = undecided_failures(report, request.gate)
    if failures:
        sys.stderr.write(f"hetpd: {failures} undecided of the rules that --fail-on-undecided asks for\n")
    return exit_code(report, found.empty, request.gate)
