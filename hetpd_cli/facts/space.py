"""Resolves facts: stated, else derived or looked up, else the engine's default, else unknown.

A *subject* is what facts belong to: a pool, a handoff, the deployment's workload, router or store. A *scope* joins
subjects under the names that rules use (``prefill.kv.dtype``, ``handoff.carries``).
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from hetpd_cli.deployment import CLOSED, Section, Stated
from hetpd_cli.facts import registry
from hetpd_cli.facts.values import DEFAULT, DERIVED, NONE, UNKNOWN, Known, Unknown, Value
from hetpd_cli.fields import field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Removed = Mapping["Subject", frozenset[str]]
    from hetpd_cli.facts.registry import Derivation
    from hetpd_cli.facts.values import Nothing
    from hetpd_cli.fields import Field
    from hetpd_cli.places import Place

MAX_JOINT_CHOICES = 64
"""Joint choices of unknown inputs that are tried one by one; beyond it the result is plainly unknown."""


UNSET_IS_NONE = ("env.", "connector.env.", "connector.extra.", "connector.held.engine_id")
"""Free mappings: in a closed scope a key that is not there is known not to be set."""


class Fact:
    """A named value with unit, origin and place.

    ``owner`` is the subject it belongs to. ``inputs`` are the facts it was derived from, ``behind`` those that a
    default rests on. ``statable`` is for what asks which fields would settle an unknown, once it has found out.
    """

    __slots__ = (
        "_support",
        "behind",
        "inputs",
        "note",
        "origin",
        "owner",
        "path",
        "place",
        "statable",
        "unit",
        "value",
        "written",
    )

    def __init__(self, owner: Subject, path: str, value: Value, origin: str) -> None:
        self.owner = owner
        self.path = path
        self.value = value
        self.origin = origin
        self.unit: str | None = None
        self.place: Place | None = None
        self.written: str | None = None
        self.note: str | None = None
        self.inputs: tuple[Fact, ...] = ()
        self.behind: tuple[Fact, ...] = ()
        self._support: frozenset[Fact] | None = None
        self.statable: tuple[Fact, ...] | None = None

    @property
    def unknown(self) -> bool:
        """Whether nobody knows the value."""
        return isinstance(self.value, Unknown)

    def leaves(self) -> Iterator[Fact]:
        """Yield the facts at the bottom of this one, each once: stated, unknown, or a default and what it rests on."""
        seen: set[int] = set()
        stack = [self]
        while stack:
            fact = stack.pop()
            if id(fact) in seen:
                continue
            seen.add(id(fact))
            if fact.inputs:
                stack.extend(reversed(fact.inputs))
            else:
                yield fact
                stack.extend(reversed(fact.behind))

    def support(self) -> frozenset[Fact]:
        """Return this fact and every fact that stands behind it."""
        if self._support is None:
            self._support = frozenset({self}.union(*(fact.support() for fact in (*self.inputs, *self.behind))))
        return self._support


class Subject:
    """Something that has facts, each worked out once, when asked for.

    A subject that was rebuilt with some facts unknown takes the others over from the one it was rebuilt from.
    """

    __slots__ = ("_base", "_facts", "_gone", "_lookup", "kind", "name", "place", "section")

    def __init__(self, kind: str, name: str, section: Section, place: Place | None) -> None:
        self.kind = kind
        self.name = name
        self.section = section
        self.place = place
        self._facts: dict[str, Fact] = {}
        self._lookup: Callable[[str], Fact] = self.fact
        self._base: Subject | None = None
        self._gone: frozenset[Fact] = frozenset()

    def rebuilt(self, gone: Removed, lost: frozenset[Fact], done: dict[Subject, Subject]) -> Subject:
        """Return this subject with some leaves unknown.

        ``lost`` holds the facts of these leaves, ``done`` maps the subjects rebuilt so far.
        """
        if self not in done:
            copy = done[self] = self._without(gone.get(self, frozenset()), gone, lost, done)
            if copy is not self:
                copy._base, copy._gone = self, lost
        return done[self]

    def _without(
        self, paths: frozenset[str], gone: Removed, lost: frozenset[Fact], done: dict[Subject, Subject]
    ) -> Subject:
        return Subject(self.kind, self.name, self.section.without(paths), self.place) if paths else self

    def fact(self, path: str) -> Fact:
        """Return the fact at ``path``, unknown if nothing says what it is."""
        found = self._facts.get(path)
        if found is None:
            found = self._facts[path] = self._untouched(path) or self._resolve(path)
        return found

    def _untouched(self, path: str) -> Fact | None:
        """Return the fact of the subject that this one was rebuilt from, if nothing behind it is gone."""
        if self._base is None:
            return None
        fact = self._base.fact(path)
        return fact if self._gone.isdisjoint(fact.support()) else None

    def _resolve(self, path: str) -> Fact:
        stated = self.section.stated.get(path)
        if stated is not None and not _left_to_engine(stated.value):
            return self._stated(path, stated)
        derivation = None if path in self.section.removed else registry.derivation(self.kind, path)
        if derivation is not None:
            return self._derived(path, derivation)
        return self._absent(path, stated)

    def _stated(self, path: str, stated: Stated) -> Fact:
        fact = Fact(self, path, stated.value, stated.origin)
        if isinstance(stated.value, Unknown):
            fact.origin = UNKNOWN
        fact.place, fact.written, fact.note = stated.place, stated.written, stated.note
        fact.unit = self._unit(path)
        return fact

    def _unit(self, path: str) -> str | None:
        known = field(self.kind, path)
        return known.unit if known else None

    def _absent(self, path: str, stated: Stated | None) -> Fact:
        """Return the fact at a path where nothing decodable is stated: the engine's default or unknown."""
        known = field(self.kind, path)
        choices = _choices(known)
        fact = Fact(self, path, Unknown(f"{self.name} does not state {path}", choices), UNKNOWN)
        fact.unit = known.unit if known else None
        if stated is not None:
            fact.place = stated.place
        if path in self.section.removed:
            return fact
        if stated is None and self.section.scope != CLOSED:
            return fact
        if path.startswith(UNSET_IS_NONE):
            fact.value, fact.origin = NONE, DEFAULT
        elif registry.drawn_at_start(self, path):
            fact.value = Unknown(f"{path} is drawn by the engine when it starts", left=True)
        elif registry.has_default(self, path):
            self._default(fact, choices)
        return fact

    def _default(self, fact: Fact, choices: tuple[Known | Nothing, ...] | None) -> None:
        """Give ``fact`` the engine's default, or else the identity that everything behind the default has."""
        default = registry.default(self, fact.path)
        if default is not None:
            fact.value, fact.origin, fact.note = default.value, DEFAULT, default.note
            fact.behind = tuple(self.fact(name) for name in registry.BEHIND_DEFAULTS)
            return
        rest: tuple[Fact, ...] = ()
        derived = registry.derived_default(fact.path)
        if derived is not None:
            rest = tuple(self._lookup(name) for name in derived.inputs)
            found = derived.function(*(one.value for one in rest))
            rest = _what_it_takes(derived.function, rest, found)
            if isinstance(found, registry.Default):
                fact.value, fact.origin, fact.note, fact.behind = found.value, DEFAULT, found.note, rest
                return
            choices = found or choices
        identity = registry.default_identity(self, fact.path)
        behind = tuple(self.fact(name) for name in registry.BEHIND_IDENTITIES) if identity else ()
        fact.behind = tuple(dict.fromkeys((*rest, *behind)))
        fact.value = Unknown(f"{fact.path} is left to the engine", choices, identity, left=True)

    def _derived(self, path: str, derivation: Derivation) -> Fact:
        inputs = tuple(self._lookup(name) for name in derivation.inputs)
        fact = Fact(self, path, derive(derivation, inputs), DERIVED)
        fact.inputs = inputs
        fact.unit = derivation.unit
        if isinstance(fact.value, registry.Found):
            fact.origin, fact.note = fact.value.origin, fact.value.note
            fact.value = fact.value.value
        if isinstance(fact.value, Unknown):
            fact.origin = UNKNOWN
        return fact


