"""hetpd's verdict on a case.

A case becomes a deployment of two pools, and every rule of :func:`selected` is judged on it. 100,000 cases times dozens
of rules are too many to be judged one by one, so two things are remembered:

- a fact, by the fields that it was worked out from. The sections of a pool note which of their fields are looked at, in
  order. Working out is a function of what is read: the first field read is the same for all cases, the second is the same
  for all cases with that value in the first, and so on. It is a tree of fields, whose leaves are facts;
- a rule's outcome, by the facts that it asked for, in the same way: a tree of facts, whose leaves are outcomes.

Nothing of it knows any rule or fact; a test judges a sample of the cases completely, from their text, and compares.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from unittest.mock import patch

from hetpd_cli.deployment import Section
from hetpd_cli.engine.catalogue import INPUT, catalogue
from hetpd_cli.engine.scopes import Scopes
from hetpd_cli.engine.verdicts import UNDECIDED, VIOLATED, judge
from hetpd_cli.facts.space import Scope, Subject
from hetpd_cli.facts.values import Unknown
from hetpd_cli.sources.inputs import read_all, read_text
from hetpd_cli.sources.text import Limits, SourceText
from tests.conformance.families import FAMILIES
from tests.conformance.families.transfer_config import script
from tests.conformance.tables import ACCEPT, REJECT, WRONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hetpd_cli.deployment import Deployment, Pool, Stated
    from hetpd_cli.engine.catalogue import Rule
    from hetpd_cli.facts.space import Fact
    from tests.conformance.families.base import Fields
    from tests.conformance.tables import Case, Row, Table

REFUSING = frozenset({"refused", "crash", "hang"})
"""Impacts by which a violated rule of severity error says that the pair does not work at all."""

SILENT = "silent"
"""Impact of a rule that says that the output is wrong. Warnings count: what goes wrong with some prompts only is one."""

LAUNCH = frozenset(
    {
        "HPD113",
        "HPD114",
        "HPD501",
        "HPD502",
        "HPD503",
        "HPD506",
        "HPD507",
        "HPD511",
        "HPD514",
        "HPD312",
        "HPD548",
        "HPD549",
        "HPD551",
        "HPD552",
    }
)
"""Rules beside those of the representation (HPD2xx) and of an engine's start (HPD520 to HPD539) that speak of what the
functions decide. The others are about placement, addresses, ports, time, capacity, routers and load, of which no
function that gave a verdict knows: they say nothing about its cases, and the cases state nothing for them."""

UNDECIDED_VERDICT = "undecided"


def selected(rules: Iterable[Rule]) -> list[Rule]:
    """Return the rules whose verdicts are held against vLLM's: refusing errors, and silent errors and warnings."""
    return [rule for rule in rules if _speaks_of_pairs(rule.code) and _weight(rule) is not None]


def _speaks_of_pairs(code: str) -> bool:
    return code in LAUNCH or code.startswith("HPD2") or "HPD520" <= code <= "HPD539"


def _weight(rule: Rule) -> str | None:
    """Return the verdict that a violation of ``rule`` makes, if it makes one."""
    if rule.over == INPUT or rule.severity not in {"error", "warning"}:
        return None
    impact = rule.data.get("impact")
    if rule.severity == "error" and impact in REFUSING:
        return REJECT
    return WRONG if impact == SILENT else None


class Said(NamedTuple):
    """What hetpd says of a case: the verdict, and the rules that are violated or undecided."""

    verdict: str
    violated: tuple[str, ...]
    undecided: tuple[str, ...] = ()


_RANK = {ACCEPT: 0, WRONG: 1, REJECT: 2}


def _said(violated: Iterable[Rule], undecided: Iterable[Rule]) -> Said:
    """Return the verdict that rules make together; undecided where an undecided one could make it a graver one."""
    broken, open_ = list(violated), list(undecided)
    verdict = max((_weight(rule) or ACCEPT for rule in broken), key=_RANK.__getitem__, default=ACCEPT)
    if any(_RANK[_weight(rule) or ACCEPT] > _RANK[verdict] for rule in open_):
        verdict = UNDECIDED_VERDICT
    return Said(verdict, tuple(sorted(rule.code for rule in broken)), tuple(sorted(rule.code for rule in open_)))


# -- a case as a deployment ------------------------------------------------------------------------------------


def _nested(fields: Fields) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, value in fields.items():
        *parents, leaf = path.split(".", 2) if path.startswith("env.") else path.split(".")
        node = found
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return found


