"""Command lines that a controller makes: KServe's, and the flag maps of Ray Serve and kthena's ModelBooster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hetpd_cli.deployment import Section, Stated
from hetpd_cli.facts.values import Unknown
from hetpd_cli.sources.embedded import Embedded, join
from hetpd_cli.sources.kubernetes.containers import environment
from hetpd_cli.sources.kubernetes.nodes import at, integer, is_null, items, mapping, pairs, text
from hetpd_cli.sources.launch import Launch, Member, Word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hetpd_cli.places import Place
    from hetpd_cli.sources.kubernetes.objects import Inputs, Object
    from hetpd_cli.sources.kubernetes.workloads import Part
    from hetpd_cli.sources.text import Limits
    from hetpd_cli.sources.tree import Node


def kserve_launch(part: Part, args: list[Word], env: Mapping[str, Word], inputs: Inputs) -> Launch:
    """Return the command that KServe's configurations make of a service without one.

    ``vllm serve`` of the model, ``spec.parallelism`` as arguments, then the words of ``VLLM_ADDITIONAL_ARGS``, then
    the container's own arguments. Source: KServe, config/llmisvcconfig.
    """
    from hetpd_cli.sources.kubernetes.kserve import flags

    words = [_word(inputs, "vllm", part.place), _word(inputs, "serve", part.place), *_model(part, inputs)]
    served = at(part.model, "name")
    if served is not None and text(served):
        words += [_word(inputs, "--served-model-name", served.place), Word(inputs.embedded(served), served.place)]
    if part.parallel is not None:
        for flag, key, value in flags(part.parallel):
            words.append(_word(inputs, flag, key.place))
            if value is not None:
                words.append(Word(inputs.embedded(value), value.place))
    incomplete = part.incomplete
    more = env.get("VLLM_ADDITIONAL_ARGS")
    if more is not None and more.unresolved:
        incomplete = incomplete or more.unresolved
    elif more is not None and more.value.strip():
        from hetpd_cli.sources.shell import commands

        script = join([inputs.put_in("vllm ", more.place), more.text])
        for launch in commands(script, env):
            words += launch.words[1:]
            incomplete = incomplete or launch.incomplete
            break
    return Launch((*words, *args), env, part.place, incomplete)


def _word(inputs: Inputs, characters: str, place: Place) -> Word:
    return Word(inputs.put_in(characters, place), place)


_HUGGING_FACE = "hf://"


def _model(part: Part, inputs: Inputs) -> list[Word]:
    uri = at(part.model, "uri")
    name = at(part.model, "name")
    if uri is not None and text(uri).startswith(_HUGGING_FACE):
        return [_without_scheme(uri, inputs)]
    chosen = name if name is not None and text(name) else uri
    return [] if chosen is None or not text(chosen) else [Word(inputs.embedded(chosen), chosen.place)]


def _without_scheme(uri: Node, inputs: Inputs) -> Word:
    whole = inputs.embedded(uri)
    start = len(_HUGGING_FACE) if whole.text.startswith(_HUGGING_FACE) else 0
    return Word(whole[start:], uri.place)


def flag_words(options: Node, inputs: Inputs) -> Iterator[Word]:
    """Yield the words of a command line that a map of flags stands for.

    ``tensor_parallel_size: 2`` is ``--tensor-parallel-size 2``, true a flag alone, false its negation, a mapping JSON.
    """
    for name, key, value in pairs(options):
        flag = "--" + name.replace("_", "-").lstrip("-")
        if is_null(value):
            continue
        if value.kind == "scalar" and isinstance(value.value, bool):
            yield _word(inputs, flag if value.value else "--no-" + flag[2:], key.place)
            continue
        yield _word(inputs, flag, key.place)
        if value.kind == "scalar" and not value.source:
            continue
        yield from _values(value, inputs)


def _values(value: Node, inputs: Inputs) -> Iterator[Word]:
    if value.kind == "scalar":
        yield Word(inputs.embedded(value), value.place)
    elif value.kind == "sequence" and all(item.kind == "scalar" for item in value.items):
        yield from (Word(inputs.embedded(item), item.place) for item in value.items)
    else:
        yield Word(as_json(value, inputs), value.place)


def as_json(node: Node, inputs: Inputs) -> Embedded:
    """Return a tree as JSON whose scalars stand where they are written."""
    if node.kind == "mapping":
        parts = [
            join([_quoted(key, inputs), inputs.put_in(": ", key.place), as_json(value, inputs)])
            for _, key, value in pairs(node)
        ]
        return _listed("{", parts, "}", node, inputs)
    if node.kind == "sequence":
        return _listed("[", [as_json(item, inputs) for item in node.items], "]", node, inputs)
    if isinstance(node.value, str):
        return _quoted(node, inputs)
    return inputs.put_in(json.dumps(node.value), node.place)


def _quoted(node: Node, inputs: Inputs) -> Embedded:
    whole = inputs.embedded(node) if node.source else Embedded("", [])
    if json.dumps(node.source, ensure_ascii=False) != f'"{node.source}"':
        return inputs.put_in(json.dumps(node.source), node.place)
    mark = inputs.put_in('"', node.place)
    return join([mark, whole, mark])


def _listed(opening: str, parts: list[Embedded], closing: str, node: Node, inputs: Inputs) -> Embedded:
    comma = inputs.put_in(", ", node.place)
    spaced = [piece for part in parts for piece in (comma, part)][1:]
    return join([inputs.put_in(opening, node.place), *spaced, inputs.put_in(closing, node.place)])


def booster_members(found: Object, inputs: Inputs) -> Iterator[Member]:
    """Yield the workers of a ModelBooster: flags from ``config``, the rest put in by kthena."""
    spec = found.spec
    for backend in [at(spec, "backend"), *items(at(spec, "backends"))]:
        if backend is None or backend.kind != "mapping":
            continue
        for worker in items(backend.get("workers")):
            kind = worker.get("type")
            if kind is not None and text(kind):
                yield _booster_member(worker, kind, backend, found, inputs)


def _booster_member(worker: Node, kind: Node, backend: Node, found: Object, inputs: Inputs) -> Member:
    from hetpd_cli.sources.kubernetes.members import Container, settings_of
    from hetpd_cli.sources.kubernetes.roles import role_of_field, stated_role
    from hetpd_cli.sources.kubernetes.workloads import Count, Part, template_of

    pod = mapping(worker.place, [one for one in worker.entries if one.key.source in {"affinity", "nodeSelector"}])
    factors = [Count(worker.get("replicas"), 1)]
    if backend.get("replicas") is not None:
        factors.append(Count(backend.get("replicas"), 1))
    elif text(backend.get("minReplicas")) == text(backend.get("maxReplicas")):
        factors.append(Count(backend.get("minReplicas"), 1))
    else:
        factors = [Count(None, None, "an autoscaler sets the replicas")]
    part = Part(
        text(kind), kind.place, template_of(pod), None, kind, None, tuple(factors), (Count(worker.get("pods"), 1),)
    )  # fmt: skip
    env = environment(worker, [one for one in (backend.get("env"),) if one is not None], {}, inputs, kind.place)
    words = list(_booster_words(worker, backend, inputs))
    incomplete = "kthena adds arguments of its own"
    launches = [Launch(tuple(words), env, kind.place, incomplete)] if words else []
    settings = settings_of(Container(worker, launches, {}, commanded=True), part, pod, inputs, patch=False)
    said = role_of_field(text(kind))
    role = None if said is None else stated_role(kind, said)
    return Member(text(kind), kind.place, role, "" if role is None else "field", settings, tuple(launches), {})


def _booster_words(worker: Node, backend: Node, inputs: Inputs) -> Iterator[Word]:
    kind = backend.get("type")
    place = worker.place if kind is None else kind.place
    sglang = "sglang" in text(kind).lower()
    program = ("python3", "-m", "sglang.launch_server") if sglang else ("vllm", "serve")
    yield from (_word(inputs, word, place) for word in program)
    model = backend.get("modelURI")
    if model is not None and text(model).startswith(_HUGGING_FACE):
        if sglang:
            yield _word(inputs, "--model-path", model.place)
        yield _without_scheme(model, inputs)
    config = worker.get("config")
    if config is not None:
        yield from flag_words(config, inputs)


class RayRead:
    """Ray Serve's configuration: applications whose arguments hold a prefill and a decode configuration."""

    def __init__(self, config: Node, inputs: Inputs) -> None:
        self.config = config
        self.inputs = inputs

    def groups(self) -> Iterator[tuple[str, Place, list[Member]]]:
        """Yield name, place and members of each application that has both roles, or one."""
        for application in items(self.config.get("applications")):
            args = application.get("args")
            members = [
                self._member(name, key, value)
                for name, key, value in pairs(args)
                if name in {"prefill_config", "decode_config"} and value.kind == "mapping"
            ]
            if members:
                name = application.get("name")
                place = application.place if name is None or not text(name) else name.place
                yield text(name), place, members

    def _member(self, name: str, key: Node, config: Node) -> Member:
        settings = Section("pool", key.place)
        kind = config.get("accelerator_type")
        if kind is not None and text(kind):
            from hetpd_cli.facts.machines import accelerator_of_name

            known = accelerator_of_name(text(kind).replace("_", "-"))
            settings.stated["accelerator"] = Stated(known or text(kind), kind.place, text(kind) if known else None)
        workers = _ray_workers(config.get("deployment_config"))
        if workers is not None:
            settings.stated["workers"] = workers
        role = "prefill" if name == "prefill_config" else "decode"
        launch = Launch(tuple(self._words(config, key.place)), self._env(config), key.place)
        return Member(role, key.place, Stated(role, key.place, name), "field", settings, (launch,), {})

    def _words(self, config: Node, place: Place) -> Iterator[Word]:
        inputs = self.inputs
        yield _word(inputs, "vllm", place)
        yield _word(inputs, "serve", place)
        name = at(config, "model_loading_config", "model_id")
        source = at(config, "model_loading_config", "model_source")
        model = source if source is not None and text(source) else name
        if model is not None and text(model):
            yield Word(inputs.embedded(model), model.place)
        if name is not None and text(name) and name is not model:
            yield _word(inputs, "--served-model-name", name.place)
            yield Word(inputs.embedded(name), name.place)
        options = config.get("engine_kwargs")
        if options is not None:
            yield from flag_words(options, inputs)

    def _env(self, config: Node) -> dict[str, Word]:
        listed = at(config, "runtime_env", "env_vars")
        return {
            name: Word(self.inputs.embedded(value), value.place)
            for name, _, value in pairs(listed)
            if value.kind == "scalar"
        }


