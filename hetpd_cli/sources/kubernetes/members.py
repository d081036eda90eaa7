"""Pod templates to members: roles, numbers, devices, commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.deployment import Section, Stated
from hetpd_cli.facts.values import DEFAULT, Unknown
from hetpd_cli.sources.kubernetes import containers, devices
from hetpd_cli.sources.kubernetes.nodes import at, integer, is_null, items, mapping, text
from hetpd_cli.sources.kubernetes.objects import labels
from hetpd_cli.sources.kubernetes.roles import (
    is_beside,
    role_of_field,
    role_of_labels,
    role_of_name,
    stated_role,
)
from hetpd_cli.sources.launch import VISIBLE, Launch, Member, Word
from hetpd_cli.sources.several_nodes import in_all

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hetpd_cli.places import Place
    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.kubernetes.objects import Inputs, Object
    from hetpd_cli.sources.kubernetes.workloads import Count, Part
    from hetpd_cli.sources.tree import Node


class Container(NamedTuple):
    """A container with what it runs; ``commanded`` tells that its command line is written, or its image's."""

    node: Node
    launches: list[Launch]
    mounted: Mapping[str, Embedded]
    commanded: bool

    @property
    def is_engine(self) -> bool:
        """Whether one of its commands starts an engine."""
        return any(containers.is_engine(launch) for launch in self.launches)


class PartRead(NamedTuple):
    """What a part of a workload comes to: members, and commands of what stands beside them."""

    members: list[Member]
    others: list[Launch]


def read_part(part: Part, found: Object, inputs: Inputs, *, patch: bool) -> PartRead:
    """Return the members of a pod template: one, or one for each container that starts an engine."""
    pod = part.template.get("spec")
    if pod is None or pod.kind != "mapping":
        pod = mapping(part.place, [])
    read = [_container(node, pod, part, inputs) for node in items(pod.get("containers")) if node.kind == "mapping"]
    early = [_container(node, pod, part, inputs) for node in items(pod.get("initContainers")) if node.kind == "mapping"]
    role, by = _role(part, found)
    # A native sidecar: an early container that goes on running beside the others.
    read += [one for one in early if one.is_engine and text(one.node.get("restartPolicy")) == "Always"]
    engines = [one for one in read if one.is_engine]
    others = [launch for one in early if one not in read for launch in one.launches]
    if _is_beside(part, role, by, bool(engines)):
        return PartRead([], others + [launch for one in read for launch in one.launches])
    main = engines or _main(read, pod, inputs)
    idle = not engines and (not main or devices.devices(main[0].node, pod, inputs) is None)
    if idle and by in {"name", ""} and not (patch and role is not None):
        return PartRead([], others + [launch for one in read for launch in one.launches])
    others += [launch for one in read if one not in main for launch in one.launches]
    members = []
    for one in main:
        named_as = _named(one, part, role, by) if len(main) > 1 else (part.name, part.place, role, by)
        settings = settings_of(one, part, pod, inputs, patch=patch)
        if part.parallel is not None and not items(one.node.get("command")):
            # KServe: what the arguments here leave out, the cluster's own configuration may give.
            settings.stated["connector.name"] = Stated(Unknown(_BY_THE_CLUSTER), part.place)
        members.append(_member(one, named_as, settings, patch=patch)._replace(nodes=_nodes(part)))
    return PartRead(members, others)


def _nodes(part: Part) -> int:
    """Return how many machines a worker spans, one where that is not known."""
    nodes = number_of(part.nodes, part, patch=False)
    return nodes.value if nodes is not None and isinstance(nodes.value, int) else 1


def _is_beside(part: Part, role: Stated | None, by: str, runs_engine: bool) -> bool:
    """Tell whether a part is no pool: by its type, or by its name where it has no role or starts no engine."""
    kind = text(part.type)
    if kind and kind != text(part.role) and is_beside(kind):
        return True
    if kind and role is None and is_beside(kind):
        return True
    if role is None and not runs_engine:
        return True
    return is_beside(part.name) and (role is None or (by == "name" and not runs_engine))


def _main(read: list[Container], pod: Node, inputs: Inputs) -> list[Container]:
    """Return the container that is the engine's if none can be seen to start one."""
    with_devices = [one for one in read if devices.devices(one.node, pod, inputs) is not None]
    called = [one for one in read if text(one.node.get("name")) in _MAIN]
    return (with_devices or called or read)[:1]


