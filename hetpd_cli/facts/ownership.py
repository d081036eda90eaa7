"""Facts about KV ownership: leases and what renews them."""

from __future__ import annotations

from hetpd_cli.facts.registry import derived


@derived("pool", "connector.heartbeat_period_s", unit="s", result="integer")
def heartbeat_period(connector__lease_s: float) -> int:
    """Seconds between two heartbeats that this side sends: lease // 6 (vLLM NIXL base scheduler, 0.22 to 0.33)."""
    return int(connector__lease_s) // 6


@derived("pool", "connector.lease_extension_s", unit="s", result="integer")
def lease_extension(connector__lease_s: float) -> int:
    """Seconds that one heartbeat adds to a lease this side grants: lease * 2 // 3 (vLLM NIXL base scheduler)."""
    return int(connector__lease_s) * 2 // 3
