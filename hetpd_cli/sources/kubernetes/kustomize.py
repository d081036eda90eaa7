"""Kustomizations built in place: resources, components, patches, images, replicas and generated ConfigMaps.

Only files below the nearest ``.git``, or at most six directories up, are read; nothing is fetched. Scalars of the
result stand where they are written, in whichever file.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.embedded import of_scalar
from hetpd_cli.sources.kubernetes.nodes import (
    at,
    entry,
    integer,
    is_null,
    items,
    mapping,
    merged,
    pairs,
    scalar,
    sequence,
    text,
    with_entries,
)
from hetpd_cli.sources.kubernetes.objects import Object, objects_of, remade
from hetpd_cli.sources.text import Positions, SourceText, read_source
from hetpd_cli.sources.tree import Node, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hetpd_cli.sources.text import Limits

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
LEVELS_UP = 8
LEVELS_TO_GIT = 24
MOST_FILES = 256
MOST_STEPS = 4_096
"""Directories entered, objects patched and operations done for one kustomization."""
DEEPEST = 16


class Built(NamedTuple):
    """The objects of a kustomization, the files read for them, and what could not be found or done."""

    objects: tuple[Object, ...]
    sources: tuple[SourceText, ...]
    missing: tuple[str, ...]


_DEFINITION = re.compile(r"^kind:[ \t]*CustomResourceDefinition[ \t]*$", re.M)


def build(directory: str, limits: Limits, known: SourceText | None = None) -> Built:
    """Return what the kustomization in ``directory`` makes; nothing is raised.

    ``known`` is a file that is read already, and is shown by the path under which it was.
    """
    builder = _Builder(directory, limits, known)
    objects = builder.directory(directory, [], 0)
    return Built(tuple(objects), tuple(builder.sources.values()), tuple(builder.missing))


def kustomization_in(directory: str) -> str | None:
    """Return the path of the kustomization in a directory."""
    paths = (os.path.join(directory, name) for name in NAMES)  # noqa: PTH118 (paths stay text)
    return next((path for path in paths if os.path.isfile(path)), None)  # noqa: PTH113


def names_file(directory: str, path: str, limits: Limits) -> bool:
    """Tell whether the kustomization in ``directory`` names the file ``path``, as a resource or a patch."""
    builder = _Builder(directory, limits)
    node = builder.kustomization(directory)
    if node is None:
        return False
    written = [*_texts(node, "resources"), *_texts(node, "patchesStrategicMerge")]
    written += [text(patch.get("path")) for key in ("patches", "patchesJson6902") for patch in items(node.get(key))]
    target = os.path.realpath(path)
    return any(one and os.path.realpath(os.path.join(directory, one)) == target for one in written)  # noqa: PTH118


def _texts(node: Node, key: str) -> list[str]:
    return [text(item) for item in items(node.get(key)) if "\n" not in text(item)]


def _root(directory: str) -> str:
    """Return the directory below which files may be read."""
    above = [os.path.realpath(directory)]
    while len(above) <= LEVELS_TO_GIT and os.path.dirname(above[-1]) != above[-1]:  # noqa: PTH120
        if os.path.exists(os.path.join(above[-1], ".git")):  # noqa: PTH110, PTH118
            return above[-1]
        above.append(os.path.dirname(above[-1]))  # noqa: PTH120
    return above[min(LEVELS_UP, len(above) - 1)]


@lru_cache(maxsize=MOST_FILES)
def _read_once(path: str, limits: Limits, _: tuple[int, int]) -> tuple[SourceText, tuple[Node, ...]] | None:
    """Return text and documents of a file, which many overlays share; trees are never changed."""
    source = read_source(path, limits)
    return (source, _documents(source, limits)) if isinstance(source, SourceText) else None


def _documents(source: SourceText, limits: Limits) -> tuple[Node, ...]:
    """Return the documents of a file. Definitions of resources are long, and run nothing."""
    return () if _DEFINITION.search(source.text) else parse(source, limits, collect_ambiguous=False).documents


def _state(path: str) -> tuple[int, int]:
    """Return what changes with a file."""
    try:
        found = os.stat(path)  # noqa: PTH116 (paths stay text)
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


class _Builder:
    """Builds one kustomization; holds the files that it read."""

    def __init__(self, directory: str, limits: Limits, known: SourceText | None = None) -> None:
        self.limits = limits
        self.known = known
        self.known_path = "" if known is None else os.path.realpath(known.path)
        self.root = _root(directory)
        self.sources: dict[str, SourceText] = {}
        self.shown: dict[str, SourceText] = {}
        self.trees: dict[str, tuple[Node, ...]] = {}
        self.missing: list[str] = []
        self.open: list[str] = []
        self.steps = 0

    # -- files -----------------------------------------------------------------------------------------------

    def documents(self, path: str) -> tuple[Node, ...]:
        """Return the documents of a file within bounds; a file that is not there is noted."""
        shown = os.path.normpath(path)
        if shown in self.trees:
            return self.trees[shown]
        real = os.path.realpath(shown)
        inside = real.startswith(self.root.rstrip("/") + "/") and len(self.sources) < MOST_FILES
        if real == self.known_path and self.known is not None:
            read: tuple[SourceText, tuple[Node, ...]] | None = self.known, _documents(self.known, self.limits)
        else:
            read = _read_once(shown, self.limits, _state(shown)) if inside else None
        if read is None:
            self.missing.append(shown)
            return ()
        source, self.trees[shown] = read
        self.sources[source.path] = self.shown[shown] = source
        return self.trees[shown]

    def kustomization(self, directory: str) -> Node | None:
        """Return the kustomization of a directory."""
        path = kustomization_in(directory)
        found = () if path is None else self.documents(path)
        return found[0] if found and found[0].kind == "mapping" else None

    def parsed(self, node: Node) -> tuple[Node, ...]:
        """Return the documents of YAML that stands in a string."""
        positions = Positions(self.sources.get(node.place.path, SourceText(node.place.path, "")))
        if not positions.text:
            return ()
        return parse(of_scalar(node, positions), self.limits, collect_ambiguous=False).documents

    # -- building --------------------------------------------------------------------------------------------

    def directory(self, directory: str, objects: list[Object], depth: int) -> list[Object]:
        """Return ``objects`` and what the kustomization of a directory adds to and changes in them."""
        real = os.path.realpath(directory)
        fits = depth < DEEPEST and real not in self.open and self._step()
        node = self.kustomization(directory) if fits else None
        if node is None:
            self.missing.append(os.path.normpath(directory))
            return objects
        self.open.append(real)
        for resource in [*items(node.get("resources")), *items(node.get("bases"))][:MOST_FILES]:
            objects = objects + self._resource(directory, text(resource), depth)
        objects = objects + list(self._generated(directory, node))
        for component in items(node.get("components")):
            path = os.path.join(directory, text(component))  # noqa: PTH118
            objects = self.directory(path, objects, depth + 1)
        for patch, target in self._patches(directory, node):
            objects = self._patched(objects, patch, target)
        self.open.pop()
        return [_finished(one, node) for one in objects]

    def _step(self) -> bool:
        """Count a step of building; tell whether there may be more."""
        self.steps += 1
        return self.steps <= MOST_STEPS

    def _resource(self, directory: str, written: str, depth: int) -> list[Object]:
        if "://" in written or "?ref=" in written or written.startswith(("github.com/", "git@")):
            self.missing.append(written)
            return []
        path = os.path.join(directory, written)  # noqa: PTH118
        if os.path.isdir(path):  # noqa: PTH112
            return self.directory(path, [], depth + 1)
        documents = self.documents(path) if self._step() else ()
        return objects_of(documents, self.shown.get(os.path.normpath(path)))

    def _generated(self, directory: str, node: Node) -> Iterator[Object]:
        """Yield the ConfigMaps of ``configMapGenerator``, under the names by which the manifests refer to them."""
        for generator in items(node.get("configMapGenerator")):
            name = generator.get("name")
            if name is None or not text(name):
                continue
            data = []
            for written in _texts(generator, "files"):
                key, _, path = written.rpartition("=")
                self.documents(os.path.join(directory, path))  # noqa: PTH118
                source = self.shown.get(os.path.normpath(os.path.join(directory, path)))  # noqa: PTH118
                if source is not None and source.text:
                    place = Positions(source).place(0, len(source.text))
                    data.append(entry(key or os.path.basename(path), scalar(place, source.text)))  # noqa: PTH119
            for literal in items(generator.get("literals")):
                key, mark, value = text(literal).partition("=")
                if mark:
                    data.append(entry(key, scalar(literal.place, value)))
            content = mapping(generator.place, [
                entry("kind", scalar(name.place, "ConfigMap")),
                entry("metadata", mapping(name.place, [entry("name", name)])),
                entry("data", mapping(generator.place, data)),
            ])  # fmt: skip
            yield Object("ConfigMap", "v1", text(name), content)

    def _patches(self, directory: str, node: Node) -> Iterator[tuple[Node, Node | None]]:
        """Yield each patch with its target, in the order in which they are applied."""
        for written in items(node.get("patchesStrategicMerge")):
            inline = "\n" in text(written)
            path = os.path.join(directory, text(written))  # noqa: PTH118
            for document in self.parsed(written) if inline else self.documents(path):
                yield document, None
        for key in ("patches", "patchesJson6902"):
            for patch in items(node.get(key)):
                inline_patch, path_node = patch.get("patch"), patch.get("path")
                documents: tuple[Node, ...] = ()
                if inline_patch is not None and inline_patch.kind == "scalar":
                    documents = self.parsed(inline_patch)
                elif path_node is not None:
                    documents = self.documents(os.path.join(directory, text(path_node)))  # noqa: PTH118
                for document in documents:
                    yield document, patch.get("target")

    def _patched(self, objects: list[Object], patch: Node, target: Node | None) -> list[Object]:
        chosen = _matcher(patch, target)
        changed, hits = [], 0
        for one in objects:
            if not chosen(one) or not self._step():
                changed.append(one)
                continue
            hits += 1
            if text(patch.get("$patch")) != "delete":
                changed.append(remade(one, self._applied(one.node, patch)))
        if not hits and patch.kind == "mapping" and target is None:
            self.missing.append(f"{text(patch.get('kind'))} {text(at(patch, 'metadata', 'name'))}")
        return changed

    def _applied(self, node: Node, patch: Node) -> Node:
        if patch.kind == "mapping":
            kept = {"apiVersion": None, "kind": None, "metadata": _unnamed(patch.get("metadata"))}
            return merged(node, with_entries(patch, kept))
        for operation in items(patch):
            changed = _operated(node, operation) if self._step() else None
            if changed is None:
                self.missing.append(f"{text(operation.get('path'))} to {text(operation.get('op'))}")
            else:
                node = changed
        return node


def _unnamed(metadata: Node | None) -> Node | None:
    return None if metadata is None or metadata.kind != "mapping" else with_entries(metadata, {"name": None})


def _matcher(patch: Node, target: Node | None) -> Callable[[Object], bool]:
    """Return the test of what a patch changes: its target's patterns, else its own kind and name."""
    if target is None:
        kind, name = text(patch.get("kind")), text(at(patch, "metadata", "name"))
        return lambda one: one.kind == kind and name in {one.name, *one.former}
    wanted = {key: text(target.get(key)) for key in ("kind", "group", "version")}
    named_as = text(target.get("name"))
    selector = [pair.strip().partition("=") for pair in text(target.get("labelSelector")).split(",") if pair.strip()]

    def matches(one: Object) -> bool:
        version = one.api.rpartition("/")[2]
        found = {"kind": one.kind, "group": one.group, "version": version}
        labels = at(one.node, "metadata", "labels")
        if named_as and not any(_fits(named_as, name) for name in (one.name, *one.former)):
            return False
        return all(not value or _fits(value, found[key]) for key, value in wanted.items()) and all(
            text(at(labels, key.strip("=! "))) == value.lstrip("= ") for key, _, value in selector
        )

    return matches


