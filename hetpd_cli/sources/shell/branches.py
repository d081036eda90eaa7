"""``if``, ``case``, ``&&`` and ``||``: one branch where it is decided, all of them where not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.sources.embedded import Embedded
from hetpd_cli.sources.shell import patterns
from hetpd_cli.sources.shell.conditions import depends_on_role
from hetpd_cli.sources.shell.values import Array, Part, Scalar, alike, reason_of, stand_for, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hetpd_cli.sources.shell.evaluation import Evaluator
    from hetpd_cli.sources.shell.syntax import Node, Span
    from hetpd_cli.sources.shell.values import Value

EMPTY = Embedded("", ())
_ENDED = frozenset({"exit", "fail", "return", "break", "continue"})


def undecided(evaluator: Evaluator, bodies: Sequence[Callable[[], str]]) -> str:
    """Run all branches from the same state, and join what they leave behind.

    What they set differently is unknown. A branch that leaves the script, the function or the loop sets nothing
    for what follows.
    """
    state = evaluator.state
    saved = state.fork()
    ends: list[tuple[dict[str, Value], set[str]]] = []
    signals: list[str] = []
    arguments = []
    begun = len(evaluator.runs)
    for number, body in enumerate(bodies):
        state.restore(saved)
        evaluator.budget.spend(len(saved[0]) * 2)
        first = len(evaluator.runs)
        signal = body()
        _mark(evaluator, first, f"branch {number + 1} from {begun}")
        if signal in _ENDED:
            signals.append(signal)
        else:
            ends.append((state.variables, set(state.exported)))
            arguments.append(state.arguments)
    evaluator.outcome = None
    state.restore(saved)
    if not ends:
        return signals[0] if signals else ""
    for name in {name for variables, _ in ends for name in variables} | set(saved[0]):
        values = [variables.get(name) for variables, _ in ends]
        if all(alike(value, values[0]) for value in values[1:]):
            if values[0] is None:
                state.unset(name)
            elif values[0] is not state.variables.get(name):
                state.set(name, values[0])
        else:
            state.set(name, _joined(name, values, saved[2] is None))
    for _, exported in ends:
        for name in exported - set(state.exported):
            state.export(name)
    if any(found != arguments[0] for found in arguments):
        state.arguments = None
    elif arguments:
        state.arguments = arguments[0]
    return ""


def _mark(evaluator: Evaluator, first: int, branch: str) -> None:
    for at in range(first, len(evaluator.runs)):
        if not evaluator.runs[at].branch:
            evaluator.runs[at] = evaluator.runs[at]._replace(branch=branch)


def _joined(name: str, values: Sequence[Value | None], own_defaults: bool) -> Value:
    """Return what is known of a variable that branches set differently."""
    reason = f"${name} depends on a branch that cannot be decided here"
    there = [value for value in values if value is not None]
    if own_defaults:
        # A script that is run without arguments takes the other branch.
        rest = [value for value in values if not (isinstance(value, Scalar) and _not_given(value))]
        if rest and rest[0] is not None and all(alike(value, rest[0]) for value in rest):
            return rest[0]
    place = there[0].place
    if len(there) == len(values) and not any(value.undecided for value in there):
        arrays = [value for value in there if isinstance(value, Array)]
        if len(arrays) == len(there):
            count = min(len(array.items) for array in arrays)
            common = 0
            while common < count and len({_shown(array.items[common]) for array in arrays}) == 1:
                common += 1
            if common and common < max(len(array.items) for array in arrays) and _may_take(arrays[0].items[common - 1]):
                common -= 1
            return Array(arrays[0].items[:common], place, reason)
        if not arrays:
            joined = _begun([value for value in there if isinstance(value, Scalar)], reason)
            if joined is not None:
                return joined
    return Scalar((), place, reason)


def _not_given(value: Scalar) -> bool:
    reason = value.undecided or reason_of(value.parts)
    return reason.startswith("$") and reason.endswith(" is not given")


def _shown(parts: Sequence[Part]) -> tuple[str, str]:
    return text_of(parts), reason_of(parts)


def _begun(values: Sequence[Scalar], reason: str) -> Scalar | None:
    """Return the value that all others go on from with further words; None if there is none."""
    shortest = min(values, key=lambda value: len(text_of(value.parts)))
    text = text_of(shortest.parts)
    for value in values:
        other = text_of(value.parts)
        rest = other[len(text) :]
        if not other.startswith(text) or (rest and text.strip() and not (rest[0].isspace() or text[-1].isspace())):
            return None
    if not text.strip() or _may_take([Part(stand_for(text.split()[-1], last_text(shortest.parts)))]):
        return None
    last = last_text(shortest.parts)
    parts = (*shortest.parts, Part(stand_for(" ", last)), Part(EMPTY, reason))
    return Scalar(parts, shortest.place)


def last_text(parts: Sequence[Part]) -> Embedded:
    """Return the text of the last part that has any."""
    return next(part.text for part in reversed(parts) if part.text.text)


def _may_take(item: Sequence[Part]) -> bool:
    """Tell whether the next word may belong to a word, as the value of an option."""
    text = text_of(item)
    return text.startswith("-") and "=" not in text


def choice(evaluator: Evaluator, node: Node) -> str:
    """Run an ``if``."""
    arms: list[tuple[list[Node], list[Node]]] = []
    _collect(node, arms)
    return _arm(evaluator, arms, 0)


def _collect(node: Node, arms: list[tuple[list[Node], list[Node]]]) -> None:
    conditions: list[Node] = []
    body: list[Node] = []
    target = conditions
    rest: list[Node] = []
    for child in node.children:
        if child.type in ("then", "else"):
            target = body
        elif child.type in ("elif_clause", "else_clause"):
            rest.append(child)
        elif child.type not in ("if", "elif", "fi"):
            target.append(child)
    arms.append((conditions, body))
    for child in rest:
        _collect(child, arms)


def _arm(evaluator: Evaluator, arms: list[tuple[list[Node], list[Node]]], number: int) -> str:
    if number == len(arms):
        return ""
    conditions, body = arms[number]
    if not conditions:
        return evaluator.block(body)
    signal = evaluator.block(conditions)
    if signal:
        return signal
    outcome = evaluator.outcome
    if outcome is True:
        return _unless_it_fails(evaluator, lambda: evaluator.block(body), lambda: _arm(evaluator, arms, number + 1))
    if outcome is False:
        return _arm(evaluator, arms, number + 1)
    return undecided(evaluator, [lambda: evaluator.block(body), lambda: _arm(evaluator, arms, number + 1)])


def _unless_it_fails(evaluator: Evaluator, body: Callable[[], str], otherwise: Callable[[], str]) -> str:
    """Run a branch; one that ends the script with an error is not the one that a working deployment takes.

    What the branch asked for is set outside the file then (a token, a path), so it counts as not taken.
    """
    saved = evaluator.state.fork()
    evaluator.budget.spend(len(saved[0]))
    signal = body()
    if signal != "fail":
        return signal
    evaluator.state.restore(saved)
    return otherwise()


def chain(evaluator: Evaluator, node: Node) -> str:
    """Run ``a && b`` or ``a || b``."""
    named = [child for child in node.children if child.is_named and child.type != "comment"]
    sign = next((child.type for child in node.children if child.type in ("&&", "||")), "")
    if len(named) != 2:
        return evaluator.block(named)
    left, right = named
    signal = evaluator.statement(left)
    if signal:
        return signal
    outcome = evaluator.outcome
    if outcome is (sign == "||"):
        return ""
    if outcome is (sign == "&&") or (outcome == "ran" and sign == "&&"):
        return _unless_it_fails(evaluator, lambda: evaluator.statement(right), lambda: "")
    if outcome == "ran" and left.type == "list":
        return ""
    return undecided(evaluator, [lambda: evaluator.statement(right), lambda: ""])


def case(evaluator: Evaluator, node: Node) -> str:
    """Run a ``case``."""
    script = evaluator.script
    items = [child for child in node.children if child.type == "case_item"]
    head = []
    for child in node.children[1:]:
        if child.type == "in":
            break
        head.append(child)
    spans = script.words(head)
    value = evaluator.expander.parts(script.source, *spans[0], quoted=True) if spans else []
    known = not reason_of(value)
    if spans and depends_on_role(evaluator.expander, script.text[slice(*spans[0])]):
        known = False
    has_rest = False
    bodies: list[list[Node]] = []
    for item in items:
        choices, body = _item(evaluator, item)
        bodies.append(body)
        globs = [_glob(evaluator, span) for span in choices]
        has_rest = has_rest or any(script.text[slice(*span)] == "*" for span in choices)
        if known and None in globs:
            known = False
        if known and any(glob is not None and patterns.matches(glob, text_of(value)) for glob in globs):
            return evaluator.block(body)
    if known:
        return ""
    runs: list[Callable[[], str]] = [lambda body=body: evaluator.block(body) for body in bodies]  # type: ignore[misc]
    return undecided(evaluator, runs if has_rest else [*runs, lambda: ""])


def _item(evaluator: Evaluator, item: Node) -> tuple[list[Span], list[Node]]:
    choices: list[Span] = []
    current: list[Node] = []
    for number, child in enumerate(item.children):
        if child.type in ("|", ")"):
            choices += evaluator.script.words(current)
            current = []
            if child.type == ")":
                return choices, list(item.children[number + 1 :])
        elif child.type != "(":
            current.append(child)
    return choices, []


def _glob(evaluator: Evaluator, span: Span) -> list[patterns.Glob] | None:
    evaluator.budget.spend(span[1] - span[0])
    parts = evaluator.expander.parts(evaluator.script.source, *span)
    if reason_of(parts):
        return None
    return patterns.compiled([(part.text.text, part.quoted) for part in parts if part is not None])
