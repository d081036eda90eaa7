"""What a plain scalar means: by YAML 1.2 (ours, Go, Rust), by YAML 1.1 (PyYAML), and where the two differ.

Both sides are own code: hetpd reads by the core schema of YAML 1.2.2 (section 10.3.2); the YAML 1.1 side
mirrors PyYAML 6 (``yaml/resolver.py``, ``yaml/constructor.py``).
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

Value = None | bool | int | float | str

_LONGEST_NUMBER = 300
"""Digits of the longest integer read as one: longer ones fit no float, and converting them is quadratic."""

_LONGEST_SHOWN = 60

_INFINITIES = {
    sign + dotted: -math.inf if sign == "-" else math.inf
    for sign in ("", "+", "-")
    for dotted in (".inf", ".Inf", ".INF")
}
_WORDS: dict[str, Value] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
    ".nan": math.nan, ".NaN": math.nan, ".NAN": math.nan,
    **_INFINITIES,
}  # fmt: skip
_FIRST_OF_NUMBER = frozenset("-+.0123456789")
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_PREFIXED = re.compile(r"0o([0-7]+)|0x([0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


class Other(NamedTuple):
    """A YAML 1.1 reading that YAML 1.2 has no type for: ``what`` is a phrase (``the date 2024-01-01``)."""

    what: str


_REFUSED = Other("nothing and fails")
_WORDS_1_1: dict[str, Value | Other] = {
    **_WORDS,
    "yes": True, "Yes": True, "YES": True, "on": True, "On": True, "ON": True,
    "no": False, "No": False, "NO": False, "off": False, "Off": False, "OFF": False,
    "=": _REFUSED,
}  # fmt: skip
_FIRST_OF_SUSPECT = _FIRST_OF_NUMBER | frozenset("yYnNoO=")
_INT_1_1 = re.compile(
    r"""(?P<sign>[-+]?)(?:
        0b(?P<binary>[01_]+) | 0x(?P<hexadecimal>[0-9a-fA-F_]+) | (?P<octal>0[0-7_]+)
      | (?P<decimal>0|[1-9][0-9_]*) | (?P<sexagesimal>[1-9][0-9_]*(?::[0-5]?[0-9])+))""",
    re.X,
)
_FLOAT_1_1 = re.compile(
    r"""[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?
      | \.[0-9][0-9_]*(?:[eE][-+][0-9]+)?
      | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*""",
    re.X,
)
_TIMESTAMP_1_1 = re.compile(
    r"""[0-9]{4}-[0-9]{2}-[0-9]{2}
      | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?
        (?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?""",
    re.X,
)
_BASES = {"binary": 2, "octal": 8, "decimal": 10, "hexadecimal": 16}


def resolve(text: str) -> Value:
    """Return what YAML 1.2 reads in the plain scalar ``text``. A number too large for a float is infinite."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _FIRST_OF_NUMBER:
        return text
    if _DECIMAL.fullmatch(text):
        return _integer(text, 10)
    if _FLOAT.fullmatch(text):
        return float(text)
    prefixed = _PREFIXED.fullmatch(text)
    if prefixed is None:
        return text
    octal, hexadecimal = prefixed.groups()
    return _integer(octal, 8) if octal else _integer(hexadecimal, 16)


def reading_1_1(text: str) -> Value | Other:
    """Return what a YAML 1.1 reader (PyYAML) makes of the plain scalar ``text``.

    The merge key ``<<`` is text here.
    """
    if text in _WORDS_1_1:
        return _WORDS_1_1[text]
    if text[0] not in _FIRST_OF_NUMBER:
        return text
    whole = _INT_1_1.fullmatch(text)
    if whole:
        return _integer_1_1(whole)
    if _FLOAT_1_1.fullmatch(text):
        plain = text.replace("_", "")
        return _sexagesimal(plain) if ":" in plain else float(plain)
    if _TIMESTAMP_1_1.fullmatch(text):
        return Other(f"the {'time' if ':' in text else 'date'} {text}")
    return text


def disagreement(text: str) -> str | None:
    """Return how YAML 1.1 and 1.2 read the plain scalar ``text`` if type or value differ, else None."""
    if text[:1] not in _FIRST_OF_SUSPECT or (text[0] != "0" and text.isdecimal() and text.isascii()):
        return None
    old, new = reading_1_1(text), resolve(text)
    if _same(old, new):
        return None
    return f"YAML 1.1 reads {_shown(old)}, YAML 1.2 reads {_shown(new)}"


def spellings(text: str) -> tuple[str, ...]:
    """Return how to write each reading of ``text`` that is no text, so that all readers agree."""
    readings = (reading_1_1(text), resolve(text))
    spelled = (_spelled(reading) for reading in readings if not isinstance(reading, str | Other))
    return tuple(dict.fromkeys(spelled))


def _integer(digits: str, base: int) -> int | float:
    """Return the number, as a float if it is too long for ``int`` to be safe."""
    if len(digits) <= _LONGEST_NUMBER:
        return int(digits, base)
    if base == 10:
        return float(digits)
    value = int(digits, base)
    return value if value.bit_length() < 1024 else math.inf


def _integer_1_1(match: re.Match[str]) -> int | float | Other:
    kind = str(match.lastgroup)
    digits = match[kind].replace("_", "")
    if not digits:
        return _REFUSED
    number = _sexagesimal(digits) if kind == "sexagesimal" else _integer(digits, _BASES[kind])
    return -number if match["sign"] == "-" else number


def _sexagesimal(text: str) -> int | float:
    """Return a number of base 60, such as ``1:30`` (90)."""
    # Whole numbers of any length would make this quadratic.
    read = float if "." in text or len(text) > _LONGEST_NUMBER else int
    sign = -1 if text[0] == "-" else 1
    value: int | float = read(0)
    base: int | float = read(1)
    for part in reversed(text.lstrip("+-").split(":")):
        digit = read(part)
        value += digit * base if digit else 0
        base *= 60
    return sign * value


def _same(old: Value | Other, new: Value) -> bool:
    if type(old) is not type(new):
        return False
    return old == new or (old != old and new != new)  # noqa: PLR0124 (not a number equals nothing)


def _shown(reading: Value | Other) -> str:
    if isinstance(reading, Other):
        return reading.what
    if isinstance(reading, str):
        return f"the text '{reading}'" if len(reading) <= _LONGEST_SHOWN else "a long text"
    return _spelled(reading)


def _spelled(value: bool | float | None) -> str:
    """Return ``value`` as a plain scalar that YAML 1.1 and 1.2 read alike."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if math.isinf(value) or math.isnan(value):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}[str(value)]
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    mantissa, mark, exponent = repr(value).partition("e")
    return f"{mantissa}.0e{exponent}" if mark and "." not in mantissa else repr(value)
