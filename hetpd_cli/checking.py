"""One run of ``check``, from readings to report: assumptions, rules, suppressions, in this order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.configuration.read import ConfigurationError
from hetpd_cli.configuration.settings import Configuration
from hetpd_cli.engine.check import RuleCrashError, check, with_problems

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence
    from datetime import date

    from hetpd_cli.configuration.options import Given
    from hetpd_cli.engine.catalogue import Rule
    from hetpd_cli.findings import Report
    from hetpd_cli.sources.problems import Problem
    from hetpd_cli.sources.reader import Reading
    from hetpd_cli.suppressions.apply import Suppressions
    from hetpd_cli.suppressions.baseline import Baseline, Key


class Plan(NamedTuple):
    """How a run is to be done.

    ``rules`` are all that there are, as configured; ``selected`` those that are asked. ``directories`` are looked
    through as a whole: what the configuration says of them and stands unused is reported. ``given`` are facts that the
    command line says. ``partial`` tells that further inputs are read and not checked: these facts may have their effect
    there.
    """

    rules: Sequence[Rule]
    selected: Sequence[Rule]
    configuration: Configuration = Configuration()
    baseline: Baseline | None = None
    today: date | None = None
    directories: tuple[str, ...] = ("/",)
    given: tuple[Given, ...] = ()
    partial: bool = False


class Outcome(NamedTuple):
    """The report, and how often each entry of the baseline was used; None without one."""

    report: Report
    used: Counter[Key] | None


def run(readings: Sequence[Reading], plan: Plan) -> Outcome:
    """Check ``readings``.

    Raises ConfigurationError for an option or assumption that cannot be and for a faulty rule of the user's own,
    RuleCrashError for a faulty built-in one.
    """
    configuration = plan.configuration
    problems, texts = said_besides(readings, configuration, plan.given, plan.directories, partial=plan.partial)
    suppressions = _suppressions(readings, plan)
    report = _checked(readings, plan.selected, problems, suppressions)
    report = report._replace(texts={**report.texts, **texts})
    if suppressions is None:
        return Outcome(report, None)
    report = with_problems(report, suppressions.problems(report), plan.selected)
    return Outcome(report, suppressions.used)


def said_besides(
    readings: Sequence[Reading],
    configuration: Configuration,
    given: Sequence[Given] = (),
    directories: Sequence[str] = ("/",),
    *,
    partial: bool = False,
) -> tuple[list[Problem], dict[str, str]]:
    """Fill what the command line and the configuration say and no input does.

    Returns what is wrong with it, and the texts that it stands in. Raises ConfigurationError for what cannot be.
    """
    problems: list[Problem] = []
    texts: dict[str, str] = {}
    if given:
        from hetpd_cli.configuration.options import COMMAND_LINE, command_line, fill_in

        without_effect = fill_in(readings, given)
        problems += [] if partial else without_effect
        texts[COMMAND_LINE] = command_line(given)
    if configuration.path:
        from hetpd_cli.configuration.assume import apply as assume

        problems += assume(readings, configuration, directories)
        texts[configuration.path] = configuration.text
    return problems, texts


def _checked(
    readings: Sequence[Reading], rules: Sequence[Rule], problems: Sequence[Problem], suppressions: Suppressions | None
) -> Report:
    try:
        return check(readings, rules, problems, suppressions)
    except RuleCrashError as error:
        own = next((rule for rule in rules if rule.file is not None and rule.code == error.code), None)
        if own is None:
            raise
        raise ConfigurationError([f"{own.file}: {error}"]) from error


_MAY_SUPPRESS = re.compile(r"#[ \t]*hetpd", re.I)


def _suppressions(readings: Sequence[Reading], plan: Plan) -> Suppressions | None:
    """Return what is accepted; None where nobody can have accepted anything, so that nothing is imported for it."""
    # Readings of one deployment share the texts of its files.
    texts = list({text.path: text for reading in readings for text in reading.texts}.values())
    configured = bool(plan.configuration.suppress) or plan.baseline is not None
    if not configured and not any(_MAY_SUPPRESS.search(text.text) for text in texts):
        return None
    from hetpd_cli.suppressions.apply import Asked, Suppressions

    asked = Asked(plan.rules, frozenset(rule.code for rule in plan.selected), plan.directories)
    return Suppressions(texts, asked, plan.configuration, plan.baseline, plan.today)
