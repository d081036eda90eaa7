"""Where the pod templates of each kind hang, and how many workers and nodes each stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.kubernetes.nodes import (
    at,
    entry,
    is_null,
    items,
    mapping,
    merged,
    named,
    pairs,
    scalar,
    sequence,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hetpd_cli.places import Place
    from hetpd_cli.sources.kubernetes.objects import Inputs, Object
    from hetpd_cli.sources.tree import Node


class Count(NamedTuple):
    """A factor of a number of workers or nodes: the scalar that states it, what holds without it, why none is known."""

    node: Node | None
    default: int | None = 1
    unknown: str = ""


class Part(NamedTuple):
    """A pod template in its workload: equal workers, or something beside them.

    ``template`` has ``metadata`` and ``spec``; ``worker`` is that of the further nodes of a worker, where it differs.
    ``role`` is the field that says the role, ``type`` the one that says what kind of component it is. ``workers`` are
    factors; ``nodes`` too. ``variables`` are what a controller puts into the environment: a scalar, or the reason why
    it is not known. ``preset`` says what launches where the container itself does not.
    """

    name: str
    place: Place
    template: Node
    worker: Node | None = None
    role: Node | None = None
    type: Node | None = None
    workers: tuple[Count, ...] = (Count(None),)
    nodes: tuple[Count, ...] = ()
    variables: Mapping[str, Node | str] = {}
    env: tuple[Node, ...] = ()
    parallel: Node | None = None
    model: Node | None = None
    incomplete: str = ""


RUNS = "known only when the pod runs"


def parts(found: Object, inputs: Inputs) -> list[Part]:
    """Return the pod templates of an object; of a kind that nobody knows those that are named by their role."""
    spec = found.spec
    if spec is None or spec.kind != "mapping":
        return []
    reader = _KINDS.get(found.kind)
    if reader is not None and (found.group in _OWN_GROUPS.get(found.kind, (found.group,))):
        return list(reader(found, spec, inputs))
    return list(_unknown_kind(found, spec))


def pod_specs(found: Object) -> list[Node]:
    """Return every mapping with containers below an object, wherever it stands."""
    pods: list[Node] = []
    stack = [found.node]
    while stack:
        node = stack.pop()
        containers = node.get("containers")
        main = at(node, "extraPodSpec", "mainContainer")
        if containers is not None and containers.kind == "sequence":
            pods.append(node)
            continue
        if main is not None:
            pods.append(mapping(main.place, [entry("containers", sequence(main.place, [main]))]))
            continue
        stack.extend(reversed([value for _, _, value in pairs(node)] + items(node)))
    return pods


def template_of(pod: Node, metadata: Node | None = None) -> Node:
    """Return a pod template around a pod specification."""
    meta = [] if metadata is None else [entry("metadata", metadata)]
    return mapping(pod.place, [*meta, entry("spec", pod)])


def _named_at(node: Node | None, otherwise: Place) -> Place:
    return node.place if node is not None and text(node) else otherwise


def _deployment(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    template = spec.get("template")
    if template is None:
        return
    count = Count(spec.get("replicas"), 1)
    if found.kind == "DaemonSet":
        count = Count(None, None, "one for each node of the cluster")
    elif found.kind == "Job":
        count = Count(spec.get("parallelism"), 1)
    if inputs.scaled(found) is not None:
        count = Count(None, None, "an autoscaler sets the replicas")
    yield Part(found.name, found.place, template, workers=(count,))


def _cron_job(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    inner = at(spec, "jobTemplate", "spec")
    if inner is not None:
        yield from _deployment(found, inner, inputs)


def _pod(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    del spec, inputs
    yield Part(found.name, found.place, found.node, workers=())


def _group_variables(size: Node | None, place: Place, prefix: str) -> dict[str, Node | str]:
    return {
        f"{prefix}_GROUP_SIZE": size if size is not None and text(size) else scalar(place, "1"),
        f"{prefix}_WORKER_INDEX": scalar(place, "0"),
        f"{prefix}_LEADER_ADDRESS": RUNS,
    }


def _leader_worker(lws: Node, place: Place) -> tuple[Node, Node | None, Count, dict[str, Node | str]] | None:
    """Return leader's and worker's template, the nodes of a worker, and the variables of a leaderWorkerTemplate."""
    size = lws.get("size")
    worker, leader = lws.get("workerTemplate"), lws.get("leaderTemplate")
    first = leader if leader is not None and not is_null(leader) else worker
    if first is None:
        return None
    variables = _group_variables(size, place if size is None else size.place, "LWS")
    return first, worker if first is leader else None, Count(size, 1), variables


def _leader_worker_set(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    lws = spec.get("leaderWorkerTemplate")
    read = None if lws is None else _leader_worker(lws, found.place)
    if read is None:
        return
    template, worker, nodes, variables = read
    workers = Count(spec.get("replicas"), 1)
    if inputs.scaled(found) is not None:
        workers = Count(None, None, "an autoscaler sets the replicas")
    yield Part(found.name, found.place, template, worker, workers=(workers,), nodes=(nodes,), variables=variables)


def _disaggregated_set(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    slices = Count(spec.get("slices"), 1)
    for role in items(spec.get("roles")):
        name = role.get("name")
        inner = role.get("spec") or role
        lws = inner.get("leaderWorkerTemplate")
        read = None if lws is None else _leader_worker(lws, _named_at(name, role.place))
        if read is None:
            continue
        template, worker, nodes, variables = read
        workers = Count(inner.get("replicas"), 1)
        external = text(at(role, "scaling", "mode")).lower() == "external"
        if external or inputs.scaled(found, text(name)) is not None:
            workers = Count(None, None, "an autoscaler sets the replicas")
        place = _named_at(name, role.place)
        yield Part(
            text(name), place, template, worker, name, None, (workers, slices), (nodes,), variables
        )  # fmt: skip


def _storm_service(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    sets = at(spec, "template", "spec")
    if sets is not None:
        yield from _role_set(found, sets, (Count(spec.get("replicas"), 1),), inputs)


def _role_set_alone(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    yield from _role_set(found, spec, (), inputs)


def _role_set(found: Object, spec: Node, factors: tuple[Count, ...], inputs: Inputs) -> Iterator[Part]:
    for role in items(spec.get("roles")):
        name, template = role.get("name"), role.get("template")
        if template is None:
            continue
        place = _named_at(name, role.place)
        size = role.get("podGroupSize")
        replicas = Count(role.get("replicas"), 1)
        if inputs.scaled(found, text(name)) is not None:
            replicas = Count(None, None, "an autoscaler sets the replicas")
        variables = {
            "STORM_SERVICE_NAME": scalar(found.place, found.name),
            "ROLE_NAME": scalar(place, text(name)),
            **_pod_set_variables(size, place),
        }
        yield Part(
            text(name), place, template, None, name, None, (replicas, *factors), (Count(size, 1),), variables
        )  # fmt: skip


def _pod_set_variables(size: Node | None, place: Place) -> dict[str, Node | str]:
    names = ("PODSET_NAME", "ROLE_REPLICA_INDEX", "ROLE_TEMPLATE_HASH", "ROLESET_NAME", "ROLESET_INDEX")
    return {
        **dict.fromkeys(names, RUNS),
        "POD_GROUP_INDEX": scalar(place, "0"),
        "POD_GROUP_SIZE": size if size is not None and text(size) else scalar(place, "1"),
    }


def _pod_set(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    del inputs
    template, size = spec.get("template"), spec.get("podGroupSize")
    if template is not None:
        variables = _pod_set_variables(size, found.place)
        yield Part(
            found.name, found.place, template, workers=(), nodes=(Count(size, 1),), variables=variables
        )  # fmt: skip


def _role_based_group(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    """Yield the roles of a RoleBasedGroup.

    v1alpha2 has patterns with a template or a reference to one; v1alpha1 has the template in the role, and the size
    of a group under ``leaderWorkerSet``.
    """
    outer: tuple[Count, ...] = ()
    if found.kind == "RoleBasedGroupSet":
        outer = (Count(spec.get("replicas"), 1),)
        spec = at(spec, "template", "spec") or spec.get("template") or spec
    shared = items(spec.get("roleTemplates"))
    for role in items(spec.get("roles")):
        name = role.get("name")
        place = _named_at(name, role.place)
        group = role.get("leaderWorkerPattern") or role.get("leaderWorkerSet")
        holder = role.get("leaderWorkerPattern") or role.get("standalonePattern") or role
        template = _role_template(holder, shared) or _role_template(role, shared)
        if template is None:
            yield from _custom_components(role, place)
            continue
        size = None if group is None else group.get("size")
        leader = template
        for key in ("leaderTemplatePatch", "patchLeaderTemplate"):
            change = None if group is None else group.get(key)
            leader = leader if change is None or change.kind != "mapping" else merged(leader, change)
        worker = None
        for key in ("workerTemplatePatch", "patchWorkerTemplate"):
            change = None if group is None else group.get(key)
            worker = worker if change is None or change.kind != "mapping" else merged(template, change)
        workers = Count(role.get("replicas"), 1)
        if inputs.scaled(found, text(name)) is not None:
            workers = Count(None, None, "an autoscaler sets the replicas")
        variables: dict[str, Node | str] = {
            "ROLE_NAME": scalar(place, text(name)), "GROUP_NAME": scalar(found.place, found.name), "ROLE_INDEX": RUNS,
        }  # fmt: skip
        if group is not None:
            variables |= _group_variables(size, place, "RBG_LWP") | _group_variables(size, place, "LWS")
        nodes = () if group is None else (Count(size, 1),)
        yield Part(text(name), place, leader, worker, name, None, (workers, *outer), nodes, variables)


def _role_template(holder: Node, shared: list[Node]) -> Node | None:
    own = holder.get("template")
    if own is not None and own.kind == "mapping":
        return own
    reference = holder.get("templateRef")
    if reference is None:
        return None
    base = named(shared, text(reference.get("name")) or text(reference))
    change = reference.get("patch") or holder.get("templatePatch")
    base_template = None if base is None else base.get("template")
    if base_template is None:
        return change
    return base_template if change is None or change.kind != "mapping" else merged(base_template, change)


def _custom_components(role: Node, place: Place) -> Iterator[Part]:
    for component in items(at(role, "customComponentsPattern", "components")) + items(role.get("components")):
        template = component.get("template")
        if template is not None:
            name = role.get("name")
            factors = (Count(role.get("replicas"), 1),)
            nodes = (Count(component.get("size"), 1),)
            yield Part(text(name), place, template, None, name, component.get("name"), factors, nodes)


def _model_serving(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    """Yield the roles of kthena's ModelServing: an entry pod and ``workerReplicas`` more of another template."""
    for role in items(at(spec, "template", "roles")):
        name, template = role.get("name"), role.get("entryTemplate")
        if template is None:
            continue
        place = _named_at(name, role.place)
        more = role.get("workerReplicas")
        workers: tuple[Count, ...] = (Count(role.get("replicas"), 1), Count(spec.get("replicas"), 1))
        if inputs.scaled(found, text(name)) is not None:
            workers = (Count(None, None, "an autoscaler sets the replicas"),)
        size = one_more(more, 0)
        variables: dict[str, Node | str] = {
            "ENTRY_ADDRESS": RUNS,
            "WORKER_INDEX": scalar(place, "0"),
            "GROUP_SIZE": scalar(place if more is None else more.place, str(size.default)),
        }
        yield Part(text(name), place, template, role.get("workerTemplate"), name, None, workers, (size,), variables)


