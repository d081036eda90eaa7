"""What a program calls the fields of a pool: its arguments, keys of its files, its variables."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from hetpd_cli.sources.commands import table

if TYPE_CHECKING:
    from collections.abc import Mapping

_VLLM = {
    "parallelism.dp": "--data-parallel-size",
    "parallelism.ep": "--enable-expert-parallel",
    "speculative.method": "method of --speculative-config",
    "speculative.draft_model": "model of --speculative-config",
    "speculative.tokens": "num_speculative_tokens of --speculative-config",
    "connector.name": "kv_connector of --kv-transfer-config",
    "connector.mode": "kv_connector of --kv-transfer-config (NixlPullConnector, NixlPushConnector)",
    "engine.version": "the release of vLLM",
}
_SGLANG = {"engine.version": "the release of SGLang", "engine.mode": "--disaggregation-mode"}
_TRTLLM = {
    "connector.name": "cache_transceiver_config",
    "connector.backends": "cache_transceiver_config.backend",
    "engine.version": "the release of TensorRT-LLM",
}


@cache
def words_of(runtime: str, wrapper: str | None) -> Mapping[str, str]:
    """Return field to what a runtime (``vllm``, ``sglang``, ``trtllm``) calls it, behind ``wrapper`` or alone."""
    if runtime == "trtllm":
        words = {field: key for key, field in reversed(table.TRTLLM_FILE.items())} | _TRTLLM
    else:
        fields = table.VLLM if runtime == "vllm" else table.SGLANG
        words = _variables(runtime) | _arguments(fields) | (_VLLM if runtime == "vllm" else _SGLANG)
    if runtime == "vllm":
        keys = {**table.TRANSFER, **table.TRANSFER_EXTRA}
        words |= {field: f"{key} of --kv-transfer-config" for key, field in keys.items()}
    if wrapper:
        words["engine.mode"] = "--disaggregation-mode"
    return words


def _arguments(fields: table.Fields) -> dict[str, str]:
    switches = {field: f"--{name}" for name, (field, _) in fields.switches.items()}
    return switches | {field: f"--{name}" for name, field in fields.values.items()}


def _variables(runtime: str) -> dict[str, str]:
    own = table.ENGINE_VARIABLES[runtime]
    of_connectors = {name: field for known in table.CONNECTOR_VARIABLES.values() for name, field in known.items()}
    prefix = "SGLANG_" if runtime == "sglang" else "VLLM_"
    found = {field: name for name, field in own.items()}
    return found | {field: name for name, field in of_connectors.items() if name.startswith(prefix)}
