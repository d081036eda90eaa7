"""Facts about KV ownership: leases, what renews them, and how long blocks are kept for nobody."""

from __future__ import annotations

from typing import Any

from hetpd_cli.facts.quantities import calculated
from hetpd_cli.facts.registry import Found, derived
from hetpd_cli.facts.values import DEFAULT, NONE, Unknown, Value
from hetpd_cli.versions import is_version, version_in


@derived("pool", "connector.heartbeat_period_s", unit="s", result="integer")
def heartbeat_period(connector__lease_s: float) -> int:
    """Seconds between two heartbeats that this side sends: lease // 6 (vLLM NIXL base scheduler, 0.22 to 0.33)."""
    return int(connector__lease_s) // 6


@derived("pool", "connector.lease_extension_s", unit="s", result="integer")
def lease_extension(connector__lease_s: float) -> int:
    """Seconds that one heartbeat adds to a lease this side grants: lease * 2 // 3 (vLLM NIXL base scheduler)."""
    return int(connector__lease_s) * 2 // 3


_ABORT_ENV = "VLLM_NIXL_ABORT_REQUEST_TIMEOUT"
_ABORT_DEFAULT_S = 480.0
_OLD_ABORT_DEFAULT_S = 120.0
_LONGEST_DIGITS = 10


@derived(
    "pool",
    "connector.hold_s",
    unit="s",
    result="number",
    lenient=(
        "connector.lease_s",
        "connector.abort_timeout_s",
        f"connector.env.{_ABORT_ENV}",
        f"env.{_ABORT_ENV}",
    ),
)
def hold_s(
    engine__name: str,
    engine__version: str,
    connector__name: str,
    connector__lease_s: Value,
    connector__abort_timeout_s: Value,
    connector__env__VLLM_NIXL_ABORT_REQUEST_TIMEOUT: Value,  # noqa: N803
    env__VLLM_NIXL_ABORT_REQUEST_TIMEOUT: Value,  # noqa: N803
) -> Value | Found:
    """Seconds that a source keeps blocks which nobody fetches and nobody asks after (vLLM with NIXL).

    From 0.22 on the lease; before it one timer, VLLM_NIXL_ABORT_REQUEST_TIMEOUT, 480 s (0.11: 120 s) where it is known
    not to be set. Source: vLLM 0.11 to 0.21 envs.py and nixl connector, 0.22 to 0.33 nixl scheduler.
    """
    if engine__name != "vllm" or connector__name != "nixl" or not is_version(engine__version):
        return Unknown("how long this connector keeps blocks is not known")
    if version_in(engine__version, ">=0.22"):
        return connector__lease_s
    if isinstance(connector__abort_timeout_s, int | float):
        return connector__abort_timeout_s
    settings = (connector__env__VLLM_NIXL_ABORT_REQUEST_TIMEOUT, env__VLLM_NIXL_ABORT_REQUEST_TIMEOUT)
    written = next((text for text in settings if isinstance(text, str)), None)
    if written is not None:
        return float(written) if written.isdecimal() and len(written) < _LONGEST_DIGITS else Unknown("no whole number")
    if settings == (NONE, NONE):
        seconds = _OLD_ABORT_DEFAULT_S if version_in(engine__version, "<0.12") else _ABORT_DEFAULT_S
        return Found(seconds, f"default of {_ABORT_ENV} in vLLM {engine__version}", DEFAULT)
    return Unknown(f"{_ABORT_ENV} is not stated")


@derived("pool", "connector.holdable_tokens_per_s", unit="token/s", result="number")
def holdable_tokens_per_s(memory__kv_worker_tokens: int, workers: int, connector__hold_s: float) -> Any:
    """Prompt tokens per second that fill all KV of the pool, if none is fetched before its hold ends.

    Little's law: tokens held are rate times hold, so the rate is capacity over hold.
    """
    return calculated(
        lambda tokens, count, hold: tokens * count / hold, memory__kv_worker_tokens, workers, connector__hold_s
    )
