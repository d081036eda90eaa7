"""Names of devices and links that no table knows and that are almost one that a table knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.findings import LabelledPlace
from hetpd_cli.nearest import almost
from hetpd_cli.sources.problems import Problem
from hetpd_cli.tables import names, row

if TYPE_CHECKING:
    from hetpd_cli.deployment import Deployment, Section
    from hetpd_cli.places import Place

TABLES = {"accelerator": "accelerators", "path.link": "links"}
"""Fields that hold an id, and the tables of these."""


def misspelt_ids(deployment: Deployment) -> list[Problem]:
    """Return a problem for each place at which a name is written that resembles a known one."""
    found: dict[Place, Problem] = {}
    sections = [pool.settings for pool in deployment.pools]
    sections += [part.settings for part in deployment.handoffs] + [host.settings for host in deployment.hosts]
    for section in sections:
        for path in TABLES:
            problem = misspelt_id(section, path)
            if problem is not None:
                found.setdefault(problem.places[0].place, problem)
    return list(found.values())


def misspelt_id(section: Section, path: str) -> Problem | None:
    """Return the problem with the id at ``path`` of a section (a key of :data:`TABLES`), if there is any."""
    table = TABLES[path]
    stated, name = section.stated.get(path), section.text(path)
    if stated is None or name is None or stated.place is None or row(table, name) is not None:
        return None
    guess = almost(name, names(table))
    if guess is None:
        return None
    place = LabelledPlace(stated.place, "not known", primary=True)
    message = f"{path} is {name}, which no table knows, did you mean {guess}?"
    return Problem("misspelt-id", message, (place,), f"write `{guess}`, or add {name} to a table of your own")
