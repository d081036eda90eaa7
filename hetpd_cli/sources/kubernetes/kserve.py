"""KServe's LLMInferenceService: decode is the service itself, prefill what stands under ``spec.prefill``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.sources.kubernetes.nodes import at, entry, integer, items, mapping, merged, pairs, scalar, text
from hetpd_cli.sources.kubernetes.workloads import RUNS, Count, Part, template_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.places import Place
    from hetpd_cli.sources.kubernetes.objects import Inputs, Object
    from hetpd_cli.sources.tree import Node


def service_parts(found: Object, spec: Node, inputs: Inputs) -> Iterator[Part]:
    """Yield decode and prefill, the configurations of ``baseRefs`` laid below where they are in the input."""
    whole, missing = with_bases(spec, inputs)
    prefill = whole.get("prefill")
    incomplete = f"baseRefs names {missing}, which is not among the inputs" if missing else ""
    if prefill is None or prefill.kind != "mapping":
        if found.kind == "LLMInferenceService":
            yield _part(found.name, found.place, whole, None, whole, incomplete, found)
        return
    if found.kind == "LLMInferenceService" or whole.get("template") is not None:
        role = scalar(found.place, "decode")
        yield _part(found.name, found.place, whole, role, whole, incomplete, found)
    named_by = spec.entry("prefill") or whole.entry("prefill")
    place = prefill.place if named_by is None else named_by.key.place
    yield _part("prefill", place, prefill, scalar(place, "prefill"), whole, incomplete, found)


def with_bases(spec: Node, inputs: Inputs) -> tuple[Node, str]:
    """Return ``spec`` laid over its bases, later ones over earlier ones, and the names of bases that are not here."""
    base: Node | None = None
    missing = []
    for reference in items(spec.get("baseRefs")):
        name = text(reference.get("name"))
        config = inputs.named("LLMInferenceServiceConfig", name)
        if config is None or config.spec is None:
            missing.append(name)
            continue
        base = config.spec if base is None else merged(base, config.spec)
    return (spec if base is None else merged(base, spec)), ", ".join(missing)


def _part(
    name: str, place: Place, holder: Node, role: Node | None, whole: Node, incomplete: str, found: Object
) -> Part:  # fmt: skip
    pod = holder.get("template")
    if pod is None or pod.kind != "mapping":
        pod = mapping(place, [])
    if not items(pod.get("containers")):
        main = mapping(place, [entry("name", scalar(place, "main"))])
        from hetpd_cli.sources.kubernetes.nodes import sequence, with_entries

        pod = with_entries(pod, {"containers": sequence(place, [main])})
    worker = holder.get("worker")
    parallel = holder.get("parallelism")
    metadata = mapping(place, [one for source in (holder, found.node.get("metadata"))
                               for one in ([] if source is None else source.entries)
                               if one.key.source in {"labels", "annotations"}])  # fmt: skip
    replicas = Count(holder.get("replicas"), 1)
    if holder.get("scaling") is not None:
        replicas = Count(None, None, "an autoscaler sets the replicas")
    variables: dict[str, Node | str] = {"LWS_LEADER_ADDRESS": RUNS, "LWS_WORKER_INDEX": scalar(place, "0")}
    nodes = _nodes(parallel, worker, place)
    variables["LWS_GROUP_SIZE"] = RUNS if nodes.node is None else nodes.node
    return Part(
        name, place, template_of(pod, metadata), None if worker is None else template_of(worker), role, None,
        (replicas,), (nodes,), variables, (), parallel if parallel is not None else mapping(place, []),
        whole.get("model"), incomplete,
    )  # fmt: skip


def _nodes(parallel: Node | None, worker: Node | None, place: Place) -> Count:
    """Return the nodes of a worker: ``data`` ranks, ``dataLocal`` of them on each; else the pipeline's stages."""
    data, local = at(parallel, "data"), at(parallel, "dataLocal")
    ranks, here = integer(data), integer(local)
    if data is not None and ranks is not None and here and ranks % here == 0:
        return Count(scalar(data.place, str(ranks // here)), ranks // here)
    stages = at(parallel, "pipeline")
    if worker is not None and stages is not None and integer(stages):
        return Count(stages, 1)
    if worker is not None:
        return Count(None, None, "the number of nodes is not stated")
    return Count(scalar(place, "1"), 1)


FLAGS = (
    ("tensor", "--tensor-parallel-size"),
    ("pipeline", "--pipeline-parallel-size"),
    ("data", "--data-parallel-size"),
    ("dataLocal", "--data-parallel-size-local"),
)
"""Arguments that KServe's own configuration makes of ``spec.parallelism``."""


def flags(parallel: Node) -> Iterator[tuple[str, Node, Node | None]]:
    """Yield flag, key and value of what ``parallelism`` states; a flag without a value has none."""
    known = dict(FLAGS)
    for name, key, value in pairs(parallel):
        if name in known and text(value):
            yield known[name], key, value
        elif name == "expert" and text(value).lower() == "true":
            yield "--enable-expert-parallel", key, None
