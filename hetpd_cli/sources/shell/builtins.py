"""Commands that the shell itself carries out, and those that start others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.sources.embedded import join
from hetpd_cli.sources.launch import Word
from hetpd_cli.sources.shell import conditions
from hetpd_cli.sources.shell.assignments import set_word
from hetpd_cli.sources.shell.values import Array, Part, Scalar, State, stand_for, word_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hetpd_cli.sources.shell.evaluation import Evaluator
    from hetpd_cli.sources.shell.syntax import Span

SHELLS = frozenset({"bash", "sh", "zsh", "dash", "ash", "ksh"})
_PREFIXES = frozenset({"nohup", "command", "builtin", "time", "setsid", "exec", "env", "sudo"})
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_WITH_VALUE = {
    "env": ("-u", "--unset", "-C", "--chdir"),
    "exec": ("-a",),
    "sudo": ("-u", "-g", "--user"),
    "time": ("-f", "-o"),
}


def program_of(words: Sequence[Word]) -> str:
    """Return the name of the program without its folder; empty if it is not known."""
    return "" if not words or words[0].unresolved else words[0].value.rpartition("/")[2]


def run(evaluator: Evaluator, words: list[Word], env: dict[str, Word], incomplete: str, span: Span) -> str:
    """Carry out a command, or note it."""
    replaces = False
    while program_of(words) in _PREFIXES and words[0].value not in evaluator.functions:
        name = program_of(words)
        replaces = replaces or name == "exec"
        rest = unwrapped(name, words[1:], env)
        if not rest:
            if name == "env":
                evaluator.launch(words, env, incomplete, span)
            return ""
        words = rest
    signal = _carried_out(evaluator, words, env, incomplete, span)
    return "exit" if replaces and not signal else signal


def unwrapped(name: str, words: list[Word], env: dict[str, Word]) -> list[Word]:
    """Return the command that a command starts; what it sets goes into ``env``."""
    at = 0
    while at < len(words):
        value = words[at].value
        if name in ("env", "sudo") and _ASSIGNMENT.match(value):
            variable = value.partition("=")[0]
            word = words[at]
            env[variable] = Word(word.text[len(variable) + 1 :], word.place, word.unresolved)
        elif not value.startswith("-"):
            break
        elif value in _WITH_VALUE.get(name, ()):
            at += 1
        at += 1
    return words[at:]


def _carried_out(evaluator: Evaluator, words: list[Word], env: dict[str, Word], incomplete: str, span: Span) -> str:
    name = program_of(words)
    if name and words[0].value in evaluator.functions:
        for variable, word in env.items():
            evaluator.state.set(variable, Scalar((Part(word.text, word.unresolved),), word.place))
        evaluator.outcome = "ran"
        return evaluator.call(words[0].value, words[1:], incomplete)
    if name == "eval":
        return _eval(evaluator, words, env, incomplete, span)
    if name in SHELLS:
        found = script_of(words)
        if found is not None and (not found[0].unresolved or found[0].value.strip('${}@*"') not in found[0].unresolved):
            nested(evaluator, found[0], found[1], env, incomplete)
            return ""
    builtin = BUILTINS.get(name)
    if builtin is None:
        evaluator.launch(words, env, incomplete, span)
        return ""
    evaluator.outcome = "ran"
    return builtin(evaluator, words[1:], incomplete)


def script_of(words: Sequence[Word]) -> tuple[Word, Sequence[Word]] | None:
    """Return the script of a ``bash -c`` and its arguments, ``$0`` first; None if it has none."""
    at = 1
    given = False
    while at < len(words):
        value = words[at].value
        if not value.startswith(("-", "+")) or value == "-":
            break
        given = given or (not value.startswith("--") and "c" in value)
        at += 2 if value in ("-o", "+o", "-O", "+O", "--rcfile", "--init-file") or re.fullmatch(r"-\w*o", value) else 1
    return (words[at], words[at + 1 :]) if given and at < len(words) else None


def nested(
    evaluator: Evaluator, script: Word, arguments: Sequence[Word], env: dict[str, Word], incomplete: str
) -> None:
    """Read the script of a ``bash -c``."""
    everything = {**evaluator.state.environment(), **env}
    evaluator.budget.spend(len(everything))
    state = State(everything, None if incomplete else arguments[1:])
    inner = type(evaluator)(state, evaluator.budget, evaluator)
    inner.called = list(evaluator.called)
    inner.read(script.text)
    evaluator.outcome = "ran"


def _eval(evaluator: Evaluator, words: list[Word], env: dict[str, Word], incomplete: str, span: Span) -> str:
    known = [word for word in words[1:] if word.value]
    if not known or (len(known) == 1 and known[0].unresolved and " " not in known[0].value):
        evaluator.launch(words, env, incomplete, span)
        return ""
    texts = []
    for number, word in enumerate(known):
        if number:
            texts.append(stand_for(" ", word.text))
        texts.append(word.text)
    return evaluator.read(join(texts))


def _set(evaluator: Evaluator, words: list[Word], incomplete: str) -> str:
    values = [word.value for word in words]
    if "--" in values:
        rest = words[values.index("--") + 1 :]
    elif values and not values[0].startswith(("-", "+")):
        rest = words
    else:
        return ""
    evaluator.state.arguments = None if incomplete else [(Part(word.text, word.unresolved),) for word in rest]
    return ""


def _shift(evaluator: Evaluator, words: list[Word], incomplete: str) -> str:
    arguments = evaluator.state.arguments
    if arguments is not None:
        count = int(words[0].value) if words and re.fullmatch(r"\d{1,6}", words[0].value) else 1
        evaluator.state.arguments = arguments[count:] if count <= len(arguments) else arguments
    return ""


def _exit(evaluator: Evaluator, words: list[Word], incomplete: str) -> str:
    return "exit" if not words or words[0].value == "0" else "fail"


def _signal(name: str) -> Callable[[Evaluator, list[Word], str], str]:
    return lambda evaluator, words, incomplete: name


def _outcome(outcome: bool) -> Callable[[Evaluator, list[Word], str], str]:
    def carry_out(evaluator: Evaluator, words: list[Word], incomplete: str) -> str:
        evaluator.outcome = outcome
        return ""

    return carry_out


def _test(evaluator: Evaluator, words: list[Word], incomplete: str) -> str:
    evaluator.outcome = None if incomplete else conditions.test_words(evaluator.expander, words)
    return ""


def _reads(evaluator: Evaluator, words: list[Word], incomplete: str) -> str:
    for word in words:
        if word.value.isidentifier():
            evaluator.state.set(word.value, Scalar((), word.place, f"${word.value} is read when the script runs"))
    evaluator.outcome = None
    return ""


def read_string(evaluator: Evaluator, words: Sequence[Word], env: Mapping[str, Word], given: Word) -> bool:
    """Carry out ``read NAME.. <<< given``; False if that cannot be done.

    With ``-a`` the name is an array of all fields, else each name takes one, the last one what is left.
    """
    options = [word.value for word in words if word.value.startswith("-")]
    names = [word.value for word in words if not word.value.startswith("-")]
    separators = env.get("IFS") or word_of(evaluator.state.variables.get("IFS", Scalar((), given.place)))
    if given.unresolved or separators.unresolved or not all(re.fullmatch(r"-[ra]+", option) for option in options):
        return False
    if not names or not all(name.isidentifier() for name in names):
        return False
    evaluator.budget.spend(len(given.value))
    signs = separators.value if "IFS" in env or separators.value else " \t\n"
    fields = [found.span() for found in re.finditer(f"[^{re.escape(signs)}]+", given.value)] if signs else []
    fields = fields or [(0, len(given.value))]
    if any("a" in option for option in options):
        items = tuple((Part(given.text[start:end]),) for start, end in fields)
        evaluator.state.set(names[0], Array(items if given.value else (), given.place))
    else:
        for number, name in enumerate(names):
            start, end = fields[number] if number < len(fields) else (0, 0)
            if number == len(names) - 1 and number < len(fields):
                end = fields[-1][1]
            evaluator.state.set(name, Scalar((Part(given.text[start:end]),) if end else (), given.place))
    evaluator.outcome = "ran"
    return True


def _export(evaluator: Evaluator, words: list[Word], incomplete: str) -> str:
    for word in words:
        name = set_word(evaluator, word)
        if name:
            evaluator.state.export(name)
    return ""


def _unset(evaluator: Evaluator, words: list[Word], incomplete: str) -> str:
    for word in words:
        evaluator.state.unset(word.value)
    return ""


def _nothing(evaluator: Evaluator, words: list[Word], incomplete: str) -> str:
    return ""


BUILTINS: dict[str, Callable[[Evaluator, list[Word], str], str]] = {
    ":": _outcome(True),
    "break": _signal("break"),
    "continue": _signal("continue"),
    "exit": _exit,
    "export": _export,
    "false": _outcome(False),
    "getopts": _reads,
    "mapfile": _reads,
    "read": _reads,
    "readarray": _reads,
    "return": _signal("return"),
    "set": _set,
    "shift": _shift,
    "shopt": _nothing,
    "test": _test,
    "trap": _nothing,
    "true": _outcome(True),
    "unset": _unset,
}
