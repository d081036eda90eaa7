"""``hetpd explain``: the page of one rule."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from hetpd_cli.cli.exit_codes import OK, USAGE
from hetpd_cli.cli.output import options, write
from hetpd_cli.engine.catalogue import catalogue, load_rule, rule_files
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.report.style import inert
from hetpd_cli.resources import rules_dir

if TYPE_CHECKING:
    from hetpd_cli.engine.catalogue import Rule


def run_explain(word: str, form: str, colour: str) -> int:
    """Print the page of the rule that ``word`` names and return the exit code."""
    from hetpd_cli.report import rule_page

    rule = rule_named(word)
    if rule is None:
        guess = nearest(word, [name for one in catalogue() for name in (one.name, one.code)])
        hint = did_you_mean(guess) or "; `hetpd rules` lists them"
        sys.stderr.write(f"hetpd: {inert(word)} names no rule{hint}\n")
        return USAGE
    blocks = rule_page.page(rule_source(rule))
    how = options(colour, quiet=False, verbose=False)
    write(rule_page.markdown(blocks) if form == "markdown" else rule_page.terminal(blocks, how))
    return OK


def rule_named(word: str) -> Rule | None:
    """Return the rule with the code or name ``word``, whatever its case."""
    plain = word.strip().lower()
    return next((rule for rule in catalogue() if plain in {rule.code.lower(), rule.name}), None)


def rule_source(rule: Rule) -> dict[str, Any]:
    """Return the content of a rule's file: the compiled catalogue has neither its examples nor its expressions."""
    file = f"{rule.code}-{rule.name}.yaml"
    return load_rule(next(path for path in rule_files(rules_dir()) if path.name == file))
