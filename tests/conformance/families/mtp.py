"""Cases about drafts whose modules look ahead: which tokens of a prompt prefill leaves to decode (NIXL, pull)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conformance.families.base import Family, attention, kv
from tests.conformance.families.nixl import _pair, _sides

if TYPE_CHECKING:
    from tests.conformance.families.base import Fields
    from tests.conformance.tables import Case

_COMPARED: dict[str, list[Any]] = {
    "method": ["mtp", "eagle3", "none", "ngram"],
    "tokens": [2, 1, 3, 4, 5, 8],
    "block": [16, 32, 64, 128],
}


def _fields(case: Case, version: str) -> tuple[Fields, Fields]:
    def side(prefix: str) -> Fields:
        method = case[f"{prefix}_method"]
        draft: Fields = {"speculative.method": method}
        if method != "none":
            draft["speculative.tokens"] = case[f"{prefix}_tokens"]
        if method in {"mtp", "eagle3"}:
            draft |= {
                "speculative.revision": "main",
                "speculative.parallel_drafting": False,
                "speculative.kv_dtype_word": "bfloat16",
            }
        block = case[f"{prefix}_block"]
        cached = prefix == "d" and case["d_cache"]
        return {"kv.block_size": block, "kv.kernel_block_size": block, "engine.prefix_caching": cached, **draft}

    shared = {
        **attention(case["attention"]),
        **kv("bf16"),
        "parallelism.tp": 4,
        "model.mtp_layers": case["layers"],
    }
    return _pair("pull", version, shared, side("p"), side("d"))


MTP = Family(
    name="mtp",
    about="compute_nixl_compatibility_hash and add_remote_agent up to _validate_remote_agent_handshake, then "
    "_truncate_request_for_prefill, _get_remote_prefill_token_count and _read_blocks_for_req for every prompt of 1 to 300 "
    "tokens and every cache hit of decode; 0.24 leaves no token out for a draft, so there is no table of it",
    sizes={"0.24.0": 2000, "0.33.0": 2000},
    dimensions=lambda version: {
        "attention": ["mla", "gqa:8", "mamba2:8"],
        "layers": [2, 1, 3, 4],
        "d_cache": [False, True],
        **_sides(_COMPARED),
    },
    likely={"method": 0.7, "block": 0.4},
    alike={"method": 0.85, "tokens": 0.3, "block": 0.85},
    fields=_fields,
    labels={
        "never computed": "the scheduler's and the worker's functions ran: for some prompt, decode asks for tokens that "
        "prefill left out, and reads the end of a block that nobody wrote",
        "misplaced": "the same: for some prompt and cache hit, tokens are read into another place, or not at all",
        "stops": "the same: for some prompt an assertion or an error ends the reading",
    },
)
