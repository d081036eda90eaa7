"""NVIDIA Dynamo's DynamoGraphDeployment: services of v1alpha1 and components of v1beta1 as pod templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.sources.kubernetes.nodes import (
    at,
    entry,
    items,
    mapping,
    merged,
    pairs,
    sequence,
    text,
    with_entries,
)
from hetpd_cli.sources.kubernetes.workloads import RUNS, Count, Part, template_of
from hetpd_cli.sources.tree import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.sources.kubernetes.objects import Inputs, Object
    from hetpd_cli.sources.tree import Node


def graph_parts(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    """Yield the services (v1alpha1) or components (v1beta1) of a graph."""
    for name, key, service in pairs(spec.get("services")):
        if service.kind == "mapping":
            yield _service(name, key, service, spec, found, inputs)
    for component in items(spec.get("components")):
        part = _component(component, spec, found, inputs)
        if part is not None:
            yield part


def _workers(node: Node, found: Object, name: str, inputs: Inputs) -> Count:
    autoscaling = node.get("autoscaling")
    scaled = text(at(autoscaling, "enabled")).lower() == "true" or inputs.scaled(found, name) is not None
    return Count(None, None, "an autoscaler sets the replicas") if scaled else Count(node.get("replicas"), 1)


def _variables(node: Node) -> dict[str, Node | str]:
    names = ("LWS_LEADER_ADDRESS", "LWS_WORKER_INDEX", "LWS_GROUP_SIZE", "DYN_NAMESPACE", "DYN_COMPONENT",
             "GROVE_PCSG_INDEX", "GROVE_PCLQ_POD_INDEX", "GROVE_HEADLESS_SERVICE")  # fmt: skip
    found: dict[str, Node | str] = dict.fromkeys(names, RUNS)
    count = at(node, "multinode", "nodeCount")
    if count is not None:
        found["LWS_GROUP_SIZE"] = count
    return found


def _env(*lists: Node | None) -> tuple[Node, ...]:
    return tuple(found for found in lists if found is not None and found.kind == "sequence")


def _service(name: str, key: Node, service: Node, spec: Node, found: Object, inputs: Inputs) -> Part:
    """Return a service of v1alpha1: ``extraPodSpec`` with ``mainContainer``, GPUs and RDMA under ``resources``."""
    pod = service.get("extraPodSpec")
    place = key.place if pod is None or pod.kind != "mapping" else pod.place
    main = at(pod, "mainContainer")
    held = [] if main is None or main.kind != "mapping" else list(main.entries)
    container = mapping(key.place if main is None else main.place, [entry("name", _text_at(key, "main")), *held])
    if container.get("image") is None and service.get("image") is not None:
        container = with_entries(container, {"image": service.get("image")})
    changed: dict[str, Node | None] = {}
    resources = service.get("resources")
    if resources is not None:
        own = container.get("resources")
        standard = _resources(resources)
        changed["resources"] = standard if own is None else merged(own, standard)
    secret = service.get("envFromSecret")
    if secret is not None:
        changed["envFrom"] = sequence(secret.place, [mapping(secret.place, [entry("secretRef", mapping(
            secret.place, [entry("name", secret)]))]), *items(container.get("envFrom"))])  # fmt: skip
    mounts = service.get("volumeMounts")
    if mounts is not None:
        also = [mapping(one.place, [_renamed(old) for old in one.entries]) for one in mounts.items]
        changed["volumeMounts"] = sequence(mounts.place, [*items(container.get("volumeMounts")), *also])
    container = with_entries(container, changed)
    others = items(at(pod, "containers"))
    containers = sequence(container.place, [container, *others])
    pod_entries = [] if pod is None else [one for one in pod.entries if one.key.source not in _REPLACED]
    whole = mapping(place, [*pod_entries, entry("containers", containers)])
    metadata = service.get("extraPodMetadata") or service
    role = service.get("subComponentType")
    kind = service.get("componentType")
    return Part(
        name, key.place, template_of(whole, _metadata(metadata)), None, role or kind, kind,
        (_workers(service, found, name, inputs),), (Count(at(service, "multinode", "nodeCount"), 1),),
        _variables(service), _env(spec.get("envs"), service.get("envs")),
    )  # fmt: skip


_REPLACED = ("mainContainer", "containers")


def _text_at(key: Node, text_: str) -> Node:
    from hetpd_cli.sources.kubernetes.nodes import scalar

    return scalar(key.place, text_)


def _renamed(old: Entry) -> Entry:
    return entry("mountPath", old.value) if old.key.source in {"mountPoint", "mountPath"} else old


def _metadata(holder: Node) -> Node:
    return mapping(holder.place, [one for one in holder.entries if one.key.source in {"labels", "annotations"}])


def _resources(resources: Node) -> Node:
    """Return Dynamo's resources as those of a container: ``gpu`` is ``nvidia.com/gpu``, ``custom`` any other name."""
    changed: dict[str, Node | None] = {}
    for key in ("limits", "requests"):
        asked = resources.get(key)
        if asked is None or asked.kind != "mapping":
            continue
        entries = []
        kind = text(asked.get("gpuType")) or "nvidia.com/gpu"
        for one in asked.entries:
            if one.key.source == "gpu":
                entries.append(Entry(_text_at(one.key, kind), one.value))
            elif one.key.source == "custom":
                entries += one.value.entries
            elif one.key.source != "gpuType":
                entries.append(one)
        changed[key] = mapping(asked.place, entries)
    return with_entries(resources, changed)


def _component(component: Node, spec: Node, found: Object, inputs: Inputs) -> Part | None:
    """Return a component of v1beta1, which has a plain pod template."""
    name = component.get("name")
    template = component.get("podTemplate")
    if component.kind != "mapping":
        return None
    if template is None or template.kind != "mapping":
        template = template_of(mapping(component.place, []))
    kind = component.get("type") or component.get("componentType")
    place = name.place if name is not None and text(name) else component.place
    return Part(
        text(name), place, template, None, component.get("subComponentType") or kind, kind,
        (_workers(component, found, text(name), inputs),), (Count(at(component, "multinode", "nodeCount"), 1),),
        _variables(component), _env(spec.get("env"), spec.get("envs"), component.get("env")),
    )  # fmt: skip
