"""hetpd's verdict on a case.

A case becomes a deployment of two pools, and every rule of :func:`selected` is judged on it. 100,000 cases times dozens
of rules are too many to be judged one by one, so two things are remembered:

- a fact, by what it was worked out from: fields and other facts. The sections of a pool note which of their fields are
  looked at, the subjects which facts are asked for, in order. Working out is a function of what is read: the first thing
  read is the same for all cases, the second is the same for all cases with that value of the first, and so on. It is a
  tree of things read, whose leaves are facts. Facts of one name and one value are one object;
- a rule's outcome, by the facts that it asked for, in the same way: a tree of facts, whose leaves are outcomes. A rule
  that asked for nothing that varies has one outcome for all cases, and is asked once.

Nothing of it knows any rule or fact; a test judges a sample of the cases completely, from their text, and compares.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
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

    from hetpd_cli.deployment import Deployment, Stated
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

Name = tuple[str, str]
"""A fact: of prefill, of decode, of the handoff or of what surrounds it."""
Read = tuple[int, str] | Name
"""What a fact is worked out from: a field of prefill (0) or decode (1), or another fact."""


class Noting(dict[str, "Stated"]):
    """The stated fields of a section; tells ``note`` of each that is looked at, in whatever way."""

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

    def __len__(self) -> int:
        self._all()
        return super().__len__()

    def __eq__(self, other: object) -> bool:
        self._all()
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def __or__(self, other: Any) -> Any:
        self._all()
        return dict(super().items()) | dict(other)

    def __ror__(self, other: Any) -> Any:
        self._all()
        return dict(other) | dict(super().items())

    def copy(self) -> dict[str, Stated]:
        self._all()
        return dict(super().items())

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
    """What is read next, and where each of its values leads: to a node or to what is remembered.

    ``name`` is a fact; without one ``side`` and ``path`` are a field.
    """

    __slots__ = ("name", "next", "path", "side")

    def __init__(self, read: Read) -> None:
        first, second = read
        self.name: Name | None = None
        self.side, self.path = 0, second
        if isinstance(first, int):
            self.side = first
        else:
            self.name = (first, second)
        self.next: dict[Any, Any] = {}

    def reads(self, read: Read) -> bool:
        """Tell whether this is where ``read`` is read."""
        return read == (self.name or (self.side, self.path))


class _Memory:
    """Facts by what they were worked out from, and outcomes of rules by the facts they asked for.

    There is one for each set of mappings that is written: a rule may ask for these, and they are no field.
    """

    def __init__(self, judge: Judge, declared: tuple[frozenset[str], frozenset[str]]) -> None:
        self.judge = judge
        self.facts: dict[Name, Any] = {}
        self.outcomes: dict[tuple[str, str], Any] = {}
        self.open = list(judge.asked)
        """Rules whose outcome may vary."""
        self.fixed: list[tuple[Rule, str]] = []
        self._known: dict[Any, Fact] = {}
        self._sides: tuple[Fields, Fields] = ({}, {})
        self.case: dict[Name, Fact] = {}
        self._frames: list[dict[Read, None]] = [{}]
        # A subject keeps what it looks facts up by: it has to be the stand-in from the start.
        with self.standing_in():
            self.scopes = Scopes(judge.deployment(declared))
        boundary = self.scopes.boundaries[0].subjects
        self._names = {subject: prefix for prefix, subject in boundary.items()}
        self._subjects = boundary
        self._stale = True

    def standing_in(self) -> Any:
        """Answer what subjects are asked for, while this lasts."""

        def fact(subject: Subject, path: str) -> Fact:
            return self._fact(subject, path)

        return patch.object(Subject, "fact", fact)

    def turn_to(self, sides: tuple[Fields, Fields]) -> None:
        """Begin another case."""
        self._sides = sides
        self.case = {}
        self._stale = True

    def note(self, read: Read) -> None:
        """Something is read."""
        self._frames[-1].setdefault(read)

    def find(self, name: Name) -> Fact:
        """Return the fact called ``name`` of the case: remembered, or worked out."""
        found = self.case.get(name)
        if found is None:
            at = self.facts.get(name)
            while type(at) is _Node:
                of = at.name
                if of is None:
                    at = at.next.get(self._sides[at.side].get(at.path))
                else:
                    at = at.next.get(self.case.get(of) or self.find(of))
            found = self.case[name] = self._worked_out(name) if at is None else at
        return found

    def _fact(self, subject: Subject, path: str) -> Fact:
        """Stand in for :meth:`Subject.fact`."""
        name = (self._names[subject], path)
        self._frames[-1].setdefault(name)
        return self.find(name)

    def _worked_out(self, name: Name) -> Fact:
        subject = self._subjects[name[0]]
        self._write_sections()
        self._frames.append({})
        fact = subject._resolve(name[1])
        read = self._frames.pop()
        value = fact.value
        content = (value.reason, value.candidates, value.identity, value.left) if isinstance(value, Unknown) else value
        fact = self._known.setdefault((name, type(value), content), fact)
        self._learn(self.facts, name, read, fact)
        return fact

    def _write_sections(self) -> None:
        """Let the pools state what the case says."""
        if self._stale:
            self._stale = False
            for index, fields in enumerate(self._sides):
                section = self._subjects[("prefill", "decode")[index]].section
                section.stated = self.judge.stated(index, fields, self.note)

    def _learn(self, roots: dict[Any, Any], at: Any, read: Iterable[Read], found: object) -> None:
        """Remember what came of ``read``."""
        entries, root = roots, at
        for one in read:
            if type(one[0]) is str and type(self.facts[one]) is not _Node:
                continue  # a fact that is the same for all cases
            node = entries.get(at)
            if node is None:
                node = entries[at] = _Node(one)
            if not node.reads(one):
                raise RuntimeError(f"{root} read {one} where it had read {node.name or node.path}: it does not repeat")
            entries = node.next
            at = self.find(node.name) if node.name else self._sides[node.side].get(node.path)
        entries[at] = found

    def outcome(self, rule: Rule, over: str) -> str:
        """Return the outcome of a rule on the case: remembered, or judged."""
        at = self.outcomes.get((rule.code, over))
        while type(at) is _Node:
            name = at.name
            at = at.next.get(self.case.get(name) or self.find(name))  # type: ignore[arg-type]
        if at is None:
            at = self._judged(rule, over)
        return str(at)

    def _judged(self, rule: Rule, over: str) -> str:
        self.judge.judged += 1
        self._frames.append({})
        outcome = judge(rule, _scope(self.scopes, over)).outcome
        self._learn(self.outcomes, (rule.code, over), self._frames.pop(), outcome)
        return outcome

    def settle(self) -> None:
        """Ask rules no more that asked for nothing that varies."""
        for rule, over in self.open:
            if type(self.outcomes[rule.code, over]) is not _Node:
                self.fixed.append((rule, self.outcomes[rule.code, over]))
        self.open = [entry for entry in self.open if type(self.outcomes[entry[0].code, entry[1]]) is _Node]


class Judge:
    """Judges the cases of one table.

    Fields that have one value in all cases are in no tree: nothing can hang on them.
    """

    def __init__(self, table: Table, rules: Iterable[Rule] | None = None) -> None:
        self.table = table
        self.family = FAMILIES[table.family]
        self.judged = 0
        chosen = selected(catalogue() if rules is None else rules)
        self.asked = [(rule, over) for rule in chosen for over in _OVER.get(rule.over, ())]
        self._memories: dict[object, _Memory] = {}
        self._sides = {row.key: self.family.fields(table.case(row), table.version) for row in table.rows}
        self._varying = _varying(self._sides.values())
        self._template = _deployment(text_of(*next(iter(self._sides.values()))))
        self._decoded: dict[tuple[str, Any], dict[str, Stated]] = {}

    def say(self, row: Row) -> Said:
        """Return the verdict on a case."""
        sides = self._sides[row.key]
        declared = (_mappings(frozenset(sides[0])), _mappings(frozenset(sides[1])))
        memory = self._memories.get(declared)
        first = memory is None
        if memory is None:
            memory = self._memories[declared] = _Memory(self, declared)
        memory.turn_to(sides)
        with memory.standing_in():
            outcomes = [(rule, memory.outcome(rule, over)) for rule, over in memory.open]
        outcomes += memory.fixed
        if first:
            memory.settle()
        violated = {rule.code: rule for rule, outcome in outcomes if outcome == VIOLATED}
        undecided = {rule.code: rule for rule, outcome in outcomes if outcome == UNDECIDED}
        return _said(violated.values(), undecided.values())

    def deployment(self, declared: tuple[frozenset[str], frozenset[str]]) -> Deployment:
        """Return a deployment whose pools have these mappings, and sections of their own."""
        pools = []
        for pool, mappings in zip(self._template.pools, declared, strict=True):
            section = Section(pool.settings.kind, pool.settings.place, pool.settings.scope)
            section.declared = set(mappings)
            pools.append(pool._replace(settings=section))
        return self._template._replace(pools=tuple(pools))

    def stated(self, index: int, fields: Fields, note: Callable[[Read], None]) -> dict[str, Stated]:
        """Return what a side states, which tells ``note`` of the fields that are looked at."""
        varying = self._varying[index]
        stated: dict[str, Stated] = {}
        for path, value in fields.items():
            decoded = self._decoded.get((path, value))
            if decoded is None:
                decoded = self._decoded[path, value] = _decoded(path, value)
            stated.update(decoded)
        return Noting(stated, lambda path: note((index, path)) if path in varying else None, varying)


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
    """Return the verdict on a script: what the reader of its commands says."""
    by_name = _input_rules()
    readings = read_all([SourceText("serve.sh", text)], Limits())
    said = [by_name[problem.rule] for reading in readings for problem in reading.problems if problem.rule in by_name]
    violated = {rule.code for rule in said if rule.severity == "error" and rule.data.get("impact") in REFUSING}
    return Said(REJECT if violated else ACCEPT, tuple(sorted(violated)))


@cache
def _input_rules() -> dict[str, Rule]:
    return {rule.name: rule for rule in catalogue() if rule.over == INPUT}
