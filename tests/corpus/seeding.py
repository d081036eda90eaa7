"""Puts one fault into a text that is right: another KV element type, block size, connector, mode or TP on one side."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.engine.scopes import Scopes
from hetpd_cli.facts.values import NONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.deployment import Deployment, Pool
    from hetpd_cli.facts.values import Value
    from hetpd_cli.places import Place
    from hetpd_cli.sources.launch import Launch, Word
    from hetpd_cli.sources.reader import Reading

VARIANTS = ("kv dtype", "block size", "connector", "mode", "tp")
ARGUMENTS = {
    "vllm": {
        "kv dtype": "--kv-cache-dtype=fp8",
        "block size": "--block-size=96",
        "tp": "--tensor-parallel-size={tp}",
        "connector": '--kv-transfer-config={{"kv_connector":"MooncakeConnector","kv_role":"kv_both"}}',
    },
    "sglang": {
        "kv dtype": "--kv-cache-dtype=fp8_e5m2",
        "block size": "--page-size=96",
        "tp": "--tp-size={tp}",
        "connector": "--disaggregation-transfer-backend={backend}",
    },
}
"""What is put in where a side does not state a setting."""
CONNECTORS = {
    "NixlConnector": "MooncakeConnector",
    "MooncakeConnector": "NixlConnector",
    "LMCacheConnectorV1": "NixlConnector",
    "nixl": "mooncake",
    "mooncake": "nixl",
    "UCX": "NIXL",
    "NIXL": "UCX",
    "DEFAULT": "MPI",
}
MODES = {
    "prefill": "decode",
    "decode": "prefill",
    "kv_producer": "kv_consumer",
    "kv_consumer": "kv_producer",
}


class Seeded(NamedTuple):
    """A text with a fault: ``start`` to ``end`` is the changed token."""

    variant: str
    side: str
    path: str
    text: str
    start: int
    end: int


class Skipped(NamedTuple):
    """A fault that cannot be put in, or that nobody could tell from what is wrong already."""

    variant: str
    side: str
    reason: str


def seeded(reading: Reading, deployment: Deployment) -> Iterator[Seeded]:
    """Yield the texts of a reading with one fault each."""
    yield from (one for one in trials(reading, deployment) if isinstance(one, Seeded))


def trials(reading: Reading, deployment: Deployment) -> Iterator[Seeded | Skipped]:
    """Yield, for each side and variant, the text with the fault or why there is none."""
    texts = {text.path: text.text for text in reading.texts}
    for side in ("prefill", "decode"):
        pool = next(pool for pool in deployment.pools if pool.role == side)
        for variant in VARIANTS:
            reason = _masked(deployment, pool, variant)
            found = None
            if not reason:
                own = _own(deployment, pool, variant)
                found = _changed(own, pool, variant, texts) or _put_in(reading, deployment, pool, variant, texts)
                reason = "the setting is not written, and no argument can be put in"
            if found is None:
                yield Skipped(variant, side, reason)
            else:
                path, text, start, end = found
                yield Seeded(variant, side, path, text, start, end)


def _masked(deployment: Deployment, pool: Pool, variant: str) -> str:
    """Say why a change of this pool's setting would be no fault of one side, or none that is new."""
    others = [other for other in deployment.pools if other.role != pool.role]
    if variant == "connector" and any(_in_force(deployment, other, "connector.name") is NONE for other in others):
        return "the other side has no connector, which is reported as it is"
    if any(True for _ in _stated(pool, variant)) and not _own(deployment, pool, variant):
        return "one token says it for both sides"
    return ""


def _own(deployment: Deployment, pool: Pool, variant: str) -> list[Place]:
    """Return where the pool states the setting, without the tokens that speak for the other side too."""
    others = [other for other in deployment.pools if other.role != pool.role]
    shared = {place for other in others for place in _stated(other, variant)}
    return [place for place in _stated(pool, variant) if place not in shared]


def _in_force(deployment: Deployment, pool: Pool, path: str) -> Value:
    """Return what is in force for a pool, stated or by default."""
    return next(
        scope.subjects["pool"].fact(path).value
        for scope in Scopes(deployment).of("pool")
        if scope.subjects["pool"].name == pool.name
    )