_MAIN = frozenset({"main", "vllm", "sglang", "modelserver", "model-server", "engine", "prefill", "decode", "worker"})


def _role(part: Part, found: Object) -> tuple[Stated | None, str]:
    """Return the role of a part and what says it: a field, else a label, else a name."""
    said = role_of_field(text(part.role)) if part.role is not None and text(part.role) else None
    if said is not None and part.role is not None:
        return stated_role(part.role, said), "field"
    of_label = role_of_labels(labels(part.template.get("metadata") and part.template, found.node))
    if of_label is not None:
        return of_label, "label"
    name = role_of_name(part.name)
    return (None, "") if name is None else (Stated(name, part.place, part.name), "name")


def _container(node: Node, pod: Node, part: Part, inputs: Inputs) -> Container:
    env = containers.environment(node, part.env, part.variables, inputs, part.place)
    bound = env.get(_SIDE_CHANNEL_HOST)
    if bound is not None and bound.value in _EVERY_ADDRESS and any(map(_OF_AIBRIX.match, labels(part.template))):
        announced = inputs.put_in(f"$({_SIDE_CHANNEL_HOST})", bound.place)
        env[_SIDE_CHANNEL_HOST] = Word(announced, bound.place, _BY_THE_GATEWAY)
    mounted = containers.files(node, pod, inputs)
    command = containers.arguments(node, "command", env, inputs)
    args = containers.arguments(node, "args", env, inputs)
    if not command and part.parallel is not None and text(node.get("name")) == "main":
        from hetpd_cli.sources.kubernetes.serving import kserve_launch

        return Container(node, [kserve_launch(part, args, env, inputs)], mounted, commanded=True)
    words = command + args if command else containers.with_entrypoint(node, args, inputs, text(part.type))
    found = containers.launches(words, env, mounted, inputs)
    bare = any(containers.is_bare(launch) for launch in found)
    missing = part.incomplete or ("no arguments are given here" if bare else "")
    return Container(node, [_marked(launch, missing) for launch in found], mounted, bool(found) and not bare)


def _marked(launch: Launch, incomplete: str) -> Launch:
    return launch._replace(incomplete=launch.incomplete or incomplete) if incomplete else launch


_SIDE_CHANNEL_HOST = "VLLM_NIXL_SIDE_CHANNEL_HOST"
_EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 (nothing is bound here)
_OF_AIBRIX = re.compile(r"model\.aibrix\.ai/")
_BY_THE_GATEWAY = "AIBrix's gateway puts the pod's address in its place"
"""Source: AIBrix, pkg/plugins/gateway/algorithms/pd/transfer/shfs.go, remote_host."""

_BY_THE_CLUSTER = "an LLMInferenceServiceConfig of the cluster makes the command, and may give --kv-transfer-config"

Named = tuple[str, "Place", "Stated | None", str]
"""Name, its place, role and what says the role."""


def _named(one: Container, part: Part, role: Stated | None, by: str) -> Named:
    """Return name and role of one of several engines in a pod: its container's."""
    own = one.node.get("name")
    if own is None or not text(own):
        return part.name, part.place, role, by
    said = role_of_name(text(own))
    if said is not None and by != "field":
        return text(own), own.place, Stated(said, own.place, text(own)), "name"
    return text(own), own.place, role, by


def _member(one: Container, named_as: Named, settings: Section, *, patch: bool) -> Member:
    name, place, role, by = named_as
    found = sorted(one.launches, key=lambda launch: not containers.is_engine(launch))
    if patch and one.node.get("command") is None:
        # Its arguments take the place of those of the base, but stay behind the command of the base.
        found = [_marked(launch, "the command stands in the base of this patch") for launch in found]
    return Member(name, place, role, by, settings, tuple(found), one.mounted, one.commanded or not patch)


