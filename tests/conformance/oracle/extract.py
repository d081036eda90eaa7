"""Statements out of the middle of vLLM's functions, for checks that stand where the function itself cannot be run."""

from __future__ import annotations

import ast
import inspect
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def statements(function: Any, *, first: str | None = None, last: str | None = None) -> Callable[..., None]:
    """Return what runs the statements of ``function`` that hold ``first`` (those alone), or all up to one with ``last``.

    They run with the names of the function's module and those that are given. Line numbers stay those of the file, so
    that an error is reported where vLLM has it.
    """
    module = sys.modules[function.__module__]
    path = inspect.getsourcefile(function)
    assert path is not None
    tree = ast.parse(inspect.getsource(module), path)
    (definition,) = (
        node
        for parent in ast.walk(tree)
        if isinstance(parent, ast.ClassDef) and parent.name == function.__qualname__.split(".")[-2]
        for node in parent.body
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__
    )
    chosen = _chosen(definition.body, first, last)
    code = compile(ast.Module(body=chosen, type_ignores=[]), path, "exec")

    def run(**names: Any) -> None:
        exec(code, {**vars(module), **names})

    return run


def _chosen(body: Sequence[ast.stmt], first: str | None, last: str | None) -> list[ast.stmt]:
    holding = [index for index, one in enumerate(body) if (first or last or "") in ast.unparse(one)]
    if not holding:
        raise ValueError(f"no statement holds {first or last}")
    if first is not None:
        return [body[holding[0]]]
    return [one for one in body[: holding[0] + 1] if not _early_return(one)]


def _early_return(statement: ast.stmt) -> bool:
    """Tell whether a statement returns: outside of a function it cannot, and what it looks for is not there yet."""
    return any(isinstance(node, ast.Return) for node in ast.walk(statement))
