"""Runs through a script: keeps variables, decides branches where it can, and notes every command."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.launch import Launch, Word
from hetpd_cli.sources.shell import branches, builtins, conditions, loops
from hetpd_cli.sources.shell.assignments import assign, declare, prefix_word
from hetpd_cli.sources.shell.expansion import Expander
from hetpd_cli.sources.shell.redirections import redirected
from hetpd_cli.sources.shell.syntax import LONGEST_SCRIPT, Script
from hetpd_cli.sources.shell.values import DEPTH, Part, State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.shell.syntax import Node, Span
    from hetpd_cli.sources.shell.values import Budget

GO_ON, EXIT, FAIL, RETURN, BREAK, CONTINUE = "", "exit", "fail", "return", "break", "continue"
"""How a statement ends; ``fail`` is an exit with an error, which a deployment that works does not come to."""

STATEMENT_COST = 40
"""Characters that take as long to look at as a statement does to run."""

COMMENTS = 8
"""Comments that are kept for the next command."""

RAN = "ran"
"""The outcome of a command: not known, and success if anything is to follow."""

Outcome = bool | str | None


class Run(NamedTuple):
    """A command with what stands around it.

    ``log`` is where its output goes; ``comment`` is what stands right above it and, line by line, above what it is
    in; ``before`` holds the other comments since the last command, the latest first;
    ``said`` what the script printed last. ``container`` names what it runs in,
    ``gpus`` how many devices that has; ``variable`` whose value the command is written in. ``branch`` tells apart the
    commands of branches of which one is taken, and nobody knows which.
    """

    launch: Launch
    log: str = ""
    function: str = ""
    comment: str = ""
    said: str = ""
    container: str = ""
    image: Word | None = None
    gpus: tuple[Word, int] | None = None
    before: tuple[str, ...] = ()
    variable: str = ""
    branch: str = ""


class Evaluator:
    """Reads one script, and those that it contains."""

    def __init__(self, state: State, budget: Budget, parent: Evaluator | None = None) -> None:
        self.state = state
        self.budget = budget
        self.expander = Expander(state, budget)
        self.runs: list[Run] = parent.runs if parent else []
        self.files: dict[str, Embedded] = parent.files if parent else {}
        self.depth: int = parent.depth + 1 if parent else 0
        self.functions: dict[str, tuple[Script, Node]] = {}
        self.called: list[str] = []
        self.script: Script
        self.outcome: Outcome = RAN
        self.said = ""
        self.before: list[str] = []
        self.comment: str = parent.comment if parent else ""

    def read(self, source: Embedded) -> str:
        """Read a script in the present state."""
        if self.depth >= DEPTH or len(source.text) > LONGEST_SCRIPT or not source.text:
            return GO_ON
        self.budget.spend(len(source.text))
        outer = getattr(self, "script", None)
        self.depth += 1
        self.script = Script(source)
        try:
            return self.block(self.script.root.children, outermost=True)
        finally:
            self.depth -= 1
            if outer is not None:
                self.script = outer

    def block(self, nodes: Sequence[Node], *, outermost: bool = False) -> str:
        """Run statements one after another."""
        last_comment: Node = None
        around = self.comment
        for number, node in enumerate(nodes):
            if node.type == "comment":
                self.before = [self.text(node), *self.before[: COMMENTS - 1]]
                follows = last_comment is not None and last_comment.end_point[0] + 1 == node.start_point[0]
                own = (self.comment.partition("\n")[0] + " " if follows else "") + self.text(node)
                self.comment = f"{own}\n{around}" if around else own
                last_comment = node
                continue
            if not node.is_named:
                continue
            if last_comment is not None and last_comment.end_point[0] + 1 < node.start_point[0]:
                self.comment = around
            signal = self.statement(node)
            self.comment, last_comment = around, None
            following = nodes[number + 1].type if number + 1 < len(nodes) else ""
            if following == "&":
                self.outcome = RAN
                continue
            if signal and not (outermost and signal in (FAIL, BREAK, CONTINUE)):
                return signal
        return GO_ON

    def statement(self, node: Node) -> str:
        """Run one statement, and tell how it ends."""
        self.budget.spend(STATEMENT_COST)
        run = STATEMENTS.get(node.type)
        if run is None or self.depth > DEPTH * 4:
            return GO_ON
        self.depth += 1
        try:
            return run(self, node)
        finally:
            self.depth -= 1

    def text(self, node: Node) -> str:
        """Return a node as written."""
        start, end = self.script.span(node)
        return self.script.text[start:end]

    def expand(self, spans: Sequence[Span]) -> tuple[list[Word], str]:
        """Return the words that the ``spans`` of the script become, and why there may be others."""
        words: list[Word] = []
        incomplete = ""
        for start, end in spans:
            fields, missing = self.expander.words(self.script.source, start, end)
            incomplete = incomplete or missing
            for field in fields:
                if field.several and not _is_one(words, field.word.value):
                    incomplete = incomplete or field.several
                words.append(field.word)
        return words, incomplete

    def launch(self, words: Sequence[Word], env: dict[str, Word], incomplete: str, span: Span) -> None:
        """Note a command."""
        if any(word.value in ("...", "…") for word in words):
            incomplete = incomplete or "... stands for further arguments"
        self.budget.spend(len(self.state.exported) * 4 + len(env) * 4 + len(words) * 8)
        everything = self.state.environment()
        found = Launch(
            tuple(words), {**everything, **env} if env else everything, self.script.source.place(*span), incomplete
        )
        if words[0].value == "echo":
            self.said = " ".join(word.value for word in words[1:])
        function = self.called[-1] if self.called else ""
        self.runs.append(Run(found, function=function, comment=self.comment, said=self.said, before=tuple(self.before)))
        self.before = []
        self.outcome = RAN

    def call(self, name: str, words: Sequence[Word], incomplete: str) -> str:
        """Run a function."""
        if len(self.called) >= DEPTH // 2:
            return GO_ON
        self.budget.spend(STATEMENT_COST * 10)
        script, body = self.functions[name]
        outer, arguments = self.script, self.state.arguments
        self.script = script
        self.state.arguments = None if incomplete else [(Part(word.text, word.unresolved),) for word in words]
        self.state.frames.append({})
        self.called.append(name)
        try:
            signal = self.statement(body)
        finally:
            self.called.pop()
            self.state.end_call()
            self.script, self.state.arguments = outer, arguments
        return GO_ON if signal in (RETURN, BREAK, CONTINUE) else signal


_SEVERAL = ("ARG", "OPT", "FLAG", "EXTRA", "PARAM", "CMD", "COMMAND", "@", "*")


def _is_one(words: Sequence[Word], written: str) -> bool:
    """Tell whether an unknown word without quotes is one argument by what stands before it and by its name."""
    if not words or any(sign in written.upper() for sign in _SEVERAL):
        return False
    before = words[-1].value
    return before in ("serve", "-m", "-p", "-n") or (before.startswith("--") and "=" not in before)


def _assignments(evaluator: Evaluator, node: Node) -> str:
    for child in node.children:
        if child.type == "variable_assignment":
            assign(evaluator, child)
    evaluator.outcome = True
    return GO_ON


def _assignment(evaluator: Evaluator, node: Node) -> str:
    assign(evaluator, node)
    evaluator.outcome = True
    return GO_ON


def _declaration(evaluator: Evaluator, node: Node) -> str:
    declare(evaluator, node)
    evaluator.outcome = True
    return GO_ON


def _unset(evaluator: Evaluator, node: Node) -> str:
    for child in node.children[1:]:
        evaluator.state.unset(evaluator.text(child))
    return GO_ON


_NOT_WORDS = frozenset({"herestring_redirect", "file_redirect", "heredoc_redirect", "comment", "subshell"})


def _command(evaluator: Evaluator, node: Node) -> str:
    script = evaluator.script
    before: list[Node] = []
    rest: list[Node] = []
    broken = ""
    for child in node.children:
        if child.type == "variable_assignment" and not rest:
            before.append(child)
        elif child.type == "ERROR":
            broken = "a part of the command cannot be read"
        elif child.type not in _NOT_WORDS:
            rest.append(child)
    torn = _torn(script, before, rest)
    spans = script.words(rest)
    if not spans:
        return _assignments(evaluator, node)
    before = _own_lines(evaluator, before, spans[0][0])
    span = (spans[0][0], spans[-1][1])
    if script.text[slice(*spans[0])] in ("[", "[["):
        evaluator.outcome = conditions.test(evaluator.expander, script.source, *span)
        return GO_ON
    words, incomplete = evaluator.expand(spans)
    env: dict[str, Word] = {}
    for child in before:
        prefix_word(evaluator, child, env)
    if torn is not None:
        for word in evaluator.expand([torn])[0]:
            name, sign, _ = word.value.partition("=")
            env[name] = word._replace(text=word.text[len(name + sign) :])
    if not words:
        return GO_ON
    if builtins.program_of(words) == "read":
        string = next((child for child in node.children if child.type == "herestring_redirect"), None)
        given = [] if string is None else evaluator.expand([script.span(string.children[-1])])[0]
        if len(given) == 1 and builtins.read_string(evaluator, words[1:], env, given[0]):
            return GO_ON
    return builtins.run(evaluator, words, env, incomplete or broken, span)


def _torn(script: Script, before: list[Node], rest: list[Node]) -> tuple[int, int] | None:
    """Return an assignment before a command whose value the parser has torn in two, and take it out of both."""
    if not before or not rest or script.span(before[-1])[1] != script.span(rest[0])[0]:
        return None
    start, end = script.span(before.pop())
    while rest and script.span(rest[0])[0] == end:
        end = script.span(rest.pop(0))[1]
    return start, end


def _own_lines(evaluator: Evaluator, before: list[Node], start: int) -> list[Node]:
    """Run assignments that end with their line, which the parser takes for a part of the next command."""
    text = evaluator.script.text
    for number in range(len(before), 0, -1):
        begin = evaluator.script.span(before[number - 1])[1]
        end = start if number == len(before) else evaluator.script.span(before[number])[0]
        if "\n" in text[begin:end].replace("\\\n", ""):
            for child in before[:number]:
                assign(evaluator, child)
            return before[number:]
    return before


def _test(evaluator: Evaluator, node: Node) -> str:
    start, end = evaluator.script.span(node)
    evaluator.outcome = conditions.test(evaluator.expander, evaluator.script.source, start, end)
    return GO_ON


def _negated(evaluator: Evaluator, node: Node) -> str:
    signal = evaluator.block(node.children)
    outcome = evaluator.outcome
    evaluator.outcome = (not outcome) if isinstance(outcome, bool) else None
    return signal


def _compound(evaluator: Evaluator, node: Node) -> str:
    if node.children and node.children[0].type == "((":
        return _test(evaluator, node)
    return evaluator.block(node.children)


def _subshell(evaluator: Evaluator, node: Node) -> str:
    saved = evaluator.state.fork()
    evaluator.budget.spend(len(saved[0]))
    evaluator.block(node.children)
    evaluator.state.restore(saved)
    return GO_ON


def _pipeline(evaluator: Evaluator, node: Node) -> str:
    first = len(evaluator.runs)
    for child in node.children:
        if child.is_named:
            saved = evaluator.state.fork()
            evaluator.budget.spend(len(saved[0]))
            evaluator.statement(child)
            evaluator.state.restore(saved)
    runs = evaluator.runs
    for number in range(first, len(runs)):
        words = runs[number].launch.words
        if words[0].value == "tee":
            log = next((word.value for word in words[1:] if not word.value.startswith("-")), "")
            runs[first:number] = [run._replace(log=run.log or log) for run in runs[first:number]]
    evaluator.outcome = RAN
    return GO_ON


def _function(evaluator: Evaluator, node: Node) -> str:
    name = node.child_by_field_name("name")
    body = node.child_by_field_name("body")
    if name is not None and body is not None:
        evaluator.functions[evaluator.text(name)] = (evaluator.script, body)
    return GO_ON


def _all(evaluator: Evaluator, node: Node) -> str:
    return evaluator.block(node.children)


STATEMENTS: dict[str, Callable[[Evaluator, Node], str]] = {
    "ERROR": _all,
    "c_style_for_statement": loops.counting,
    "case_statement": branches.case,
    "command": _command,
    "compound_statement": _compound,
    "declaration_command": _declaration,
    "do_group": _all,
    "for_statement": loops.over_words,
    "function_definition": _function,
    "if_statement": branches.choice,
    "list": branches.chain,
    "negated_command": _negated,
    "pipeline": _pipeline,
    "program": _all,
    "redirected_statement": redirected,
    "subshell": _subshell,
    "test_command": _test,
    "unset_command": _unset,
    "variable_assignment": _assignment,
    "variable_assignments": _assignments,
    "while_statement": loops.while_true,
}
