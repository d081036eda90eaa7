"""Three-valued verdicts, and the facts that decide them."""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.facts.values import Unknown, Value
from hetpd_cli.fields import field
from hetpd_cli.places import Place
from hetpd_cli.tables import covers
from hetpd_cli.versions import is_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hetpd_cli.engine.catalogue import Rule
    from hetpd_cli.facts.space import Fact, Scope, Subject

HOLDS = "holds"
VIOLATED = "violated"
UNDECIDED = "undecided"
NOT_APPLICABLE = "not applicable"

MAX_JOINT_CHOICES = 64
_EXACT_LEAVES = 10
"""Up to so many exchangeable leaves the smallest deciding set is found exactly; beyond, one that cannot be thinned."""


class Environment:
    """What an expression sees of a scope. It remembers the facts that were read, in order.

    ``chosen`` gives values to unknown facts, by identity of the fact.
    """

    __slots__ = ("_members", "chosen", "read", "scope")

    def __init__(self, scope: Scope, chosen: dict[int | str, Value] | None = None) -> None:
        self.scope = scope
        self.chosen = chosen
        self.read: dict[str, Fact] = {}

    def value(self, name: str) -> Value:
        """Return the value of the fact called ``name``."""
        fact = self.scope.fact(name)
        self.read[name] = fact
        if self.chosen is not None and isinstance(fact.value, Unknown):
            return self.chosen.get(_identity(fact), fact.value)
        return fact.value

    def declared(self, name: str) -> bool:
        """Tell whether the mapping called ``name`` is written at all."""
        return self.scope.declared(name)

    def members(self, collection: str) -> list[Member]:
        """Return an environment for each member of ``collection``."""
        return [Member(self, collection, subject) for subject in self.scope.collections[collection]]


class Member:
    """One member of a collection, seen by an expression inside an aggregate."""

    __slots__ = ("collection", "outer", "subject")

    def __init__(self, outer: Environment, collection: str, subject: Subject) -> None:
        self.outer = outer
        self.collection = collection
        self.subject = subject

    def value(self, name: str) -> Value:
        """Return the value of a fact of this member, or of the surrounding scope."""
        prefix, _, path = name.partition(".")
        if prefix != self.collection:
            return self.outer.value(name)
        fact = self.subject.fact(path)
        self.outer.read[f"{self.collection}[{self.subject.name}].{path}"] = fact
        if self.outer.chosen is not None and isinstance(fact.value, Unknown):
            return self.outer.chosen.get(_identity(fact), fact.value)
        return fact.value

    def declared(self, name: str) -> bool:
        """Tell whether the mapping called ``name`` is written at all."""
        prefix, _, path = name.partition(".")
        return path in self.subject.section.declared if prefix == self.collection else self.outer.declared(name)


class Verdict(NamedTuple):
    """What a rule says of a scope.

    ``condition`` and ``requirement`` are the facts that each part read. ``reason`` and ``lacking`` say why a verdict
    that the facts would decide is left undecided: the evidence does not reach it.
    """

    outcome: str
    condition: dict[str, Fact]
    requirement: dict[str, Fact]
    reason: str = ""
    lacking: tuple[Fact, ...] = ()


def _identity(fact: Fact) -> int | str:
    value = fact.value
    return value.identity if isinstance(value, Unknown) and value.identity else id(fact)


def judge(rule: Rule, scope: Scope) -> Verdict:
    """Return the verdict of ``rule`` on ``scope``."""
    verdict = _evaluate(rule, scope, None)
    if verdict.outcome == UNDECIDED:
        verdict = _over_joint_choices(rule, scope, verdict)
    if verdict.outcome in {HOLDS, VIOLATED} and rule.covers is not None:
        return _covered(verdict, rule.covers, scope)
    return verdict


def _evaluate(rule: Rule, scope: Scope, chosen: dict[int | str, Value] | None) -> Verdict:
    environment = Environment(scope, chosen)
    applies = rule.when(environment)
    condition, environment.read = environment.read, {}
    if applies is False:
        return Verdict(NOT_APPLICABLE, condition, {})
    met = rule.require(environment)
    if met is True:
        outcome = HOLDS
    elif met is False and applies is True:
        outcome = VIOLATED
    else:
        outcome = UNDECIDED
    return Verdict(outcome, condition, environment.read)


