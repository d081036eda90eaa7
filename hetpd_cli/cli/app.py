"""The command tree. typer parses; each command imports what it needs when it runs."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from hetpd_cli import __version__
from hetpd_cli.report import FORMATS

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    name="hetpd",
    help="Checks prefill-decode disaggregated LLM serving deployments at their boundary.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

UNDECIDED_FLAG = "--fail-on-undecided"

PrefillGpu = Annotated[
    str | None,
    typer.Option("--prefill-gpu", metavar="NAME", help="Accelerator of prefill pools, where no input states it."),
]
DecodeGpu = Annotated[str | None, typer.Option("--decode-gpu", metavar="NAME", help="Accelerator of decode pools.")]
Model = Annotated[
    str | None, typer.Option("--model", metavar="ID", help="Model, where none is stated or it is a path.")
]
Link = Annotated[str | None, typer.Option("--link", metavar="NAME", help="Link that KV takes between pools.")]
EngineVersion = Annotated[
    list[str] | None,
    typer.Option("--engine-version", metavar="VERSION", help="Version of the engines, or of one: vllm=0.24.0."),
]


class Level(StrEnum):
    """Mildest severity that fails a run."""

    error = "error"
    warning = "warning"
    info = "info"
    never = "never"


class Colour(StrEnum):
    """When to colour."""

    auto = "auto"
    always = "always"
    never = "never"


def _formats(incomplete: str) -> list[str]:
    return [name for name in FORMATS if name.startswith(incomplete)]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"hetpd {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Check prefill-decode disaggregated LLM serving deployments at their boundary."""


@app.command()
def check(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...", help="Files, directories, or - for standard input. Default: the current directory."
        ),
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT[=FILE]",
            help=f"How to print: {', '.join(FORMATS)}; with =FILE into a file. May be given several times.  "
            "[default: full]",
            autocompletion=_formats,
        ),
    ] = None,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="Count findings by rule, instead of --format or after it.")
    ] = False,
    select: Annotated[
        list[str] | None,
        typer.Option(
            "--select",
            "-s",
            metavar="RULES",
            help="Only these rules: codes, names or beginnings of codes, with commas.",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", "-i", metavar="RULES", help="All rules but these.")
    ] = None,
    fail_on: Annotated[
        Level | None, typer.Option("--fail-on", help="Mildest severity that exits with 1.  [default: error]")
    ] = None,
    fail_on_undecided: Annotated[
        list[str] | None,
        typer.Option(
            UNDECIDED_FLAG, metavar="[CELL]", help="Undecided verdicts exit with 1: all, or those of a cell (T4)."
        ),
    ] = None,
    fail_on_unresolved: Annotated[
        bool, typer.Option("--fail-on-unresolved", help="Inputs that could not be resolved exit with 1.")
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="A directory without any input is no error.")
    ] = False,
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", help="Configuration, instead of the nearest one above the inputs."),
    ] = None,
    no_config: Annotated[bool, typer.Option("--no-config", help="Read no configuration.")] = False,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="FILE", help="Suppress the findings listed there; it shrinks by itself."),
    ] = None,
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Write today's findings to the baseline, and exit with 0.")
    ] = False,
    changed_since: Annotated[
        str | None,
        typer.Option(
            "--changed-since", metavar="REV", help="Only inputs that changed since HEAD and this git revision parted."
        ),
    ] = None,
    prefill_gpu: PrefillGpu = None,
    decode_gpu: DecodeGpu = None,
    model: Model = None,
    link: Link = None,
    engine_version: EngineVersion = None,
    color: Annotated[Colour, typer.Option("--color", help="When to colour.")] = Colour.auto,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print findings only.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print all evidence and every undecided rule.")
    ] = False,
) -> None:
    """Check deployments and report what breaks between prefill and decode.

    Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 wrong usage, 3 an input missing or unreadable or a
    directory without inputs, 4 hetpd itself failed.
    """
    from hetpd_cli.cli.check import Request, run_check
    from hetpd_cli.cli.exit_codes import Gate
    from hetpd_cli.cli.outputs import outputs
    from hetpd_cli.cli.settings import Files, said

    gate = Gate(fail_on and fail_on.value, _cells(fail_on_undecided or ()), fail_on_unresolved, allow_empty)
    if config and no_config:
        raise typer.BadParameter("--config and --no-config exclude each other", param_hint="--config")
    if write_baseline and changed_since is not None:
        raise typer.BadParameter(
            "a baseline holds the findings of all inputs: leave out --changed-since", param_hint="--write-baseline"
        )
    request = Request(
        tuple(paths or ["."]),
        outputs(output or (), statistics=statistics),
        tuple(select or ()),
        tuple(ignore or ()),
        gate,
        Files(config, no_config),
        baseline,
        write_baseline,
        color.value,
        quiet,
        verbose,
        said(prefill_gpu, decode_gpu, model, link, engine_version),
        changed_since,
    )
    raise typer.Exit(run_check(request))


def _cells(words: Sequence[str]) -> tuple[str, ...]:
    from hetpd_cli.cli.exit_codes import ANY_CELL
    from hetpd_cli.findings import CELLS

    for word in words:
        if word not in (ANY_CELL, *CELLS):
            raise typer.BadParameter(f"{word} is no cell: {', '.join(CELLS)}", param_hint=UNDECIDED_FLAG)
    return tuple(words)


def _with_default_cells(arguments: Sequence[str]) -> list[str]:
    """Give the flag whose value may be left out its default: the next word looks like a cell, or the flag means any."""
    import re

    given: list[str] = []
    for index, word in enumerate(arguments):
        if word == "--":
            return [*given, *arguments[index:]]
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        cell = re.fullmatch(r"any|[A-Za-z]\d(-[A-Za-z]\d)?", following)
        given.append(f"{word}=any" if word == UNDECIDED_FLAG and cell is None else word)
    return given


def run(arguments: Sequence[str]) -> int:
    """Run the command that ``arguments`` ask for and return its exit code."""
    words = _with_default_cells(arguments)
    if words[:1] != ["check"]:
        # Each declared command takes time at every start.
        from hetpd_cli.cli import commands, completion

        if completion.VARIABLE in os.environ:
            completion.prepare()
        words = [commands.RULES_TEST, *words[2:]] if words[:2] == commands.RULES_TEST.split() else words
    try:
        code = app(args=words, prog_name="hetpd", standalone_mode=True)
    except SystemExit as stop:
        code = stop.code
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    except OSError as error:
        from hetpd_cli.cli.output import UnwritableError
        from hetpd_cli.cli.settings import refuse

        if not isinstance(error, UnwritableError):
            raise
        code = refuse(error)
    return code if isinstance(code, int) else 0
