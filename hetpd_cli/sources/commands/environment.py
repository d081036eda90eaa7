"""What the environment of a command says: variables that the engine, its connector or its transport reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.deployment import DECODE, PREFILL, Stated
from hetpd_cli.sources.commands.table import CONNECTOR_VARIABLES, ENGINE_VARIABLES
from hetpd_cli.sources.commands.words import of_word, place_of

if TYPE_CHECKING:
    from hetpd_cli.sources.commands.context import Context
    from hetpd_cli.sources.launch import Word

_READ = re.compile(
    r"(?:VLLM|SGLANG|SGL|NIXL|UCX|MC|MOONCAKE|LMCACHE|FI|NCCL|RCCL|HCCL|GLOO|PYTORCH|TRTLLM|TLLM|DYN|ASCEND|RDMAV|IBV|"
    r"MORI|MORIIO|FLAGCX|P2P)_[A-Z0-9_]+|PYTHONHASHSEED|[A-Z_]*VISIBLE_DEVICES|ZE_AFFINITY_MASK"
)
_LMCACHE_FILE = "LMCACHE_CONFIG_FILE"
_LMCACHE_ROLES = {"sender": PREFILL, "receiver": DECODE}
_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_KEY|ACCESS_KEY|LICENSE")


def read(context: Context, engine: str) -> None:
    """State what variables say, where no argument says it."""
    from hetpd_cli.sources.commands.faults import exact_release
    from hetpd_cli.sources.commands.variables import gone

    settings = context.settings
    for name, word in context.env.items():
        if not _READ.fullmatch(name) or _SECRET.search(name) or name.endswith("_ARGS"):
            continue
        if word.value or word.unresolved:
            _state(context, f"env.{name}", name, word)
    connector = settings.text("connector.name") or ""
    paths = {**ENGINE_VARIABLES.get(engine, {}), **CONNECTOR_VARIABLES.get(connector, {})}
    for name, path in paths.items():
        if name not in context.env or path in settings.section.stated or not context.env[name].value:
            continue
        if engine == "vllm" and gone(name, exact_release(context)):
            continue
        if name.startswith(("VLLM_", "SGLANG_")) and not name.startswith(_PREFIX.get(engine, "")):
            continue
        _state(context, path, name, context.env[name])


def read_lmcache(context: Context) -> None:
    """Take the role from LMCache's own configuration, where the connector is LMCache and its role says nothing."""
    if context.role is not None or context.settings.text("connector.name") != "lmcache":
        return
    for name in ("LMCACHE_PD_ROLE", "LMCACHE_NIXL_ROLE"):
        word = context.env.get(name)
        if word is not None and word.value in _LMCACHE_ROLES:
            context.role = Stated(_LMCACHE_ROLES[word.value], place_of(word), word.value)
            return
    word = context.env.get(_LMCACHE_FILE)
    node = context.settings_file(word.value) if word is not None else None
    role = (node.get("pd_role") or node.get("nixl_role")) if node is not None else None
    if role is not None and role.source in _LMCACHE_ROLES:
        context.role = Stated(_LMCACHE_ROLES[role.source], role.place, role.source)


_PREFIX = {"vllm": "VLLM_", "vllm-ascend": "VLLM_", "sglang": "SGLANG_"}


def _state(context: Context, path: str, name: str, word: Word) -> None:
    context.settings.state(path, of_word(word), name)
