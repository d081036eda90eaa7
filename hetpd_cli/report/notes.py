"""What stands under the frames of a finding, and what undecided verdicts wait for: harmless text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.report.style import inert, prose, solid
from hetpd_cli.report.words import fact_text, place_text, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hetpd_cli.findings import Evidence, FactView, Finding, Need, Report, Undecided
    from hetpd_cli.places import Place
    from hetpd_cli.report import Options

_BOUNDARIES_PER_FINDING = 8
_FACTS_THAT_SETTLE = 5
_SHOWN_ORIGINS = {"default", "looked up", "derived", "assumed"}
_OPTIONS = {
    "engine.version": ("--engine-version",),
    "accelerator": ("--prefill-gpu", "--decode-gpu"),
    "handoff.path.link": ("--link",),
}


def notes_of(finding: Finding, options: Options) -> Iterator[tuple[str, str]]:
    """Yield what a finding says beyond its message and places, as (key, text)."""
    if finding.suppressed is not None:
        yield "suppressed", prose(finding.suppressed)
    if finding.why:
        yield "why", prose(finding.why)
    if finding.fix:
        yield "fix", prose(finding.fix)
    shown = {spot.place for spot in finding.places}
    told = (fact_text(fact) for fact in finding.facts if options.verbose or _tells(fact, shown))
    for text in dict.fromkeys(told):
        yield "because", text
    yield _impact(finding)
    if len(finding.boundaries) > 1 or (finding.boundaries and options.verbose):
        yield "boundaries", _boundaries(finding, options)
    if options.verbose:
        yield from (("evidence", _evidence(item)) for item in finding.evidence)
    elif finding.evidence:
        yield "evidence", _evidence_in_short(finding.evidence)


def _tells(fact: FactView, shown: set[Place]) -> bool:
    """Tell whether a deciding fact is not plain from the frames: nobody wrote it, or it was written otherwise.

    A derived truth only says in other words that the rule is violated; what nobody knows decides nothing.
    """
    if fact.origin == "unknown" or (fact.origin == "derived" and isinstance(fact.value, bool)):
        return False
    if fact.origin in _SHOWN_ORIGINS or fact.place is None:
        return True
    return fact.written is not None and fact.place in shown


def _impact(finding: Finding) -> tuple[str, str]:
    """Return the note on what happens to the user, how sure that is, and where the paper treats it."""
    tags = [*filter(None, [finding.cell and f"cell {finding.cell}", ", ".join(finding.practice)])]
    if finding.impact is None:
        return "confidence", inert(" · ".join([finding.confidence, *tags]))
    return "impact", inert(" · ".join([finding.impact, f"confidence: {finding.confidence}", *tags]))


def _boundaries(finding: Finding, options: Options) -> str:
    names = list(map(inert, finding.boundaries))
    if options.verbose or len(names) <= _BOUNDARIES_PER_FINDING:
        return ", ".join(names)
    left_out = len(names) - _BOUNDARIES_PER_FINDING
    return f"{', '.join(names[:_BOUNDARIES_PER_FINDING])} and {left_out} more"


def _evidence(item: Evidence) -> str:
    of = f" of {item.of}" if item.of else ""
    return prose(f"{item.kind}{of}: {item.says} ({item.at})")


def _evidence_in_short(items: Sequence[Evidence]) -> str:
    item = items[0]
    of = f" of {item.of}" if item.of else ""
    more = f" (and {len(items) - 1} more: --verbose)" if len(items) > 1 else ""
    return prose(f"{item.kind}{of}, {item.at}{more}")


def undecided(report: Report) -> str:
    """Count what is undecided: ``40 verdicts of 12 rules``; empty if nothing is."""
    count = report.tally.undecided
    if not count and not report.undecided:
        return ""
    rules = len({item.code for item in report.undecided})
    return plural(count, "verdict") + (f" of {plural(rules, 'rule')}" if rules else "")


def settles_most(report: Report) -> str:
    """Return the facts that would settle most undecided verdicts, and the options that say them."""
    facts = [f"{inert(fact)} ({times})" for fact, times in report.settling[:_FACTS_THAT_SETTLE]]
    options = dict.fromkeys(option for fact, _ in report.settling for option in _options_that_say(fact))
    said = f"; say it with {', '.join(options)}" if options else ""
    return ", ".join(facts) + said


def _options_that_say(fact: str) -> tuple[str, ...]:
    """Return the options of the command line that fill a fact."""
    if fact.startswith("model."):
        return ("--model",)
    return _OPTIONS.get(fact, ())


def waits_for(item: Undecided, options: Options) -> str:
    """Return what an undecided rule needs, else why it is undecided, and on which boundaries."""
    needs = [f"{inert(need.fact)} ({_reason(need, options)})" for need in item.needs]
    text = f"needs {', '.join(needs)}" if needs else prose(item.reason)
    return f"{text} [{inert(', '.join(item.boundaries))}]" if item.boundaries else text


def _reason(need: Need, options: Options) -> str:
    where = [] if need.place is None else [solid(place_text(need.place, options))]
    return ", ".join([prose(need.reason), *where])
