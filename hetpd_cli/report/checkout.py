"""A report with the paths that CI knows: what the formats for pull requests have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetpd_cli.report.repository import is_file, repository_path
from hetpd_cli.report.style import inert, prose
from hetpd_cli.report.words import place_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.findings import Finding, InputReport, Report, Undecided
    from hetpd_cli.places import Place
    from hetpd_cli.report import Options, Repository


def from_top(report: Report, options: Options) -> tuple[Report, Options]:
    """Return ``report`` with every path from the top of the checkout, and ``options`` for a run that stands there."""
    where = options.repository
    options = options._replace(show_paths_from=None)
    if where is None:
        return report, options
    moved = report._replace(
        inputs=tuple(_input(item, where) for item in report.inputs),
        findings=tuple(_finding(finding, where) for finding in report.findings),
        undecided=tuple(_undecided(item, where) for item in report.undecided),
        texts={repository_path(path, where): text for path, text in report.texts.items()},
    )
    return moved, options._replace(repository=where._replace(folder=where.root))


def _place(place: Place, where: Repository) -> Place:
    return place._replace(path=repository_path(place.path, where))


def _input(item: InputReport, where: Repository) -> InputReport:
    return item._replace(
        path=repository_path(item.path, where),
        pools=tuple(pool._replace(place=_place(pool.place, where)) for pool in item.pools),
        joined=tuple(repository_path(path, where) for path in item.joined),
    )


def _finding(finding: Finding, where: Repository) -> Finding:
    return finding._replace(
        places=tuple(spot._replace(place=_place(spot.place, where)) for spot in finding.places),
        facts=tuple(_placed(fact, where) for fact in finding.facts),
    )


def _undecided(item: Undecided, where: Repository) -> Undecided:
    needs = tuple(_placed(need, where) for need in item.needs)
    return item._replace(path=repository_path(item.path, where), needs=needs)


def _placed(item: Any, where: Repository) -> Any:
    return item if item.place is None else item._replace(place=_place(item.place, where))


def in_checkout(path: str) -> bool:
    """Tell whether a path from the top of the checkout is that of a file in it."""
    return is_file(path) and not path.startswith(("/", "../"))


def title(finding: Finding) -> str:
    """Return ``HPD201 kv-dtype-mismatch``."""
    return f"{inert(finding.code)} {inert(finding.name)}"


def in_lines(finding: Finding, options: Options) -> Iterator[str]:
    """Yield what a finding says beyond its message: every place with its label, why, fix."""
    for spot in sorted(finding.places, key=lambda spot: not spot.primary):
        word = "at" if spot.place == finding.primary else "also"
        label = f": {inert(spot.label)}" if spot.label else ""
        yield f"{word} {place_text(spot.place, options)}{label}"
    for key, text in (("why", finding.why), ("fix", finding.fix)):
        if text:
            yield f"{key}: {prose(text)}"