def _flow(value: Any) -> str:
    """Return a value in YAML's flow style; the word for having none is plain."""
    return json.dumps(value).replace('"none"', "none")


def text_of(prefill: Fields, decode: Fields) -> str:
    """Return the deployment file of two pools."""
    lines = ["hetpd: 1", "pools:"]
    for name, fields in (("prefill", prefill), ("decode", decode)):
        lines.append(f"  - name: {name}")
        lines.append(f"    role: {name}")
        lines.append("    unstated: default")
        lines += [f"    {key}: {_flow(value)}" for key, value in _nested(fields).items()]
    lines += ["handoffs:", "  - {from: prefill, to: decode}"]
    return "\n".join(lines) + "\n"


def deployment_text(family: str, case: Case, version: str) -> str:
    """Return a case as a person would write it: a deployment file, or a script for the cases of `config`."""
    if family == "config":
        return script(case, version)
    return text_of(*FAMILIES[family].fields(case, version))


def _deployment(text: str) -> Deployment:
    reading = read_text(SourceText("deploy.yaml", text), Limits())
    if reading.problems:
        raise ValueError(f"{[problem.message for problem in reading.problems]} in\n{text}")
    (deployment,) = reading.deployments
    return deployment


# -- rules remembered by what they read ------------------------------------------------------------------------

Key = tuple[int, str]
"""A field of prefill (0) or decode (1)."""
Name = tuple[str, str]
"""A fact: of prefill, of decode, of the handoff or of what surrounds it."""


class _Noting(dict[str, "Stated"]):
    """The stated fields of a section; tells ``note`` of each that is looked at."""

    def __init__(self, stated: dict[str, Stated], note: Callable[[str], None], paths: Iterable[str]) -> None:
        super().__init__(stated)
        self.note = note
        self.paths = paths

    def _all(self) -> None:
        for path in self.paths:
            self.note(path)

    def get(self, path: str, default: Any = None) -> Any:
        self.note(path)
        return super().get(path, default)

    def __getitem__(self, path: str) -> Stated:
        self.note(path)
        return super().__getitem__(path)

    def __contains__(self, path: object) -> bool:
        self.note(str(path))
        return super().__contains__(path)

    def __iter__(self) -> Iterator[str]:
        self._all()
        return super().__iter__()

    def keys(self) -> Any:
        self._all()
        return super().keys()

    def values(self) -> Any:
        self._all()
        return super().values()

    def items(self) -> Any:
        self._all()
        return super().items()


class _Node:
    """What a fact reads next, and where each value of that field leads: to a node or to the fact."""

    __slots__ = ("key", "next")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.next: dict[Any, _Node | Fact] = {}


class _Asked:
    """The fact that a rule asks for next, and where each of its values leads: to the next one or to the outcome."""

    __slots__ = ("name", "next")

    def __init__(self, name: Name) -> None:
        self.name = name
        self.next: dict[int, _Asked | str] = {}


class _Memory:
    """Facts by the fields that they were worked out from. Facts of one name and one value are one object."""

    def __init__(self) -> None:
        self._roots: dict[Any, Any] = {}
        self._known: dict[Any, Fact] = {}

    def find(self, name: Name, sides: tuple[Fields, Fields], read: dict[Key, None] | None = None) -> Fact | None:
        """Return the fact called ``name`` of a case, if it is known, and add the fields it hangs on to ``read``."""
        at = self._roots.get(name)
        while type(at) is _Node:
            key = at.key
            if read is not None:
                read[key] = None
            at = at.next.get(sides[key[0]].get(key[1]))
        return at

    def learn(self, name: Name, fact: Fact, sides: tuple[Fields, Fields], read: Iterable[Key]) -> Fact:
        """Remember ``fact`` by the fields ``read``, and return the fact of that name and value."""
        value = fact.value
        content = (value.reason, value.candidates, value.identity, value.left) if isinstance(value, Unknown) else value
        fact = self._known.setdefault((name, type(value), content), fact)
        entries, at = self._roots, cast("Any", name)
        for key in read:
            node = entries.get(at)
            if node is None:
                node = entries[at] = _Node(key)
            if node.key != key:
                raise RuntimeError(f"{name} read {key} where it had read {node.key} before: it does not repeat")
            entries, at = node.next, sides[key[0]].get(key[1])
        entries[at] = fact
        return fact


