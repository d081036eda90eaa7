"""rules, rules test, explain, schema: what is listed, printed and exited with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from hetpd_cli.cli.app import run
from hetpd_cli.engine.catalogue import catalogue, load_rule, rule_files
from hetpd_cli.families import FAMILIES, family_digit, family_named, family_of
from hetpd_cli.report.rule_page import markdown, page
from hetpd_cli.report.style import width
from hetpd_cli.resources import load_schema, rules_dir, schema_names, schema_path
from tests.cli.test_cli_output import on_a_terminal
from tests.engine.test_custom_rules import FAULTY, text_of

ALL = [rule.code for rule in catalogue()]


@pytest.fixture
def hetpd(capsys: pytest.CaptureFixture[str]):
    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        return (code, *capsys.readouterr())

    return call


# -- rules -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "codes"),
    [
        ("", ALL),
        ("HPD2", [code for code in ALL if code.startswith("HPD2")]),
        ("hpd201 block-size-mismatch", ["HPD201", "HPD202"]),
        ("HPD201,HPD202", ["HPD201", "HPD202"]),
        ("--cell T5", [rule.code for rule in catalogue() if rule.cell == "T5"]),
        ("--cell t5", [rule.code for rule in catalogue() if rule.cell == "T5"]),
        ("--severity warning", [rule.code for rule in catalogue() if rule.severity == "warning"]),
        ("--family 2", [code for code in ALL if code.startswith("HPD2")]),
        ("--family 2xx", [code for code in ALL if code.startswith("HPD2")]),
        ("--family input", [rule.code for rule in catalogue() if rule.code < "HPD1"]),
        ("--decision ownership", [rule.code for rule in catalogue() if rule.data.get("decision") == "ownership"]),
        ("HPD5 --cell T4", [rule.code for rule in catalogue() if rule.code[3] == "5" and rule.cell == "T4"]),
    ],
)
def test_rules_are_listed_by_words_and_filters(hetpd, arguments, codes) -> None:
    code, shown, said = hetpd("rules", *arguments.split())
    assert (code, said) == (0, "")
    assert [line.split()[0] for line in shown.splitlines()] == codes
    code, shown, _ = hetpd("rules", "-f", "json", *arguments.split())
    assert (code, [rule["code"] for rule in json.loads(shown)["rules"]]) == (0, codes)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ("kv-dtype-mismach", "kv-dtype-mismatch"),
        ("--cell T9", "T"),
        ("--severity eror", "error"),
        ("--family representatoin", "representation"),
        ("--decision owner", "ownership"),
        ("\x1b[31mHPD", ""),
    ],
)
def test_a_word_that_names_nothing_is_wrong_usage(hetpd, arguments, hint) -> None:
    code, shown, said = hetpd("rules", *arguments.split())
    assert (code, shown, said.count("\n")) == (2, "", 1)
    assert hint in said
    assert "\x1b" not in said


def test_filters_that_leave_nothing(hetpd) -> None:
    code, shown, said = hetpd("rules", "HPD201", "--cell", "T1")
    assert (code, shown, said.count("\n")) == (0, "", 1)


def test_the_json_of_rules_keeps_its_schema(hetpd) -> None:
    printed = json.loads(hetpd("rules", "--format", "json")[1])
    Draft202012Validator(load_schema("rules-output")).validate(printed)
    rule = next(rule for rule in printed["rules"] if rule["code"] == "HPD202")
    assert (rule["family"], rule["cell"], rule["impact"]) == ("representation", "T4", "refused")
    (covered,) = rule["covers"]["vllm"]
    assert covered.startswith("<0.")
    assert "handoff.takes_blocks" in rule["reads"]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_list_fits_the_terminal(columns) -> None:
    shown = on_a_terminal(columns, ["rules"], NO_COLOR="1")
    assert max(map(width, shown.splitlines())) <= columns
    assert [line.split()[0] for line in shown.splitlines() if line.startswith("HPD")] == ALL
    assert "\x1b" in on_a_terminal(columns, ["rules"])


def test_families() -> None:
    assert [family_of(f"HPD{family.digit}01") for family in FAMILIES] == [family.folder for family in FAMILIES]
    assert (family_digit("ACME2001"), family_of("ACME801"), family_of("ACME"), family_named("8")) == (
        "2",
        "8",
        "",
        None,
    )


# -- rules test ------------------------------------------------------------------------------------------------


def test_the_examples_of_all_built_in_rules_are_run(hetpd) -> None:
    code, shown, said = hetpd("rules", "test")
    assert (code, said) == (0, "")
    assert len(shown.splitlines()) == len(ALL) + 1
    assert all(line.startswith("ok ") for line in shown.splitlines()[:-1])


def test_a_folder_of_custom_rules(hetpd, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text_of())
    code, shown, _ = hetpd("rules", "test", str(tmp_path))
    assert (code, shown.splitlines()[0]) == (0, "ok    ACME101 odd-workers: 3 examples")
    assert hetpd("rules", "test", str(tmp_path / "a.yaml"))[:2] == (code, shown)
    (tmp_path / "b.yaml").write_text(text_of(code="ACME102", name="other", require="divides(3, pool.workers)"))
    (tmp_path / "c.yaml").write_text(text_of(code="ACME103", name="third", require="pool.\x1bworkers == 1"))
    code, shown, _ = hetpd("rules", "test", str(tmp_path))
    rows = shown.splitlines()
    assert code == 1
    assert [row.split()[:2] for row in rows if row.startswith(("ok", "FAIL"))] == [
        ["ok", "ACME101"], ["FAIL", "ACME102"], ["FAIL", f"{tmp_path}/c.yaml:8:"]
    ]  # fmt: skip
    text = (tmp_path / "b.yaml").read_text().splitlines()
    line = next(number for number, row in enumerate(text, 1) if row.lstrip().startswith("- title: three"))
    assert f"      {tmp_path}/b.yaml:{line}: bad example, three" in rows
    assert "\x1b" not in shown


def test_places_are_told_apart(hetpd, tmp_path: Path) -> None:
    examples = {"bad": [{"title": "three", "deployment": FAULTY, "at": ["4:2"]}]}
    (tmp_path / "a.yaml").write_text(text_of(examples={**yaml_examples(), **examples}))
    code, shown, _ = hetpd("rules", "test", str(tmp_path))
    assert code == 1
    assert "          expected 4:2\n          found    3:3\n" in shown


def yaml_examples() -> dict:
    from tests.engine.test_custom_rules import RULE

    return RULE["examples"]


def test_a_folder_without_rules_is_no_success(hetpd, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        code, shown, said = hetpd("rules", "test", str(folder))
        assert (code, shown, said.count("\n")) == (3, "", 1)
    assert hetpd("rules", "test", "a", "b")[0] == 2
    assert hetpd("rules", "test", "--no-such")[0] == 2


def test_the_help_of_both(hetpd) -> None:
    assert "rules test [OPTIONS] [DIR]" in hetpd("rules", "test", "--help")[1]
    assert "rules [OPTIONS] [WORDS]" in hetpd("rules", "--help")[1]


# -- explain ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", rule_files(rules_dir()), ids=lambda path: path.stem)
def test_every_rule_is_explained_by_code_and_by_name(hetpd, path) -> None:
    raw = load_rule(path)
    code, shown, said = hetpd("explain", raw["code"].lower(), "--format", "markdown")
    assert (code, shown, said) == (0, markdown(page(raw)), "")
    code, shown, said = hetpd("explain", raw["name"])
    assert (code, said, "\x1b" in shown) == (0, "", False)
    assert shown.startswith(f"{raw['code']} {raw['name']}\n")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("kv-dtype-mismach", "kv-dtype-mismatch"),
        ("HP201", "HPD201"),
        ("\x1b[31mzzz", "hetpd rules"),
        ("", "hetpd rules"),
    ],
)
def test_an_unknown_rule_is_wrong_usage(hetpd, word, hint) -> None:
    code, shown, said = hetpd("explain", word)
    assert (code, shown, said.count("\n"), "\x1b" in said) == (2, "", 1, False)
    assert hint in said


@pytest.mark.parametrize("columns", [80, 120])
def test_a_page_on_a_terminal(columns) -> None:
    assert "\x1b[1mHPD201" in on_a_terminal(columns, ["explain", "HPD201"])
    assert "\x1b" not in on_a_terminal(columns, ["explain", "HPD201"], NO_COLOR="1")


# -- schema ----------------------------------------------------------------------------------------------------


def test_schemas_are_listed_and_printed(hetpd) -> None:
    code, shown, _ = hetpd("schema")
    assert (code, [line.split()[0] for line in shown.splitlines()]) == (0, schema_names())
    assert {"deployment", "rule", "check-output", "rules-output", "facts-output"} <= set(schema_names())
    for name in schema_names():
        code, shown, said = hetpd("schema", name)
        assert (code, shown, said) == (0, schema_path(name).read_text(encoding="utf-8"), "")
        Draft202012Validator.check_schema(json.loads(shown))


@pytest.mark.parametrize("name", ["deploymnt", "../rule", "zzz", ""])
def test_an_unknown_schema_is_wrong_usage(hetpd, name) -> None:
    code, shown, said = hetpd("schema", name)
    assert (code, shown, said.count("\n"), "deployment" in said or "rule" in said) == (2, "", 1, True)