def one_more(more: Node | None, otherwise: int) -> Count:
    """Return the nodes of a worker with one leading node and ``more`` others."""
    from hetpd_cli.sources.kubernetes.nodes import integer

    number = otherwise if more is None or is_null(more) else integer(more)
    if number is None:
        return Count(None, None, "the number of further nodes is not known")
    return Count(None if more is None else scalar(more.place, str(number + 1)), number + 1)


def _ome(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    from hetpd_cli.sources.kubernetes.ome import service_parts

    yield from service_parts(found, spec, inputs)


def _dynamo(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    from hetpd_cli.sources.kubernetes.dynamo import graph_parts

    yield from graph_parts(found, spec, inputs)


def _kserve(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    from hetpd_cli.sources.kubernetes.kserve import service_parts

    yield from service_parts(found, spec, inputs)


def _unknown_kind(found: Object, spec: Node) -> Iterator[Part]:
    """Yield pod templates of a kind that nobody knows: those under a name that says prefill or decode."""
    from hetpd_cli.sources.kubernetes.roles import role_of_name

    stack: list[tuple[Node, str, Place, Node | None]] = [(spec, found.name, found.place, None)]
    while stack:
        node, name, place, holder = stack.pop()
        containers = node.get("containers")
        if containers is not None and any(item.kind == "mapping" for item in items(containers)):
            if role_of_name(name) is not None:
                stated = None if holder is None else holder.get("replicas")
                count = Count(stated, None, "the replicas are not stated" if stated is None else "")
                metadata = None if holder is None else holder.get("metadata")
                yield Part(name, place, template_of(node, metadata), workers=(count,))
            continue
        below: list[tuple[Node, str, Place, Node | None]] = []
        for key, at_key, value in pairs(node):
            deeper = role_of_name(key) is not None
            closest = node if node.get("replicas") is not None or holder is None else holder
            below.append((value, key if deeper else name, at_key.place if deeper else place, closest))
        for item in items(node):
            own = item.get("name")
            deeper = role_of_name(text(own)) is not None
            own_place = own.place if own is not None and deeper else place
            below.append((item, text(own) if deeper else name, own_place, item))
        stack.extend(reversed(below))


_KINDS = {
    "Deployment": _deployment,
    "StatefulSet": _deployment,
    "DaemonSet": _deployment,
    "ReplicaSet": _deployment,
    "ReplicationController": _deployment,
    "Job": _deployment,
    "CronJob": _cron_job,
    "Pod": _pod,
    "LeaderWorkerSet": _leader_worker_set,
    "DisaggregatedSet": _disaggregated_set,
    "StormService": _storm_service,
    "RoleSet": _role_set_alone,
    "PodSet": _pod_set,
    "RoleBasedGroup": _role_based_group,
    "RoleBasedGroupSet": _role_based_group,
    "ModelServing": _model_serving,
    "ClusterServingRuntime": _ome,
    "ServingRuntime": _ome,
    "InferenceService": _ome,
    "DynamoGraphDeployment": _dynamo,
    "LLMInferenceService": _kserve,
    "LLMInferenceServiceConfig": _kserve,
}

_OWN_GROUPS = {
    "ClusterServingRuntime": ("ome.io",),
    "ServingRuntime": ("ome.io",),
    "InferenceService": ("ome.io",),
}


def is_workload(kind: str) -> bool:
    """Tell whether objects of a kind are known to run pods."""
    return kind in _KINDS