class _Reader:
    """Works the facts of one case out, noting for each which fields it hangs on."""

    def __init__(self, judge: Judge, sides: tuple[Fields, Fields]) -> None:
        self.sides = sides
        self.memory = judge.memory
        self.frames: list[dict[Key, None]] = [{}]
        self.asked: dict[Name, Fact] = {}
        # A subject keeps what it looks facts up by: it has to be the stand-in from the start.
        with self:
            self.scopes = Scopes(judge.deployment(sides, self.note))
        boundary = self.scopes.boundaries[0].subjects
        self.names = {subject: prefix for prefix, subject in boundary.items()}

    def note(self, key: Key) -> None:
        """A field is looked at."""
        self.frames[-1].setdefault(key)

    def fact(self, subject: Subject, path: str) -> Fact:
        """Stand in for :meth:`Subject.fact`."""
        name = (self.names[subject], path)
        read: dict[Key, None] = {}
        fact = self.memory.find(name, self.sides, read)
        if fact is None:
            read = {}
            self.frames.append(read)
            found = subject._resolve(path)
            self.frames.pop()
            fact = self.memory.learn(name, found, self.sides, read)
        if len(self.frames) == 1:
            self.asked.setdefault(name, fact)
        for key in read:
            self.frames[-1].setdefault(key)
        return fact

    def outcome(self, rule: Rule, over: str) -> tuple[str, dict[Name, Fact]]:
        """Judge ``rule``, and return the facts that it asked for, in order."""
        self.asked = {}
        with self:
            outcome = judge(rule, _scope(self.scopes, over)).outcome
        return outcome, self.asked

    def __enter__(self) -> None:
        def fact(subject: Subject, path: str) -> Fact:
            return self.fact(subject, path)

        self.patch = patch.object(Subject, "fact", fact)
        self.patch.start()

    def __exit__(self, *_error: object) -> None:
        self.patch.stop()


class Judge:
    """Judges the cases of one table.

    Fields that have one value in all cases are in no tree: nothing can hang on them.
    """

    def __init__(self, table: Table, rules: Iterable[Rule] | None = None) -> None:
        self.table = table
        self.family = FAMILIES[table.family]
        self.rules = selected(catalogue() if rules is None else rules)
        self.judged = 0
        self.memory = _Memory()
        self._memories: dict[object, tuple[_Memory, dict[Any, Any]]] = {}
        self._sides = {row.key: self.family.fields(table.case(row), table.version) for row in table.rows}
        self._varying = _varying(self._sides.values())
        self._template = _deployment(text_of(*next(iter(self._sides.values()))))
        self._decoded: dict[tuple[str, Any], dict[str, Stated]] = {}
        self._asked = [(rule, over) for rule in self.rules for over in _OVER.get(rule.over, ())]

    def say(self, row: Row) -> Said:
        """Return the verdict on a case."""
        sides = self._sides[row.key]
        # Which mappings are written at all is no field, and a rule may ask for it.
        declared = tuple(_mappings(frozenset(fields)) for fields in sides)
        self.memory, roots = self._memories.setdefault(declared, (_Memory(), {}))
        facts: dict[Name, int] = {}
        reader: _Reader | None = None
        violated: dict[str, Rule] = {}
        undecided: dict[str, Rule] = {}
        for rule, over in self._asked:
            entry = roots.get((rule.code, over))
            while type(entry) is _Asked:
                number = facts.get(entry.name)
                if number is None:
                    number = facts[entry.name] = id(self.memory.find(entry.name, sides))
                entry = entry.next.get(number)
            if entry is None:
                reader = reader or _Reader(self, sides)
                entry = self._learn(rule, over, reader, roots)
            if entry == VIOLATED:
                violated[rule.code] = rule
            elif entry == UNDECIDED:
                undecided[rule.code] = rule
        return _said(violated.values(), undecided.values())

    def _learn(self, rule: Rule, over: str, reader: _Reader, roots: dict[Any, Any]) -> str:
        """Judge ``rule`` on a case and remember the outcome by the facts that it asked for."""
        self.judged += 1
        outcome, asked = reader.outcome(rule, over)
        entries, at = roots, cast("Any", (rule.code, over))
        for name, fact in asked.items():
            node = entries.get(at)
            if node is None:
                node = entries[at] = _Asked(name)
            if node.name != name:
                raise RuntimeError(f"{rule.code} asked for {name} where it had asked for {node.name} before")
            entries, at = node.next, id(fact)
        entries[at] = outcome
        return outcome

    def deployment(self, sides: tuple[Fields, Fields], note: Callable[[Key], None]) -> Deployment:
        """Return the deployment of a case, whose pools tell ``note`` which fields are looked at."""
        pools = tuple(
            self._pool(pool, index, fields, note)
            for index, (pool, fields) in enumerate(zip(self._template.pools, sides, strict=True))
        )
        return self._template._replace(pools=pools)

    def _pool(self, pool: Pool, index: int, fields: Fields, note: Callable[[Key], None]) -> Pool:
        section = Section(pool.settings.kind, pool.settings.place, pool.settings.scope)
        varying = self._varying[index]
        stated: dict[str, Stated] = {}
        for path, value in fields.items():
            decoded = self._decoded.get((path, value))
            if decoded is None:
                decoded = self._decoded[path, value] = _decoded(path, value)
            stated.update(decoded)
        section.stated = _Noting(stated, lambda path: note((index, path)) if path in varying else None, varying)
        section.declared = set(_mappings(frozenset(fields)))
        return pool._replace(settings=section)


