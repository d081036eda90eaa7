"""YAML (and so JSON) text to a tree whose every key and value keeps its place.

The tree is built from the parser's events, not by its composer: events give the places of aliases, both
places of a duplicate key, several documents, and limits that hold before memory or the stack is used up.
Nothing here recurses on the input. Events come from libyaml, or from PyYAML's own parser, which is slower and
refuses tabs between the tokens of JSON.
"""

from __future__ import annotations

import gc
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from hetpd_cli.findings import LabelledPlace
from hetpd_cli.sources.problems import Problem
from hetpd_cli.sources.scalars import disagreement, resolve, spellings
from hetpd_cli.sources.text import Positions, SourceText

if TYPE_CHECKING:
    from hetpd_cli.places import Place
    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.scalars import Value
    from hetpd_cli.sources.text import Limits

MERGE = "<<"

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_SCALAR_TYPES = {
    _CORE + "null": (type(None),),
    _CORE + "bool": (bool,),
    _CORE + "int": (int,),
    _CORE + "float": (float, int),
}
_FLOAT = _CORE + "float"
_TEXT_TAGS = ("!", _CORE + "str")
_CONTAINER_TAGS = {"mapping": (None, "!", _CORE + "map"), "sequence": (None, "!", _CORE + "seq")}
_KNOWN_TAGS = (*_SCALAR_TYPES, *_TEXT_TAGS, _CORE + "map", _CORE + "seq")
_BLANK = " \t\r\n\x85\u2028\u2029"
# libyaml compares each prefix with all before it: a megabyte of them takes minutes.
_TAG_PREFIX = re.compile(r"^%TAG", re.M)
_MAX_TAG_PREFIXES = 100
_SHOWN_CHARACTERS = 60


