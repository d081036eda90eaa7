"""``hetpd facts``: every fact of a deployment and where it comes from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hetpd_cli.checking import said_besides
from hetpd_cli.cli.exit_codes import OK, UNREADABLE, USAGE
from hetpd_cli.cli.output import options, write
from hetpd_cli.cli.settings import NEAREST, Files, given_by, refuse
from hetpd_cli.configuration.read import ConfigurationError
from hetpd_cli.configuration.setup import set_up
from hetpd_cli.engine.fact_list import chosen, fact_groups, fact_names
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.report import facts_report
from hetpd_cli.report.style import inert
from hetpd_cli.report.words import plural
from hetpd_cli.sources.inputs import Found
from hetpd_cli.sources.text import Limits

if TYPE_CHECKING:
    from hetpd_cli.configuration.options import Options


def run_facts(
    path: str,
    globs: tuple[str, ...],
    form: str,
    colour: str,
    *,
    unknown: bool,
    files: Files = NEAREST,
    more: Options | None = None,
) -> int:
    """Print the facts of the deployments in ``path`` and return the exit code."""
    try:
        configuration = set_up([path], files.config, no_config=files.no_config).configuration
        (reading,) = Found((path,), (), frozenset({path})).readings(Limits())
        said_besides([reading], configuration, given_by(more))
    except ConfigurationError as error:
        return refuse(error)
    if not reading.deployments:
        detail = reading.detail or "declares no deployment"
        sys.stderr.write(f"hetpd: {inert(reading.path)}: {inert(detail.removeprefix(f'{reading.path} '))}\n")
        return UNREADABLE
    everything = [(deployment.name or "", fact_groups(deployment)) for deployment in reading.deployments]
    shown = [(name, chosen(groups, globs)) for name, groups in everything]
    if globs and not any(groups for _, groups in shown):
        names = [name for _, groups in everything for name in fact_names(groups)]
        said = ", ".join(map(inert, globs))
        sys.stderr.write(f"hetpd: {said} names no fact{did_you_mean(nearest(globs[0], names))}\n")
        return USAGE
    how = options(colour, quiet=False, verbose=False)
    if form == "json":
        write(facts_report.as_json(reading.path, shown, how))
    else:
        write(facts_report.text(shown, how, unknown=unknown))
    if reading.problems:
        faults = plural(len(reading.problems), "fault")
        sys.stderr.write(f"hetpd: {faults} in the input: `hetpd check` says which\n")
    return OK
