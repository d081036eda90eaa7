"""Words as written to words as a command gets them: quotes, variables, arithmetic, splitting."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.embedded import Embedded, join
from hetpd_cli.sources.launch import Word
from hetpd_cli.sources.shell import parameters
from hetpd_cli.sources.shell.arithmetic import Arithmetic, NotKnownError
from hetpd_cli.sources.shell.scan import ansi_end, backquote_end, closing
from hetpd_cli.sources.shell.substitution import output
from hetpd_cli.sources.shell.values import DEPTH, Array, Part, Scalar, bare, reason_of, stand_for, text_of

if TYPE_CHECKING:
    from hetpd_cli.places import Place
    from hetpd_cli.sources.shell.values import Budget, Parts, State

EMPTY = Embedded("", ())
BLANKS = " \t\n"
RUN_TIME = frozenset(
    {
        *("HOME", "PWD", "OLDPWD", "HOSTNAME", "USER", "LOGNAME", "PATH", "RANDOM", "SHELL", "UID", "EUID", "PPID"),
        *("SECONDS", "LINENO", "BASH", "BASH_SOURCE", "BASH_VERSION", "OSTYPE", "HOSTTYPE", "TMPDIR"),
        *("SLURM_NODEID", "SLURM_PROCID", "SLURM_JOB_NODELIST", "LWS_WORKER_INDEX", "LWS_LEADER_ADDRESS"),
    }
)
"""Variables that somebody else sets for a script: that they are not set in it says nothing."""

_STOPS = re.compile(r"[\\'\"$`]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_PLACEHOLDER = re.compile(r"<[A-Za-z][\w.:/-]*>")
_RANGE = re.compile(r"\{(-?\d{1,6})\.\.(-?\d{1,6})\}")
_MOST_OF_RANGE = 256


class Field(NamedTuple):
    """A word, and why it may be several or none."""

    word: Word
    several: str = ""


class Expander:
    """Expands the words of a script in the state that it has reached."""

    def __init__(self, state: State, budget: Budget) -> None:
        self.state = state
        self.budget = budget
        self.depth = 0
        self.defaults_taken = 0

    def words(self, source: Embedded, start: int, end: int) -> tuple[list[Field], str]:
        """Return what the word ``source.text[start:end]`` becomes, and why there may be words that are not known."""
        written = _RANGE.fullmatch(source.text, start, end)
        if written:
            return self._range(source[start:end], int(written[1]), int(written[2])), ""
        fields, incomplete = split_fields(self.parts(source, start, end))
        if not fields:
            return [], incomplete
        place = source.place(start, end)
        return [_field(field, place) for field in fields], incomplete

    def _range(self, written: Embedded, first: int, last: int) -> list[Field]:
        step = 1 if last >= first else -1
        numbers = range(first, last + step, step)[:_MOST_OF_RANGE]
        place = written.place()
        return [Field(Word(stand_for(str(number), written), place)) for number in numbers]

    def value(self, source: Embedded, start: int, end: int) -> tuple[Part, ...]:
        """Return what a variable holds to which ``source.text[start:end]`` is assigned: nothing is split."""
        return bare(self.parts(source, start, end))

    def parts(self, source: Embedded, start: int, end: int, *, quoted: bool = False, split: bool = False) -> Parts:
        """Return the parts that ``source.text[start:end]`` becomes.

        ``quoted`` tells that it stands within double quotes, ``split`` that its own blanks divide words.
        """
        self.budget.spend(end - start)
        self.depth += 1
        try:
            if self.depth > DEPTH:
                return [Part(source[start:end], "it is nested too deeply", quoted=quoted)]
            return _Walk(self, source, end, quoted, split).run(start)
        finally:
            self.depth -= 1

    def arithmetic(self, source: Embedded, start: int, end: int) -> int:
        """Return the number that an expression gives. Raises NotKnownError."""
        parts = self.parts(source, start, end, quoted=True)
        reason = reason_of(parts)
        if reason:
            raise NotKnownError(reason)
        return self._compute(text_of(parts), source[start:end], 0)

    def _compute(self, text: str, written: Embedded, depth: int) -> int:
        self.budget.spend(len(text))
        if depth > 8:
            raise NotKnownError("variables refer to each other")

        def read(name: str) -> int:
            value = self.state.variables.get(name)
            if value is None:
                raise NotKnownError(f"${name} is not set in this file")
            if isinstance(value, Array):
                raise NotKnownError(f"{name} is an array")
            reason = value.undecided or reason_of(value.parts)
            if reason:
                raise NotKnownError(reason)
            held = text_of(value.parts)
            return self._compute(held, written, depth + 1)

        def write(name: str, number: int) -> None:
            text = stand_for(str(number), written)
            self.state.set(name, Scalar((Part(text),), written.place()))

        return Arithmetic(text, read, write).value()


def _field(parts: list[Part], place: Place) -> Field:
    text = join(part.text for part in parts)
    reason = reason_of(parts)
    if not reason and "<" in text.text:
        placeholder = _PLACEHOLDER.search(text.text)
        reason = f"{placeholder[0]} is a placeholder" if placeholder else ""
    real = [part for part in parts if part.text.text or part.unresolved]
    several = real[0].unresolved if len(real) == 1 and real[0].several else ""
    return Field(Word(text, place, reason), several)


class _Fields:
    """Words while parts are divided into them."""

    def __init__(self) -> None:
        self.done: list[list[Part]] = []
        self.current: list[Part] = []
        self.incomplete = ""

    def close(self) -> None:
        if any(part.text.text or part.quoted for part in self.current):
            self.done.append(self.current)
        else:
            self.incomplete = self.incomplete or reason_of(self.current)
        self.current = []

    def add(self, part: Part) -> None:
        """Add a part whose blanks divide words."""
        text, at = part.text.text, 0
        while at < len(text):
            begin = at
            while at < len(text) and text[at] not in BLANKS:
                at += 1
            if at > begin:
                self.current.append(part._replace(text=part.text[begin:at]))
            if at < len(text):
                self.close()
            while at < len(text) and text[at] in BLANKS:
                at += 1


def split_fields(parts: Parts) -> tuple[list[list[Part]], str]:
    """Divide parts into words; the second value says why words may be missing that nothing stands for."""
    fields = _Fields()
    for part in parts:
        if part is None:
            fields.close()
        elif part.split and not part.unresolved:
            fields.add(part)
        else:
            fields.current.append(part)
    fields.close()
    return fields.done, fields.incomplete


class _Walk:
    """One pass through a text."""

    def __init__(self, expander: Expander, source: Embedded, end: int, quoted: bool, split: bool) -> None:
        self.expander = expander
        self.source = source
        self.text = source.text
        self.end = end
        self.quoted = quoted
        self.split = split
        self.string = False
        self.begin = 0
        self.whole_arrays = False
        self.parts: Parts = []

    def run(self, at: int) -> Parts:
        while at < self.end:
            stop = _STOPS.search(self.text, at, self.end)
            here = stop.start() if stop else self.end
            if here > at:
                self._literal(at, here)
            if here >= self.end:
                break
            at = self._special(here)
        return self.parts

    def _literal(self, start: int, end: int) -> int:
        quoted = self.quoted or self.string
        self.parts.append(Part(self.source[start:end], quoted=quoted, split=self.split and not quoted))
        return end

    def _special(self, at: int) -> int:
        character = self.text[at]
        quoted = self.quoted or self.string
        if character == "\\":
            return self._escape(at, quoted)
        if character == "'":
            close = -1 if quoted else self.text.find("'", at + 1, self.end)
            if close < 0:
                return self._literal(at, at + 1)
            self.parts.append(Part(self.source[at + 1 : close], quoted=True))
            return close + 1
        if character == '"':
            return self._quote(at)
        if character == "`":
            close = backquote_end(self.text, at + 1, self.end)
            if close < 0:
                return self._literal(at, at + 1)
            self._command(at, at + 1, close, close + 1, quoted)
            return close + 1
        return self._dollar(at, quoted)

    def _quote(self, at: int) -> int:
        if self.quoted:
            return at + 1
        self.string = not self.string
        if self.string:
            self.whole_arrays = False
        elif not self.whole_arrays:
            self.parts.append(Part(EMPTY, quoted=True))
        return at + 1

    def _escape(self, at: int, quoted: bool) -> int:
        following = self.text[at + 1 : at + 2] if at + 1 < self.end else ""
        if following == "\n":
            return at + 2
        if not following or (quoted and following not in '$`"\\'):
            return self._literal(at, at + 1)
        self.parts.append(Part(self.source[at + 1 : at + 2], quoted=True))
        return at + 2

    def _dollar(self, at: int, quoted: bool) -> int:
        text, end = self.text, self.end
        following = text[at + 1 : at + 2] if at + 1 < end else ""
        if following == "'" and not quoted:
            close = ansi_end(text, at + 2, end)
            if close >= 0:
                self.parts.extend(ansi_parts(self.source, at + 2, close))
                return close + 1
        if following == '"' and not quoted:
            return at + 1
        if following == "(":
            return self._parenthesis(at, quoted)
        if following == "{":
            close = closing(text, at + 2, end, "}", self.expander.budget)
            if close < 0:
                return self._literal(at, at + 1)
            self._add(parameters.expand(self.expander, self.source, at, close + 1, quoted))
            return close + 1
        name = _NAME.match(text, at + 1, end)
        if name is None:
            return self._literal(at, at + 1)
        self._add(parameters.plain(self.expander, self.source, at, name.end(), name[0], quoted))
        return name.end()

    def _add(self, found: tuple[Parts, bool]) -> None:
        parts, whole_array = found
        self.whole_arrays = self.whole_arrays or whole_array
        self.parts.extend(parts)

    def _parenthesis(self, at: int, quoted: bool) -> int:
        text, end, budget = self.text, self.end, self.expander.budget
        close = closing(text, at + 3, end, ")", budget) if text.startswith("((", at + 1) else -1
        if close >= 0 and text[close + 1 : close + 2] == ")" and close + 1 < end:
            written = self.source[at : close + 2]
            try:
                number = str(self.expander.arithmetic(self.source, at + 3, close))
                self.parts.append(Part(stand_for(number, written), quoted=quoted, split=not quoted))
            except NotKnownError as error:
                self.parts.append(Part(written, str(error), quoted=quoted))
            return close + 2
        close = closing(text, at + 2, end, ")", budget)
        if close < 0:
            return self._literal(at, at + 1)
        self._command(at, at + 2, close, close + 1, quoted)
        return close + 1

    def _command(self, at: int, start: int, close: int, end: int, quoted: bool) -> None:
        found = output(self.expander, self.source, start, close)
        if found is None:
            written = self.source[at:end]
            shown = " ".join(written.text.split())
            shown = shown if len(shown) <= 40 else shown[:37] + "..."
            reason = f"{shown} is known only when it runs"
            self.parts.append(Part(written, reason, quoted=quoted, several=not quoted))
            return
        self.expander.budget.make(sum(len(part.text.text) for part in found))
        self.parts.extend(part._replace(quoted=quoted, split=not quoted) for part in found)


_ANSI = re.compile(
    r"\\(?:(?P<octal>[0-7]{1,3})|x(?P<x>[0-9a-fA-F]{1,2})|u(?P<u>[0-9a-fA-F]{1,4})|U(?P<U>[0-9a-fA-F]{1,8})"
    r"|c(?P<control>.)|(?P<letter>[abeEfnrtv\\'\"?]))",
    re.S,
)
_LETTERS = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def ansi_parts(source: Embedded, at: int, end: int) -> Parts:
    """Return the parts of the inside of a ``$'..'``."""
    parts: Parts = [Part(EMPTY, quoted=True)]
    text = source.text
    while at < end:
        escape = _ANSI.match(text, at, end)
        stop = text.find("\\", at + 1, end)
        if escape is None:
            stop = end if stop < 0 else stop
            parts.append(Part(source[at:stop], quoted=True))
            at = stop
            continue
        parts.append(Part(stand_for(_ansi(escape), source[at : escape.end()]), quoted=True))
        at = escape.end()
    return parts


def _ansi(escape: re.Match[str]) -> str:
    kind, found = escape.lastgroup or "", escape[escape.lastgroup or 0]
    if kind == "letter":
        return _LETTERS.get(found, found)
    if kind == "control":
        return chr(ord(found) & 0x1F)
    number = int(found, 8 if kind == "octal" else 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "\N{REPLACEMENT CHARACTER}"
