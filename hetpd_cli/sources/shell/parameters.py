"""Expansion of variables: ``$X``, ``${X:-d}``, ``${X##*/}``, ``"${ARGS[@]}"``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.embedded import Embedded, join
from hetpd_cli.sources.shell import patterns
from hetpd_cli.sources.shell.arithmetic import NotKnownError
from hetpd_cli.sources.shell.scan import closing
from hetpd_cli.sources.shell.values import Array, Part, Scalar, bare, reason_of, stand_for, text_of

if TYPE_CHECKING:
    from hetpd_cli.sources.shell.expansion import Expander
    from hetpd_cli.sources.shell.values import Parts, Value

EMPTY = Embedded("", ())
_HEAD = re.compile(r"(?P<sign>[#!]?)(?P<name>[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-])")
_OPERATOR = re.compile(r":[-=+?]|##?|%%?|//|/#|/%|/|,,?|\^\^?|[-=+?]|:")
_LONGEST_FOR_PATTERNS = 512
PART_COST = 40


class _Use(NamedTuple):
    """One expansion: where it is written, and whether it stands in double quotes."""

    expander: Expander
    source: Embedded
    start: int
    end: int
    quoted: bool

    @property
    def written(self) -> Embedded:
        return self.source[self.start : self.end]

    def unknown(self, reason: str) -> Parts:
        """Return the part that stands for a value that is not known."""
        return [Part(self.written, reason, quoted=self.quoted, several=not self.quoted)]

    def maybe_nothing(self, reason: str) -> Parts:
        """Return the part for what may be there and is not known, without a character of its own."""
        return [Part(EMPTY, reason, quoted=self.quoted, several=not self.quoted)]

    def flagged(self, parts: tuple[Part, ...] | Parts) -> Parts:
        """Return the parts of a value as parts of a word."""
        quoted = self.quoted
        self.expander.budget.make(sum(len(part.text.text) + PART_COST for part in parts if part is not None))
        return [
            Part(part.text, part.unresolved, quoted, not quoted, bool(part.unresolved) and not quoted)
            for part in parts
            if part is not None
        ]


def plain(expander: Expander, source: Embedded, start: int, end: int, name: str, quoted: bool) -> tuple[Parts, bool]:
    """Return what ``$name`` becomes, and whether it is a whole array."""
    use = _Use(expander, source, start, end, quoted)
    if name in "@*" and len(name) == 1:
        return _all(use, _arguments(use), name == "*"), name == "@"
    return _of_value(use, name, _value(use, name, None)), False


def expand(expander: Expander, source: Embedded, start: int, end: int, quoted: bool) -> tuple[Parts, bool]:
    """Return what the ``${..}`` at ``start`` to ``end`` becomes, and whether it is a whole array."""
    use = _Use(expander, source, start, end, quoted)
    text, last = source.text, end - 1
    head = _HEAD.match(text, start + 2, last)
    if head is None:
        return use.unknown(f"{use.written.text} is not understood"), False
    sign, name, at = head["sign"], head["name"], head.end()
    if sign == "#" and at == start + 2 + len("#") and name in "-?" and at < last:
        return use.unknown(f"{use.written.text} is not understood"), False
    index: tuple[int, int] | None = None
    if at < last and text[at] == "[":
        close = text.find("]", at, last)
        nested = text.find("$", at, close)
        if nested >= 0:
            close = closing(text, at + 1, last, "]", expander.budget)
        if close < 0:
            return use.unknown(f"{use.written.text} is not understood"), False
        index, at = (at + 1, close), close + 1
    every = name if name in ("@", "*") else text[slice(*index)] if index else ""
    if sign == "!" and index is not None and every in ("@", "*") and at == last:
        return _all(use, _keys(use, _array(_named(use, name))), every == "*"), every == "@"
    if sign == "!":
        return _indirect(use, name, at == last and index is None), False
    if sign == "#":
        return _length(use, name, index, every, at == last), False
    if every in ("@", "*"):
        array = _arguments(use) if name in ("@", "*") else _array(_named(use, name))
        return _array_operation(use, array, every, at, last), every == "@"
    value = _value(use, name, index)
    if at == last:
        return _of_value(use, name, value), False
    operator = _OPERATOR.match(text, at, last)
    if operator is None:
        return use.unknown(f"{use.written.text} is not understood"), False
    return _operation(use, name, value, operator[0], operator.end(), last), False


def _value(use: _Use, name: str, index: tuple[int, int] | None) -> Value | str | None:
    """Return the value of a variable, None if it is not set, or why it is not known."""
    state = use.expander.state
    if name.isdigit():
        return _argument(use, int(name))
    if name == "#":
        if state.arguments is None:
            return "how many arguments the script is given is not known"
        return Scalar((Part(stand_for(str(len(state.arguments)), use.written)),), use.written.place())
    if name in "?$!-" or name == "_":
        return f"${name} is known only when the script runs"
    value = _named(use, name)
    if not isinstance(value, Array) and (index is None or not isinstance(value, Scalar)):
        return value
    items = _array(value)
    if not isinstance(items, Array):
        return items
    return _item(use, items, index)


def _named(use: _Use, name: str) -> Value | str | None:
    """Return the value of a variable, arrays as a whole."""
    value = use.expander.state.variables.get(name)
    return value.undecided or value if value is not None else None


def _argument(use: _Use, number: int) -> Value | str | None:
    arguments = use.expander.state.arguments
    if number == 0:
        return "$0 is known only when the script runs"
    if arguments is None or number > len(arguments):
        return None
    return Scalar(arguments[number - 1], use.written.place())


def _item(use: _Use, array: Array, index: tuple[int, int] | None) -> Value | str | None:
    number = 0
    if index is not None:
        try:
            number = use.expander.arithmetic(use.source, *index)
        except NotKnownError as error:
            return str(error)
    if array.incomplete:
        return array.incomplete
    if -len(array.items) <= number < len(array.items):
        return Scalar(array.items[number], array.place)
    return Scalar((), array.place)


def _array(value: Value | str | None) -> Array | str | None:
    if isinstance(value, Scalar):
        return value.undecided or Array((value.parts,), value.place)
    if isinstance(value, Array) and value.undecided:
        return value.undecided
    return value


def _keys(use: _Use, array: Array | str | None) -> Array | str | None:
    """Return the numbers of an array's elements."""
    if not isinstance(array, Array):
        return array
    use.expander.budget.spend(len(array.items))
    items = tuple((Part(stand_for(str(number), use.written)),) for number in range(len(array.items)))
    return array._replace(items=items)


