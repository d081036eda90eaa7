"""hetpd's verdict on a case.

A case becomes a deployment of two pools, and every rule of :func:`selected` is judged on it. 100,000 cases times dozens
of rules are too many to be judged one by one, so a rule's outcome is remembered by what the rule read: the sections of a
pool note which of their fields are looked at, in order. Judging is a function of what is read, so the first field read is
the same for all cases, the second is the same for all cases with that value in the first, and so on: a tree, whose leaves
are outcomes. Nothing of it is an assumption about rules; a test judges a sample of the cases completely and compares.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from hetpd_cli.deployment import Section
from hetpd_cli.engine.catalogue import INPUT, catalogue
from hetpd_cli.engine.scopes import Scopes
from hetpd_cli.engine.verdicts import UNDECIDED, VIOLATED, judge
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.text import Limits, SourceText
from tests.conformance.families import FAMILIES
from tests.conformance.families.transfer_config import script
from tests.conformance.tables import ACCEPT, REJECT, WRONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hetpd_cli.deployment import Deployment, Pool, Stated
    from hetpd_cli.engine.catalogue import Rule
    from tests.conformance.families.base import Fields
    from tests.conformance.tables import Case

REFUSING = frozenset({"refused", "crash", "hang"})
"""Impacts by which a violated rule of severity error says that the pair does not work at all."""

SILENT = "silent"
"""Impact of a rule that says that the output is wrong. Warnings count: what goes wrong with some prompts only is one."""

LAUNCH = frozenset({"HPD113", "HPD501", "HPD502", "HPD503", "HPD506", "HPD507", "HPD511", "HPD514"})
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


def _said(violated: Iterable[Rule], undecided: Iterable[Rule]) -> Said:
    broken, open_ = list(violated), tuple(sorted(rule.code for rule in undecided))
    weights = {_weight(rule) for rule in broken}
    verdict = REJECT if REJECT in weights else WRONG if WRONG in weights else ACCEPT
    return Said(UNDECIDED_VERDICT if open_ else verdict, tuple(sorted(rule.code for rule in broken)), open_)


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


class _Noting(dict[str, "Stated"]):
    """The stated fields of a section; tells ``note`` of each that is looked at."""

    def __init__(self, stated: dict[str, Stated], note: Callable[[str], None], paths: Sequence[str]) -> None:
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
    """What a rule reads next, and where each of its values leads: to a node or an outcome."""

    __slots__ = ("key", "next")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.next: dict[Any, _Node | frozenset[str]] = {}


class Judge:
    """Judges the cases of one family."""

    def __init__(self, family: str, rules: Iterable[Rule] | None = None) -> None:
        self.family = FAMILIES[family]
        self.rules = selected(catalogue() if rules is None else rules)
        self.judged = 0
        self._roots: dict[str, _Node | frozenset[str]] = {}
        self._template: Deployment | None = None
        self._shape: object = None

    def say(self, case: Case, version: str) -> Said:
        """Return the verdict on a case."""
        if self.family.name == "config":
            return of_text(script(case, version), "serve.sh")
        sides = self.family.fields(case, version)
        shape = (version, *(frozenset(fields) for fields in sides))
        if shape != self._shape:
            self._roots = self._memories.setdefault(shape, {})
            self._shape = shape
        violated, undecided = [], []
        for rule in self.rules:
            outcomes = self._outcomes(rule, sides)
            if VIOLATED in outcomes:
                violated.append(rule)
            if UNDECIDED in outcomes:
                undecided.append(rule)
        return _said(violated, undecided)

    @property
    def _memories(self) -> dict[object, dict[str, Any]]:
        found: dict[object, dict[str, Any]] = self.__dict__.setdefault("_known", {})
        return found

    def _outcomes(self, rule: Rule, sides: tuple[Fields, Fields]) -> frozenset[str]:
        node = self._roots.get(rule.code)
        while type(node) is _Node:
            side, path = node.key
            node = node.next.get(_hashable(sides[side].get(path)))
        return node if node is not None else self._learn(rule, sides)  # type: ignore[return-value]

    def _learn(self, rule: Rule, sides: tuple[Fields, Fields]) -> frozenset[str]:
        """Judge ``rule`` on a case and remember the outcome by what it read."""
        self.judged += 1
        read: dict[Key, None] = {}
        deployment = self._built(sides, read)
        outcomes = frozenset(judge(rule, scope).outcome for scope in Scopes(deployment).of(rule.over))
        entries: dict[Any, Any] = self._roots
        at: Any = rule.code
        for key in read:
            node = entries.get(at)
            if node is None:
                node = entries[at] = _Node(key)
            if node.key != key:
                raise RuntimeError(f"{rule.code} read {key} where it had read {node.key} before: it does not repeat")
            entries, at = node.next, _hashable(sides[key[0]].get(key[1]))
        entries[at] = outcomes
        return outcomes

    def _built(self, sides: tuple[Fields, Fields], read: dict[Key, None]) -> Deployment:
        if self._template is None:
            self._template = _deployment(text_of(*sides))
        pools = tuple(
            self._pool(pool, index, fields, read)
            for index, (pool, fields) in enumerate(zip(self._template.pools, sides, strict=True))
        )
        return self._template._replace(pools=pools)

    def _pool(self, pool: Pool, index: int, fields: Fields, read: dict[Key, None]) -> Pool:
        section = Section(pool.settings.kind, pool.settings.place, pool.settings.scope)
        stated: dict[str, Stated] = {}
        for path, value in fields.items():
            stated |= _decoded(path, _hashable(value))
        section.stated = _Noting(stated, lambda path: read.setdefault((index, path)), sorted(fields))
        section.declared = {"model"} | {
            path.rsplit(".", cut)[0] for path in fields for cut in range(1, path.count(".") + 1)
        }
        return pool._replace(settings=section)


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@cache
def _decoded(path: str, value: Any) -> dict[str, Stated]:
    """Return what a deployment file states by one field, through its reader."""
    raw = list(value) if isinstance(value, tuple) else value
    (pool,) = _deployment(
        "hetpd: 1\npools:\n  - name: prefill\n    role: prefill\n    unstated: default\n"
        + "".join(f"    {key}: {_flow(inner)}\n" for key, inner in _nested({path: raw}).items())
    ).pools
    return {name: stated for name, stated in pool.settings.stated.items() if name not in {"name", "role"}}


# -- the whole way ---------------------------------------------------------------------------------------------


def of_text(text: str, path: str = "deploy.yaml") -> Said:
    """Return the verdict on a text by a complete check, with no short cut."""
    from hetpd_cli.rule_examples import report_on

    report = report_on(text, catalogue(), path)
    by_code = {rule.code: rule for rule in catalogue()}
    chosen = {rule.code for rule in selected(catalogue())}
    if path != "deploy.yaml":
        refusing = [
            by_code[found.code]
            for found in report.findings
            if found.severity == "error" and by_code[found.code].data.get("impact") in REFUSING
            if found.code in chosen or found.code < "HPD100"
        ]
        return Said(REJECT if refusing else ACCEPT, tuple(sorted({rule.code for rule in refusing})))
    violated = {found.code for found in report.findings} & chosen
    undecided = {entry.code for entry in report.undecided} & chosen
    return _said([by_code[code] for code in violated], [by_code[code] for code in undecided])
