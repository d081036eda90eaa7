"""JSON Lines hold what the JSON object holds; run as a program, this rewrites their schema from that of the object."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sample_reports import DEPLOYMENT, at, example, finding, report
from test_report_hostile import HOSTILE, assert_inert, hostile

from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.findings import Report
from hetpd_cli.report import Options, json_lines, json_report
from hetpd_cli.resources import load_schema, schema_path
from hetpd_cli.sources.inputs import find
from hetpd_cli.sources.text import Limits

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
ORDER = ("run", "input", "finding", "undecided", "summary")


def schema_of_lines() -> dict[str, Any]:
    """The schema of the object, cut into lines: each with its type, the summary with the matrix."""
    whole = load_schema("check-output")
    parts = copy.deepcopy(whole["$defs"])
    parts["run"] = {
        "type": "object",
        "description": "The first line.",
        "additionalProperties": False,
        "required": ["schema", "hetpd"],
        "properties": {name: whole["properties"][name] for name in ("schema", "hetpd")},
    }
    parts["summary"]["required"].append("matrix")
    parts["summary"]["properties"]["matrix"] = whole["properties"]["matrix"]
    for kind in ORDER:
        parts[kind]["required"].insert(0, "type")
        parts[kind]["properties"] = {"type": {"const": kind}, **parts[kind]["properties"]}
    return {
        "$schema": whole["$schema"],
        "$id": whole["$id"].replace("check-output", "check-lines"),
        "title": "A line of hetpd check output",
        "description": "What `hetpd check --format jsonl` prints: one object a line. `type` says which: one `run`, then "
        "every `input`, `finding` and `undecided` rule, and one `summary`. Strings are data from the files that were "
        "checked: escape them before you show them.",
        "type": "object",
        "required": ["type"],
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in ORDER],
        "$defs": parts,
    }


VALIDATOR = Draft202012Validator(load_schema("check-lines"))


def lines(result: Report, options: Options = Options()) -> list[dict[str, Any]]:
    text = json_lines.render(result, options)
    assert text.isascii()
    found = [json.loads(line) for line in text.removesuffix("\n").split("\n")]
    for line in found:
        VALIDATOR.validate(line)
    return found


def joined(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Make the JSON object of the lines again."""
    kinds: dict[str, list[dict[str, Any]]] = {kind: [] for kind in ORDER}
    for line in found:
        kinds[line.pop("type")].append(line)
    (run,), (summary,) = kinds["run"], kinds["summary"]
    matrix = summary.pop("matrix")
    parts = {"inputs": kinds["input"], "findings": kinds["finding"], "undecided": kinds["undecided"]}
    return {**run, **parts, "matrix": matrix, "summary": summary}


def test_the_schema_is_that_of_the_object_in_lines() -> None:
    assert load_schema("check-lines") == schema_of_lines()
    Draft202012Validator.check_schema(load_schema("check-lines"))


@pytest.mark.parametrize("kind", ORDER)
def test_the_schema_refuses_a_line_with_a_field_too_many_or_too_few(kind: str) -> None:
    line = next(line for line in lines(example()) if line["type"] == kind)
    assert not VALIDATOR.is_valid({**line, "other": 1})
    for name in line:
        assert not VALIDATOR.is_valid({key: value for key, value in line.items() if key != name})


def assert_same_content(result: Report) -> None:
    assert joined(lines(result)) == json.loads(json_report.render(result, Options()))


@pytest.mark.parametrize("result", [example(), report(), report(inputs=()), *map(hostile, HOSTILE)])
def test_the_lines_hold_what_the_object_holds(result: Report) -> None:
    assert_same_content(result)


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_examples_in_lines(path: Path) -> None:
    result = check(list(find([str(path)]).readings(Limits())), catalogue())
    assert_same_content(result)
    places = {(spot["line"], spot["column"]) for line in lines(result) for spot in line.get("places", ())}
    assert places == {(spot.place.line, spot.place.column) for found in result.findings for spot in found.places}


def test_the_order_of_lines() -> None:
    kinds = [line["type"] for line in lines(example())]
    assert kinds == ["run", "input", "input", "finding", "finding", "finding", "undecided", "summary"]


def test_both_places_are_there() -> None:
    first = next(line for line in lines(example()) if line["type"] == "finding")
    assert [(spot["line"], spot["column"], spot["primary"]) for spot in first["places"]] == [
        (6, 17, True),
        (10, 17, False),
    ]


def test_suppressed_findings_are_there_with_their_reason() -> None:
    found = lines(report(finding(at(DEPLOYMENT, "fp16"), suppressed="known")))
    assert [line["suppressed"] for line in found if line["type"] == "finding"] == ["known"]
    assert found[-1]["suppressed"] == 1


def test_the_content_does_not_vary() -> None:
    assert lines(example()) == lines(example(), Options(colour=True, width=20, quiet=True, verbose=True))


@pytest.mark.parametrize("path", ["<stdin>", "a\udcff.yaml", "a\nb.yaml"])
def test_names_that_are_no_text_and_inputs_that_are_no_files(path: str) -> None:
    found = lines(report(finding(at(DEPLOYMENT, "fp16", path=path))))
    written = path.encode("utf-8", "backslashreplace").decode("utf-8")
    assert [line["places"][0]["path"] for line in found if line["type"] == "finding"] == [written]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_lines_are_inert(text: str) -> None:
    assert_inert(json_lines.render(hostile(text), Options()))


if __name__ == "__main__":
    schema_path("check-lines").write_text(json.dumps(schema_of_lines(), indent=2) + "\n", encoding="utf-8")