FIELDS = {
    "kv dtype": ("kv.dtype",),
    "block size": ("kv.block_size",),
    "connector": ("connector.name", "connector.backends"),
    "mode": ("engine.mode", "connector.role"),
    "tp": ("parallelism.tp",),
}
"""Variant to the fields that hold it."""


def _stated(pool: Pool, variant: str) -> Iterator[Place]:
    """Yield where the pool states the fields of a variant."""
    for path in FIELDS[variant]:
        stated = pool.settings.stated.get(path)
        if stated is not None and stated.place is not None:
            yield stated.place


Change = tuple[str, str, int, int]


def _changed(places: list[Place], pool: Pool, variant: str, texts: dict[str, str]) -> Change | None:
    """Return the text with another token at the first of ``places`` that can be changed; None where none can."""
    for place in places:
        text = texts.get(place.path)
        other = None if text is None else _other(variant, text[place.start : place.end], pool)
        if text is not None and other is not None:
            return place.path, text[: place.start] + other + text[place.end :], place.start, place.start + len(other)
    return None


def _other(variant: str, token: str, pool: Pool) -> str | None:
    quote = token[0] if token[:1] in "\"'" else ""
    word = token.strip("\"'")
    if variant == "kv dtype":
        fp8 = "fp8_e4m3" if pool.settings.value("engine.name") == "sglang" else "fp8"
        changed: str | None = "auto" if word.startswith("fp8") else fp8
    elif variant in {"block size", "tp"}:
        changed = str(int(word) * 2) if word.isdecimal() else None
    else:
        changed = (CONNECTORS if variant == "connector" else MODES).get(word)
    return None if changed is None else f"{quote}{changed}{quote}"


def _put_in(reading: Reading, deployment: Deployment, pool: Pool, variant: str, texts: dict[str, str]) -> Change | None:
    """Return the text with an argument more for the pool's command; None where none fits."""
    engine = str(pool.settings.value("engine.name"))
    template = ARGUMENTS.get(engine, {}).get(variant)
    launch = _launch(reading, pool)
    if template is None or launch is None or pool.settings.stated.get(FIELDS[variant][0]) is not None:
        return None
    devices = _in_force(deployment, pool, "devices_per_worker")
    tp = devices * 2 if isinstance(devices, int) else 3
    other = next(other for other in deployment.pools if other.role != pool.role)
    backend = "nixl" if _in_force(deployment, other, "connector.name") == "mooncake" else "mooncake"
    argument = template.format(tp=tp, backend=backend)
    anchor = next(
        (word for word in launch.words if re.match(r"--[a-z]", word.value) and _exact(word, texts)),
        None,
    )
    return None if anchor is None else _before(anchor.place, argument, texts)


def _launch(reading: Reading, pool: Pool) -> Launch | None:
    members = [member for group in reading.groups for member in group.members if member.place == pool.place]
    return next((launch for member in members for launch in member.launches if len(launch.words) > 1), None)


def _exact(word: Word, texts: dict[str, str]) -> bool:
    place = word.place
    return texts.get(place.path, "")[place.start : place.end].strip("\"'") == word.value


def _before(place: Place, argument: str, texts: dict[str, str]) -> Change:
    """Put ``argument`` before the word at ``place``: as an item of a list, or as a word of a script."""
    text = texts[place.path]
    start = place.start - (text[place.start - 1] in "\"'" and text[place.start] not in "\"'")
    line = text[text.rfind("\n", 0, start) + 1 : start]
    rest = text[place.end : text.find("\n", place.end)].strip(" \"'\r")
    if re.fullmatch(r"[ ]*(- )+", line) and (not rest or rest.startswith("#")):
        indent = " " * (len(line) - 2)
        put, offset = f"'{argument}'\n{indent}- ", 0
    elif rest.startswith((",", "]")) and re.search(r"[\[,]\s*\Z", text[:start]):
        put, offset = f"'{argument}', ", 0
    else:
        start = place.start
        quoted = f"'{argument}'" if '"' in argument and "'" not in line else argument
        put, offset = f"{quoted} ", 0
    return place.path, text[:start] + put + text[start:], start + offset, start + len(put)
