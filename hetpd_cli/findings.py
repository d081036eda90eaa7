"""What a check says: findings, undecided verdicts, the matrix, the report.

These are plain data. The engine and the readers make them; the renderers in :mod:`hetpd_cli.report` print them.
Nothing here knows a rule or a format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hetpd_cli.places import Place

Scalar = str | int | float | bool | None

SEVERITIES = ("error", "warning", "info")
"""From worst to mildest."""

NEVER = "never"
"""In the place of a severity: none."""

SURE_ENOUGH = ("certain", "likely")
"""Confidences that may fail a run; a guess never does."""

CELLS = ("T1", "T2", "T3", "T4", "T5", "T6", "O1", "O2", "A1-A5", "A2-A5")
"""Cells of the coupling matrix: six tight, two open, two that the paper does not analyse."""

STATUSES = ("checked", "unresolved", "not-pd", "unreadable")
"""What became of an input."""

NO_ENGINE = "no inference engine is launched"
NO_FORMAT = "it launches no inference engine, and is no deployment file (`hetpd: 1`)"
FOREIGN = (NO_ENGINE, NO_FORMAT)
"""Details of inputs that are none of our business: among others they are not worth a line."""


class LabelledPlace(NamedTuple):
    """A place with at most six words on what stands there; exactly one place of a finding is primary."""

    place: Place
    label: str
    primary: bool = False


class FactView(NamedTuple):
    """A fact as shown to people: canonical value, unit, origin, and the text the user wrote if it differs.

    ``of`` names the pool, handoff or section that the fact belongs to. A value of None is known to have none, or
    unknown if the origin is ``unknown``.
    """

    name: str
    value: Scalar | list[Scalar]
    unit: str | None
    origin: str
    place: Place | None = None
    written: str | None = None
    note: str | None = None
    of: str = ""


class FactRow(NamedTuple):
    """A fact with the names of what it is derived from and, where it is unknown, why and what it can be."""

    view: FactView
    inputs: tuple[str, ...] = ()
    reason: str = ""
    candidates: tuple[Scalar | list[Scalar], ...] = ()


class FactGroup(NamedTuple):
    """The facts of one subject. ``prefix`` is what names its facts in rules: a role, ``handoff``, ``workload``."""

    kind: str
    name: str
    prefix: str
    place: Place | None
    rows: tuple[FactRow, ...]


class Evidence(NamedTuple):
    """Why a rule is right. ``of`` is a product with a version range (``vllm >=0.24,<0.34``) or None."""

    kind: str
    at: str
    says: str
    of: str | None = None


SUPPRESSED_BY = ("comment", "configuration", "baseline")
"""What suppresses a finding: a comment in an input, a table of the configuration, the baseline."""


class Accepted(NamedTuple):
    """Why a finding is suppressed, and by what (:data:`SUPPRESSED_BY`)."""

    reason: str
    by: str


class Finding(NamedTuple):
    """A violated rule at its places.

    ``identity`` tells it from other findings of its code: deciding facts with their values, or what is wrong with
    the input; ``parts`` holds that of each violation that the finding joins, where there is more than one.
    ``suppressed`` is the reason given for suppressing it and ``suppressed_by`` what does; None if it is not suppressed.
    """

    code: str
    name: str
    severity: str
    message: str
    places: tuple[LabelledPlace, ...]
    why: str = ""
    fix: str = ""
    impact: str | None = None
    confidence: str = "certain"
    decision: str | None = None
    cell: str | None = None
    practice: tuple[str, ...] = ()
    boundaries: tuple[str, ...] = ()
    facts: tuple[FactView, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    identity: tuple[str, ...] = ()
    suppressed: str | None = None
    suppressed_by: str | None = None
    parts: tuple[tuple[str, ...], ...] = ()

    @property
    def fingerprint(self) -> str:
        """A short name of this finding that survives moved lines: a digest of code and ``identity``."""
        from hashlib import sha256

        text = "\n".join([self.code, *self.identity])
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @property
    def primary(self) -> Place:
        """The place that the finding is sorted and listed by."""
        return next((spot.place for spot in self.places if spot.primary), self.places[0].place)


def rank(severity: str) -> int:
    """Return the place of a severity among all, the worst first; one that nobody knows comes last."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def fails(finding: Finding, fail_on: str) -> bool:
    """Tell whether a finding fails a run whose mildest failing severity is ``fail_on``, or :data:`NEVER`."""
    if fail_on == NEVER or finding.suppressed is not None or finding.confidence not in SURE_ENOUGH:
        return False
    return rank(finding.severity) <= rank(fail_on)


