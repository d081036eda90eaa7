"""JUnit XML for the test views of CI: a suite an input, a test case a finding.

A finding that fails the run is a failure, any other one a passed case with its text. What was not decided is skipped,
never passed. The output is valid by ``junit-10.xsd`` of Jenkins' xUnit plugin, which refuses reports that are not. It
gives a test case no ``file`` or ``line``: places stand in the text, and the suite names the file.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

from hetpd_cli import __version__
from hetpd_cli.findings import fails
from hetpd_cli.report.checkout import from_top, in_checkout, in_lines, title
from hetpd_cli.report.style import guard, inert, prose
from hetpd_cli.report.words import summary, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hetpd_cli.findings import Finding, InputReport, Report
    from hetpd_cli.report import Options

NO_FINDING = "no rule is violated"
DECIDED = "something was decided"
_NOTHING_DECIDED = "nothing was decided"


class _Known(NamedTuple):
    """What a report says of a path: findings to show by their first place, all by any, and undecided rules."""

    shown: dict[str, list[Finding]]
    touching: dict[str, list[Finding]]
    undecided: Counter[str]


class _Case(NamedTuple):
    """A test case: ``outcome`` is the element that says what became of it, empty where it passed."""

    name: str
    outcome: str = ""
    kind: str = ""
    message: str = ""
    text: str = ""


def render(report: Report, options: Options) -> str:
    """Return one ``testsuites``: a suite for each file that is an input or has a finding, and one for the run."""
    report, options = from_top(report, options)
    root = ET.Element("testsuites", name="hetpd")
    total: Counter[str] = Counter()
    known = _known(report, options)
    for path, items in _files(report, known).items():
        cases = _cases(path, items, report, known, options)
        if cases:
            total += _suite(root, path, _told_apart(cases), _about(path, known))
    total += _suite(root, "", [_run(report)], _tally(report), summary(report))
    for name in ("tests", "failures", "errors"):
        root.set(name, str(total[name]))
    ET.indent(root)
    # References in the place of characters that are not ASCII: valid in any encoding that the text is stored in.
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="us-ascii").decode("ascii")}\n'


def _known(report: Report, options: Options) -> _Known:
    known = _Known({}, {}, Counter(item.path for item in report.undecided))
    for finding in visible(report, options):
        known.shown.setdefault(finding.primary.path, []).append(finding)
    for finding in report.findings:
        for path in {spot.place.path for spot in finding.places}:
            known.touching.setdefault(path, []).append(finding)
    return known


def _files(report: Report, known: _Known) -> dict[str, list[InputReport]]:
    """Return what is known of each file to tell of; those that are no inputs have findings."""
    files: dict[str, list[InputReport]] = {}
    for item in report.inputs:
        files.setdefault(item.path, []).append(item)
    for path in known.shown:
        files.setdefault(path, [])
    return files


# Cases


def _cases(path: str, items: Sequence[InputReport], report: Report, known: _Known, options: Options) -> list[_Case]:
    unreadable = any(item.status == "unreadable" for item in items)
    cases = [_case(finding, options, unreadable=unreadable) for finding in known.shown.get(path, ())]
    return cases or [case for item in items for case in _without_finding(item, report, known)]


def _case(finding: Finding, options: Options, *, unreadable: bool) -> _Case:
    message = prose(finding.message)
    text = "\n".join(map(guard, [message, *in_lines(finding, options)]))
    kind = inert(finding.impact or finding.severity)
    place = finding.primary
    name = f"{title(finding)}\0{place.line}:{place.column}"
    if finding.suppressed is not None:
        return _Case(name, "skipped", kind, prose(finding.suppressed), text)
    if unreadable:
        return _Case(name, "error", kind, message, text)
    return _Case(name, "failure" if fails(finding, options.fail_on) else "", kind, message, text)


def _without_finding(item: InputReport, report: Report, known: _Known) -> list[_Case]:
    """Return the case of an input that no shown finding is listed by; none for one that is no PD deployment."""
    detail = prose(item.detail)
    if item.status == "not-pd":
        return []
    if item.status == "unreadable":
        return [_Case("the input is read", "error", "unreadable", detail)]
    if item.status == "unresolved":
        return [_Case(NO_FINDING, "skipped", "unresolved", detail)]
    elsewhere = [finding for path in (item.path, *item.joined) for finding in known.touching.get(path, ())]
    reported = dict.fromkeys(inert(finding.primary.path) for finding in elsewhere if finding.suppressed is None)
    if reported:
        return [_Case(NO_FINDING, "skipped", "elsewhere", f"reported in {', '.join(reported)}")]
    if item.joined and not item.pools:
        return [_Case(NO_FINDING, "skipped", "elsewhere", f"checked with {', '.join(map(inert, item.joined))}")]
    if detail:
        return [_Case(NO_FINDING, "skipped", "undecided", detail)]
    if item.path not in report.decided:
        return [_Case(NO_FINDING, "skipped", "undecided", _NOTHING_DECIDED)]
    return [_Case("no rule is violated that is not suppressed" if elsewhere else NO_FINDING)]


def _run(report: Report) -> _Case:
    if report.tally.held or report.tally.violated:
        return _Case(DECIDED)
    return _Case(DECIDED, "skipped", "undecided", _NOTHING_DECIDED if sum(report.tally) else "nothing was checked")


def _told_apart(cases: Sequence[_Case]) -> list[_Case]:
    """Return the cases with names of their own, as consumers take cases of one name for one.

    Findings that share a name get their place in it, and a number where they share that too.
    """
    shared = Counter(case.name.partition("\0")[0] for case in cases)
    seen: Counter[str] = Counter()
    apart = []
    for case in cases:
        name, _, place = case.name.partition("\0")
        name = f"{name} at {place}" if shared[name] > 1 and place else name
        seen[name] += 1
        apart.append(case._replace(name=name if seen[name] == 1 else f"{name} ({seen[name]})"))
    return apart


# XML


def _suite(
    root: ET.Element,
    path: str,
    cases: Sequence[_Case],
    properties: Iterable[tuple[str, object]],
    output: str = "",
) -> Counter[str]:
    """Add a suite and return its counts; the one of no ``path`` is that of the run."""
    outcomes = Counter(case.outcome for case in cases)
    counts = {"tests": len(cases), "failures": outcomes["failure"], "errors": outcomes["error"]}
    suite = ET.SubElement(root, "testsuite", name=inert(path) or "hetpd")
    for name, count in {**counts, "skipped": outcomes["skipped"]}.items():
        suite.set(name, str(count))
    if in_checkout(path) and path:
        suite.set("file", inert(path))
    properties = list(properties)
    if properties:
        holder = ET.SubElement(suite, "properties")
        for name, value in properties:
            ET.SubElement(holder, "property", name=name, value=str(value))
        output = output or "\n".join(f"{name}: {value}" for name, value in properties)
    for case in cases:
        _write(suite, case, _class_name(path))
    if output:
        ET.SubElement(suite, "system-out").text = output
    return Counter(counts)


def _write(suite: ET.Element, case: _Case, class_name: str) -> None:
    element = ET.SubElement(suite, "testcase", name=case.name, classname=class_name)
    if case.outcome:
        element = ET.SubElement(element, case.outcome, type=case.kind, message=case.message)
        element.text = case.text
    elif case.text:
        ET.SubElement(element, "system-out").text = case.text


def _class_name(path: str) -> str:
    """Return ``prod.deploy_yaml``: viewers make packages of what stands before the last dot."""
    return inert(path).replace(".", "_").replace("/", ".") or "hetpd"


def _about(path: str, known: _Known) -> list[tuple[str, object]]:
    """Return what was left undecided of an input."""
    count = known.undecided[path]
    return [("undecided", count)] if count else []


def _tally(report: Report) -> list[tuple[str, object]]:
    verdicts = {name.replace("_", " "): count for name, count in report.tally._asdict().items()}
    return [("hetpd", __version__), ("rules", report.rules), *verdicts.items()]
