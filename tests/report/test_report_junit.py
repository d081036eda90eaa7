"""JUnit XML as its readers see it."""

from __future__ import annotations

import re
from pathlib import Path
from time import process_time
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from sample_reports import BASE, DEPLOYMENT, PATH, also, at, example, finding, pools, report
from test_report_hostile import HOSTILE, assert_inert, hostile

from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.findings import InputReport, Report, Tally, Undecided
from hetpd_cli.report import Options, Repository
from hetpd_cli.report.junit import DECIDED, NO_FINDING, render
from hetpd_cli.report.style import inert
from hetpd_cli.sources.inputs import find, read_all
from hetpd_cli.sources.text import Limits, SourceText

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
PLAIN = Options()
# What junit-10.xsd of Jenkins' xUnit plugin allows of what is written here, and in which order it is written.
CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase", "system-out"],
    "properties": ["property"],
    "testcase": ["skipped", "error", "failure", "system-out"],
}
ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "file"},
    "testcase": {"name", "classname"},
    "property": {"name", "value"},
    **{name: {"type", "message"} for name in ("skipped", "error", "failure")},
}


def parsed(result: Report, options: Options = PLAIN) -> dict[str, TestSuite]:
    """The suites by name, as junitparser reads them; everything that holds of any output is asserted."""
    text = render(result, options)
    assert_inert(text)
    assert text.isascii()
    root = ET.fromstring(text)
    assert_valid(root)
    suites = list(JUnitXml.fromstring(text.encode()))
    for suite in suites:
        names = [case.name for case in suite]
        assert len(set(names)) == len(names)
        assert suite.tests == len(names)
        counted = [
            sum(isinstance(one, kind) for case in suite for one in case.result) for kind in (Failure, Error, Skipped)
        ]
        assert [suite.failures, suite.errors, suite.skipped] == counted
    for name in ("tests", "failures", "errors"):
        assert int(root.get(name, "")) == sum(getattr(suite, name) for suite in suites)
    assert len({suite.name for suite in suites}) == len(suites)
    return {suite.name: suite for suite in suites}


def assert_valid(node: ET.Element) -> None:
    assert set(node.attrib) <= ATTRIBUTES.get(node.tag, set())
    order = [CHILDREN[node.tag].index(child.tag) for child in node] if len(node) else []
    assert order == sorted(order)
    for child in node:
        assert_valid(child)


def outcome(case: TestCase) -> str:
    return type(case.result[0]).__name__.lower() if case.result else "passed"


def outcomes(suite: TestSuite) -> dict[str, str]:
    return {case.name: outcome(case) for case in suite}


def text_of(case: TestCase) -> str:
    return (case.result[0].text if case.result else case.system_out) or ""


def one_input(status: str, detail: str = "", **fields: object) -> Report:
    return report(inputs=(InputReport(PATH, "hetpd", status, detail),), **fields)


def test_findings_that_fail_the_run_are_failures() -> None:
    assert outcomes(parsed(example())[PATH]) == {
        "HPD201 kv-dtype-mismatch": "failure",
        "HPD405 transfer-direction-mismatch": "failure",
        "HPD402 lease-shorter-than-queue": "passed",
    }


@pytest.mark.parametrize(("fail_on", "failures"), [("error", 2), ("warning", 3), ("info", 3), ("never", 0)], ids=str)
def test_what_fails_is_the_users_choice(fail_on: str, failures: int) -> None:
    assert parsed(example(), PLAIN._replace(fail_on=fail_on))[PATH].failures == failures


def test_a_guess_never_fails() -> None:
    suite = parsed(report(finding(at(DEPLOYMENT, "fp16"), confidence="guess")))[PATH]
    assert list(outcomes(suite).values()) == ["passed"]


def test_a_failure_holds_both_places_why_and_fix() -> None:
    first = example().findings[0]
    (case,) = parsed(report(first))[PATH]
    (failure,) = case.result
    assert (failure.type, failure.message) == ("silent", first.message)
    assert failure.text.split("\n") == [
        first.message,
        f"at {PATH}:6:17: KV written as fp16",
        f"also {PATH}:10:17: KV read as bf16",
        f"why: {first.why}",
        f"fix: {first.fix}",
    ]


def test_a_passed_finding_holds_its_text() -> None:
    case = next(case for case in parsed(example())[PATH] if "HPD402" in case.name)
    assert f"at {PATH}:7:23: lease of 30 s by default" in text_of(case)


