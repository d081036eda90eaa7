"""Makes findings out of violated verdicts: one per cause, with its places, message and deciding facts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from hetpd_cli.engine.catalogue import PLACEHOLDER, Rule
from hetpd_cli.engine.verdicts import Leaf, Verdict, deciding
from hetpd_cli.facts.space import READ_BY
from hetpd_cli.facts.values import ASSUMED, DEFAULT, NONE, Nothing, Unknown
from hetpd_cli.findings import FactView, Finding, LabelledPlace
from hetpd_cli.wording import number_text, unit_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hetpd_cli.facts.space import Fact, Scope, Subject
    from hetpd_cli.facts.values import Known
    from hetpd_cli.findings import Evidence
    from hetpd_cli.places import Place
    from hetpd_cli.sources.problems import Problem

SILENT = {DEFAULT: "defaults to", ASSUMED: "assumed to be"}
"""Origins of facts that nobody wrote in an input, with the words for them."""

LABEL_WORDS = 6
CANDIDATES_IN_MESSAGE = 4
NAMES_IN_MESSAGE = 4
"""Pools that a message names; the finding lists all boundaries."""


class Violation(NamedTuple):
    """A violated verdict on one scope, with the leaves that decide it."""

    rule: Rule
    scope: Scope
    verdict: Verdict
    leaves: tuple[Leaf, ...]
    boundaries: tuple[str, ...]

    def values(self) -> tuple[tuple[str, str], ...]:
        """Return the deciding facts and their values: equal for two violations of one cause.

        That two pools meet is part of none: each of several pairs meets in its own way.
        """
        leaves = [leaf for leaf in self.leaves if leaf.fact.path != READ_BY]
        return tuple(sorted((_unnamed(leaf.name), repr(leaf.fact.value)) for leaf in leaves))

    def places(self) -> set[Place]:
        """Return the places that the finding points at."""
        return {leaf.fact.place for leaf in _subject_leaves(self) if leaf.fact.place is not None}


def _unnamed(name: str) -> str:
    """Return the name of a fact without the name of the pool it belongs to."""
    head, bracket, rest = name.partition("[")
    return head + rest.partition("]")[2] if bracket else name


def violation(rule: Rule, scope: Scope, verdict: Verdict, boundaries: tuple[str, ...]) -> Violation:
    """Return the violation that ``verdict`` states."""
    return Violation(rule, scope, verdict, tuple(deciding(rule, scope, verdict)), boundaries)


def merge(violations: Iterable[Violation]) -> list[list[Violation]]:
    """Group violations of one cause: one rule, equal deciding values, and linked by common deciding places."""
    groups: list[list[Violation]] = []
    for found in violations:
        linked = [
            group
            for group in groups
            if group[0].rule is found.rule
            and group[0].values() == found.values()
            and any(member.places() & found.places() for member in group)
        ]
        joined = [member for group in linked for member in group]
        groups = [group for group in groups if group not in linked]
        groups.append([*joined, found])
    return groups


# -- text ------------------------------------------------------------------------------------------------------


def shown(fact: Fact) -> str:
    """Return the value of a fact for people, with its unit where it is a quantity."""
    if isinstance(fact.value, Unknown):
        return _shown_unknown(fact.value, fact.unit)
    return _shown_value(fact.value, fact.unit)


def _shown_unknown(unknown: Unknown, unit: str | None) -> str:
    """Return what an unknown can be, where that is little, else who knows it."""
    candidates = unknown.candidates or ()
    if 1 <= len(candidates) <= CANDIDATES_IN_MESSAGE:
        return " or ".join(_shown_value(one, unit) for one in candidates)
    return "what the engine takes" if unknown.left else "unknown"


def _shown_value(value: Known | Nothing, unit: str | None) -> str:
    if isinstance(value, Nothing):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value) or "none"
    if isinstance(value, str):
        return value
    return number_text(value) + unit_text(value, unit)


def _filled(text: str, group: list[Violation]) -> str:
    """Fill the names of ``text`` from the violations of one cause."""

    def fill(name: str) -> str:
        if "." in name:
            return _of_group(name, group)
        names = dict.fromkeys(member.scope.subjects[name].name for member in group if name in member.scope.subjects)
        return _listed(list(names)) if names else name

    return PLACEHOLDER.sub(lambda match: fill(match[1]), text)


def _listed(names: list[str]) -> str:
    rest = len(names) - NAMES_IN_MESSAGE
    return f"{', '.join(names[:NAMES_IN_MESSAGE])} and {rest} more" if rest > 0 else ", ".join(names)


def _of_group(name: str, group: list[Violation]) -> str:
    if name.startswith("param."):
        parameter = group[0].rule.data["parameters"][name.removeprefix("param.")]
        return number_text(parameter["value"]) + unit_text(parameter["value"], parameter["unit"])
    try:
        return shown(group[0].scope.fact(name))
    except KeyError:
        return name


# -- places ----------------------------------------------------------------------------------------------------


def _labelled(group: list[Violation]) -> tuple[LabelledPlace, ...]:
    """Return the places of one cause, each once, in the order of the rule's labels, the first one primary."""
    spots: dict[Place, str] = {}
    for member in group:
        pointed = [
            (_rank(member, leaf), leaf.fact.place, _label(member, leaf))
            for leaf in _subject_leaves(member)
            if leaf.fact.place is not None
        ]
        for _, place, label in sorted([*pointed, *_anchors(member)], key=lambda spot: spot[0]):
            spots.setdefault(place, label)
    return tuple(LabelledPlace(place, label, primary=index == 0) for index, (place, label) in enumerate(spots.items()))


