"""``hetpd doctor``: what a report of a bug needs, and whether hetpd itself works."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from hetpd_cli import __version__, resources
from hetpd_cli.cli.exit_codes import FINDINGS, OK
from hetpd_cli.cli.output import terminal_width, wants_colour, write
from hetpd_cli.report.style import finish, prose

if TYPE_CHECKING:
    from collections.abc import Callable

DEPENDENCIES = ("typer", "PyYAML", "rich", "jsonschema", "networkx", "numpy", "packaging")

TINY = """\
hetpd: 1
defaults: {connector: nixl}
pools:
  - {name: p, role: prefill, kv: {dtype: fp16}}
  - {name: d, role: decode, kv: {dtype: bf16}}
"""
"""A deployment that breaks HPD201, and no other rule."""


class BrokenError(Exception):
    """Something of hetpd does not work."""


def run_doctor() -> int:
    """Print a line for each thing that was looked at and return 1 if one is broken."""
    broken = 0
    lines = []
    for name, look in CHECKS.items():
        try:
            said = look()
        except Exception as error:
            broken += 1
            kind = "" if isinstance(error, BrokenError) else f"{type(error).__name__}: "
            said = f"BROKEN: {kind}{error}"
        lines.append(f"{name:<13} {prose(said)}")
    lines.append(f"{'verdict':<13} {f'{broken} broken' if broken else 'ok'}")
    write(finish(lines))
    return FINDINGS if broken else OK


def _python() -> str:
    import platform

    return f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"


def _dependencies() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found, missing = [], []
    for name in DEPENDENCIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        raise BrokenError(f"not installed: {', '.join(missing)}; found {', '.join(found)}")
    return ", ".join(found)


def _installation() -> str:
    kind = "wheel" if resources.INSTALLED else "checkout"
    wanted = {
        "rules": resources.rules_dir(),
        "schemas": resources.schema_path("rule").parent,
        "examples": resources.examples_dir(),
        "tables": resources.table_path("models").parent,
    }
    missing = [f"{name} ({folder})" for name, folder in wanted.items() if not folder.is_dir()]
    if missing:
        raise BrokenError(f"{kind} without {', '.join(missing)}")
    return f"{kind}; rules in {wanted['rules']}, schemas in {wanted['schemas']}, tables in {wanted['tables']}"


def _catalogue() -> str:
    """Say whether the compiled catalogue is used as it is; this is asked before anything makes it anew."""
    from hetpd_cli.engine.catalogue import catalogue_sources

    state = resources.compiled_state("catalogue", catalogue_sources())
    folder = resources.COMPILED
    writable = os.access(folder if folder.exists() else folder.parent, os.W_OK)
    if resources.INSTALLED and state != "fresh":
        raise BrokenError(f"the compiled catalogue in {folder} is {state}: install hetpd again")
    how = "" if state == "fresh" else ", is made anew" if writable else ", cannot be written: compiled at every run"
    return f"{state} in {folder}, {'writable' if writable else 'not writable'}{how}"


def _rules() -> str:
    from collections import Counter

    from hetpd_cli.engine.catalogue import catalogue
    from hetpd_cli.families import family_of

    counts = Counter(family_of(rule.code) for rule in catalogue())
    return f"{counts.total()}: " + ", ".join(f"{count} {family}" for family, count in counts.items())


def _tables() -> str:
    from hetpd_cli.compile import table_sizes

    return ", ".join(f"{rows} {name}" for name, rows in table_sizes().items())


def _yaml() -> str:
    import yaml

    with_libyaml = getattr(yaml, "__with_libyaml__", False)
    return "libyaml" if with_libyaml else "pure Python: correct, but several times slower"


def _terminal() -> str:
    stream = sys.stdout
    width = terminal_width()
    encoding = getattr(stream, "encoding", None)
    colour = "colour" if wants_colour("auto") else "no colour"
    set_variables = [name for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS") if os.environ.get(name)]
    given = ", ".join(f"{name}={os.environ[name]}" for name in set_variables)
    columns = f"{width} columns" if width else "no terminal"
    return f"{columns}, {colour}, {encoding}" + (f"; {given}" if given else "")


def _configuration() -> str:
    """Say which configuration holds in this folder, and what it brings along."""
    from hetpd_cli.configuration.read import ConfigurationError
    from hetpd_cli.configuration.setup import set_up

    try:
        configuration, rules = set_up(())
    except ConfigurationError as error:
        raise BrokenError("; ".join(error.faults)) from None
    if configuration.path is None:
        return "none for this folder"
    own = sum(rule.file is not None for rule in rules)
    return f"{configuration.path}, with {own} rules of its own and {len(configuration.assume)} assumptions"


def _self_test() -> str:
    from hetpd_cli.engine.catalogue import catalogue, compile_rule, load_rule, rule_files
    from hetpd_cli.rule_examples import report_on

    for path in rule_files(resources.rules_dir()):
        compile_rule(load_rule(path))
    found = [finding.code for finding in report_on(TINY, catalogue()).findings]
    if found != ["HPD201"]:
        raise BrokenError(f"a deployment that breaks HPD201 gives {', '.join(found) or 'nothing'}")
    return "ok: rules compile, and a deployment is judged as it should be"


CHECKS: dict[str, Callable[[], str]] = {
    "hetpd": lambda: __version__,
    "python": _python,
    "dependencies": _dependencies,
    "installation": _installation,
    "catalogue": _catalogue,
    "rules": _rules,
    "tables": _tables,
    "yaml": _yaml,
    "terminal": _terminal,
    "configuration": _configuration,
    "self test": _self_test,
}
"""What is looked at, in order; each says what it found or raises."""
