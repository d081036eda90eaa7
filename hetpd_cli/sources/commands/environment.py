"""What the environment of a command says: variables that the engine, its connector or its transport reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.sources.commands.table import CONNECTOR_VARIABLES, ENGINE_VARIABLES
from hetpd_cli.sources.commands.words import Value, place_of

if TYPE_CHECKING:
    from hetpd_cli.sources.commands.context import Context
    from hetpd_cli.sources.launch import Word

_READ = re.compile(
    r"(?:VLLM|SGLANG|SGL|NIXL|UCX|MC|MOONCAKE|LMCACHE|FI|NCCL|RCCL|HCCL|GLOO|PYTORCH|TRTLLM|TLLM|DYN|ASCEND|RDMAV|IBV|"
    r"MORI|MORIIO|FLAGCX|P2P)_[A-Z0-9_]+|PYTHONHASHSEED|[A-Z_]*VISIBLE_DEVICES|ZE_AFFINITY_MASK"
)
_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_KEY|ACCESS_KEY|LICENSE")


def read(context: Context, engine: str) -> None:
    """State what variables say, where no argument says it."""
    settings = context.settings
    for name, word in context.env.items():
        if not _READ.fullmatch(name) or _SECRET.search(name):
            continue
        if word.value or word.unresolved:
            _state(context, f"env.{name}", name, word)
    connector = settings.text("connector.name") or ""
    paths = {**ENGINE_VARIABLES.get(engine, {}), **CONNECTOR_VARIABLES.get(connector, {})}
    for name, path in paths.items():
        if name not in context.env or path in settings.section.stated or not context.env[name].value:
            continue
        if name.startswith(("VLLM_", "SGLANG_")) and not name.startswith(_PREFIX.get(engine, "")):
            continue
        _state(context, path, name, context.env[name])


_PREFIX = {"vllm": "VLLM_", "vllm-ascend": "VLLM_", "sglang": "SGLANG_"}


def _state(context: Context, path: str, name: str, word: Word) -> None:
    context.settings.state(path, Value(place_of(word), word.text, None, word.unresolved), name)