def _fits(pattern: str, value: str) -> bool:
    if len(pattern) > _LONGEST_PATTERN or re.search(r"[()\\+{]", pattern):
        return pattern == value
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:
        return pattern == value


_LONGEST_PATTERN = 200


def _operated(node: Node, operation: Node) -> Node | None:
    """Return a tree after one operation of a JSON patch (RFC 6902); None if it does not fit."""
    op, path, value = text(operation.get("op")), text(operation.get("path")), operation.get("value")
    steps = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]
    if op in {"copy", "move"}:
        source = [step.replace("~1", "/").replace("~0", "~") for step in text(operation.get("from")).split("/")[1:]]
        value = _looked_up(node, source)
        if op == "move" and value is not None:
            without = _changed(node, source, "remove", None)
            node = node if without is None else without
        op = "add"
    if op == "test":
        return node
    if not steps or op not in {"add", "replace", "remove"} or (value is None and op != "remove"):
        return None
    return _changed(node, steps, op, value)


def _looked_up(node: Node, steps: list[str]) -> Node | None:
    found: Node | None = node
    for step in steps:
        if found is None:
            return None
        if found.kind == "sequence":
            number = int(step) if step.isascii() and step.isdigit() else -1
            found = found.items[number] if 0 <= number < len(found.items) else None
        else:
            found = found.get(step)
    return found


