"""Formulas: known figures, and the same result for a number and for an array."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetpd_cli.physics import flow, kv, operations
from hetpd_cli.tables import table

COUNTS = st.integers(1, 10**6)
FORMULAS = [
    function
    for module in (kv, flow, operations)
    for name, function in vars(module).items()
    if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
]


@pytest.mark.parametrize("formula", FORMULAS, ids=[function.__name__ for function in FORMULAS])
@given(rows=st.lists(st.lists(COUNTS, min_size=4, max_size=4), min_size=1, max_size=5))
def test_an_array_gives_what_its_numbers_give(formula, rows) -> None:
    operands = len(inspect.signature(formula).parameters)
    columns = [list(column) for column in zip(*rows, strict=True)][:operands]
    if formula is operations.where:
        columns[0] = [value % 2 == 0 for value in columns[0]]
    expected = [formula(*values) for values in zip(*columns, strict=True)]
    found = formula(*(np.array(column, dtype=bool if isinstance(column[0], bool) else float) for column in columns))
    assert isinstance(found, np.ndarray)
    assert found.tolist() == pytest.approx(expected, rel=1e-12)
    assert all(isinstance(value, int | float) for value in expected)


def test_a_number_beside_an_array_is_spread() -> None:
    assert kv.head_copies(np.array([1, 4, 8]), 4).tolist() == [1, 1, 2]
    assert operations.ceil(np.array([1.2, 3.0])).tolist() == [2, 3]
    assert operations.minimum(2, np.array([1, 3])).tolist() == [1, 2]


def test_numbers_do_not_import_numpy() -> None:
    code = (
        "import sys; from hetpd_cli.physics import flow, kv, operations as o; kv.head_copies(8, 4); o.minimum(1, 2.5);"
        "o.where(True, 1, 2); o.ceil(1.5); flow.transfer_s(1, 2, 3); sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("layers", "kv_heads", "head_dim", "element", "expected"),
    [
        (64, 8, 128, "bf16", 262_144),  # Qwen3-32B
        (64, 8, 128, "fp8_e4m3", 131_072),
        (94, 4, 128, "bf16", 192_512),  # Qwen3-235B-A22B
        (36, 8, 128, "bf16", 147_456),  # Qwen3-8B
        (80, 8, 128, "fp16", 327_680),  # Llama-3-70B
        (80, 8, 128, "int4", 81_920),
    ],
)
def test_bytes_per_token_of_heads(layers, kv_heads, head_dim, element, expected) -> None:
    assert kv.heads_bytes_per_token(layers, kv_heads, head_dim, kv.ELEMENT_BYTES[element]) == expected


def test_bytes_per_token_of_a_latent() -> None:
    assert kv.latent_bytes_per_token(61, 512, 64, 2) == 61 * 576 * 2 == 70_272  # DeepSeek-V3


def test_bytes_per_token_agree_with_the_model_table() -> None:
    """The table's column was computed elsewhere; models with layers of several kinds are not comparable."""
    compared, differing = 0, []
    for row in table("models")["rows"]:
        cells = {name: raw["value"] for name, raw in row.items() if isinstance(raw, dict) and "value" in raw}
        latent = cells.get("attention_kind") == "mla"
        if cells.get("hybrid") or cells.get("windowed") or cells.get("attention_kind") == "dsa":
            continue
        names = ("layers", "kv_lora_rank", "rope_head_dim") if latent else ("layers", "kv_heads", "head_dim")
        formula = kv.latent_bytes_per_token if latent else kv.heads_bytes_per_token
        compared += 1
        if formula(*(cells[name] for name in names), 2) != cells["kv_bytes_per_token_bf16"]:
            differing.append(row["id"])
    assert compared > 40
    assert differing == ["nvidia/Llama-3_3-Nemotron-Super-49B-v1"]  # some of its layers have no attention


def test_copies_of_heads() -> None:
    assert kv.head_copies(8, 4) == 2
    assert kv.head_copies(4, 8) == 1
    assert kv.request_bytes(1, 192_512, kv.head_copies(8, 4)) == 385_024


def test_a_request_of_4k_tokens_of_qwen3_32b() -> None:
    assert kv.request_bytes(4096, 262_144) == pytest.approx(1.07e9, rel=0.01)


def test_transfer_times_of_mooncake() -> None:
    """Qwen3-8B over 8 x CX-7: the published 31.65 ms for 32K tokens, with 0.38 ms and 146 GB/s."""
    moved = kv.request_bytes(32 * 1024, 147_456)
    assert flow.transfer_s(moved, 146e9, 0.38e-3) == pytest.approx(31.65e-3, rel=0.07)


def test_rates_and_counts() -> None:
    assert flow.line_bytes_per_s(400) == 50e9
    assert flow.in_system(1.62, 30) == pytest.approx(48.6)
    assert flow.egress_bytes_per_s(10_000, 262_144) == 2_621_440_000
