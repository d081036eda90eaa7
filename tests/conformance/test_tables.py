"""The tables themselves: enough cases, every pair of values, fair shares, one form for one content."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.conformance.families import FAMILIES
from tests.conformance.generate import SEED, candidates, drawn, drift, kept, main, single_changes, table_of
from tests.conformance.judge import Judge, deployment_text
from tests.conformance.tables import (
    ACCEPT,
    DATA,
    REJECT,
    STOPS,
    VERDICTS,
    WRONG,
    Row,
    Table,
    all_pairs,
    case_of,
    committed,
    key_of,
    load,
    packed,
    pairs_of,
    unpacked,
)
from tests.support import deployment_of

TABLES = committed()
PYTHON, SOURCE = os.environ.get("HETPD_VLLM_PYTHON"), os.environ.get("HETPD_VLLM_SOURCE")
"""An interpreter with torch and vLLM's dependencies, and a folder with an unpacked release of vLLM."""

RELEASES = ("0.24.0", "0.33.0")
LEAST_CASES = 100_000
LEAST_SHARE = 0.15


def test_there_are_a_hundred_thousand_cases_in_a_few_megabytes() -> None:
    assert sum(len(load(family, version).rows) for family, version in TABLES if version in RELEASES) >= LEAST_CASES
    assert sum(path.stat().st_size for path in DATA.glob("*.gz")) < 3_000_000


@pytest.mark.parametrize(("family", "version"), TABLES)
def test_every_pair_of_values_is_covered(family: str, version: str) -> None:
    table = load(family, version)
    covered = {pair for row in table.rows for pair in pairs_of(row.key)}
    assert all_pairs(table.dimensions) <= covered


@pytest.mark.parametrize(("family", "version"), TABLES)
def test_verdicts_have_fair_shares(family: str, version: str) -> None:
    shares = load(family, version).shares()
    bad = shares.get(WRONG, 0) + shares.get(STOPS, 0)
    assert min(shares[ACCEPT], shares[REJECT]) >= LEAST_SHARE
    assert bad == 0 or bad >= LEAST_SHARE


def test_all_tables_together_have_fair_shares() -> None:
    verdicts = Counter(row.verdict for family, version in TABLES for row in load(family, version).rows)
    assert verdicts.keys() == set(VERDICTS.values())
    assert min(verdicts.values()) >= LEAST_SHARE * verdicts.total()


@pytest.mark.parametrize(("family", "version"), TABLES)
def test_header_says_what_is_in_the_table(family: str, version: str) -> None:
    table = load(family, version)
    header = table.header
    assert (header["family"], header["version"], header["seed"]) == (family, version, SEED)
    assert header["cases"] == len(table.rows) == len({row.key for row in table.rows})
    assert header["dimensions"] == FAMILIES[family].dimensions(version)
    assert header["counts"] == {
        verdict: sum(row.verdict == verdict for row in table.rows) for verdict in VERDICTS.values()
    }


@pytest.mark.parametrize(("family", "version"), TABLES)
def test_what_is_wrong_says_on_what_evidence(family: str, version: str) -> None:
    table = load(family, version)
    labels = table.header["labels"]
    reasons = {table.reason(row) for row in table.rows if row.verdict == WRONG}
    assert reasons <= labels.keys()
    assert all(table.reason(row).partition(":")[0] in labels for row in table.rows if row.verdict == STOPS)


@pytest.mark.parametrize(("family", "version"), TABLES)
def test_one_table_has_one_form(family: str, version: str) -> None:
    table = load(family, version)
    data = (DATA / f"{family}-{version}.gz").read_bytes()
    assert packed(table) == data
    assert unpacked(data) == table


@pytest.mark.parametrize(("family", "version"), [entry for entry in TABLES if entry[0] != "config"])
def test_a_case_can_be_printed_as_a_deployment_file(family: str, version: str) -> None:
    table = load(family, version)
    for row in table.rows[:: len(table.rows) // 20]:
        deployment = deployment_of(deployment_text(family, table.case(row), version))
        assert [pool.role for pool in deployment.pools] == ["prefill", "decode"]
        assert len(deployment.handoffs) == 1


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.others])
def test_the_second_grid_has_other_values_that_can_be_written(name: str) -> None:
    family = FAMILIES[name]
    usual, other = family.dimensions("0.33.0"), family.other_dimensions("0.33.0")
    plain = {one.removeprefix("p_").removeprefix("d_") for one in usual} | {
        one for one in family.others if one.startswith("shared_")
    }
    assert family.others.keys() <= plain
    assert any(set(map(repr, other[one])) - set(map(repr, values)) for one, values in usual.items())
    for key in candidates(family, other, 20, random.Random("seed"))[:20]:
        text = deployment_text(name, case_of(key, other), "0.33.0")
        assert name == "config" or len(deployment_of(text).pools) == 2


