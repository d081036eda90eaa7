"""GitLab's code quality report: taken by its schema, every place kept, nothing of a file at work."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cmarkgfm import github_flavored_markdown_to_html
from cmarkgfm.cmark import Options as Cmark
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sample_reports import DEPLOYMENT, also, at, example, finding, report
from test_report_hostile import HOSTILE, assert_inert, hostile

from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.findings import Report
from hetpd_cli.report import Options, Repository
from hetpd_cli.report.gitlab import render
from hetpd_cli.report.words import ordered
from hetpd_cli.sources.inputs import find
from hetpd_cli.sources.text import Limits
from tests.test_examples import EXAMPLES, FILES

HERE = Options(repository=Repository("/top", "/top/deploy"))
IN_CHECKOUT = Options(repository=Repository(str(EXAMPLES.parent), str(EXAMPLES.parent)))

POSITION = {
    "type": "object",
    "additionalProperties": False,
    "required": ["line", "column"],
    "properties": {"line": {"type": "integer", "minimum": 1}, "column": {"type": "integer", "minimum": 1}},
}
LOCATION = {
    "type": "object",
    "additionalProperties": False,
    "required": ["path", "positions"],
    "properties": {
        "path": {"type": "string", "pattern": r"^(?!\./)"},
        "positions": {
            "type": "object",
            "additionalProperties": False,
            "required": ["begin", "end"],
            "properties": {"begin": POSITION, "end": POSITION},
        },
    },
}
# What is required by GitLab (app/validators/json_schemas/codeclimate.json in gitlab-org/gitlab, and the table of
# https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format) and by the specification of issues that
# it takes over (https://github.com/codeclimate/platform/blob/master/spec/analyzers/SPEC.md). Neither is in a package.
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["type", "check_name", "description", "categories", "location", "severity", "fingerprint"],
        "properties": {
            "type": {"const": "issue"},
            "engine_name": {"type": "string"},
            "check_name": {"type": "string", "minLength": 1},
            "description": {"type": "string", "pattern": r"^[^\n]*$"},
            "content": {"type": "object", "required": ["body"], "properties": {"body": {"type": "string"}}},
            "categories": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "enum": [
                        "Bug Risk",
                        "Clarity",
                        "Compatibility",
                        "Complexity",
                        "Duplication",
                        "Performance",
                        "Security",
                        "Style",
                    ]
                },
            },
            "location": LOCATION,
            "other_locations": {"type": "array", "items": LOCATION},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        },
        "additionalProperties": False,
    },
}
VALIDATOR = Draft202012Validator(SCHEMA)


def issues(result: Report, options: Options = HERE) -> list[dict[str, Any]]:
    """Return the issues of a valid report, each of which GitLab keeps."""
    content = json.loads(render(result, options))
    VALIDATOR.validate(content)
    assert len({issue["fingerprint"] for issue in content}) == len(content)
    return list(content)


def spots(issue: dict[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    """Return path, line, column, last line and last column of every place."""
    return [
        (location["path"], tuple(value for end in location["positions"].values() for value in end.values()))
        for location in [issue["location"], *issue["other_locations"]]
    ]


def html(issue: dict[str, Any]) -> str:
    shown = str(github_flavored_markdown_to_html(issue["content"]["body"], Cmark.CMARK_OPT_UNSAFE))
    return shown.replace("<!-- -->", "").replace("<span>$</span>", "$")


@pytest.mark.parametrize("path", [*FILES, EXAMPLES], ids=lambda path: path.stem)
def test_an_example_is_valid_and_keeps_every_place(path: Path) -> None:
    result = check(find([str(path)]).readings(Limits()), catalogue())
    for found, issue in zip(ordered(result), issues(result, IN_CHECKOUT), strict=True):
        wanted = sorted(found.places, key=lambda spot: not spot.primary)
        assert spots(issue) == [
            (Path(spot.place.path).relative_to(EXAMPLES.parent).as_posix(), spot.place[1:5]) for spot in wanted
        ]
        assert issue["check_name"] == f"{found.code} {found.name}"
        for spot in wanted:
            assert spot.label in issue["description"]
        for shown, _ in spots(issue)[1:]:
            assert f"{shown}:" in issue["description"]


def test_a_description_names_the_other_place() -> None:
    first = issues(example(), Options(repository=Repository("/top", "/top")))[0]
    assert first["description"].startswith("prefill-c600 writes KV as fp16")
    assert "(KV written as fp16); prod/deploy.yaml:10:17 KV read as bf16" in first["description"]


@pytest.mark.parametrize(
    ("severity", "confidence", "expected"),
    [
        ("error", "certain", "critical"),
        ("error", "likely", "critical"),
        ("error", "guess", "major"),
        ("warning", "certain", "major"),
        ("warning", "guess", "minor"),
        ("info", "certain", "info"),
        ("info", "guess", "info"),
    ],
)
def test_severities(severity: str, confidence: str, expected: str) -> None:
    (issue,) = issues(report(finding(at(DEPLOYMENT, "fp16"), severity=severity, confidence=confidence)))
    assert issue["severity"] == expected


@pytest.mark.parametrize(
    ("impact", "category"),
    [
        ("silent", "Bug Risk"),
        ("slow", "Performance"),
        ("exposed", "Security"),
        ("refused", "Compatibility"),
        (None, "Bug Risk"),
    ],
)
def test_categories(impact: str | None, category: str) -> None:
    (issue,) = issues(report(finding(at(DEPLOYMENT, "fp16"), impact=impact)))
    assert issue["categories"] == [category]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("./a.yaml", "deploy/a.yaml"),
        ("../b c.yaml", "b c.yaml"),
        ("/top/x.yaml", "x.yaml"),
        ("/else/x.yaml", "/else/x.yaml"),
        ("<stdin>", "<stdin>"),
        ("\udce9.yaml", "deploy/\\udce9.yaml"),
    ],
)
def test_paths_are_from_the_top_of_the_repository(path: str, shown: str) -> None:
    (issue,) = issues(report(finding(at(DEPLOYMENT, "fp16", path=path))))
    assert issue["location"]["path"] == shown


def test_no_findings_give_an_empty_list() -> None:
    assert render(report(), HERE) == "[]\n"


def test_suppressed_findings_are_there_on_demand_and_harmless() -> None:
    hidden = finding(at(DEPLOYMENT, "fp16"), suppressed="OPS-12", suppressed_by="comment")
    assert issues(report(hidden)) == []
    (issue,) = issues(report(hidden), HERE._replace(verbose=True))
    assert issue["severity"] == "info"
    assert issue["description"].startswith("suppressed (OPS-12): ")


def test_equal_findings_have_names_of_their_own() -> None:
    same = finding(at(DEPLOYMENT, "fp16"))
    assert len(issues(report(same, same, same))) == 3


def test_why_and_fix_stand_in_the_body() -> None:
    one = finding(at(DEPLOYMENT, "fp16"), also(DEPLOYMENT, "bf16"), why="It breaks.", fix="set `kv.dtype: [x]` on `d`")
    shown = html(issues(report(one))[0])
    assert "set `kv.dtype: [x]` on `d`" in shown
    assert "<strong>Why:</strong> It breaks." in shown
    assert shown.count("<li>") == 1


INJECTIONS = [
    "[x](javascript:alert(1))",
    "![x](https://evil.example/y)",
    "https://evil.example www.evil.example evil@evil.example",
    "<img src=x onerror=y>",
    "``<img src=x>`",
    "```<b>`x`y`",
    "`a``<b>`",
    "# title",
    "- item",
    "+ item",
    "1. item",
    "1) item",
    "> quote",
    "*a* _b_ ~~c~~ **d**",
    "| a | b |",
    "&lt;b&gt; &amp;",
    "a\n---\nb",
    "a\n===",
    "    code",
    "[x]: https://evil.example",
    "%",
    "",
]
MARKUP = re.compile(r"<(?!/?(?:p|ul|li|strong)>)")


@pytest.mark.parametrize("text", [*HOSTILE, *INJECTIONS])
def test_hostile_reports_are_valid_and_nothing_of_them_acts(text: str) -> None:
    output = render(hostile(text), HERE._replace(verbose=True))
    assert output.isascii()
    assert_inert(output)
    for issue in issues(hostile(text), HERE._replace(verbose=True)):
        assert len(spots(issue)) == 2
        assert_inert(issue["description"])
        for line in issue["content"]["body"].split("\n"):
            assert_inert(line)
        assert not MARKUP.search(html(issue)), html(issue)
        assert html(issue).count("<li>") == 1


@given(st.text(st.characters(), max_size=40) | st.text("`<a>*_[]()!#-+.1 \\&@:/w~|=\n", max_size=30))
def test_any_text_is_valid_and_marks_up_nothing(text: str) -> None:
    for issue in issues(hostile(text), HERE._replace(verbose=True)):
        assert not MARKUP.search(html(issue)), html(issue)
        assert html(issue).count("<li>") == 1


def test_references_of_gitlab_are_broken() -> None:
    (issue,) = issues(report(finding(at(DEPLOYMENT, "fp16"), message="#1 !2 @all ~bug %3 $4 &5 :100: {+x+}")))
    shown = str(github_flavored_markdown_to_html(issue["content"]["body"], Cmark.CMARK_OPT_UNSAFE))
    first = shown.partition("</p>")[0]
    assert re.search(r"[#!@%^{][\w+]", re.sub(r"&#?\w+;", "", first)) is None
    assert re.sub(r"<[^>]*>", "", first) == "#1 !2 @all ~bug %3 $4 &amp;5 :100: {+x+}"
