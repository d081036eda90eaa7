"""What a command of TensorRT-LLM says: its arguments, and its engine file, which says most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.deployment import DECODE, PREFILL
from hetpd_cli.facts.values import NONE
from hetpd_cli.sources.commands.table import TRTLLM_FILE
from hetpd_cli.sources.commands.words import structure

if TYPE_CHECKING:
    from hetpd_cli.sources.commands.context import Context
    from hetpd_cli.sources.tree import Node

_ROLES = {"CONTEXT": PREFILL, "GENERATION": DECODE}
_FILES = ("config", "extra-engine-args")
_OVERRIDES = "override-engine-args"
_KEYED = "trtllm"


def read(context: Context) -> None:
    """State what the arguments of TensorRT-LLM and its engine file say."""
    context.apply()
    if context.arguments.positionals and context.program.takes_model:
        context.settings.state("model.id", context.arguments.positionals[0], "the model")
    found = next((found for found in map(context.value, _FILES) if found is not None), None)
    if found is not None:
        node = context.file(found[1])
        if node is not None:
            _engine_file(context, node)
    for name in (_KEYED, _OVERRIDES):
        keyed = context.value(name)
        node = structure(keyed[1], context.limits) if keyed is not None else None
        if keyed is not None and node is not None and node.kind == "mapping":
            state_file(context, node, keyed[1].unresolved)
        elif keyed is not None:
            context.incomplete = context.incomplete or keyed[1].unresolved or f"{keyed[0].spelled} cannot be read"
    _role(context)


def _engine_file(context: Context, node: Node) -> None:
    """State what the engine file says.

    In Dynamo it goes before the arguments. trtllm-serve has changed its mind between releases: where the two differ,
    what is in force is not known.
    """
    before = dict(context.settings.section.stated)
    state_file(context, node)
    stated = context.settings.section.stated
    if context.program.wrapper:
        return
    for path, value in before.items():
        if stated[path].place != value.place and stated[path].value != value.value:
            place = stated[path].place or context.program.place
            context.settings.unknown(path, place, "the command and its engine file say different things")


def state_file(context: Context, node: Node, unresolved: str = "") -> None:
    """State what an engine file says."""
    for key, path in TRTLLM_FILE.items():
        found = at(node, key)
        if found is not None:
            context.settings.decode(path, found, key, unresolved)
    transceiver = node.get("cache_transceiver_config")
    if transceiver is not None and transceiver.kind == "mapping":
        _transceiver(context, transceiver, unresolved)


def _transceiver(context: Context, node: Node, unresolved: str) -> None:
    backend = node.get("backend")
    if backend is not None and backend.kind == "scalar" and backend.value is None and not backend.tag:
        context.settings.known("connector.name", NONE, backend.place, backend.source or None)
        return
    place = backend.place if backend is not None else node.entries[0].key.place if node.entries else node.place
    context.settings.known("connector.name", "trtllm-transceiver", place, backend.source if backend else None)
    if backend is None:
        return
    if backend.source.upper() == "DEFAULT":
        context.settings.known("connector.backends", ("DEFAULT",), backend.place, backend.source)
    else:
        context.settings.decode("connector.backends", backend, "backend of cache_transceiver_config", unresolved)


def _role(context: Context) -> None:
    found = context.value("server-role")
    if found is not None:
        context.take_mode(found[1], _ROLES, found[1].source.upper())


def at(node: Node, path: str) -> Node | None:
    """Return what stands at a dotted path of mappings."""
    found: Node | None = node
    for key in path.split("."):
        found = found.get(key) if found is not None and found.kind == "mapping" else None
    return found
