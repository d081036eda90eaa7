"""What vLLM refuses or ignores of a --kv-transfer-config.

The configuration is a class with fields of fixed kinds (``vllm/config/kv_transfer.py``); what the connector is told
beside them (``kv_connector_extra_config``) is looked up key by key and never compared with anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.sources.commands.faults import distance, exact_release, fault, misspelt_key
from hetpd_cli.sources.commands.json_values import NULL, TAKES, TEXT, WORDS, kind_of
from hetpd_cli.sources.commands.transfer_config import (
    ARGUMENT,
    EXTRA,
    FIELDS,
    HOLDERS,
    OTHER_CLASSES,
    PLACEHOLDERS,
    ROLE_WORDS,
    is_open,
)
from hetpd_cli.sources.commands.transfer_extra import extra_faults, shown
from hetpd_cli.tables import covers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.sources.commands.context import Context
    from hetpd_cli.sources.problems import Problem
    from hetpd_cli.sources.tree import Entry, Node

_FORBIDS = ">=0.16"
"""Releases that were seen to refuse keys that the class does not have (``config/utils.py``, 0.16 to 0.33)."""
_IGNORES = "<0.15"
"""Releases that were seen to take such keys and drop them (0.11 to 0.14)."""

_WITH_EXTRA = ("NixlConnector", "MooncakeConnector")
"""Connectors whose own keys are looked for at the wrong level."""
_PLUGINS = ("DynamoConnector", "PdConnector", "FlagCXConnector", "UMBPConnector")
"""Classes that no release registers and that are none the less no misspelling."""
_EMPTY_PATH = ">=0.20"
_EDITS = 2


def transfer_faults(context: Context) -> Iterator[Problem]:
    """Yield what is wrong with the --kv-transfer-config of a command."""
    found, value = context.json(ARGUMENT), context.value(ARGUMENT)
    if found is None or value is None:
        return
    given, node = found
    reading = _Reading(context, given.spelled, exact_release(context))
    text = value[1].text.text if value[1].text is not None else ""
    reading.whole = not value[1].unresolved and not any(mark in text for mark in PLACEHOLDERS)
    reading.whole = reading.whole and (value[1].text is not None or not context.incomplete)
    yield from reading.configuration(node)
    yield from _beside_connector(context, node)


def _beside_connector(context: Context, node: Node) -> Iterator[Problem]:
    """Yield the switch that no connector may stand beside."""
    name, switch = node.get("kv_connector"), context.arguments.last("use-replayssm")
    if name is not None and kind_of(name) == TEXT and switch is not None and not switch.negated:
        message = f"{switch.spelled} is given beside the connector {name.source}"
        yield fault("switch-beside-connector", message, switch.place, "with no connector", f"remove {switch.spelled}")


def _unlike_default(key: str, value: Node) -> bool:
    """Tell whether a key that a holder hands to nobody is set to something that would change a transfer."""
    word = value.source.strip().lower()
    return (key == "enable_permute_local_kv" and word == "true") or (key == "kv_buffer_device" and word == "cpu")


class _Reading:
    """One configuration and those that it holds. ``whole`` tells that nothing has still to be filled in."""

    def __init__(self, context: Context, spelled: str, release: str | None) -> None:
        self.context = context
        self.spelled = spelled
        self.release = release
        self.whole = True

    def configuration(self, node: Node, holder: str = "") -> Iterator[Problem]:
        """Yield the faults of one configuration, or of one that ``holder`` holds."""
        misspelt = False
        for entry in node.entries:
            if entry.key.kind == "scalar" and node.entry(entry.key.source) is entry:
                misspelt = misspelt or self._guess(entry.key.source) in {"kv_connector", "kv_role"}
                yield from self._key(entry)
                yield from self._wrong_level(node, entry, holder)
        if not misspelt:
            yield from self._role(node, holder)
        yield from self._class(node)
        name, extra = node.get("kv_connector"), node.get(EXTRA)
        if extra is None or extra.kind != "mapping" or name is None or name.kind != "scalar":
            return
        if name.source in HOLDERS:
            children = extra.get("connectors")
            for child in children.items if children is not None else []:
                if child.kind == "mapping":
                    yield from self.configuration(child, name.source)
            return
        yield from extra_faults(name.source, extra, self.release)

    def _wrong_level(self, node: Node, entry: Entry, holder: str) -> Iterator[Problem]:
        """Yield a key that only the other one of a connector and its holder reads, where it is not the default."""
        key, name = entry.key.source, node.get("kv_connector")
        if is_open(entry.value):
            return
        if holder and key == "kv_load_failure_policy":
            message = f"{key} is given to a connector within {holder}, and read from {holder} alone"
            yield fault("ignored-transfer-key", message, entry.key.place, "not read here", f"give it to {holder}")
        elif name is not None and name.source in HOLDERS and _unlike_default(key, entry.value):
            message = (
                f"{key} is given to {name.source}, and read by the connectors within it from their own configuration"
            )
            yield fault("ignored-transfer-key", message, entry.key.place, "not read here", "give it to the one within")

    # -- keys and their values -------------------------------------------------------------------------------------

    def _key(self, entry: Entry) -> Iterator[Problem]:
        from hetpd_cli.tables.arguments import transfer_config_keys

        key = entry.key.source
        if "$" in key:
            return
        if key in transfer_config_keys(self.release):
            yield from self._value(entry)
            return
        if self.release is not None and covers(_IGNORES, self.release):
            yield from self._ignored(entry)
            return
        yield from self._unknown(entry)

    def _unknown(self, entry: Entry) -> Iterator[Problem]:
        from hetpd_cli.tables.arguments import extra_config_keys

        key, place = entry.key.source, entry.key.place
        guess = self._guess(key)
        if guess is not None:
            message = f"{key} is no key of {self.spelled}, did you mean {guess}?"
            yield fault("unknown-transfer-key", message, place, "no such key", f"write `{guess}`")
        elif any(key in (extra_config_keys(one) or ()) for one in _WITH_EXTRA):
            message = f"{key} is no key of {self.spelled}: it belongs into {EXTRA}"
            yield fault("unknown-transfer-key", message, place, "no key at this level", f"move it into {EXTRA}")
        elif self.release is not None and covers(_FORBIDS, self.release):
            message = f"{self.spelled} of vllm {self.release} has no key {key}"
            yield fault("unknown-transfer-key", message, place, "no such key", "remove the key")

    def _ignored(self, entry: Entry) -> Iterator[Problem]:
        """Yield a key that the release takes and drops, if it is one that something else has."""
        from hetpd_cli.tables.arguments import extra_config_keys, transfer_config_keys

        key = entry.key.source
        guess, elsewhere = self._guess(key), any(key in (extra_config_keys(one) or ()) for one in _WITH_EXTRA)
        if guess is None and not elsewhere and key not in transfer_config_keys(None):
            return
        fix = f"write `{guess}`" if guess else f"move it into {EXTRA}" if elsewhere else "remove the key"
        message = f"{self.spelled} of vllm {self.release} drops the key {key}, which it does not have"
        yield fault("ignored-transfer-key", message, entry.key.place, "never read", fix)

    @staticmethod
    def _guess(key: str) -> str | None:
        from hetpd_cli.tables.arguments import transfer_config_keys

        every = transfer_config_keys(None)
        return None if key in every else misspelt_key(key, every)

    def _value(self, entry: Entry) -> Iterator[Problem]:
        field, node, key = FIELDS.get(entry.key.source), entry.value, entry.key.source
        if field is None or is_open(node):
            return
        kind = kind_of(node)
        if kind == NULL and field.null:
            return
        if not TAKES[field.kind](node):
            message = f"{key} of {self.spelled} is {shown(node)}, and vLLM takes {WORDS[field.kind]}"
        elif field.words and node.source not in field.words:
            message = f"{key} of {self.spelled} is {node.source}, and vLLM takes {' or '.join(field.words)}"
        else:
            return
        yield fault("refused-transfer-value", message, node.place, "refused at start")

    # -- the connector and its role --------------------------------------------------------------------------------

    def _role(self, node: Node, holder: str) -> Iterator[Problem]:
        name, role = node.get("kv_connector"), node.get("kv_role")
        if not self.whole:
            return
        named, labelled = name is not None and kind_of(name) != NULL, role is not None and kind_of(role) != NULL
        filled_in = self.context.arguments.last("kv-offloading-size") is not None
        if named and name is not None and not labelled:
            where = role.place if role is not None else name.place
            message = f"{self.spelled} names a connector, and no kv_role with it"
            yield fault("refused-transfer-value", message, where, "no kv_role beside it", _role_fix(self.context))
        elif labelled and role is not None and role.source in ROLE_WORDS and not (named or holder or filled_in):
            message = f"kv_role is {role.source}, and {self.spelled} names no connector"
            yield fault("role-without-connector", message, role.place, "a role of no connector")

    def _class(self, node: Node) -> Iterator[Problem]:
        """Yield a connector that the release does not register, or that is a known one misspelt.

        One that no release has may come from a plugin.
        """
        from hetpd_cli.tables.arguments import connector_classes

        name, path = node.get("kv_connector"), node.get("kv_connector_module_path")
        if name is None or kind_of(name) != TEXT or is_open(name):
            return
        if path is not None and kind_of(path) != NULL:
            if kind_of(path) == TEXT and not path.source and self.release and covers(_EMPTY_PATH, self.release):
                message = f"kv_connector_module_path of {self.spelled} is empty"
                yield fault("unregistered-connector", message, path.place, "no module", "remove the key")
            return
        every = connector_classes(None)
        if self.release is not None and name.source in every - connector_classes(self.release):
            message = f"kv_connector is {name.source}, which vllm {self.release} does not have"
            yield fault("unregistered-connector", message, name.place, "not in this release")
        elif name.source not in every:
            guess = _meant_class(name.source)
            if guess is not None or not name.source:
                asked = f", did you mean {guess}?" if guess else ""
                message = f"kv_connector is {name.source or 'empty'}, which vllm does not have{asked}"
                fix = f"write `{guess}`" if guess else ""
                yield fault("unregistered-connector", message, name.place, "no such connector", fix)


def _role_fix(context: Context) -> str:
    role = {"prefill": "kv_producer", "decode": "kv_consumer"}.get(str(context.role.value) if context.role else "")
    return f'add "kv_role": "{role}"' if role else 'add "kv_role": "kv_producer" on prefill, "kv_consumer" on decode'


def _meant_class(name: str) -> str | None:
    """Return the class that ``name`` misspells: by two letters, in upper and lower case, or without its ending."""
    from hetpd_cli.tables.arguments import connector_classes

    known = sorted(connector_classes(None, "vllm-ascend"))
    if name in known or name in OTHER_CLASSES or name in _PLUGINS or name in HOLDERS:
        return None
    for one in known:
        if name.lower() in {one.lower(), one.lower().removesuffix("connector").removesuffix("connectorv1")}:
            return one
    near = (one for one in known if one[:1] == name[:1] and distance(name, one) <= _EDITS)
    return next(near, None)
