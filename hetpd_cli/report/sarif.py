"""SARIF 2.1.0: what GitHub code scanning and other consumers of static analysis read.

A finding is a result, its primary place the location and each other place a related location that the message links
to: GitHub shows related locations only where the message does. Undecided verdicts are no results, as GitHub would show
them as alerts whatever their kind; they stand in the properties of the run, with the tally.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hetpd_cli import __version__
from hetpd_cli.families import BUILT_IN, family_of
from hetpd_cli.findings import CELLS, rank
from hetpd_cli.report.checkout import from_top, in_checkout
from hetpd_cli.report.json_report import dump
from hetpd_cli.report.repository import quoted
from hetpd_cli.report.style import guard, inert, prose
from hetpd_cli.report.tracking import tracked
from hetpd_cli.report.words import fact_text, statuses

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hetpd_cli.findings import Evidence, Finding, InputReport, LabelledPlace, Report, Undecided
    from hetpd_cli.places import Place
    from hetpd_cli.report import Options

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"
_FINGERPRINT = "hetpd/v1"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}

# GitHub orders alerts by these: https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support
_PRECISIONS = {"certain": "very-high", "likely": "high", "guess": "low"}
_PROBLEMS = {"error": "error", "warning": "warning", "info": "recommendation"}
# GitHub refuses a run with more results or a result with more locations, cuts descriptions and shows ten tags.
_RESULTS = 25_000
_LOCATIONS = 1000
_DESCRIPTION = 1024
_TAGS = 10

_LINKS = 20
"""Places that a message links to; more would bury it."""

_SEMANTIC_VERSION = re.compile(r"\d+\.\d+\.\d+")
_FILES_OF_REVISION = re.compile(r"(https?://[!-~]+?)(?:/-)?/blob/([0-9a-f]{7,64})/")
_MARKS = re.compile(r"([\\\[\]])")


def render(report: Report, options: Options) -> str:
    """Return ``report`` as a SARIF log of one run."""
    report, options = from_top(report, options)
    shown = tracked(report, options)
    kept = _kept(shown)
    codes = sorted({finding.code for finding, _ in kept})
    first = {finding.code: finding for finding, _ in reversed(kept)}
    run = {
        "tool": {"driver": _driver([_rule(first[code], options) for code in codes])},
        "invocations": [_invocation(report, len(shown) - len(kept))],
        # Without its URI: a consumer knows where its checkout is, and need not learn where that of the run was.
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The top of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "newlineSequences": ["\r\n", "\n", "\r"],
        "results": [_result(finding, name, codes.index(finding.code), options) for finding, name in kept],
        "properties": _run_properties(report),
    }
    provenance = _provenance(options)
    if provenance:
        run["versionControlProvenance"] = [provenance]
    return dump({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _kept(shown: list[tuple[Finding, str]]) -> list[tuple[Finding, str]]:
    """Return what a run may hold; the mildest findings go first."""
    if len(shown) <= _RESULTS:
        return shown
    worst = sorted(range(len(shown)), key=lambda index: rank(shown[index][0].severity))[:_RESULTS]
    return [shown[index] for index in sorted(worst)]


def _driver(rules: list[dict[str, Any]]) -> dict[str, Any]:
    driver: dict[str, Any] = {
        "name": "hetpd",
        "fullName": f"hetpd {__version__}",
        "version": __version__,
        "rules": rules,
    }
    if _SEMANTIC_VERSION.fullmatch(__version__):
        driver["semanticVersion"] = __version__
    return driver


# -- rules -----------------------------------------------------------------------------------------------------


def _rule(finding: Finding, options: Options) -> dict[str, Any]:
    """Return what is said of the rule of ``finding``, from its file where that can be read."""
    raw = {} if options.rule_source is None else options.rule_source(finding.code)
    severity = raw.get("severity", finding.severity)
    title = raw.get("title", finding.name.replace("-", " "))
    return {
        "id": finding.code,
        "name": finding.name,
        "shortDescription": {"text": _described(title)},
        "fullDescription": {"text": _described(raw.get("why", finding.why) or title)},
        "help": _help(raw) if raw else {"text": _short_help(finding)},
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {
            "tags": _tags(finding),
            "precision": _PRECISIONS[raw.get("confidence", finding.confidence)],
            "problem.severity": _PROBLEMS[severity],
            **({"impact": finding.impact} if finding.impact else {}),
        },
    }


def _described(text: str) -> str:
    whole = _sentence(prose(text))
    return whole if len(whole) <= _DESCRIPTION else whole[: _DESCRIPTION - 3] + "..."


def _help(raw: Mapping[str, Any]) -> dict[str, str]:
    from hetpd_cli.report import Options
    from hetpd_cli.report.rule_page import markdown, page, terminal

    blocks = page(dict(raw))
    text = {"text": terminal(blocks, Options())}
    # Own rules come with the checkout: a page's Markdown keeps what GitHub makes links and mentions of.
    return text | {"markdown": markdown(blocks)} if raw["code"].startswith(BUILT_IN) else text


def _short_help(finding: Finding) -> str:
    parts = [finding.why, f"Fix: {finding.fix}" if finding.fix else "", *_evidence(finding.evidence)]
    return "\n".join(prose(part) for part in parts if part) or finding.name


def _tags(finding: Finding) -> list[str]:
    words = (family_of(finding.code), finding.cell, finding.decision, *finding.practice)
    return list(dict.fromkeys(filter(None, words)))[:_TAGS]


# -- results ---------------------------------------------------------------------------------------------------


def _result(finding: Finding, name: str, index: int, options: Options) -> dict[str, Any]:
    primary, *others = sorted(finding.places, key=lambda spot: not spot.primary)
    others = others[: _LOCATIONS - 1]
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": _message(finding, primary, others)},
        "locations": [_location(primary)],
        "relatedLocations": [{"id": number} | _location(spot) for number, spot in enumerate(others, 1)],
        "partialFingerprints": {_FINGERPRINT: name},
        "properties": _properties(finding),
    }
    if options.verbose:
        result["suppressions"] = list(_suppressions(finding))
    return result


def _message(finding: Finding, primary: LabelledPlace, others: Sequence[LabelledPlace]) -> str:
    """Return the message, the label of the primary place, and links to the others by their labels."""
    parts = [_sentence(_plain(finding.message))]
    if primary.label:
        parts.append(_sentence(f"Here: {_plain(primary.label)}"))
    links = [f"[{_MARKS.sub(_escaped, _plain(_label(spot)))}]({number})" for number, spot in enumerate(others, 1)]
    more = len(finding.places) - 1 - len(links[:_LINKS])
    if links:
        parts.append(f"There: {', '.join(links[:_LINKS])}{f' and {more} more' if more else ''}.")
    return " ".join(parts)


def _escaped(found: re.Match[str]) -> str:
    return "\\" + found[0]


def _label(spot: LabelledPlace) -> str:
    return spot.label or f"line {spot.place.line}"


def _plain(text: str) -> str:
    """Return text as a message without placeholders (SARIF 3.11.5) or links (3.11.6), whatever is in it.

    No link is without ``](``, which is taken apart and not escaped: not every reader knows of the escape.
    """
    return guard(prose(text)).replace("](", "] (").replace("{", "{{").replace("}", "}}")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _location(spot: LabelledPlace) -> dict[str, Any]:
    place = spot.place
    physical = {"artifactLocation": _artifact(place.path), "region": _region(place)}
    message = {"message": {"text": _plain(spot.label)}} if spot.label else {}
    return {"physicalLocation": physical, **message}


def _artifact(path: str) -> dict[str, Any]:
    """Return a file: by its path in the repository, or by its whole path if it is outside."""
    if path.startswith("/"):
        return {"uri": "file:///" + quoted(path.lstrip("/"))}
    return {"uri": quoted(path), "uriBaseId": _ROOT} if in_checkout(path) else {"uri": quoted(path)}


def _region(place: Place) -> dict[str, int]:
    """Return a span: as :class:`Place`, SARIF counts from 1 and its end is exclusive."""
    line, column = max(place.line, 1), max(place.column, 1)
    end_line = max(place.end_line, line)
    least = column if end_line == line else 1
    return {
        "startLine": line,
        "startColumn": column,
        "endLine": end_line,
        "endColumn": max(place.end_column, least),
    }


def _suppressions(finding: Finding) -> Iterator[dict[str, str]]:
    if finding.suppressed is not None:
        kind = "inSource" if finding.suppressed_by == "comment" else "external"
        yield {"kind": kind, "status": "accepted", "justification": prose(finding.suppressed)}


def _properties(finding: Finding) -> dict[str, Any]:
    fields = {
        "impact": finding.impact,
        "confidence": finding.confidence,
        "decision": finding.decision,
        "cell": finding.cell,
        "practice": list(finding.practice),
        "boundaries": [inert(label) for label in finding.boundaries],
        "facts": [fact_text(fact) for fact in finding.facts],
        "evidence": list(_evidence(finding.evidence)),
        "fix": prose(finding.fix),
        "suppressedBy": finding.suppressed_by,
    }
    return {name: value for name, value in fields.items() if value}


def _evidence(rows: Sequence[Evidence]) -> Iterator[str]:
    for row in rows:
        yield prose(f"{row.kind}{f', {row.of}' if row.of else ''}, {row.at}")


# -- the run ---------------------------------------------------------------------------------------------------


def _invocation(report: Report, left_out: int) -> dict[str, Any]:
    notifications = [notification for entry in report.inputs for notification in _notifications(entry)]
    if left_out:
        text = f"{left_out} of the mildest findings are left out: a run holds {_RESULTS}."
        notifications.append({"level": "warning", "message": {"text": text}})
    return {
        "executionSuccessful": all(entry.status != "unreadable" for entry in report.inputs),
        "toolExecutionNotifications": notifications,
    }


def _notifications(entry: InputReport) -> Iterator[dict[str, Any]]:
    """Return what became of an input that could not be checked."""
    level = {"unreadable": "error", "unresolved": "warning"}.get(entry.status)
    if level is not None:
        said = f"{entry.status}: {entry.detail}" if entry.detail else entry.status
        yield {
            "level": level,
            "message": {"text": _sentence(_plain(said))},
            "locations": [{"physicalLocation": {"artifactLocation": _artifact(entry.path)}}],
        }


def _provenance(options: Options) -> dict[str, Any]:
    """Return the repository and its revision, where CI says at which address its files can be looked at."""
    url = options.repository.url if options.repository else ""
    found = _FILES_OF_REVISION.fullmatch(url)
    if found is None:
        return {}
    return {"repositoryUri": found[1], "revisionId": found[2], "mappedTo": {"uriBaseId": _ROOT}}


def _run_properties(report: Report) -> dict[str, Any]:
    tally = report.tally
    return {
        "rules": report.rules,
        "held": tally.held,
        "violated": tally.violated,
        "undecided": tally.undecided,
        "notApplicable": tally.not_applicable,
        "inputs": statuses(report.inputs),
        "matrix": {cell: report.matrix.get(cell, "not analysed") for cell in CELLS},
        "undecidedRules": [_undecided(entry) for entry in report.undecided],
    }


def _undecided(entry: Undecided) -> dict[str, Any]:
    return {
        "code": entry.code,
        "name": entry.name,
        "uri": _artifact(entry.path)["uri"],
        "boundaries": [inert(label) for label in entry.boundaries],
        "needs": [prose(f"{need.fact}: {need.reason}" if need.reason else need.fact) for need in entry.needs],
        **({"reason": prose(entry.reason)} if entry.reason else {}),
    }