_OVER = {"boundary": ("boundary",), "pair": ("pair",), "pool": ("prefill", "decode")}
"""The scopes that a rule is judged on; a rule over the deployment says nothing about two pools by themselves."""


def _scope(scopes: Scopes, over: str) -> Scope:
    """Return a scope that has been asked nothing yet."""
    if over == "boundary":
        return Scope(scopes.boundaries[0].label, scopes.boundaries[0].subjects)
    if over == "pair":
        return scopes.of("pair")[0]
    return scopes.of("pool")[over == "decode"]


def _varying(cases: Iterable[tuple[Fields, Fields]]) -> tuple[dict[str, None], dict[str, None]]:
    """Return the fields of each side that have several values in ``cases``, or are not always there; in order."""
    cases = list(cases)
    found: tuple[dict[str, None], dict[str, None]] = ({}, {})
    for index, into in enumerate(found):
        paths = sorted({path for sides in cases for path in sides[index]})
        into.update((path, None) for path in paths if len({sides[index].get(path) for sides in cases}) > 1)
    return found


@cache
def _mappings(paths: frozenset[str]) -> frozenset[str]:
    """Return the mappings that are written where ``paths`` are."""
    return frozenset({"model"} | {path.rsplit(".", cut)[0] for path in paths for cut in range(1, path.count(".") + 1)})


def _decoded(path: str, value: Any) -> dict[str, Stated]:
    """Return what a deployment file states by one field, through its reader."""
    raw = list(value) if isinstance(value, tuple) else value
    (pool,) = _deployment(
        "hetpd: 1\npools:\n  - name: prefill\n    role: prefill\n    unstated: default\n"
        + "".join(f"    {key}: {_flow(inner)}\n" for key, inner in _nested({path: raw}).items())
    ).pools
    return {name: stated for name, stated in pool.settings.stated.items() if name not in {"name", "role"}}


# -- the whole way ---------------------------------------------------------------------------------------------


def of_text(text: str) -> Said:
    """Return the verdict on a deployment file by a complete check, with no short cut."""
    from hetpd_cli.rule_examples import report_on

    report = report_on(text, catalogue())
    by_code = {rule.code: rule for rule in selected(catalogue())}
    violated = {found.code for found in report.findings} & by_code.keys()
    undecided = {entry.code for entry in report.undecided} & by_code.keys()
    return _said([by_code[code] for code in violated], [by_code[code] for code in undecided])


def of_script(text: str) -> Said:
    """Return the verdict on a script: what its reader says, and the rules about an engine's start."""
    by_name = {rule.name: rule for rule in catalogue() if rule.over == INPUT}
    readings = read_all([SourceText("serve.sh", text)], Limits())
    rules = {rule.code: rule for rule in selected(catalogue()) if rule.over == "pool" and rule.code >= "HPD520"}
    said = [by_name[problem.rule] for reading in readings for problem in reading.problems if problem.rule in by_name]
    violated = {rule.code for rule in said if rule.severity == "error" and rule.data.get("impact") in REFUSING}
    for reading in readings:
        for deployment in reading.deployments:
            for scope in Scopes(deployment).of("pool"):
                violated |= {code for code, rule in rules.items() if judge(rule, scope).outcome == VIOLATED}
    return Said(REJECT if violated else ACCEPT, tuple(sorted(violated)))
