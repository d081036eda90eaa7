"""What a command of SGLang says that needs more than decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.deployment import AGGREGATED, DECODE, PREFILL
from hetpd_cli.sources.commands import vllm

if TYPE_CHECKING:
    from hetpd_cli.sources.commands.context import Context

_MODES = {"prefill": PREFILL, "decode": DECODE, "null": AGGREGATED}
_RESERVATION = {"early": "early", "prefill_complete": "late"}


def read(context: Context) -> None:
    """State what the arguments of SGLang say."""
    vllm.config_file(context)
    context.apply()
    _role(context)
    _reservation(context)
    vllm.adapters(context, "lora-paths")


def _role(context: Context) -> None:
    found = context.value("disaggregation-mode")
    if found is not None:
        context.take_mode(found[1], _MODES)


def _reservation(context: Context) -> None:
    found = context.value("disaggregation-decode-allocation-policy")
    if found is not None and found[1].source in _RESERVATION:
        context.settings.known(
            "connector.reservation.when", _RESERVATION[found[1].source], found[1].place, found[1].source
        )
