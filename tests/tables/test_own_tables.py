"""Tables of the user's own: what they add, what they override, and what is refused."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from hetpd_cli.resources import table_path
from hetpd_cli.tables import capability, cell, engine_default, row, use_own
from hetpd_cli.tables.own import MOST_FAULTS, TableError, read_folder
from tests.support import check_text

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    laid(tmp_path, "capabilities", "rows:\n  - {engine: other, connector: nixl, versions: '*', converts_dtype: true}\n")
    assert capability("other", "nixl", None, "converts_dtype").value is True


def test_no_folder_restores_the_built_in_tables(tmp_path) -> None:
    laid(tmp_path, "links", "rows:\n  - {id: our-link, kind: rdma, line_rate_gbit_per_s: 800}\n")
    assert cell("links", "our-link", "kind").value == "rdma"
    use_own([])
    assert cell("links", "our-link", "kind") is None


@pytest.mark.parametrize(
    ("name", "text", "line", "message"),
    [
        ("acelerators", "rows: []", None, "is no table, did you mean accelerators?"),
        ("links", "rows: 3", None, "no list of `rows`"),
        ("links", "rows: [3]", None, "no list of `rows`"),
        ("links", "- 1", None, "mapping"),
        ("links", "", None, "mapping"),
        ("links", "rows:\n  - kind: rdma", 2, "row 1 has no id"),
        ("links", "rows: [{id: 910, kind: rdma}]", 1, "row 1 has the id 910, which is no text"),
        ("links", "rows: [{id: '', kind: rdma}]", 1, "row 1 has the id '', which is no text"),
        ("links", "rows: [{id: x, note: [1]}]", 1, "row 1 has the note [1], which is no text"),
        ("links", "rows:\n  - id: x\n    knd: rdma", 3, "row 1 has knd, which is no column, did you mean kind?"),
        ("links", "rows: [{id: x, kind: 3}]", 1, "row 1 has in kind 3 where text is expected"),
        ("links", "rows:\n  - {id: y}\n  - {id: x, kind: rmda}", 3, "row 2 has in kind 'rmda', which is not known there, did you mean rdma?"),
        ("links", "rows: [{id: x, line_rate_gbit_per_s: fast}]", 1, "row 1 has in line_rate_gbit_per_s 'fast' where a number is expected"),
        ("links", "rows: [{id: x, line_rate_gbit_per_s: true}]", 1, "where a number is expected"),
        ("links", "rows: [{id: x, line_rate_gbit_per_s: -1}]", 1, "no quantity"),
        ("links", "rows: [{id: x, line_rate_gbit_per_s: .nan}]", 1, "no quantity"),
        ("links", "rows: [{id: x, line_rate_gbit_per_s: {value: .inf}}]", 1, "no quantity"),
        ("links", f"rows: [{{id: x, line_rate_gbit_per_s: {'9' * 400}}}]", 1, "no quantity"),
        ("links", "rows: [{id: x, leaves_host: 1}]", 1, "row 1 has in leaves_host 1 where true or false is expected"),
        ("links", "rows: [{id: x, kind: {valu: rdma}}]", 1, "row 1 has in kind valu; a cell has value, source, confidence"),
        ("links", "rows: [{id: x, kind: {value: rdma, confidence: sure}}]", 1, "the confidence sure, not seen, derived, unverified"),
        ("links", "rows: [{id: x, kind: {value: rdma, confidence: [seen]}}]", 1, "the confidence"),
        ("links", "rows: [{id: x, kind: {value: rdma, source: {a: 1}}}]", 1, "a source that is no text"),
        ("links", "rows: [{id: x, kind: {value: rdma, source: []}}]", 1, "a source that is no text"),
        ("links", "rows: [{id: x, aliases: y}]", 1, "row 1 has aliases that are no list"),
        ("links", "rows: [{id: x, aliases: [{a: 1}]}]", 1, "row 1 has aliases that are no list"),
        ("models", "rows: [{id: x, attention_kind: glq}]", 1, "did you mean gqa?"),
        ("models", "rows: [{id: x, layers: 28.5}]", 1, "row 1 has in layers 28.5 where a whole number is expected"),
        ("accelerators", "rows: [{id: x, formats: [bf16, fp7]}]", 1, "row 1 has in formats 'fp7', which is not known there, did you mean fp"),
        ("accelerators", "rows: [{id: x, formats: [FP8]}]", 1, "did you mean fp8?"),
        ("accelerators", "rows: [{id: x, formats: [auto]}]", 1, "'auto', which is not known there"),
        ("accelerators", "rows: [{id: x, formats: bf16}]", 1, "where a list is expected"),
        ("accelerators", "rows: [{id: x, formats: [{a: 1}]}]", 1, "where text is expected"),
        ("accelerators", "rows: [{id: x, formats: [[bf16]]}]", 1, "where text is expected"),
        ("accelerators", "rows: [{id: x, formats: [3]}]", 1, "where text is expected"),
        ("engines", "rows: [{engine: vllm, versions: soon}]", 1, "row 1 has the versions 'soon', no range"),
        ("engines", "rows: [{engine: vllm, versions: 0.34}]", 1, "row 1 has the versions 0.34, which is no text"),
        ("engines", "rows: [{engine: vllm}]", 1, "row 1 has no versions"),
        ("engines", "rows: [{engine: '*', versions: '*'}]", 1, "row 1 has the engine '*'"),
        ("engines", "rows: [{engine: vlm, versions: '*'}]", 1, "row 1 has the engine 'vlm', did you mean vllm?"),
        ("engines", "rows: [{engine: vllm, connector: nixel, versions: '*'}]", 1, "the connector 'nixel', did you mean nixl?"),
        ("engines", "rows: [{engine: vllm, connector: {lease_s: 3}, versions: '*'}]", 1, "row 1 has the connector"),
        ("engines", "rows: [{engine: vllm, versions: '*', kv.blok_size: 1}]", 1, "which is no column, did you mean kv.block_size?"),
        ("engines", "rows: [{engine: vllm, versions: '*', lease_s: 1}]", 1, "which is no column, did you mean connector.lease_s?"),
        ("engines", "rows: [{engine: vllm, versions: '*', leases_s: 1}]", 1, "which is no column, did you mean connector.lease_s?"),
        ("engines", "rows: [{engine: vllm, versions: '*', workers: 2}]", 1, "which is no column"),
        ("engines", "rows: [{engine: vllm, versions: '*', kv.dtype: bf17}]", 1, "did you mean bf16?"),
        ("engines", "rows: [{engine: vllm, versions: '*', kv.dtype: auto}]", 1, "no value that an engine could default to"),
        ("engines", "rows: [{engine: vllm, versions: '*', kv.block_size: 0}]", 1, "block_size is 0"),
        ("engines", "rows: [{engine: vllm, versions: '*', kv.block_size: 1.5}]", 1, "where a whole number is expected"),
        ("engines", "rows: [{engine: vllm, versions: '*', kv.block_size: null}]", 1, "row 1 has in kv.block_size None"),
        ("engines", "rows: [{engine: vllm, versions: '*', connector.lease_s: -1}]", 1, "connector.lease_s is -1"),
        ("engines", "rows: [{engine: vllm, versions: '*', connector.side_channel.port: 70000}]", 1, "above 65535"),
        ("engines", "rows: [{engine: vllm, versions: '*', connector.permute_local_kv: 1}]", 1, "where true or false is expected"),
        ("capabilities", "rows: [{engine: vllm, versions: '*', carries: bytes}]", 1, "row 1 has no connector"),
        ("capabilities", "rows: [{engine: vllm, connector: nixl, versions: '*', carries: byte}]", 1, "did you mean bytes?"),
        ("links", "a: &a [1]\nrows: [*a]", 1, "anchors and aliases are not read in a table"),
        ("links", "rows: !!python/name:os.system []", 1, "tags are not read in a table"),
        ("links", "rows: [", 2, "expected node content"),
        ("links", "rows:\n- {id: x, kind: rdma, kind: tcp}", 2, "rows.0.kind stands twice, first in line 2"),
        ("links", "rows: " + "[" * 50_000, 1, "nest"),
        ("links", "rows:\n" + "- {id: x, kind: rdma, leaves_host: true}\n" * 20_000, 14_287, "more than"),
        ("links", "# " + "x" * 2**20, None, "MiB"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_and_changes_nothing(tmp_path, name, text, line, message) -> None:
    begun = time.perf_counter()
    with pytest.raises(TableError) as caught:
        laid(tmp_path, name, text)
    assert time.perf_counter() - begun < 8
    (fault,) = str(caught.value).splitlines()
    assert fault.startswith(f"{tmp_path}/{name}.yaml" + (f":{line}: " if line else ""))
    assert message in fault
    assert cell("links", "x", "kind") is None


# -- spellings -------------------------------------------------------------------------------------------------


def test_values_are_taken_in_the_spellings_of_a_deployment_file(tmp_path) -> None:
    laid(tmp_path, "accelerators", "rows: [{id: x, vendor: nvidia, formats: [bfloat16, half, fp8, fp8_e4m3fn]}]\n")
    assert cell("accelerators", "x", "formats").value == ("bf16", "fp16", "fp8_e4m3")
    assert cell("accelerators", "x", "vendor").value == "NVIDIA"
    laid(tmp_path, "models", "rows: [{id: x/y, native_weight_dtype: float16, layers: 28.0}]\n")
    assert cell("models", "x/y", "native_weight_dtype").value == "fp16"
    assert repr(cell("models", "x/y", "layers").value) == "28"
    laid(
        tmp_path,
        "engines",
        "rows: [{engine: trtllm, connector: [NixlConnector, mori], versions: '*', kv.dtype: bfloat16, "
        "connector.lease_s: 120s, connector.mode: read}]\n",
    )
    for connector in ("nixl", "moriio"):
        assert engine_default("tensorrt-llm", "1.0", connector, "kv.dtype").value == "bf16"
        assert engine_default("tensorrt-llm", "1.0", connector, "connector.lease_s").value == 120


DEVICE = "rows: [{id: our-npu, formats: [bfloat16]}]\n"
ON_OUR_DEVICE = """hetpd: 1
model: Qwen/Qwen3-32B
defaults: {precision: {weights: bf16, activations: bf16}, kv: {dtype: bf16}, accelerator: our-npu}
pools: [{name: p, role: prefill}, {name: d, role: decode}]
"""


def test_a_format_in_another_spelling_makes_no_false_alarm(tmp_path) -> None:
    laid(tmp_path, "accelerators", DEVICE)
    assert "HPD101" not in {found.code for found in check_text(ON_OUR_DEVICE).findings}
    laid(tmp_path, "accelerators", DEVICE.replace("bfloat16", "int8"))
    assert "HPD101" in {found.code for found in check_text(ON_OUR_DEVICE).findings}


@pytest.mark.parametrize("name", ["accelerators", "links", "models", "capabilities", "engines"])
def test_the_built_in_tables_pass_for_a_users_own_and_say_the_same_then(tmp_path, name) -> None:
    rows = yaml.safe_load(table_path(name).read_text())["rows"]
    (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"rows": rows}))
    (sheet,) = read_folder(str(tmp_path))
    assert sheet.rows == rows
    assert len(set(sheet.lines)) == len(rows)


# -- several faults, files, folders ----------------------------------------------------------------------------


def test_faults_come_in_the_order_of_the_file_and_are_not_endless(tmp_path) -> None:
    columns = [f"column_{number}" for number in range(20)]
    text = "rows:\n  - id: x\n" + "".join(f"    {column}: 1\n" for column in columns)
    with pytest.raises(TableError) as caught:
        laid(tmp_path, "links", text)
    lines = str(caught.value).splitlines()
    assert [line.split()[4].rstrip(",") for line in lines] == columns
    assert [int(line.split(":")[1]) for line in lines] == list(range(3, 23))
    with pytest.raises(TableError) as caught:
        laid(tmp_path, "links", "rows:\n" + "  - {id: 1}\n" * 200)
    assert len(str(caught.value).splitlines()) == MOST_FAULTS + 1


@pytest.mark.parametrize(
    ("rows", "line", "words"),
    [
        ("rows:\n  - {id: x}\n  - {id: h200, aliases: [h100-sxm]}", 3, ["row 2", "h200-sxm", "h100-sxm"]),
        ("rows:\n  - {id: h100, memory_gb: 70}\n  - {id: h100-sxm, memory_gb: 75}", 3, ["row 2", "row 1"]),
        ("rows:\n  - {id: x}\n  - {id: z}\n  - {id: y, aliases: [X]}", 4, ["row 3", "row 1"]),
    ],
)
def test_a_name_of_two_rows_is_refused_with_file_and_rows(tmp_path, rows, line, words) -> None:
    with pytest.raises(TableError) as caught:
        laid(tmp_path, "accelerators", rows)
    (fault,) = str(caught.value).splitlines()
    assert fault.startswith(f"{tmp_path}/accelerators.yaml:{line}: ")
    for word in words:
        assert word in fault


def test_a_later_folder_comes_before_an_earlier_one_and_adds_to_it(tmp_path) -> None:
    for name, text in (("a", "{id: x, memory_gb: 1, tdp_w: 5}"), ("b", "{id: y, aliases: [X], memory_gb: 2}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "accelerators.yaml").write_text(f"rows: [{text}]")
    use_own([str(tmp_path / "a"), str(tmp_path / "b")])
    assert [cell("accelerators", "y", column).value for column in ("memory_gb", "tdp_w")] == [2, 5]
    use_own([str(tmp_path / "a")])
    assert cell("accelerators", "x", "memory_gb").value == 1
    assert cell("accelerators", "y", "memory_gb") is None


def test_two_files_of_one_table_are_refused(tmp_path) -> None:
    (tmp_path / "links.yml").write_text("rows: []")
    use_own([str(tmp_path)])
    with pytest.raises(TableError, match=r"links\.yml stands beside links\.yaml"):
        laid(tmp_path, "links", "rows: []")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: Path(path).symlink_to("/dev/zero")])
def test_only_regular_files_are_read(tmp_path, make) -> None:
    make(str(tmp_path / "links.yaml"))
    with pytest.raises(TableError, match=r"links\.yaml: is a"):
        use_own([str(tmp_path)])


@pytest.mark.parametrize("folder", ["none", "nu\0l", "file"])
def test_a_folder_that_is_none_is_refused(tmp_path, folder) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TableError, match="cannot read the tables in"):
        use_own([f"{tmp_path}/{folder}"])
