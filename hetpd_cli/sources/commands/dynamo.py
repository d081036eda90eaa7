"""What Dynamo's workers say beside the arguments of their engine: the role, and in old releases the connector.

Source: ``components/src/dynamo/vllm/args.py`` of 0.8.1, 0.9.0 and 1.0.0: up to 0.9.1 --connector, NIXL by default; from
1.0.0 there is no default, and --connector is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.deployment import AGGREGATED, DECODE, PREFILL, Stated
from hetpd_cli.facts.values import DEFAULT, NONE
from hetpd_cli.sources.commands.transfer_config import ARGUMENT
from hetpd_cli.sources.commands.words import of_word

if TYPE_CHECKING:
    from hetpd_cli.facts.values import Value
    from hetpd_cli.sources.commands import words
    from hetpd_cli.sources.commands.context import Context
    from hetpd_cli.sources.commands.words import Given

_MODE = "disaggregation-mode"
ENCODE = "encode"
"""A worker that only encodes images: neither prefill nor decode."""

_MODES = {
    "prefill": PREFILL,
    "decode": DECODE,
    "agg": AGGREGATED,
    "aggregated": AGGREGATED,
    "pd": AGGREGATED,
    "prefill_and_decode": AGGREGATED,
    "null": AGGREGATED,
    "encode": ENCODE,
}
_SWITCHES = {
    "is-prefill-worker": PREFILL,
    "is-decode-worker": DECODE,
    "multimodal-encode-worker": ENCODE,
    "multimodal-decode-worker": DECODE,
}
_VARIABLES = ("DYN_VLLM_DISAGGREGATION_MODE", "DYN_SGL_DISAGGREGATION_MODE", "DYN_TRTLLM_DISAGGREGATION_MODE")
MISSING_CONNECTOR = "missing-transfer-config"
"""Rule that a prefill worker without a connector breaks."""
NOT_STARTED = "the prefill worker does not start without --kv-transfer-config"
_SIDE_CHANNEL_HOST = "VLLM_NIXL_SIDE_CHANNEL_HOST"
_WITHOUT_DEFAULT = (1, 0)
"""First release of which --connector has no default."""


def read(context: Context) -> None:
    """State the role that Dynamo gives the worker, and the connector that it chooses."""
    _role(context)
    found = context.value("engine-config-json")
    if found is not None:
        context.incomplete = context.incomplete or f"{found[1].source} may hold further arguments"
    if context.program.runtime == "vllm" and _SIDE_CHANNEL_HOST not in context.env:
        # components/src/dynamo/vllm/args.py, ensure_side_channel_host
        reason = "Dynamo sets it to an address of the machine"
        context.settings.unknown("connector.side_channel.host", context.program.place, reason)
    if context.program.runtime == "vllm" and context.value(ARGUMENT) is None:
        _connector(context)


def _role(context: Context) -> None:
    for given in context.arguments.given:
        if given.name in _SWITCHES and not given.negated:
            context.role = context.mode = Stated(_SWITCHES[given.name], given.place, given.spelled)
    found = context.value(_MODE)
    value = found[1] if found is not None else _of_variable(context)
    if value is not None:
        context.take_mode(value, _MODES)


def _of_variable(context: Context) -> words.Value | None:
    word = next((context.env[name] for name in _VARIABLES if name in context.env), None)
    return None if word is None or context.role is not None else of_word(word)


def _connector(context: Context) -> None:
    """State the connector of --connector, or that of a release that has a default.

    A release that takes --disaggregation-mode is one without: both came with 1.0.0.
    """
    given = context.arguments.last("connector")
    version = context.wrapper_version
    old = version is not None and _numbers(version) < _WITHOUT_DEFAULT
    new = version is not None and not old
    if context.arguments.last(_MODE) is not None:
        old, new = False, True
    if given is not None and new:
        _refused(context, given)
    elif given is not None:
        _named(context, given.values)
    elif context.incomplete:
        context.settings.unknown("connector.name", context.program.place, context.incomplete)
    elif old:
        _default(context, "nixl", f"Dynamo {version} uses NIXL unless told otherwise")
    elif new:
        _default(context, NONE, "Dynamo from 1.0.0 on uses no connector unless told otherwise")
        _prefill_without(context)
    else:
        place = context.program.place
        context.settings.unknown("connector.name", place, "whether Dynamo chooses NIXL depends on its release")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _default(context: Context, value: Value, note: str) -> None:
    stated = Stated(value, context.program.place, None, DEFAULT, note)
    context.settings.section.stated["connector.name"] = stated
    context.settings.section.declared.update({"", "connector"})


def _refused(context: Context, given: Given) -> None:
    message = f"dynamo.vllm refuses {given.spelled} from 1.0.0 on"
    fix = "remove it; --kv-transfer-config names the connector"
    context.problem("removed-argument", message, given.place, "no longer taken", fix)
    context.settings.unknown("connector.name", given.place, f"{given.spelled} is refused")


def _prefill_without(context: Context) -> None:
    """Report a prefill worker that is given no connector: it ends at start."""
    role = context.role
    if role is None or role.value != PREFILL or role.place is None:
        return
    message = "a prefill worker of dynamo.vllm is given no --kv-transfer-config"
    context.problem(MISSING_CONNECTOR, message, role.place, "needs a connector")
    context.settings.unknown("connector.name", context.program.place, NOT_STARTED)


def _named(context: Context, values: tuple[words.Value, ...]) -> None:
    settings = context.settings
    if not values:
        return
    unresolved = next((value.unresolved for value in values if value.unresolved), "")
    if unresolved:
        settings.unknown("connector.name", values[0].place, unresolved)
        return
    named = {value.source.lower(): value for value in values}
    if "nixl" in named:
        settings.known("connector.name", "nixl", named["nixl"].place, named["nixl"].source)
    elif "none" in named or "null" in named:
        settings.known("connector.name", NONE, values[0].place, values[0].source)
    elif "lmcache" in named:
        settings.known("connector.name", "lmcache", named["lmcache"].place, named["lmcache"].source)
    else:
        settings.known("connector.name", "offloading", values[0].place, values[0].source)