def test_findings_of_one_rule_have_names_of_their_own() -> None:
    same = finding(at(DEPLOYMENT, "fp16"))
    names = list(outcomes(parsed(report(same, same, finding(at(DEPLOYMENT, "bf16"))))[PATH]))
    base = "HPD201 kv-dtype-mismatch at"
    assert names == [f"{base} 6:17", f"{base} 6:17 (2)", f"{base} 10:17"]


def test_suppressed_findings_are_skipped_when_verbose() -> None:
    result = report(finding(at(DEPLOYMENT, "fp16"), suppressed="known"))
    (hidden,) = parsed(result)[PATH]
    assert (outcome(hidden), hidden.name == NO_FINDING) == ("passed", False)
    (case,) = parsed(result, PLAIN._replace(verbose=True))[PATH]
    assert (case.name, outcome(case), case.result[0].message) == ("HPD201 kv-dtype-mismatch", "skipped", "known")
    assert f"at {PATH}:6:17" in text_of(case)


def test_an_input_without_findings_passes() -> None:
    assert outcomes(parsed(report())[PATH]) == {NO_FINDING: "passed"}


@pytest.mark.parametrize("tally", [Tally(), Tally(undecided=4, not_applicable=3), Tally(not_applicable=2)])
def test_what_was_not_decided_is_no_pass(tally: Tally) -> None:
    suites = parsed(one_input("checked", tally=tally))
    assert [outcomes(suite) for suite in suites.values()] == [{NO_FINDING: "skipped"}, {DECIDED: "skipped"}]


def test_time_grows_with_the_files_and_not_with_their_square() -> None:
    paths = [f"{number}.yaml" for number in range(3000)]
    inputs = tuple(InputReport(path, "hetpd", "checked") for path in paths)
    many = report(*(finding(at(DEPLOYMENT, "fp16", path=path)) for path in paths for _ in "ab"), inputs=inputs)
    start = process_time()
    render(many, PLAIN)
    assert process_time() - start < 10  # 0.5 s; a pass over all findings for each file took minutes


def test_what_was_decided_of_another_input_is_no_pass() -> None:
    said = "hetpd: 1\npools: [{name: p, role: prefill%s}, {name: d, role: decode%s}]\n"
    texts = [SourceText("known.yaml", said % ((", kv: {dtype: bf16}",) * 2)), SourceText("open.yaml", said % ("", ""))]
    rules = [rule for rule in catalogue() if rule.code == "HPD201"]
    suites = parsed(check(read_all(texts, Limits()), rules))
    assert [outcomes(suites[text.path]) for text in texts] == [{NO_FINDING: "passed"}, {NO_FINDING: "skipped"}]


def test_an_input_without_a_boundary_is_no_pass() -> None:
    (case,) = parsed(one_input("checked", "it has no decode pool"))[PATH]
    assert (outcome(case), case.result[0].message) == ("skipped", "it has no decode pool")


def test_undecided_verdicts_are_counted_with_their_input() -> None:
    waiting = Undecided("HPD204", "kv-layout-mismatch", "T4", (), (), "", PATH)
    suite = parsed(report(undecided=(waiting, waiting._replace(path="other.yaml"))))[PATH]
    assert {one.name: one.value for one in suite.properties()} == {"undecided": "1"}
    assert suite._elem.findtext("system-out") == "undecided: 1"


def test_the_run_has_the_tally() -> None:
    suite = parsed(example())["hetpd"]
    found = {one.name: one.value for one in suite.properties()}
    del found["hetpd"]
    assert found == {"rules": "17", "held": "11", "violated": "3", "undecided": "1", "not applicable": "2"}
    assert outcomes(suite) == {DECIDED: "passed"}


def test_inputs_that_are_no_pd_deployments_have_no_suite() -> None:
    assert set(parsed(example())) == {PATH, "hetpd"}
    assert outcomes(parsed(one_input("not-pd", tally=Tally()))["hetpd"]) == {DECIDED: "skipped"}


def test_unresolved_inputs_are_skipped() -> None:
    (case,) = parsed(one_input("unresolved", "its other half is missing"))[PATH]
    assert (outcome(case), case.result[0].message) == ("skipped", "its other half is missing")


@pytest.mark.parametrize("fail_on", ["error", "never"])
def test_unreadable_inputs_are_errors(fail_on: str) -> None:
    result = one_input("unreadable", "no such file")
    options = PLAIN._replace(fail_on=fail_on)
    assert list(outcomes(parsed(result, options)[PATH]).values()) == ["error"]
    told = result._replace(findings=(finding(at(DEPLOYMENT, "fp16"), code="HPD001", name="unreadable"),))
    assert outcomes(parsed(told, options)[PATH]) == {"HPD001 unreadable": "error"}


