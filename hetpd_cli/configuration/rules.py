"""Rules as configured: severities and thresholds of ``[rules.NAME]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.configuration.read import ConfigurationError
from hetpd_cli.nearest import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hetpd_cli.configuration.settings import Configuration, RuleSettings
    from hetpd_cli.engine.catalogue import Rule


def rule_called(word: str, rules: Sequence[Rule]) -> Rule | None:
    """Return the rule with the code or name ``word``, whatever its case."""
    return next((rule for rule in rules if word.lower() in {rule.name, rule.code.lower()}), None)


def nearest_rule(word: str, rules: Sequence[Rule]) -> str | None:
    """Return the code or name that ``word`` was probably meant to be."""
    return nearest(word, [name for rule in rules for name in (rule.name, rule.code)])


def configured(rules: Sequence[Rule], configuration: Configuration) -> tuple[Rule, ...]:
    """Return ``rules`` with the severities and thresholds that are set for them.

    Raises ConfigurationError for a rule or a threshold that does not exist.
    """
    changed: dict[str, Rule] = {}
    faults = []
    for word, settings in configuration.rules.items():
        where = f"{configuration.path}:{settings.place.line}"
        rule = rule_called(word, rules)
        if rule is None:
            faults.append(f"{where}: {word} names no rule{did_you_mean(nearest_rule(word, rules))}")
            continue
        if rule.code in changed:
            faults.append(f"{where}: {rule.name} is set twice, by code and by name")
        faults += [f"{where}: {fault}" for fault in _faults(rule, settings)]
        changed[rule.code] = rule if faults else rule.configured(settings.severity, settings.parameters, where)
    if faults:
        raise ConfigurationError(faults)
    return tuple(changed.get(rule.code, rule) for rule in rules)


def _faults(rule: Rule, settings: RuleSettings) -> list[str]:
    known = list(rule.data.get("parameters", {}))
    return [
        f"{name} is no threshold of {rule.name}"
        + (did_you_mean(nearest(name, [*known, "severity"])) or f"; it has {', '.join(known) or 'none'}")
        for name in settings.parameters
        if name not in known
    ]
