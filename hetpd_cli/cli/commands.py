"""The commands around the catalogue. Declared apart from ``check``, whose start they would lengthen."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from hetpd_cli.cli.app import Colour, DecodeGpu, EngineVersion, Link, Model, PrefillGpu, app
from hetpd_cli.findings import CELLS, SEVERITIES

RULES_TEST = "rules test"
"""Name of the command behind the two words: `rules` itself takes words of its own."""

Paint = Annotated[Colour, typer.Option("--color", help="When to colour.")]
Config = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="Configuration, instead of the nearest one above the input."),
]
NoConfig = Annotated[bool, typer.Option("--no-config", help="Read no configuration.")]


class Form(StrEnum):
    """How to print."""

    text = "text"
    json = "json"


class PageForm(StrEnum):
    """How to print a page."""

    text = "text"
    markdown = "markdown"


class Shell(StrEnum):
    """A shell that completes."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def _rule_names(incomplete: str) -> list[str]:
    """Return codes and names that begin with what is typed."""
    from hetpd_cli.engine.catalogue import catalogue

    words = [word for rule in catalogue() for word in (rule.code, rule.name)]
    return [word for word in words if word.startswith(incomplete)]


def _listed_words(incomplete: str) -> list[str]:
    return [*(["test"] if "test".startswith(incomplete) else []), *_rule_names(incomplete)]


def _schema_names(incomplete: str) -> list[str]:
    from hetpd_cli.resources import schema_names

    return [name for name in schema_names() if name.startswith(incomplete)]


@app.command()
def rules(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORDS]...",
            help="Codes, names or beginnings of codes. Default: all.",
            autocompletion=_listed_words,
        ),
    ] = None,
    cell: Annotated[str | None, typer.Option("--cell", help=f"Only this cell: {', '.join(CELLS)}.")] = None,
    severity: Annotated[
        str | None, typer.Option("--severity", help=f"Only this severity: {', '.join(SEVERITIES)}.")
    ] = None,
    family: Annotated[str | None, typer.Option("--family", help="Only this family: 2, 2xx or representation.")] = None,
    decision: Annotated[
        str | None, typer.Option("--decision", help="Only this decision: placement, representation, ownership.")
    ] = None,
    output: Annotated[Form, typer.Option("--format", "-f", help="How to print.")] = Form.text,
    color: Paint = Colour.auto,
    config: Config = None,
    no_config: NoConfig = False,
) -> None:
    """List the rules. `hetpd rules test DIR` runs the examples of rules.

    Exit codes: 0 listed, 2 a word or filter that names nothing.
    """
    from hetpd_cli.cli.rules import Filter, run_rules
    from hetpd_cli.cli.settings import Files

    asked = Filter(tuple(words or ()), cell, severity, family, decision)
    raise typer.Exit(run_rules(asked, output.value, color.value, files=Files(config, no_config)))


@app.command(RULES_TEST)
def rules_test(
    folder: Annotated[
        str | None, typer.Argument(metavar="[DIR]", help="A folder of rules, or a file. Default: the built-in ones.")
    ] = None,
    color: Paint = Colour.auto,
) -> None:
    """Run the examples of the rules in a folder.

    Exit codes: 0 all do what they are there for, 1 some do not or a file is no rule, 3 no such folder or no rule in
    it.
    """
    from hetpd_cli.cli.rules import run_rules_test

    raise typer.Exit(run_rules_test(folder, color.value))


@app.command()
def explain(
    word: Annotated[str, typer.Argument(metavar="RULE", help="A code or a name.", autocompletion=_rule_names)],
    output: Annotated[PageForm, typer.Option("--format", "-f", help="How to print.")] = PageForm.text,
    color: Paint = Colour.auto,
    config: Config = None,
    no_config: NoConfig = False,
) -> None:
    """Print the page of a rule: what it finds, why, the fix, the evidence, examples.

    Exit codes: 0 printed, 2 a word that names no rule.
    """
    from hetpd_cli.cli.explain import run_explain
    from hetpd_cli.cli.settings import Files

    raise typer.Exit(run_explain(word, output.value, color.value, files=Files(config, no_config)))


