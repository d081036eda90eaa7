"""What a script holds while it is read: parts of words, variables, and how much work is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.embedded import Embedded, Piece, join
from hetpd_cli.sources.launch import Word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hetpd_cli.places import Place

WORK = 3_000_000
"""Characters that are looked at, expansions of expansions included, before a script is given up."""
MADE_CHARACTERS = 2**20
"""Characters that expansions may make."""
DEPTH = 40
"""Scripts within scripts, calls within calls, blocks within blocks, expansions within expansions."""
ROUNDS = 64
"""Rounds of all loops together that are read one by one."""


class ExhaustedError(Exception):
    """A script costs more than one may."""


class Budget:
    """What reading a script, and all scripts in it, may still cost."""

    __slots__ = ("made", "rounds", "work")

    def __init__(self) -> None:
        self.work = WORK
        self.made = MADE_CHARACTERS
        self.rounds = ROUNDS

    def spend(self, characters: int) -> None:
        """Count characters that are looked at. Raises ExhaustedError."""
        self.work -= characters + 1
        if self.work < 0:
            raise ExhaustedError

    def make(self, characters: int) -> None:
        """Count characters that an expansion makes. Raises ExhaustedError."""
        self.made -= characters
        if self.made < 0:
            raise ExhaustedError


class Part(NamedTuple):
    """A part of a word while it is put together.

    ``split`` tells that blanks in it divide words (an expansion without quotes), ``quoted`` that it makes a word even
    if empty and that no character of it is a pattern; ``several`` that, not being known, it may stand for any number of
    words.
    """

    text: Embedded
    unresolved: str = ""
    quoted: bool = False
    split: bool = False
    several: bool = False


Parts = list[Part | None]
"""The parts of words; None stands between two words that an array gives."""


class Scalar(NamedTuple):
    """The value of a variable. ``undecided`` says why it is not known at all."""

    parts: tuple[Part, ...]
    place: Place
    undecided: str = ""


class Array(NamedTuple):
    """The elements of an array; ``incomplete`` says why there may be more or fewer of them."""

    items: tuple[tuple[Part, ...], ...]
    place: Place
    incomplete: str = ""
    undecided: str = ""


Value = Scalar | Array


def text_of(parts: Iterable[Part | None]) -> str:
    """Return the characters of the parts, words divided by blanks."""
    return "".join(" " if part is None else part.text.text for part in parts)


def reason_of(parts: Iterable[Part | None]) -> str:
    """Return why the parts are not known in full; empty if they are."""
    return next((part.unresolved for part in parts if part is not None and part.unresolved), "")


def bare(parts: Iterable[Part | None]) -> tuple[Part, ...]:
    """Return the parts as a variable holds them."""
    found: list[Part] = []
    for part in parts:
        if part is not None:
            found.append(Part(part.text, part.unresolved))
        elif found and found[-1].text.text:
            found.append(Part(stand_for(" ", found[-1].text)))
    return tuple(found)


def stand_for(text: str, written: Embedded) -> Embedded:
    """Return a text that stands as a whole for what is ``written``."""
    if not text or not written.text:
        return Embedded("", ())
    place, positions = written.place(), written.pieces[0].positions
    return Embedded(text, [Piece(len(text), place.start, place.end, positions)])


def alike(one: Value | None, other: Value | None) -> bool:
    """Tell whether two values have the same characters, known to the same degree."""
    return one is other or _plain(one) == _plain(other)


def _plain(value: Value | None) -> object:
    if value is None:
        return None
    if isinstance(value, Array):
        items = tuple((text_of(item), reason_of(item)) for item in value.items)
        return ("array", items, value.incomplete, value.undecided)
    return ("scalar", text_of(value.parts), reason_of(value.parts), value.undecided)


Saved = tuple[dict[str, Value], "dict[str, Word | None]", "list[tuple[Part, ...]] | None"]
"""Variables, those that are exported, arguments."""


class State:
    """The variables, functions and arguments of a running script.

    ``arguments`` is None where nobody knows what the script is given.
    """

    def __init__(self, env: Mapping[str, Word], arguments: Sequence[Word] | None) -> None:
        self.variables: dict[str, Value] = {}
        self.exported: dict[str, Word | None] = {}
        self.arguments: list[tuple[Part, ...]] | None = None
        if arguments is not None:
            self.arguments = [(Part(word.text, word.unresolved),) for word in arguments]
        self.defaulted: set[str] = set()
        """Variables whose value is the script's own default for something that is not set."""
        self.frames: list[dict[str, Value | None]] = []
        for name, word in env.items():
            self.exported[name] = word
            undecided = word.unresolved if not word.text.text else ""
            parts = (Part(word.text, word.unresolved),) if word.text.text else ()
            self.variables[name] = Scalar(parts, word.place, undecided)
        self._snapshot: dict[str, Word] | None = None
        self._words: dict[str, tuple[Value, Word]] = {}

    def set(self, name: str, value: Value) -> None:
        """Give a variable a value."""
        self.variables[name] = value
        if name in self.exported:
            self.exported[name] = None
            self._snapshot = None

    def unset(self, name: str) -> None:
        """Forget a variable."""
        self.variables.pop(name, None)
        if self.exported.pop(name, self) is not self:
            self._snapshot = None

    def export(self, name: str) -> None:
        """Hand a variable on to commands."""
        if name not in self.exported:
            self.exported[name] = None
            self._snapshot = None

    def declare_local(self, name: str) -> None:
        """Restore a variable when the function ends."""
        if self.frames:
            self.frames[-1].setdefault(name, self.variables.get(name))

    def end_call(self) -> None:
        """Restore what the function had of its own."""
        for name, value in self.frames.pop().items():
            if value is None:
                self.unset(name)
            else:
                self.set(name, value)

    def fork(self) -> Saved:
        """Return what :meth:`restore` goes back to."""
        return dict(self.variables), dict(self.exported), self.arguments

    def restore(self, saved: Saved) -> None:
        """Go back to a state."""
        variables, exported, self.arguments = saved
        self.variables, self.exported = dict(variables), dict(exported)
        self._snapshot = None

    def _word(self, name: str) -> Word | None:
        value = self.variables.get(name)
        if value is None:
            return None
        word = self._words.get(name)
        if word is None or word[0] is not value:
            word = self._words[name] = (value, word_of(value))
        return word[1]

    def environment(self) -> dict[str, Word]:
        """Return what commands get: shared between commands, never to be changed."""
        if self._snapshot is None:
            self._snapshot = {}
            for name, given in self.exported.items():
                word = given or self._word(name)
                if word is not None:
                    self._snapshot[name] = word
        return self._snapshot


def word_of(value: Value) -> Word:
    """Return the value of a variable as a word."""
    parts = value.parts if isinstance(value, Scalar) else value.items[0] if value.items else ()
    text = join(part.text for part in parts)
    return Word(text, value.place, value.undecided or reason_of(parts))
