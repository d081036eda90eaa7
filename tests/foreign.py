"""Readings of formats other than the deployment file, built by hand: what their readers will give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetpd_cli.deployment import CLOSED, Deployment, Handoff, Pool, Section, Stated
from hetpd_cli.sources.reader import Reading
from hetpd_cli.sources.text import Positions, SourceText

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hetpd_cli.places import Place

PREFILL = SourceText(
    "run/prefill.sh",
    """\
# the prefill side
vllm serve Qwen/Qwen3-32B \\
  --tensor-parallel-size 4 \\
  --kv-cache-dtype bfloat16 \\
  --block-size 16
""",
)
DECODE = SourceText(
    "run/decode.sh",
    """\
vllm serve Qwen/Qwen3-32B \\
  --tensor-parallel-size 4 \\
  --kv-cache-dtype fp8_e4m3 \\
  --block-size 16
""",
)
COMMON: Mapping[str, Any] = {
    "engine.name": ("vllm", "vllm"),
    "connector.name": ("nixl", "vllm serve"),
    "model.id": ("Qwen/Qwen3-32B", "Qwen/Qwen3-32B"),
    "parallelism.tp": (4, "4 "),
    "kv.block_size": (16, "16\n"),
}


def place(source: SourceText, token: str) -> Place:
    """Return where ``token`` first stands."""
    start = source.text.index(token)
    token = token.strip()
    return Positions(source).place(start, start + len(token))


def pool(source: SourceText, name: str, role: str, leaves: Mapping[str, tuple[Any, str]]) -> Pool:
    """Return a pool of a complete command line, each leaf a value with the token that says it."""
    section = Section("pool", place(source, "vllm serve"), CLOSED)
    section.stated = {path: Stated(value, place(source, token)) for path, (value, token) in leaves.items()}
    return Pool(name, role, place(source, "vllm serve"), section, shares_model=False)


def readings(
    prefill: SourceText = PREFILL, decode: SourceText = DECODE, more: Mapping[str, tuple[Any, str]] | None = None
) -> list[Reading]:
    """Return the readings of two scripts that make one deployment, held by the first; ``more`` leaves of both pools."""
    both = {**COMMON, **(more or {})}
    pools = (
        pool(prefill, "prefill", "prefill", both | {"kv.dtype": ("bf16", "bfloat16")}),
        pool(decode, "decode", "decode", both | {"kv.dtype": ("fp8_e4m3", "fp8_e4m3")}),
    )
    around = [Section(kind, None) for kind in ("workload", "router", "store")]
    join = Handoff("prefill", "decode", Section("handoff", None), explicit=False)
    deployment = Deployment(prefill.path, None, pools, (join,), (), *around)
    texts = (prefill, decode)
    return [
        Reading(prefill.path, "script", "checked", "", (deployment,), (), texts, joined=(decode.path,)),
        Reading(decode.path, "script", "checked", texts=texts, joined=(prefill.path,)),
    ]
