"""Tables of the user's own: what they add, what they override, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hetpd_cli.tables import capability, cell, engine_default, row, use_own
from hetpd_cli.tables.own import TableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def built_in_tables() -> Iterator[None]:
    yield
    use_own([])


def laid(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    use_own([str(folder)])


def test_a_new_device(tmp_path) -> None:
    laid(
        tmp_path,
        "accelerators",
        "rows:\n  - {id: our-npu, aliases: [npu1], vendor: Ours, formats: [bf16], memory_gb: 96}\n",
    )
    found = cell("accelerators", "NPU1", "memory_gb")
    assert found == (96, (f"{tmp_path}/accelerators.yaml",), "seen")
    assert cell("accelerators", "our-npu", "vendor").value == "Ours"
    assert cell("accelerators", "h200", "vendor").value == "NVIDIA"


def test_a_cell_of_a_built_in_row(tmp_path) -> None:
    before = cell("accelerators", "h200", "formats")
    laid(
        tmp_path,
        "accelerators",
        "rows:\n  - {id: h200, aliases: [h200-slice], memory_gb: {value: 70, source: us, confidence: derived}}\n",
    )
    assert cell("accelerators", "h200", "memory_gb") == (70, ("us",), "derived")
    assert cell("accelerators", "h200-slice", "formats") == before
    assert row("accelerators", "H200")["id"] == row("accelerators", "h200-slice")["id"]


def test_rows_by_version_come_first(tmp_path) -> None:
    laid(
        tmp_path,
        "engines",
        "rows:\n  - {engine: vllm, connector: nixl, versions: '>=0.24,<0.25', connector.lease_s: 60}\n",
    )
    assert engine_default("vllm", "0.24.0", "nixl", "connector.lease_s").value == 60
    assert engine_default("vllm", "0.25.0", "nixl", "connector.lease_s").value == 30
    laid(tmp_path, "capabilities", "rows:\n  - {engine: ours, connector: nixl, versions: '*', converts_dtype: true}\n")
    assert capability("ours", "nixl", None, "converts_dtype").value is True


def test_no_folder_restores_the_built_in_tables(tmp_path) -> None:
    laid(tmp_path, "links", "rows:\n  - {id: our-link, kind: rdma, line_rate_gbit_per_s: 800}\n")
    assert cell("links", "our-link", "kind").value == "rdma"
    use_own([])
    assert cell("links", "our-link", "kind") is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("acelerators", "rows: []", "is no table, did you mean accelerators?"),
        ("links", "rows: 3", "no list of `rows`"),
        ("links", "- 1", "no list of `rows`"),
        ("links", "rows: [3]", "no list of `rows`"),
        ("links", "rows: [{kind: rdma}]", "row 1 has no id"),
        ("links", "rows: [{id: x, knd: rdma}]", "row 1 has knd, which is no column, did you mean kind?"),
        ("links", "rows: [{id: x, kind: 3}]", "row 1 has in kind 3 where text is expected"),
        ("links", "rows: [{id: x, line_rate_gbit_per_s: fast}]", "row 1 has in line_rate_gbit_per_s 'fast' where a number is expected"),
        ("links", "rows: [{id: x, leaves_host: 1}]", "row 1 has in leaves_host 1 where true or false is expected"),
        ("links", "rows: [{id: x, kind: {valu: rdma}}]", "row 1 has in kind valu; a cell has value, source, confidence"),
        ("links", "rows: [{id: x, kind: {value: rdma, confidence: sure}}]", "the confidence sure, not seen, derived, unverified"),
        ("links", "rows: [{id: x, aliases: y}]", "row 1 has aliases that are no list"),
        ("engines", "rows: [{engine: vllm, versions: soon}]", "row 1 has the versions 'soon', no range"),
        ("engines", "rows: [{engine: vllm, versions: '*', kv.blok_size: 1}]", "which is no column, did you mean kv.block_size?"),
        ("links", "a: &a [1]\nrows: [*a]", "aliases are not taken in a table"),
        ("links", "rows: !!python/name:os.system []", "could not determine a constructor"),
        ("links", "rows: [", "expected the node content"),
        ("accelerators", "rows: [{id: h200, aliases: [h100-sxm]}]", "names two rows"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_and_changes_nothing(tmp_path, name, text, message) -> None:
    with pytest.raises(TableError) as caught:
        laid(tmp_path, name, text)
    assert message in str(caught.value)
    assert cell("links", "x", "kind") is None


def test_a_missing_folder_is_refused(tmp_path) -> None:
    with pytest.raises(TableError):
        use_own([str(tmp_path / "none")])
