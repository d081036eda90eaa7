"""``hetpd check``: read, judge, print."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.checking import Plan, run
from hetpd_cli.cli.exit_codes import OK, Gate, exit_code, undecided_failures
from hetpd_cli.cli.output import options, write
from hetpd_cli.cli.selection import UnknownRuleError, selected
from hetpd_cli.cli.settings import Files, refuse
from hetpd_cli.configuration.read import ConfigurationError
from hetpd_cli.configuration.setup import Setup, in_folder, set_up
from hetpd_cli.report import renderer
from hetpd_cli.report.style import inert
from hetpd_cli.report.words import plural
from hetpd_cli.sources.inputs import find
from hetpd_cli.sources.text import STDIN, Limits
from hetpd_cli.suppressions.baseline import BaselineError

if TYPE_CHECKING:
    from hetpd_cli.checking import Outcome
    from hetpd_cli.sources.inputs import Found
    from hetpd_cli.suppressions.baseline import Baseline


class Request(NamedTuple):
    """What the user asks for."""

    paths: tuple[str, ...]
    format: str = "full"
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    gate: Gate = Gate()
    files: Files = Files()
    baseline: str | None = None
    write_baseline: bool = False
    colour: str = "auto"
    quiet: bool = False
    verbose: bool = False


def run_check(request: Request) -> int:
    """Check the inputs, write the report to standard output and return the exit code."""
    try:
        setup = set_up(request.paths, request.files.config, no_config=request.files.no_config)
        plan, gate = _plan(request, setup)
        found = find(request.paths)
        outcome = run(found.readings(Limits()), plan)
        if request.write_baseline:
            return _write_baseline(outcome, request, setup)
    except (UnknownRuleError, BaselineError, ConfigurationError) as error:
        return refuse(error)
    if plan.baseline is not None:
        _shrink(plan.baseline, outcome, plan)
    return _report(outcome, found, gate, request)


def _plan(request: Request, setup: Setup) -> tuple[Plan, Gate]:
    """Return how to check and what fails: the command line's words before those of the configuration."""
    configuration = setup.configuration
    chosen = selected(setup.rules, request.select or configuration.select, (*configuration.ignore, *request.ignore))
    path = _baseline_path(request, setup)
    baseline = None
    if path is not None and not request.write_baseline:
        from hetpd_cli.suppressions.baseline import load

        baseline = load(path)
    whole = any(path != STDIN and os.path.isdir(path) for path in request.paths)  # noqa: PTH112 (paths stay text)
    plan = Plan(setup.rules, chosen, configuration, baseline, None, whole)
    return plan, request.gate._replace(fail_on=request.gate.fail_on or configuration.fail_on)


def _report(outcome: Outcome, found: Found, gate: Gate, request: Request) -> int:
    report = outcome.report
    how = options(request.colour, quiet=request.quiet, verbose=request.verbose)
    write(renderer(request.format).render(report, how))
    for directory in found.empty:
        sys.stderr.write(f"hetpd: nothing to check in {inert(directory)} (--allow-empty lets that pass)\n")
    failures = undecided_failures(report, gate)
    if failures:
        sys.stderr.write(f"hetpd: {failures} undecided of the rules that --fail-on-undecided asks for\n")
    return exit_code(report, found.empty, gate)


# -- the baseline ----------------------------------------------------------------------------------------------


def _baseline_path(request: Request, setup: Setup) -> str | None:
    if request.baseline is not None:
        return request.baseline
    named = setup.configuration.baseline
    return None if named is None else in_folder(setup.configuration, named)


def _write_baseline(outcome: Outcome, request: Request, setup: Setup) -> int:
    from hetpd_cli.suppressions.apply import SELF
    from hetpd_cli.suppressions.baseline import dump, of_findings

    path = _baseline_path(request, setup)
    if path is None:
        raise BaselineError("--write-baseline needs --baseline FILE, or `baseline` in the configuration")
    found = [one for one in outcome.report.findings if one.suppressed is None and not one.code.startswith(SELF)]
    try:
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(dump(of_findings(path, found)))
    except OSError as error:
        raise BaselineError(f"cannot write the baseline {path}: {error.strerror}") from None
    sys.stderr.write(f"hetpd: {plural(len(found), 'finding')} written to {inert(path)}\n")
    return OK


def _shrink(baseline: Baseline, outcome: Outcome, plan: Plan) -> None:
    """Take out of the baseline's file what no longer occurs in the inputs of this run."""
    from hetpd_cli.suppressions.baseline import dump, shrunk

    checked = {entry.path for entry in outcome.report.inputs if entry.status != "unreadable"}
    smaller = shrunk(baseline, outcome.used, checked, {rule.code for rule in plan.selected})
    gone = baseline.counts.total() - smaller.counts.total()
    if not gone:
        return
    what = "1 finding is" if gone == 1 else f"{gone} findings are"
    try:
        with open(baseline.path, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(dump(smaller))
    except OSError:
        sys.stderr.write(f"hetpd: {inert(baseline.path)} cannot be written: {what} gone, and still listed there\n")
        return
    sys.stderr.write(f"hetpd: {what} gone and {'has' if gone == 1 else 'have'} left {inert(baseline.path)}\n")
