"""``[ .. ]``, ``[[ .. ]]`` and ``(( .. ))``, decided where all that they ask is known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.shell import patterns
from hetpd_cli.sources.shell.arithmetic import NotKnownError
from hetpd_cli.sources.shell.scan import raw_words
from hetpd_cli.sources.shell.values import DEPTH, Part, reason_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.launch import Word
    from hetpd_cli.sources.shell.expansion import Expander

Truth = bool | None

_ONE_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*|\d)|\{([A-Za-z_]\w*|\d)(?::?-)?\})")
_NUMBERS = {"-eq": "==", "-ne": "!=", "-lt": "<", "-le": "<=", "-gt": ">", "-ge": ">="}
_OF_FILES = frozenset(f"-{letter}" for letter in "abcdefghkprstuwxGLNOS")
_QUOTES = frozenset("'\"$\\`")


class _Operand(NamedTuple):
    """An argument of a test. ``raw`` is how it is written if it can be an operator; else empty."""

    raw: str
    parts: list[Part]
    written: str = ""

    @property
    def text(self) -> str:
        return text_of(self.parts)

    @property
    def reason(self) -> str:
        return reason_of(self.parts)


def test(expander: Expander, source: Embedded, start: int, end: int) -> Truth:
    """Return what the test ``source.text[start:end]``, brackets included, says; None if that is not known."""
    text = source.text
    if depends_on_role(expander, text[start:end]):
        return None
    if text.startswith("((", start):
        try:
            return bool(expander.arithmetic(source, start + 2, max(end - 2, start + 2)))
        except NotKnownError:
            return None
    double = text.startswith("[[", start)
    begin, stop = (start + 2, end - 2) if double else (start + 1, end - 1)
    operands: list[_Operand] = []
    for at, to in raw_words(text, begin, max(stop, begin), expander.budget):
        written = text[at:to]
        if double:
            parts = [part for part in expander.parts(source, at, to) if part is not None]
            operands.append(_Operand("" if _QUOTES & set(written) else written, parts, written))
            continue
        fields, incomplete = expander.words(source, at, to)
        if incomplete:
            return None
        operands += [_of_word(field.word, written) for field in fields]
    return _Test(expander, operands, double).value()


_ROLE_VARIABLE = re.compile(
    r"\$\{?(\w*(?:ROLE|RANK|NODE|INDEX|MODE|TYPE|STAGE|PHASE|role|rank|node|index|mode|type)\w*|\d)"
)


def depends_on_role(expander: Expander, text: str) -> bool:
    """Tell whether a test asks which of several workers runs the script, and only a default answers.

    Such a script is run with other values too.
    """
    defaulted = expander.state.defaulted
    return bool(defaulted) and any(found[1] in defaulted for found in _ROLE_VARIABLE.finditer(text))


def test_words(expander: Expander, words: Sequence[Word]) -> Truth:
    """Return what ``test`` with these arguments says."""
    return _Test(expander, [_of_word(word, "") for word in words], False).value()


def _of_word(word: Word, written: str) -> _Operand:
    return _Operand("" if word.unresolved else word.value, [Part(word.text, word.unresolved, quoted=True)], written)


class _Test:
    def __init__(self, expander: Expander, operands: list[_Operand], double: bool) -> None:
        self.expander = expander
        self.operands = operands
        self.double = double
        self.at = 0
        self.depth = 0
        self.ends = ("||", "&&", ")") if double else ("-o", "-a", ")")

    def value(self) -> Truth:
        if not self.operands:
            return False
        found = self._either()
        return found if self.at == len(self.operands) else None

    def _raw(self, ahead: int = 0) -> str:
        index = self.at + ahead
        return self.operands[index].raw if index < len(self.operands) else ""

    def _either(self) -> Truth:
        found = self._both()
        while self._raw() == self.ends[0]:
            self.at += 1
            other = self._both()
            found = True if found or other else (None if found is None or other is None else False)
        return found

    def _both(self) -> Truth:
        found = self._one()
        while self._raw() == self.ends[1]:
            self.at += 1
            other = self._one()
            found = False if found is False or other is False else (None if found is None or other is None else True)
        return found

    def _one(self) -> Truth:
        left = len(self.operands) - self.at
        if not left:
            return None
        self.depth += 1
        if self.depth > DEPTH:
            return None
        raw = self._raw()
        if raw == "!" and left > 1:
            self.at += 1
            found = self._one()
            return None if found is None else not found
        if raw == "(" and left > 2:
            self.at += 1
            found = self._either()
            closed = self._raw() == ")"
            self.at += 1
            return found if closed else None
        if left >= 3 and self._is_comparison(self._raw(1)):
            return self._compared()
        if left >= 2 and (raw in ("-n", "-z", "-v") or raw in _OF_FILES) and self._raw(1) not in self.ends[:2]:
            self.at += 2
            operand = self.operands[self.at - 1]
            return self._unary(raw, operand)
        self.at += 1
        return self._is_there(self.operands[self.at - 1])

    def _is_comparison(self, raw: str) -> bool:
        return raw in _NUMBERS or raw in ("=", "==", "!=", "=~") or (raw in ("<", ">") and self.double)

    def _unary(self, sign: str, operand: _Operand) -> Truth:
        if sign == "-v":
            return True if operand.text in self.expander.state.variables else None
        if sign in _OF_FILES:
            return None
        there = self._is_there(operand)
        if sign == "-n":
            return there
        if there is None and self._never_set(operand):
            return True
        return None if there is None else not there

    def _is_there(self, operand: _Operand) -> Truth:
        if any(part.text.text and not part.unresolved for part in operand.parts):
            return True
        return None if operand.reason else False

    def _never_set(self, operand: _Operand) -> bool:
        """Tell whether an operand is one variable that nothing sets: the file's own default is for this case."""
        from hetpd_cli.sources.shell.expansion import RUN_TIME

        found = _ONE_VARIABLE.fullmatch(operand.written.strip('"'))
        if found is None:
            return False
        name = found[1] or found[2]
        if name.isdigit():
            return self.expander.state.arguments is None
        return name not in self.expander.state.variables and name not in RUN_TIME

    def _compared(self) -> Truth:
        left, sign, right = self.operands[self.at], self._raw(1), self.operands[self.at + 2]
        self.at += 3
        if left.reason or right.reason or sign == "=~":
            return None
        if sign in _NUMBERS:
            return self._numbers(left.text, sign, right.text)
        if sign in ("<", ">"):
            return (left.text < right.text) == (sign == "<") and left.text != right.text
        if self.double:
            pattern = patterns.compiled([(part.text.text, part.quoted) for part in right.parts])
            self.expander.budget.spend(len(pattern) * (len(left.text) + 1))
            equal = patterns.matches(pattern, left.text)
        else:
            equal = left.text == right.text
        return equal == (sign != "!=")

    def _numbers(self, left: str, sign: str, right: str) -> Truth:
        if not all(re.fullmatch(r"\s*[-+]?\d{1,18}\s*", text) for text in (left, right)):
            return None
        one, other = int(left), int(right)
        return {
            "-eq": one == other,
            "-ne": one != other,
            "-lt": one < other,
            "-le": one <= other,
            "-gt": one > other,
            "-ge": one >= other,
        }[sign]
