from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sample_reports import DEPLOYMENT, at, example, finding, report
from test_report_hostile import HOSTILE, hostile

from hetpd_cli.findings import CELLS, SEVERITIES, STATUSES, SUPPRESSED_BY, FactView, Report
from hetpd_cli.report import Options
from hetpd_cli.report.json_report import render

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "check-output.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def decoded(result: Report) -> dict[str, Any]:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    content = json.loads(render(result, Options()), parse_constant=refuse)
    VALIDATOR.validate(content)
    assert isinstance(content, dict)
    return content


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_knows_the_words_of_the_data() -> None:
    defs = SCHEMA["$defs"]
    assert defs["cell"]["enum"] == [*CELLS, None]
    assert SCHEMA["properties"]["matrix"]["required"] == list(CELLS)
    assert defs["finding"]["properties"]["severity"]["enum"] == list(SEVERITIES)
    assert defs["finding"]["properties"]["suppressed_by"]["enum"] == [*SUPPRESSED_BY, None]
    assert defs["input"]["properties"]["status"]["enum"] == list(STATUSES)


def objects(node: object) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for item in node for found in objects(item)]
    if not isinstance(node, dict):
        return []
    inner = [found for item in node.values() for found in objects(item)]
    return [node, *inner] if node.get("type") == "object" else inner


def test_the_schema_is_strict() -> None:
    for node in objects(SCHEMA):
        assert node["additionalProperties"] is False
        assert set(node["required"]) == set(node["properties"])


@pytest.mark.parametrize("result", [example(), report(), *map(hostile, HOSTILE)])
def test_output_matches_the_schema(result: Report) -> None:
    decoded(result)


def test_both_places_are_there() -> None:
    first = decoded(example())["findings"][0]
    assert [(spot["line"], spot["column"], spot["primary"]) for spot in first["places"]] == [
        (6, 17, True),
        (10, 17, False),
    ]


def test_suppressed_findings_are_listed_but_not_counted() -> None:
    content = decoded(report(finding(at(DEPLOYMENT, "fp16"), suppressed="known", suppressed_by="comment")))
    assert content["findings"][0]["suppressed"] == "known"
    assert content["findings"][0]["suppressed_by"] == "comment"
    assert content["summary"]["findings"] == {"error": 0, "warning": 0, "info": 0}
    assert content["summary"]["suppressed"] == 1


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (-float("inf"), "-inf"),
        pytest.param(1 << 20_000, "about 2^20000", id="huge"),
        (True, True),
        (None, None),
        ([1, float("nan")], [1, "nan"]),
        (0.1, 0.1),
    ],
)
def test_values_that_json_cannot_carry(value: Any, written: Any) -> None:
    facts = (FactView("a", value, None, "derived"),)
    assert decoded(report(finding(at(DEPLOYMENT, "fp16"), facts=facts)))["findings"][0]["facts"][0]["value"] == written


def test_output_does_not_vary() -> None:
    text = render(example(), Options())
    assert text == render(example(), Options(colour=True, width=20, quiet=True, verbose=True))
    assert text.endswith("}\n")
    assert text.isascii()


@given(st.text(st.characters(), max_size=40))
def test_any_text_matches_the_schema(text: str) -> None:
    decoded(hostile(text))
