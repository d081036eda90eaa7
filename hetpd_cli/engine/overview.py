"""What an input is, in short: the shape of each pool, and where the facts that rules read come from."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hetpd_cli.deployment import DECODE, PREFILL
from hetpd_cli.facts.registry import derivation
from hetpd_cli.facts.space import UNSET_IS_NONE
from hetpd_cli.facts.values import ASSUMED, DEFAULT, STATED, UNKNOWN
from hetpd_cli.fields import field, fields
from hetpd_cli.findings import DEGREES, FactCounts, PoolReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hetpd_cli.deployment import Pool
    from hetpd_cli.engine.catalogue import Rule
    from hetpd_cli.engine.scopes import Scopes
    from hetpd_cli.facts.space import Subject

ANY = "pool"
HANDOFF = "handoff"
_OWNERS = {
    "pool": ANY,
    "pools": ANY,
    "first": ANY,
    "second": ANY,
    "prefill": PREFILL,
    "prefill_pools": PREFILL,
    "decode": DECODE,
    "decode_pools": DECODE,
    "handoff": HANDOFF,
    "handoffs": HANDOFF,
}
"""What the names of rules begin with to whose facts they are: of any pool, of those of a role, of the handoff."""

Fields = dict[str, frozenset[str]]
"""Paths of fields by whose they are, a value of :data:`_OWNERS`."""


def fields_read(rules: Iterable[Rule]) -> Fields:
    """Return the fields that ``rules`` read of pools and handoffs, directly or through derived facts."""
    found: dict[str, set[str]] = {ANY: set(), PREFILL: set(), DECODE: set(), HANDOFF: set()}
    names: set[str] = set().union(*(rule.reads for rule in rules))
    parted = [name.partition(".") for name in names]
    seen = {(_OWNERS[prefix], path) for prefix, _, path in parted if prefix in _OWNERS}
    stack = list(seen)
    known = {"pool": fields("pool"), HANDOFF: fields(HANDOFF)}
    while stack:
        owner, path = stack.pop()
        kind = HANDOFF if owner == HANDOFF else "pool"
        if path in known[kind] or field(kind, path) is not None:
            found[owner].add(path)
            continue
        for behind in _behind(owner, kind, path):
            if behind not in seen:
                seen.add(behind)
                stack.append(behind)
    return {owner: frozenset(paths) for owner, paths in found.items()}


def _behind(owner: str, kind: str, path: str) -> list[tuple[str, str]]:
    """Return the facts that a derived fact is derived from, each with whose it is; what surrounds the pools apart."""
    how = derivation(kind, path)
    if how is None:
        return []
    if owner != HANDOFF:
        return [(owner, name) for name in how.inputs]
    found = [(DECODE, name) for name in how.of_siblings]
    for name in how.inputs:
        prefix, _, rest = name.partition(".")
        if prefix in {PREFILL, DECODE}:
            found.append((prefix, rest))
        elif prefix not in {"workload", "router", "store"}:
            found.append((HANDOFF, name))
    return found


def fact_counts(scopes: Scopes, counted: Fields) -> FactCounts:
    """Count where the fields ``counted`` of all pools and handoffs come from."""
    origins: Counter[str] = Counter()
    for pool in scopes.deployment.pools:
        of_role = counted.get(pool.role or "", frozenset())
        _count(scopes.pool(pool.name), counted[ANY] | of_role, origins)
    for boundary in scopes.boundaries:
        _count(boundary.subjects[HANDOFF], counted[HANDOFF], origins)
    stated, assumed, default, unknown = (origins.pop(origin, 0) for origin in (STATED, ASSUMED, DEFAULT, UNKNOWN))
    return FactCounts(stated, assumed, default, origins.total(), unknown)


def _count(subject: Subject, paths: Iterable[str], origins: Counter[str]) -> None:
    """Count where facts come from; of free mappings only keys that are set, as any number of others are not."""
    for path in paths:
        fact = subject.fact(path)
        if fact.origin == STATED or not path.startswith(UNSET_IS_NONE):
            origins[fact.origin] += 1


def added(counts: Iterable[FactCounts]) -> FactCounts:
    """Return the sum of ``counts``."""
    return FactCounts(*map(sum, zip(FactCounts(), *counts, strict=True)))


def pool_reports(scopes: Scopes) -> tuple[PoolReport, ...]:
    """Return what each pool is, as far as it is known."""
    return tuple(_pool(pool, scopes.pool(pool.name)) for pool in scopes.deployment.pools)


def _pool(pool: Pool, subject: Subject) -> PoolReport:
    degrees: Mapping[str, int | None] = {name: _whole(subject, f"parallelism.{name}") for name in DEGREES}
    return PoolReport(
        pool.name,
        pool.role,
        _whole(subject, "workers"),
        _whole(subject, "devices_per_worker"),
        {name: degree for name, degree in degrees.items() if degree is not None},
        _text(subject, "accelerator"),
        _text(subject, "model.id"),
        _text(subject, "engine.name"),
        _text(subject, "engine.version"),
        _text(subject, "connector.name"),
        pool.place,
    )


def _whole(subject: Subject, path: str) -> int | None:
    value = subject.fact(path).value
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(subject: Subject, path: str) -> str | None:
    value = subject.fact(path).value
    return value if isinstance(value, str) else None
