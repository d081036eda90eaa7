"""The configuration of a run and the rules as it sets them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.configuration.read import ConfigurationError, find, load
from hetpd_cli.configuration.settings import Configuration
from hetpd_cli.engine.catalogue import catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hetpd_cli.engine.catalogue import Rule


class UsageError(ValueError):
    """Something that the user has to mend before anything can be checked; a line for each fault."""


class Setup(NamedTuple):
    """The configuration in force and every rule there is, as configured."""

    configuration: Configuration
    rules: Sequence[Rule]


def configured(paths: Sequence[str], config: str | None = None, *, no_config: bool = False) -> Setup:
    """Return the configuration of a run over ``paths`` and the rules.

    Raises UsageError where the configuration has faults.
    """
    if no_config:
        return Setup(Configuration(), catalogue())
    path = config or find(paths)
    if path is None:
        return Setup(Configuration(), catalogue())
    from hetpd_cli.configuration.rules import configured as as_configured
    from hetpd_cli.tables.own import TableError

    try:
        configuration = load(path)
        if configuration.table_folders:
            from hetpd_cli.tables import use_own

            use_own([in_folder(configuration, folder) for folder in configuration.table_folders])
        return Setup(configuration, as_configured(catalogue(), configuration))
    except (ConfigurationError, TableError) as error:
        raise UsageError(str(error)) from None


def in_folder(configuration: Configuration, path: str) -> str:
    """Return a path of the configuration as it is meant: from the configuration's folder."""
    return os.path.join(configuration.folder, path)  # noqa: PTH118 (paths stay text)
