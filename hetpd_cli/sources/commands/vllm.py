"""What a command of vLLM says that needs more than decoding."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.deployment import Stated
from hetpd_cli.sources.commands import transfer_config
from hetpd_cli.sources.commands.context import given_by_file

if TYPE_CHECKING:
    from hetpd_cli.sources.commands.context import Context
    from hetpd_cli.sources.commands.words import Given, Value
    from hetpd_cli.sources.tree import Node

_WHOLE = re.compile(r"[0-9]{1,9}")
_SPECULATIVE = {
    "method": "speculative.method",
    "model": "speculative.draft_model",
    "num_speculative_tokens": "speculative.tokens",
    "revision": "speculative.revision",
    "parallel_drafting": "speculative.parallel_drafting",
    "kv_cache_dtype": "speculative.kv_dtype_word",
}

_RANKED_PORTS = {"nixl": "connector.side_channel.port", "mooncake": "connector.kv_port"}
"""Connector to the port to which it adds the data-parallel rank (Mooncake: that of vllm-ascend)."""


def read(context: Context) -> None:
    """State what the arguments of vLLM say."""
    _config_file(context)
    context.apply()
    if context.arguments.positionals and context.program.takes_model:
        context.settings.state("model.id", context.arguments.positionals[0], "the model")
    _data_parallel(context)
    _expert_parallel(context)
    _speculative(context)
    _attention(context)
    _scales(context)
    _rope(context)
    _adapters(context, "lora-modules")
    transfer_config.read(context)
    _own_rank(context)


def _config_file(context: Context) -> None:
    found = context.value("config")
    if found is not None:
        node = context.file(found[1])
        if node is not None:
            context.put_first(given_by_file(node, context.fields))


def _whole(context: Context, name: str) -> tuple[int, Given, Value] | None:
    """Return the whole number given to ``name``, if it is known."""
    found = context.value(name)
    if found is None or found[1].unresolved or _WHOLE.fullmatch(found[1].source) is None:
        return None
    return int(found[1].source), *found


def _data_parallel(context: Context) -> None:
    """State the data parallel size within one worker.

    --data-parallel-size counts the ranks of all nodes. A command with a local size runs that many of them, one with a
    rank of its own runs one, and over several nodes (--nnodes) each runs its share.
    """
    found = context.value("data-parallel-size")
    local = context.value("data-parallel-size-local")
    rank = context.arguments.last("data-parallel-rank")
    settings = context.settings
    total = _whole(context, "data-parallel-size")
    if total is not None:
        context.ranks = Stated(total[0], total[2].place)
    if local is not None:
        if local[1].source == "0":
            settings.unknown("parallelism.dp", local[1].place, f"{local[0].spelled} 0 runs no rank here")
        else:
            settings.state("parallelism.dp", local[1], local[0].spelled)
    elif rank is not None and found is not None:
        settings.known("parallelism.dp", 1, rank.place, rank.spelled, "one rank a process")
    elif found is not None:
        nodes, ranks = _whole(context, "nnodes"), _whole(context, "data-parallel-size")
        share = ranks[0] // nodes[0] if nodes and ranks and nodes[0] else 0
        if nodes and ranks and nodes[0] > 1 and ranks[0] > 1:
            even = share > 0 and share * nodes[0] == ranks[0]
            if even:
                settings.known("parallelism.dp", share, found[1].place, found[1].source, "ranks divided by the nodes")
            else:
                settings.unknown("parallelism.dp", found[1].place, "the ranks do not divide among the nodes")
            return
        settings.state("parallelism.dp", found[1], found[0].spelled)


def _own_rank(context: Context) -> None:
    """Leave open where a process with a data-parallel rank of its own listens: connectors add the rank to the port."""
    rank = context.value("data-parallel-rank")
    if rank is None or rank[1].source == "0":
        return
    port = _RANKED_PORTS.get(context.settings.text("connector.name") or "")
    if port is not None:
        context.settings.unknown(port, rank[1].place, f"{rank[0].spelled} adds to the port")


def _expert_parallel(context: Context) -> None:
    """State the expert parallel size: with --enable-expert-parallel, TP times all data parallel ranks."""
    switch = context.arguments.last("enable-expert-parallel")
    if switch is None or switch.negated:
        return
    sizes = []
    for name in ("tensor-parallel-size", "data-parallel-size", "prefill-context-parallel-size"):
        found = _whole(context, name)
        if found is None and (context.value(name) is not None or context.incomplete):
            return
        sizes.append(found[0] if found else 1)
    context.settings.known("parallelism.ep", sizes[0] * sizes[1] * sizes[2], switch.place, switch.spelled)


def _speculative(context: Context) -> None:
    found = context.value("speculative-config")
    if found is None:
        return
    given, value = found
    node = context.json("speculative-config")
    if node is None:
        for path in _SPECULATIVE.values():
            context.settings.unknown(path, value.place, value.unresolved or f"{given.spelled} cannot be read")
        return
    for key, path in _SPECULATIVE.items():
        inner = node[1].get(key)
        if inner is not None:
            context.settings.decode(path, inner, f"{key} of {given.spelled}", value.unresolved)
    if node[1].get("method") is None and node[1].get("model") is not None:
        context.settings.unknown("speculative.method", value.place, "vLLM derives it from the draft model")


def _attention(context: Context) -> None:
    found = context.json("attention-config")
    inner = found[1].get("backend") if found is not None else None
    if found is not None and inner is not None:
        context.settings.decode("engine.attention_backend", inner, f"backend of {found[0].spelled}")


def _scales(context: Context) -> None:
    """State that the scales of a quantised KV come from the run (--calculate-kv-scales, before 0.28)."""
    switch = context.arguments.last("calculate-kv-scales")
    if switch is not None and not switch.negated:
        context.settings.known("kv.scales", "dynamic", switch.place, switch.spelled)


def _rope(context: Context) -> None:
    """State the RoPE scaling of --hf-overrides or --rope-scaling as ``type:factor``."""
    overrides = context.json("hf-overrides")
    scaling = context.json("rope-scaling")
    node: Node | None = scaling[1] if scaling else None
    if overrides is not None:
        node = overrides[1].get("rope_parameters") or overrides[1].get("rope_scaling") or node
    if node is None or node.kind != "mapping":
        return
    kind = node.get("rope_type") or node.get("type")
    factor = node.get("factor")
    if kind is None or kind.kind != "scalar" or "$" in kind.source:
        return
    number = factor.source if factor is not None and factor.kind == "scalar" else ""
    text = f"{kind.source}:{float(number)}" if _is_number(number) else kind.source
    context.settings.known("model.position.rope_scaling", text, node.place, kind.source)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _adapters(context: Context, argument: str) -> None:
    """State the names of LoRA adapters: ``name=path``, or an object with a name."""
    given = context.arguments.last(argument)
    if given is None or not given.values:
        return
    unresolved = next((value.unresolved for value in given.values if value.unresolved), "")
    if unresolved:
        context.settings.unknown("model.adapters", given.place, unresolved)
        return
    names = tuple(_adapter_name(context, value) for value in given.values)
    if all(names):
        context.settings.known("model.adapters", names, given.values[0].place, given.values[0].source)


def _adapter_name(context: Context, value: Value) -> str:
    from hetpd_cli.sources.commands.words import structure

    node = structure(value, context.limits) if value.source.startswith("{") else None
    if node is not None:
        name = node.get("name") or node.get("lora_name")
        return name.source if name is not None else ""
    return value.source.partition("=")[0]


adapters = _adapters
config_file = _config_file
