"""Files of YAML that are data of people we do not know, other than inputs: rules and tables of the user's own.

Only regular files up to a size are opened, and their events are read first: tags, anchors and aliases are refused,
nesting and the number of nodes bounded before any value is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hetpd_cli.sources.problems import Problem
from hetpd_cli.sources.text import Limits, read_source

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_TEXT = 300
"""Characters of a file's own text that an error repeats."""


class PlainLimits(NamedTuple):
    """What one file may cost: its bytes, keys and values, and levels of nesting."""

    max_bytes: int
    max_nodes: int
    max_depth: int


class PlainFile(NamedTuple):
    """A file as read: its content, and the line of each key by dotted path (``rows.0.kind``)."""

    path: str
    raw: dict[str, Any]
    lines: dict[str, int]

    def line(self, key: str) -> int | None:
        """Return the line of ``key``, or of the nearest key above it that is written."""
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return self.lines.get(key)


class PlainYamlError(ValueError):
    """A file that is not read, with the line and the key where these are known."""

    def __init__(self, what: str, line: int | None = None, key: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.line = line
        self.key = key


def read_plain(path: str, limits: PlainLimits, noun: str) -> PlainFile:
    """Return the content of a file that holds one mapping; ``noun`` names such a file (``a table``).

    Raises PlainYamlError where it cannot be read safely.
    """
    source = read_source(path, Limits(max_bytes=limits.max_bytes))
    if isinstance(source, Problem):
        raise PlainYamlError(source.message.removeprefix(f"{path} "))
    import yaml
    from yaml.constructor import SafeConstructor

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    lines: dict[str, int] = {}
    try:
        _check_events(yaml.parse(source.text, Loader=loader), limits, noun)
        node = yaml.compose(source.text, Loader=loader)
        _collect_lines(node, "", lines)
        raw = None if node is None else SafeConstructor().construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise PlainYamlError(str(error.problem or error), mark.line + 1 if mark else None) from None
    except PlainYamlError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise PlainYamlError(f"no readable YAML: {short(str(error))}") from None
    if not isinstance(raw, dict):
        raise PlainYamlError(f"{noun} is a mapping of keys")
    return PlainFile(path, raw, lines)


def _check_events(events: Iterable[Any], limits: PlainLimits, noun: str) -> None:
    """Refuse tags, anchors, several documents, deep nesting and many nodes before anything is built."""
    depth = nodes = documents = 0
    for event in events:
        kind = type(event).__name__
        nodes += kind in {"ScalarEvent", "SequenceStartEvent", "MappingStartEvent", "AliasEvent"}
        documents += kind == "DocumentStartEvent"
        depth += kind in {"SequenceStartEvent", "MappingStartEvent"}
        depth -= kind in {"SequenceEndEvent", "MappingEndEvent"}
        for refused, what in (
            (getattr(event, "tag", None) is not None, f"tags are not read in {noun}"),
            (getattr(event, "anchor", None) is not None, f"anchors and aliases are not read in {noun}"),
            (depth > limits.max_depth, f"nested more than {limits.max_depth} levels"),
            (nodes > limits.max_nodes, f"more than {limits.max_nodes} keys and values"),
            (documents > 1, f"{noun} is one document"),
        ):
            if refused:
                raise PlainYamlError(what, event.start_mark.line + 1 if event.start_mark else None)


def _collect_lines(node: Any, prefix: str, lines: dict[str, int]) -> None:
    """Collect the line of every key below ``node``; a key that stands twice is an error."""
    if node is None or isinstance(node.value, str):
        return
    for index, item in enumerate(node.value):
        key_node, value = item if isinstance(item, tuple) else (None, item)
        key = str(index) if key_node is None else str(key_node.value)
        path = f"{prefix}.{key}" if prefix else key
        line = (key_node or value).start_mark.line + 1
        if path in lines:
            raise PlainYamlError(f"stands twice, first in line {lines[path]}", line, path)
        lines[path] = line
        _collect_lines(value, path, lines)


def short(text: str) -> str:
    """Return text of a file on one line, cut where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