class Need(NamedTuple):
    """A fact ``of`` a pool or section that would help to settle an undecided verdict, with why it is unknown.

    ``known`` tells that it is known already, and outside what the evidence covers: stating it settles nothing.
    """

    fact: str
    reason: str
    place: Place | None = None
    of: str = ""
    known: bool = False


class Undecided(NamedTuple):
    """A rule that applies but could not be decided on these boundaries of the input ``path``."""

    code: str
    name: str
    cell: str | None
    boundaries: tuple[str, ...]
    needs: tuple[Need, ...]
    reason: str = ""
    path: str = ""


class Tally(NamedTuple):
    """Verdicts counted: a rule counts once for each outcome that it had on some boundary of a deployment."""

    held: int = 0
    violated: int = 0
    undecided: int = 0
    not_applicable: int = 0


DEGREES = ("tp", "pp", "dp", "ep", "cp", "dcp")
"""Degrees of parallelism by the names of their fields, in the order in which they are shown."""


class FactCounts(NamedTuple):
    """Where the facts of an input's pools and handoffs come from.

    Counted are the fields of the deployment schema that the selected rules read of that pool or handoff, directly or
    through derived facts, whatever came of the rules. ``derived`` counts those that follow from other facts or stand in
    a table.
    """

    stated: int = 0
    assumed: int = 0
    default: int = 0
    derived: int = 0
    unknown: int = 0


class PoolReport(NamedTuple):
    """What a pool is: its shape, and what runs on it. None is not known, or there is none.

    ``parallelism`` holds the degrees that are known, by the name of their field (``tp``). ``place`` is where the pool
    is declared.
    """

    name: str
    role: str | None
    workers: int | None
    devices_per_worker: int | None
    parallelism: Mapping[str, int]
    accelerator: str | None
    model: str | None
    engine: str | None
    version: str | None
    connector: str | None
    place: Place


class InputReport(NamedTuple):
    """What became of one input.

    ``joined`` names the other files that hold a part of what was checked.
    """

    path: str
    format: str | None
    status: str
    detail: str = ""
    boundaries: tuple[str, ...] = ()
    pools: tuple[PoolReport, ...] = ()
    counts: FactCounts = FactCounts()
    joined: tuple[str, ...] = ()


class Report(NamedTuple):
    """Everything one run of ``check`` has to say.

    ``matrix`` maps each cell of :data:`CELLS` to ``violated``, ``undecided``, ``holds``, ``not applicable``,
    ``open`` (O1 and O2 unless violated) or ``not analysed``. ``texts`` maps the path of each input to its
    decoded text, for code frames. ``settling`` lists the facts that would settle most undecided verdicts, with
    the number of verdicts each takes part in. ``unchanged`` counts inputs that were read and not checked, as no change
    concerns them. ``decided`` holds the paths of the inputs on which some rule held or was violated.
    """

    inputs: tuple[InputReport, ...]
    findings: tuple[Finding, ...]
    undecided: tuple[Undecided, ...]
    matrix: Mapping[str, str]
    tally: Tally
    rules: int
    settling: tuple[tuple[str, int], ...]
    texts: Mapping[str, str]
    unchanged: int = 0
    decided: frozenset[str] = frozenset()

    @property
    def left_open(self) -> frozenset[tuple[str, str]]:
        """Path and code of each undecided verdict, for every file of its deployment."""
        files = {entry.path: (entry.path, *entry.joined) for entry in self.inputs}
        return frozenset(
            (path, entry.code) for entry in self.undecided for path in files.get(entry.path, (entry.path,))
        )
