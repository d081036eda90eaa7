"""``hetpd check``: read, judge, print."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.checking import Plan, run
from hetpd_cli.cli.exit_codes import DEFAULT_LEVEL, Gate, exit_code, undecided_failures
from hetpd_cli.cli.outputs import DEFAULT, Output, Printing, files_of, keep, write_all
from hetpd_cli.cli.selection import UnknownRuleError, selected
from hetpd_cli.cli.settings import ChangesError, Files, given_by, refuse
from hetpd_cli.configuration.read import ConfigurationError
from hetpd_cli.configuration.setup import Setup, in_folder, set_up
from hetpd_cli.findings import NEVER
from hetpd_cli.report.style import inert
from hetpd_cli.report.words import plural
from hetpd_cli.sources.inputs import find
from hetpd_cli.sources.text import STDIN, Limits
from hetpd_cli.suppressions import BaselineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from hetpd_cli.checking import Outcome
    from hetpd_cli.configuration.options import Options
    from hetpd_cli.findings import Undecided
    from hetpd_cli.sources.inputs import Found
    from hetpd_cli.sources.reader import Reading


class Request(NamedTuple):
    """What the user asks for; ``said`` are facts that inputs may leave out."""

    paths: tuple[str, ...]
    outputs: tuple[Output, ...] = DEFAULT
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    gate: Gate = Gate()
    files: Files = Files()
    baseline: str | None = None
    write_baseline: bool = False
    colour: str = "auto"
    quiet: bool = False
    verbose: bool = False
    said: Options | None = None
    changed_since: str | None = None


def run_check(request: Request) -> int:
    """Check the inputs, write the report to standard output and return the exit code."""
    try:
        setup = set_up(request.paths, request.files.config, no_config=request.files.no_config)
        path = _baseline_path(request, setup)
        plan, gate = _plan(request, setup, path)
        own = files_of(request.outputs) | (frozenset() if path is None else {os.path.realpath(path)})
        found = find(request.paths, own)
        readings, plan, left_out, notes = _readings(found, request, plan)
        outcome = run(readings, plan)
        outcome = outcome._replace(report=outcome.report._replace(unchanged=left_out))
        keep((*found.files, *outcome.report.texts, path, setup.configuration.path), request.outputs)
        if request.write_baseline:
            from hetpd_cli.cli.baseline import write_baseline

            write_baseline(path, outcome, plan)
            return exit_code(outcome.report, found.empty, gate._replace(fail_on=NEVER, undecided=()))
    except (UnknownRuleError, BaselineError, ConfigurationError, ChangesError) as error:
        return refuse(error)
    if plan.baseline is not None:
        from hetpd_cli.cli.baseline import shrink

        shrink(plan.baseline, outcome, plan)
    code = _report(outcome, found, gate, request, plan)
    for note in () if request.quiet else notes:
        sys.stderr.write(f"hetpd: {note}\n")
    return code


def _baseline_path(request: Request, setup: Setup) -> str | None:
    if request.baseline is not None:
        return request.baseline
    named = setup.configuration.baseline
    return None if named is None else in_folder(setup.configuration, named)


def _plan(request: Request, setup: Setup, baseline_path: str | None) -> tuple[Plan, Gate]:
    """Return how to check and what fails: the command line's words before those of the configuration."""
    configuration = setup.configuration
    chosen = selected(setup.rules, request.select or configuration.select, (*configuration.ignore, *request.ignore))
    baseline = None
    if baseline_path is not None and not request.write_baseline:
        from hetpd_cli.suppressions.baseline import load

        baseline = load(baseline_path)
    directories = tuple(path for path in request.paths if path != STDIN and os.path.isdir(path))  # noqa: PTH112 (paths stay text)
    given = given_by(request.said)
    plan = Plan(setup.rules, chosen, configuration, baseline, None, directories, given)
    return plan, request.gate._replace(fail_on=request.gate.fail_on or configuration.fail_on)


def _readings(found: Found, request: Request, plan: Plan) -> tuple[list[Reading], Plan, int, tuple[str, ...]]:
    """Return what is checked and how, how many inputs are left out, and what people should know of that."""
    if request.changed_since is None:
        return found.readings(Limits()), plan, 0, ()
    from hetpd_cli.cli.concerned import of_changes

    searched = request.files.config is None and not request.files.no_config
    concern = of_changes(request.changed_since, found, request.paths, plan, searched=searched)
    if concern.left_out:
        # What stands unused in the configuration may be of use to what is left out.
        plan = plan._replace(directories=(), partial=True)
    return concern.kept, plan, concern.left_out, concern.notes


def _report(outcome: Outcome, found: Found, gate: Gate, request: Request, plan: Plan) -> int:
    report = outcome.report
    fail_on = gate.fail_on or DEFAULT_LEVEL
    printing = Printing(request.colour, request.quiet, request.verbose, fail_on, _rule_source(plan))
    write_all(report, request.outputs, printing)
    for directory in () if gate.allow_empty else found.empty:
        sys.stderr.write(f"hetpd: nothing to check in {inert(directory)} (--allow-empty lets that pass)\n")
    failures = undecided_failures(report, gate)
    if failures:
        sys.stderr.write(f"hetpd: undecided, which --fail-on-undecided refuses: {_undecided(failures)}\n")
    return exit_code(report, found.empty, gate)


_UNDECIDED_SHOWN = 3


def _undecided(entries: Sequence[Undecided]) -> str:
    """Return the first rules that make a run fail, with the facts that would settle each."""
    said = []
    for code, entry in sorted({entry.code: entry for entry in reversed(entries)}.items()):
        facts = ", ".join(dict.fromkeys(need.fact for need in entry.needs))
        said.append(f"{code} {entry.name}" + (f" (needs {facts})" if facts else ""))
    more = len(said) - _UNDECIDED_SHOWN
    shown = said[:_UNDECIDED_SHOWN] + ([f"and {plural(more, 'more rule')} (--verbose)"] if more > 0 else [])
    return inert("; ".join(shown))


def _rule_source(plan: Plan) -> Callable[[str], Mapping[str, Any]]:
    """Return what finds the content of a rule's file by its code: formats that carry help read those they name."""

    def source(code: str) -> Mapping[str, Any]:
        from hetpd_cli.cli.explain import rule_source

        return rule_source(next(rule for rule in plan.rules if rule.code == code))

    return source