def _choices(known: Field | None) -> tuple[Known | Nothing, ...] | None:
    """Return every value that a field can have, or None where there is no such list."""
    if known is None:
        return None
    if known.kind == "boolean":
        return (True, False)
    if known.choices is None or not known.may_be_none:
        return known.choices
    return (*known.choices, NONE)


def _what_it_takes(function: Callable[..., Any], inputs: tuple[Fact, ...], found: Any) -> tuple[Fact, ...]:
    """Return inputs that suffice for what ``function`` found: with all others unknown it finds the same."""
    values = [fact.value for fact in inputs]
    kept = []
    for index, fact in enumerate(inputs):
        values[index] = Unknown("left out")
        if function(*values) != found:
            values[index] = fact.value
            kept.append(fact)
    return tuple(kept)


def _left_to_engine(value: Value) -> bool:
    return isinstance(value, Unknown) and value.identity == "auto"


def derive(derivation: Derivation, inputs: tuple[Fact, ...]) -> Value:
    """Return the derived value, trying every joint choice of the inputs that are unknown.

    One result for all choices is that result; several are an unknown with candidates.
    """
    values = [fact.value for fact in inputs]
    blocked = [
        index
        for index, value in enumerate(values)
        if isinstance(value, Unknown) and derivation.inputs[index] not in derivation.lenient
    ]
    if not blocked:
        found: Value = derivation.function(*values)
        return found
    choices: list[tuple[Known | Nothing, ...]] = []
    for index in blocked:
        unknown = values[index]
        candidates = unknown.candidates if isinstance(unknown, Unknown) else None
        if candidates is None or NONE in candidates:
            return _propagated(derivation, inputs, blocked)
        choices.append(candidates)
    count = 1
    for candidates in choices:
        count *= len(candidates)
    if not 0 < count <= MAX_JOINT_CHOICES:
        return _propagated(derivation, inputs, blocked)
    return _over_choices(derivation, inputs, blocked, choices)


