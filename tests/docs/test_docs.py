"""What the documentation says is so: its examples run, its links lead somewhere."""

from __future__ import annotations

import re

import pytest

from hetpd_cli.cli.app import run
from tests.support import ROOT, check_text

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    """Return page and content of every code block in ``language``."""
    return [
        (page.name, block)
        for page in PAGES
        for block in re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    ]


@pytest.mark.parametrize(("page", "block"), [case for case in blocks("yaml") if "hetpd: 1" in case[1]])
def test_a_deployment_in_the_documentation_is_well_formed(page, block) -> None:
    assert [finding.message for finding in check_text(block).findings if finding.code < "HPD1"] == []


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_links_lead_somewhere(page) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_readme_has_the_commands_that_ci_runs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for marker in ("main job", "tests"):
        found = re.search(rf"<!-- ci: {marker} -->\n```sh\n(.+)\n```", text)
        assert found
        assert found[1].startswith("python3 -m venv .venv")


def commands_with_output() -> list[tuple[str, str, str]]:
    """Return page, command and output of every block that is marked to be run."""
    marked = re.compile(r"^<!-- run -->\n```text\n\$ hetpd (.+)\n(.*?)^```", flags=re.M | re.S)
    return [(page.name, *found) for page in PAGES for found in marked.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("page", "command", "output"), commands_with_output())
def test_a_command_in_the_documentation_prints_what_stands_below_it(page, command, output, monkeypatch, capsys) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("hetpd_cli.cli.output.terminal_width", lambda: 100)
    run(command.split())
    assert capsys.readouterr().out == output


def test_a_page_has_a_command_with_output() -> None:
    assert {page for page, _, _ in commands_with_output()} == {"contract.md"}
