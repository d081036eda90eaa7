"""Reports built by hand, for the tests of the renderers."""

from __future__ import annotations

from hetpd_cli.findings import (
    CELLS,
    Evidence,
    FactCounts,
    FactView,
    Finding,
    InputReport,
    LabelledPlace,
    Need,
    PoolReport,
    Report,
    Tally,
    Undecided,
)
from hetpd_cli.places import Place

DEPLOYMENT = """\
hetpd: 1
model: Qwen/Qwen3-32B
pools:
  - name: prefill-c600
    role: prefill
    kv: {dtype: fp16, block_size: 16}
    connector: {name: nixl, mode: pull}
  - name: decode-h200
    role: decode
    kv: {dtype: bf16, block_size: 128}
    connector:
      name: nixl
      mode: push
"""
PATH = "prod/deploy.yaml"
BASE = "prod/base.yaml"


def place(text: str, token: str, nth: int = 1, path: str = PATH) -> Place:
    """The place of the ``nth`` occurrence of ``token``."""
    start = -1
    for _ in range(nth):
        start = text.index(token, start + 1)
    end = start + len(token)
    before, upto = text[:start], text[:end]
    return Place(
        path,
        before.count("\n") + 1,
        start - before.rfind("\n"),
        upto.count("\n") + 1,
        end - upto.rfind("\n"),
        start,
        end,
    )


def finding(*places: LabelledPlace, message: str = "something is wrong", **fields: object) -> Finding:
    given = {"code": "HPD201", "name": "kv-dtype-mismatch", "severity": "error", "impact": "silent"} | fields
    return Finding(message=message, places=places, **given)  # type: ignore[arg-type]


def report(*findings: Finding, texts: dict[str, str] | None = None, **fields: object) -> Report:
    given: dict[str, object] = {
        "inputs": (InputReport(PATH, "hetpd", "checked"),),
        "undecided": (),
        "matrix": dict.fromkeys(CELLS, "not analysed"),
        "tally": Tally(held=3, violated=len(findings)),
        "rules": 3 + len(findings),
        "settling": (),
    }
    given |= fields
    if given["tally"].held:  # type: ignore[attr-defined]
        given.setdefault("decided", frozenset({PATH}))
    return Report(findings=findings, texts={} if texts is None else texts, **given)  # type: ignore[arg-type]


def at(text: str, token: str, label: str = "here", nth: int = 1, path: str = PATH) -> LabelledPlace:
    """A primary place."""
    return LabelledPlace(place(text, token, nth, path), label, primary=True)


def also(text: str, token: str, label: str = "there", nth: int = 1, path: str = PATH) -> LabelledPlace:
    """A place that is not primary."""
    return LabelledPlace(place(text, token, nth, path), label)


def pools() -> tuple[PoolReport, ...]:
    """Four prefill workers and a decode worker of which less is known."""
    names = place(DEPLOYMENT, "prefill-c600"), place(DEPLOYMENT, "decode-h200")
    model, degrees = "Qwen/Qwen3-32B", {"tp": 8, "pp": 1, "dp": 2}
    return (
        PoolReport("prefill-c600", "prefill", 4, 1, {"tp": 1}, None, model, "vllm", "0.24.0", "nixl", names[0]),
        PoolReport("decode-h200", "decode", None, None, degrees, "h200-sxm", model, "vllm", None, "nixl", names[1]),
    )


def example() -> Report:
    """Two errors and a warning, one boundary, some facts unknown."""
    boundary = "prefill-c600 -> decode-h200"
    written, read = place(DEPLOYMENT, "fp16"), place(DEPLOYMENT, "bf16")
    dtype = Finding(
        code="HPD201",
        name="kv-dtype-mismatch",
        severity="error",
        message="prefill-c600 writes KV as fp16, decode-h200 reads it as bf16",
        places=(
            LabelledPlace(written, "KV written as fp16", primary=True),
            LabelledPlace(read, "KV read as bf16"),
        ),
        why="The transport moves raw buffers and does not negotiate what the bytes mean. At equal width "
        "nothing notices and decode computes on garbage; at unequal width the handshake or the first "
        "transfer fails.",
        fix="set kv.dtype to the same element type on both pools, or declare the component that converts it "
        "under handoffs",
        impact="silent",
        decision="representation",
        cell="T4",
        practice=("BP-4", "BP-5"),
        boundaries=(boundary,),
        facts=(
            FactView("prefill.kv.dtype", "fp16", None, "stated", written),
            FactView("decode.kv.dtype", "bf16", None, "stated", read),
            FactView("handoff.converts_dtype", False, None, "derived", None, None, "from handoff.conversion"),
        ),
        evidence=(
            Evidence(
                "paper",
                "arXiv 2606.29708, sections 1 and 4.1",
                "transfer engines move buffers and leave dtype and scales to the two ends",
            ),
            Evidence(
                "source-code",
                "vllm/distributed/kv_transfer/kv_connector/v1/nixl/metadata.py",
                "the compatibility hash holds the KV cache dtype, so NIXL with the hash on refuses the pair",
                "vllm >=0.24,<0.34",
            ),
        ),
        identity=("a=1",),
    )
    mode = Finding(
        code="HPD405",
        name="transfer-direction-mismatch",
        severity="error",
        message="prefill-c600 waits to be pulled from, decode-h200 waits to be pushed to",
        places=(
            also(DEPLOYMENT, "pull", "waits for a pull"),
            at(DEPLOYMENT, "push", "waits for a push"),
        ),
        why="Neither side starts the transfer, so every request waits until its lease expires.",
        fix="mode: pull",
        impact="hang",
        decision="ownership",
        cell="T6",
        boundaries=(boundary,),
    )
    lease = Finding(
        code="HPD402",
        name="lease-shorter-than-queue",
        severity="warning",
        message="decode-h200 may queue a request for 41.2 s, prefill-c600 keeps its blocks for 30 s",
        places=(at(DEPLOYMENT, "nixl", "lease of 30 s by default"),),
        why="Blocks are freed while decode still waits to read them.",
        fix="connector.lease_s: 60",
        impact="silent",
        confidence="likely",
        cell="T6",
        boundaries=(boundary,),
        facts=(
            FactView("prefill.connector.lease_s", 30, "s", "default", None, None, "of vllm 0.24.0"),
            FactView("decode.queue_wait_s", 41.2, "s", "derived", None, None, "from workload.rate"),
        ),
    )
    undecided = Undecided(
        "HPD204",
        "kv-layout-mismatch",
        "T4",
        (boundary,),
        (
            Need("prefill.kv.layout", "not stated in an open file", place(DEPLOYMENT, "prefill-c600")),
            Need("decode.kv.layout", "not stated in an open file"),
        ),
    )
    verdicts = ("holds", "undecided", "not applicable", "violated", "holds", "violated", "open", "open")
    return Report(
        inputs=(
            InputReport(PATH, "hetpd", "checked", "", (boundary,), pools(), FactCounts(10, 1, 6, 12, 30), (BASE,)),
            InputReport("prod/values.yaml", None, "not-pd", "no pool has a prefill or decode role"),
        ),
        findings=(dtype, mode, lease),
        undecided=(undecided,),
        matrix=dict(zip(CELLS, (*verdicts, "not analysed", "not analysed"), strict=True)),
        tally=Tally(held=11, violated=3, undecided=1, not_applicable=2),
        rules=17,
        settling=(("decode.kv.layout", 1), ("prefill.kv.layout", 1)),
        texts={PATH: DEPLOYMENT},
    )
