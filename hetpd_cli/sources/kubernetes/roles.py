"""Which role a field, a label or a name says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.deployment import AGGREGATED, DECODE, PREFILL, Stated
from hetpd_cli.sources.kubernetes.nodes import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hetpd_cli.sources.tree import Node

_ROLES = {
    "prefill": PREFILL,
    "prefiller": PREFILL,
    "prefills": PREFILL,
    "decode": DECODE,
    "decoder": DECODE,
    "decodes": DECODE,
}
_EXACT = {
    **_ROLES,
    "context": PREFILL,
    "ctx": PREFILL,
    "generation": DECODE,
    "gen": DECODE,
    "both": AGGREGATED,
    "agg": AGGREGATED,
    "aggregated": AGGREGATED,
    "prefill-decode": AGGREGATED,
}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

BESIDE = frozenset({
    "frontend", "planner", "epp", "gateway", "proxy", "router", "routing", "processor", "scheduler", "encode",
    "encoder", "lb", "master", "store", "metadata", "etcd", "nats", "globalplanner", "globalrouter",
})  # fmt: skip
"""Words for components that stand beside the pools."""


def words(name: str) -> list[str]:
    """Return the words of a name, in lower case: ``VllmPrefillWorker`` has three."""
    return [word.lower() for word in _WORDS.findall(name)]


def role_of_name(name: str) -> str | None:
    """Return the role that a name says by one of its words; None for none, or for both."""
    found = {_ROLES[word] for word in words(name) if word in _ROLES}
    return found.pop() if len(found) == 1 else None


def role_of_field(value: str) -> str | None:
    """Return the role that the value of a field for roles says."""
    return _EXACT.get(value.strip().lower()) or role_of_name(value)


def is_beside(name: str) -> bool:
    """Tell whether a name says that something is no pool (``routing-proxy``, ``prefill-router``)."""
    return not BESIDE.isdisjoint(words(name))


def stated_role(node: Node, value: str) -> Stated:
    """Return a role with where it stands."""
    return Stated(value, node.place, None if node.source == value else node.source)


def role_of_labels(labels: Mapping[str, Node]) -> Stated | None:
    """Return the role that a label says by its whole value, those called a role first."""
    ranked = sorted(labels.items(), key=lambda item: "role" not in item[0].lower())
    for _, node in ranked:
        value = _EXACT.get(text(node).lower())
        if value is not None and text(node).lower() not in {"gen", "generation", "context", "ctx"}:
            return stated_role(node, value)
    return None


def without_role(name: str) -> str:
    """Return a name without the words for a role, so that both halves of a deployment have the same."""
    kept = [part for part in re.split(r"[-_.]+", name) if part.lower() not in _ROLES]
    return "-".join(part for part in kept if part)