def _rank(member: Violation, leaf: Leaf | None) -> int:
    """Return where the rule's labels put a leaf; what has no label comes last."""
    order = list(member.rule.data.get("labels", {}))
    return order.index(leaf.name) if leaf is not None and leaf.name in order else len(order)


def _subject_leaves(member: Violation) -> list[Leaf]:
    """Return the leaves to point at: those that the rule has labels for, else those of the requirement, else all."""
    written = [leaf for leaf in member.leaves if leaf.fact.place is not None]
    labels = member.rule.data.get("labels", {})
    labelled = [leaf for leaf in written if leaf.name in labels]
    return labelled or [leaf for leaf in written if leaf.of_requirement] or written


def _anchors(member: Violation) -> Iterable[tuple[int, Place, str]]:
    """Yield the name of each pool that decides by what nobody wrote, and by no line of its own that has a label."""
    labels = member.rule.data.get("labels", {})
    pointed = {leaf.fact.owner for leaf in _subject_leaves(member)}
    labelled = {leaf.fact.owner for leaf in _subject_leaves(member) if leaf.name in labels}
    for subject in member.scope.subjects.values():
        if subject.kind != "pool" or subject.place is None or subject in labelled:
            continue
        silent = [
            leaf
            for leaf in member.leaves
            if leaf.fact.owner is subject and leaf.fact.origin in SILENT and leaf.fact.place is None
        ]
        said = next((leaf for leaf in silent if leaf.name in labels), None)
        if said is None and subject not in pointed and silent:
            said = silent[0]
        place = _where_silent(subject) or subject.place
        if said is not None:
            word = SILENT[said.fact.origin]
            yield _rank(member, said), place, _short(f"{said.fact.path} {word} {shown(said.fact)}")
        elif subject not in pointed and {"handoff", "first"} & set(member.scope.subjects):
            yield _rank(member, None), place, "the other side"


def _where_silent(subject: Subject) -> Place | None:
    """Return where a pool could have said what it does not say: the program of its command line; None without one."""
    program = subject.section.stated.get("engine.name")
    return program.place if subject.section.words and program is not None else None


def _label(member: Violation, leaf: Leaf) -> str:
    template = member.rule.data.get("labels", {}).get(leaf.name)
    if template is None:
        return _short(f"{leaf.fact.path} is {shown(leaf.fact)}")
    return _short(_filled(template.replace("{value}", shown(leaf.fact)), [member]))


def _short(label: str) -> str:
    words = label.split()
    return label if len(words) <= LABEL_WORDS else " ".join(words[:LABEL_WORDS]) + "..."


# -- findings --------------------------------------------------------------------------------------------------


def finding(group: list[Violation]) -> Finding:
    """Return the finding of the violations of one cause."""
    first = group[0]
    rule = first.rule
    views = tuple(_views(group))
    places = _labelled(group) or _fallback(first)
    return Finding(
        code=rule.code,
        name=rule.name,
        severity=rule.severity,
        message=_filled(rule.data["message"], group),
        places=places,
        why=rule.data["why"],
        fix=_filled(_in_words(rule.data["fix"], group), group),
        impact=rule.data.get("impact"),
        confidence=rule.data["confidence"],
        decision=rule.data.get("decision"),
        cell=rule.cell,
        practice=tuple(rule.data.get("practice", ())),
        boundaries=tuple(dict.fromkeys(label for member in group for label in member.boundaries)),
        facts=views,
        evidence=_nearest_first(rule.evidence, group),
        identity=_identity(group),
        parts=tuple(_identity([member]) for member in group) if len(group) > 1 else (),
    )