def settings_of(one: Container, part: Part, pod: Node, inputs: Inputs, *, patch: bool) -> Section:
    """Return what a pod says of its pool beside the command: image, number, devices, networks."""
    section = Section("pool", part.place)
    image = one.node.get("image")
    if image is not None and text(image):
        why = containers.substituted(text(image))
        section.stated["engine.image"] = Stated(Unknown(why) if why else text(image), image.place)
    workers = number_of(part.workers, part, patch=patch)
    if workers is not None:
        section.stated["workers"] = workers
    _state_devices(section, one, part, pod, inputs)
    network = pod.get("hostNetwork")
    if network is not None and isinstance(network.value, bool):
        section.stated["host_network"] = Stated(network.value, network.place)
    elif not patch:
        section.stated["host_network"] = Stated(value=False, place=None, origin=DEFAULT, note="of Kubernetes")
    rdma = devices.rdma(one.node, pod, part.template.get("metadata"), inputs)
    if rdma is not None:
        section.stated["network.rdma"] = Stated(value=True, place=rdma)
    return section


def number_of(counts: tuple[Count, ...], part: Part, *, patch: bool) -> Stated | None:
    """Return the product of ``counts``, at the factor that makes the most of it; None if nothing is stated.

    What is left out is one by Kubernetes, but not in a patch, whose base may say more.
    """
    product, factors = 1, []
    for count in counts:
        if count.unknown:
            return Stated(Unknown(count.unknown), part.place if count.node is None else count.node.place)
        if count.node is None or is_null(count.node):
            if count.default is None or patch:
                return None
            product *= count.default
            continue
        number = integer(count.node)
        if not number:
            why = "it is scaled to none in this file" if number == 0 else f"{text(count.node)} is no number"
            return Stated(Unknown(why), count.node.place)
        product *= number
        factors.append((number, count.node))
    if not factors:
        return Stated(product, None, None, DEFAULT, "of Kubernetes")
    place = max(factors, key=lambda factor: factor[0])[1].place
    said = " x ".join(str(number) for number, _ in factors)
    return Stated(product, place, None if len(factors) == 1 else said)


def _state_devices(section: Section, one: Container, part: Part, pod: Node, inputs: Inputs) -> None:
    asked = devices.devices(one.node, pod, inputs)
    kind = devices.accelerator(one.node, pod, inputs)
    if kind is not None:
        section.stated["accelerator"] = kind
    if asked is None:
        return
    if asked.vendor is not None and kind is None:
        section.stated["accelerator.vendor"] = Stated(asked.vendor, asked.named, asked.resource)
    nodes = number_of(part.nodes, part, patch=False)
    each = asked.number
    if each is None:
        section.stated["devices_per_worker"] = Stated(Unknown(asked.unknown), asked.place)
    elif _are_shared(one):
        section.stated["devices_per_worker"] = Stated(Unknown("several engines share them"), asked.place)
    elif nodes is None or isinstance(nodes.value, Unknown):
        section.stated["devices_per_worker"] = Stated(Unknown("the number of nodes is not known"), asked.place)
    elif isinstance(nodes.value, int):
        total = each + (nodes.value - 1) * _on_others(part, inputs, each)
        written = None if nodes.value == 1 else f"{each} on each of {nodes.value} nodes"
        counted = Stated(total, asked.place, written)
        section.stated["devices_per_worker"] = counted if nodes.value > 1 else _with_other_pods(counted, one)


def _with_other_pods(counted: Stated, one: Container) -> Stated:
    """Return the devices of a worker whose pods are single ones, but may be nodes of one worker by their command."""
    for launch in one.launches:
        if containers.is_engine(launch):
            return in_all(counted, launch, "sglang" if any("sglang" in word.value for word in launch.words) else "")
    return counted


def _are_shared(one: Container) -> bool:
    """Tell whether a container starts several engines, each on devices of its own."""
    seen = set()
    for launch in one.launches:
        if containers.is_engine(launch):
            values = [word.value for word in launch.words]
            first = values[values.index("--base-gpu-id") + 1 :][:1] if "--base-gpu-id" in values else []
            seen.add((*first, *(launch.env[name].value for name in VISIBLE if name in launch.env)))
    return len(seen) > 1


def _on_others(part: Part, inputs: Inputs, otherwise: int) -> int:
    """Return the devices on each further node, by the template of those nodes if they have their own."""
    pod = at(part.worker, "spec")
    if pod is None:
        return otherwise
    for container in items(pod.get("containers")):
        asked = devices.devices(container, pod, inputs)
        if asked is not None and asked.number is not None:
            return asked.number
    return otherwise