def _changed(node: Node, steps: list[str], op: str, value: Node | None) -> Node | None:
    step, rest = steps[0], steps[1:]
    if node.kind == "mapping":
        old = node.get(step)
        if not rest:
            if op == "remove":
                return None if old is None else with_entries(node, {step: None})
            return with_entries(node, {step: value})
        below = mapping(value.place, []) if old is None and value is not None else old
        deeper = None if below is None else _changed(below, rest, op, value)
        return None if deeper is None else with_entries(node, {step: deeper})
    if node.kind != "sequence":
        return None
    held = list(node.items)
    number = len(held) if step == "-" else int(step) if step.isascii() and step.isdigit() else -1
    if not rest and op == "add" and value is not None and 0 <= number <= len(held):
        return sequence(node.place, [*held[:number], value, *held[number:]])
    if not 0 <= number < len(held):
        return None
    if rest:
        deeper = _changed(held[number], rest, op, value)
        return None if deeper is None else sequence(node.place, [*held[:number], deeper, *held[number + 1 :]])
    middle = [] if op == "remove" or value is None else [value]
    return sequence(node.place, [*held[:number], *middle, *held[number + 1 :]])


def _finished(one: Object, node: Node) -> Object:
    """Return an object with the images, replicas and name that a kustomization sets."""
    if one.kind in {"ConfigMap", "Secret"}:
        return one
    images = {text(image.get("name")): image for image in items(node.get("images"))}
    content = _with_images(one.node, images, 0) if images else one.node
    for count in items(node.get("replicas")):
        number = count.get("count")
        spec = content.get("spec")
        if spec is None or number is None or integer(number) is None:
            continue
        if text(count.get("name")) in {one.name, *one.former}:
            content = with_entries(content, {"spec": with_entries(spec, {"replicas": number})})
    content = _labelled(content, node)
    name = at(content, "metadata", "name")
    metadata = content.get("metadata")
    prefix, suffix = text(node.get("namePrefix")), text(node.get("nameSuffix"))
    if (prefix or suffix) and name is not None and metadata is not None and one.kind in _RENAMED:
        renamed = scalar(name.place, prefix + text(name) + suffix)
        content = with_entries(content, {"metadata": with_entries(metadata, {"name": renamed})})
    return one if content is one.node else remade(one, content)