def _over_choices(
    derivation: Derivation, inputs: tuple[Fact, ...], blocked: list[int], choices: list[tuple[Known | Nothing, ...]]
) -> Value:
    values = [fact.value for fact in inputs]
    results: list[Value] = []
    for choice in product(*choices):
        for index, value in zip(blocked, choice, strict=True):
            values[index] = value
        result = registry.plain(derivation.function(*values))
        if isinstance(result, Unknown) or result is NONE:
            return _propagated(derivation, inputs, blocked)
        if result not in results:
            results.append(result)
    if len(results) == 1:
        return results[0]
    unknown = _propagated(derivation, inputs, blocked)
    return Unknown(
        unknown.reason,
        tuple(result for result in results if isinstance(result, str | int | float | bool | tuple)),
        unknown.identity,
    )


def _propagated(derivation: Derivation, inputs: tuple[Fact, ...], blocked: list[int]) -> Unknown:
    """Return the unknown that follows from unknown inputs; it has an identity if every input is determined."""
    names = ", ".join(derivation.inputs[index] for index in blocked)
    values = [fact.value for fact in inputs]
    # Values are written out only where a name comes of it: a hostile list is as long as all memory.
    if any(isinstance(value, Unknown) and value.identity is None for value in values):
        return Unknown(f"not known without {names}")
    parts = [str(value.identity) if isinstance(value, Unknown) else repr(value) for value in values]
    return Unknown(f"not known without {names}", None, f"{derivation.path}({','.join(parts)})")


class Scope:
    """Subjects under the names that expressions use.

    ``subjects`` maps a prefix (``prefill``, ``handoff``, ``pool``, ``workload``) to its subject; ``collections``
    maps the name of a collection to its members.
    """

    __slots__ = ("_facts", "collections", "label", "subjects")

    def __init__(
        self,
        label: str,
        subjects: Mapping[str, Subject],
        collections: Mapping[str, tuple[Subject, ...]] | None = None,
    ) -> None:
        self.label = label
        self.subjects = subjects
        self.collections = collections or {}
        self._facts: dict[str, Fact] = {}

    def without(self, gone: Removed) -> Scope:
        """Return this scope with some leaves of some subjects unknown."""
        done: dict[Subject, Subject] = {}
        lost = frozenset(subject.fact(path) for subject, paths in gone.items() for path in paths)
        subjects = {prefix: subject.rebuilt(gone, lost, done) for prefix, subject in self.subjects.items()}
        collections = {
            name: tuple(member.rebuilt(gone, lost, done) for member in members)
            for name, members in self.collections.items()
        }
        return Scope(self.label, subjects, collections)

    def fact(self, name: str) -> Fact:
        """Return the fact called ``name``."""
        found = self._facts.get(name)
        if found is None:
            prefix, _, path = name.partition(".")
            found = self._facts[name] = self.subjects[prefix].fact(path)
        return found

    def declared(self, name: str) -> bool:
        """Tell whether the mapping called ``name`` is written at all."""
        prefix, _, path = name.partition(".")
        return path in self.subjects[prefix].section.declared


_SIBLING = "sibling "


