"""Facts about KV ownership: leases, what renews them, and how long blocks are kept for nobody."""

from __future__ import annotations

from typing import Any

from hetpd_cli.facts.quantities import calculated
from hetpd_cli.facts.registry import Default, Found, default_of, derived
from hetpd_cli.facts.truth import all_true
from hetpd_cli.facts.values import DEFAULT, NONE, Truth, Unknown, Value
from hetpd_cli.tables import covers, engine_default
from hetpd_cli.versions import is_version, version_in


@derived("pool", "connector.heartbeat_period_s", unit="s", result="integer")
def heartbeat_period(connector__lease_s: float) -> int:
    """Seconds between two heartbeats that this side sends: lease // 6 (vLLM NIXL base scheduler, 0.22 to 0.33)."""
    return int(connector__lease_s // 6)


@derived("pool", "connector.lease_extension_s", unit="s", result="integer")
def lease_extension(connector__lease_s: float) -> int:
    """Seconds that one heartbeat adds to a lease this side grants: lease * 2 // 3 (vLLM NIXL worker, 0.22 to 0.33)."""
    return int(connector__lease_s * 2 // 3)


@derived("handoff", "heartbeat_gap_s", unit="s", result="number")
def heartbeat_gap(
    decode__connector__heartbeat_period_s: int, prefill__measured__step_s: float, decode__measured__step_s: float
) -> Any:
    """Longest time between two renewals of a lease: decode's period and the longest engine step of each side.

    Decode sends a heartbeat when it prepares a step, prefill takes it up when a step ends, so the longest step of
    either side adds to the period. Source: vLLM 0.22 to 0.33 NIXL, build_connector_meta and get_finished.
    """
    return calculated(
        lambda period, prefill, decode: period + prefill + decode,
        decode__connector__heartbeat_period_s,
        prefill__measured__step_s,
        decode__measured__step_s,
    )


_ABORT_ENV = "VLLM_NIXL_ABORT_REQUEST_TIMEOUT"
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

    From 0.22 on the lease; before it one timer, VLLM_NIXL_ABORT_REQUEST_TIMEOUT, whose default the table of engines
    has. A variable that is written counts before the field. Source: vLLM 0.11 to 0.21 envs.py and NIXL connector, 0.22
    to 0.33 NIXL scheduler.
    """
    if engine__name != "vllm" or connector__name != "nixl" or not is_version(engine__version):
        return Unknown("how long this connector keeps blocks is not known")
    if version_in(engine__version, ">=0.22"):
        return connector__lease_s
    settings = (connector__env__VLLM_NIXL_ABORT_REQUEST_TIMEOUT, env__VLLM_NIXL_ABORT_REQUEST_TIMEOUT)
    written = next((text for text in settings if isinstance(text, str)), None)
    if written is not None:
        return float(written) if written.isdecimal() and len(written) < _LONGEST_DIGITS else Unknown("no whole number")
    if settings == (NONE, NONE) and isinstance(connector__abort_timeout_s, Unknown):
        row = engine_default("vllm", engine__version, "nixl", "connector.abort_timeout_s")
        return connector__abort_timeout_s if row is None else Found(row.value, row.note, DEFAULT)
    return connector__abort_timeout_s


@derived("pool", "connector.holdable_tokens_per_s", unit="token/s", result="number")
def holdable_tokens_per_s(memory__kv_worker_tokens: int, workers: int, connector__hold_s: float) -> Any:
    """Prompt tokens per second that fill all KV of the pool, if none is fetched before its hold ends.

    Little's law: tokens held are rate times hold, so the rate is capacity over hold.
    """
    return calculated(
        lambda tokens, count, hold: tokens * count / hold, memory__kv_worker_tokens, workers, connector__hold_s
    )


@derived("handoff", "kept_for_next_turn_s", unit="s", result="number")
def kept_for_next_turn(decode__connector__decoder_blocks_ttl_s: float, workload__think_time_s: float) -> Any:
    """Seconds that decode keeps a session's blocks pinned: until its next turn, or until their lifetime is over.

    Source: vLLM 0.22 to 0.33 NIXL pull scheduler, request_finished: no heartbeat shortens or renews it.
    """
    return calculated(min, decode__connector__decoder_blocks_ttl_s, workload__think_time_s)


@derived("handoff", "pinned_tokens_per_worker", unit="token", result="number")
def pinned_tokens_per_worker(
    kept_for_next_turn_s: float, workload__rate_per_s: float, workload__request_tokens: float, decode__workers: int
) -> Any:
    """Tokens whose KV a decode worker keeps for the next turns of its sessions: rate times time times tokens, shared.

    Little's law over the requests that every decode worker finishes; what is pinned is prompt and output.
    """
    return calculated(
        lambda seconds, rate, tokens, count: rate * seconds * tokens / count,
        kept_for_next_turn_s,
        workload__rate_per_s,
        workload__request_tokens,
        decode__workers,
    )


@derived(
    "pool",
    "connector.loses_failed_loads",
    result="boolean",
    lenient=("engine.hybrid_kv_manager", "model.grouped_kv"),
)
def loses_failed_loads(
    engine__name: str,
    engine__version: str,
    connector__name: str,
    engine__hybrid_kv_manager: Value,
    model__grouped_kv: Value,
) -> Truth:
    """Whether a load that failed is reported as done, without a word on which blocks are missing.

    In vLLM's NIXL connector from 0.18 to 0.29, for models whose KV is kept in groups, where the hybrid KV manager is
    on: `_handle_failed_transfer` then names no invalid blocks, and 0.30 first has a list of failed requests beside
    them. Source: vLLM 0.11 to 0.33 NIXL worker.
    """
    if engine__name != "vllm" or connector__name != "nixl":
        return False
    if not is_version(engine__version):
        return Unknown("the release is not known")
    if not version_in(engine__version, ">=0.18,<0.30"):
        return False
    return all_true([engine__hybrid_kv_manager, model__grouped_kv])


@derived("pool", "connector.reports_failed_loads", result="boolean", lenient=("engine.version",))
def reports_failed_loads(engine__name: str, connector__name: str, engine__version: Value) -> Truth:
    """Whether a load that failed reaches the scheduler, so that its policy is asked at all (vLLM).

    Mooncake only logs it up to 0.29, NIXL in 0.11.0; the request then waits until somebody ends it. Where the release
    is not known NIXL is taken to report. Source: vLLM 0.11.0 to 0.33, get_block_ids_with_load_errors.
    """
    first = {"mooncake": "0.30", "nixl": "0.11.1"}.get(connector__name) if engine__name == "vllm" else None
    if first is None:
        return True
    if not isinstance(engine__version, str) or not is_version(engine__version):
        return True if connector__name == "nixl" else Unknown("the release is not known")
    return version_in(engine__version, f">={first}")


@default_of("connector.push_registration_timeout_s")
def push_registration_timeout(
    engine__name: Value, engine__version: Value, connector__name: Value, connector__decoder_blocks_ttl_s: Value
) -> Default | None:
    """Return how long decode keeps a push registration where nobody says: as long as blocks for the next turn.

    Source: vLLM 0.24 to 0.33 NIXL push scheduler.
    """
    if engine__name != "vllm" or connector__name != "nixl" or not isinstance(engine__version, str):
        return None
    if not covers(">=0.24,<0.34", engine__version) or not isinstance(connector__decoder_blocks_ttl_s, int | float):
        return None
    return Default(connector__decoder_blocks_ttl_s, "that of decoder_kv_blocks_ttl (VLLM-NIXL-SCHED)")


@derived("handoff", "mooncake_decode_wait_s", unit="s", result="number")
def mooncake_decode_wait(decode__connector__abort_timeout_s: float) -> Any:
    """Seconds that decode waits for an answer of prefill in vLLM's Mooncake connector: its own timer and 60 s.

    The margin is there so that prefill's wait ends first. Source: vLLM 0.16 to 0.33 mooncake_connector.py, RCVTIMEO.
    """
    return calculated(lambda timer: timer + _MOONCAKE_MARGIN_S, decode__connector__abort_timeout_s)


_MOONCAKE_MARGIN_S = 60