def _over_joint_choices(rule: Rule, scope: Scope, verdict: Verdict) -> Verdict:
    """Return what all joint choices of the unknowns with candidates agree on, if they do."""
    domains: dict[int | str, tuple[Value, ...]] = {}
    count = 1
    for fact in (*verdict.condition.values(), *verdict.requirement.values()):
        value = fact.value
        if isinstance(value, Unknown) and value.candidates and _identity(fact) not in domains:
            domains[_identity(fact)] = value.candidates
            count *= len(value.candidates)
    if not domains or count > MAX_JOINT_CHOICES:
        return verdict
    outcomes = set()
    for values in product(*domains.values()):
        outcomes.add(_evaluate(rule, scope, dict(zip(domains, values, strict=True))).outcome)
        if UNDECIDED in outcomes or len(outcomes) > 1:
            return verdict
    return verdict._replace(outcome=outcomes.pop())


def _covered(verdict: Verdict, reach: dict[str, list[str]], scope: Scope) -> Verdict:
    """Return ``verdict`` if the rule's evidence reaches every engine version in ``scope``, else one left undecided.

    The versions that it reaches are part of what the verdict stands on.
    """
    versions: dict[str, Fact] = {}
    for prefix, subject in scope.subjects.items():
        if subject.kind != "pool":
            continue
        engine = subject.fact("engine.name").value
        if not isinstance(engine, str) or engine not in reach or "*" in reach[engine]:
            continue
        fact = versions[f"{prefix}.engine.version"] = subject.fact("engine.version")
        reason = _beyond(fact.value, engine, reach[engine], subject.name)
        if reason is not None:
            return verdict._replace(outcome=UNDECIDED, reason=reason, lacking=(fact,))
    return verdict._replace(condition={**verdict.condition, **versions})


def _beyond(version: Value, engine: str, specs: list[str], pool: str) -> str | None:
    """Say why evidence for the version ranges ``specs`` does not reach ``version``, or return None."""
    known = version if isinstance(version, str) and is_version(version) else None
    if any(covers(spec, known) for spec in specs):
        return None
    if known is None:
        return f"the engine version of {pool} is not known"
    return f"the evidence covers {engine} {' or '.join(specs)}, not {version} of {pool}"


# -- deciding facts --------------------------------------------------------------------------------------------


class Leaf(NamedTuple):
    """A fact at the bottom of a verdict, under the name that the rule's scope gives it."""

    name: str
    fact: Fact
    of_requirement: bool


def leaves(verdict: Verdict, scope: Scope) -> list[Leaf]:
    """Return the facts at the bottom of all that was read, those of the requirement first."""
    prefixes = _prefixes(scope)
    found: dict[int, Leaf] = {}
    for facts, of_requirement in ((verdict.requirement, True), (verdict.condition, False)):
        for fact in facts.values():
            for leaf in fact.leaves():
                name = f"{prefixes.get(leaf.owner, leaf.owner.name)}.{leaf.path}"
                found.setdefault(id(leaf), Leaf(name, leaf, of_requirement))
    return list(found.values())


def _prefixes(scope: Scope) -> dict[Subject, str]:
    """Return the name that the rule's scope gives each subject."""
    prefixes = {subject: prefix for prefix, subject in reversed(list(scope.subjects.items()))}
    for collection, members in scope.collections.items():
        for member in members:
            prefixes.setdefault(member, f"{collection}[{member.name}]")
    for sibling in getattr(scope.subjects.get("handoff"), "siblings", ()):
        prefixes.setdefault(sibling, f"siblings[{sibling.name}]")
    return prefixes


def deciding(rule: Rule, scope: Scope, verdict: Verdict) -> list[Leaf]:
    """Return the smallest set of leaves that forces a violated verdict: with all others unknown it stands.

    Leaves written at one place are one choice and stay together. That a field is left to the engine says something,
    although nobody knows its value.
    """
    read = leaves(_with_all_reads(rule, scope, verdict), scope)
    known = [leaf for leaf in read if not isinstance(leaf.fact.value, Unknown) or leaf.fact.value.left]
    groups: dict[object, list[Leaf]] = {}
    for leaf in known:
        groups.setdefault(leaf.fact.place or id(leaf.fact), []).append(leaf)

    def forced(kept: Iterable[object]) -> bool:
        keep = set(kept)
        gone: dict[Subject, set[str]] = {}
        for key, members in groups.items():
            if key not in keep:
                for leaf in members:
                    gone.setdefault(leaf.fact.owner, set()).add(leaf.fact.path)
        masked = scope.without({owner: frozenset(paths) for owner, paths in gone.items()})
        return judge(rule, masked).outcome == VIOLATED

    chosen = _smallest(list(groups), forced)
    return [leaf for key in groups if key in chosen for leaf in groups[key]]


