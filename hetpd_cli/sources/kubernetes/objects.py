"""The objects of one input, and what they refer to among each other: ConfigMaps, claims, scalers."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.embedded import Embedded, of_scalar, put_in
from hetpd_cli.sources.kubernetes.nodes import at, is_null, items, merged, pairs, text
from hetpd_cli.sources.text import Positions, SourceText

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hetpd_cli.places import Place
    from hetpd_cli.sources.tree import Node

HELM_SOURCE = re.compile(r"^# Source: (\S+)[ \t]*$", re.M)
"""The comment with which Helm names the template of what follows."""


class Object(NamedTuple):
    """One Kubernetes object.

    ``api`` is its apiVersion, ``template`` the Helm template that rendered it, ``former`` the names that it had before
    a kustomization renamed it, by which those above may still speak of it.
    """

    kind: str
    api: str
    name: str
    node: Node
    template: str = ""
    former: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The API group, without version; empty for the core."""
        return self.api.rpartition("/")[0]

    @property
    def spec(self) -> Node | None:
        """What is under ``spec``."""
        return self.node.get("spec")

    @property
    def place(self) -> Place:
        """Where its name stands, or the object itself."""
        named_at = at(self.node, "metadata", "name")
        return named_at.place if named_at is not None and text(named_at) else self.node.place


BUDGET = 2**23
"""Characters that variables, scripts and mounted files may come to: a few aliases can ask for any number."""


Beside = Callable[[], "Iterable[tuple[SourceText, Iterable[Node]]]"]
"""Gives the documents of the other files in a directory."""


class Inputs:
    """The objects that are read together, and the texts in which they stand.

    ``beside`` gives further files that may hold what they name; the texts of those in use are put into ``texts``.
    """

    def __init__(
        self,
        objects: Iterable[Object],
        sources: Iterable[SourceText],
        beside: Beside | None = None,
        texts: dict[str, SourceText] | None = None,
    ) -> None:
        self.objects = list(objects)
        self.beside = beside
        self.texts = {} if texts is None else texts
        self._sources = {source.path: source for source in sources}
        self._positions: dict[str, Positions] = {}
        self._config: dict[str, Node] | None = None
        self._named: dict[tuple[str, str], Object] | None = None
        self._scalers: dict[str, Node] | None = None
        self._left = BUDGET

    def positions(self, path: str) -> Positions:
        """Return the positions of the file ``path``."""
        if path not in self._positions:
            self._positions[path] = Positions(self._sources.get(path, SourceText(path, "")))
        return self._positions[path]

    def embedded(self, node: Node) -> Embedded:
        """Return the text of a scalar with its places."""
        positions = self.positions(node.place.path)
        if not positions.text[node.place.start : node.place.end].strip():
            return Embedded("", []) if not node.source else put_in(node.source, node.place, positions)
        return of_scalar(node, positions)

    def put_in(self, characters: str, place: Place) -> Embedded:
        """Return characters of which each stands for all of ``place``."""
        return put_in(characters, place, self.positions(place.path))

    def of_kind(self, *kinds: str) -> Iterator[Object]:
        """Yield the objects of some kinds."""
        return (found for found in self.objects if found.kind in kinds)

    def named(self, kind: str, name: str) -> Object | None:
        """Return the object of a kind that is called ``name``, the first one."""
        if self._named is None:
            self._named = {(found.kind, found.name): found for found in reversed(self.objects)}
        return self._named.get((kind, name))

    def config_map(self, name: str) -> Node | None:
        """Return the ``data`` of the ConfigMap called ``name``: of this input, or of a file beside it."""
        if self._config is None:
            maps = {found.name: found.node.get("data") for found in self.of_kind("ConfigMap")}
            self._config = {key: data for key, data in maps.items() if data is not None}
        if name not in self._config and self.beside is not None:
            self._config.update((key, data) for key, data in self._maps_beside() if key not in self._config)
        return self._config.get(name)

    def _maps_beside(self) -> Iterator[tuple[str, Node]]:
        """Yield name and ``data`` of the ConfigMaps in the other files of the directory, which are read once."""
        beside, self.beside = self.beside, None
        for source, documents in beside() if beside is not None else ():
            for found in objects_of(documents, source):
                data = found.node.get("data")
                if found.kind == "ConfigMap" and data is not None:
                    self._sources[source.path] = self.texts[source.path] = source
                    yield found.name, data

    def scaled(self, found: Object, name: str = "") -> Node | None:
        """Return the place of an autoscaler that sets the replicas of an object (or of its part ``name``)."""
        if self._scalers is None:
            kinds = ("HorizontalPodAutoscaler", "ScaledObject")
            targets = (at(scaler.node, "spec", "scaleTargetRef", "name") for scaler in self.of_kind(*kinds))
            self._scalers = {text(target): target for target in targets if target is not None and text(target)}
        return self._scalers.get(found.name) or self._scalers.get(f"{found.name}-{name}")

    def spend(self, cost: int) -> bool:
        """Take ``cost`` characters of what may be put in for all objects; tell whether there were as many."""
        self._left -= cost
        return self._left >= 0


