"""What every format reader gives, and which reader takes an input."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from hetpd_cli.deployment import Deployment
    from hetpd_cli.sources.problems import Problem
    from hetpd_cli.sources.text import Limits, SourceText
    from hetpd_cli.sources.tree import Tree


class Reading(NamedTuple):
    """What a reader made of one input.

    ``status`` is one of :data:`hetpd_cli.findings.STATUSES`; ``detail`` says why in one line where it is not
    ``checked``. ``texts`` holds the decoded text of every file that was read. ``joined`` names the other inputs with
    which this one makes a deployment, and which of the readings holds that deployment is the reader's choice.
    """

    path: str
    format: str | None
    status: str
    detail: str = ""
    deployments: tuple[Deployment, ...] = ()
    problems: tuple[Problem, ...] = ()
    texts: tuple[SourceText, ...] = ()
    joined: tuple[str, ...] = ()


class Reader(Protocol):
    """A format: says whether a tree is its own, and reads it."""

    format: str

    def claims(self, source: SourceText) -> bool:
        """Tell from the text alone, cheaply, whether ``source`` may be in this format."""
        ...

    def recognises(self, tree: Tree) -> bool:
        """Tell whether ``tree`` is in this format."""
        ...

    def read(self, source: SourceText, tree: Tree, limits: Limits) -> Reading:
        """Return what ``source`` declares."""
        ...