def test_a_key_stands_for_its_case() -> None:
    dimensions = FAMILIES["placement"].dimensions("0.33.0")
    for case in single_changes(dimensions):
        assert case_of(key_of(case, dimensions), dimensions) == case


def test_drawing_is_repeatable_and_covers_every_pair() -> None:
    family = FAMILIES["mooncake"]
    dimensions = family.dimensions("0.33.0")
    first, second = (candidates(family, dimensions, 300, random.Random("seed")) for _ in range(2))
    assert first == second
    assert all_pairs(dimensions) <= {pair for key in first for pair in pairs_of(key)}
    assert drawn(family, dimensions, random.Random(1)) == drawn(family, dimensions, random.Random(1))


def test_what_is_kept_has_fair_shares_and_every_pair() -> None:
    family = FAMILIES["mooncake"]
    dimensions = family.dimensions("0.33.0")
    keys = candidates(family, dimensions, 3000, random.Random("seed"))
    verdicts = {key: (ACCEPT if index % 10 == 0 else REJECT, "") for index, key in enumerate(keys)}
    chosen = kept(keys, verdicts, 30, 800, random.Random("seed"))
    accepted = sum(verdicts[key][0] == ACCEPT for key in chosen)
    assert accepted / len(chosen) >= LEAST_SHARE
    assert all_pairs(dimensions) <= {pair for key in chosen for pair in pairs_of(key)}


def test_a_case_left_out_is_missed() -> None:
    table = load("moriio", "0.33.0")
    by_pair: dict[object, list[Row]] = {}
    for row in table.rows:
        for pair in pairs_of(row.key):
            by_pair.setdefault(pair, []).append(row)
    pair, rows = min(by_pair.items(), key=lambda entry: len(entry[1]))
    rest = Table(table.header, tuple(row for row in table.rows if row not in rows))
    assert pair in all_pairs(table.dimensions) - {one for row in rest.rows for one in pairs_of(row.key)}


def test_fields_with_one_value_are_in_no_tree() -> None:
    judge = Judge(load("moriio", "0.33.0"))
    assert "engine.version" not in judge._varying[0]
    assert "parallelism.tp" in judge._varying[0]


# -- regeneration ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not (PYTHON and SOURCE), reason="HETPD_VLLM_PYTHON and HETPD_VLLM_SOURCE name no interpreter with torch and no vLLM"
)
@pytest.mark.parametrize("family", ["placement", "mooncake", "config", "parallel", "mtp"])
def test_a_release_says_again_what_its_table_says(family: str) -> None:
    assert PYTHON is not None and SOURCE is not None
    version = Path(SOURCE).name.removeprefix("vllm-")
    if (family, version) not in TABLES:
        pytest.skip(f"there is no table of {version}")
    assert table_of(FAMILIES[family], version, PYTHON, Path(SOURCE)) == load(family, version)


def _fake_python(folder: Path, verdict: str) -> str:
    """Return an interpreter that says one verdict of every case."""
    path = folder / "python"
    path.write_text(
        "#!/bin/sh\n"
        f"exec {shutil.which('python3')} -c 'import json, sys; "
        f'json.dump([["{verdict}", "said"]] * len(json.load(sys.stdin)), sys.stdout)\'\n'
    )
    path.chmod(0o755)
    return str(path)


def test_drift_names_the_cases_that_differ(tmp_path: Path) -> None:
    said = drift("moriio", "0.99.0", _fake_python(tmp_path, REJECT), tmp_path)
    table = load("moriio", "0.33.0")
    differing = sum(row.verdict != REJECT for row in table.rows)
    assert f"{differing} of {len(table.rows)} cases differ" in said
    # The usual pair, accepted until now, comes first.
    assert said.splitlines()[1].endswith("reject (said): {}")


def test_another_seed_prints_how_hetpd_compares_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in DATA.iterdir()}
    words = ["moriio", "--version", "0.33.0", "--python", _fake_python(tmp_path, ACCEPT), "--source", str(tmp_path)]
    main([*words, "--seed", "7", "--other-values", "--size", "40"])
    assert "cases differ" in capsys.readouterr().out
    assert {path.name: path.stat().st_mtime_ns for path in DATA.iterdir()} == before


def test_the_script_prints_drift_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in DATA.iterdir()}
    python = _fake_python(tmp_path, ACCEPT)
    main(["moriio", "--version", "0.99.0", "--python", python, "--source", str(tmp_path), "--drift"])
    assert "moriio" in capsys.readouterr().out
    assert {path.name: path.stat().st_mtime_ns for path in DATA.iterdir()} == before


def test_an_oracle_that_fails_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        drift("moriio", "0.33.0", str(shutil.which("false")), tmp_path)