def objects_of(documents: Iterable[Node], source: SourceText | None = None) -> list[Object]:
    """Return the objects of documents, those within lists too; patches of one object are laid over it."""
    templates = [] if source is None else [(mark.start(), mark[1]) for mark in HELM_SOURCE.finditer(source.text)]
    starts = [start for start, _ in templates]
    found: list[Object] = []
    for node in documents:
        for single in _singles(node):
            number = bisect_right(starts, single.place.start)
            found.append(_object(single, templates[number - 1][1] if number else ""))
    return _joined([one for one in found if one.kind])


def _singles(node: Node) -> Iterator[Node]:
    if node.kind != "mapping":
        return
    listed = node.get("items")
    if text(node.get("kind")).endswith("List") and listed is not None and listed.kind == "sequence":
        yield from (item for item in listed.items if item.kind == "mapping")
    else:
        yield node


def _object(node: Node, template: str) -> Object:
    api, kind = text(node.get("apiVersion")), text(node.get("kind"))
    return Object(kind, api, text(at(node, "metadata", "name")), node, template)


def remade(found: Object, node: Node) -> Object:
    """Return an object with another content."""
    made = _object(node, found.template)
    former = found.former if made.name == found.name else (*found.former, found.name)
    return made._replace(former=former)


def is_patch(found: Object) -> bool:
    """Tell whether an object only changes another one: a workload whose containers have no image and no selector."""
    spec = found.spec
    if spec is None or is_null(spec):
        return False
    from hetpd_cli.sources.kubernetes.workloads import is_workload, pod_specs

    containers = [container for pod in pod_specs(found) for container in items(pod.get("containers"))]
    if found.kind in {"Deployment", "StatefulSet", "DaemonSet"} and spec.get("selector") is None:
        return not any(text(container.get("image")) for container in containers)
    if found.kind in NEVER_PATCHED or not (containers or is_workload(found.kind)):
        return False
    if found.kind == "DynamoGraphDeployment":
        # Its images start nothing by themselves.
        return not any(container.get("command") or container.get("args") for container in containers)
    return not any(text(container.get("image")) or container.get("command") for container in containers)


NEVER_PATCHED = frozenset({
    "LLMInferenceService", "LLMInferenceServiceConfig", "ModelBooster", "RayService", "InferenceService",
    "ClusterServingRuntime", "ServingRuntime",
})  # fmt: skip
"""Kinds whose images and commands come from elsewhere."""


def _joined(found: list[Object]) -> list[Object]:
    """Lay an object that is a patch over the one of its kind and name in the same input."""
    by_name: dict[tuple[str, str], int] = {}
    kept: list[Object | None] = list(found)
    for number, one in enumerate(found):
        key = (one.kind, one.name)
        first = by_name.setdefault(key, number)
        base = kept[first]
        if first == number or not one.name or base is None or one.kind in {"ConfigMap", "Secret"}:
            continue
        if is_patch(one) and not is_patch(base):
            kept[first], kept[number] = remade(base, merged(base.node, one.node)), None
        elif is_patch(base) and not is_patch(one):
            kept[first], kept[number] = remade(one, merged(one.node, base.node)), None
    return [one for one in kept if one is not None]


def labels(*nodes: Node | None) -> dict[str, Node]:
    """Return the labels of the metadata of ``nodes``, the first ones winning."""
    found: dict[str, Node] = {}
    for node in nodes:
        for name, _, value in pairs(at(node, "metadata", "labels")):
            if text(value):
                found.setdefault(name, value)
    return found
