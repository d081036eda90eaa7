"""The configuration of a run, and the rules and tables as it sets them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.configuration.read import ConfigurationError, find, load
from hetpd_cli.configuration.settings import Configuration
from hetpd_cli.engine.catalogue import catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hetpd_cli.engine.catalogue import Rule


class Setup(NamedTuple):
    """The configuration in force and every rule there is, as configured."""

    configuration: Configuration
    rules: Sequence[Rule]


def set_up(paths: Sequence[str], config: str | None = None, *, no_config: bool = False) -> Setup:
    """Return the configuration of a run over ``paths`` and the rules, and lay its tables over the built-in ones.

    Raises ConfigurationError where the configuration has faults.
    """
    path = None if no_config else config or find(paths)
    if path is None:
        return Setup(Configuration(), catalogue())
    from hetpd_cli.configuration.rules import configured

    configuration = load(path)
    _use_tables(configuration)
    return Setup(configuration, configured((*catalogue(), *_own_rules(configuration)), configuration))


def in_folder(configuration: Configuration, path: str) -> str:
    """Return a path of the configuration as it is meant: from the configuration's folder."""
    return os.path.join(configuration.folder, path)  # noqa: PTH118 (paths stay text)


def _use_tables(configuration: Configuration) -> None:
    if not configuration.table_folders:
        return
    from hetpd_cli.tables import use_own
    from hetpd_cli.tables.own import TableError

    try:
        use_own([in_folder(configuration, folder) for folder in configuration.table_folders])
    except TableError as error:
        faults = [f"{configuration.path}: table-folders: {line}" for line in str(error).splitlines()]
        raise ConfigurationError(faults) from None


def _own_rules(configuration: Configuration) -> list[Rule]:
    if not configuration.rule_folders:
        return []
    from hetpd_cli.engine.custom_rules import CustomRuleError, load_custom_rules

    rules: list[Rule] = []
    taken: dict[str, str] = {}
    for folder in configuration.rule_folders:
        try:
            found = load_custom_rules(Path(in_folder(configuration, folder)))
        except CustomRuleError as error:
            raise ConfigurationError([f"{configuration.path}: rule-folders: {error}"]) from None
        for rule in found:
            for word in (rule.code, rule.name):
                if taken.setdefault(word, folder) != folder:
                    fault = f"{configuration.path}: {folder}: {word} is already taken by a rule in {taken[word]}"
                    raise ConfigurationError([fault])
        rules += found
    return rules
