"""What ``--format`` asks for: formats, each to standard output or into a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import typer

from hetpd_cli.cli.output import UnwritableError, options, write
from hetpd_cli.report import FORMATS, LINES, Repository, renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from hetpd_cli.findings import Report
    from hetpd_cli.report import Options

FLAG = "--format"
_PATHS_AS_GIVEN = ("full", "concise", "json", "jsonl", "statistics")
"""Formats that name files as the command line does; the others name them as the checkout does."""


class Output(NamedTuple):
    """A format, and the file that it is written into; None is standard output."""

    format: str
    file: str | None = None


DEFAULT = (Output("full"),)
STATISTICS = Output("statistics")


def outputs(words: Sequence[str], *, statistics: bool = False) -> tuple[Output, ...]:
    """Return what ``words`` ask for (``sarif=out.sarif``), or the default; ``statistics`` stand instead of it or last.

    Raises typer.BadParameter for what cannot be.
    """
    asked = tuple(map(_output, words))
    if statistics and STATISTICS not in asked:
        asked = (*asked, STATISTICS)
    asked = asked or DEFAULT
    files = [os.path.abspath(output.file) for output in asked if output.file is not None]  # noqa: PTH100 (paths stay text)
    twice = next((file for file in files if files.count(file) > 1), None)
    if twice is not None:
        raise typer.BadParameter(f"two reports cannot be written into {twice}", param_hint=FLAG)
    printed = [output.format for output in asked if output.file is None]
    alone = next((name for name in printed if name not in LINES), None)
    if alone is not None and len(printed) > 1:
        others = ", ".join(name for name in printed if name != alone) or alone
        raise typer.BadParameter(
            f"{alone} cannot share standard output with {others}: write {alone}=FILE", param_hint=FLAG
        )
    return asked


def _output(word: str) -> Output:
    name, equals, file = word.partition("=")
    if name not in FORMATS:
        from hetpd_cli.nearest import did_you_mean, nearest

        hint = did_you_mean(nearest(name, FORMATS)) or f": {', '.join(FORMATS)}"
        raise typer.BadParameter(f"{name or 'nothing'} is no format{hint}", param_hint=FLAG)
    if equals and not file:
        raise typer.BadParameter(f"{name}= names no file", param_hint=FLAG)
    return Output(name, None if file in ("", "-") else file)


def files_of(asked: Sequence[Output]) -> frozenset[str]:
    """Return the real paths of the files that reports are written into."""
    # No file has a NUL in its name: that it cannot be written is said when it is.
    return frozenset(os.path.realpath(file) for _, file in asked if file is not None and "\0" not in file)


def keep(read: Iterable[str | None], asked: Sequence[Output]) -> None:
    """Raise UnwritableError where a report would be written over a file that the run ``read``."""
    files = files_of(asked)
    lost = next((file for file in filter(None, read) if files and os.path.realpath(file) in files), None)
    if lost is not None:
        raise UnwritableError(f"cannot write a report into {lost}: it is read by this run")


class Printing(NamedTuple):
    """How reports are to be printed, whatever their format."""

    colour: str
    quiet: bool
    verbose: bool
    fail_on: str
    rule_source: Callable[[str], Mapping[str, Any]]


def write_all(report: Report, asked: Sequence[Output], printing: Printing) -> None:
    """Write a report in each format asked for, files first. Raises UnwritableError where one cannot be written."""
    printed = options(printing.colour, quiet=printing.quiet, verbose=printing.verbose)
    printed = printed._replace(fail_on=printing.fail_on, rule_source=printing.rule_source)
    if any(output.format not in _PATHS_AS_GIVEN for output in asked):
        printed = printed._replace(repository=repository())
    in_file = printed._replace(colour=printing.colour == "always", width=None)
    for output in asked:
        if output.file is not None:
            _store(output.file, _text(report, output, in_file))
    above = ""
    for output in asked:
        if output.file is None:
            text = _text(report, output, printed._replace(below_summary=bool(above)))
            write(f"\n{text}" if above and text else text)
            above = output.format


def _text(report: Report, output: Output, how: Options) -> str:
    return renderer(output.format).render(report, how)


def _store(file: str, text: str) -> None:
    try:
        with open(file, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:  # noqa: PTH123 (paths stay text)
            stream.write(text)
    except BrokenPipeError:
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnwritableError(f"cannot write {file}: {reason}") from None


def repository() -> Repository:
    """Return the checkout around the working directory, or that directory itself; CI's variables say its address."""
    folder = os.path.realpath(os.getcwd())  # noqa: PTH109 (paths stay text)
    root = folder
    while not os.path.lexists(os.path.join(root, ".git")):  # noqa: PTH118
        above = os.path.dirname(root)  # noqa: PTH120
        if above == root:
            root = folder
            break
        root = above
    return Repository(root, folder, _url(os.environ))


def _url(environment: Mapping[str, str]) -> str:
    """Return where the files of the revision that CI runs on can be looked at, from GitHub's or GitLab's variables."""
    server, name, sha = (environment.get(f"GITHUB_{key}", "") for key in ("SERVER_URL", "REPOSITORY", "SHA"))
    if server and name and sha:
        return f"{server}/{name}/blob/{sha}/"
    project, sha = environment.get("CI_PROJECT_URL", ""), environment.get("CI_COMMIT_SHA", "")
    return f"{project}/-/blob/{sha}/" if project and sha else ""
