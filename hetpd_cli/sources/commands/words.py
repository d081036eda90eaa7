"""Words of a command line to the arguments that they give."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.tree import Entry, Node, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hetpd_cli.places import Place
    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.launch import Word
    from hetpd_cli.sources.text import Limits

_OPTION = re.compile(r"--?[A-Za-z][^=\s]*")
_NO = "no-"
_JSON_LITERAL = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class Value(NamedTuple):
    """What is given to an argument: text of a word, or a node of a file of arguments.

    ``unresolved`` says why it is not known.
    """

    place: Place
    text: Embedded | None = None
    node: Node | None = None
    unresolved: str = ""

    @property
    def source(self) -> str:
        """The characters of a plain value."""
        if self.node is not None:
            return self.node.source
        return "" if self.text is None else self.text.text


class Given(NamedTuple):
    """An argument as it was given.

    ``name`` is its name without dashes, ``-`` for ``_``, and without what a negation puts before it; ``spelled`` is how
    it was written, at ``place``. ``of_file`` tells that a file of arguments gave it.
    """

    name: str
    spelled: str
    place: Place
    values: tuple[Value, ...] = ()
    negated: bool = False
    of_file: bool = False


class Arguments(NamedTuple):
    """The arguments of a command in their order, words that belong to none, and why there may be further ones."""

    given: tuple[Given, ...]
    positionals: tuple[Value, ...]
    incomplete: str = ""

    def last(self, name: str) -> Given | None:
        """Return the argument ``name`` that is in force: of several the last."""
        return next((given for given in reversed(self.given) if given.name == name), None)


class Named(NamedTuple):
    """What a word that names an argument is.

    ``word[:end]`` is the spelling, a value within the word begins at ``value_start``. ``takes`` is ``0``, ``1``,
    ``?``, ``*``, ``+`` or a count, empty where it is not known. ``keys`` are those of a dotted argument; ``appends``
    tells that it adds an item to a list.
    """

    name: str
    end: int
    value_start: int | None = None
    takes: str = ""
    negated: bool = False
    keys: tuple[str, ...] = ()
    appends: bool = False


def place_of(word: Word, start: int = 0) -> Place:
    """Return where the characters of ``word`` from ``start`` on stand; its own place if they come from several."""
    text = word.text[start:]
    if not text.text:
        return word.place
    whole, last = text.place(), text.place(len(text.text) - 1)
    return whole if last.path == whole.path and whole.start <= last.start < whole.end else word.place


def read_words(words: Sequence[Word], names: Callable[[str], Named], first_is_positional: bool) -> Arguments:
    """Return the arguments that ``words`` give; ``names`` says which argument a word names.

    A word that is nobody's value and is not known may stand for any number of arguments, unless it is the first and the
    program takes it as its positional argument.
    """
    return _Reading(words, names, first_is_positional).run()


class _Part(NamedTuple):
    """One dotted argument: its keys, where it stands, its value."""

    keys: tuple[str, ...]
    appends: bool
    spelled: str
    place: Place
    value: Value


class _Reading:
    """One walk over the words of a command."""

    def __init__(self, words: Sequence[Word], names: Callable[[str], Named], first_is_positional: bool) -> None:
        self.words = words
        self.names = names
        self.first_is_positional = first_is_positional
        self.given: list[Given] = []
        self.dotted: dict[str, list[_Part]] = {}
        self.positionals: list[Value] = []
        self.incomplete = ""
        self.at = 0

    def run(self) -> Arguments:
        while self.at < len(self.words):
            word = self.words[self.at]
            self.at += 1
            if is_option(word):
                self._option(word)
            else:
                self._positional(word)
        self.given += [_joined(name, parts) for name, parts in self.dotted.items()]
        return Arguments(tuple(self.given), tuple(self.positionals), self.incomplete)

    def _positional(self, word: Word) -> None:
        taken = self.first_is_positional and not self.positionals and not self.given
        if word.unresolved and not taken:
            self.incomplete = self.incomplete or word.unresolved
            return
        self.positionals.append(Value(place_of(word), word.text, None, word.unresolved))

    def _option(self, word: Word) -> None:
        named = self.names(word.value)
        spelled = word.value[: named.end]
        place = word.text.place(0, named.end)
        if named.value_start is not None:
            start = named.value_start
            values: tuple[Value, ...] = (Value(place_of(word, start), word.text[start:], None, word.unresolved),)
        else:
            values = self._values("1" if named.keys else named.takes)
        if not named.keys:
            self.given.append(Given(named.name, spelled, place, values, named.negated))
        elif values:
            self.dotted.setdefault(named.name, []).append(_Part(named.keys, named.appends, spelled, place, values[0]))

    def _values(self, takes: str) -> tuple[Value, ...]:
        most = int(takes) if takes.isdigit() else 1 if takes in {"", "?"} else len(self.words)
        values: list[Value] = []
        while len(values) < most and self.at < len(self.words):
            word = self.words[self.at]
            if is_option(word):
                break
            if not takes and word.unresolved and word.value.startswith("$"):
                # Of an argument that nobody knows it cannot be told whether this is its value, or further arguments.
                self.incomplete = self.incomplete or word.unresolved
            values.append(Value(place_of(word), word.text, None, word.unresolved))
            self.at += 1
        return tuple(values)


def of_word(word: Word) -> Value:
    """Return a whole word as a value."""
    return Value(place_of(word), word.text, None, word.unresolved)


def is_option(word: Word) -> bool:
    """Tell whether a word names an argument."""
    return _OPTION.match(word.value) is not None


def plainly_named(word: str) -> Named:
    """Return what a word of a program that nobody knows seems to name: argument, dotted keys, value."""
    spelled, equals, _ = word.partition("=")
    key, dot, rest = spelled.lstrip("-").partition(".")
    name = key.replace("_", "-")
    end = len(spelled) - len(rest) - len(dot)
    value_start = len(spelled) + 1 if equals else None
    if dot:
        return Named(name, end, value_start, "1", False, tuple(rest.removesuffix("+").split(".")), rest.endswith("+"))
    negated = name.startswith(_NO)
    return Named(name.removeprefix(_NO), end, value_start, "0" if negated else "", negated)


# -- values as nodes -------------------------------------------------------------------------------------------


def scalar(value: Value, *, as_text: bool) -> Node | None:
    """Return a value as a scalar, or None if nothing is there; ``as_text`` leaves numbers and words as they are."""
    from hetpd_cli.sources.scalars import resolve

    if value.node is not None:
        return value.node
    source = value.source
    if not source:
        return None
    return Node("scalar", value.place, source if as_text else resolve(source), source, plain=False)


def structure(value: Value, limits: Limits) -> Node | None:
    """Return the JSON of a value as a tree whose nodes know their places; None if it cannot be read."""
    if value.node is not None:
        if value.node.kind != "scalar":
            return value.node
        return None
    if value.text is None or not value.text.text.strip():
        return None
    documents = parse(value.text, limits, collect_ambiguous=False).documents
    return documents[0] if documents else None


def _joined(name: str, parts: list[_Part]) -> Given:
    """Return dotted arguments (``--x.a 1 --x.b+ 2``) as one argument with a mapping."""
    root = _Branch()
    for part in parts:
        branch = root
        for key in part.keys[:-1]:
            branch = branch.child(key)
        branch.put(part)
    first = parts[0]
    return Given(name, first.spelled, first.place, (Value(first.place, None, root.node(first.place)),))


class _Branch:
    """A mapping that dotted arguments build up."""

    def __init__(self) -> None:
        self.leaves: dict[str, tuple[Place, Node]] = {}
        self.children: dict[str, _Branch] = {}

    def child(self, key: str) -> _Branch:
        return self.children.setdefault(key, _Branch())

    def put(self, part: _Part) -> None:
        key, node = part.keys[-1], _leaf(part.value)
        if part.appends:
            old = self.leaves.get(key)
            items = [*(old[1].items if old else []), *_split(part.value)]
            node = Node("sequence", part.value.place, items=items)
        self.leaves[key] = (part.place, node)

    def node(self, place: Place) -> Node:
        entries = [
            Entry(Node("scalar", where, key, key, plain=True), node) for key, (where, node) in self.leaves.items()
        ]
        for key, child in self.children.items():
            inner = child.node(place)
            entries.append(Entry(Node("scalar", place, key, key, plain=True), inner))
        return Node("mapping", place, entries=entries, index={entry.key.source: entry for entry in entries})


UNRESOLVED_TAG = "unresolved"
"""Tag of a node whose text is not known."""


def _leaf(value: Value) -> Node:
    from hetpd_cli.sources.scalars import resolve

    source = value.source
    tag = UNRESOLVED_TAG if value.unresolved else None
    # vLLM reads what stands behind a dotted argument as JSON, and what is no JSON as text.
    plain = _JSON_LITERAL.fullmatch(source) is not None
    return Node("scalar", value.place, resolve(source) if source else "", source, plain=plain, tag=tag)


def _split(value: Value) -> list[Node]:
    text = value.text
    if text is None or value.unresolved:
        return [_leaf(value)]
    found = []
    for match in re.finditer(r"[^,]+", text.text):
        part = text[match.start() : match.end()]
        found.append(Node("scalar", part.place(), part.text, part.text, plain=False))
    return found
