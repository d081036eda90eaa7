"""Marks the findings of a report that are suppressed, and finds what is wrong with the suppressions."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.configuration.assume import matches_path, names_one_of
from hetpd_cli.configuration.rules import nearest_rule, rule_called
from hetpd_cli.findings import LabelledPlace
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.sources.problems import Problem
from hetpd_cli.sources.text import SourceText
from hetpd_cli.suppressions.comments import WORD, comments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from hetpd_cli.configuration.settings import Configuration, Suppression
    from hetpd_cli.engine.catalogue import Rule
    from hetpd_cli.findings import Finding, Report
    from hetpd_cli.places import Place
    from hetpd_cli.suppressions.baseline import Baseline, Key

SELF = "HPD9"
"""Beginning of the codes about suppressions and configuration: no comment and no table can suppress these."""


class Suppressor(NamedTuple):
    """One way to suppress: the code it names, where it stands, and its reason."""

    code: str
    name: str
    place: Place
    reason: str
    line: int | None = None
    entry: Suppression | None = None


class Result(NamedTuple):
    """All findings, suppressed ones with their reason; what is wrong with suppressions; the baseline's entries used."""

    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    used: Counter[Key]


class Asked(NamedTuple):
    """Every rule there is, the codes of those that were asked, and whether of all the files or of some."""

    rules: Sequence[Rule]
    codes: frozenset[str]
    whole: bool


def apply(
    report: Report, asked: Asked, configuration: Configuration, baseline: Baseline | None, today: date | None
) -> Result:
    """Suppress findings of ``report``: by comments first, then by the configuration's tables, then by the baseline.

    ``today`` is the day that `until` is compared with; None is the current one.
    """
    problems: list[Problem] = []
    suppressors = [*_of_comments(report.texts, asked, problems), *_of_tables(configuration, asked, today, problems)]
    by_code: dict[str, list[Suppressor]] = {}
    for one in suppressors:
        by_code.setdefault(one.code, []).append(one)
    used: set[int] = set()
    left = Counter(baseline.counts) if baseline else Counter()
    accepted: Counter[Key] = Counter()
    marked = []
    for finding in report.findings:
        hits = [one for one in by_code.get(finding.code, ()) if _covers(one, finding, configuration.folder)]
        used |= {id(one) for one in hits}
        reason = hits[0].reason if hits else None
        key = baseline.key(finding) if baseline else None
        if baseline and key and left[key] > 0:
            left[key] -= 1
            accepted[key] += 1
            reason = reason or f"baseline {baseline.path}"
        marked.append(finding._replace(suppressed=reason) if reason else finding)
    unused = [one for one in suppressors if id(one) not in used and one.code in asked.codes]
    paths = [entry.path for entry in report.inputs]
    problems += [
        _unused(one)
        for one in unused
        if one.entry is None or asked.whole or names_one_of(one.entry.path, paths, configuration.folder)
    ]
    return Result(tuple(marked), tuple(problems), accepted)


def _covers(one: Suppressor, finding: Finding, folder: str) -> bool:
    if one.entry is None:
        return any(
            spot.place.path == one.place.path and spot.place.line <= (one.line or 0) <= spot.place.end_line
            for spot in finding.places
        )
    entry = one.entry
    if not matches_path(finding.primary.path, entry.path, folder):
        return False
    if entry.fact == "*" and entry.of == "*":
        return True
    subjects = {*finding.boundaries, *(view.of for view in finding.facts)}
    facts = {name for view in finding.facts for name in (view.name, view.name.partition(".")[2])}
    return any(fnmatchcase(name, entry.of) for name in subjects) and (
        entry.fact == "*" or any(fnmatchcase(name, entry.fact) for name in facts)
    )


# -- comments --------------------------------------------------------------------------------------------------


def _of_comments(texts: Mapping[str, str], asked: Asked, problems: list[Problem]) -> Iterator[Suppressor]:
    for path, text in texts.items():
        for comment in comments(SourceText(path, text)):
            fault = _fault(comment.word, comment.rules, comment.reason)
            if fault is not None:
                problems.append(_problem(*fault, comment.place))
                continue
            for word in comment.rules or ():
                rule = rule_called(word, asked.rules)
                if rule is None or rule.code.startswith(SELF):
                    problems.append(_misspelt(word, asked, comment.place))
                else:
                    yield Suppressor(rule.code, rule.name, comment.place, comment.reason, comment.line)


def _fault(word: str, rules: tuple[str, ...] | None, reason: str) -> tuple[str, str, str] | None:
    """Return rule, message and fix for a comment that is not of the form, or None."""
    form = "# hetpd: ignore[rule-name] the reason"
    if word != WORD:
        guess = did_you_mean(nearest(word, (WORD,))) if word else ""
        return "misspelt-suppression", f"`hetpd: {word}` is no word of hetpd{guess}", f"write `{form}`"
    if not rules:
        return "misspelt-suppression", "the comment names no rule to ignore", f"write `{form}`"
    if not reason:
        named = ", ".join(rules)
        return "suppression-without-reason", f"{named} is ignored without a reason", f"write `{form}`"
    return None


def _misspelt(word: str, asked: Asked, place: Place) -> Problem:
    rule = rule_called(word, asked.rules)
    if rule is not None:
        message = f"{word} cannot be suppressed: it is about the suppressions themselves"
        return _problem(
            "misspelt-suppression", message, "mend the suppression, or ignore the rule for the whole run", place
        )
    guess = nearest_rule(word, asked.rules)
    fix = f"write `{guess}`" if guess else "`hetpd rules` lists them"
    return _problem("misspelt-suppression", f"{word} names no rule{did_you_mean(guess)}", fix, place)


# -- tables of the configuration -------------------------------------------------------------------------------


def _of_tables(
    configuration: Configuration, asked: Asked, today: date | None, problems: list[Problem]
) -> Iterator[Suppressor]:
    from datetime import date

    today = today or date.today()
    for entry in configuration.suppress:
        rule = rule_called(entry.rule, asked.rules)
        if rule is None or rule.code.startswith(SELF):
            problems.append(_misspelt(entry.rule, asked, entry.place))
        elif entry.until is not None and entry.until < today:
            message = f"the suppression of {rule.name} ran out on {entry.until.isoformat()}"
            problems.append(_problem("expired-suppression", message, "", entry.place))
        else:
            yield Suppressor(rule.code, rule.name, entry.place, entry.reason, entry=entry)


def _unused(one: Suppressor) -> Problem:
    where = "here" if one.entry is None else "in any input"
    return _problem("unused-suppression", f"no {one.name} is found {where} that could be ignored", "", one.place)


def _problem(rule: str, message: str, fix: str, place: Place) -> Problem:
    return Problem(rule, message, (LabelledPlace(place, "this suppression", primary=True),), fix)
