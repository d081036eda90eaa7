"""vLLM's --kv-transfer-config: the connector, what it is told, and what its role says of the pool.

MultiConnector (vLLM) and PdConnector (Dynamo) hold other connectors: the one that moves KV between the pools is looked
for inside, and connectors that only keep KV elsewhere are passed over.

Source: vLLM 0.33 ``config/kv_transfer.py`` and ``kv_connector/v1``; vllm-ascend ``distributed/kv_transfer``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.deployment import DECODE, PREFILL, Stated
from hetpd_cli.facts.values import Unknown
from hetpd_cli.fields import resolve, schema_part
from hetpd_cli.sources.commands.json_values import (
    BOOLEAN,
    INTEGER,
    NULL,
    NUMBER,
    OBJECT,
    SUFFIXED,
    TAKES,
    TEXT,
    kind_of,
    switch_value,
)
from hetpd_cli.sources.commands.table import TRANSFER, TRANSFER_EXTRA
from hetpd_cli.sources.commands.words import UNRESOLVED_TAG

if TYPE_CHECKING:
    from hetpd_cli.sources.commands.context import Context
    from hetpd_cli.sources.commands.words import Value
    from hetpd_cli.sources.tree import Node

_READ_OTHERWISE = frozenset({"connectors", "read_mode", "mooncake_protocol"})
"""Keys of the extra configuration that more than one field comes of."""
_NO_NAME = re.compile(r"[^A-Za-z0-9_]")
ARGUMENT = "kv-transfer-config"
PLACEHOLDERS = ("$", "{{", "<", "`", "...")
"""What stands in JSON that somebody still has to fill in."""
EXTRA = "kv_connector_extra_config"
HOLDERS = ("MultiConnector", "PdConnector")
OF_HOLDER = ("engine_id", "kv_load_failure_policy", "kv_role")
"""Keys that are read from a holder; each connector that it holds reads all others from its own configuration."""
ROLES = {"kv_producer": PREFILL, "kv_consumer": DECODE}

ROLE_WORDS = ("kv_producer", "kv_consumer", "kv_both")
POLICY_WORDS = ("recompute", "fail")


class Takes(NamedTuple):
    """What a field takes: a kind of value, one of its words if there are any, null if it may be left out."""

    kind: str
    words: tuple[str, ...] = ()
    null: bool = False


FIELDS = {
    "kv_connector": Takes(TEXT, null=True),
    "engine_id": Takes(TEXT, null=True),
    "kv_buffer_device": Takes(TEXT),
    "kv_buffer_size": Takes(NUMBER),
    "kv_role": Takes(TEXT, ROLE_WORDS, null=True),
    "kv_rank": Takes(INTEGER, null=True),
    "kv_parallel_size": Takes(INTEGER),
    "kv_ip": Takes(TEXT),
    "kv_port": Takes(INTEGER),
    EXTRA: Takes(OBJECT),
    "kv_connector_module_path": Takes(TEXT, null=True),
    "enable_permute_local_kv": Takes(BOOLEAN),
    "kv_load_failure_policy": Takes(TEXT, POLICY_WORDS),
}
"""The fields of the class in vLLM 0.11 to 0.33; a release has those that the table of arguments names for it."""

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

PROTOCOL_KEYS = {"MooncakeConnector": "mooncake_protocol", "MoRIIOConnector": "backend"}
"""Class to the key of its extra configuration that names the protocol of the transport."""

_NIXL = ("NixlConnector", "NixlPullConnector", "NixlPushConnector")
_HYBRID = frozenset(
    {"NixlConnector", "NixlPullConnector", "NixlPushConnector", "MooncakeConnector", "OffloadingConnector"}
)
"""Classes that take KV of several groups wherever MultiConnector does (0.21 to 0.33)."""

_PORTS = 65_536
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
        json.loads(SUFFIXED.sub("1", value.source))
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
        if inner is not node:
            self._hybrid_manager(node)
        self._keys(node, TRANSFER if inner is node else {key: TRANSFER[key] for key in OF_HOLDER})
        holder = node.get("kv_connector")
        if holder is not None and holder.source in HOLDERS:
            self._held(node)
        if inner is not node:
            # What the loads do when they fail is read from the outer configuration only.
            own = {key: path for key, path in TRANSFER.items() if key not in {"kv_load_failure_policy", "kv_role"}}
            self._keys(inner, own)
        extra = inner.get(EXTRA)
        if extra is not None and extra.kind == "mapping":
            name = inner.get("kv_connector")
            self._extra(name.source if name is not None else "", extra)
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
        if name.kind == "scalar" and not is_open(name):
            settings.known("connector.class_name", source, name.place, source)

    def _hybrid_manager(self, node: Node) -> None:
        """State that the hybrid KV cache manager is unknown where one of several connectors may turn it off."""
        extra, path = node.get(EXTRA), "engine.hybrid_kv_manager"
        children = extra.get("connectors") if extra is not None else None
        names = [child.get("kv_connector") for child in children.items] if children is not None else []
        if path in self.settings.section.stated or all(one is not None and one.source in _HYBRID for one in names):
            return
        reason = "whether all that it holds take KV of several groups is not known"
        self.settings.known(path, Unknown(reason, (True, False)), node.place)

    def _keys(self, node: Node, paths: dict[str, str]) -> None:
        for key, path in paths.items():
            value = node.get(key)
            if value is not None:
                self._key(key, path, value)

    def _key(self, key: str, path: str, node: Node) -> None:
        """State a field of the class; what vLLM refuses is a fault of its own, and says nothing."""
        takes = FIELDS[key]
        if is_open(node):
            self.settings.decode(path, node, self._where(key), self.unresolved)
        elif kind_of(node) == NULL:
            return
        elif not TAKES[takes.kind](node):
            self.settings.unknown(path, node.place, f"{self._where(key)} is no such value")
        elif takes.kind == BOOLEAN:
            self.settings.known(path, switch_value(node), node.place, node.source)
        elif takes.kind == INTEGER:
            self.settings.known(path, _port(node), node.place, node.source)
        else:
            self.settings.decode(path, node, self._where(key), self.unresolved)

    def _extra(self, name: str, extra: Node) -> None:
        from hetpd_cli.sources.commands.transfer_extra import refusal, taken_as

        for key, path in TRANSFER_EXTRA.items():
            node = extra.get(key)
            if node is None:
                continue
            taken = None if is_open(node) else taken_as(name, key, node)
            if taken is not None:
                self.settings.known(path, taken, node.place, node.source)
            elif not is_open(node) and refusal(name, extra, key, node):
                self.settings.unknown(path, node.place, f"{name} cannot work with it")
            else:
                self.settings.decode(path, node, self._where(key), self.unresolved)
        self._of_class(name, extra)
        self._free(extra)

    def _of_class(self, name: str, extra: Node) -> None:
        """State what only the keys of one class say."""
        from hetpd_cli.sources.commands.transfer_extra import taken_as

        reads = extra.get("read_mode")
        taken = None if reads is None or is_open(reads) else taken_as(name, "read_mode", reads)
        if reads is not None and taken is not None:
            self.settings.known("connector.mode", "pull" if taken else "push", reads.place, reads.source)
        key = PROTOCOL_KEYS.get(name)
        protocol = extra.get(key) if key else None
        if key and protocol is not None:
            self.settings.decode("connector.protocol", protocol, self._where(key), self.unresolved)

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


def is_open(node: Node) -> bool:
    """Tell whether a value has still to be filled in by somebody."""
    if node.tag == UNRESOLVED_TAG or any(mark in node.source for mark in PLACEHOLDERS):
        return True
    return any(is_open(item) for item in node.items)


def _port(node: Node) -> int | Unknown:
    """Return a port that is written in any way that vLLM takes."""
    try:
        number = int(float(node.source))
    except (ValueError, OverflowError):
        number = 0
    return number if 0 < number < _PORTS else Unknown(f"{node.source} is no port")


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
