"""Contracts for programs: the format of ``schemas/contract-output.schema.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetpd_cli import __version__
from hetpd_cli.contracts import PARTS, PAYMENTS
from hetpd_cli.report.json_report import as_fact, as_place, dump
from hetpd_cli.report.words import path_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hetpd_cli.contracts import Contract, ContractReport, Entry, Step, Verdict
    from hetpd_cli.findings import InputReport, Need
    from hetpd_cli.report import Options

SCHEMA = 1
"""Version of the output: goes up when a field changes its meaning or goes away."""


def render(report: ContractReport, options: Options) -> str:
    """Return ``report`` as one indented ASCII object; only ``show_paths_from`` of ``options`` matters."""
    content = {
        "schema": SCHEMA,
        "hetpd": __version__,
        "inputs": [_input(item, options) for item in report.inputs],
        "contracts": [_contract(contract, options) for contract in report.contracts],
    }
    return dump(content)


def _input(item: InputReport, options: Options) -> dict[str, Any]:
    return {
        "path": path_text(item.path, options),
        "format": item.format,
        "status": item.status,
        "detail": item.detail,
        "boundaries": item.boundaries,
    }


def _contract(contract: Contract, options: Options) -> dict[str, Any]:
    return {
        "path": path_text(contract.path, options),
        "deployment": contract.deployment,
        "prefill": contract.prefill,
        "decode": contract.decode,
        "place": as_place(contract.place, options),
        "broken": contract.broken,
        "verdict": _verdict(contract.verdict, options),
        "invariants": [one._asdict() | {"needs": _needs(one.needs, options)} for one in contract.invariants],
        "steps": [_step(step) for step in contract.steps],
        "object": {part: [_entry(entry, options) for entry in contract.parts[part]] for part in PARTS},
        "duties": [duty._asdict() for duty in contract.duties],
    }


def _verdict(verdict: Verdict, options: Options) -> dict[str, Any]:
    return verdict._asdict() | {"needs": _needs(verdict.needs, options)}


def _needs(needs: Iterable[Need], options: Options) -> list[dict[str, Any]]:
    return [need._asdict() | {"place": as_place(need.place, options)} for need in needs]


def _step(step: Step) -> dict[str, Any]:
    gain, cost = PAYMENTS.get(step.where or "", (None, None))
    return step._asdict() | {"gain": gain, "cost": cost}


def _entry(entry: Entry, options: Options) -> dict[str, Any]:
    return entry._asdict() | {"values": [as_fact(value, options) for value in entry.values]}
