"""Reads manifests: which inputs are some, and the groups of members that they put together."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from hetpd_cli.sources.kubernetes.kustomize import NAMES, build, kustomization_in, names_file
from hetpd_cli.sources.kubernetes.members import read_part
from hetpd_cli.sources.kubernetes.nodes import at, items, pairs, text
from hetpd_cli.sources.kubernetes.objects import Inputs, Object, is_patch, labels, objects_of
from hetpd_cli.sources.kubernetes.roles import role_of_name, without_role
from hetpd_cli.sources.kubernetes.serving import RayRead, booster_members, ray_config
from hetpd_cli.sources.kubernetes.templates import UNRENDERED, unrendered
from hetpd_cli.sources.kubernetes.workloads import parts
from hetpd_cli.sources.launch import Group, Launch, Member
from hetpd_cli.sources.syntax import RENDER
from hetpd_cli.sources.text import SourceText, read_source
from hetpd_cli.sources.tree import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hetpd_cli.sources.text import Limits
    from hetpd_cli.sources.tree import Node, Tree

NO_BASE = "a patch: its base is not among the inputs (run `kustomize build`)"

_OBJECT = re.compile(r"^[ \t]*(?:[-{\[][ \t{\[]*)?[\"']?(?:apiVersion|kind)[\"']?[ \t]*:", re.M)
_RAY = re.compile(r"^[ \t]*[\"']?(?:prefill_config|decode_config)[\"']?[ \t]*:", re.M)
_SERVES = re.compile(r"prefill|decod|disagg|vllm|sglang|trtllm|tensorrt|dynamo|kv[-_](?:role|connector|transfer)", re.I)
"""A word without which a manifest concerns no pair: most manifests of a repository have none, and are not parsed."""
_KUSTOMIZATION = re.compile(r"^(?:resources|bases|components|patches|patchesStrategicMerge)[ \t]*:", re.M)
_OF_OTHERS = (".md", ".mdx", ".markdown", ".rst", ".py", ".ipynb", ".sh", ".bash", ".slurm", ".sbatch", ".toml", ".go")
_VERSIONED = frozenset({
    "DynamoGraphDeployment", "RoleBasedGroup", "LLMInferenceService", "LLMInferenceServiceConfig", "DisaggregatedSet",
})  # fmt: skip


def claims(source: SourceText) -> bool:
    """Tell from the text alone whether ``source`` may be a manifest, a kustomization or Ray Serve's configuration.

    A page, a program or a script may hold a manifest, but is none.
    """
    if source.path.lower().endswith(_OF_OTHERS) or source.text.startswith("#!"):
        return False
    if _OBJECT.search(source.text) or _RAY.search(source.text):
        return True
    return os.path.basename(source.path) in NAMES and _KUSTOMIZATION.search(source.text) is not None  # noqa: PTH119


def concerns(source: SourceText) -> bool:
    """Tell whether a manifest may say something of serving: most of a repository do not, and need not be parsed."""
    return os.path.basename(source.path) in NAMES or _SERVES.search(source.text) is not None  # noqa: PTH119


def recognises(tree: Tree) -> bool:
    """Tell whether a tree holds Kubernetes objects, or is broken in the way of a template."""
    if any(problem.fix == RENDER for problem in tree.problems):
        return True
    return any(_is_object(node) or _is_kustomization(node) or _is_ray(node) for node in tree.documents)


def _is_object(node: Node) -> bool:
    return bool(text(node.get("kind")) and text(node.get("apiVersion")))


def _is_kustomization(node: Node) -> bool:
    kind = text(node.get("kind"))
    keys = ("resources", "bases", "components", "patches", "patchesStrategicMerge")
    return kind in {"Kustomization", "Component"} or (not kind and any(node.get(key) is not None for key in keys))


def _is_ray(node: Node) -> bool:
    return any(
        at(application, "args", key) is not None
        for application in items(node.get("applications"))
        for key in ("prefill_config", "decode_config")
    )


def groups(source: SourceText, tree: Tree, limits: Limits) -> list[Group]:
    """Return what a manifest puts together, a group for each object that runs an engine or stands beside one."""
    return groups_with_texts(source, tree, limits)[0]


def groups_with_texts(source: SourceText, tree: Tree, limits: Limits) -> tuple[list[Group], tuple[SourceText, ...]]:
    """Return the groups of a manifest, and the texts of all files in which their places are."""
    texts = {source.path: source}
    return _groups(source, tree, limits, texts), tuple(texts.values())


def _groups(source: SourceText, tree: Tree, limits: Limits, texts: dict[str, SourceText]) -> list[Group]:
    found = objects_of(tree.documents, source)
    marker = unrendered(source, tree, [one for one in found if _matters(one)])
    if marker is not None:
        return [Group("", "Kubernetes template", marker, (), unresolved=UNRENDERED)]
    kustomization = next((node for node in tree.documents if _is_kustomization(node)), None)
    if kustomization is not None and os.path.basename(source.path) in NAMES:  # noqa: PTH119
        return _of_kustomization(source, kustomization, limits, texts)
    inputs = Inputs(found, [source], lambda: _maps_beside(source.path, limits), texts)
    result = _of_ray(tree.documents, inputs)
    bases: dict[tuple[str, str], Object] | None = None
    for one in found:
        if not is_patch(one):
            result += _of_object(one, inputs, limits)
            continue
        if bases is None:
            built, built_inputs = _built_around(source, limits, texts)
            bases = {(base.kind, name): base for base in built for name in (*base.former, base.name)}
        base = bases.get((one.kind, one.name))
        if base is not None and not is_patch(base):
            result += _of_object(base, built_inputs, limits)
        else:
            result += _of_patch(one, inputs)
    return result


def _maps_beside(path: str, limits: Limits) -> Iterator[tuple[SourceText, Iterable[Node]]]:
    """Yield the other files in the directory of ``path`` that hold ConfigMaps."""
    folder = os.path.dirname(path)  # noqa: PTH120 (paths stay text)
    if not os.path.isfile(path):  # noqa: PTH113
        return
    for name in sorted(os.listdir(folder or "."))[:MOST_BESIDE]:  # noqa: PTH208
        other = os.path.join(folder, name)  # noqa: PTH118
        if other == path or not name.lower().endswith((".yaml", ".yml")) or not os.path.isfile(other):  # noqa: PTH113
            continue
        source = read_source(other, limits)
        if isinstance(source, SourceText) and _CONFIG_MAP.search(source.text):
            yield source, parse(source, limits, collect_ambiguous=False).documents


MOST_BESIDE = 200
"""Files of a directory that are looked through for a ConfigMap."""

_CONFIG_MAP = re.compile(r"^[ \t]*kind:[ \t]*[\"']?ConfigMap\b", re.M)

OF_ONE_ROLE = frozenset({
    "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Pod", "LeaderWorkerSet", "PodSet", "RoleSet",
    "ClusterServingRuntime", "ServingRuntime",
})  # fmt: skip
"""Kinds of objects of which each holds one role of a deployment; the other role is an object of its own."""

_IRRELEVANT = frozenset({
    "ConfigMap", "Secret", "Service", "CustomResourceDefinition", "PrometheusRule", "ClusterRole", "Role",
})  # fmt: skip


def _matters(one: Object) -> bool:
    return one.kind not in _IRRELEVANT


def _format(one: Object) -> str:
    version = one.api.rpartition("/")[2]
    named = f"{one.kind} {version}" if one.kind in _VERSIONED and version else one.kind
    return f"{named} ({one.template})" if one.template else named


def _of_object(one: Object, inputs: Inputs, limits: Limits) -> list[Group]:
    """Return the group of an object; nothing if it runs no command."""
    if one.kind == "ModelBooster":
        return _grouped(one, list(booster_members(one, inputs)), [])
    if one.kind == "RayService":
        config = ray_config(one.node, inputs, limits)
        return [] if config is None else _of_ray([config], inputs, _format(one))
    members, others = _read(one, inputs, patch=False)
    runtime = text(at(one.node, "spec", "runtime", "name"))
    if one.kind == "InferenceService" and not members and at(one.node, "spec", "decoder") is not None:
        return _grouped(one, [], others, f"its runtime {runtime or '(chosen by OME)'} is not among the inputs")
    return _grouped(one, members, others)


def _read(one: Object, inputs: Inputs, *, patch: bool) -> tuple[list[Member], list[Launch]]:
    members: list[Member] = []
    others: list[Launch] = []
    for part in parts(one, inputs):
        read = read_part(part, one, inputs, patch=patch)
        members += read.members
        others += read.others
    return members, others


def _grouped(one: Object, members: list[Member], others: list[Launch], unresolved: str = "") -> list[Group]:
    if not members and not others and not unresolved:
        return []
    name = one.name if len(members) > 1 else without_role(one.name)
    said = {key: text(value) for key, value in labels(*_labelled(one)).items()}
    found = Group(name, _format(one), one.place, tuple(members), said, tuple(others), (), unresolved)
    return [found._replace(joins=one.kind in OF_ONE_ROLE)]


def _labelled(one: Object) -> Iterator[Node | None]:
    """Yield what has the labels of an object and of the pods of a workload that has one template."""
    yield at(one.node, "spec", "template")
    yield at(one.node, "spec", "leaderWorkerTemplate", "leaderTemplate")
    yield at(one.node, "spec", "leaderWorkerTemplate", "workerTemplate")
    yield one.node


def _of_patch(one: Object, inputs: Inputs) -> list[Group]:
    """Return the group of a patch without its base: read where it has the whole command, unresolved elsewhere."""
    members, others = _read(one, inputs, patch=True)
    whole = [member for member in members if member.complete and member.launches]
    if whole:
        return _grouped(one, whole, others)
    return _grouped(one, [], [], NO_BASE) if members or _concerns(one.node) else []


def _concerns(node: Node) -> bool:
    """Tell whether a tree speaks of prefill or decode at all, in a key or a name."""
    stack = [node]
    while stack:
        found = stack.pop()
        stack += items(found)
        for name, _, value in pairs(found):
            if role_of_name(name) or (name in {"name", "kind"} and role_of_name(text(value))):
                return True
            stack.append(value)
    return False


def _built_around(
    source: SourceText, limits: Limits, texts: dict[str, SourceText]
) -> tuple[tuple[Object, ...], Inputs]:  # fmt: skip
    """Return what the kustomization makes that names a file, in its directory or one of the two above."""
    directory = os.path.dirname(source.path) or "."  # noqa: PTH120
    for _ in range(3 if os.path.isfile(source.path) else 0):  # noqa: PTH113
        if os.path.isdir(directory) and kustomization_in(directory) and names_file(directory, source.path, limits):  # noqa: PTH112
            built = build(directory, limits, source)
            texts.update({one.path: one for one in built.sources})
            return built.objects, Inputs(built.objects, texts.values())
        directory = os.path.join(directory, "..")  # noqa: PTH118
    return (), Inputs((), [source])


def _of_kustomization(source: SourceText, node: Node, limits: Limits, texts: dict[str, SourceText]) -> list[Group]:
    built = build(os.path.dirname(source.path) or ".", limits, source)  # noqa: PTH120
    texts.update({one.path: one for one in built.sources})
    inputs = Inputs(built.objects, texts.values())
    result: list[Group] = []
    for one in built.objects:
        result += _of_patch(one, inputs) if is_patch(one) else _of_object(one, inputs, limits)
    if not any(group.members for group in result) and (built.missing or text(node.get("kind")) == "Component"):
        changes = any(node.get(key) is not None for key in ("patches", "patchesStrategicMerge", "components"))
        if changes and any(word in source.text for word in ("prefill", "decode")):
            return [Group("", "Kustomization", node.place, (), unresolved=NO_BASE)]
    return result


def _of_ray(documents: Iterable[Node], inputs: Inputs, kind: str = "Ray Serve LLM") -> list[Group]:
    return [
        Group(name, kind, place, tuple(members))
        for node in documents
        for name, place, members in RayRead(node, inputs).groups()
    ]
