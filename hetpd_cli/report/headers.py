"""What each input is, in two lines: format, the shape of each pool, what runs on it, how much of it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.findings import DEGREES
from hetpd_cli.report.style import inert, solid
from hetpd_cli.report.words import path_text, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hetpd_cli.findings import InputReport, PoolReport
    from hetpd_cli.report import Options

_POOLS = 4
"""Pools whose shape is shown, unless verbose."""
_SEPARATOR = solid(" ·") + " "
"""Between the parts of a line, which is broken behind it only."""


def header(item: InputReport, options: Options) -> tuple[str, str, str]:
    """Return the lead, the rest of the first line and the second line; the latter may be empty."""
    lead = inert(path_text(item.path, options)) + (f" ({inert(item.format)})" if item.format else "")
    first = _SEPARATOR.join(_shapes(item.pools, options))
    parts = [*_common(item.pools), *_joined(item, options)]
    if item.pools:
        parts.append(_counts(item))
    return f"{lead}:", first, _SEPARATOR.join(parts)


def _shapes(pools: tuple[PoolReport, ...], options: Options) -> Iterator[str]:
    shown = pools if options.verbose else pools[:_POOLS]
    roles = [pool.role for pool in pools]
    for pool in shown:
        yield solid(_shape(pool, named=roles.count(pool.role) > 1))
    if len(pools) > len(shown):
        yield solid(f"and {plural(len(pools) - len(shown), 'more pool')}")


def _shape(pool: PoolReport, *, named: bool) -> str:
    """Return ``prefill 4 x TP1 (1 h100 each)``: workers x parallelism, and what each worker has."""
    words = [inert(pool.role or "pool")]
    if named or pool.role is None:
        # `prefill-a` says its role already.
        words = [*(words if words[0] not in pool.name else []), inert(pool.name)]
    degrees = " ".join(_degrees(pool))
    if pool.workers is None:
        words += [degrees] if degrees else []
    elif degrees:
        words.append(f"{pool.workers} x {degrees}")
    else:
        words.append(plural(pool.workers, "worker"))
    has = _devices(pool)
    return " ".join([*words, f"({has})"] if has else words)


def _degrees(pool: PoolReport) -> Iterator[str]:
    for name in DEGREES:
        degree = pool.parallelism.get(name)
        if degree is not None and (degree != 1 or name == "tp"):
            yield f"{name.upper()}{degree}"


def _devices(pool: PoolReport) -> str:
    count, device = pool.devices_per_worker, inert(pool.accelerator or "")
    if count is None:
        return device
    each = "" if pool.workers == 1 else " each"
    return (f"{count} {device}" if device else plural(count, "device")) + each


def _common(pools: tuple[PoolReport, ...]) -> Iterator[str]:
    """Yield model, connector and engine: what differs between pools is given as ``one / other``."""
    yield from _alternatives(pool.model for pool in pools)
    yield from _alternatives(pool.connector for pool in pools)
    versioned = {pool.engine for pool in pools if pool.version}
    yield from _alternatives(_engine(pool, versioned) for pool in pools)


def _engine(pool: PoolReport, versioned: set[str | None]) -> str:
    """Return engine and version; where other pools have a version of it, a missing one is worth a word."""
    missing = "of unknown version" if pool.engine in versioned else ""
    return f"{pool.engine} {pool.version or missing}".rstrip() if pool.engine else ""


def _alternatives(values: Iterable[str | None]) -> list[str]:
    known = [inert(value) for value in dict.fromkeys(values) if value]
    return [solid(" / ".join(known))] if known else []


def _joined(item: InputReport, options: Options) -> list[str]:
    names = [inert(path_text(path, options)) for path in item.joined]
    return [f"joined with {', '.join(map(solid, names))}"] if names else []


def _counts(item: InputReport) -> str:
    counts = item.counts._asdict()
    always = ("stated", "default", "unknown")
    told = [solid(f"{count} {name}") for name, count in counts.items() if count or name in always]
    return f"facts: {', '.join(told)}"
