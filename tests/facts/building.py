"""Deployments built by hand: any leaf of any value, without a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetpd_cli.deployment import OPEN, Deployment, Handoff, Pool, Section, Stated
from hetpd_cli.engine.scopes import Scopes
from hetpd_cli.facts.values import Unknown
from hetpd_cli.places import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hetpd_cli.facts.space import Scope

Leaves = dict[str, Any]
VLLM: Leaves = {"engine.name": "vllm", "engine.version": "0.24.0", "connector.name": "nixl"}
AUTO = Unknown("left to the engine (auto)", None, "auto")


def place(line: int) -> Place:
    return Place("hand.yaml", line, 1, line, 2, 10 * line, 10 * line + 1)


class Builder:
    """Numbers the lines, so that every leaf has a place of its own."""

    def __init__(self) -> None:
        self.line = 0

    def next(self) -> Place:
        self.line += 1
        return place(self.line)

    def section(self, kind: str, leaves: Mapping[str, Any], scope: str = OPEN) -> Section:
        section = Section(kind, self.next(), scope)
        section.stated = {path: Stated(value, self.next()) for path, value in leaves.items()}
        return section

    def pool(self, name: str, role: str, leaves: Leaves, scope: str, shares_model: bool) -> Pool:
        return Pool(name, role, self.next(), self.section("pool", leaves, scope), shares_model)


def boundary(
    prefill: Leaves | None = None,
    decode: Leaves | None = None,
    handoff: Leaves | None = None,
    router: Leaves | None = None,
    *,
    workload: Leaves | None = None,
    scope: str = OPEN,
    shares_model: bool = False,
) -> Scope:
    """Return the boundary of one prefill and one decode pool with exactly these leaves."""
    make = Builder()
    pools = (
        make.pool("p", "prefill", prefill or {}, scope, shares_model),
        make.pool("d", "decode", decode or {}, scope, shares_model),
    )
    join = Handoff("p", "d", make.section("handoff", handoff or {}), explicit=True)
    around = {"router": router or {}, "workload": workload or {}}
    rest = [make.section(kind, around.get(kind, {})) for kind in ("workload", "router", "store")]
    (found,) = Scopes(Deployment("hand.yaml", None, pools, (join,), (), *rest)).of("boundary")
    return found


def value(scope: Scope, name: str) -> Any:
    """Return the value of a fact, the word `unknown` where nobody knows it."""
    found = scope.fact(name).value
    return "unknown" if isinstance(found, Unknown) else found
