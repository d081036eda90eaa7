"""Quantities written with their unit: ``500ms``, ``80GiB``, ``400Gbps``, ``64k``, ``90%``.

Each unit of the schema (``x-unit``) has suffixes with an exact factor to that unit. What these tables take is
what the patterns of ``schemas/deployment.schema.json`` take; a test holds the two together.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

Factor = tuple[int, int]
"""A factor as numerator and denominator."""

_DECIMAL = {"k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"k": 2**10, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_BITS_PER_BYTE = 8
_SPELLINGS_OF_BITS = ("bps", "bit/s", "b/s")
_LONGEST_EXACT = 100
"""Characters up to which arithmetic is exact and a wrong text is analysed."""


class UnitError(NamedTuple):
    """Why a text is not a quantity in the unit asked for, and what to write."""

    message: str
    suggestion: str


class _Dimension(NamedTuple):
    """What a unit measures, in words, with its suffixes and examples of them."""

    words: str
    suffixes: Mapping[str, Factor]
    examples: str


def _sizes() -> dict[str, int]:
    """Return the bytes of each suffix of a size."""
    sizes = {f"{prefix}B": factor for prefix, factor in _DECIMAL.items()}
    return {"B": 1, **sizes, **{f"{prefix}iB": factor for prefix, factor in _BINARY.items()}}


def _bit_rates() -> dict[str, int]:
    """Return the bit/s of each suffix of a rate; a plain ``B/s`` is not taken."""
    rates = {f"{suffix}/s": size * _BITS_PER_BYTE for suffix, size in _sizes().items() if suffix != "B"}
    for prefix, factor in {"": 1, **_DECIMAL}.items():
        rates.update({prefix + spelling: factor for spelling in _SPELLINGS_OF_BITS})
    return rates


_DURATIONS: dict[str, Factor] = {
    "us": (1, 10**6),
    "µs": (1, 10**6),
    "ms": (1, 10**3),
    "s": (1, 1),
    "min": (60, 1),
    "h": (3600, 1),
}
_RATE_EXAMPLES = "400Gbps or 50GB/s"
_UNITS: dict[str, _Dimension] = {
    "s": _Dimension("a duration", _DURATIONS, "30s or 500ms"),
    "GiB": _Dimension("a size", {name: (size, 2**30) for name, size in _sizes().items()}, "80GiB or 80GB"),
    "GB/s": _Dimension(
        "a rate",
        {name: (rate, _BITS_PER_BYTE * 10**9) for name, rate in _bit_rates().items()},
        _RATE_EXAMPLES,
    ),
    "Gbit/s": _Dimension("a rate", {name: (rate, 10**9) for name, rate in _bit_rates().items()}, _RATE_EXAMPLES),
    "token": _Dimension(
        "a number of tokens",
        {"k": (10**3, 1), "K": (2**10, 1), "m": (10**6, 1), "M": (2**20, 1)},
        "64k (64000) or 64K (65536)",
    ),
    "1": _Dimension("a share", {"%": (1, 100)}, "90% or 0.9"),
}
# Patterns are compiled when first used: most files have no quantity in words.
_PLAIN = r"([0-9]+(?:\.[0-9]+)?)$"
_QUANTITY = r"([0-9]+(?:\.[0-9]+)?)\s?([a-zA-Zµ%/]+)$"
_SHARE = r"(?:[0-9]{1,2}(?:\.[0-9]+)?|100)\s?%$"
# Looser than what is taken, to say what somebody meant.
_LOOSE = r"\s*([-+]?[0-9][0-9_,.]*(?:[eE][-+]?[0-9]+)?)\s*([^0-9\s].*?)\s*"
_DATA = r"(?P<prefix>[kKmMgGtT]?)(?P<binary>i?)(?P<word>b|B|[bB]its?|[bB]ytes?)(?P<per>ps|/s|/sec)?"
_MEANT = {
    "us": "us", "μs": "us", "usec": "us", "microseconds": "us",
    "ms": "ms", "msec": "ms", "millis": "ms", "milliseconds": "ms",
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "min": "min", "mins": "min", "minute": "min", "minutes": "min",
    "h": "h", "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
    "%": "%", "percent": "%",
}  # fmt: skip
"""Lower-case spelling to the suffix that was meant."""
_BARE = {
    "a duration": "{digits}min or {digits}ms",
    "a size": "{digits}{suffix}B or {digits}{suffix}iB",
    "a rate": "{digits}{suffix}bps or {digits}{suffix}B/s",
}
"""What a number with a bare multiple (``80G``) may mean, by the words of the dimension."""
_SHOWN_CHARACTERS = 40


_MULTIPLES = {"m": "M", "g": "G", "t": "T"}
"""Bare multiples in lower case to what was meant; a `k` is right as it is."""


def parse_quantity(value: object, source: str, unit: str) -> int | float | UnitError:
    """Return a quantity in ``unit``, the canonical one of its field.

    ``value`` is the scalar as resolved and ``source`` its text. A number is in ``unit`` already; a text needs
    one of the unit's suffixes. Integral results are ints; conversions are exact up to the last rounding.
    Digits beyond what a float holds give infinity. Nothing is raised.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _tidy(value)
    dimension = _UNITS.get(unit)
    if not isinstance(value, str):
        return UnitError(f"'{_shown(source)}' is no number", _example(dimension, unit))
    if dimension is None:
        message = f"'{_shown(source)}' is text, where a plain number of {unit} is expected"
        return UnitError(message, "write the number alone")
    match = re.match(_QUANTITY, value)
    if match is None or match[2] not in dimension.suffixes:
        return _explain(value, unit, dimension)
    if unit == "1" and not re.match(_SHARE, value):
        return _no_share(value, match[1])
    return _scaled(match[1], dimension.suffixes[match[2]])


