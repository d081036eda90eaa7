"""What the documentation says is so: its examples run, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import shutil
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from hetpd_cli.cli.app import run
from hetpd_cli.cli.selection import selected
from hetpd_cli.configuration.assume import apply as assume
from hetpd_cli.configuration.read import parse
from hetpd_cli.configuration.rules import configured, rule_called
from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.parse import Context, parse_expression
from hetpd_cli.rule_examples import try_folder
from hetpd_cli.sources.text import SourceText
from hetpd_cli.tables import engine_default, use_own
from hetpd_cli.tables.columns import BY_ID, BY_VERSION, columns
from tests.support import ROOT, check_text

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RULE_PAGES = sorted((ROOT / "docs" / "rules").glob("*.md"))


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


@pytest.mark.parametrize(("page", "block"), blocks("toml"))
def test_a_configuration_in_the_documentation_can_be_used(page, block, tmp_path) -> None:
    configuration = parse(SourceText("hetpd.toml", block))._replace(path="hetpd.toml")
    rules = configured(catalogue(), configuration)
    selected(rules, configuration.select, configuration.ignore)
    assume([], configuration)
    for entry in configuration.suppress:
        assert rule_called(entry.rule, rules) is not None


TABLE_BLOCKS = [
    (name, block) for _, block in blocks("yaml") for name in re.findall(r"^# ops/tables/(\w+)\.yaml\n", block)
]


@pytest.mark.parametrize(("name", "block"), TABLE_BLOCKS)
def test_a_table_in_the_documentation_is_taken(name, block, tmp_path) -> None:
    (tmp_path / f"{name}.yaml").write_text(block)
    use_own([str(tmp_path)])
    use_own([])


def test_every_table_has_an_example() -> None:
    assert {name for name, _ in TABLE_BLOCKS} == {*BY_ID, *BY_VERSION}
    assert not [page for page, block in blocks("yaml") if block.startswith("rows:")]


def test_every_column_is_on_the_page_of_the_tables() -> None:
    text = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    for table in (*BY_ID, *BY_VERSION):
        part = text.partition(f"## {table}\n")[2].partition("\n## ")[0]
        rows = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", part, flags=re.M))
        assert list(rows) == list(columns(table))
        for name, column in columns(table).items():
            assert set(column.values or ()) <= set(re.findall(r"`([^`]+)`", rows[name]))
            assert rows[name].count(" | ") == 2


def test_a_row_in_the_documentation_overrides_its_cell_and_no_other(tmp_path) -> None:
    (tmp_path / "engines.yaml").write_text(next(block for name, block in TABLE_BLOCKS if name == "engines"))
    asked = [("0.34.0", "connector.failure_policy"), ("0.33.0", "connector.lease_s")]
    before = [engine_default("vllm", version, "nixl", path) for version, path in asked]
    use_own([str(tmp_path)])
    after = [engine_default("vllm", version, "nixl", path) for version, path in asked]
    overridden = engine_default("vllm", "0.34.0", "nixl", "connector.lease_s")
    use_own([])
    assert after == before
    assert overridden is not None
    assert overridden.value == 45


def test_an_expression_in_the_documentation_can_be_read() -> None:
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    parameters = {"devices": (64.0, "device")}
    parse_expression(re.search(r"`(sum_of\([^`…]+)`", text)[1], Context("deployment", parameters))
    parse_expression(re.search(r"`(version_in\(prefill[^`]+)`", text)[1], Context("boundary", {}))


def test_every_kind_of_block_is_there() -> None:
    assert all(len(blocks(language)) > 2 for language in ("yaml", "toml", "console"))


def slugs(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_anchors_exist(page) -> None:
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        assert anchor in slugs((page.parent / target).resolve() if target else page), (target, anchor)


@pytest.mark.parametrize("page", [*PAGES, *RULE_PAGES], ids=lambda page: page.name)
def test_links_lead_somewhere(page) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_readme_has_the_commands_that_ci_runs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for marker in ("main job", "tests"):
        found = re.search(rf"<!-- ci: {marker} -->\n```sh\n(.+)\n```", text)
        assert found
        assert found[1].startswith("python3 -m venv .venv")


@pytest.mark.parametrize(("page", "block"), blocks("console"))
def test_a_command_in_the_documentation_prints_what_stands_there(page, block, tmp_path, monkeypatch, capsys) -> None:
    """A line of three dots stands for any lines."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    for session in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, _, expected = session.partition("\n")
        program, *arguments = shlex.split(command)
        assert program == "hetpd"
        run(arguments)
        shown = capsys.readouterr().out
        pattern = re.sub(r"[\[*?]", r"[\g<0>]", expected)
        assert fnmatchcase(shown, re.sub(r"^\.\.\.\n", "*", pattern, flags=re.M)), command


@pytest.mark.parametrize(("page", "block"), [case for case in blocks("yaml") if case[1].startswith("code: ")])
def test_a_rule_in_the_documentation_does_what_its_examples_say(page, block, tmp_path) -> None:
    (tmp_path / "rule.yaml").write_text(block)
    assert [(result.ok, result.error, result.failures) for result in try_folder(tmp_path)] == [(True, None, ())]


def test_the_help_of_every_command_stands_in_the_documentation(capsys) -> None:
    run(["--help"])
    listed = capsys.readouterr().out.partition("Commands:\n")[2]
    commands = [re.split(r"\s{2,}", line.strip())[0] for line in listed.splitlines() if line[:3].strip()]
    assert "check" in commands
    text = Path(ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^<!-- help: (.+) -->$", text, flags=re.M)) == sorted(commands)