def _arguments(use: _Use) -> Array | str:
    arguments = use.expander.state.arguments
    if arguments is None:
        return "what arguments the script is given is not known"
    return Array(tuple(arguments), use.written.place())


def unset_reason(name: str) -> str:
    """Return why a variable without a value is not known."""
    if name.isdigit():
        return f"${name} is not given"
    return f"${name} is not set in this file"


def _of_value(use: _Use, name: str, value: Value | str | None) -> Parts:
    if value is None:
        given = name.isdigit() and use.expander.state.arguments is not None
        return [] if given else use.unknown(unset_reason(name))
    if isinstance(value, str):
        return use.unknown(value)
    if isinstance(value, Array):
        return use.flagged(value.items[0] if value.items else ())
    return use.flagged(value.parts)


def _all(use: _Use, array: Array | str | None, as_one: bool) -> Parts:
    """Return the elements of an array, as words of their own or as one."""
    if array is None:
        return _several(use)
    if isinstance(array, str):
        return [part._replace(several=not as_one or part.several) for part in use.unknown(array) if part]
    parts: Parts = []
    for number, item in enumerate(array.items):
        if number:
            joint = as_one and use.quoted
            parts.append(Part(stand_for(" ", use.written), quoted=True) if joint else None)
        parts.extend(use.flagged(item))
        if use.quoted:
            parts.append(Part(EMPTY, quoted=True))
    if array.incomplete and not as_one:
        parts.append(None)
        parts.append(Part(EMPTY, array.incomplete, several=True))
    return parts


def _several(use: _Use) -> Parts:
    name = use.written.text.strip("${}").partition("[")[0]
    return [Part(use.written, unset_reason(name), quoted=use.quoted, several=True)]


def _array_operation(use: _Use, array: Array | str | None, every: str, at: int, last: int) -> Parts:
    text = use.source.text
    if at == last:
        return _all(use, array, every == "*")
    operator = _OPERATOR.match(text, at, last)
    sign = operator[0] if operator else ""
    if sign in (":-", "-", ":+", "+"):
        empty = array is None or (isinstance(array, Array) and not array.items)
        if isinstance(array, str):
            return use.unknown(array)
        if sign in (":+", "+"):
            if empty:
                return [] if array is not None else use.maybe_nothing(f"{use.written.text} is not set in this file")
            return _operand(use, at + len(sign), last)
        return _operand(use, at + len(sign), last) if empty else _all(use, array, every == "*")
    if sign == ":" and isinstance(array, Array) and not array.incomplete:
        try:
            begin, _, count = text[at + 1 : last].partition(":")
            first = _number(use, at + 1, begin)
            number = _number(use, at + 2 + len(begin), count) if count else None
        except NotKnownError as error:
            return use.unknown(str(error))
        if text[use.start + 2] in "@*":
            first -= 1 if first > 0 else 0
        items = array.items[first:] if number is None else array.items[first:][: max(number, 0)]
        return _all(use, array._replace(items=items), every == "*")
    if isinstance(array, str):
        return use.unknown(array)
    return [part._replace(several=True) for part in use.unknown(f"{use.written.text} is not understood") if part]


