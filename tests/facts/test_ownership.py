"""Facts about leases, timers, engine ids and transports, with their edge cases and their releases."""

from __future__ import annotations

import pytest

from hetpd_cli.deployment import CLOSED
from hetpd_cli.facts.values import NONE, Unknown
from tests.facts.building import VLLM, Leaves, boundary, value

U = "unknown"
ANY = Unknown("?")
LEFT = Unknown("left to the engine", left=True)


def of_pool(leaves: Leaves, path: str, **options: str) -> object:
    return value(boundary(leaves, **options), f"prefill.{path}")


def sides(prefill: Leaves, decode: Leaves, path: str, workload: Leaves | None = None) -> object:
    return value(boundary(prefill, decode, workload=workload), f"handoff.{path}")


@pytest.mark.parametrize(
    ("lease", "period", "extension"),
    # what Python gives for lease // 6 and lease * 2 // 3, the expressions of vLLM
    [(30, 5, 20), (5, 0, 3), (6, 1, 4), (1, 0, 0), (2, 0, 1), (7.5, 1, 5), (30.9, 5, 20), (100, 16, 66)],
)
def test_timers_of_a_lease(lease, period, extension) -> None:
    assert of_pool({"connector.lease_s": lease}, "connector.heartbeat_period_s") == period
    assert of_pool({"connector.lease_s": lease}, "connector.lease_extension_s") == extension


def test_steps_of_both_sides_add_to_the_period() -> None:
    prefill, decode = {"measured.step_s": 5}, {"connector.lease_s": 12, "measured.step_s": 1.5}
    assert sides(prefill, decode, "heartbeat_gap_s") == 8.5
    assert sides({}, decode, "heartbeat_gap_s") == U


@pytest.mark.parametrize(
    ("release", "seconds"), [("0.11.0", 120), ("0.11.1", 480), ("0.11.2", 480), ("0.21.0", 480), ("0.22.0", 30)]
)
def test_the_default_hold_by_release(release, seconds) -> None:
    leaves = VLLM | {"engine.version": release}
    assert of_pool(leaves, "connector.hold_s", scope=CLOSED) == seconds


def test_a_variable_counts_before_the_default_timer() -> None:
    leaves = VLLM | {"engine.version": "0.20.0", "env.VLLM_NIXL_ABORT_REQUEST_TIMEOUT": "45"}
    assert of_pool(leaves, "connector.hold_s", scope=CLOSED) == 45


@pytest.mark.parametrize(
    ("release", "manager", "grouped", "lost"),
    [
        ("0.24.0", True, True, True),
        ("0.24.0", False, True, False),
        ("0.24.0", True, False, False),
        ("0.24.0", ANY, True, U),
        ("0.24.0", True, ANY, U),
        ("0.21.0", True, True, True),
        ("0.17.0", True, True, False),
        ("0.18.0", True, True, True),
        ("0.29.0", True, True, True),
        ("0.30.0", True, True, False),
        ("main", True, True, U),
    ],
)
def test_which_failed_loads_are_lost(release, manager, grouped, lost) -> None:
    leaves = VLLM | {"engine.version": release, "model.id": "own/x", "model.grouped_kv": grouped}
    assert of_pool(leaves | {"engine.hybrid_kv_manager": manager}, "connector.loses_failed_loads") == lost


@pytest.mark.parametrize(
    ("engine", "connector", "release", "reports"),
    [
        ("vllm", "nixl", "0.11.0", False),
        ("vllm", "nixl", "0.11.1", True),
        ("vllm", "nixl", ANY, True),
        ("vllm", "mooncake", "0.29.0", False),
        ("vllm", "mooncake", "0.30.0", True),
        ("vllm", "mooncake", ANY, U),
        ("vllm", "lmcache", ANY, True),
        ("vllm-ascend", "mooncake", "0.29.0", True),
    ],
)
def test_who_reports_failed_loads(engine, connector, release, reports) -> None:
    leaves = {"engine.name": engine, "connector.name": connector, "engine.version": release}
    assert of_pool(leaves, "connector.reports_failed_loads") == reports


@pytest.mark.parametrize(("release", "default"), [("0.24.0", 60), ("0.23.0", U), ("0.33.0", 60)])
def test_a_registration_is_kept_as_long_as_blocks_for_a_turn(release, default) -> None:
    leaves = VLLM | {"engine.version": release, "connector.decoder_blocks_ttl_s": 60}
    assert of_pool(leaves, "connector.push_registration_timeout_s", scope=CLOSED) == default


def test_what_decode_keeps_for_the_next_turns() -> None:
    decode = {"connector.decoder_blocks_ttl_s": 480, "workers": 2}
    workload = {"think_time_s": 120, "rate_per_s": 4, "input_tokens": 900, "output_tokens": 100}
    assert sides({}, decode, "pinned_tokens_per_worker", workload) == 120 * 4 * 1000 / 2
    assert sides({}, decode, "kept_for_next_turn_s", workload | {"think_time_s": 1000}) == 480


def test_mooncake_waits_a_minute_longer_than_its_timer() -> None:
    assert sides({}, {"connector.abort_timeout_s": 480}, "mooncake_decode_wait_s") == 540