_FIELD = re.compile(r"(?<![\w.{])(?:kv|connector|engine|parallelism|speculative|memory|precision|model)(?:\.[a-z_]+)+")


def _in_words(fix: str, group: list[Violation]) -> str:
    """Return ``fix`` with its fields as the sources of the pools call them, where they agree on it.

    How other engines call such a field, which the rule says behind it in parentheses, is left out then.
    """
    words = [subject.section.words for member in group for subject in _pools(member)]
    if not any(words):
        return fix
    said: set[str] = set()

    def called(match: re.Match[str]) -> str:
        names = {known.get(match[0], "") for known in words}
        name = (names.pop() if len(names) == 1 else "") or match[0]
        if name != match[0]:
            said.update(_SPELLING.findall(name))
        return name

    def besides(match: re.Match[str]) -> str:
        return "" if said & set(_SPELLING.findall(match[0])) else match[0]

    return _TWICE.sub(r"\1", _SPELLINGS.sub(besides, _FIELD.sub(called, fix)))


_SPELLING = re.compile(r"--[\w-]+|\b[a-zA-Z]+_\w+")
_SPELLINGS = re.compile(r" \((?:vLLM |SGLang )?[\w-]+(?:, (?:vLLM |SGLang )?[\w-]+)*\)")
"""In parentheses: nothing but how engines call a field."""

_TWICE = re.compile(r"(--[\w-]+|\b[A-Z_]{4,})(?:, \1|(?: \(\1\)))(?![\w-])")
"""A word that the text of the rule adds itself."""


def _pools(member: Violation) -> list[Subject]:
    inside = [one for some in member.scope.collections.values() for one in some]
    return [subject for subject in (*member.scope.subjects.values(), *inside) if subject.kind == "pool"]


def _nearest_first(evidence: tuple[Evidence, ...], group: list[Violation]) -> tuple[Evidence, ...]:
    """Return ``evidence`` with what speaks of the pools' own engines at the front, and code before papers."""
    engines = {subject.fact("engine.name").value for member in group for subject in _pools(member)}

    def rank(item: Evidence) -> tuple[bool, bool]:
        return item.of is not None and item.of.partition(" ")[0] not in engines, item.kind == "paper"

    return tuple(sorted(evidence, key=rank))


def _identity(group: list[Violation]) -> tuple[str, ...]:
    """Return the facts that the rule points at, with their values: what else the verdict rests on may change.

    So a finding stays the same one when lines move, or when an engine is upgraded within what the evidence covers.
    """
    labels = group[0].rule.data.get("labels", {})
    leaves = [leaf for member in group for leaf in member.leaves]
    views = [view(leaf.name, leaf.fact) for leaf in leaves if leaf.name in labels] or [
        view(leaf.name, leaf.fact) for leaf in leaves
    ]
    return tuple(sorted({f"{one.of}: {one.name}={one.value!r}" for one in views}))


def _fallback(member: Violation) -> tuple[LabelledPlace, ...]:
    subjects = [*member.scope.subjects.values(), *(one for some in member.scope.collections.values() for one in some)]
    for subject in subjects:
        if subject.place is not None:
            return (LabelledPlace(subject.place, "declared here", primary=True),)
    raise ValueError(f"{member.rule.code} has no place to point at")


def _views(group: list[Violation]) -> Iterable[FactView]:
    """Yield the deciding facts of all scopes, then what the requirement derived from them; each once."""
    seen: set[tuple[str, str]] = set()
    for member in group:
        derived = [
            (name, fact) for name, fact in member.verdict.requirement.items() if fact.inputs and not fact.unknown
        ]
        for name, fact in [*((leaf.name, leaf.fact) for leaf in member.leaves), *derived]:
            key = (name, fact.owner.name)
            if key not in seen:
                seen.add(key)
                yield view(name, fact)


def view(name: str, fact: Fact) -> FactView:
    """Return ``fact`` as shown to people, under ``name``."""
    value: Any = fact.value
    if isinstance(value, Unknown) or value is NONE:
        value = None
    elif isinstance(value, tuple):
        value = list(value)
    return FactView(name, value, fact.unit, fact.origin, fact.place, fact.written, fact.note, fact.owner.name)


def input_finding(problem: Problem, rule: Rule) -> Finding:
    """Return the finding of a fault of an input, which ``rule`` is about."""
    data = rule.data
    return Finding(
        code=rule.code,
        name=rule.name,
        severity=rule.severity,
        message=problem.message,
        places=problem.places,
        why=data["why"],
        fix=problem.fix or data["fix"],
        impact=data.get("impact"),
        confidence=data["confidence"],
        evidence=rule.evidence,
        identity=(problem.message,),
    )
