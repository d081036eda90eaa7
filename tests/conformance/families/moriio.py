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
        "engine.hybrid_kv_manager": True,
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
    about="0.33: validate_write_tp_topology, compute_write_tp_mapping, _check_peer_block_size and "
    "validate_moriio_heterogeneous_tp_kv_heads; 0.24 has no check between the sides: all of it is labelled",
    sizes={"0.24.0": 2000, "0.33.0": 4000},
    dimensions=lambda version: {
        "attention": ["gqa:8", "gqa:1", "gqa:2", "gqa:4", "gqa:12", "mla"],
        **{f"{side}_{name}": values for name, values in _COMPARED.items() for side in ("p", "d")},
    },
    likely={"attention": 0.3, "mode": 0.5, "block": 0.6, "kv": 0.7},
    alike={"mode": 0.85, "tp": 0.35, "block": 0.85, "kv": 0.85},
    fields=_fields,
    labels={
        "two protocols": "read_mode is not exchanged: one side waits to be read, the other to be written",
        "rank meets rank": "0.24: rank r asks rank r of the other side, and no TP size is compared: with unequal sizes "
        "ranks wait for a peer that is not there, or miss heads (moriio_connector.py of 0.24, read, not run)",
        "equal width": "no code of the connector compares element types of one width",
        "other blocks": "blocks are copied as units and nothing in this mode or release compares how many tokens they hold",
    },
)
