"""Every example gives exactly the findings that stand beside it; run as a program, this rewrites them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hetpd_cli.cli.app import run
from hetpd_cli.cli.init import about
from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.report import Options, concise
from hetpd_cli.sources.inputs import find
from hetpd_cli.sources.text import Limits

if TYPE_CHECKING:
    from hetpd_cli.deployment import Section
    from hetpd_cli.places import Place
    from hetpd_cli.sources.reader import Reading

EXAMPLES = Path(__file__).parent.parent / "examples"
FILES = sorted([*EXAMPLES.glob("*.yaml"), *(EXAMPLES / "as-deployed").iterdir()])
README = EXAMPLES / "README.md"


def reading_of(path: Path) -> Reading:
    """Return what a file declares, made a deployment of."""
    (reading,) = find([str(path)]).readings(Limits())
    return reading


def findings_of(path: Path) -> str:
    """Return one line a finding, with paths from the folder of the examples."""
    report = check([reading_of(path)], catalogue())
    return concise.render(report, Options(quiet=True, show_paths_from=str(EXAMPLES)))


def expected_beside(path: Path) -> Path:
    return EXAMPLES / "expected" / f"{path.stem}.txt"


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_an_example_gives_its_expected_findings(path) -> None:
    assert findings_of(path) == expected_beside(path).read_text(encoding="utf-8")


def test_nothing_is_expected_of_a_missing_example() -> None:
    assert {path.stem for path in FILES} == {path.stem for path in (EXAMPLES / "expected").iterdir()}


def _places(section: Section, own: Place | None = None) -> set[Place]:
    """Return where a pool or handoff stands, and its values: those that `defaults` or the deployment give it too."""
    return {stated.place for stated in section.stated.values() if stated.place} | ({own} if own else set())


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_finding_over_two_pools_has_a_place_on_each_side(path) -> None:
    """Each side of each boundary that it lists, or the handoff between them, which belongs to both."""
    reading = reading_of(path)
    (deployment,) = reading.deployments
    pools = {pool.name: _places(pool.settings, pool.place) for pool in deployment.pools}
    handoffs = {f"{handoff.prefill} -> {handoff.decode}": _places(handoff.settings) for handoff in deployment.handoffs}
    over = {rule.code: rule.data["over"] for rule in catalogue()}
    for finding in check([reading], catalogue()).findings:
        if over[finding.code] in {"boundary", "pair"}:
            spots = {spot.place for spot in finding.places}
            assert finding.boundaries, finding.code
            for boundary in finding.boundaries:
                shared = spots & handoffs.get(boundary, set())
                for side in boundary.split(" -> "):
                    assert shared or spots & pools[side], (finding.code, side)


def test_the_folder_as_a_whole_gives_the_sum_of_what_its_files_give(monkeypatch, capsys) -> None:
    monkeypatch.chdir(EXAMPLES)
    code = run(["check", "--quiet", "--format", "concise", "."])
    expected = "".join(expected_beside(path).read_text(encoding="utf-8") for path in FILES)
    shown = [line.replace("./", "") for line in capsys.readouterr().out.splitlines()]
    assert sorted(shown) == sorted(expected.splitlines())
    assert code == 1


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_the_table_of_the_examples_names_each_with_its_codes_and_exit_code(path, capsys) -> None:
    rows = re.findall(r"^\| \[(.+?)\]\((.+?)\) \| .+? \| (.+?) \| (\d) \|$", README.read_text("utf-8"), flags=re.M)
    assert [file for _, file, _, _ in rows] == [path.relative_to(EXAMPLES).as_posix() for path in FILES]
    ((name, _, finds, exit_code),) = (row for row in rows if row[1] == path.relative_to(EXAMPLES).as_posix())
    assert name == path.stem
    expected = re.findall(r" (HPD\d{3}) ", expected_beside(path).read_text(encoding="utf-8"))
    assert sorted(re.findall(r"HPD\d{3}", finds)) == sorted(expected)
    assert finds.startswith("nothing") is not bool(expected)
    assert run(["check", "--quiet", str(path)]) == int(exit_code)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_an_example_begins_with_a_sentence_that_reads_well_in_a_list(path) -> None:
    first = about(path.read_text(encoding="utf-8"))
    assert 20 <= len(first) <= 110


def test_every_family_of_rules_finds_something_in_the_examples() -> None:
    found = {finding.code[3] for path in FILES for finding in check([reading_of(path)], catalogue()).findings}
    assert found == {"1", "2", "3", "4", "5"}


def report_of(name: str):
    return check([reading_of(EXAMPLES / name)], catalogue())


def test_a_pair_at_odds_gives_two_findings_with_both_places_and_what_is_undecided() -> None:
    report = report_of("vllm-1p1d-mismatch.yaml")
    assert [finding.code for finding in report.findings] == ["HPD201", "HPD501"]
    assert [len(finding.places) for finding in report.findings] == [2, 2]
    assert [(entry.code, [need.fact for need in entry.needs]) for entry in report.undecided] == [
        ("HPD212", ["decode.engine.max_context_tokens", "prefill.engine.max_context_tokens"]),
        ("HPD503", ["decode.engine.version"]),
        ("HPD525", ["pool.engine.hybrid_kv_manager", "pool.engine.version", "pool.connector.class_name"]),
        (
            "HPD530",
            [
                "pool.engine.attention_backend",
                "pool.kv.dtype_word",
                "pool.engine.version",
                "pool.engine.attention_backend",
                "pool.kv.dtype_word",
            ],
        ),
        ("HPD538", ["pool.parallelism.dcp", "pool.engine.version", "pool.parallelism.dcp"]),
    ]
    assert report.tally.undecided == len(report.undecided)


def test_four_boundaries_give_each_cause_once() -> None:
    report = report_of("two-prefill-two-decode.yaml")
    assert {finding.code: finding.boundaries for finding in report.findings} == {
        "HPD229": ("prefill-a -> decode-b", "prefill-b -> decode-b"),
        "HPD503": ("prefill-b -> decode-a", "prefill-b -> decode-b"),
    }


if __name__ == "__main__":
    for example in FILES:
        expected_beside(example).write_text(findings_of(example), encoding="utf-8")
    sys.stdout.write(f"{len(FILES)} examples\n")
