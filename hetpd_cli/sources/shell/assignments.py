"""``X=1``, ``X+=..``, ``ARGS=(..)``, ``export``, ``local``, ``declare``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.sources.launch import Word
from hetpd_cli.sources.shell.values import Array, Part, Scalar, word_of

if TYPE_CHECKING:
    from hetpd_cli.sources.shell.evaluation import Evaluator
    from hetpd_cli.sources.shell.syntax import Node
    from hetpd_cli.sources.shell.values import Value


def assign(evaluator: Evaluator, node: Node) -> str:
    """Carry out an assignment; return the name of the variable, empty for an element of an array."""
    before = evaluator.expander.defaults_taken
    found = _assigned(evaluator, node)
    if found is None:
        return ""
    name, value = found
    evaluator.state.set(name, value)
    if evaluator.expander.defaults_taken > before:
        evaluator.state.defaulted.add(name)
    else:
        evaluator.state.defaulted.discard(name)
    return name


def prefix_word(evaluator: Evaluator, node: Node, env: dict[str, Word]) -> None:
    """Add what stands before a command to its environment."""
    found = _assigned(evaluator, node)
    if found is not None:
        name, value = found
        env[name] = word_of(value)


def _assigned(evaluator: Evaluator, node: Node) -> tuple[str, Value] | None:
    script, state = evaluator.script, evaluator.state
    children = node.children
    name = evaluator.text(children[0])
    sign = next((child for child in children if child.type in ("=", "+=")), None)
    if sign is None:
        return None
    start, end = script.span(sign)[1], script.span(node)[1]
    begin = script.span(node)[0]
    place = script.source.place(start, end) if end > start else script.source.place(begin, end)
    old = state.variables.get(name.partition("[")[0])
    if children[0].type == "subscript":
        reason = f"an element of {name.partition('[')[0]} is set"
        return name.partition("[")[0], Scalar((), place, reason)
    value: Value
    if children[-1].type == "array":
        value = _array(evaluator, children[-1])
    else:
        value = Scalar(evaluator.expander.value(script.source, start, end), place)
    return name, value if sign.type == "=" or old is None else _appended(old, value)


def _array(evaluator: Evaluator, node: Node) -> Value:
    script = evaluator.script
    place = script.source.place(*script.span(node))
    inner = [child for child in node.children if child.type not in ("(", ")", "comment")]
    if any(child.type == "variable_assignment" or evaluator.text(child).startswith("[") for child in inner):
        return Array((), place, undecided="an array with keys is not read")
    broken = "a part of an array cannot be read" if any(child.type == "ERROR" for child in inner) else ""
    words, incomplete = evaluator.expand(script.words(inner))
    items = tuple((Part(word.text, word.unresolved),) for word in words)
    return Array(items, place, incomplete or broken)


def _appended(old: Value, new: Value) -> Value:
    if old.undecided or new.undecided:
        return old if old.undecided else new
    if isinstance(old, Array):
        if isinstance(new, Array):
            return Array(old.items + new.items, old.place, old.incomplete or new.incomplete)
        first = (old.items[0] if old.items else ()) + new.parts
        return old._replace(items=(first, *old.items[1:]))
    if isinstance(new, Array):
        return Array((old.parts, *new.items), old.place, new.incomplete)
    return Scalar(old.parts + new.parts, old.place)


def declare(evaluator: Evaluator, node: Node) -> None:
    """Carry out ``export``, ``local``, ``readonly``, ``declare``, ``typeset``."""
    state = evaluator.state
    keyword = node.children[0].type
    options = ""
    for child in node.children[1:]:
        if child.type == "variable_assignment":
            name = evaluator.text(child.children[0])
        elif child.type == "variable_name":
            name = evaluator.text(child)
        else:
            text = evaluator.text(child)
            options += text if text.startswith("-") else ""
            name = "" if text.startswith("-") else _dynamic(evaluator, child)
            if not name:
                continue
        if keyword == "local" or (keyword in ("declare", "typeset") and "g" not in options):
            state.declare_local(name)
            if child.type == "variable_name" and state.frames:
                place = evaluator.script.source.place(*evaluator.script.span(child))
                state.set(name, Array((), place) if "a" in options else Scalar((), place))
        if "A" in options:
            place = evaluator.script.source.place(*evaluator.script.span(child))
            state.set(name, Array((), place, undecided="an array with keys is not read"))
        elif child.type == "variable_assignment":
            assign(evaluator, child)
        elif "a" in options and name not in state.variables:
            state.set(name, Array((), evaluator.script.source.place(*evaluator.script.span(child))))
        if keyword == "export" or ("x" in options and keyword != "export"):
            state.export(name)


def _dynamic(evaluator: Evaluator, node: Node) -> str:
    """Carry out an assignment that is written as a word (``export "X=$Y"``); return the name."""
    words, _ = evaluator.expand([evaluator.script.span(node)])
    name = ""
    for word in words:
        set_word(evaluator, word)
        name = word.value.partition("=")[0]
    return name if name.isidentifier() else ""


def set_word(evaluator: Evaluator, word: Word) -> str:
    """Carry out the assignment that a word is, ``NAME=value``; return the name, empty if it is none."""
    name, sign, _ = word.value.partition("=")
    if not name.isidentifier():
        return ""
    if sign:
        evaluator.state.set(name, Scalar((Part(word.text[len(name) + 1 :], word.unresolved),), word.place))
    return name
