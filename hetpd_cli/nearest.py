"""The nearest right word for a misspelt one."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 512
"""Known words up to which one is guessed: comparing takes time, and a long list is no vocabulary."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the word of ``known`` that ``word`` was probably meant to be, or None.

    Case, ``-`` and ``_`` are not told apart.
    """
    known = list(islice(known, MOST + 1))
    if len(word) > 80 or len(known) > MOST:
        return None
    from difflib import get_close_matches

    plain = {_fold(name): name for name in known}
    folded = _fold(word)
    if folded in plain:
        return plain[folded]
    match = get_close_matches(folded, plain, n=1, cutoff=0.6)
    return plain[match[0]] if match else None


def almost(word: str, known: Iterable[str]) -> str | None:
    """Return the id of ``known`` that ``word`` misspells, or None: close, and with the same figures in the same order.

    An id that differs in a figure is another model of a device or link, not a slip.
    """
    from difflib import get_close_matches

    if len(word) > 80:
        return None
    folded = {_fold(name): name for name in known}
    matches = get_close_matches(_fold(word), folded, n=3, cutoff=0.8)
    return next((folded[match] for match in matches if _figures(match) == _figures(word)), None)


def _figures(word: str) -> list[str]:
    return re.findall(r"[0-9]+", word)


def did_you_mean(guess: str | None) -> str:
    """Return the end of a sentence that names the word that was probably meant; empty without a guess."""
    return f", did you mean {guess}?" if guess else ""


def _fold(word: str) -> str:
    return word.lower().replace("-", "_")
