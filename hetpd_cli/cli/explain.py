"""``hetpd explain``: the page of one rule."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetpd_cli.cli.exit_codes import OK, USAGE
from hetpd_cli.cli.output import options, write
from hetpd_cli.cli.settings import NEAREST, Files, refuse
from hetpd_cli.configuration.read import ConfigurationError
from hetpd_cli.configuration.rules import nearest_rule, rule_called
from hetpd_cli.configuration.setup import set_up
from hetpd_cli.engine.catalogue import load_rule, rule_files
from hetpd_cli.nearest import did_you_mean
from hetpd_cli.report.style import inert
from hetpd_cli.resources import rules_dir

if TYPE_CHECKING:
    from hetpd_cli.engine.catalogue import Rule


def run_explain(word: str, form: str, colour: str, files: Files = NEAREST) -> int:
    """Print the page of the rule that ``word`` names and return the exit code."""
    from hetpd_cli.report import rule_page

    try:
        rules = set_up((), files.config, no_config=files.no_config).rules
    except ConfigurationError as error:
        return refuse(error)
    rule = rule_called(word.strip(), rules)
    if rule is None:
        hint = did_you_mean(nearest_rule(word, rules)) or "; `hetpd rules` lists them"
        sys.stderr.write(f"hetpd: {inert(word)} names no rule{hint}\n")
        return USAGE
    blocks = rule_page.page(rule_source(rule))
    how = options(colour, quiet=False, verbose=False)
    write(rule_page.markdown(blocks) if form == "markdown" else rule_page.terminal(blocks, how))
    return OK


def rule_source(rule: Rule) -> dict[str, Any]:
    """Return the content of a rule's file, severity and thresholds as configured.

    The compiled rule has neither its examples nor its expressions.
    """
    if rule.file is not None:
        from hetpd_cli.engine.custom_rules import read_rule

        raw = read_rule(Path(rule.file)).raw
    else:
        name = f"{rule.code}-{rule.name}.yaml"
        raw = load_rule(next(path for path in rule_files(rules_dir()) if path.name == name))
    raw.update({key: rule.data[key] for key in ("severity", "severity_source", "parameters") if key in rule.data})
    return raw
