"""Decides of each violation whether it is accepted, and finds what is wrong with the suppressions."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.configuration.rules import nearest_rule, rule_called
from hetpd_cli.findings import Accepted, LabelledPlace
from hetpd_cli.globs import is_looked_at, matches_handoff, matches_path
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.sources.problems import Problem
from hetpd_cli.suppressions.comments import WORD, comments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from hetpd_cli.configuration.settings import Configuration, Suppression
    from hetpd_cli.engine.catalogue import Rule
    from hetpd_cli.findings import Finding, Report
    from hetpd_cli.places import Place
    from hetpd_cli.sources.text import SourceText
    from hetpd_cli.suppressions.baseline import Baseline, Key
    from hetpd_cli.suppressions.comments import Comment

SELF = "HPD9"
"""Beginning of the codes about suppressions and configuration: no comment and no table can suppress these."""

FORM = "# hetpd: ignore[rule-name] the reason"


class Suppressor(NamedTuple):
    """One way to suppress: the rule it names, where it stands, its reason, and the lines or table that say of what.

    ``quiet`` says that it stands within a text of the input, where nothing is said of one that is not used.
    """

    code: str
    name: str
    place: Place
    reason: str
    line: int = 0
    last: int = 0
    entry: Suppression | None = None
    quiet: bool = False

    @property
    def accepted(self) -> Accepted:
        """What is said of a finding that it suppresses."""
        return Accepted(self.reason, "comment" if self.entry is None else "configuration")


class Asked(NamedTuple):
    """Every rule there is, the codes of those that are asked, and the directories that are looked through."""

    rules: Sequence[Rule]
    codes: frozenset[str]
    directories: Sequence[str]


class Suppressions:
    """What is accepted in one run: comments first, then the configuration's tables, then the baseline.

    ``today`` is the day that `until` is compared with; None is the current one.
    """

    def __init__(
        self,
        texts: Sequence[SourceText],
        asked: Asked,
        configuration: Configuration,
        baseline: Baseline | None,
        today: date | None,
    ) -> None:
        self._asked = asked
        self._configuration = configuration
        self._baseline = baseline
        self._left = Counter(baseline.counts) if baseline else Counter()
        self._problems: list[Problem] = []
        found = [*self._of_comments(texts), *self._of_tables(today)]
        self._suppressors = {one.code: [other for other in found if other.code == one.code] for one in found}
        self._hits: set[int] = set()
        self._seen: Counter[str] = Counter()
        self.used: Counter[Key] = Counter()
        """How often each entry of the baseline was used."""

    def concerns(self, code: str) -> bool:
        """Tell whether violations of the rule ``code`` may be accepted at all."""
        return code in self._suppressors or self._baseline is not None

    def accepted(self, finding: Finding) -> Accepted | None:
        """Return why a finding of a single violation is accepted, or None if it is not."""
        self._seen[finding.code] += 1
        folder = self._configuration.folder
        hits = [one for one in self._suppressors.get(finding.code, ()) if _covers(one, finding, folder)]
        self._hits |= {id(one) for one in hits}
        accepted = hits[0].accepted if hits else None
        if self._baseline is None:
            return accepted
        key = self._baseline.key(finding)
        if self._left[key] > 0:
            self._left[key] -= 1
            self.used[key] += 1
            return accepted or Accepted(f"baseline {self._baseline.path}", "baseline")
        return accepted

    def problems(self, report: Report) -> list[Problem]:
        """Return what is wrong with the suppressions of a run that gave ``report``, unused ones included.

        A suppression is not unused where its input was not checked, or where its rule was left undecided.
        """
        checked = {entry.path for entry in report.inputs if entry.status == "checked"}
        undecided = report.left_open
        paths = [entry.path for entry in report.inputs]
        problems = list(self._problems)
        for one in (one for some in self._suppressors.values() for one in some):
            if id(one) in self._hits or one.code not in self._asked.codes or one.quiet:
                continue
            if one.entry is None:
                if one.place.path in checked and (one.place.path, one.code) not in undecided:
                    problems.append(_unused(one, 0))
                continue
            folder = self._configuration.folder
            open_ = any(code == one.code and matches_path(path, one.entry.path, folder) for path, code in undecided)
            if not open_ and is_looked_at(one.entry.path, folder, paths, self._asked.directories):
                problems.append(_unused(one, self._seen[one.code]))
        return problems

    # -- comments --------------------------------------------------------------------------------------------

    def _of_comments(self, texts: Sequence[SourceText]) -> Iterator[Suppressor]:
        for text in texts:
            for comment in comments(text):
                fault = _fault(comment)
                if fault is not None:
                    if not comment.quiet:
                        self._problems.append(_problem(*fault, comment.place))
                    continue
                for word in comment.rules or ():
                    rule = rule_called(word, self._asked.rules)
                    if rule is not None and not rule.code.startswith(SELF):
                        yield Suppressor(
                            rule.code,
                            rule.name,
                            comment.place,
                            comment.reason,
                            comment.line,
                            comment.last,
                            quiet=comment.quiet,
                        )
                    elif not comment.quiet:
                        self._problems.append(_misspelt(word, self._asked.rules, comment.place))

    # -- tables of the configuration -------------------------------------------------------------------------

    def _of_tables(self, today: date | None) -> Iterator[Suppressor]:
        from datetime import date

        today = today or date.today()
        for entry in self._configuration.suppress:
            rule = rule_called(entry.rule, self._asked.rules)
            if rule is None or rule.code.startswith(SELF):
                self._problems.append(_misspelt(entry.rule, self._asked.rules, entry.place))
            elif entry.until is not None and entry.until < today:
                message = f"the suppression of {rule.name} ran out on {entry.until.isoformat()}"
                self._problems.append(_problem("expired-suppression", message, "", entry.place))
            else:
                yield Suppressor(rule.code, rule.name, entry.place, entry.reason, entry=entry)


def _covers(one: Suppressor, finding: Finding, folder: str) -> bool:
    if one.entry is None:
        return any(
            spot.place.path == one.place.path and spot.place.line <= one.last and one.line <= spot.place.end_line
            for spot in finding.places
        )
    entry = one.entry
    if not any(matches_path(path, entry.path, folder) for path in {spot.place.path for spot in finding.places}):
        return False
    if entry.handoff != "*" and not all(matches_handoff(label, entry.handoff) for label in finding.boundaries):
        return False
    if entry.pool == "*" and entry.fact == "*":
        return True
    return any(
        (entry.pool == "*" or (view.of not in finding.boundaries and fnmatchcase(view.of, entry.pool)))
        and (fnmatchcase(view.name, entry.fact) or fnmatchcase(view.name.partition(".")[2], entry.fact))
        for view in finding.facts
    )


# -- problems --------------------------------------------------------------------------------------------------


def _fault(comment: Comment) -> tuple[str, str, str] | None:
    """Return rule, message and fix for a comment that is not of the form, or None."""
    fix = f"write `{FORM}`"
    if not comment.colon:
        return "misspelt-suppression", "a colon belongs behind `hetpd`: the comment is not read", fix
    if comment.word != WORD:
        guess = did_you_mean(nearest(comment.word, (WORD,))) if comment.word else ""
        return "misspelt-suppression", f"`hetpd: {comment.word}` is no word of hetpd{guess}", fix
    if not comment.rules:
        return "misspelt-suppression", "the comment names no rule to ignore", fix
    if not comment.reason:
        return "suppression-without-reason", f"{', '.join(comment.rules)} is ignored without a reason", fix
    return None


def _misspelt(word: str, rules: Sequence[Rule], place: Place) -> Problem:
    rule = rule_called(word, rules)
    if rule is not None:
        message = f"{word} cannot be suppressed: it is about the suppressions themselves"
        fix = "mend the suppression, or ignore the rule for the whole run"
        return _problem("misspelt-suppression", message, fix, place)
    if any(one.code.startswith(word.upper()) for one in rules if word):
        message = f"{word} is the beginning of several codes: a suppression names each rule"
        return _problem("misspelt-suppression", message, "`hetpd rules` lists them", place)
    guess = nearest_rule(word, rules)
    fix = f"write `{guess}`" if guess else "`hetpd rules` lists them"
    return _problem("misspelt-suppression", f"{word} names no rule{did_you_mean(guess)}", fix, place)


def _unused(one: Suppressor, seen: int) -> Problem:
    if one.entry is None:
        return _problem("unused-suppression", f"no {one.name} is found here that could be ignored", "", one.place)
    if not seen:
        message = f"no {one.name} is found in any input that could be ignored"
        return _problem("unused-suppression", message, "", one.place)
    message = f"{one.name} is found {seen} times, but never as this table describes it"
    fix = "compare its path, pool, handoff and fact with the finding (`hetpd check -v`), or remove it"
    return _problem("unused-suppression", message.replace("1 times", "once"), fix, one.place)


def _problem(rule: str, message: str, fix: str, place: Place) -> Problem:
    return Problem(rule, message, (LabelledPlace(place, "this suppression", primary=True),), fix)
