"""How connectors of vLLM read kv_connector_extra_config, and what they make of values of another kind.

A look-up with a default, key by key: a switch is asked for its truth, so that the text "false" is true; a number is
computed with as it is, so that "30" ends the process. Read in vLLM 0.11 to 0.33, ``kv_connector/v1``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.commands.faults import fault, misspelt_key
from hetpd_cli.sources.commands.json_values import (
    ARRAY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    WORDS,
    as_python,
    is_number,
    kind_of,
    truth,
)
from hetpd_cli.sources.commands.transfer_config import is_open
from hetpd_cli.tables import covers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.sources.problems import Problem
    from hetpd_cli.sources.tree import Entry, Node

TRUTH = "truth"
"""Asked for its truth."""
WORD = "word"
"""Written as text, in lower case, and compared with ``true``."""
WORD_OR_ONE = "word or one"
"""The same without blanks, and ``1`` is true as well."""
TRUE_ITSELF = "true itself"
"""Compared with true: nothing else is."""
COMPUTED = "computed"
"""Computed with as it is."""
AS_INTEGER = "as integer"
"""Made a whole number first."""
AS_NUMBER = "as number"
"""Made a number first."""
LIST = "list"
"""Gone through item by item."""
PLAIN = "plain"
"""Handed on."""


class Reads(NamedTuple):
    """How a key is read, by which releases of vLLM."""

    how: str
    of: str = "<0.34"


_NIXL = {
    "backends": Reads(LIST),
    "num_threads": Reads(PLAIN),
    "enforce_handshake_compat": Reads(TRUTH, ">=0.13,<0.34"),
    "enable_cross_layers_blocks": Reads(WORD, ">=0.15,<0.29"),
    "bidirectional_kv_xfer": Reads(TRUTH, ">=0.21,<0.34"),
    "kv_recompute_threshold": Reads(AS_INTEGER, ">=0.21,<0.34"),
    "kv_lease_duration": Reads(COMPUTED, ">=0.22,<0.34"),
    "decoder_kv_blocks_ttl": Reads(PLAIN, ">=0.22,<0.34"),
    "engine_ttl": Reads(COMPUTED, ">=0.24,<0.34"),
    "push_registration_timeout": Reads(AS_NUMBER, ">=0.24,<0.34"),
}

READS: dict[str, dict[str, Reads]] = {
    "NixlConnector": _NIXL,
    "NixlPullConnector": _NIXL,
    "NixlPushConnector": _NIXL,
    "MooncakeConnector": {"num_workers": Reads(COMPUTED)},
    "MooncakeStoreConnector": {
        "load_async": Reads(TRUTH),
        "lookup_async": Reads(TRUTH),
        "save_decode_cache": Reads(TRUTH),
        "enable_cross_layers_blocks": Reads(WORD),
        "enable_store_tp_lcm": Reads(TRUE_ITSELF),
    },
    "MoRIIOConnector": {"read_mode": Reads(WORD_OR_ONE)},
    "LMCacheConnectorV1": {"use_native": Reads(TRUTH), "use_layerwise": Reads(TRUTH)},
    "OffloadingConnector": {"offload_prompt_only": Reads(TRUTH), "self_describing_kv_events": Reads(TRUTH)},
    "SimpleCPUOffloadConnector": {"lazy_offload": Reads(TRUTH)},
    "ExampleHiddenStatesConnector": {
        "allow_custom_save_path": Reads(TRUTH),
        "use_synchronization_lock": Reads(TRUTH),
    },
}
"""Connector to how it reads its keys. Releases are told for those of NIXL, whose every release was searched."""

_SWITCHES = (TRUTH, WORD, WORD_OR_ONE, TRUE_ITSELF)
_OFF = frozenset({"", "0", "false", "no", "off", "f", "n", "none", "null", "disable", "disabled"})
_ON = frozenset({"1", "true", "yes", "on", "t", "y", "enable", "enabled"})
_WHOLE = re.compile(r"\s*[+-]?[0-9]+(?:_[0-9]+)*\s*")
_PUSH = "NixlPushConnector"


def taken_as(connector: str, key: str, node: Node) -> bool | None:
    """Return what a connector makes of a switch; None for a key that is none."""
    reads = READS.get(connector, {}).get(key)
    if reads is None or reads.how not in _SWITCHES:
        return None
    if reads.how == TRUTH:
        return truth(node)
    if reads.how == TRUE_ITSELF:
        return kind_of(node) == BOOLEAN and node.value is True
    text = as_python(node).lower()
    return text.strip() in {"true", "1"} if reads.how == WORD_OR_ONE else text == "true"


def extra_faults(connector: str, extra: Node, release: str | None) -> Iterator[Problem]:
    """Yield the keys that a connector does not read or misreads; ``release`` is None where it is not known exactly."""
    for entry in extra.entries:
        if entry.key.kind != "scalar" or extra.entry(entry.key.source) is not entry:
            continue
        ignored = _ignored(connector, extra, entry, release)
        if ignored is not None:
            yield ignored
        elif not is_open(entry.value):
            yield from _misread(connector, extra, entry)


# -- keys that are not read --------------------------------------------------------------------------------------


def _ignored(connector: str, extra: Node, entry: Entry, release: str | None) -> Problem | None:
    from hetpd_cli.tables.arguments import extra_config_keys

    key, place = entry.key.source, entry.key.place
    known = extra_config_keys(connector) or frozenset()
    if key not in known:
        guess = misspelt_key(key, sorted(known))
        if guess is None:
            return None
        message = f"{key} is no key that {connector} reads, did you mean {guess}?"
        return fault("ignored-transfer-key", message, place, "never read", f"write `{guess}`")
    reads = READS.get(connector, {}).get(key)
    if reads is not None and release is not None and not covers(reads.of, release) and covers("<0.34", release):
        message = f"{connector} of vllm {release} does not read {key} ({reads.of} does)"
        return fault("ignored-transfer-key", message, place, "not read by this release")
    why = _idle(connector, extra, key)
    if why:
        return fault("ignored-transfer-key", f"{key} has no effect: {why}", place, "has no effect")
    return None


def _idle(connector: str, extra: Node, key: str) -> str:
    """Return why a key that is read does nothing beside the others; empty if it may do something."""
    if connector not in {"NixlConnector", "NixlPullConnector", _PUSH}:
        return ""
    if key == "push_registration_timeout" and connector != _PUSH:
        return f"only {_PUSH} registers blocks"
    switch = extra.get("bidirectional_kv_xfer")
    one_way = switch is None or (not is_open(switch) and not truth(switch))
    if key == "decoder_kv_blocks_ttl" and connector != _PUSH and one_way:
        return "decode keeps no blocks for a later turn without bidirectional_kv_xfer"
    backends = extra.get("backends")
    others = backends is not None and not is_open(backends) and any(item.source != "UCX" for item in backends.items)
    return "NIXL is told of threads only where UCX is its one backend" if key == "num_threads" and others else ""


# -- values that are read as something else ----------------------------------------------------------------------


def _misread(connector: str, extra: Node, entry: Entry) -> Iterator[Problem]:
    key, node = entry.key.source, entry.value
    taken = taken_as(connector, key, node)
    meant = _meant(node)
    if taken is not None and meant is not None and taken != meant:
        words = {True: "true", False: "false"}
        message = f"{key} is {shown(node)}, which {connector} takes for {words[taken]}"
        yield fault("text-as-switch", message, node.place, f"is {words[taken]} here", f'write "{key}": {words[meant]}')
        return
    why = refusal(connector, extra, key, node)
    if why:
        yield fault("refused-extra-value", f"{key} is {shown(node)}: {why}", node.place, "not such a value")


def _meant(node: Node) -> bool | None:
    """Return what somebody who writes ``node`` for a switch means, if that is plain."""
    if node.kind != "scalar" or kind_of(node) not in {TEXT, BOOLEAN, INTEGER}:
        return None
    word = str(node.source).strip().lower()
    return True if word in _ON else False if word in _OFF else None


def refusal(connector: str, extra: Node, key: str, node: Node) -> str:
    """Return why a value of the extra configuration ends the process; empty if it does not, or is not known to."""
    reads = READS.get(connector, {}).get(key)
    if reads is None:
        return ""
    kind, how = kind_of(node), reads.how
    if how == COMPUTED and kind not in {INTEGER, NUMBER, BOOLEAN}:
        return f"{connector} computes with it as with {WORDS[NUMBER]}"
    if how == AS_INTEGER and not (
        kind in {INTEGER, NUMBER, BOOLEAN} or (kind == TEXT and _WHOLE.fullmatch(node.source))
    ):
        return f"{connector} cannot make {WORDS[INTEGER]} of it"
    if how == AS_NUMBER and connector == _PUSH and not is_number(node):
        return f"{connector} cannot make {WORDS[NUMBER]} of it"
    if how == LIST and kind not in {ARRAY, OBJECT}:
        return f"{connector} goes through its items" + (", the letters of a text" if kind == TEXT else "")
    switch = extra.get("bidirectional_kv_xfer")
    turns = connector != _PUSH and switch is not None and not is_open(switch) and truth(switch)
    if key == "decoder_kv_blocks_ttl" and turns and kind not in {INTEGER, NUMBER, BOOLEAN}:
        return f"{connector} adds it to the time at the end of a request"
    return ""


def shown(node: Node) -> str:
    """Return a value in words."""
    kind = kind_of(node)
    if kind == TEXT:
        return f'the text "{node.source}"'
    return WORDS[kind] if node.kind != "scalar" else node.source
