"""One run of ``check``, from readings to report: assumptions, rules, suppressions, in this order."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.configuration.assume import apply as assume
from hetpd_cli.configuration.read import ConfigurationError
from hetpd_cli.configuration.settings import Configuration
from hetpd_cli.engine.check import RuleCrashError, check, with_problems
from hetpd_cli.suppressions.apply import Asked
from hetpd_cli.suppressions.apply import apply as suppress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from hetpd_cli.engine.catalogue import Rule
    from hetpd_cli.findings import Report
    from hetpd_cli.sources.problems import Problem
    from hetpd_cli.sources.reader import Reading
    from hetpd_cli.suppressions.baseline import Baseline, Key


class Plan(NamedTuple):
    """How a run is to be done.

    ``rules`` are all that there are, as configured; ``selected`` those that are asked. ``whole`` says that the inputs
    are not just some of the files: what then stands unused in the configuration is reported.
    """

    rules: Sequence[Rule]
    selected: Sequence[Rule]
    configuration: Configuration = Configuration()
    baseline: Baseline | None = None
    today: date | None = None
    whole: bool = True


class Outcome(NamedTuple):
    """The report, and how often each entry of the baseline was used."""

    report: Report
    used: Counter[Key]


def run(readings: Sequence[Reading], plan: Plan) -> Outcome:
    """Check ``readings``.

    Raises ConfigurationError for an assumption that cannot be and for a faulty rule of the user's own, RuleCrashError
    for a faulty built-in one.
    """
    configuration = plan.configuration
    problems = assume(readings, configuration, whole=plan.whole) if configuration.path else []
    report = _checked(readings, plan.selected, problems)
    asked = Asked(plan.rules, frozenset(rule.code for rule in plan.selected), plan.whole)
    result = suppress(report, asked, configuration, plan.baseline, plan.today)
    texts = {**report.texts, configuration.path: configuration.text} if configuration.path else report.texts
    report = with_problems(report._replace(findings=result.findings, texts=texts), result.problems, plan.selected)
    return Outcome(report, result.used)


def _checked(readings: Sequence[Reading], rules: Sequence[Rule], problems: Sequence[Problem]) -> Report:
    try:
        return check(readings, rules, problems)
    except RuleCrashError as error:
        said = str(error)
        own = next((rule for rule in rules if rule.file is not None and f"rule {rule.code} " in said), None)
        if own is None:
            raise
        raise ConfigurationError([f"{own.file}: {said}"]) from error
