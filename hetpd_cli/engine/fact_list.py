"""Every fact of a deployment: what is stated, taken over, looked up, derived, and what nobody knows."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from hetpd_cli.engine.findings import view
from hetpd_cli.engine.scopes import Scopes
from hetpd_cli.facts.registry import derivations
from hetpd_cli.facts.values import Nothing, Unknown
from hetpd_cli.fields import fields
from hetpd_cli.findings import FactGroup, FactRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hetpd_cli.deployment import Deployment
    from hetpd_cli.facts.space import Subject
    from hetpd_cli.facts.values import Known
    from hetpd_cli.findings import Scalar


def fact_groups(deployment: Deployment) -> list[FactGroup]:
    """Return all facts of ``deployment`` by subject: pools, handoffs, then what is around them, if it is declared."""
    scopes = Scopes(deployment)
    roles = {pool.name: pool.role or "pool" for pool in deployment.pools}
    groups = [
        _group(scope.subjects["pool"], roles[scope.subjects["pool"].name], scope.subjects["pool"].name)
        for scope in scopes.of("pool")
    ]
    groups += [_group(scope.subjects["handoff"], "handoff", scope.label) for scope in scopes.of("boundary")]
    around = scopes.of("deployment")[0].subjects.values()
    return groups + [_group(subject, subject.kind, subject.kind) for subject in around if subject.place is not None]


def _group(subject: Subject, prefix: str, name: str) -> FactGroup:
    rows = tuple(_row(subject, path) for path in _paths(subject))
    return FactGroup(subject.kind, name, prefix, subject.place, rows)


def _paths(subject: Subject) -> list[str]:
    """Return the paths of a subject's facts: fields, keys of its free mappings, derived ones."""
    known = [path for path, field in fields(subject.kind).items() if not field.open_map]
    return list(dict.fromkeys((*known, *sorted(subject.section.stated), *derivations(subject.kind))))


def _row(subject: Subject, path: str) -> FactRow:
    fact = subject.fact(path)
    shown = view(path, fact)
    derivation = derivations(subject.kind).get(path)
    inputs = derivation.inputs if derivation is not None and fact.inputs else ()
    if not isinstance(fact.value, Unknown):
        return FactRow(shown, inputs)
    return FactRow(shown, inputs, fact.value.reason, tuple(map(_candidate, fact.value.candidates or ())))


def _candidate(value: Known | Nothing) -> Scalar | list[Scalar]:
    if isinstance(value, Nothing):
        return None
    return list(value) if isinstance(value, tuple) else value


def chosen(groups: Sequence[FactGroup], globs: Iterable[str]) -> list[FactGroup]:
    """Return the groups with the facts that some glob names, as ``kv.*`` or ``decode.kv.*``; all without a glob."""
    patterns = tuple(globs)
    if not patterns:
        return list(groups)
    kept = [
        group._replace(rows=tuple(row for row in group.rows if _matches(group, row.view.name, patterns)))
        for group in groups
    ]
    return [group for group in kept if group.rows]


def _matches(group: FactGroup, path: str, patterns: tuple[str, ...]) -> bool:
    names = (path, f"{group.prefix}.{path}", f"{group.name}.{path}")
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def fact_names(groups: Iterable[FactGroup]) -> list[str]:
    """Return the paths of all facts, for a guess at what a glob was meant to be."""
    return list(dict.fromkeys(row.view.name for group in groups for row in group.rows))
