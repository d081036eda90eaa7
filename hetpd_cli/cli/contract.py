"""``hetpd contract``: read, compare, print."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.checking import said_besides
from hetpd_cli.cli.exit_codes import FINDINGS, OK, UNREADABLE
from hetpd_cli.cli.output import options, write
from hetpd_cli.cli.settings import NEAREST, Files, given_by, refuse
from hetpd_cli.configuration.read import ConfigurationError
from hetpd_cli.configuration.setup import set_up
from hetpd_cli.contracts import ContractReport
from hetpd_cli.engine.contract import report_on
from hetpd_cli.report.style import inert
from hetpd_cli.sources.inputs import find
from hetpd_cli.sources.text import Limits

if TYPE_CHECKING:
    from hetpd_cli.configuration.options import Options


class Request(NamedTuple):
    """What the user asks for; ``said`` are facts that inputs may leave out."""

    paths: tuple[str, ...]
    format: str = "text"
    colour: str = "auto"
    verbose: bool = False
    said: Options | None = None


def run_contract(request: Request, files: Files = NEAREST) -> int:
    """Write the contract of every boundary to standard output and return the exit code."""
    try:
        configuration = set_up(request.paths, files.config, no_config=files.no_config).configuration
        found = find(request.paths)
        readings = found.readings(Limits())
        said_besides(readings, configuration, given_by(request.said))
    except ConfigurationError as error:
        return refuse(error)
    report = report_on(readings)
    how = options(request.colour, quiet=False, verbose=request.verbose)
    if request.format == "json":
        from hetpd_cli.report.contract_json import render
    else:
        from hetpd_cli.report.contract import render
    write(render(report, how))
    for directory in found.empty:
        sys.stderr.write(f"hetpd: nothing to read in {inert(directory)}\n")
    return exit_code(report, found.empty)


def exit_code(report: ContractReport, empty: tuple[str, ...]) -> int:
    """Return 3 for an unreadable input or an empty directory, else 1 where some state can't cross as it is, else 0."""
    if empty or any(item.status == "unreadable" for item in report.inputs):
        return UNREADABLE
    return FINDINGS if any(contract.broken for contract in report.contracts) else OK
