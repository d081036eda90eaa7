"""The style of the catalogue: what every rule file has to have."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from jsonschema import Draft202012Validator

from hetpd_cli.engine.catalogue import PLACEHOLDER, rule_files
from hetpd_cli.families import FAMILIES
from hetpd_cli.findings import CELLS
from hetpd_cli.resources import load_schema, rules_dir
from tests.support import raw_rules

FOLDERS = {family.digit: family.folder for family in FAMILIES}
DECISIONS = {
    "T1": "placement", "T2": "placement", "T3": "placement",
    "T4": "representation", "T5": "representation", "O1": "representation", "O2": "representation",
    "T6": "ownership",
}  # fmt: skip
RULES = raw_rules()
FILES = rule_files(rules_dir())


def test_codes_and_names_are_unique() -> None:
    for key in ("code", "name", "title"):
        counts = Counter(rule[key] for rule in RULES)
        assert [value for value, count in counts.items() if count > 1] == []


def test_every_family_has_a_rule() -> None:
    assert {rule["code"][3] for rule in RULES} == set(FOLDERS)
    assert sum(rule["over"] != "input" for rule in RULES) >= 12


@pytest.mark.parametrize(("path", "rule"), list(zip(FILES, RULES, strict=True)), ids=[path.stem for path in FILES])
class TestRule:
    def test_matches_the_schema(self, path, rule) -> None:
        errors = Draft202012Validator(load_schema("rule")).iter_errors(rule)
        assert [error.message for error in errors] == []

    def test_lies_where_its_code_says(self, path, rule) -> None:
        assert re.fullmatch(r"HPD[0-9]{3}", rule["code"])
        assert path.stem == f"{rule['code']}-{rule['name']}"
        assert path.parent.name == FOLDERS[rule["code"][3]]

    def test_belongs_to_the_decision_of_its_cell(self, path, rule) -> None:
        if "cell" in rule:
            assert rule["cell"] in CELLS
            assert DECISIONS[rule["cell"]] == rule["decision"]

    def test_texts_follow_the_grammar_of_messages(self, path, rule) -> None:
        for key in ("title", "fix", "message"):
            assert not rule.get(key, "").endswith("."), key
        assert len(rule["title"]) <= 100
        assert rule["why"].endswith(".")
        for label in rule.get("labels", {}).values():
            assert len(label.split()) <= 6, label

    def test_a_finding_across_a_boundary_names_both_sides(self, path, rule) -> None:
        if rule["over"] == "boundary":
            names = {match.partition(".")[0] for match in PLACEHOLDER.findall(rule["message"])}
            sides = {"prefill", "decode"} & names
            assert sides == {"prefill", "decode"} or not {"prefill"} <= _read(rule), rule["message"]

    def test_evidence_has_a_locator(self, path, rule) -> None:
        for row in rule["evidence"]:
            assert re.search(r"[\w-]", row["at"])
            assert not row["says"].endswith(".")
            assert row["kind"] != "source-code" or "of" in row

    def test_says_what_it_rests_on(self, path, rule) -> None:
        kinds = {row["kind"] for row in rule["evidence"]}
        if rule["severity"] == "error" and rule["confidence"] == "certain":
            assert kinds & {"source-code", "specification", "incident", "arithmetic"}


def _read(rule) -> set[str]:
    return set(re.findall(r"\b(prefill|decode)\.", f"{rule.get('when', '')} {rule['require']}"))


def test_the_files_are_json_like() -> None:
    for rule in RULES:
        json.dumps(rule)
