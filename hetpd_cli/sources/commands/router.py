"""What the command of a router says.

Sources: Dynamo ``components/src/dynamo/frontend``; sglang-router ``py_src/sglang_router/router_args.py``; llm-d routing
sidecar ``cmd``; production-stack ``vllm_router/parsers``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.deployment import OPEN
from hetpd_cli.sources.commands.program import router_of
from hetpd_cli.sources.commands.values import Settings
from hetpd_cli.sources.commands.words import Arguments, Given, Named, of_word, plainly_named, read_words

if TYPE_CHECKING:
    from hetpd_cli.deployment import Section
    from hetpd_cli.sources.commands.program import Program
    from hetpd_cli.sources.launch import Launch

_SWITCHES = frozenset(
    {"kv-events", "router-kv-events", "pd-disaggregation", "vllm-pd-disaggregation", "service-discovery", "mini-lb"}
)
_BLOCK_SIZES = ("kv-cache-block-size", "router-block-size", "block-size")
_EVENT_SWITCHES = ("kv-events", "router-kv-events")
_WITHOUT_INDEX = frozenset(
    {
        "round-robin", "random", "round_robin", "roundrobin", "power_of_two", "power-of-two", "session", "least-loaded",
        "direct", "disaggregated_prefill",
    }
)  # fmt: skip
_OWN_INDEX = frozenset({"cache_aware", "prefixaware", "prefix_aware", "prefix_hash"})
_SPOKEN = {"nixl": "nixl", "nixlv2": "nixl", "mooncake": "mooncake", "lmcache": "lmcache"}
_TIMEOUTS = ("request-timeout-secs",)


def read(launch: Launch) -> Section | None:
    """Return the section of the router that ``launch`` starts, or None if it starts none that is known."""
    program = router_of(launch.words)
    if program is None:
        return None
    arguments = read_words(program.words, _named, first_is_positional=False)
    settings = Settings("router", program.place)
    settings.known("name", program.name, program.place)
    for one in _BLOCK_SIZES:
        found = arguments.last(one)
        if found is not None and found.values:
            settings.state("block_size", found.values[0], found.spelled)
    for one in _TIMEOUTS:
        found = arguments.last(one)
        if found is not None and found.values:
            settings.state("request_timeout_s", found.values[0], found.spelled)
    _index(program, arguments, launch, settings)
    _bootstrap(program, arguments, settings)
    if program.name == "llm-d":
        _speaks(arguments, settings)
    settings.section.scope = OPEN
    return settings.section


def _named(word: str) -> Named:
    found = plainly_named(word)
    if found.name in _SWITCHES:
        return found._replace(takes="0")
    return found._replace(takes="*") if found.name in {"prefill", "decode", "worker-urls"} else found


def _index(program: Program, arguments: Arguments, launch: Launch, settings: Settings) -> None:
    """State where the router learns which worker has a prefix."""
    mode = _first(arguments, "router-mode", "policy", "prefill-policy", "routing-logic")
    value = mode.values[0] if mode is not None and mode.values else None
    if value is None and program.name == "dynamo" and "DYN_ROUTER_MODE" in launch.env:
        value = of_word(launch.env["DYN_ROUTER_MODE"])
    if value is None:
        return
    if value.unresolved:
        settings.unknown("prefix_index", value.place, value.unresolved)
        return
    source = value.source.lower()
    if program.name == "dynamo" and source == "kv":
        silent = next((one for one in map(arguments.last, _EVENT_SWITCHES) if one is not None and one.negated), None)
        settings.known("prefix_index", "own" if silent else "events", (silent or value).place, value.source)
    elif source in _WITHOUT_INDEX:
        settings.known("prefix_index", "none", value.place, value.source)
    elif source in _OWN_INDEX:
        settings.known("prefix_index", "own", value.place, value.source)


def _bootstrap(program: Program, arguments: Arguments, settings: Settings) -> None:
    """State the bootstrap port that decode is told: sglang-router takes it behind each prefill address."""
    if program.name not in {"sglang-router", "mini-lb"}:
        return
    ports = [
        value
        for given in arguments.given
        if given.name == "prefill"
        for value in given.values[1:2]
        if re.fullmatch(r"\d+", value.source) or value.unresolved
    ]
    single = arguments.last("prefill-bootstrap-ports")
    if single is not None:
        ports += single.values
    if ports and len({value.source for value in ports}) == 1:
        settings.state("bootstrap_port", ports[0], "the bootstrap port")
    elif ports:
        settings.unknown("bootstrap_port", ports[0].place, "prefill servers have different ones")


def _speaks(arguments: Arguments, settings: Settings) -> None:
    given = _first(arguments, "kv-connector", "connector")
    if given is None or not given.values:
        return
    value = given.values[0]
    if value.source in _SPOKEN:
        settings.known("speaks", (_SPOKEN[value.source],), value.place, value.source)
    else:
        settings.unknown(
            "speaks", value.place, value.unresolved or f"{value.source} is no connector that is known here"
        )


def _first(arguments: Arguments, *names: str) -> Given | None:
    return next((found for found in map(arguments.last, names) if found is not None), None)