def _number(use: _Use, at: int, text: str) -> int:
    return use.expander.arithmetic(use.source, at, at + len(text))


def _indirect(use: _Use, name: str, simple: bool) -> Parts:
    value = _value(use, name, None)
    if simple and isinstance(value, Scalar) and not reason_of(value.parts):
        target = text_of(value.parts)
        if re.fullmatch(r"[A-Za-z_]\w*", target):
            return _of_value(use, target, _value(use, target, None))
    return use.unknown(value if isinstance(value, str) else f"{use.written.text} is not understood")


def _length(use: _Use, name: str, index: tuple[int, int] | None, every: str, simple: bool) -> Parts:
    if name in ("@", "*"):
        value: Value | str | None = _arguments(use)
    else:
        value = _named(use, name) if every in ("@", "*") else _value(use, name, index)
    if every in ("@", "*"):
        array = _array(value)
        if isinstance(array, Array) and not array.incomplete and simple:
            return use.flagged((Part(stand_for(str(len(array.items)), use.written)),))
        return use.unknown(array if isinstance(array, str) else f"{use.written.text} is not known")
    if value is None or isinstance(value, str):
        return use.unknown(unset_reason(name) if value is None else value)
    parts = bare(_of_value(use, name, value))
    reason = reason_of(parts)
    if reason or not simple:
        return use.unknown(reason or f"{use.written.text} is not understood")
    return use.flagged((Part(stand_for(str(len(text_of(parts))), use.written)),))


def _operand(use: _Use, start: int, end: int) -> Parts:
    return use.expander.parts(use.source, start, end, quoted=use.quoted, split=not use.quoted)


def _operation(use: _Use, name: str, value: Value | str | None, sign: str, at: int, last: int) -> Parts:
    if sign.lstrip(":") in ("-", "=", "+", "?") and sign != ":":
        return _default(use, name, value, sign, at, last)
    if not isinstance(value, Scalar):
        return _of_value(use, name, value)
    reason = reason_of(value.parts)
    if reason:
        return use.unknown(reason)
    text = join(part.text for part in value.parts)
    if sign == ":":
        return _substring(use, text, at, last)
    if sign[0] in ",^":
        return use.flagged((Part(_cased(text, sign)),)) if at == last else use.unknown("a pattern is not understood")
    if sign[0] == "/":
        return _replaced(use, text, sign, at, last)
    return _trimmed(use, text, sign, at, last)


def _default(use: _Use, name: str, value: Value | str | None, sign: str, at: int, last: int) -> Parts:
    from hetpd_cli.sources.shell.expansion import RUN_TIME

    if isinstance(value, str):
        return use.unknown(value)
    if value is None and name in RUN_TIME:
        return use.unknown(unset_reason(name))
    held = None if value is None else bare(_of_value(use, name, value))
    absent = held is None or (sign[0] == ":" and not text_of(held) and not reason_of(held))
    kind = sign[-1]
    if kind == "+":
        if value is None:
            return use.maybe_nothing(unset_reason(name))
        return [] if absent else _operand(use, at, last)
    if held is not None and not absent:
        return use.flagged(held)
    if kind == "?":
        return use.unknown(unset_reason(name))
    operand = _operand(use, at, last)
    if held is None:
        if at == last:
            # Written so that the shell does not object to what is to come from outside.
            return use.maybe_nothing(unset_reason(name))
        use.expander.defaults_taken += 1
    if kind == "=" and not name.isdigit():
        use.expander.state.set(name, Scalar(bare(operand), use.written.place()))
    return operand


def _substring(use: _Use, text: Embedded, at: int, last: int) -> Parts:
    begin, colon, count = use.source.text[at:last].partition(":")
    try:
        first = _number(use, at, begin)
        number = _number(use, at + len(begin) + 1, count) if colon else len(text.text)
    except NotKnownError as error:
        return use.unknown(str(error))
    length = len(text.text)
    first = first if first >= 0 else length + first
    if first < 0 or first > length:
        return use.flagged((Part(EMPTY),))
    end = first + number if number >= 0 else length + number
    return use.flagged((Part(text[first : max(min(end, length), first)]),))


