"""``for`` and ``while``: round by round while each is decided, else once with what they set unknown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.sources.shell.arithmetic import NotKnownError
from hetpd_cli.sources.shell.branches import undecided
from hetpd_cli.sources.shell.values import Array, Part, Scalar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hetpd_cli.sources.shell.evaluation import Evaluator
    from hetpd_cli.sources.shell.syntax import Node

_ARGUMENTS = re.compile(r"\$\{?[#@*1-9]|getopts")
_LEAVE = frozenset({"exit", "fail", "return"})


def _once(evaluator: Evaluator, nodes: Sequence[Node]) -> str:
    """Read a body once; what it sets is unknown in it and behind it."""
    _forget(evaluator, nodes)
    signal = undecided(evaluator, [lambda: evaluator.block(nodes), lambda: ""])
    _forget(evaluator, nodes)
    return signal if signal in _LEAVE else ""


def _forget(evaluator: Evaluator, nodes: Sequence[Node]) -> None:
    state = evaluator.state
    left = list(nodes)
    while left:
        node = left.pop()
        evaluator.budget.spend(1)
        if node.type in ("variable_assignment", "for_statement", "c_style_for_statement"):
            names = [child for child in node.children if child.type in ("variable_name", "subscript")][:1]
            for child in names:
                _forget_one(evaluator, evaluator.text(child).partition("[")[0])
        left.extend(node.children)
    if state.arguments and any("shift" in evaluator.text(node) for node in nodes):
        state.arguments = None


def _forget_one(evaluator: Evaluator, name: str) -> None:
    old = evaluator.state.variables.get(name)
    reason = f"${name} changes in a loop"
    if old is None:
        return
    if isinstance(old, Array) and not old.undecided:
        evaluator.state.set(name, old._replace(incomplete=old.incomplete or reason))
    else:
        evaluator.state.set(name, Scalar((), old.place, reason))


def _round(evaluator: Evaluator, nodes: Sequence[Node]) -> tuple[str, bool]:
    """Run a body; return the signal for what is around the loop, and whether the loop goes on."""
    evaluator.budget.rounds -= 1
    signal = evaluator.block(nodes)
    if signal in _LEAVE:
        return signal, False
    return "", signal != "break"


def over_words(evaluator: Evaluator, node: Node) -> str:
    """Run ``for x in ..``."""
    script, state = evaluator.script, evaluator.state
    variable = node.child_by_field_name("variable")
    body = node.child_by_field_name("body")
    if variable is None or body is None:
        return ""
    name = evaluator.text(variable)
    values: list[Node] = []
    inside = False
    for child in node.children:
        inside = (inside or child.type == "in") and child.id != body.id
        if inside and child.type not in ("in", ";"):
            values.append(child)
    spans = script.words(values)
    of_arguments = not any(child.type == "in" for child in node.children)
    if state.arguments is None and (
        of_arguments or (spans and all(_is_arguments(script.text[slice(*s)]) for s in spans))
    ):
        # Without arguments the file's own defaults hold.
        return ""
    place = script.source.place(*script.span(variable))
    if of_arguments:
        items = [Scalar(parts, place) for parts in state.arguments or ()]
        incomplete = ""
    else:
        words, incomplete = evaluator.expand(spans)
        items = [Scalar((Part(word.text, word.unresolved),), word.place) for word in words]
    if incomplete or len(items) > evaluator.budget.rounds:
        state.set(name, Scalar((), place, f"${name} changes in a loop"))
        return _once(evaluator, [*node.children[:2], body])
    for item in items:
        state.set(name, item)
        signal, goes_on = _round(evaluator, body.children)
        if signal or not goes_on:
            return signal
    return ""


def _is_arguments(text: str) -> bool:
    return text in ('"$@"', "$@", "$*", '"${@}"')


def while_true(evaluator: Evaluator, node: Node) -> str:
    """Run ``while`` and ``until``."""
    body = node.child_by_field_name("body")
    if body is None:
        return ""
    until = node.children[0].type == "until"
    conditions = [child for child in node.children[1:] if child.id != body.id]
    text = " ".join(evaluator.text(child) for child in conditions)
    may_change = "$" in text or "((" in text
    while True:
        signal = evaluator.block(conditions)
        if signal:
            return signal
        outcome = evaluator.outcome
        if outcome is until:
            return ""
        if not isinstance(outcome, bool) or evaluator.budget.rounds <= 0 or not may_change:
            break
        signal, goes_on = _round(evaluator, body.children)
        if signal or not goes_on:
            return signal
    if evaluator.state.arguments is None and _ARGUMENTS.search(text):
        return ""
    return _once(evaluator, body.children)


def counting(evaluator: Evaluator, node: Node) -> str:
    """Run ``for ((..; ..; ..))``."""
    script, expander = evaluator.script, evaluator.expander
    body = node.child_by_field_name("body")
    opened = next((child for child in node.children if child.type == "(("), None)
    closed = next((child for child in node.children if child.type == "))"), None)
    if body is None or opened is None or closed is None:
        return ""
    start, end = script.span(opened)[1], script.span(closed)[0]
    spans = []
    for text in script.text[start:end].split(";"):
        spans.append((start, start + len(text)))
        start += len(text) + 1
    if len(spans) != 3:
        return _once(evaluator, body.children)
    try:
        expander.arithmetic(script.source, *spans[0])
        while not script.text[slice(*spans[1])].strip() or expander.arithmetic(script.source, *spans[1]):
            if evaluator.budget.rounds <= 0:
                break
            signal, goes_on = _round(evaluator, body.children)
            if signal or not goes_on:
                return signal
            expander.arithmetic(script.source, *spans[2])
        else:
            return ""
    except NotKnownError:
        pass
    for name in re.findall(r"[A-Za-z_]\w*", script.text[slice(spans[0][0], spans[2][1])]):
        _forget_one(evaluator, name)
    return _once(evaluator, body.children)
