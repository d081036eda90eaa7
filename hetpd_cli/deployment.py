"""The typed domain: what a deployment declares, every value with its place.

The fields of a section are the leaves of ``schemas/deployment.schema.json``, keyed by their dotted path
(``kv.block_size``). The schema gives type, unit, choices and how a field may change, so no second list of fields
exists in Python: :mod:`hetpd_cli.fields` reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.facts.values import STATED, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hetpd_cli.places import Place

OPEN = "open"
"""Absent means unknown."""
CLOSED = "closed"
"""Absent means the engine's default."""

PREFILL = "prefill"
DECODE = "decode"
AGGREGATED = "aggregated"


class Stated(NamedTuple):
    """A value that somebody wrote or assumed.

    ``written`` is the source text where it differs from the canonical value (``bfloat16`` for ``bf16``).
    """

    value: Value
    place: Place | None
    written: str | None = None
    origin: str = STATED
    note: str | None = None


class Section:
    """Stated leaves of one object of the deployment, by dotted path.

    ``declared`` holds the path of every mapping that is written at all, empty or not. ``removed`` holds leaves
    that count as unknown whatever the scope says; it is how a verdict is asked what stands behind it. ``words`` are
    what the source calls fields (``--kv-cache-dtype``) where it is no deployment file.
    """

    __slots__ = ("declared", "kind", "place", "removed", "scope", "stated", "words")

    def __init__(self, kind: str, place: Place | None, scope: str = OPEN) -> None:
        self.kind = kind
        self.place = place
        self.scope = scope
        self.stated: dict[str, Stated] = {}
        self.declared: set[str] = set()
        self.removed: frozenset[str] = frozenset()
        self.words: Mapping[str, str] = {}

    def value(self, path: str) -> Value | None:
        """Return the stated value of ``path``, or None where nothing is stated."""
        stated = self.stated.get(path)
        return None if stated is None else stated.value

    def text(self, path: str) -> str | None:
        """Return the stated text of ``path``, or None where it is not stated or not decodable."""
        value = self.value(path)
        return value if isinstance(value, str) else None

    def over(self, base: Section) -> Section:
        """Return this section laid over ``base``: own leaves win, everything else comes from ``base``."""
        merged = Section(self.kind, self.place, self.scope)
        merged.stated = {**base.stated, **self.stated}
        merged.declared = base.declared | self.declared
        merged.words = self.words or base.words
        return merged

    def without(self, paths: Iterable[str]) -> Section:
        """Return this section with the leaves ``paths`` unknown."""
        gone = frozenset(paths)
        copy = Section(self.kind, self.place, self.scope)
        copy.stated = {path: stated for path, stated in self.stated.items() if path not in gone}
        copy.declared = self.declared
        copy.removed = self.removed | gone
        copy.words = self.words
        return copy

    def part(self, prefix: str) -> Section:
        """Return the leaves under ``prefix``, their paths shortened by it."""
        cut = len(prefix) + 1
        part = Section(self.kind, self.place, self.scope)
        part.stated = {path[cut:]: stated for path, stated in self.stated.items() if path.startswith(prefix + ".")}
        part.declared = {path[cut:] for path in self.declared if path.startswith(prefix + ".")}
        return part


class Pool(NamedTuple):
    """Equal workers of one role. ``settings`` holds the model's leaves too, under ``model.``."""

    name: str
    role: str | None
    place: Place
    settings: Section
    shares_model: bool


class Handoff(NamedTuple):
    """What belongs to one prefill pool and one decode pool together; ``explicit`` if somebody wrote it."""

    prefill: str
    decode: str
    settings: Section
    explicit: bool


class Host(NamedTuple):
    """A machine."""

    name: str
    place: Place
    settings: Section


class Deployment(NamedTuple):
    """Everything declared in one deployment."""

    path: str
    name: str | None
    pools: tuple[Pool, ...]
    handoffs: tuple[Handoff, ...]
    hosts: tuple[Host, ...]
    workload: Section
    router: Section
    store: Section

    def pool(self, name: str) -> Pool | None:
        """Return the pool called ``name``."""
        return next((pool for pool in self.pools if pool.name == name), None)
