"""Runs the examples of a rule: bad ones fire exactly once at their places, good ones and near-misses do not fire."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from hetpd_cli.checking import Plan, run
from hetpd_cli.configuration.read import ConfigurationError
from hetpd_cli.engine.catalogue import INPUT, catalogue
from hetpd_cli.engine.check import RuleCrashError
from hetpd_cli.engine.custom_rules import (
    CustomRuleError,
    built_in_words,
    compiled_rule,
    custom_rule_files,
    read_rule,
    refuse_clash,
)
from hetpd_cli.resources import rules_dir
from hetpd_cli.sources.inputs import read_all
from hetpd_cli.sources.text import Limits, SourceText

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hetpd_cli.engine.catalogue import Rule
    from hetpd_cli.findings import Finding, Report

BAD = "bad"
KINDS = (BAD, "good", "near-miss")
FILE = "deploy.yaml"
"""Name under which an example is read that gives none; the name's ending is part of what a format is known by."""

_UNFILLED = re.compile(r"(?<!\{)\{\w")
"""A brace before a name; one before a quote is JSON, two are Jinja's or Helm's."""


class Example(NamedTuple):
    """An example of a rule. ``key`` is its path in the rule's file, ``at`` the places that a bad one is reported at.

    ``configuration`` is the text of the hetpd.toml that it is checked with, if any; ``file`` is the name of its file.
    """

    kind: str
    key: str
    title: str
    deployment: str
    at: tuple[str, ...] = ()
    configuration: str = ""
    file: str = FILE


class Failure(NamedTuple):
    """An example that does not do what it is there for. ``expected`` and ``found`` are places, if these differ."""

    example: Example
    what: str
    expected: tuple[str, ...] = ()
    found: tuple[str, ...] = ()


class Tested(NamedTuple):
    """What became of one rule file: its rule and examples, or the error for which it is none."""

    path: str
    code: str
    name: str
    examples: tuple[Example, ...]
    failures: tuple[Failure, ...]
    lines: dict[str, int]
    error: CustomRuleError | None = None

    @property
    def ok(self) -> bool:
        """Whether the file holds a rule and every example does what it is there for."""
        return self.error is None and not self.failures


def try_folder(folder: Path) -> Iterator[Tested]:
    """Yield what becomes of each rule file below ``folder``, which may be that of the built-in rules.

    Raises CustomRuleError where there is no such folder.
    """
    built_in = folder.resolve().is_relative_to(rules_dir().resolve())
    taken = built_in_words()
    for path in custom_rule_files(folder):
        try:
            file = read_rule(path)
            rule = compiled_rule(file)
            if not built_in:
                refuse_clash(file, rule, taken)
        except CustomRuleError as error:
            yield Tested(str(path), "", "", (), (), {}, error)
            continue
        failed = tuple(failures(rule, file.raw))
        yield Tested(str(path), rule.code, rule.name, tuple(examples_of(file.raw)), failed, file.lines)


def examples_of(raw: dict[str, Any]) -> list[Example]:
    """Return the examples of a rule file's content."""
    return [
        Example(
            kind,
            f"examples.{kind}.{index}",
            entry["title"],
            entry["deployment"],
            tuple(entry.get("at", ())),
            entry.get("configuration", ""),
            entry.get("file", FILE),
        )
        for kind in KINDS
        for index, entry in enumerate(raw.get("examples", {}).get(kind, ()))
    ]


def report_on(text: str, rules: Sequence[Rule], path: str = FILE, configuration: str = "") -> Report:
    """Return the report on one text, checked with the text of a configuration."""
    plan = Plan(catalogue(), rules)
    if configuration:
        from hetpd_cli.configuration.read import OWN_FILE, parse

        plan = plan._replace(configuration=parse(SourceText(OWN_FILE, configuration)))
    return run(read_all([SourceText(path, text)], Limits()), plan).report


def spots(finding: Finding, texts: Mapping[str, str]) -> list[str]:
    """Return each place of a finding as `LINE:TEXT`, the primary one first; ``texts`` are those of the report."""
    ordered = sorted(finding.places, key=lambda spot: not spot.primary)
    return [f"{one.place.line}:{texts[one.place.path][one.place.start : one.place.end]}" for one in ordered]


def first_lines(places: Iterable[str]) -> list[str]:
    """Shorten places of whole blocks to their first line, which is what an example states of them."""
    return [place.partition("\n")[0] for place in places]


def failures(rule: Rule, raw: dict[str, Any]) -> Iterator[Failure]:
    """Yield the examples of ``raw``, the content of the rule's file, that fail."""
    others = [one for one in catalogue() if INPUT in {rule.over, one.over}]
    rules = tuple({**{one.code: one for one in others}, rule.code: rule}.values())
    for example in examples_of(raw):
        try:
            report = report_on(example.deployment, rules, example.file, example.configuration)
        except (RuleCrashError, ConfigurationError) as error:
            yield Failure(example, str(error))
            continue
        failure = _judged(rule, example, report)
        if failure is not None:
            yield failure


def _judged(rule: Rule, example: Example, report: Report) -> Failure | None:
    ours = [found for found in report.findings if found.code == rule.code]
    faults = {found.code for found in catalogue() if found.over == INPUT}
    others = [found for found in report.findings if found.code in faults and found.code != rule.code]
    if others and not (example.kind == BAD and rule.code in faults):
        place = others[0].primary
        return Failure(example, f"the deployment is faulty in line {place.line}: {others[0].message}")
    if example.kind == BAD:
        return _fired(example, ours, report)
    if ours:
        found = tuple(first_lines(spots(ours[0], report.texts)))
        return Failure(example, f"fires: {ours[0].message}", found=found)
    return None


def _fired(example: Example, ours: list[Finding], report: Report) -> Failure | None:
    """Return what is wrong with the findings of a bad example."""
    if len(ours) != 1:
        return Failure(example, f"fires {len(ours)} times, not once" if ours else "does not fire")
    expected, found = first_lines(example.at), first_lines(spots(ours[0], report.texts))
    if expected != found:
        return Failure(example, "fires at other places", tuple(expected), tuple(found))
    for text in (ours[0].message, ours[0].fix):
        if _UNFILLED.search(text):
            return Failure(example, f"a name in braces was not filled: {text}")
    return None