def test_a_finding_is_counted_once_where_it_stands_in_two_files() -> None:
    inputs = tuple(
        InputReport(path, "k8s", "checked", pools=pools(), joined=(other,))
        for path, other in [(PATH, BASE), (BASE, PATH)]
    )
    suites = parsed(report(finding(at(DEPLOYMENT, "fp16"), also(DEPLOYMENT, "bf16", path=BASE)), inputs=inputs))
    assert list(outcomes(suites[PATH]).values()) == ["failure"]
    (case,) = suites[BASE]
    assert (outcome(case), case.result[0].message) == ("skipped", f"reported in {PATH}")


def test_a_file_that_is_checked_with_another_is_no_pass() -> None:
    inputs = (InputReport(PATH, "k8s", "checked", pools=pools()), InputReport(BASE, "k8s", "checked", joined=(PATH,)))
    suites = parsed(report(inputs=inputs))
    assert [list(outcomes(suites[path]).values()) for path in (PATH, BASE)] == [["passed"], ["skipped"]]


@pytest.mark.parametrize(
    ("path", "name", "file", "class_name"),
    [
        ("a.yaml", "sub/a.yaml", "sub/a.yaml", "sub.a_yaml"),
        ("/top/c.yaml", "c.yaml", "c.yaml", "c_yaml"),
        ("/elsewhere/d.yaml", "/elsewhere/d.yaml", None, ".elsewhere.d_yaml"),
        ("<stdin>", "<stdin>", None, "<stdin>"),
        ("a\udcff.yaml", "sub/a\\udcff.yaml", "sub/a\\udcff.yaml", "sub.a\\udcff_yaml"),
    ],
)
def test_files_are_named_from_the_top_of_the_checkout(path: str, name: str, file: str | None, class_name: str) -> None:
    options = PLAIN._replace(repository=Repository("/top", "/top/sub"))
    suites = parsed(report(finding(at(DEPLOYMENT, "fp16", path=path)), inputs=()), options)
    assert set(suites) == {name, "hetpd"}
    assert suites[name]._elem.get("file") == file
    (case,) = suites[name]
    assert case.classname == class_name
    assert f"at {name}:6:17: here" in text_of(case)


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_every_place_of_an_example_is_found_again(path: Path) -> None:
    result = check(list(find([str(path)]).readings(Limits())), catalogue())
    suites = parsed(result, PLAIN._replace(repository=Repository(str(path.parents[1]), "/")))
    name = f"examples/{path.name}"
    told = [text_of(case) for case in suites[name] if text_of(case)]
    assert len(told) == len(result.findings)
    for text, violated in zip(told, sorted(result.findings, key=lambda one: one.primary), strict=True):
        places = re.findall(rf"^(?:at|also) {name}:(\d+):(\d+): ", text, re.MULTILINE)
        assert {(int(line), int(column)) for line, column in places} == {spot.place[1:3] for spot in violated.places}


def test_several_examples_in_one_run() -> None:
    result = check(list(find([str(path) for path in EXAMPLES]).readings(Limits())), catalogue())
    suites = parsed(result)
    assert len(suites) == len(EXAMPLES) + 1
    assert sum(suite.failures for suite in suites.values()) == sum(one.severity == "error" for one in result.findings)


def test_the_empty_run() -> None:
    suites = parsed(report(inputs=(), tally=Tally()))
    assert [outcomes(suite) for suite in suites.values()] == [{DECIDED: "skipped"}]


def assert_hostile_is_text(text: str) -> None:
    for verbose in (False, True):
        suites = parsed(hostile(text), PLAIN._replace(verbose=verbose))
        suite = suites[inert(text)] if inert(text) != "hetpd" and text else next(iter(suites.values()))
        assert [case.name.partition(" at ")[0] for case in suite] == ["HPD201 kv-dtype-mismatch"] * (1 + verbose)
        assert {outcome(case) for case in suite} == {"error", "skipped"} if verbose else {"error"}


@pytest.mark.parametrize(
    "text", [*HOSTILE, "]]>", "</failure><testcase/>", "&amp;&#x41;", '" name="x', "<!-- x", "\ufffe"]
)
def test_hostile_content_is_text(text: str) -> None:
    assert_hostile_is_text(text)


@given(st.text(st.characters(), min_size=1, max_size=40).filter(lambda text: text != "hetpd"))
def test_any_text_is_text(text: str) -> None:
    assert_hostile_is_text(text)
