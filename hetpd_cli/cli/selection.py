"""Which rules run: ``--select`` and ``--ignore`` take codes, names and beginnings of codes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.nearest import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hetpd_cli.engine.catalogue import Rule

_PREFIX = re.compile(r"[A-Z]{2,8}[0-9]{0,4}")


class UnknownRuleError(ValueError):
    """A word that names no rule; the message says which was meant."""


def selected(rules: Sequence[Rule], select: Iterable[str], ignore: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rules that are chosen by ``select`` (all if it is empty) and not by ``ignore``.

    Each item is a comma-separated list. Raises UnknownRuleError for a word that names no rule.
    """
    wanted, unwanted = _words(select), _words(ignore)
    chosen = _codes(rules, wanted) if wanted else {rule.code for rule in rules}
    chosen -= _codes(rules, unwanted)
    return tuple(rule for rule in rules if rule.code in chosen)


def _words(items: Iterable[str]) -> list[str]:
    return [word.strip() for item in items for word in item.split(",") if word.strip()]


def _codes(rules: Sequence[Rule], words: list[str]) -> set[str]:
    codes: set[str] = set()
    for word in words:
        found = {rule.code for rule in rules if rule.name == word.lower()}
        if _PREFIX.fullmatch(word.upper()):
            found |= {rule.code for rule in rules if rule.code.startswith(word.upper())}
        if not found:
            guess = nearest(word, [name for rule in rules for name in (rule.name, rule.code)])
            raise UnknownRuleError(f"{word} names no rule{did_you_mean(guess)}")
        codes |= found
    return codes
