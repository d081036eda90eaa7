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
        markers = (_STATEMENT, _GO, _JINJA, _LINE)
        found = next((match for match in (marker.search(source.text) for marker in markers) if match), None)
        if found is not None:
            begin = source.text.index("{", found.start())
            return Positions(source).place(begin, begin + 2)
    for one in objects:
        for node in _scalars(one.node):
            if is_marked(node.source):
                return node.place
    return None


_LINE = re.compile(r"^[ \t]*\$\{[A-Za-z_]\w*\}[ \t]*$", re.M)
"""A line that a tool such as ``envsubst`` puts whole blocks in for."""

_WORKLOAD = re.compile(
    r"^kind:[ \t]*[\"']?(?:\{\{|Deployment|StatefulSet|LeaderWorkerSet|DisaggregatedSet|RoleBasedGroup|StormService|"
    r"RoleSet|PodSet|DynamoGraphDeployment|LLMInferenceService|ModelServing|InferenceService|ClusterServingRuntime|"
    r"ServingRuntime|RayService|ReplicaSet|Pod\b|Job\b)",
    re.M,
)
_CONCERNS = re.compile(r"(?i)prefill|decode|disagg|vllm|sglang|trtllm|dynamo")


def is_broken_template(source: SourceText, tree: Tree) -> bool:
    """Tell whether a text is no YAML because it is the template of a workload with a role or an engine."""
    if not any(problem.rule in _UNPARSED for problem in tree.problems):
        return False
    if not _WORKLOAD.search(source.text) or not _CONCERNS.search(source.text):
        return False
    return any(marker.search(source.text) for marker in (_STATEMENT, _GO, _LINE))


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
