"""What a contract says: the KV object of each boundary and whether it is portable.

These are plain data. :mod:`hetpd_cli.engine.contract` makes them, the renderers print them. The object is that of best
practice BP-4 of arXiv 2606.29708, the verdict that of its figure 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hetpd_cli.findings import FactView, InputReport, Need
    from hetpd_cli.places import Place

YES = "yes"
NO = "no"
UNKNOWN = "unknown"
TRUTHS = (YES, NO, UNKNOWN)

PARTS = ("identity", "representation", "residency", "lifecycle")
"""Parts of the object, in order."""

INVARIANTS = ("model", "adapters", "token range", "position state", "runtime schema")
"""What has to be one on both sides, whatever is converted."""

PORTABLE = ("consume", "redistribute", "convert", "redistribute+convert")
"""Verdicts where every invariant agrees, by what else differs: nothing, space, numbers, both."""

CLOSED = ("reroute", "recompute", "reject")
"""Verdicts where an invariant differs."""

UNDECIDED = "undecided"
WORDS = (*PORTABLE, *CLOSED, UNDECIDED)

ASPECTS = ("dtype", "layout", "block_size", "partition")
"""What a step of a plan changes, in the words of ``handoff.conversion.of``; ``dtype`` covers scales and rotation."""

MOMENTS = ("starts_move", "pins_source", "reserves_destination", "commits", "releases", "cleans_up")
"""Moments of the handoff of one request that somebody is responsible for."""

PAYMENTS = {
    "prefill": ("less boundary traffic", "prefill compute, TTFT at risk"),
    "transport": ("accelerators untouched", "staging and host bandwidth, transfer latency"),
    "decode": ("a simple producer", "decode admission waits, TTFT at risk; TPOT only if done step by step"),
}
"""Where a plan runs: what is won and who pays (arXiv 2606.29708, section 4.2)."""


class Entry(NamedTuple):
    """One property of the KV object.

    ``values`` holds prefill's and decode's value, or the only one if it belongs to the handoff or the store; then
    ``agree`` is None. Else it is one of :data:`TRUTHS`.
    """

    name: str
    values: tuple[FactView, ...]
    agree: str | None


class Invariant(NamedTuple):
    """One of :data:`INVARIANTS`: whether it agrees, in what it differs, what would settle it."""

    name: str
    agree: str
    reason: str = ""
    needs: tuple[Need, ...] = ()


class Duty(NamedTuple):
    """Who is responsible at one of :data:`MOMENTS`; ``who`` is prefill, decode, both, or None where not known."""

    moment: str
    who: str | None
    what: str
    source: tuple[str, ...] = ()
    confidence: str | None = None


class Step(NamedTuple):
    """A change that the pair needs. ``exists`` says whether something makes it, ``where`` and ``by`` who if known."""

    of: str
    change: str
    exists: str
    reason: str
    where: str | None = None
    by: str | None = None

    @property
    def missing(self) -> bool:
        """Whether the change is needed and known not to be made."""
        return self.exists == NO


class Verdict(NamedTuple):
    """One of :data:`WORDS`, with why.

    ``targets`` are the decode pools that a reroute leads to. ``portable`` holds the words of :data:`PORTABLE` that are
    possible as far as layout, partition and numbers go. ``needs`` are the facts that would settle an undecided verdict.
    Where a closed gate ``concerns`` some states only, ``others`` is the word for the other ones.
    """

    word: str
    reasons: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    portable: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    concerns: str | None = None
    others: str | None = None


class Contract(NamedTuple):
    """The contract of one boundary; ``parts`` maps each of :data:`PARTS` to its entries."""

    path: str
    deployment: str | None
    prefill: str
    decode: str
    place: Place | None
    verdict: Verdict
    invariants: tuple[Invariant, ...]
    steps: tuple[Step, ...]
    parts: dict[str, tuple[Entry, ...]]
    duties: tuple[Duty, ...]

    @property
    def broken(self) -> bool:
        """Whether a state is lost as things stand: an invariant differs, or a needed change is not made.

        None is lost where only some states do not cross, and another pool takes these.
        """
        spread = self.verdict.word == "reroute" and self.verdict.concerns is not None
        return (self.verdict.word in CLOSED and not spread) or any(step.missing for step in self.steps)


class ContractReport(NamedTuple):
    """Everything one run of ``contract`` has to say."""

    inputs: tuple[InputReport, ...]
    contracts: tuple[Contract, ...]
