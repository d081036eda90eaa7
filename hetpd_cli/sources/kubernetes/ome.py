"""OME's runtimes and services: the engine is prefill where there is a decoder, and a runner is a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.sources.kubernetes.nodes import at, entry, items, mapping, merged, scalar, sequence, text, with_entries
from hetpd_cli.sources.kubernetes.workloads import RUNS, Count, Part, one_more, template_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.sources.kubernetes.objects import Inputs, Object
    from hetpd_cli.sources.tree import Node

RUNTIMES = ("ClusterServingRuntime", "ServingRuntime")
_COMPONENTS = (("engine", "prefill"), ("decoder", "decode"), ("router", "router"))


def service_parts(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    """Yield engine, decoder and router; a service is laid over its runtime, which then is not read on its own."""
    if found.kind in RUNTIMES and _is_used(found, inputs):
        return
    base = runtime_of(found, inputs) if found.kind not in RUNTIMES else None
    both = any(_config(holder, "decoder") is not None for holder in (spec, base))
    for name, role in _COMPONENTS:
        own, below = _config(spec, name), _config(base, name)
        config = own if below is None else below if own is None else merged(below, own)
        named_by = _key(spec, name) or _key(base, name)
        if config is None or config.kind != "mapping" or named_by is None:
            continue
        part = _part(config, named_by, role if both or role == "router" else "aggregated")
        if part is not None:
            yield part


def runtime_of(found: Object, inputs: Inputs) -> Node | None:
    """Return the specification of the runtime that a service names, if it is in the input."""
    name = text(at(found.node, "spec", "runtime", "name"))
    runtime = next((one for one in inputs.of_kind(*RUNTIMES) if one.name == name and name), None)
    return None if runtime is None else runtime.spec


def _is_used(found: Object, inputs: Inputs) -> bool:
    services = inputs.of_kind("InferenceService")
    return any(text(at(one.node, "spec", "runtime", "name")) == found.name for one in services)


def _key(spec: Node | None, name: str) -> Node | None:
    held = None if spec is None else spec.entry(name) or spec.entry(f"{name}Config")
    return None if held is None else held.key


def _config(spec: Node | None, name: str) -> Node | None:
    return None if spec is None else spec.get(name) or spec.get(f"{name}Config")


def _part(config: Node, key: Node, role: str) -> Part | None:
    leader = config.get("leader")
    pod = _pod(leader or config)
    if pod is None:
        return None
    worker = config.get("worker")
    worker_pod = None if worker is None else _pod(worker)
    size = None if worker is None else worker.get("size")
    nodes = () if leader is None else (one_more(size, 0 if worker is None else 1),)
    place = key.place
    variables: dict[str, Node | str] = {"MODEL_PATH": _GIVEN, "PARALLELISM_SIZE": _GIVEN, "SERVED_MODEL_NAME": _GIVEN}
    if nodes:
        total = nodes[0].default
        variables |= {"LWS_LEADER_ADDRESS": RUNS, "LWS_WORKER_INDEX": scalar(place, "0"), "LWS_GROUP_SIZE": RUNS}
        if total is not None:
            variables["LWS_GROUP_SIZE"] = scalar(place if size is None else size.place, str(total))
    metadata = mapping(config.place, [
        entry(name, value) for name in ("labels", "annotations") if (value := config.get(name)) is not None
    ])  # fmt: skip
    beside = role == "router"
    says = scalar(place, role)
    return Part(
        key.source, place, template_of(pod, metadata), None if worker_pod is None else template_of(worker_pod),
        None if beside else says, says if beside else None,
        (between(config.get("minReplicas"), config.get("maxReplicas")),), nodes, variables,
    )  # fmt: skip


_GIVEN = "put in by OME"


def _pod(holder: Node) -> Node | None:
    """Return the pod of a ``runner``, a container among the fields of a pod."""
    runner = holder.get("runner")
    if runner is None or runner.kind != "mapping":
        return holder if holder.get("containers") is not None else None
    more = items(holder.get("containers"))
    return with_entries(holder, {"runner": None, "containers": sequence(runner.place, [runner, *more])})


def between(lowest: Node | None, most: Node | None) -> Count:
    """Return the workers of an autoscaled range: known only if both ends are the same."""
    if lowest is not None and most is not None and text(lowest) == text(most):
        return Count(lowest, None)
    if lowest is None and most is None:
        return Count(None, None, "the replicas are not stated")
    return Count(None, None, "an autoscaler sets the replicas")
