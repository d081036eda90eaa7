"""Every example gives exactly the findings that stand beside it; run as a program, this rewrites them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.report import Options, concise
from hetpd_cli.sources.inputs import read
from hetpd_cli.sources.text import Limits

EXAMPLES = Path(__file__).parent.parent / "examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))


def findings_of(path: Path) -> str:
    """Return one line a finding, with paths from the folder of the examples."""
    report = check([read(str(path), Limits())], catalogue())
    return concise.render(report, Options(quiet=True, show_paths_from=str(EXAMPLES)))


def expected_beside(path: Path) -> Path:
    return EXAMPLES / "expected" / f"{path.stem}.txt"


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_an_example_gives_its_expected_findings(path) -> None:
    assert findings_of(path) == expected_beside(path).read_text(encoding="utf-8")


def test_nothing_is_expected_of_a_missing_example() -> None:
    assert {path.stem for path in FILES} == {path.stem for path in (EXAMPLES / "expected").iterdir()}


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_finding_across_a_boundary_has_a_place_on_each_side(path) -> None:
    for finding in check([read(str(path), Limits())], catalogue()).findings:
        if finding.boundaries and finding.decision == "representation":
            assert len({spot.place for spot in finding.places}) >= 2, finding.code


def report_of(name: str):
    return check([read(str(EXAMPLES / name), Limits())], catalogue())


def test_a_pair_at_odds_gives_two_findings_with_both_places_and_two_undecided() -> None:
    report = report_of("vllm-1p1d-mismatch.yaml")
    assert [finding.code for finding in report.findings] == ["HPD201", "HPD501"]
    assert [len(finding.places) for finding in report.findings] == [2, 2]
    assert [(entry.code, [need.fact for need in entry.needs]) for entry in report.undecided] == [
        ("HPD212", ["decode.engine.max_context_tokens", "prefill.engine.max_context_tokens"]),
        ("HPD503", ["decode.engine.version"]),
    ]
    assert report.tally.undecided == 2


def test_four_boundaries_give_each_cause_once() -> None:
    report = report_of("two-prefill-two-decode.yaml")
    assert {finding.code: finding.boundaries for finding in report.findings} == {
        "HPD201": ("prefill-a -> decode-b", "prefill-b -> decode-b"),
        "HPD503": ("prefill-b -> decode-a", "prefill-b -> decode-b"),
    }


if __name__ == "__main__":
    for example in FILES:
        expected_beside(example).write_text(findings_of(example), encoding="utf-8")
    sys.stdout.write(f"{len(FILES)} examples\n")
