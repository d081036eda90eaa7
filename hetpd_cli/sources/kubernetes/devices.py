"""Resource names, claims and node labels: which devices a pod gets, how many, and whether RDMA is among them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.deployment import Stated
from hetpd_cli.facts.machines import accelerator_of_name
from hetpd_cli.facts.values import Unknown
from hetpd_cli.sources.kubernetes.nodes import at, integer, items, pairs, text
from hetpd_cli.tables import cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.places import Place
    from hetpd_cli.sources.kubernetes.objects import Inputs
    from hetpd_cli.sources.tree import Node


class Devices(NamedTuple):
    """Devices of one pod: their number, the scalar that states it, the name of the resource or class.

    ``unknown`` says why there is no number. ``named`` is where a claim names its class.
    """

    number: int | None
    place: Place
    resource: str
    vendor: str | None
    unknown: str = "the number of devices is not stated"
    named: Place | None = None


_RESOURCES = (
    (r"nvidia\.com/(?:gpu(?:\.shared)?|mig-.+|[A-Z].+|pgpu)", "NVIDIA"),
    (r"amd\.com/gpu", "AMD"),
    (r"habana\.ai/gaudi", "Intel"),
    (r"gpu\.intel\.com/(?:i915|xe)", "Intel"),
    (r"google\.com/tpu", "Google"),
    (r"huawei\.com/(?i:ascend).*", "Huawei"),
    (r"aws\.amazon\.com/neuron(?:core|device)?", "AWS"),
    (r"cambricon\.com/mlu.*", "Cambricon"),
    (r"metax-tech\.com/gpu", "MetaX"),
    (r"hygon\.com/dcu.*", "Hygon"),
    (r"kunlunxin\.com/xpu", "Kunlunxin"),
    (r"iluvatar\.(?:ai|com)/.*gpu", "Iluvatar"),
    (r"mthreads\.com/gpu", "Moore Threads"),
    (r"qualcomm\.com/qaic", "Qualcomm"),
)
"""Extended resources that stand for whole devices, with the vendor's name as the accelerator table has it."""

_CLASSES = (
    (r"(?:gpu|mig)\.nvidia\.com", "NVIDIA"),
    (r"gpu\.amd\.com", "AMD"),
    (r"(?:gpu|gaudi)\.intel\.com", "Intel"),
    (r"tpu\.google\.com", "Google"),
    (r"neuron.*\.(?:aws|amazonaws)\.com", "AWS"),
)
"""Device classes of dynamic resource allocation."""

_RDMA_RESOURCE = re.compile(r"(?i)(?:^rdma/|/efa$|/rdma|/hca|infiniband|/roce|/ib\b)")
_RDMA_CLASS = re.compile(r"(?i)rdma|roce|efa|infiniband|dranet")
_RDMA_ANNOTATION = re.compile(r"(?i)rdma|roce|infiniband|\bib\d|hostdev|sriov")
_RDMA_ANNOTATIONS = re.compile(
    r"^(?:k8s\.v1\.cni\.cncf\.io/networks|k8s\.volcengine\.com/pod-networks|networking\.gke\.io/interfaces|rdma\.ome\.io/.+)$"
)

_PRODUCT_LABELS = re.compile(
    r"^(?:nvidia\.com/gpu\.product|amd\.com/gpu\.product-name|gpu\.nvidia\.com/(?:model|class)|"
    r"(?:gpu|habana)\.intel\.com/product|.*gpu-(?:type|model|product|name|card-model).*|(?:.*/)?accelerator(?:-type)?|"
    r".*gke-accelerator|.*gke-tpu-accelerator|.*instance-gpu-name|.*nvidia_name)$"
)
_INSTANCE_LABELS = re.compile(r"^(?:.*/)?(?:instance-type|instance-family|machine-family)$")


