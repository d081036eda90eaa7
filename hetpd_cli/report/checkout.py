"""A report with the paths that CI knows: what the formats for pull requests have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetpd_cli.report.repository import is_file, repository_path
from hetpd_cli.report.style import inert, prose
from hetpd_cli.report.words import path_text, place_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hetpd_cli.findings import Finding, InputReport, Report, Undecided
    from hetpd_cli.report import Options

    Path = Callable[[str], str]


def from_top(report: Report, options: Options) -> tuple[Report, Options]:
    """Return ``report`` with every path from the top of the checkout, and ``options`` for a run that stands there."""
    where = options.repository

    def path(old: str) -> str:
        return path_text(old, options) if where is None else repository_path(old, where)

    moved = report._replace(
        inputs=tuple(_input(item, path) for item in report.inputs),
        findings=tuple(_finding(finding, path) for finding in report.findings),
        undecided=tuple(_undecided(item, path) for item in report.undecided),
        texts={path(old): text for old, text in report.texts.items()},
        decided=frozenset(map(path, report.decided)),
    )
    return moved, options._replace(show_paths_from=None, repository=where and where._replace(folder=where.root))


def _input(item: InputReport, path: Path) -> InputReport:
    return item._replace(
        path=path(item.path),
        pools=tuple(_placed(pool, path) for pool in item.pools),
        joined=tuple(map(path, item.joined)),
    )


def _finding(finding: Finding, path: Path) -> Finding:
    return finding._replace(
        places=tuple(_placed(spot, path) for spot in finding.places),
        facts=tuple(_placed(fact, path) for fact in finding.facts),
    )


def _undecided(item: Undecided, path: Path) -> Undecided:
    return item._replace(path=path(item.path), needs=tuple(_placed(need, path) for need in item.needs))


def _placed(item: Any, path: Path) -> Any:
    """Return a tuple with a ``place``, or None in it, with the path of that place changed."""
    return item if item.place is None else item._replace(place=item.place._replace(path=path(item.place.path)))


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