def _labelled(content: Node, node: Node) -> Node:
    """Return an object with the labels that a kustomization gives to all."""
    given = [node.get("commonLabels"), *(one.get("pairs") for one in items(node.get("labels")))]
    entries = [one for pairs_ in given if pairs_ is not None for one in pairs_.entries]
    metadata = content.get("metadata")
    if not entries or metadata is None or metadata.kind != "mapping":
        return content
    own = metadata.get("labels")
    joined = mapping(metadata.place, [*([] if own is None else own.entries), *entries])
    return with_entries(content, {"metadata": with_entries(metadata, {"labels": joined})})


_RENAMED = frozenset({
    "Deployment", "StatefulSet", "LeaderWorkerSet", "DisaggregatedSet", "DynamoGraphDeployment", "StormService",
    "RoleBasedGroup", "LLMInferenceService", "ModelServing",
})  # fmt: skip


def _with_images(node: Node, images: dict[str, Node], depth: int) -> Node:
    """Return a tree whose containers have the images that a kustomization puts in the place of theirs."""
    if node.kind == "sequence":
        changed = [_with_images(item, images, depth + 1) for item in node.items]
        same = all(new is old for new, old in zip(changed, node.items, strict=True))
        return node if same else sequence(node.place, changed)
    if node.kind != "mapping" or is_null(node):
        return node
    found: dict[str, Node | None] = {}
    for name, _, value in pairs(node):
        if name == "image" and value.kind == "scalar":
            image = _image(value, images)
            if image is not None:
                found[name] = image
        elif value.kind != "scalar":
            below = _with_images(value, images, depth + 1)
            if below is not value:
                found[name] = below
    return with_entries(node, found) if found else node


_IMAGE = re.compile(r"(?P<name>[^@]+?)(?::(?P<tag>[^:/@]+))?(?:@(?P<digest>.+))?\Z")


def _image(value: Node, images: dict[str, Node]) -> Node | None:
    parts = _IMAGE.match(text(value))
    change = None if parts is None else images.get(parts["name"])
    if parts is None or change is None:
        return None
    name, tag, digest = (change.get(key) for key in ("newName", "newTag", "digest"))
    bare = text(name) or parts["name"]
    if digest is not None:
        bare += f"@{text(digest)}"
    elif tag is not None:
        bare += f":{text(tag)}"
    else:
        bare += f":{parts['tag']}" if parts["tag"] else ""
    place = next((one.place for one in (tag, digest, name) if one is not None), value.place)
    return scalar(place, bare)