@pytest.mark.parametrize(
    ("release", "workers", "dp", "hosts", "repeated"),
    [
        ("0.24.0", 1, 1, ANY, False),
        ("0.24.0", 2, 1, ANY, True),
        (ANY, 2, 1, ANY, True),
        ("0.23.0", 2, 8, ANY, True),
        ("0.24.0", 2, 8, ANY, U),
        ("0.23.0", 1, 16, ("a", "b"), True),
        ("0.24.0", 1, 16, ("a", "b"), False),
        ("0.23.0", 1, 8, ("a",), False),
        ("0.23.0", 1, 8, ANY, U),
        ("0.23.0", 1, 2, ("a", "b", "c"), U),
        (ANY, 1, 8, ("a", "b"), U),
        ("0.23.0", ANY, 1, ("a",), U),
    ],
)
def test_engines_of_one_id(release, workers, dp, hosts, repeated) -> None:
    leaves = VLLM | {"engine.version": release, "workers": workers, "parallelism.dp": dp, "hosts": hosts}
    assert of_pool(leaves | {"connector.engine_id": "one"}, "connector.engine_id_repeated") == repeated
    assert of_pool(leaves, "connector.engine_id_repeated", scope=CLOSED) is False


@pytest.mark.parametrize(
    ("hosts", "workers", "tp", "dp", "spans"),
    [
        (("a", "b"), 1, 16, 1, True),
        (("a", "b"), 2, 8, 1, False),
        (("a", "b"), 1, 8, 2, False),
        (("a",), 1, 16, 1, False),
        (ANY, 1, 1, 1, False),
        (ANY, 1, 2, 1, U),
        (ANY, ANY, 2, 1, False),
    ],
)
def test_engines_over_machines(hosts, workers, tp, dp, spans) -> None:
    leaves = {"hosts": hosts, "workers": workers, "parallelism.tp": tp, "parallelism.pp": 1, "parallelism.dp": dp}
    assert of_pool(leaves, "engine_spans_hosts") == spans


@pytest.mark.parametrize(
    ("connector", "workers", "hosts", "shared_network", "port", "shares"),
    [
        ("nixl", 2, ("a",), True, 5600, True),
        ("nixl", 2, ("a",), True, ANY, U),
        ("nixl", 2, ("a",), False, 5600, False),
        ("nixl", 2, ("a",), ANY, 5600, U),
        ("nixl", 2, ("a", "b"), True, 5600, False),
        ("nixl", 2, ANY, True, 5600, U),
        ("nixl", ANY, ANY, True, 5600, False),
        ("nixl", 1, ("a",), True, 5600, False),
        ("mooncake", 2, ("a",), True, 5600, True),
    ],
)
def test_workers_on_one_port(connector, workers, hosts, shared_network, port, shares) -> None:
    leaves = {"role": "prefill", "connector.name": connector, "workers": workers, "hosts": hosts}
    leaves["host_network"] = shared_network
    ports = {"connector.side_channel.port": port, "connector.bootstrap.port": port}
    assert of_pool(leaves | ports, "connector.workers_share_port") == shares


def test_decode_of_mooncake_has_no_bootstrap_port() -> None:
    leaves = {"role": "decode", "connector.name": "mooncake", "workers": 2, "hosts": ("a",), "host_network": True}
    scope = boundary({}, leaves | {"connector.bootstrap.port": 8998})
    assert value(scope, "decode.connector.workers_share_port") is False


@pytest.mark.parametrize(
    ("ours", "theirs", "prefill_host", "decode_host", "shared"),
    [
        ("rc,cuda_copy", "tcp,cuda_copy", "a", "b", False),
        ("rc,cuda_copy", "ib", "a", "b", True),
        ("rc_v", "rc_x", "a", "b", True),
        ("ud", "rc,ud:aux", "a", "b", False),
        ("^tcp", "tcp", "a", "b", False),
        ("^tcp", "all", "a", "b", True),
        ("sm", "shm,self", "a", "a", True),
        ("sm", "shm,self", "a", "b", False),
        ("sm", "shm,self", "a", ANY, U),
        ("cuda_ipc,cuda_copy", "cuda", "a", "b", True),
        ("ours", "tcp", "a", "b", U),
        ("", "tcp", "a", "b", U),
        (NONE, "tcp", "a", "b", True),
        (ANY, "tcp", "a", "b", U),
    ],
)
def test_transports_in_common(ours, theirs, prefill_host, decode_host, shared) -> None:
    def side(tls: object, host: object) -> Leaves:
        hosts = host if isinstance(host, Unknown) else (host,)
        return {"env.UCX_TLS": tls, "connector.env.UCX_TLS": NONE, "hosts": hosts}

    assert sides(side(ours, prefill_host), side(theirs, decode_host), "ucx_transport_shared") == shared


def test_other_backends_read_no_transports_of_ucx() -> None:
    tcp: Leaves = {"env.UCX_TLS": "tcp", "connector.backends": ("LIBFABRIC",)}
    assert sides(tcp, {"env.UCX_TLS": "rc"}, "ucx_transport_shared") == U
