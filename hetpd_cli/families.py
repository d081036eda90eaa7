"""The families of rules, by the first digit of their codes."""

from __future__ import annotations

import re
from typing import NamedTuple

_FIRST_DIGIT = re.compile(r"[0-9]")

BUILT_IN = "HPD"
"""Beginning of the codes that only built-in rules have."""


class Family(NamedTuple):
    """A family of rules. ``folder`` is where the built-in ones lie in ``rules/``."""

    digit: str
    folder: str
    title: str


FAMILIES = (
    Family("0", "input", "The input itself"),
    Family("1", "placement", "Compute placement"),
    Family("2", "representation", "KV representation"),
    Family("3", "path", "The path between the pools"),
    Family("4", "ownership", "KV ownership"),
    Family("5", "launch", "Launch facts that break a handoff"),
    Family("9", "configuration", "Suppressions and the configuration"),
)


def family_digit(code: str) -> str:
    """Return the digit of the family that a rule's code belongs to."""
    found = _FIRST_DIGIT.search(code)
    return found[0] if found else ""


def family_named(word: str) -> Family | None:
    """Return the family that ``word`` names: its digit (``2``, ``2xx``) or its folder (``representation``)."""
    plain = word.lower()
    return next((family for family in FAMILIES if plain in {family.digit, f"{family.digit}xx", family.folder}), None)


def family_of(code: str) -> str:
    """Return the folder of the family that a code belongs to, or its digit where the family has no name."""
    digit = family_digit(code)
    return next((family.folder for family in FAMILIES if family.digit == digit), digit)
