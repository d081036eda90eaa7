"""``hetpd rules``: lists rules; ``hetpd rules test``: runs their examples."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.cli.exit_codes import FINDINGS, OK, UNREADABLE
from hetpd_cli.cli.output import options, write
from hetpd_cli.cli.selection import UnknownRuleError, selected
from hetpd_cli.cli.settings import NEAREST, Files, refuse
from hetpd_cli.configuration.read import ConfigurationError
from hetpd_cli.configuration.setup import set_up
from hetpd_cli.families import FAMILIES, family_digit, family_named
from hetpd_cli.findings import CELLS, SEVERITIES
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.report.style import inert

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hetpd_cli.engine.catalogue import Rule

DECISIONS = ("placement", "representation", "ownership")


class Filter(NamedTuple):
    """Which rules to list."""

    words: tuple[str, ...] = ()
    cell: str | None = None
    severity: str | None = None
    family: str | None = None
    decision: str | None = None


def run_rules(asked: Filter, form: str, colour: str, files: Files = NEAREST) -> int:
    """List the rules that ``asked`` chooses and return the exit code."""
    from hetpd_cli.report import rules_report

    try:
        rules = chosen(set_up((), files.config, no_config=files.no_config).rules, asked)
    except (UnknownRuleError, ConfigurationError) as error:
        return refuse(error)
    data = [rule.data for rule in rules]
    how = options(colour, quiet=False, verbose=False)
    write(rules_report.as_json(data) if form == "json" else rules_report.text(data, how))
    if not data:
        sys.stderr.write("hetpd: no rule is all of that\n")
    return OK


def chosen(rules: Iterable[Rule], asked: Filter) -> list[Rule]:
    """Return the rules that ``asked`` chooses. Raises UnknownRuleError for a word or filter that names nothing."""
    cell = _named("cell", asked.cell, CELLS)
    severity = _named("severity", asked.severity, SEVERITIES)
    decision = _named("decision", asked.decision, DECISIONS)
    digit = None
    if asked.family is not None:
        family = family_named(asked.family)
        if family is None:
            _named("family", asked.family, [family.folder for family in FAMILIES])
        digit = family.digit if family else None
    return [
        rule
        for rule in selected(tuple(rules), asked.words, ())
        if cell in (None, rule.cell)
        and severity in (None, rule.severity)
        and decision in (None, rule.data.get("decision"))
        and digit in (None, family_digit(rule.code))
    ]


def _named(what: str, word: str | None, known: Iterable[str]) -> str | None:
    """Return ``word`` as it is spelt in ``known``; UnknownRuleError if it is not there."""
    if word is None:
        return None
    names = list(known)
    found = next((name for name in names if name.lower() == word.lower()), None)
    if found is None:
        guess = did_you_mean(nearest(word, names))
        raise UnknownRuleError(f"{word} is no {what}{guess or ': ' + ', '.join(names)}")
    return found


# -- examples --------------------------------------------------------------------------------------------------


def run_rules_test(folder: str | None, colour: str) -> int:
    """Run the examples of the rules in ``folder``, print what became of each and return the exit code."""
    from hetpd_cli.engine.custom_rules import CustomRuleError
    from hetpd_cli.report.examples_report import summary, tested
    from hetpd_cli.resources import rules_dir
    from hetpd_cli.rule_examples import try_folder

    how = options(colour, quiet=False, verbose=False)
    good = bad = 0
    try:
        for result in try_folder(rules_dir() if folder is None else Path(folder)):
            write(tested(result, how))
            good, bad = good + result.ok, bad + (not result.ok)
    except CustomRuleError as error:
        sys.stderr.write(f"hetpd: {inert(str(error))}\n")
        return UNREADABLE
    if not good + bad:
        sys.stderr.write(f"hetpd: no rule below {inert(str(folder))}: no .yaml or .yml file\n")
        return UNREADABLE
    write(summary(good, bad, how))
    return FINDINGS if bad else OK
