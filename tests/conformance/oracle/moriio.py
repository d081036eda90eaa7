"""MoRIIO: the checks of 0.33; what 0.24 does not check is labelled."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.conformance.oracle.raised import splits_heads, where


def judge_moriio(case: dict[str, Any], version: str) -> tuple[str, str]:
    """Return the verdict on a case."""
    kind, _, heads = case["attention"].partition(":")
    try:
        for side in ("p", "d"):
            splits_heads(int(heads or 1), case[f"{side}_tp"], latent=kind == "mla")
    except AssertionError as error:
        return "reject", f"at start: {where(error)}"
    if case["p_mode"] != case["d_mode"]:
        return "reject", "two protocols"
    if version < "0.33":
        if case["p_tp"] != case["d_tp"]:
            return "reject", "rank meets rank"
    else:
        try:
            _checks(case, kind == "mla", int(heads or 1))
        except Exception as error:
            return "reject", where(error)
    if case["p_block"] != case["d_block"]:
        return "wrong", "other blocks"
    if case["p_kv"] != case["d_kv"]:
        return "wrong", "equal width"
    return "accept", ""


def _checks(case: dict[str, Any], mla: bool, heads: int) -> None:
    from vllm.distributed.kv_transfer.kv_connector.v1.moriio import moriio_connector, moriio_tp_mapping

    prefill, decode = case["p_tp"], case["d_tp"]
    if case["p_mode"] == "pull":
        for local, remote in ((prefill, decode), (decode, prefill)):
            moriio_connector.validate_moriio_heterogeneous_tp_kv_heads(local, remote, heads, mla)
        moriio_connector.get_moriio_expected_ack_count(prefill, decode)
        return
    moriio_tp_mapping.validate_write_tp_topology(prefill, decode, heads, mla)
    for rank in range(prefill):
        moriio_tp_mapping.compute_write_tp_mapping(rank, prefill, decode, heads, mla, False)
    worker = SimpleNamespace(attention_block_sizes={"layer": case["p_block"]})
    peer = SimpleNamespace(attention_block_sizes={"layer": case["d_block"]})
    moriio_connector.MoRIIOConnectorWorker._check_peer_block_size(worker, "layer", peer)
