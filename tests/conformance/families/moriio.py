"""Cases about vLLM's MoRIIO connector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conformance.families.base import ENGINE, Family, attention, both, kv

if TYPE_CHECKING:
    from tests.conformance.families.base import Fields
    from tests.conformance.tables import Case

_COMPARED: dict[str, list[Any]] = {
    "mode": ["push", "pull"],
    "tp": [4, 1, 2, 3, 6, 8, 16],
    "block": [16, 32, 64],
    "kv": ["bf16", "fp16"],
    "keys": ["all", "no http_port", "no proxy_ip", "no proxy_ping_port"],
}
KEYS: dict[str, Any] = {"http_port": 8000, "proxy_ip": "10.0.0.1", "proxy_ping_port": 36367}
"""What the connector reads from its own configuration."""


def given_keys(word: str) -> dict[str, Any]:
    """Return the keys that a case gives the connector."""
    return {key: value for key, value in KEYS.items() if word != f"no {key}"}


def _dimensions(version: str) -> dict[str, list[Any]]:
    # Left to vLLM, the hybrid manager is off where the connector does not take it, which is so before 0.30.
    compared = {**_COMPARED, "hma": [False, True] if version < "0.30" else [True, False]}
    return {
        "attention": ["gqa:8", "gqa:1", "gqa:2", "gqa:4", "gqa:12", "mla"],
        **{f"{side}_{name}": values for name, values in compared.items() for side in ("p", "d")},
    }


def _fields(case: Case, version: str) -> tuple[Fields, Fields]:
    def side(prefix: str, role: str) -> Fields:
        return {
            "connector.mode": case[f"{prefix}_mode"],
            "connector.role": role,
            "parallelism.tp": case[f"{prefix}_tp"],
            "kv.block_size": case[f"{prefix}_block"],
            "kv.kernel_block_size": case[f"{prefix}_block"],
            **kv(case[f"{prefix}_kv"]),
            "engine.hybrid_kv_manager": case[f"{prefix}_hma"],
            **{f"connector.extra.{key}": value for key, value in given_keys(case[f"{prefix}_keys"]).items()},
        }

    common = {
        **ENGINE,
        "accelerator": "mi300x",
        "engine.version": version,
        **attention(case["attention"]),
        "parallelism.pp": 1,
        "parallelism.dp": 1,
        "parallelism.cp": 1,
        "parallelism.dcp": 1,
        "kv.layout": "NHD",
        "engine.prefix_caching": False,
        "engine.attention_backend": "ROCM_AITER_FA",
        "speculative.method": "none",
        "connector.name": "moriio",
        "connector.class_name": "MoRIIOConnector",
        "connector.protocol": "rdma",
        "connector.failure_policy": "fail",
        "connector.buffer_device": "device",
        "connector.permute_local_kv": False,
        "connector.bidirectional": False,
    }
    return both(common, side("p", "producer"), side("d", "consumer"))


MORIIO = Family(
    name="moriio",
    about="MoRIIOConfig.from_vllm_config and supports_hma of each side; get_moriio_remote_tp_rank, "
    "validate_moriio_heterogeneous_tp_kv_heads, validate_write_tp_topology, compute_write_tp_mapping, "
    "_check_peer_block_size and _compute_read_attention_offsets (0.33), compute_block_transfer_offsets; 0.24 compares no "
    "TP sizes",
    sizes={"0.24.0": 2000, "0.33.0": 4000},
    dimensions=_dimensions,
    likely={"attention": 0.3, "mode": 0.5, "block": 0.6, "kv": 0.7, "keys": 0.97, "hma": 0.97},
    alike={"mode": 0.85, "tp": 0.6, "block": 0.85, "kv": 0.85},
    fields=_fields,
    others={
        "attention": ["gqa:10", "gqa:3", "gqa:5", "gqa:20", "mla"],
        "tp": [10, 5, 12, 20, 24, 32, 2, 1],
        "block": [8, 48, 96, 256],
    },
    labels={
        "two protocols": "read_mode is not exchanged: one side waits to be read, the other to be written",
        "rank meets rank": "0.24: rank r asks rank r of the other side, and no TP size is compared: with unequal sizes "
        "ranks wait for a peer that is not there, or miss heads (moriio_connector.py of 0.24, read, not run)",
        "equal width": "no code of the connector compares element types of one width",
        "other blocks": "compute_block_transfer_offsets takes the blocks of every prompt, of two sizes, and pairs them by position",
        "stops": "compute_block_transfer_offsets raises for some length of the prompt: that request fails",
    },
)