class Node:
    """A scalar, mapping or sequence with its place.

    ``value`` is the scalar by YAML 1.2, ``source`` its text after unquoting and folding; ``plain`` says that
    no quotes stand around it. ``place`` spans the token with its quotes, without anchor and tag; that of an
    empty scalar is its key's or dash's. ``via`` is where the alias stands by which the node is reached.
    ``entries`` (mapping) and ``items`` (sequence) are shared among aliases: never change them.
    """

    __slots__ = ("_index", "entries", "items", "kind", "place", "plain", "source", "tag", "value", "via")

    def __init__(  # noqa: PLR0913, PLR0917 (the most frequent call of a run: no grouping of arguments)
        self,
        kind: str,
        place: Place,
        value: Value = None,
        source: str = "",
        plain: bool = False,
        tag: str | None = None,
        entries: list[Entry] | None = None,
        items: list[Node] | None = None,
        index: dict[str, Entry] | None = None,
        via: Place | None = None,
    ) -> None:
        self.kind = kind
        self.place = place
        self.value = value
        self.source = source
        self.plain = plain
        self.tag = tag
        self.entries = _NO_ENTRIES if entries is None else entries
        self.items = _NO_ITEMS if items is None else items
        self._index = _NO_INDEX if index is None else index
        self.via = via

    def get(self, key: str) -> Node | None:
        """Return the value of ``key``, or None if there is none or this is no mapping."""
        entry = self._index.get(key)
        return None if entry is None else entry.value

    def entry(self, key: str) -> Entry | None:
        """Return the entry of ``key``; of duplicates the last, own ones before merged ones."""
        return self._index.get(key)

    def keys(self) -> list[str]:
        """Return the text of each scalar key once, in the order of the file, merged ones last."""
        return list(self._index)

    def linked(self, via: Place | None) -> Node:
        """Return this node as reached by the alias at ``via``."""
        return Node(
            self.kind, self.place, self.value, self.source, self.plain, self.tag,
            self.entries, self.items, self._index, via,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<{self.kind} at {self.place}>"


class Entry(NamedTuple):
    """A key with its value; ``merged`` says that a merge key brought it in."""

    key: Node
    value: Node
    merged: bool = False


class Tree(NamedTuple):
    """The documents of one input, those that cannot be read left out, and what is wrong with it."""

    documents: tuple[Node, ...]
    problems: tuple[Problem, ...]


_NO_ENTRIES: list[Entry] = []
_NO_ITEMS: list[Node] = []
_NO_INDEX: dict[str, Entry] = {}


def parse(source: SourceText | Embedded, limits: Limits, *, collect_ambiguous: bool = True) -> Tree:
    """Return the tree of ``source`` with every problem of its YAML; nothing is raised.

    Past a syntax error or a limit nothing is read; documents complete by then are kept. A document with an
    unusable alias or merge key is left out and reading goes on. ``collect_ambiguous`` asks for a problem per
    plain scalar that YAML 1.1 and 1.2 read differently (not to be asked of JSON).
    """
    builder = _Builder(_positions(source), limits, collect_ambiguous)
    # Every node and mark is a tracked object: with the collector on, a large file takes four times as long.
    collecting = gc.isenabled()
    gc.disable()
    try:
        builder.run()
    finally:
        if collecting:
            gc.enable()
    return Tree(tuple(builder.documents), tuple(builder.problems))


def _positions(source: SourceText | Embedded) -> Positions:
    if isinstance(source, SourceText):
        return Positions(source)
    from hetpd_cli.sources.embedded import EmbeddedPositions

    return EmbeddedPositions(source)


class _RefusedError(Exception):
    """A limit is exceeded: reading stops."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


class _Frame:
    """A container that is being read.

    ``size`` and ``height`` count nodes and levels as a walk through every alias would meet them; ``end`` is
    where the last thing read in it ends.
    """

    __slots__ = (
        "anchor", "end", "entries", "flow", "height", "index", "items",
        "key", "kind", "merges", "size", "start", "tag",
    )  # fmt: skip

    def __init__(self, kind: str, start: int, event: Any) -> None:
        self.kind = kind
        self.start = start
        self.end = start + 1
        self.anchor: str | None = event.anchor
        self.tag: str | None = event.tag
        self.flow: bool = event.flow_style
        self.size = 1
        self.height = 0
        self.key: Node | None = None
        self.entries: list[Entry] = []
        self.items: list[Node] = []
        self.index: dict[str, Entry] = {}
        self.merges: list[Entry] = []


class _Target(NamedTuple):
    """What an anchor names: the node with its size and height, or None while it is still open."""

    node: Node | None
    size: int
    height: int


_OPEN = _Target(None, 0, 0)


def _content(text: str, start: int, end: int) -> int:
    """Return where the token begins after anchor, tag and comments at ``start``; ``end`` if it is empty."""
    while start < end and (text[start] in "&!#" or text[start] in _BLANK):
        if text[start] == "#":
            start = _next_of("\r\n", text, start, end)
        elif text[start] in _BLANK:
            start += 1
        else:
            start = _next_of(_BLANK, text, start, end)
    return start


def _next_of(characters: str, text: str, start: int, end: int) -> int:
    while start < end and text[start] not in characters:
        start += 1
    return start


def _trimmed(text: str, start: int, end: int) -> int:
    """Return ``end`` moved back over blanks and line ends, not before ``start``."""
    while end > start and text[end - 1] in _BLANK:
        end -= 1
    return end


class _Builder:
    """Builds the documents of one input, event by event."""

    def __init__(self, positions: Positions, limits: Limits, collect_ambiguous: bool) -> None:
        self.positions = positions
        self.limits = limits
        self.collect_ambiguous = collect_ambiguous
        self.documents: list[Node] = []
        self.problems: list[Problem] = []
        self.frames: list[_Frame] = []
        self.root: Node | None = None
        self.broken = False
        self.anchors: dict[str, _Target] = {}
        self.nodes = 0
        self.alias_nodes = 0
        self.merged = 0

    def run(self) -> None:
        """Read the whole text, or up to what stops it."""
        try:
            self._check_directives()
            self._read(_LOADER(self.positions.text))
        except _RefusedError as refused:
            self.problems.append(refused.problem)
        except (yaml.YAMLError, ValueError) as error:
            from hetpd_cli.sources.syntax import syntax_problem

            flow = next((frame.start for frame in reversed(self.frames) if frame.flow), None)
            self.problems.append(syntax_problem(self.positions, error, flow))

    def _check_directives(self) -> None:
        if "%TAG" not in self.positions.text:
            return
        prefixes = enumerate(_TAG_PREFIX.finditer(self.positions.text))
        extra = next((found for index, found in prefixes if index == _MAX_TAG_PREFIXES), None)
        if extra is not None:
            message = f"more than the {_MAX_TAG_PREFIXES} tag prefixes (%TAG) that are read are declared"
            self._refuse("too-many-nodes", message, extra.start(), "one too many")

    def _read(self, loader: Any) -> None:
        handlers = {
            ScalarEvent: self._scalar,
            MappingStartEvent: self._open,
            SequenceStartEvent: self._open,
            MappingEndEvent: self._close,
            SequenceEndEvent: self._close,
            AliasEvent: self._alias,
            DocumentStartEvent: self._start_document,
            DocumentEndEvent: self._end_document,
        }
        try:
            event = loader.get_event()
            while type(event) is not StreamEndEvent:
                handler = handlers.get(type(event))
                if handler is not None:
                    handler(event)
                event = loader.get_event()
        finally:
            loader.dispose()

    # -- documents -------------------------------------------------------------------------------------------

    def _start_document(self, _event: Any) -> None:
        self.anchors = {}
        self.root = None
        self.broken = False

    def _end_document(self, _event: Any) -> None:
        if self.root is not None and not self.broken:
            self.documents.append(self.root)

    # -- nodes -----------------------------------------------------------------------------------------------

    def _scalar(self, event: Any) -> None:
        positions = self.positions
        start, end = event.start_mark.index, event.end_mark.index
        self._count(start)
        style, tag = event.style, event.tag
        if style and style in "|>":
            end = _trimmed(positions.text, start, end)
        begin = start
        if event.anchor is not None or tag is not None:
            content = _content(positions.text, start, end)
            begin = content if content < end else start
        if begin < end:
            place = positions.place(begin, end)
        else:
            place = self._place_of_nothing(start)
            end = _trimmed(positions.text, 0, end)
        source, plain = event.value, not style
        node = Node("scalar", place, resolve(source) if plain else source, source, plain, tag)
        if tag is not None:
            self._apply_tag(node, start)
        elif plain and self.collect_ambiguous:
            self._check_ambiguous(node)
        if style == '"' and not source.isascii():
            self._check_encodable(node)
        self._add(node, 1, 0, end)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Target(node, 1, 0)

    def _open(self, event: Any) -> None:
        start = event.start_mark.index
        self._count(start)
        kind = "mapping" if type(event) is MappingStartEvent else "sequence"
        begin = start
        if event.anchor is not None or event.tag is not None:
            begin = _content(self.positions.text, start, len(self.positions.text))
        if event.tag not in _CONTAINER_TAGS[kind]:
            self._unsupported_tag(event.tag, start, f"a {kind}")
        self._check_depth(len(self.frames) + 1, begin)
        self.frames.append(_Frame(kind, begin, event))
        if event.anchor is not None:
            self.anchors[event.anchor] = _OPEN

    def _close(self, event: Any) -> None:
        frame = self.frames.pop()
        if frame.merges:
            self._merge(frame)
        end = event.end_mark.index if frame.flow else min(frame.end, len(self.positions.text))
        place = self.positions.place(frame.start, end)
        node = Node(frame.kind, place, tag=frame.tag, entries=frame.entries, items=frame.items, index=frame.index)
        height = frame.height + 1
        self._add(node, frame.size, height, end)
        if frame.anchor is not None:
            self.anchors[frame.anchor] = _Target(node, frame.size, height)

    def _alias(self, event: Any) -> None:
        start, end, name = event.start_mark.index, event.end_mark.index, event.anchor
        self._count(start)
        place = self.positions.place(start, end)
        target = self.anchors.get(name)
        if target is None or target.node is None:
            self._unusable_alias(name, place, target)
            # Keeps keys and values in step; the document is left out.
            self._add(Node("scalar", place, None, f"*{name}", plain=True), 1, 0, end)
            return
        self.alias_nodes += target.size
        if self.alias_nodes > self.limits.max_alias_nodes:
            most = self.limits.max_alias_nodes
            message = f"the aliases expand to more than the {most} values that are read"
            self._refuse("alias-expansion", message, start, "this alias is too much")
        self._check_depth(len(self.frames) + target.height, start)
        self._add(target.node.linked(place), target.size, target.height, end)

    def _place_of_nothing(self, offset: int) -> Place:
        """Return a visible place for an empty scalar at ``offset``: that of its key, or of its dash."""
        if self.frames:
            key = self.frames[-1].key
            if key is not None:
                return key.via or key.place
            if self.positions.text[offset - 1 : offset] == "-":
                return self.positions.place(offset - 1, offset)
        return self.positions.place(offset, offset)

    # -- containers ------------------------------------------------------------------------------------------

    def _add(self, node: Node, size: int, height: int, end: int) -> None:
        """Put ``node`` into the container that is being read, or at the top of the document."""
        if not self.frames:
            self.root = node
            return
        frame = self.frames[-1]
        frame.size += size
        frame.height = max(frame.height, height)
        frame.end = max(frame.end, end)
        if frame.kind == "sequence":
            frame.items.append(node)
        elif frame.key is None:
            frame.key = node
        else:
            key, frame.key = frame.key, None
            self._entry(frame, Entry(key, node))

    def _entry(self, frame: _Frame, entry: Entry) -> None:
        key = entry.key
        if key.kind != "scalar":
            self._complex_key(key)
        elif key.source == MERGE and key.plain and key.tag is None:
            if frame.merges:
                self._duplicate(frame.merges[-1].key, key)
            frame.merges.append(entry)
            return
        else:
            twin = frame.index.get(key.source)
            if twin is not None:
                self._duplicate(twin.key, key)
            frame.index[key.source] = entry
        frame.entries.append(entry)

    def _merge(self, frame: _Frame) -> None:
        """Append the entries of merged mappings, the first of a list winning (https://yaml.org/type/merge.html)."""
        for key, value, _ in reversed(frame.merges):
            bases = value.items if value.kind == "sequence" else [value]
            for base in bases:
                if base.kind == "mapping":
                    self._merge_one(frame, base, base.via or value.via, key)
                elif not _is_placeholder(base):
                    self._unusable_merge(key, base)

    def _merge_one(self, frame: _Frame, base: Node, via: Place | None, key: Node) -> None:
        most = self.limits.max_alias_nodes
        for name, entry in base._index.items():
            if name in frame.index:
                continue
            self.merged += 1
            if self.merged > most:
                message = f"merge keys bring in more than the {most} entries that are read"
                self._refuse("alias-expansion", message, key.place.start, "this merge is too much")
            value = entry.value if via is None else entry.value.linked(via)
            frame.index[name] = Entry(entry.key, value, merged=True)
            frame.entries.append(frame.index[name])

    # -- limits ----------------------------------------------------------------------------------------------

    def _count(self, offset: int) -> None:
        self.nodes += 1
        if self.nodes > self.limits.max_nodes:
            message = f"the input has more than the {self.limits.max_nodes} keys and values that are read"
            self._refuse("too-many-nodes", message, offset, "one too many")

    def _check_depth(self, depth: int, offset: int) -> None:
        if depth > self.limits.max_depth:
            from hetpd_cli.sources.syntax import too_deep

            raise _RefusedError(too_deep(self.positions.spot(offset), self.limits.max_depth))

    def _refuse(self, rule: str, message: str, offset: int, label: str) -> None:
        spot = LabelledPlace(self.positions.spot(offset), label, primary=True)
        raise _RefusedError(Problem(rule, message, (spot,)))

    # -- problems --------------------------------------------------------------------------------------------

    def _problem(self, rule: str, message: str, place: Place, label: str, fix: str = "") -> None:
        self.problems.append(Problem(rule, message, (LabelledPlace(place, label, primary=True),), fix))

    def _check_ambiguous(self, node: Node) -> None:
        how = disagreement(node.source)
        if how is None:
            return
        fix = " or ".join([f"write {spelled}" for spelled in spellings(node.source)] + ["quote it"])
        message = f"{_shown(node.source)} means different things to different readers: {how}"
        self._problem("ambiguous-scalar", message, node.place, "read in two ways", fix)

    def _check_encodable(self, node: Node) -> None:
        # PyYAML's own parser lets the escape of half a surrogate pair pass; libyaml refuses it.
        if any("\ud800" <= character <= "\udfff" for character in node.source):
            message = "the text holds an escape that is no character (half of a surrogate pair)"
            self._problem("yaml-syntax", message, node.place, "no character")
            self.broken = True

    def _duplicate(self, first: Node, again: Node) -> None:
        places = (
            LabelledPlace(first.via or first.place, "set here"),
            LabelledPlace(again.via or again.place, "and again here", primary=True),
        )
        message = f"{_shown(again.source)} stands twice in one mapping: readers keep the last or refuse it"
        self.problems.append(Problem("duplicate-key", message, places, "keep one of the two"))

    def _complex_key(self, key: Node) -> None:
        text, place = self.positions.text, key.via or key.place
        template = "{{" in text[max(place.start - 1, 0) : place.start + 2]
        from hetpd_cli.sources.syntax import RENDER

        fix = RENDER if template else "use text as the key"
        message = f"a {key.kind} is the key here where text is expected"
        self._problem("complex-key", message, place, f"a {key.kind} as key", fix)

    def _unusable_alias(self, name: str, place: Place, target: _Target | None) -> None:
        self.broken = True
        if target is not None:
            message = f"*{name} stands inside what &{name} names, which would contain itself"
            self._problem("recursive-alias", message, place, "alias of its own container")
            return
        from hetpd_cli.nearest import nearest

        guess = nearest(name, self.anchors)
        fix = f"write `*{guess}`" if guess else f"define it first: put `&{name}` before the value it names"
        message = f"no &{name} stands before the alias *{name}"
        self._problem("yaml-syntax", message, place, "undefined alias", fix)

    def _unusable_merge(self, key: Node, base: Node) -> None:
        self.broken = True
        found = {"sequence": "a list"}.get(base.kind) or _shown(base.source) or "nothing"
        message = f"<< takes a mapping or a list of mappings, not {found}"
        place = base.via or base.place
        shown = place if place.start < place.end else key.place
        self._problem("yaml-syntax", message, shown, "not a mapping")

    def _apply_tag(self, node: Node, start: int) -> None:
        """Let the tag of a scalar that begins at ``start`` decide its value, or report the tag."""
        tag = str(node.tag)
        node.value = node.source
        if tag in _TEXT_TAGS:
            return
        value = resolve(node.source)
        types = _SCALAR_TYPES.get(tag)
        if types is None or type(value) not in types:
            self._unsupported_tag(tag, start, _shown(node.source) or "an empty value")
            return
        node.value = float(value) if tag == _FLOAT and isinstance(value, int) else value

    def _unsupported_tag(self, tag: str, start: int, on: str) -> None:
        text = self.positions.text
        begin = max(text.find("!", start), start)
        place = self.positions.place(begin, _next_of(_BLANK + ",", text, begin, len(text)))
        shown = "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
        wrong = f"does not fit {on}" if tag in _KNOWN_TAGS else "is no tag of plain YAML"
        message = f"the tag {_shown(shown)} {wrong}"
        self._problem("unsupported-tag", message, place, "unsupported tag", "remove the tag")


def _is_placeholder(node: Node) -> bool:
    """Tell whether ``node`` stands for an unusable alias: no plain scalar begins with an asterisk."""
    return node.plain and node.source.startswith("*")


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