def devices(container: Node, pod: Node, inputs: Inputs) -> Devices | None:
    """Return the devices that a container asks for, by extended resource or by claim."""
    for key in ("limits", "requests"):
        for name, _, value in pairs(at(container, "resources", key)):
            vendor = next((maker for pattern, maker in _RESOURCES if re.fullmatch(pattern, name)), None)
            number = integer(value)
            if vendor is not None and number != 0:
                return _as_the_runtime_counts(Devices(number, value.place, name, vendor), pod)
    total: int | None = 0
    first: Devices | None = None
    for found in _claimed(container, pod, inputs):
        first = first or found
        total = None if total is None or found.number is None else total + found.number
    return None if first is None else _as_the_runtime_counts(first._replace(number=total), pod)


_NEURON_CORES = "aws.amazon.com/neuroncore"


def _as_the_runtime_counts(asked: Devices, pod: Node) -> Devices:
    """Return ``asked`` with the devices of the runtime in place of the chips of the cluster.

    A TPU chip is one device or two, by its generation. An AWS chip has several cores, of which the runtime may join
    some to one (AWS Neuron, logical NeuronCores).
    """
    if asked.vendor == "AWS" and asked.resource != _NEURON_CORES:
        return asked._replace(number=None, unknown=f"how many devices one {asked.resource} is depends on its cores")
    if asked.vendor != "Google":
        return asked
    kind = _of_node(pod)
    named = kind.value if kind is not None and isinstance(kind.value, str) else ""
    found = cell("accelerators", named, "devices_per_card")
    each = None if found is None else found.value
    if not isinstance(each, int):
        return asked._replace(number=None, unknown="how many devices a TPU chip is depends on its generation")
    return asked._replace(number=None if asked.number is None else asked.number * each)


class Request(NamedTuple):
    """A request of a ResourceClaimTemplate: its class, the number of devices, the request itself."""

    device_class: str
    number: Node | None
    node: Node
    claim: Node


def requests(container: Node, pod: Node, inputs: Inputs) -> Iterator[Request]:
    """Yield what a container asks for by dynamic resource allocation, as far as the templates are in the input."""
    claims = {text(claim.get("name")): claim for claim in items(pod.get("resourceClaims"))}
    for claim in items(at(container, "resources", "claims")):
        own = claims.get(text(claim.get("name")))
        reference = None if own is None else own.get("resourceClaimTemplateName")
        template = None if reference is None else inputs.named("ResourceClaimTemplate", text(reference))
        if template is None or reference is None:
            continue
        for request in items(at(template.node, "spec", "spec", "devices", "requests")):
            exact = request.get("exactly") or request
            wanted = text(claim.get("request"))
            if not wanted or wanted == text(request.get("name")):
                yield Request(text(exact.get("deviceClassName")), exact.get("count"), exact, reference)


def _claimed(container: Node, pod: Node, inputs: Inputs) -> Iterator[Devices]:
    for request in requests(container, pod, inputs):
        vendor = next((maker for pattern, maker in _CLASSES if re.fullmatch(pattern, request.device_class)), None)
        if vendor is None:
            continue
        everything = text(request.node.get("allocationMode")) == "All"
        number = None if everything else 1 if request.number is None else integer(request.number)
        place = request.claim.place if request.number is None else request.number.place
        named = request.node.get("deviceClassName")
        found = Devices(number, place, request.device_class, vendor)
        yield found._replace(named=None if named is None else named.place)


def accelerator(container: Node, pod: Node, inputs: Inputs) -> Stated | None:
    """Return the accelerator that node labels, a claim's selector or the resource's own name determine."""
    by_node = _of_node(pod)
    if by_node is not None:
        return by_node
    for request in requests(container, pod, inputs):
        value = _of_selectors(request)
        if value is not None:
            return value
    asked = devices(container, pod, inputs)
    name = None if asked is None else accelerator_of_name(asked.resource)
    return None if name is None or asked is None else Stated(name, key_place(container, asked), asked.resource)


