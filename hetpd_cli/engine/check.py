"""Checks readings against the catalogue and reports."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hetpd_cli.deployment import AGGREGATED
from hetpd_cli.engine.catalogue import INPUT, Rule
from hetpd_cli.engine.findings import finding, input_finding, merge, violation
from hetpd_cli.engine.ids import misspelt_ids
from hetpd_cli.engine.overview import added, fact_counts, fields_read, pool_reports
from hetpd_cli.engine.scopes import Scopes
from hetpd_cli.engine.verdicts import HOLDS, NOT_APPLICABLE, UNDECIDED, VIOLATED, judge, needs, reasons
from hetpd_cli.facts.values import Unknown
from hetpd_cli.findings import CELLS, SEVERITIES, Finding, InputReport, Need, Report, Tally, Undecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hetpd_cli.deployment import Deployment
    from hetpd_cli.engine.findings import Violation
    from hetpd_cli.engine.verdicts import Verdict
    from hetpd_cli.facts.space import Scope
    from hetpd_cli.findings import Accepted, FactCounts, PoolReport
    from hetpd_cli.sources.problems import Problem
    from hetpd_cli.sources.reader import Reading

OPEN_CELLS = ("O1", "O2")
NOT_ANALYSED_CELLS = ("A1-A5", "A2-A5")
SETTLING = 5
"""How many of the facts that would settle most are named."""


class RuleCrashError(Exception):
    """A rule that raised: a fault of hetpd, not of the input."""

    def __init__(self, code: str, cause: Exception) -> None:
        super().__init__(f"rule {code} failed: {type(cause).__name__}: {cause}")
        self.code = code


class Judged(NamedTuple):
    """The verdicts of all rules on one deployment: of each rule, the outcomes that it had on some scope."""

    scopes: Scopes
    violations: list[Violation]
    undecided: list[tuple[Rule, Undecided]]
    outcomes: dict[str, set[str]]


def judge_deployment(deployment: Deployment, rules: Iterable[Rule]) -> Judged:
    """Evaluate ``rules`` on every scope of ``deployment``."""
    scopes = Scopes(deployment)
    cache: dict[str, Sequence[Scope]] = {}
    judged = Judged(scopes, [], [], {})
    for rule in rules:
        if rule.over == INPUT:
            continue
        if rule.over not in cache:
            cache[rule.over] = scopes.of(rule.over)
        try:
            _judge_rule(rule, cache[rule.over], scopes, judged)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as cause:
            raise RuleCrashError(rule.code, cause) from cause
    return judged


def _judge_rule(rule: Rule, scopes: Sequence[Scope], all_scopes: Scopes, judged: Judged) -> None:
    outcomes = set()
    waiting: list[tuple[Scope, Verdict]] = []
    known: dict[tuple[int, ...], Verdict] = {}
    shared = len(scopes) > 1 and rule.over in {"boundary", "pair"}
    reads = (*rule.reads, *_gates(rule, scopes[0])) if shared else ()
    for scope in scopes:
        key = tuple([id(scope.fact(name)) for name in reads])
        verdict = known.get(key) if reads else None
        if verdict is None:
            verdict = known[key] = judge(rule, scope)
        outcomes.add(verdict.outcome)
        if verdict.outcome == VIOLATED:
            judged.violations.append(violation(rule, scope, verdict, all_scopes.boundaries_of(scope)))
        elif verdict.outcome == UNDECIDED:
            waiting.append((scope, verdict))
    judged.outcomes[rule.code] = outcomes - {NOT_APPLICABLE} or {NOT_APPLICABLE}
    if waiting:
        judged.undecided.append((rule, _undecided(rule, waiting, all_scopes)))


def _gates(rule: Rule, scope: Scope) -> tuple[str, ...]:
    """Return the facts by which evidence is found to reach a scope or not."""
    if rule.covers is None:
        return ()
    pools = [prefix for prefix, subject in scope.subjects.items() if subject.kind == "pool"]
    return tuple(f"{prefix}.engine.{name}" for prefix in pools for name in ("name", "version"))


def _undecided(rule: Rule, waiting: list[tuple[Scope, Verdict]], scopes: Scopes) -> Undecided:
    wanted: dict[tuple[str, str], Need] = {}
    named: set[tuple[int, str]] = set()
    for scope, verdict in waiting:
        for leaf in needs(verdict, scope, named):
            value = leaf.fact.value
            reason = value.reason if isinstance(value, Unknown) else verdict.reason
            owner, known = leaf.fact.owner.name, not isinstance(value, Unknown)
            wanted.setdefault((leaf.name, owner), Need(leaf.name, reason, leaf.fact.place, owner, known))
    labels = dict.fromkeys(label for scope, _ in waiting for label in scopes.boundaries_of(scope))
    reason = next((verdict.reason for _, verdict in waiting if verdict.reason), "")
    if not wanted and not reason:
        reason = "; ".join(dict.fromkeys(why for _, verdict in waiting for why in reasons(verdict)))
    return Undecided(rule.code, rule.name, rule.cell, tuple(labels), tuple(wanted.values()), reason)


# -- reports ---------------------------------------------------------------------------------------------------


class Acceptance(Protocol):
    """Says of each violation whether somebody accepts it, and why."""

    def concerns(self, code: str) -> bool:
        """Tell whether violations of the rule ``code`` may be accepted at all."""
        ...

    def accepted(self, finding: Finding) -> Accepted | None:
        """Return why a finding of a single violation is accepted, or None if it is not."""
        ...


def check(
    readings: Sequence[Reading],
    rules: Sequence[Rule],
    problems: Sequence[Problem] = (),
    acceptance: Acceptance | None = None,
) -> Report:
    """Check ``readings`` against ``rules`` and report ``problems`` with what is wrong with the readings themselves.

    What ``acceptance`` accepts is in the report with the reason. Raises RuleCrashError where a rule is faulty.
    """
    findings: list[Finding] = _of_problems(problems, rules)
    undecided: list[Undecided] = []
    inputs: list[InputReport] = []
    outcomes: list[tuple[Rule, str]] = []
    decided: set[str] = set()
    read = fields_read(rules)
    for reading in readings:
        findings += [_accepted(found, acceptance) for found in _of_problems(reading.problems, rules)]
        labels: list[str] = []
        pools: list[PoolReport] = []
        facts: list[FactCounts] = []
        for deployment in reading.deployments:
            findings += [_accepted(found, acceptance) for found in _of_problems(misspelt_ids(deployment), rules)]
            judged = judge_deployment(deployment, rules)
            for group in merge(judged.violations):
                findings += _findings_of(group, acceptance)
            undecided += [entry._replace(path=reading.path) for _, entry in judged.undecided]
            by_code = judged.outcomes
            if any(known & {HOLDS, VIOLATED} for known in by_code.values()):
                decided.add(reading.path)
            outcomes += [(rule, outcome) for rule in rules for outcome in sorted(by_code.get(rule.code, ()))]
            labels += [f"{handoff.prefill} -> {handoff.decode}" for handoff in deployment.handoffs]
            pools += pool_reports(judged.scopes)
            facts.append(fact_counts(judged.scopes, read))
        inputs.append(_input(reading, tuple(labels))._replace(pools=tuple(pools), counts=added(facts)))
    counts = Counter(outcome for _, outcome in outcomes)
    return Report(
        inputs=tuple(inputs),
        findings=tuple(sorted(_each_once(findings), key=_order)),
        undecided=tuple(undecided),
        matrix=_matrix(outcomes, findings),
        tally=Tally(counts[HOLDS], counts[VIOLATED], counts[UNDECIDED], counts[NOT_APPLICABLE]),
        rules=sum(rule.over != INPUT for rule in rules),
        settling=_settling(undecided),
        texts={text.path: text.text for reading in readings for text in reading.texts},
        decided=frozenset(decided),
    )


def _each_once(findings: Sequence[Finding]) -> list[Finding]:
    """Return ``findings`` without those that say the same of the same places: overlays share what their base says."""
    known: dict[tuple[object, ...], Finding] = {}
    for found in findings:
        key = (found.code, found.message, found.places, found.suppressed)
        first = known.setdefault(key, found)
        if first.boundaries != found.boundaries:
            known[key] = first._replace(boundaries=tuple(dict.fromkeys((*first.boundaries, *found.boundaries))))
    return list(known.values())


def _accepted(found: Finding, acceptance: Acceptance | None) -> Finding:
    if acceptance is None or not acceptance.concerns(found.code):
        return found
    return _suppressed(found, acceptance.accepted(found))


def _suppressed(found: Finding, accepted: Accepted | None) -> Finding:
    if accepted is None:
        return found
    return found._replace(suppressed=accepted.reason, suppressed_by=accepted.by)


def _findings_of(group: list[Violation], acceptance: Acceptance | None) -> list[Finding]:
    """Return the finding of violations of one cause; those that are accepted for one reason make one of their own."""
    if acceptance is None or not acceptance.concerns(group[0].rule.code):
        return [finding(group)]
    parts: dict[Accepted | None, list[Violation]] = {}
    for member in group:
        parts.setdefault(acceptance.accepted(finding([member])), []).append(member)
    return [_suppressed(finding(members), accepted) for accepted, members in parts.items()]


def with_problems(report: Report, problems: Sequence[Problem], rules: Sequence[Rule]) -> Report:
    """Return ``report`` with the findings of ``problems`` among its own."""
    return report._replace(findings=tuple(sorted([*report.findings, *_of_problems(problems, rules)], key=_order)))


def _of_problems(problems: Sequence[Problem], rules: Sequence[Rule]) -> list[Finding]:
    """Return the findings of ``problems``, those of rules that are not asked left out."""
    if not problems:
        return []
    by_name = {rule.name: rule for rule in rules if rule.over == INPUT}
    return [input_finding(problem, by_name[problem.rule]) for problem in problems if problem.rule in by_name]


def _order(found: Finding) -> tuple[str, int, int, int, str, str]:
    place = found.primary
    return (place.path, place.line, place.column, SEVERITIES.index(found.severity), found.code, found.message)


def _input(reading: Reading, labels: tuple[str, ...]) -> InputReport:
    status, detail = reading.status, reading.detail
    if status == "checked" and not labels and (reading.deployments or not reading.joined):
        roles = {pool.role for deployment in reading.deployments for pool in deployment.pools}
        if roles <= {AGGREGATED}:
            status, detail = (
                ("not-pd", "all pools are aggregated: no boundary") if roles else (status, "no pool could be read")
            )
        else:
            detail = "no boundary: it takes a prefill and a decode pool of one model, or a handoff that joins them"
    return InputReport(reading.path, reading.format, status, detail, labels, joined=reading.joined)


def _matrix(outcomes: list[tuple[Rule, str]], findings: list[Finding]) -> dict[str, str]:
    """Return the verdict of each cell of the coupling matrix over all inputs."""
    matrix = {}
    for cell in CELLS:
        ours = {outcome for rule, outcome in outcomes if rule.cell == cell}
        violated = any(found.cell == cell and found.severity != "info" for found in findings)
        if cell in NOT_ANALYSED_CELLS:
            matrix[cell] = "not analysed"
        elif violated:
            matrix[cell] = VIOLATED
        elif cell in OPEN_CELLS:
            matrix[cell] = "open"
        else:
            matrix[cell] = next((outcome for outcome in (UNDECIDED, HOLDS) if outcome in ours), NOT_APPLICABLE)
    return matrix


_OF_A_POOL = re.compile(r"^(?:pool|prefill|decode|first|second)\.")


def _settling(undecided: list[Undecided]) -> tuple[tuple[str, int], ...]:
    """Return the facts that take part in most undecided verdicts; ties go to those that settle one alone.

    A fact of pools counts once for a verdict, whichever of them lacks it.
    """
    counts: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for entry in undecided:
        names = {_OF_A_POOL.sub("", need.fact) for need in entry.needs if not need.known}
        counts.update(names)
        if len(names) == 1:
            alone.update(names)
    ranked = sorted(counts, key=lambda name: (-counts[name], -alone[name], name))
    return tuple((name, counts[name]) for name in ranked[:SETTLING])