@app.command()
def facts(
    path: Annotated[str, typer.Argument(metavar="FILE", help="A deployment file, or - for standard input.")],
    globs: Annotated[
        list[str] | None,
        typer.Option("--fact", metavar="GLOB", help="Only these facts: kv.*, decode.connector.*, handoff.*."),
    ] = None,
    unknown: Annotated[bool, typer.Option("--all", "-a", help="Say of unknown facts why they are.")] = False,
    output: Annotated[Form, typer.Option("--format", "-f", help="How to print.")] = Form.text,
    color: Paint = Colour.auto,
    config: Config = None,
    no_config: NoConfig = False,
    prefill_gpu: PrefillGpu = None,
    decode_gpu: DecodeGpu = None,
    model: Model = None,
    link: Link = None,
    engine_version: EngineVersion = None,
) -> None:
    """Print every fact of a deployment with its origin: stated, default, looked up, derived or unknown.

    Exit codes: 0 printed, 2 a glob that names no fact, 3 the input is missing, unreadable or no deployment.
    """
    from hetpd_cli.cli.facts import run_facts
    from hetpd_cli.cli.settings import Files, said

    more = said(prefill_gpu, decode_gpu, model, link, engine_version)
    files = Files(config, no_config)
    raise typer.Exit(
        run_facts(path, tuple(globs or ()), output.value, color.value, unknown=unknown, files=files, more=more)
    )


@app.command()
def contract(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, directories, or - for standard input.")],
    output: Annotated[Form, typer.Option("--format", "-f", help="How to print.")] = Form.text,
    color: Paint = Colour.auto,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print every entry, and every fact that would settle a verdict.")
    ] = False,
    config: Config = None,
    no_config: NoConfig = False,
    prefill_gpu: PrefillGpu = None,
    decode_gpu: DecodeGpu = None,
    model: Model = None,
    link: Link = None,
    engine_version: EngineVersion = None,
) -> None:
    """Show the KV object of each boundary, and whether its state is portable.

    Exit codes: 0 every state crosses or is undecided, 1 an invariant differs or a needed change is known to be
    missing, 2 wrong usage, 3 an input missing or unreadable or a directory without inputs, 4 hetpd itself failed.
    """
    from hetpd_cli.cli.contract import Request, run_contract
    from hetpd_cli.cli.settings import Files, said

    more = said(prefill_gpu, decode_gpu, model, link, engine_version)
    request = Request(tuple(paths), output.value, color.value, verbose, more)
    raise typer.Exit(run_contract(request, Files(config, no_config)))


@app.command()
def schema(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="A schema. Default: list them.", autocompletion=_schema_names),
    ] = None,
) -> None:
    """Print a JSON Schema, for editors and programs.

    Exit codes: 0 printed, 2 a name that no schema has.
    """
    from hetpd_cli.cli.schema import run_schema

    raise typer.Exit(run_schema(name))


@app.command()
def init(
    path: Annotated[
        str, typer.Argument(metavar="[FILE]", help="Where to write; - is standard output.", show_default=True)
    ] = "deploy.yaml",
    example: Annotated[str | None, typer.Option("--from", metavar="EXAMPLE", help="Write this example.")] = None,
    listed: Annotated[bool, typer.Option("--list", "-l", help="List the examples and exit.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write a deployment file to start from.

    Exit codes: 0 written, 2 the file exists or cannot be written, or there is no such example.
    """
    from hetpd_cli.cli.init import run_init, run_list

    raise typer.Exit(run_list() if listed else run_init(path, example, force=force))


@app.command()
def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print the script by which a shell completes hetpd's words.

    For bash: `source <(hetpd completion bash)` in ~/.bashrc.
    """
    from hetpd_cli.cli.completion import run_completion

    raise typer.Exit(run_completion(shell.value))


@app.command()
def doctor() -> None:
    """Print what a report of a bug needs, and test hetpd itself.

    Exit codes: 0 all is well, 1 something is broken.
    """
    from hetpd_cli.cli.doctor import run_doctor

    raise typer.Exit(run_doctor())