def _cased(text: Embedded, sign: str) -> Embedded:
    change = str.lower if sign[0] == "," else str.upper
    characters = text.text
    changed = change(characters) if len(sign) == 2 else change(characters[:1]) + characters[1:]
    if len(changed) != len(characters):
        return stand_for(changed, text)
    return Embedded(changed, text.pieces)


def _pattern(use: _Use, at: int, last: int) -> list[patterns.Glob] | str:
    parts = use.expander.parts(use.source, at, last)
    reason = reason_of(parts)
    return reason or patterns.compiled([(part.text.text, part.quoted) for part in parts if part is not None])


def _trimmed(use: _Use, text: Embedded, sign: str, at: int, last: int) -> Parts:
    pattern = _pattern(use, at, last)
    if isinstance(pattern, str):
        return use.unknown(pattern)
    characters = text.text
    length = len(characters)
    if patterns.is_literal(pattern):
        literal = "".join(glob.characters for glob in pattern)
        if sign[0] == "#":
            cut = len(literal) if characters.startswith(literal) else 0
            return use.flagged((Part(text[cut:]),))
        return use.flagged((Part(text[: length - len(literal) if characters.endswith(literal) else length]),))
    if length > _LONGEST_FOR_PATTERNS:
        return use.unknown(f"{use.written.text} is not computed for a long text")
    use.expander.budget.spend(length * 8)
    sizes = range(length + 1) if len(sign) == 1 else range(length, -1, -1)
    for size in sizes:
        if sign[0] == "#" and patterns.matches(pattern, characters[:size]):
            return use.flagged((Part(text[size:]),))
        if sign[0] == "%" and patterns.matches(pattern, characters[length - size :]):
            return use.flagged((Part(text[: length - size]),))
    return use.flagged((Part(text),))


def _replaced(use: _Use, text: Embedded, sign: str, at: int, last: int) -> Parts:
    slash = _slash(use.source.text, at, last)
    pattern = _pattern(use, at, slash)
    replacement = use.expander.parts(use.source, min(slash + 1, last), last, quoted=use.quoted)
    reason = pattern if isinstance(pattern, str) else reason_of(replacement)
    if reason or isinstance(pattern, str):
        return use.unknown(reason)
    characters = text.text
    if not pattern:
        return use.flagged((Part(text),))
    if len(characters) > _LONGEST_FOR_PATTERNS * (16 if patterns.is_literal(pattern) else 1):
        return use.unknown(f"{use.written.text} is not computed for a long text")
    put = join(part.text for part in replacement if part is not None)
    put = put if put.text else EMPTY
    done: list[Embedded] = []
    begin = begin_of_rest = 0
    while begin <= len(characters):
        end = _match_end(use, pattern, characters, begin, sign)
        if end > begin:
            done += [text[begin_of_rest:begin], put]
            use.expander.budget.make(len(put.text))
            begin = begin_of_rest = end
            if sign != "//":
                break
        elif sign == "/#":
            break
        else:
            begin += 1
    done.append(text[begin_of_rest:])
    return use.flagged((Part(join(done)),))


def _match_end(use: _Use, pattern: list[patterns.Glob], text: str, begin: int, sign: str) -> int:
    """Return where the longest match ends that starts at ``begin``; -1 if there is none."""
    if patterns.is_literal(pattern):
        literal = "".join(glob.characters for glob in pattern)
        end = begin + len(literal) if text.startswith(literal, begin) else -1
        return end if sign != "/%" or end == len(text) else -1
    use.expander.budget.spend((len(text) - begin) * 4)
    if sign == "/%":
        return len(text) if patterns.matches(pattern, text[begin:]) else -1
    if not any(glob.kind == "star" for glob in pattern):
        end = begin + len(pattern)
        return end if end <= len(text) and patterns.matches(pattern, text[begin:end]) else -1
    for end in range(len(text), begin, -1):
        if patterns.matches(pattern, text[begin:end]):
            return end
    return -1


def _slash(text: str, at: int, last: int) -> int:
    """Return where the pattern of a replacement ends."""
    while at < last and text[at] != "/":
        if text[at] == "\\":
            at += 1
        elif text[at] in "'\"":
            close = text.find(text[at], at + 1, last)
            at = close if close >= 0 else at
        elif text[at] == "[":
            close = text.find("]", at + 1, last)
            at = close if close >= 0 else at
        elif text.startswith("${", at):
            close = text.find("}", at, last)
            at = close if close >= 0 else at
        at += 1
    return min(at, last)