def _scaled(digits: str, factor: Factor) -> int | float:
    """Return the decimal number ``digits`` times ``factor``, rounded once."""
    numerator, denominator = factor
    if len(digits) > _LONGEST_EXACT:
        return _tidy(float(digits) * numerator / denominator)
    whole, _, decimals = digits.partition(".")
    top = int(whole + decimals) * numerator
    bottom = denominator * 10 ** len(decimals)
    quotient: float = top // bottom if top % bottom == 0 else top / bottom
    return quotient


def _tidy(number: float) -> int | float:
    whole = isinstance(number, float) and math.isfinite(number) and number.is_integer()
    return int(number) if whole else number


def _no_share(text: str, digits: str) -> UnitError:
    share = float(digits)
    if share > 100:
        return UnitError(f"'{_shown(text)}' is more than the whole", "write at most 100%")
    return UnitError(f"'{_shown(text)}' is not how a share is written", f"write {share:g}%")


def _explain(text: str, unit: str, dimension: _Dimension) -> UnitError:
    """Say what ``text`` is instead of a quantity in ``unit``."""
    shown, example = f"'{_shown(text)}'", _example(dimension, unit)
    if re.match(_PLAIN, text):
        return UnitError(f"{shown} is a number in quotes", "remove the quotes, or add a unit")
    loose = re.fullmatch(_LOOSE, text) if len(text) <= _LONGEST_EXACT else None
    if loose is None:
        return UnitError(f"{shown} is not {dimension.words}", example)
    digits, suffix = loose.groups()
    written = _written(suffix)
    if written is None:
        return UnitError(f"{shown} has the unit {_shown(suffix)}, which is not known", example)
    kind, meant = written
    simple = len(digits) <= _LONGEST_EXACT and re.match(_PLAIN, digits) is not None
    if kind == "a bare multiple":
        choice = _BARE.get(dimension.words)
        fix = (
            f"write {choice.format(digits=digits, suffix=_MULTIPLES.get(suffix, suffix))}"
            if choice and simple
            else example
        )
        return UnitError(f"{shown} does not say of what, where {dimension.words} is expected", fix)
    if dimension.words == "a rate" and kind in ("a size", "a number of bits"):
        meant += "/s"
    fix = f"write {digits}{meant}" if simple and meant in dimension.suffixes else example
    if kind == dimension.words:
        return UnitError(f"{shown} is not how {kind} is written", fix)
    return UnitError(f"{shown} is {kind}, where {dimension.words} is expected", fix)


def _written(suffix: str) -> tuple[str, str] | None:
    """Return what a quantity with ``suffix`` is, in words, and its right spelling, empty if not clear."""
    word = _MEANT.get(suffix.lower())
    if word is not None:
        return ("a share" if word == "%" else "a duration"), word
    if suffix in _DURATIONS:
        return "a duration", suffix
    if suffix in _DECIMAL or suffix in ("m", "g", "t"):
        return "a bare multiple", ""
    data = re.fullmatch(_DATA, suffix)
    if data is None:
        return None
    prefix = data["prefix"] if data["prefix"] in "kK" else data["prefix"].upper()
    bits = data["word"].lower().startswith("bit") or data["word"] == "b"
    if data["per"] is None:
        # In lower case throughout, nobody distinguishes bits from bytes, and memory is counted in bytes.
        if bits and not (data["word"] == "b" and suffix.islower()):
            return "a number of bits", f"{prefix}{data['binary']}b"
        return "a size", f"{prefix}{data['binary']}B"
    if data["word"] == "b" and data["per"] != "ps" and suffix.islower():
        return "a rate", ""
    return "a rate", f"{prefix}{data['binary']}{'bit' if bits else 'B'}/s"


def _example(dimension: _Dimension | None, unit: str) -> str:
    if dimension is None:
        return "write a plain number"
    if unit in ("1", "token"):
        return f"write {dimension.examples}"
    return f"write a number of {unit}, or {dimension.examples}"


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