class HandoffSubject(Subject):
    """The handoff of one boundary: its derived facts read both pools and what surrounds them.

    ``siblings`` are the decode pools that the prefill pool hands over to, the one of this boundary among them.
    """

    __slots__ = ("siblings", "surroundings")

    def __init__(
        self,
        name: str,
        section: Section,
        place: Place | None,
        surroundings: Mapping[str, Subject],
        siblings: tuple[Subject, ...],
    ) -> None:
        super().__init__("handoff", name, section, place)
        self.surroundings = surroundings
        self.siblings = siblings

        def lookup(path: str) -> Fact:
            prefix, _, rest = path.partition(".")
            if prefix.startswith(_SIBLING):
                return siblings[int(prefix.removeprefix(_SIBLING))].fact(rest)
            subject = surroundings.get(prefix)
            return self.fact(path) if subject is None else subject.fact(rest)

        self._lookup = lookup

    def _without(
        self, paths: frozenset[str], gone: Removed, lost: frozenset[Fact], done: dict[Subject, Subject]
    ) -> Subject:
        around = {prefix: subject.rebuilt(gone, lost, done) for prefix, subject in self.surroundings.items()}
        siblings = tuple(subject.rebuilt(gone, lost, done) for subject in self.siblings)
        return HandoffSubject(self.name, self.section.without(paths), self.place, around, siblings)

    def _derived(self, path: str, derivation: Derivation) -> Fact:
        if derivation.of_siblings:
            others = [
                index for index, subject in enumerate(self.siblings) if subject is not self.surroundings["decode"]
            ]
            more = tuple(f"{_SIBLING}{index}.{one}" for index in others for one in derivation.of_siblings)
            inputs, lenient = (*derivation.inputs, *more), derivation.lenient.union(more)
            derivation = derivation._replace(inputs=inputs, lenient=lenient)
        return super()._derived(path, derivation)


READ_BY = "read_by"
"""Fact of a pool that follows from the handoffs around it."""

DTYPE_WORD = "kv.dtype_word"
"""Fact of a pool that is the source text of its ``kv.dtype``."""


class PoolSubject(Subject):
    """A pool. Two pools that share the deployment's model share what nobody says about it.

    ``read_by`` names the decode pools that read the pool's KV.
    """

    __slots__ = ("read_by", "shares_model")

    def __init__(
        self, name: str, section: Section, place: Place | None, *, shares_model: bool, read_by: tuple[str, ...]
    ) -> None:
        super().__init__("pool", name, section, place)
        self.shares_model = shares_model
        self.read_by = read_by

    def _without(
        self, paths: frozenset[str], gone: Removed, lost: frozenset[Fact], done: dict[Subject, Subject]
    ) -> Subject:
        if not paths:
            return self
        section = self.section.without(paths)
        return PoolSubject(self.name, section, self.place, shares_model=self.shares_model, read_by=self.read_by)

    def _resolve(self, path: str) -> Fact:
        if path == READ_BY and path not in self.section.stated and path not in self.section.removed:
            return Fact(self, path, self.read_by, DERIVED)
        if path == DTYPE_WORD and path not in self.section.stated:
            return self._dtype_word()
        fact = super()._resolve(path)
        if self.shares_model and path.startswith("model.") and isinstance(fact.value, Unknown) and not self._base:
            fact.value = Unknown(fact.value.reason, fact.value.candidates, f"the deployment's {path}")
        return fact

    def _dtype_word(self) -> Fact:
        """Return the engine's word for the element type of the KV, as far as a complete command line tells it.

        Silence is the word `auto`, which an engine keeps if the checkpoint has no KV scheme.
        """
        dtype, plain = self.fact("kv.dtype"), self.fact("model.plain_dtype")
        fact = Fact(self, DTYPE_WORD, Unknown(f"{self.name} does not give the engine's word for kv.dtype"), DERIVED)
        fact.inputs = (dtype, plain)
        stated = self.section.stated.get("kv.dtype")
        if self.section.scope == CLOSED and "kv.dtype" not in self.section.removed:
            if stated is not None and isinstance(stated.value, str):
                fact.value = stated.written or stated.value
            elif stated is None or _left_to_engine(stated.value):
                fact.value = self._auto(plain)
        if isinstance(fact.value, Unknown):
            fact.origin = UNKNOWN
        return fact

    def _auto(self, plain: Fact) -> Value:
        if isinstance(plain.value, str) and not {"precision.weights", "precision.method"} & self.section.stated.keys():
            return "auto"
        from hetpd_cli.facts.defaults import AUTO_WORDS

        identity = registry.default_identity(self, DTYPE_WORD)
        return Unknown("what the engine puts in place of `auto` is not known", AUTO_WORDS, identity, left=True)
