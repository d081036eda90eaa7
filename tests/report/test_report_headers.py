"""The header of each input: the shape of its pools, what runs on them, how much is known."""

from __future__ import annotations

import pytest
from sample_reports import DEPLOYMENT, PATH, at, finding, pools, report

from hetpd_cli.findings import FactCounts, InputReport, PoolReport
from hetpd_cli.report import Options, concise, full


def header(*given: PoolReport, options: Options = Options(), **fields: object) -> list[str]:
    """The lines of the header of an input with these pools."""
    item = InputReport(PATH, "hetpd", "checked", pools=given)._replace(**fields)
    return full.render(report(inputs=(item,)), options).split("\n\n")[0].splitlines()


def shape(**fields: object) -> str:
    (pool, _) = pools()
    (first, _) = header(pool._replace(**fields))
    return first.removeprefix(f"{PATH} (hetpd): ")


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, "prefill 4 x TP1 (1 device each)"),
        ({"workers": 1, "devices_per_worker": 8}, "prefill 1 x TP1 (8 devices)"),
        ({"workers": None}, "prefill TP1 (1 device each)"),
        ({"accelerator": "h100", "devices_per_worker": 8}, "prefill 4 x TP1 (8 h100 each)"),
        ({"accelerator": "h100", "devices_per_worker": None}, "prefill 4 x TP1 (h100)"),
        ({"parallelism": {"tp": 4, "pp": 1, "dp": 2, "ep": 8}}, "prefill 4 x TP4 DP2 EP8 (1 device each)"),
        ({"parallelism": {}}, "prefill 4 workers (1 device each)"),
        ({"parallelism": {}, "workers": None, "devices_per_worker": None}, "prefill"),
        ({"role": None, "name": "workers-a"}, "pool workers-a 4 x TP1 (1 device each)"),
    ],
)
def test_shape_of_a_pool(fields: dict[str, object], shown: str) -> None:
    assert shape(**fields) == shown


def test_pools_of_one_role_are_told_apart_by_name() -> None:
    prefill, decode = pools()
    first, _ = header(prefill._replace(name="prefill-a"), prefill._replace(name="b"), decode)
    shapes = first.removeprefix(f"{PATH} (hetpd): ").split(" · ")
    assert [one.partition(" (")[0] for one in shapes] == ["prefill-a 4 x TP1", "prefill b 4 x TP1", "decode TP8 DP2"]


def test_what_differs_between_pools_is_given_for_each() -> None:
    prefill, decode = pools()
    _, second = header(prefill, decode._replace(version="0.25.0", connector=None))
    assert second.split(" · ")[:3] == ["    Qwen/Qwen3-32B", "nixl", "vllm 0.24.0 / vllm 0.25.0"]


def test_counts_leave_out_origins_that_need_not_occur() -> None:
    _, second = header(*pools(), counts=FactCounts(3, 0, 0, 2, 5))
    assert second.endswith("facts: 3 stated, 0 default, 2 derived, 5 unknown")


def test_files_that_were_joined_are_named() -> None:
    _, second = header(*pools(), joined=("prod/prefill.yaml", "b.yaml"))
    assert "joined with prod/prefill.yaml, b.yaml" in second


def test_a_half_without_pools_of_its_own_says_where_the_rest_is() -> None:
    assert header(joined=("a.yaml",)) == [f"{PATH} (hetpd):", "    joined with a.yaml"]


def test_many_pools_and_many_inputs_are_cut() -> None:
    prefill, _ = pools()
    many = tuple(prefill._replace(name=f"p{number}") for number in range(9))
    assert header(*many)[0].endswith(" · and 5 more pools")
    assert len(header(*many, options=Options(verbose=True))[0].split(" · ")) == 9
    inputs = tuple(InputReport(f"{number}.yaml", None, "checked", pools=pools()) for number in range(14))
    rows = full.render(report(inputs=inputs), Options()).split("\n\n")[0].splitlines()
    assert (len(rows), rows[-1]) == (21, "and 4 more checked")


def test_nothing_is_wider_than_the_terminal() -> None:
    rows = header(*pools(), options=Options(width=80), joined=("prod/prefill.yaml",), counts=FactCounts(10, 9, 8, 7, 6))
    assert max(map(len, rows)) <= 80
    assert not any(row.lstrip().startswith("·") for row in rows)


def test_a_long_path_has_a_line_of_its_own() -> None:
    path = f"{'a' * 70}.yaml"
    lead, first, *rest = header(*pools(), options=Options(width=80), path=path)
    assert lead == f"{path} (hetpd):"
    assert first.startswith("    prefill 4 x TP1")
    assert max(map(len, (first, *rest))) <= 80


def test_only_the_full_report_has_headers_and_not_when_quiet() -> None:
    item = InputReport(PATH, "hetpd", "checked", pools=pools())
    given = report(finding(at(DEPLOYMENT, "fp16")), inputs=(item,), texts={PATH: DEPLOYMENT})
    assert full.render(given, Options(quiet=True)).startswith("error[HPD201]")
    assert len(concise.render(given, Options(quiet=True)).splitlines()) == 1
