"""vLLM's --kv-transfer-config: the connector, what it is told, and what its role says of the pool.

MultiConnector (vLLM) and PdConnector (Dynamo) hold other connectors: the one that moves KV between the pools is looked
for inside, and connectors that only keep KV elsewhere are passed over.

Source: vLLM 0.33 ``config/kv_transfer.py`` and ``kv_connector/v1``; vllm-ascend ``distributed/kv_transfer``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from hetpd_cli.deployment import DECODE, PREFILL, Stated
from hetpd_cli.facts.values import Unknown
from hetpd_cli.fields import resolve, schema_part
from hetpd_cli.sources.commands.table import TRANSFER, TRANSFER_EXTRA

if TYPE_CHECKING:
    from hetpd_cli.sources.commands.context import Context
    from hetpd_cli.sources.commands.words import Value
    from hetpd_cli.sources.tree import Node

_READ_OTHERWISE = frozenset({"connectors", "read_mode"})
"""Keys of the extra configuration that more than one field comes of."""
_NO_NAME = re.compile(r"[^A-Za-z0-9_]")
ARGUMENT = "kv-transfer-config"
PLACEHOLDERS = ("$", "{{", "<", "`", "...")
"""What stands in JSON that somebody still has to fill in."""
EXTRA = "kv_connector_extra_config"
HOLDERS = ("MultiConnector", "PdConnector")
ROLES = {"kv_producer": PREFILL, "kv_consumer": DECODE}

OTHER_CLASSES = {
    "MooncakeConnectorV1": "mooncake",
    "MooncakeHybridConnector": "mooncake",
    "MooncakeLayerwiseConnector": "mooncake",
    "MooncakeConnectorStoreV1": "mooncake-store",
    "AscendStoreConnector": "mooncake-store",
    "LMCacheAscendConnector": "lmcache",
    "SimpleCPUOffloadConnector": "offloading",
    "DynamoConnector": "offloading",
}
"""Classes that are in no release of vLLM itself, or that have no short name of their own, with what they are."""

ASCEND_CLASSES = frozenset(
    {
        "MooncakeConnectorV1",
        "MooncakeHybridConnector",
        "MooncakeLayerwiseConnector",
        "MooncakeConnectorStoreV1",
        "AscendStoreConnector",
        "LMCacheAscendConnector",
    }
)
"""Classes that vllm-ascend alone registers."""

MODES = {
    "NixlPushConnector": "push",
    "NixlPullConnector": "pull",
    "MooncakeConnectorV1": "pull",
    "MooncakeHybridConnector": "pull",
    "MooncakeLayerwiseConnector": "push",
}
"""Class to who moves the bytes, where the class says so."""

_NO_KV = frozenset({"ExampleHiddenStatesConnector"})
"""Classes that hand on something else than KV: their role is none of a pair."""

_MOVERS = frozenset({"nixl", "mooncake", "moriio", "p2p-nccl", "flagcx", "ascend"})


def read(context: Context) -> None:
    """State what --kv-transfer-config says."""
    found = context.value(ARGUMENT)
    if found is None:
        return
    given, value = found
    node = context.json(ARGUMENT)
    if node is None or _broken(value):
        reason = value.unresolved or f"{given.spelled} cannot be read"
        context.settings.unknown("connector.name", value.place, reason)
        context.settings.unknown("connector.role", value.place, reason)
        _meant_role(context, value)
        return
    _Reading(context, given.spelled, value.unresolved).outer(node[1])


def _broken(value: Value) -> bool:
    """Tell whether a value that begins like an object is none that the engine would read, whatever YAML makes of it."""
    if value.unresolved or value.text is None or not value.source.lstrip().startswith("{"):
        return False
    try:
        json.loads(value.source)
    except (RecursionError, ValueError):
        return not any(mark in value.source for mark in PLACEHOLDERS)
    return False


_MEANT = re.compile(r"kv_role\W{1,8}(kv_producer|kv_consumer)\b")


def _meant_role(context: Context, value: Value) -> None:
    """State the role that a broken configuration names, so that what is wrong with it is told at its boundary."""
    found = None if value.unresolved or value.text is None else _MEANT.search(value.source)
    if found is not None and value.text is not None:
        context.role = Stated(ROLES[found[1]], value.text.place(*found.span(1)), found[1])


class _Reading:
    """One --kv-transfer-config."""

    def __init__(self, context: Context, spelled: str, unresolved: str) -> None:
        self.settings = context.settings
        self.context = context
        self.spelled = spelled
        self.unresolved = unresolved

    def outer(self, node: Node) -> None:
        inner = inner_connector(node)
        self._class(inner)
        self._keys(node, TRANSFER)
        holder = node.get("kv_connector")
        if holder is not None and holder.source in HOLDERS:
            self._held(node)
        if inner is not node:
            # What the loads do when they fail is read from the outer configuration only, the rest from the inner one.
            own = {key: path for key, path in TRANSFER.items() if key not in {"kv_load_failure_policy", "kv_role"}}
            self._keys(inner, own)
        extra = inner.get(EXTRA)
        if extra is not None and extra.kind == "mapping":
            self._extra(extra)
        self._role(node)

    def _held(self, node: Node) -> None:
        """State which connectors a holder holds, and an engine id that one of them is given."""
        extra = node.get(EXTRA)
        children = extra.get("connectors") if extra is not None else None
        if children is None or children.kind != "sequence":
            return
        names = [child.get("kv_connector") for child in children.items if child.kind == "mapping"]
        if len(names) == len(children.items) and all(name is not None and name.source for name in names):
            held = tuple(name.source for name in names if name is not None)
            self.settings.known("connector.held.classes", held, children.place, children.source)
        ids = [child.get("engine_id") for child in children.items]
        given = next((one for one in ids if one is not None and one.kind == "scalar"), None)
        if given is not None:
            self._word("connector.held.engine_id", given, given.source)

    def _where(self, key: str) -> str:
        return f"{key} of {self.spelled}"

    def _class(self, node: Node) -> None:
        name = node.get("kv_connector")
        if name is None:
            return
        settings, source = self.settings, name.source
        part = schema_part("pool", "connector.name") or {}
        if name.kind != "scalar" or name.tag or source in resolve(part).get("enum", ()) or not source.isidentifier():
            settings.decode("connector.name", name, self._where("kv_connector"), self.unresolved)
        else:
            settings.known("connector.name", OTHER_CLASSES.get(source, "other"), name.place, source)
        if source in MODES:
            settings.known("connector.mode", MODES[source], name.place, source)

    def _keys(self, node: Node, paths: dict[str, str]) -> None:
        for key, path in paths.items():
            value = node.get(key)
            if value is not None:
                self.settings.decode(path, value, self._where(key), self.unresolved)

    def _extra(self, node: Node) -> None:
        self._keys(node, TRANSFER_EXTRA)
        self._free(node)
        backend = node.get("backend")
        if backend is not None and self.settings.text("connector.name") == "moriio":
            self.settings.decode("connector.protocol", backend, self._where("backend"), self.unresolved)
        reads = node.get("read_mode")
        if reads is not None and self.settings.text("connector.name") == "moriio":
            mode = "pull" if reads.source.lower() in {"true", "1"} else "push"
            self.settings.known("connector.mode", mode, reads.place, reads.source)

    def _free(self, node: Node, prefix: str = "") -> None:
        """State each key of the extra configuration that no other field has, by its name."""
        for entry in node.entries:
            key, value = entry.key.source, entry.value
            if not prefix and (key in TRANSFER_EXTRA or key in _READ_OTHERWISE):
                continue
            name = _NO_NAME.sub("_", f"{prefix}{key}")
            if value.kind == "mapping" and not prefix:
                self._free(value, f"{name}_")
            elif value.kind == "sequence" and all(item.kind == "scalar" for item in value.items):
                self._word(f"connector.extra.{name}", value, ",".join(item.source for item in value.items))
            elif value.kind == "scalar":
                self._word(f"connector.extra.{name}", value, value.source)

    def _word(self, path: str, value: Node, word: str) -> None:
        if "$" in word or "{{" in word:
            self.settings.unknown(path, value.place, self.unresolved or "not resolved")
        else:
            self.settings.known(path, word, value.place, value.source)

    def _role(self, node: Node) -> None:
        role = node.get("kv_role")
        name = node.get("kv_connector")
        if role is None or role.kind != "scalar" or (name is not None and name.source in _NO_KV):
            return
        if self.unresolved and "$" in role.source:
            self.context.role = Stated(Unknown(self.unresolved), role.place)
        elif role.source in ROLES:
            self.context.role = Stated(ROLES[role.source], role.place, role.source)


def inner_connector(node: Node) -> Node:
    """Return the configuration of the connector that moves KV between pools: ``node``, or one that it holds."""
    name = node.get("kv_connector")
    extra = node.get(EXTRA)
    children = extra.get("connectors") if extra is not None and name is not None and name.source in HOLDERS else None
    if children is None or children.kind != "sequence":
        return node
    inner = [inner_connector(child) for child in children.items if child.kind == "mapping"]
    movers = [child for child in inner if short_name(child) in _MOVERS]
    # Two that move KV are no pair that anybody has read: the holder's own name then says that there are several.
    if len(movers) == 1:
        return movers[0]
    return inner[0] if len(inner) == 1 else node


def short_name(node: Node) -> str | None:
    """Return the short name of the connector that ``node`` configures."""
    name = node.get("kv_connector")
    if name is None:
        return None
    aliases = resolve(schema_part("pool", "connector.name") or {}).get("x-aliases", {})
    found: str | None = OTHER_CLASSES.get(name.source) or aliases.get(name.source, name.source)
    return found