def _ray_workers(deployment: Node | None) -> Stated | None:
    fixed = at(deployment, "num_replicas")
    if fixed is not None:
        number = integer(fixed)
        return Stated(number or Unknown("the number of replicas is left to Ray"), fixed.place)
    lowest, most = (
        at(deployment, "autoscaling_config", "min_replicas"),
        at(deployment, "autoscaling_config", "max_replicas"),
    )
    if lowest is None and most is None:
        return None
    if lowest is not None and most is not None and integer(lowest) == integer(most) and integer(lowest):
        return Stated(integer(lowest) or 1, lowest.place)
    place = (lowest or most or deployment).place if (lowest or most or deployment) is not None else None  # type: ignore[union-attr]
    return Stated(Unknown("an autoscaler sets the replicas"), place)


def ray_config(node: Node, inputs: Inputs, limits: Limits) -> Node | None:
    """Return the Serve configuration within a RayService, which is YAML in a string; None if it cannot be read."""
    from hetpd_cli.sources.tree import parse

    held = at(node, "spec", "serveConfigV2")
    if held is None or held.kind != "scalar" or not text(held).strip():
        return held if held is not None and held.kind == "mapping" else None
    tree = parse(inputs.embedded(held), limits, collect_ambiguous=False)
    return tree.documents[0] if tree.documents else None
