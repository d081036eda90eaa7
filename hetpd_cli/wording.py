"""Numbers and units in words: what messages and reports share."""

from __future__ import annotations

from math import isfinite

_COUNTED = frozenset(
    {"block", "device", "head", "layer", "point", "rank", "request", "sequence", "token", "worker", "NIC"}
)
_UNITLESS = frozenset({None, "", "1", "port"})
_LONGEST_INTEGER_BITS = 1024  # longer ones are no quantity, and str() refuses them beyond 4300 digits


def isfinite_number(value: float) -> bool:
    """Tell whether a number is finite and short enough to be written out."""
    if isinstance(value, int):
        return value.bit_length() <= _LONGEST_INTEGER_BITS
    return isfinite(value)


def number_text(value: float) -> str:
    """Return a number in at most six significant digits, an integer in full unless it is absurd."""
    if not isinstance(value, int):
        return f"{value:.6g}"
    return str(value) if isfinite_number(value) else f"about 2^{value.bit_length() - 1}"


def unit_text(value: float, unit: str | None) -> str:
    """Return a blank and the unit as it follows ``value``: `` s``, `` tokens``; nothing for plain numbers and ports."""
    if unit is None or unit in _UNITLESS:
        return ""
    return f" {unit}s" if unit in _COUNTED and value != 1 else f" {unit}"
