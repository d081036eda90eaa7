"""Versions are text, ordered by PEP 440; a tag such as ``latest`` names no version."""

from __future__ import annotations

import re
from functools import lru_cache

_RELEASE = re.compile(r"v?([0-9]+(?:\.[0-9]+)*)\Z")
_CLAUSE = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(\S+)\s*\Z")

LONGEST = 64
"""Characters of the longest text that is taken for a version."""


def _release(text: str) -> tuple[int, ...] | None:
    """Return the numbers of a plain release such as ``0.24.0`` without trailing zeros, or None."""
    match = _RELEASE.match(text)
    if match is None or len(text) > LONGEST:
        return None
    numbers = [int(part) for part in match[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


@lru_cache(maxsize=4096)
def is_version(text: str) -> bool:
    """Tell whether ``text`` is a PEP 440 version."""
    if len(text) > LONGEST:
        return False
    if _release(text) is not None:
        return True
    from packaging.version import InvalidVersion, Version

    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _clauses(spec: str) -> list[tuple[str, str]]:
    clauses = []
    for part in spec.split(","):
        match = _CLAUSE.match(part)
        if match is None:
            raise ValueError(f"{spec!r} is not a version range")
        clauses.append((match[1], match[2]))
    return clauses


def _compare(operator: str, left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    if operator == ">=":
        return left >= right
    if operator == "<=":
        return left <= right
    if operator == ">":
        return left > right
    if operator == "<":
        return left < right
    return (left == right) is (operator == "==")


@lru_cache(maxsize=4096)
def version_in(version: str, spec: str) -> bool:
    """Tell whether ``version`` lies in ``spec`` (``>=0.24,<0.34``; ``*`` is every version).

    Plain releases are compared without importing anything; everything else goes through ``packaging``, with
    pre-releases admitted. Raises ValueError where one of the two is not PEP 440.
    """
    if spec == "*":
        return True
    left = _release(version)
    clauses = _clauses(spec)
    bounds = [(operator, _release(bound)) for operator, bound in clauses]
    if left is not None and all(bound is not None for _, bound in bounds):
        return all(_compare(operator, left, bound) for operator, bound in bounds if bound is not None)
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    return SpecifierSet(spec).contains(Version(version), prereleases=True)


def same_version(left: str, right: str) -> bool:
    """Tell whether two texts name one version (``0.24`` and ``0.24.0`` do); other texts must be equal."""
    if left == right:
        return True
    one, other = _release(left), _release(right)
    if one is not None and other is not None:
        return one == other
    if not (is_version(left) and is_version(right)):
        return False
    from packaging.version import Version

    return Version(left) == Version(right)