def _of_node(pod: Node) -> Stated | None:
    """Return the accelerator that the labels of the pod's nodes determine."""
    required = at(pod, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    alternatives = [_expressions(term) for term in items(at(required, "nodeSelectorTerms"))]
    selected = dict(_selected(pod.get("nodeSelector")))
    found = [value for value in (_of_labels(selected), _of_alternatives(alternatives)) if value is not None]
    return next((value for value in found if not isinstance(value.value, Unknown)), found[0] if found else None)


def key_place(container: Node, asked: Devices) -> Place:
    """Return where the resource or class is named that a container asks for."""
    for key in ("limits", "requests"):
        for name, at_key, _ in pairs(at(container, "resources", key)):
            if name == asked.resource:
                return at_key.place
    return asked.named or asked.place


def _selected(selector: Node | None) -> Iterator[tuple[str, list[Node]]]:
    for name, _, value in pairs(selector):
        yield name, [value]


def _expressions(term: Node) -> dict[str, list[Node]]:
    return {
        text(expression.get("key")): items(expression.get("values"))
        for expression in items(term.get("matchExpressions"))
        if text(expression.get("operator")) == "In"
    }


def _of_labels(selected: dict[str, list[Node]]) -> Stated | None:
    """Return the accelerator of labels that all hold; a product's name goes before a machine type."""
    for pattern in (_PRODUCT_LABELS, _INSTANCE_LABELS):
        for name, values in selected.items():
            if pattern.match(name) and values:
                stated = _of_values(values, exact=name == "nvidia.com/gpu.product")
                if stated is not None:
                    return stated
    return None


def _of_values(values: list[Node], *, exact: bool) -> Stated | None:
    ids = [accelerator_of_name(text(value)) for value in values]
    if len({*ids}) == 1 and ids[0] is not None:
        return Stated(ids[0], values[0].place, text(values[0]))
    if len(values) == 1:
        return Stated(text(values[0]), values[0].place) if exact and text(values[0]) else None
    known = tuple(dict.fromkeys(one for one in ids if one is not None))
    if not known:
        return None
    complete = known if None not in ids else None
    return Stated(Unknown("several kinds of node are allowed", complete), values[0].place)


def _of_alternatives(alternatives: list[dict[str, list[Node]]]) -> Stated | None:
    """Return the accelerator of node selector terms, of which any may hold."""
    found = [_of_labels(term) for term in alternatives]
    stated = [one for one in found if one is not None]
    if not stated:
        return None
    values = {one.value for one in stated if not isinstance(one.value, Unknown)}
    if len(stated) == len(found) and len(values) == 1 and not any(isinstance(one.value, Unknown) for one in stated):
        return stated[0]
    if len(found) == 1:
        return stated[0]
    return Stated(Unknown("several kinds of node are allowed"), stated[0].place)


_LONGEST_EXPRESSION = 2_000
_PRODUCT_NAME = re.compile(r"productName\s*==\s*(['\"])(.+?)\1")


def _of_selectors(request: Request) -> Stated | None:
    for selector in items(request.node.get("selectors")):
        expression = at(selector, "cel", "expression")
        product = _PRODUCT_NAME.search(text(expression)[:_LONGEST_EXPRESSION])
        name = None if product is None else accelerator_of_name(product[2])
        if name is not None and expression is not None and product is not None:
            return Stated(name, expression.place, product[2])
    return None


def rdma(container: Node, pod: Node, metadata: Node | None, inputs: Inputs) -> Place | None:
    """Return where a pod is given an RDMA device: a resource, a claim, or a network attached by an annotation."""
    for key in ("limits", "requests"):
        for name, at_key, value in pairs(at(container, "resources", key)):
            if _RDMA_RESOURCE.search(name) and text(value) not in {"", "0"}:
                return at_key.place
    for request in requests(container, pod, inputs):
        if _RDMA_CLASS.search(request.device_class):
            return request.claim.place
    for name, _, value in pairs(at(metadata, "annotations")):
        if _RDMA_ANNOTATIONS.match(name) and (_RDMA_ANNOTATION.search(text(value)) or name.startswith("rdma.")):
            return value.place
    return None
