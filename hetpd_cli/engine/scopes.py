"""The scopes of a deployment: each pool, each boundary, each pair of pools, the whole."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from hetpd_cli.deployment import DECODE, PREFILL, Deployment
from hetpd_cli.facts.space import HandoffSubject, PoolSubject, Scope, Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

SURROUNDINGS = ("workload", "router", "store")


def _readers(deployment: Deployment) -> dict[str, tuple[str, ...]]:
    """Return, for each pool, the decode pools that read its KV; what is no prefill pool reads its own."""
    found = {pool.name: {} if pool.role == PREFILL else {pool.name: None} for pool in deployment.pools}
    for handoff in deployment.handoffs:
        found[handoff.prefill][handoff.decode] = None
    return {name: tuple(decodes) for name, decodes in found.items()}


class Scopes:
    """All scopes of one deployment, sharing their subjects."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self._around = {
            name: Subject(name, name, section, section.place)
            for name, section in zip(
                SURROUNDINGS, (deployment.workload, deployment.router, deployment.store), strict=True
            )
        }
        read_by = _readers(deployment)
        self._pools = {
            pool.name: PoolSubject(
                pool.name, pool.settings, pool.place, shares_model=pool.shares_model, read_by=read_by[pool.name]
            )
            for pool in deployment.pools
        }
        self._siblings = {name: tuple(self._pools[one] for one in decodes) for name, decodes in read_by.items()}
        self.boundaries = [self._boundary(index) for index in range(len(deployment.handoffs))]
        self._labels: dict[str, list[str]] = {name: [] for name in self._pools}
        for boundary in self.boundaries:
            for side in ("prefill", "decode"):
                self._labels[boundary.subjects[side].name].append(boundary.label)

    def _boundary(self, index: int) -> Scope:
        handoff = self.deployment.handoffs[index]
        subjects: dict[str, Subject] = {
            "prefill": self._pools[handoff.prefill],
            "decode": self._pools[handoff.decode],
            **self._around,
        }
        label = f"{handoff.prefill} -> {handoff.decode}"
        around, siblings = subjects.copy(), self._siblings[handoff.prefill]
        subjects["handoff"] = HandoffSubject(label, handoff.settings, handoff.settings.place, around, siblings)
        return Scope(label, subjects)

    def pool(self, name: str) -> PoolSubject:
        """Return the pool called ``name``."""
        return self._pools[name]

    def of(self, over: str) -> Sequence[Scope]:
        """Return the scopes that a rule over ``over`` is evaluated on."""
        if over == "boundary":
            return self.boundaries
        if over == "pool":
            return [Scope(name, {"pool": subject, **self._around}) for name, subject in self._pools.items()]
        if over == "pair":
            pairs = combinations(self._pools.values(), 2)
            return [Scope(f"{one.name}, {other.name}", {"first": one, "second": other}) for one, other in pairs]
        return [self._whole()]

    def _whole(self) -> Scope:
        def with_role(role: str) -> tuple[Subject, ...]:
            return tuple(self._pools[pool.name] for pool in self.deployment.pools if pool.role == role)

        collections = {
            "pools": tuple(self._pools.values()),
            "prefill_pools": with_role(PREFILL),
            "decode_pools": with_role(DECODE),
            "handoffs": tuple(scope.subjects["handoff"] for scope in self.boundaries),
        }
        return Scope(self.deployment.name or "the deployment", self._around, collections)

    def boundaries_of(self, scope: Scope) -> tuple[str, ...]:
        """Return the labels of the boundaries that ``scope`` takes part in."""
        if "handoff" in scope.subjects:
            return (scope.label,)
        if scope.collections:
            return tuple(boundary.label for boundary in self.boundaries)
        pools = [subject.name for subject in scope.subjects.values() if subject.kind == "pool"]
        return tuple(dict.fromkeys(label for name in pools for label in self._labels[name]))
