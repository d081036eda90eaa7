"""Examples of a rule that do not do what they are there for are told, with the places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from hetpd_cli.configuration.read import ConfigurationError
from hetpd_cli.engine.catalogue import Rule, compile_rule, load_rule
from hetpd_cli.engine.check import RuleCrashError
from hetpd_cli.resources import load_schema, rules_dir
from hetpd_cli.rule_examples import FILE, Failure, examples_of, failures, first_lines, report_on, spots, try_folder
from tests.engine.test_custom_rules import FAULTY, RULE, text_of
from tests.support import check_text

if TYPE_CHECKING:
    from pathlib import Path

TWO = FAULTY.replace("3", "2")


def failing(**examples: Any) -> list[Failure]:
    raw = {**RULE, "examples": {**RULE["examples"], **examples}}
    return list(failures(Rule(compile_rule(raw)), raw))


def test_all_is_well() -> None:
    assert failing() == []
    assert [example.kind for example in examples_of(RULE)] == ["bad", "good", "near-miss"]


@pytest.mark.parametrize(
    ("kind", "text", "at", "expected", "found"),
    [
        ("bad", FAULTY, ["4:3"], ("4:3",), ("3:3",)),
        ("bad", FAULTY, ["3:3", "4:2"], ("3:3", "4:2"), ("3:3",)),
        ("bad", TWO, ["3:2"], (), ()),
        ("bad", FAULTY.replace("workers: 2", "workers: 5"), ["3:3"], (), ()),
        ("bad", FAULTY.replace("name: p", "nam: p"), ["3:3"], (), ()),
        ("good", FAULTY, None, (), ("3:3",)),
        ("near-miss", FAULTY, None, (), ("3:3",)),
        ("good", TWO.replace("workers", "worker"), None, (), ()),
    ],
)
def test_an_example_that_fails(kind, text, at, expected, found) -> None:
    example = {"title": "x y", "deployment": text} | ({"at": at} if at else {})
    (failure,) = failing(**{kind: [example]})
    assert (failure.example.kind, failure.example.key) == (kind, f"examples.{kind}.0")
    assert (failure.expected, failure.found) == (expected, found)
    assert failure.what


def test_a_name_that_nothing_fills_is_a_failure() -> None:
    raw = {**RULE, "message": "{pool.workers!r} of them"}
    (failure,) = failures(Rule(compile_rule(raw)), raw)
    assert "{pool.workers!r}" in failure.what


def raising(_environment: object) -> bool:
    raise TypeError("no such thing")


def test_a_rule_that_raises_is_a_failure() -> None:
    rule = Rule(compile_rule(RULE))
    rule.__dict__["require"] = raising
    found = list(failures(rule, RULE))
    assert {failure.example.kind for failure in found} == {"bad", "good", "near-miss"}
    assert "ACME101" in found[0].what


def test_a_rule_of_the_user_that_raises_is_a_fault_of_its_file() -> None:
    rule = Rule(compile_rule(RULE))
    rule.__dict__["require"] = raising
    text = RULE["examples"]["good"][0]["deployment"]
    with pytest.raises(RuleCrashError):
        report_on(text, (rule,))
    rule.file = "ops/rules/a.yaml"
    with pytest.raises(ConfigurationError) as caught:
        report_on(text, (rule,))
    assert str(caught.value).startswith("ops/rules/a.yaml: rule ACME101 failed: TypeError")


def test_places_of_whole_blocks_are_shortened() -> None:
    assert first_lines(["3:a\nb", "4:c"]) == ["3:a", "4:c"]
    text = "hetpd: 1\ndefaults: {connector: nixl}\npools:\n  - {name: p, role: prefill, kv: {dtype: fp16}}\n"
    text += "  - {name: d, role: decode, kv: {dtype: bf16}}\n"
    (found,) = check_text(text).findings
    assert spots(found, {"deploy.yaml": text}) == ["4:fp16", "5:bf16"]


def test_a_folder_gives_a_result_for_each_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text_of())
    (tmp_path / "b.yaml").write_text(text_of(code="ACME102"))
    (tmp_path / "c.yaml").write_text(text_of(code="ACME103", name="third", require="divides(3, pool.workers)"))
    results = list(try_folder(tmp_path))
    assert [(result.code, result.ok) for result in results] == [("ACME101", True), ("", False), ("ACME103", False)]
    assert results[1].error is not None
    assert results[1].error.key == "name"
    assert {failure.example.key for failure in results[2].failures} == {
        "examples.bad.0", "examples.good.0", "examples.near-miss.0"
    }  # fmt: skip
    assert results[2].lines["examples.good.0"] > 1


def test_the_built_in_rules_can_be_tried_where_they_lie(tmp_path: Path) -> None:
    results = list(try_folder(rules_dir() / "launch"))
    assert results
    assert all(result.ok for result in results)
    copied = next(rules_dir().glob("launch/HPD501*"))
    (tmp_path / copied.name).write_bytes(copied.read_bytes())
    (result,) = try_folder(tmp_path)
    assert not result.ok


SCRIPT = 'vllm serve m --max-modl-len 8192 --kv-transfer-config \'{"kv_connector":"NixlConnector","kv_role":"kv_producer"}\'\n'


def test_an_example_is_read_as_the_file_that_it_says_it_is() -> None:
    raw = load_rule(next(rules_dir().glob("input/HPD023*")))
    bad = {"title": "a script", "deployment": SCRIPT, "at": ["1:--max-modl-len"]}
    rule = Rule(compile_rule(raw))
    assert list(failures(rule, {**raw, "examples": {"bad": [{**bad, "file": "serve.sh"}]}})) == []
    (failure,) = failures(rule, {**raw, "examples": {"bad": [{**bad, "file": "serve.md"}]}})
    assert failure.example.file == "serve.md"
    assert [example.file for example in examples_of(RULE)] == [FILE] * 3


@pytest.mark.parametrize("name", ["../a.sh", "a/b.sh", "/etc/a.yaml", "a.txt", ".sh", "a b.sh"])
def test_the_file_of_an_example_is_a_name_of_a_known_format(name) -> None:
    schema = Draft202012Validator(load_schema("rule"))
    example = {"title": "x y", "deployment": "a", "file": name}
    assert not schema.is_valid({**RULE, "examples": {**RULE["examples"], "good": [example]}})
    assert schema.is_valid({**RULE, "examples": {**RULE["examples"], "good": [{**example, "file": "a-1.sh"}]}})
