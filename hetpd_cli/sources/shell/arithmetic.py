"""Integer arithmetic of the shell: 64 bits, C's operators."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_TOKEN = re.compile(
    r"\s*(?:(?P<number>0[xX][0-9a-fA-F]+|\d+(?![\w#]))|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign><<=|>>=|\*\*|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%<>!~&|^?:=(),]))"
)
_LEVELS = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!="),
    ("<", ">", "<=", ">="),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)
_ASSIGNMENTS = frozenset({"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="})
_DEPTH = 60
_TOKENS = 2_000


class NotKnownError(Exception):
    """An expression that cannot be computed; the text says why."""


def wrap(number: int) -> int:
    """Return ``number`` as 64 bits with a sign hold it."""
    return (number + 2**63) % 2**64 - 2**63


def tokens(text: str) -> list[tuple[str, str]]:
    """Return the tokens of an expression. Raises NotKnownError."""
    found: list[tuple[str, str]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at, end)
        if match is None or match.lastgroup is None or len(found) > _TOKENS:
            raise NotKnownError("it is no arithmetic that is understood")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


class Arithmetic:
    """Computes one expression; ``read`` gives the number of a variable, ``write`` sets one."""

    def __init__(self, text: str, read: Callable[[str], int], write: Callable[[str, int], None]) -> None:
        self.tokens = tokens(text)
        self.at = 0
        self.read = read
        self.write = write
        self.dead = 0
        self.depth = 0

    def value(self) -> int:
        """Return the number. Raises NotKnownError."""
        if not self.tokens:
            return 0
        number = self._comma()
        if self.at < len(self.tokens):
            raise NotKnownError("it is no arithmetic that is understood")
        return number

    def _sign(self) -> str:
        kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        return text if kind == "sign" else ""

    def _take(self, *signs: str) -> str:
        sign = self._sign()
        if sign and sign in signs:
            self.at += 1
            return sign
        return ""

    def _comma(self) -> int:
        number = self._assignment()
        while self._take(","):
            number = self._assignment()
        return number

    def _assignment(self) -> int:
        self.depth += 1
        if self.depth > _DEPTH:
            raise NotKnownError("it is nested too deeply")
        try:
            kind, name = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
            following = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else ("", "")
            if kind == "name" and following[0] == "sign" and following[1] in _ASSIGNMENTS:
                self.at += 2
                right = self._assignment()
                number = right if following[1] == "=" else self._apply(following[1][:-1], self._read(name), right)
                return self._write(name, number)
            return self._choice()
        finally:
            self.depth -= 1

    def _choice(self) -> int:
        test = self._binary(0)
        if not self._take("?"):
            return test
        self.dead += not test
        first = self._assignment()
        self.dead -= not test
        if not self._take(":"):
            raise NotKnownError("a : is missing")
        self.dead += bool(test)
        second = self._assignment()
        self.dead -= bool(test)
        return first if test else second

    def _binary(self, level: int) -> int:
        if level == len(_LEVELS):
            return self._power()
        left = self._binary(level + 1)
        while True:
            sign = self._take(*_LEVELS[level])
            if not sign:
                return left
            skipped = (sign == "&&" and not left) or (sign == "||" and bool(left))
            self.dead += skipped
            right = self._binary(level + 1)
            self.dead -= skipped
            left = self._apply(sign, left, right)

    def _power(self) -> int:
        left = self._unary()
        if not self._take("**"):
            return left
        self.depth += 1
        if self.depth > _DEPTH:
            raise NotKnownError("it is nested too deeply")
        right = self._power()
        self.depth -= 1
        return self._apply("**", left, right)

    def _unary(self) -> int:
        sign = self._take("+", "-", "!", "~", "++", "--")
        if not sign:
            return self._primary()
        self.depth += 1
        if self.depth > _DEPTH:
            raise NotKnownError("it is nested too deeply")
        if sign in ("++", "--"):
            kind, name = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
            if kind != "name":
                raise NotKnownError("it is no arithmetic that is understood")
            self.at += 1
            number = self._write(name, self._read(name) + (1 if sign == "++" else -1))
        else:
            number = self._unary()
            number = {"+": number, "-": wrap(-number), "!": int(not number), "~": ~number}[sign]
        self.depth -= 1
        return number

    def _primary(self) -> int:
        kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        self.at += 1
        if kind == "number":
            if len(text) > 20:
                raise NotKnownError("a number is too large")
            if text[:2].lower() == "0x":
                return wrap(int(text, 16))
            if text.startswith("0") and not text.strip("01234567") == "":
                raise NotKnownError(f"{text} is no octal number")
            return wrap(int(text, 8 if text.startswith("0") else 10))
        if kind == "name":
            number = self._read(text)
            sign = self._take("++", "--")
            if sign:
                self._write(text, number + (1 if sign == "++" else -1))
            return number
        if text == "(":
            number = self._comma()
            if not self._take(")"):
                raise NotKnownError("a ) is missing")
            return number
        raise NotKnownError("it is no arithmetic that is understood")

    def _read(self, name: str) -> int:
        return 0 if self.dead else self.read(name)

    def _write(self, name: str, number: int) -> int:
        number = wrap(number)
        if not self.dead:
            self.write(name, number)
        return number

    def _apply(self, sign: str, left: int, right: int) -> int:
        if self.dead:
            return 0
        if sign in ("/", "%"):
            if right == 0:
                raise NotKnownError("it divides by 0")
            quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
            return wrap(quotient if sign == "/" else left - quotient * right)
        if sign == "**":
            if right < 0:
                raise NotKnownError("an exponent is negative")
            return wrap(pow(left, right, 2**64))
        return wrap(int(_OPERATORS[sign](left, right)))


_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "||": lambda left, right: bool(left) or bool(right),
    "&&": lambda left, right: bool(left) and bool(right),
    "|": lambda left, right: left | right,
    "^": lambda left, right: left ^ right,
    "&": lambda left, right: left & right,
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
    "<<": lambda left, right: left << (right % 64),
    ">>": lambda left, right: left >> (right % 64),
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
}
