"""What is wrong with an input itself, before any rule is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hetpd_cli.findings import LabelledPlace


class Problem(NamedTuple):
    """A fault of an input.

    ``rule`` is the name of a rule of family 0xx (``duplicate-key``); severity, consequence and evidence come from
    that rule's file. ``fix`` overrides the rule's own. Exactly one place is primary.
    """

    rule: str
    message: str
    places: tuple[LabelledPlace, ...]
    fix: str = ""
