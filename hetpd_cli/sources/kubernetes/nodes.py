"""Trees put together from parts of several documents and files: every scalar keeps the place at which it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.sources.tree import Entry, Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hetpd_cli.places import Place

MERGE_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "port"),
    "resourceClaims": ("name",),
    "claims": ("name",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey",),
}
"""Keys by which the items of a list are told apart in a strategic merge (Kubernetes API, ``patchMergeKey``)."""

CUSTOM_MERGE_KEYS: Mapping[str, tuple[str, ...]] = {"components": ("name",), "roles": ("name",)}
"""The same for lists of custom resources that their schema declares as maps (``x-kubernetes-list-map-keys``)."""


def mapping(place: Place, entries: Iterable[Entry]) -> Node:
    """Return a mapping of ``entries``; of equal keys the last counts."""
    index = {entry.key.source: entry for entry in entries}
    return Node("mapping", place, entries=list(index.values()), index=index)


def sequence(place: Place, items: Iterable[Node]) -> Node:
    """Return a list of ``items``."""
    return Node("sequence", place, items=list(items))


def scalar(place: Place, text: str) -> Node:
    """Return text that stands at ``place`` for something else than its characters."""
    return Node("scalar", place, text, text)


def entry(name: str, value: Node) -> Entry:
    """Return an entry whose key stands where its value does."""
    return Entry(scalar(value.place, name), value)


def with_entries(node: Node, changed: Mapping[str, Node | None]) -> Node:
    """Return a mapping with the values of some keys changed, added, or (None) taken out."""
    entries = [
        Entry(old.key, value) if (value := changed.get(old.key.source, old.value)) is not None else None
        for old in node.entries
        if old.key.kind == "scalar"
    ]
    known = set(node.keys())
    added = [entry(name, value) for name, value in changed.items() if name not in known and value is not None]
    return mapping(node.place, [*(found for found in entries if found is not None), *added])


def at(node: Node | None, *path: str) -> Node | None:
    """Return what stands under ``path``, or None."""
    for key in path:
        if node is None:
            return None
        node = node.get(key)
    return node


def items(node: Node | None) -> list[Node]:
    """Return the items of a list; of anything else none."""
    return [] if node is None else node.items


def pairs(node: Node | None) -> Iterator[tuple[str, Node, Node]]:
    """Yield name, key and value of each entry of a mapping with a scalar key."""
    if node is not None:
        for found in node.entries:
            if found.key.kind == "scalar":
                yield found.key.source, found.key, found.value


def text(node: Node | None) -> str:
    """Return the characters of a scalar, or nothing."""
    return node.source if node is not None and node.kind == "scalar" and node.value is not None else ""


def integer(node: Node | None) -> int | None:
    """Return the whole number that a scalar states, quoted or not."""
    written = text(node).strip()
    if not (written.isascii() and written.isdigit()) or len(written) > _MOST_DIGITS:
        return None
    return int(written)


_MOST_DIGITS = 9


def is_null(node: Node) -> bool:
    """Tell whether ``node`` is an empty value, which deletes in a merge."""
    return node.kind == "scalar" and node.value is None


def named(nodes: Iterable[Node], name: str) -> Node | None:
    """Return the item of a list that is called ``name``."""
    return next((node for node in nodes if text(node.get("name")) == name), None)


def merged(base: Node, patch: Node, name: str = "") -> Node:
    """Return ``patch`` laid over ``base`` by the rules of a strategic merge; ``name`` is the key of both.

    Null deletes; mappings merge; a list merges by its key (:data:`MERGE_KEYS`) if all of its items have it, and else
    is replaced; ``$patch: delete`` and ``$patch: replace`` are obeyed. Source: Kubernetes, strategic merge patch.
    """
    if base.kind == "mapping" and patch.kind == "mapping":
        return _merged_mappings(base, patch)
    if base.kind == "sequence" and patch.kind == "sequence":
        keys = MERGE_KEYS.get(name) or CUSTOM_MERGE_KEYS.get(name)
        key = None if keys is None else next((key for key in keys if _keyed(base, key) and _keyed(patch, key)), None)
        return patch if key is None else _merged_lists(base, patch, key)
    return patch


def _merged_mappings(base: Node, patch: Node) -> Node:
    if text(patch.get("$patch")) == "replace":
        return without_directives(patch)
    changed: dict[str, Node | None] = {}
    keys: dict[str, Node] = {}
    for name, key, value in pairs(patch):
        if name.startswith("$"):
            continue
        old = base.get(name)
        keys[name] = key
        if is_null(value) or text(value.get("$patch")) == "delete":
            changed[name] = None
        else:
            changed[name] = without_directives(value) if old is None else merged(old, value, name)
    kept = with_entries(base, {name: value for name, value in changed.items() if base.get(name) is not None})
    added = [
        Entry(keys[name], value) for name, value in changed.items() if value is not None and base.get(name) is None
    ]
    return mapping(base.place, [*kept.entries, *added])


def without_directives(node: Node) -> Node:
    """Return a mapping without its ``$patch`` and the like."""
    if node.kind != "mapping" or not any(name.startswith("$") for name in node.keys()):  # noqa: SIM118
        return node
    return mapping(node.place, [found for found in node.entries if not found.key.source.startswith("$")])


def _keyed(node: Node, key: str) -> bool:
    return all(text(item.get(key)) or text(item.get("$patch")) == "replace" for item in node.items)


def _merged_lists(base: Node, patch: Node, key: str) -> Node:
    if any(text(item.get("$patch")) == "replace" and not text(item.get(key)) for item in patch.items):
        return sequence(patch.place, [item for item in patch.items if text(item.get(key))])
    found: dict[str, Node] = {text(item.get(key)): item for item in base.items}
    own: dict[str, Node] = {}
    for item in patch.items:
        name = text(item.get(key))
        if text(item.get("$patch")) == "delete":
            found.pop(name, None)
        elif name in found:
            found[name] = merged(found[name], item)
        else:
            own[name] = without_directives(item)
    return sequence(base.place, [*own.values(), *found.values()])
