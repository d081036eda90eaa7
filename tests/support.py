"""What several tests need: checking a text without a file."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetpd_cli.engine.catalogue import catalogue, load_rule, rule_files
from hetpd_cli.resources import rules_dir
from hetpd_cli.rule_examples import report_on
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.text import Limits, SourceText

if TYPE_CHECKING:
    from hetpd_cli.deployment import Deployment
    from hetpd_cli.findings import Report

ROOT = Path(__file__).parent.parent


def check_text(text: str, path: str = "deploy.yaml") -> Report:
    """Return the report on one text with every built-in rule."""
    return report_on(text, catalogue(), path)


def without_commands(form: str, output: str) -> str:
    """Return the output of a format without the commands that annotations are made of."""
    return re.sub(r"^::(?:error|warning|notice) ", "", output, flags=re.M) if form == "github" else output


def deployment_of(text: str) -> Deployment:
    """Return the one deployment that ``text`` declares."""
    (deployment,) = read_text(SourceText("deploy.yaml", text), Limits()).deployments
    return deployment


def codes(report: Report) -> list[str]:
    """Return the codes of the findings, in order."""
    return [finding.code for finding in report.findings]


@cache
def raw_rules() -> tuple[dict[str, Any], ...]:
    """Return the content of every rule file."""
    return tuple(load_rule(path) for path in rule_files(rules_dir()))


def examples(kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Return rule code and example of every example of ``kind`` (bad, good, near-miss)."""
    return [(rule["code"], example) for rule in raw_rules() for example in rule.get("examples", {}).get(kind, ())]
