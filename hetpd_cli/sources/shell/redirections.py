"""Where output goes, and here-documents: files that a script writes, scripts that it hands on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.sources.embedded import join
from hetpd_cli.sources.launch import Word
from hetpd_cli.sources.shell.substitution import here_document

if TYPE_CHECKING:
    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.shell.evaluation import Evaluator
    from hetpd_cli.sources.shell.syntax import Node

_WRITES = frozenset({">", ">>", "&>", "&>>", ">|"})


def redirected(evaluator: Evaluator, node: Node) -> str:
    """Run a statement with redirections."""
    bodies: list[Node] = []
    redirects: list[Node] = []
    after: list[Node] = []
    for child in node.children:
        (redirects if child.type.endswith("_redirect") else bodies).append(child)
    for child in [found for found in redirects if found.type == "heredoc_redirect"]:
        for inner in child.children:
            if inner.type == "file_redirect":
                redirects.append(inner)
            elif inner.is_named and not inner.type.startswith("heredoc_"):
                after.append(inner)
    log = next((name for name in (_target(evaluator, child) for child in redirects) if name), "")
    document = next((found for found in (_document(evaluator, child) for child in redirects) if found), None)
    first = len(evaluator.runs)
    signal = evaluator.block([child for child in bodies if child.type != "comment"])
    runs = evaluator.runs
    if log:
        runs[first:] = [run._replace(log=run.log or log) for run in runs[first:]]
    if document is not None:
        _take(evaluator, document, log, first)
    for child in after:
        evaluator.statement(child)
    return signal


def _target(evaluator: Evaluator, node: Node) -> str:
    """Return the file that a redirection of the standard output writes; empty if it does not."""
    if node.type != "file_redirect" or not node.children:
        return ""
    if node.children[0].type == "file_descriptor" and evaluator.text(node.children[0]) != "1":
        return ""
    if not any(child.type in _WRITES for child in node.children):
        return ""
    target = node.child_by_field_name("destination")
    if target is None:
        return ""
    words, _ = evaluator.expand([evaluator.script.span(target)])
    return words[0].value if words else ""


def _document(evaluator: Evaluator, node: Node) -> Embedded | None:
    if node.type != "heredoc_redirect":
        return None
    script = evaluator.script
    start = next((child for child in node.children if child.type == "heredoc_start"), None)
    end = next((child for child in node.children if child.type == "heredoc_end"), None)
    body = next((child for child in node.children if child.type == "heredoc_body"), None)
    if start is None or body is None:
        return None
    begin = script.span(body)[0]
    stop = script.span(end)[0] if end is not None else script.span(body)[1]
    expand = not set("'\"\\") & set(evaluator.text(start))
    parts = here_document(evaluator.expander, script.source, begin, stop, expand=expand)
    return join(part.text for part in parts)


def _take(evaluator: Evaluator, document: Embedded, log: str, first: int) -> None:
    from hetpd_cli.sources.shell.builtins import SHELLS, nested, program_of

    runs = evaluator.runs[first:]
    if not runs or not document.text:
        return
    words = runs[-1].launch.words
    name = program_of(words)
    if name == "cat" and log:
        evaluator.files[log] = document
    elif name == "tee":
        for word in words[1:]:
            if not word.value.startswith("-"):
                evaluator.files[word.value] = document
    elif name in SHELLS or name == "ssh":
        nested(evaluator, Word(document, words[0].place), (), {}, "")