def _with_all_reads(rule: Rule, scope: Scope, verdict: Verdict) -> Verdict:
    """Return ``verdict`` with every fact that the rule speaks of, also those after the one that settled it."""
    requires = rule.requires
    condition, requirement = dict(verdict.condition), dict(verdict.requirement)
    for name in rule.reads:
        prefix, _, path = name.partition(".")
        facts = requirement if name in requires else condition
        if prefix in scope.collections:
            for member in scope.collections[prefix]:
                facts.setdefault(f"{prefix}[{member.name}].{path}", member.fact(path))
        else:
            facts.setdefault(name, scope.fact(name))
    return verdict._replace(condition=condition, requirement=requirement)


def _smallest(keys: list[object], forced: Callable[[Iterable[object]], bool]) -> set[object]:
    """Return the smallest subset of ``keys`` that is still forced.

    Knowing more never undoes a verdict, so a key without which nothing is forced belongs to every such subset.
    """
    needed = [key for key in keys if not forced(other for other in keys if other != key)]
    if forced(needed):
        return set(needed)
    optional = [key for key in keys if key not in needed]
    # Of several sets of one size, the one that people wrote tells more than the one that defaults give.
    optional.sort(key=lambda key: not isinstance(key, Place))
    if len(optional) <= _EXACT_LEAVES:
        for size in range(1, len(optional)):
            for subset in combinations(optional, size):
                if forced([*needed, *subset]):
                    return {*needed, *subset}
    kept = list(keys)
    for key in reversed(optional):
        rest = [other for other in kept if other != key]
        if forced(rest):
            kept = rest
    return set(kept)


def lacking(verdict: Verdict) -> tuple[Fact, ...]:
    """Return the unknown facts that somebody could state to help to settle an undecided verdict.

    Where the evidence does not reach an engine version, that version is what is lacking.
    """
    if verdict.lacking:
        return verdict.lacking
    read = (*verdict.requirement.values(), *verdict.condition.values())
    return tuple(one for fact in read for one in _statable(fact))


def needs(verdict: Verdict, scope: Scope, known: set[tuple[int, str]] | None = None) -> list[Leaf]:
    """Return what a verdict lacks under the names of its scope, but for what is ``known``, which is added to.

    One fact may have several names: a pool is now the first of a pair and now the second, now decode and now a sibling.
    """
    known = set() if known is None else known
    of = {subject: prefix for prefix, subject in scope.subjects.items()}
    new = {(id(fact), of.get(fact.owner, "")): fact for fact in lacking(verdict)}
    new = {key: fact for key, fact in new.items() if key not in known}
    known.update(new)
    prefixes = _prefixes(scope) if new else {}
    return [Leaf(f"{prefixes.get(fact.owner, fact.owner.name)}.{fact.path}", fact, True) for fact in new.values()]


def reasons(verdict: Verdict) -> list[str]:
    """Return why the facts that an undecided verdict read are unknown, as said by those that rest on no unknown one."""
    found: dict[str, None] = {}
    stack = [*verdict.requirement.values(), *verdict.condition.values()][::-1]
    while stack:
        fact = stack.pop()
        behind = [one for one in fact.inputs if one.unknown]
        if isinstance(fact.value, Unknown) and not behind:
            found.setdefault(fact.value.reason)
        stack += behind[::-1]
    return list(found)


def _statable(fact: Fact) -> tuple[Fact, ...]:
    """Return the unknown facts behind ``fact`` that are fields of a deployment, the nearest ones only."""
    if fact.statable is None:
        if not fact.unknown:
            fact.statable = ()
        elif not fact.inputs or field(fact.owner.kind, fact.path) is not None:
            fact.statable = (fact,)
        else:
            fact.statable = tuple(dict.fromkeys(one for behind in fact.inputs for one in _statable(behind)))
    return fact.statable
