"""The exact output of each format for one report; run as a program, this rewrites it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_reports import example

from hetpd_cli import __version__
from hetpd_cli.report import FORMATS, Options, Repository, renderer

EXPECTED = Path(__file__).parent / "expected"
SHOP = Repository("/work/shop", "/work/shop/deployments", "https://host/o/r/blob/abc/")
CASES = {
    "full-80.txt": ("full", Options(width=80)),
    "full-120.txt": ("full", Options(width=120)),
    "full-none.txt": ("full", Options()),
    "full-verbose-80.txt": ("full", Options(width=80, verbose=True)),
    "concise.txt": ("concise", Options(width=80)),
    "report.json": ("json", Options()),
    "report.jsonl": ("jsonl", Options()),
    "report.sarif": ("sarif", Options(verbose=True, repository=SHOP)),
    "gl-code-quality-report.json": ("gitlab", Options(repository=SHOP)),
    "junit.xml": ("junit", Options(repository=SHOP)),
    "comment.md": ("markdown", Options(repository=SHOP)),
    "annotations.txt": ("github", Options(repository=SHOP)),
    "statistics-80.txt": ("statistics", Options(width=80)),
}


def rendered(case: str) -> str:
    form, options = CASES[case]
    text = renderer(form).render(example(), options)
    return text.replace(__version__, "VERSION")


@pytest.mark.parametrize("case", CASES)
def test_output_is_as_recorded(case: str) -> None:
    assert rendered(case) == (EXPECTED / case).read_text(encoding="utf-8")


@pytest.mark.parametrize("case", ["full-80.txt", "full-verbose-80.txt"])
def test_nothing_is_wider_than_the_terminal(case: str) -> None:
    assert max(map(len, rendered(case).splitlines())) <= 80


def test_every_format_is_recorded() -> None:
    assert {form for form, _ in CASES.values()} == set(FORMATS)


def test_unknown_format() -> None:
    with pytest.raises(KeyError):
        renderer("xml")


if __name__ == "__main__":
    for name in CASES:
        (EXPECTED / name).write_text(rendered(name), encoding="utf-8")
