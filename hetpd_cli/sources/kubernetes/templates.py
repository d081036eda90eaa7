"""Whether a manifest is a template that somebody still has to render."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.sources.kubernetes.nodes import items, pairs
from hetpd_cli.sources.syntax import RENDER
from hetpd_cli.sources.text import Positions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hetpd_cli.places import Place
    from hetpd_cli.sources.kubernetes.objects import Object
    from hetpd_cli.sources.text import SourceText
    from hetpd_cli.sources.tree import Node, Tree

UNRENDERED = "a template: render it first: `helm template ...`"

_GO = re.compile(
    r"\{\{-?\s*(?:[.$]|/\*|(?:if|else|end|range|with|include|define|template|block|tpl|toYaml|toJson|default|quote|"
    r"printf|required|lookup|or|and|not|eq|ne|index|ternary|fromYaml|ChildName)\b)"
)
"""An action of Go's templates, as Helm and KServe have them."""

_JINJA = re.compile(r"\{\{-?\s*[A-Za-z_][\w.]*(?:\[[^\]{}]*\])?\s*(?:\|[^{}]*)?-?\}\}")
"""A plain variable in Jinja."""

_CHAT = re.compile(r"\b(?:messages?|bos_token|eos_token|add_generation_prompt|loop|raise_exception|tools)\b")
"""Words of a prompt's or chat's own template, which is text to the manifest."""

_STATEMENT = re.compile(r"^[ \t]*(?:#[ \t]*)?\{[%{]", re.M)

_UNPARSED = frozenset({"yaml-syntax", "complex-key"})


def unrendered(source: SourceText, tree: Tree, objects: Iterable[Object]) -> Place | None:
    """Return where the first marker of a template stands that is part of a manifest's structure or values."""
    for problem in tree.problems:
        if problem.fix == RENDER:
            return problem.places[0].place
    if any(problem.rule in _UNPARSED for problem in tree.problems):
        found = _STATEMENT.search(source.text) or _GO.search(source.text) or _JINJA.search(source.text)
        if found is not None:
            begin = source.text.index("{", found.start())
            return Positions(source).place(begin, begin + 2)
    for one in objects:
        for node in _scalars(one.node):
            if is_marked(node.source):
                return node.place
    return None


def is_marked(characters: str) -> bool:
    """Tell whether a value holds what a renderer would replace; a chat template's own braces are none of it."""
    if "{{" not in characters:
        return False
    if _GO.search(characters) and not _CHAT.search(characters):
        return True
    return _JINJA.search(characters) is not None and "{%" not in characters and not _CHAT.search(characters)


_IGNORED = frozenset({"annotations", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "status"})


def _scalars(node: Node) -> Iterator[Node]:
    """Yield the keys and values of an object that matter to its pods."""
    stack = [node]
    while stack:
        one = stack.pop()
        if one.kind == "scalar":
            yield one
            continue
        below = list(items(one))
        for name, key, value in pairs(one):
            if name not in _IGNORED:
                below += (key, value)
        stack.extend(reversed(below))
