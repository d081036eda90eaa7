"""Puts one fault into a text that is right: another KV element type, block size, connector, mode or TP on one side."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.engine.scopes import Scopes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.deployment import Deployment, Pool
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


def seeded(reading: Reading, deployment: Deployment) -> Iterator[Seeded]:
    """Yield the texts of a reading with one fault each."""
    texts = {text.path: text.text for text in reading.texts}
    for side in ("prefill", "decode"):
        pool = next(pool for pool in deployment.pools if pool.role == side)
        for variant in VARIANTS:
            found = _changed(pool, variant, texts) or _put_in(reading, deployment, pool, variant, texts)
            if found is not None:
                path, text, start, end = found
                yield Seeded(variant, side, path, text, start, end)


Change = tuple[str, str, int, int]


def _changed(pool: Pool, variant: str, texts: dict[str, str]) -> Change | None:
    """Return the text with another token where the pool states the setting; None where it does not."""
    fact = {
        "kv dtype": "kv.dtype",
        "block size": "kv.block_size",
        "connector": "connector.name",
        "mode": "engine.mode",
        "tp": "parallelism.tp",
    }[variant]
    for path in (
        fact,
        "connector.role" if variant == "mode" else "connector.backends" if variant == "connector" else fact,
    ):
        stated = pool.settings.stated.get(path)
        if stated is None or stated.place is None or stated.place.path not in texts:
            continue
        place = stated.place
        token = texts[place.path][place.start : place.end]
        other = _other(variant, token, pool)
        if other is not None:
            text = texts[place.path]
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
    if template is None or launch is None or pool.settings.stated.get(_FACTS.get(variant, "")) is not None:
        return None
    devices = next(
        scope.subjects["pool"].fact("devices_per_worker").value
        for scope in Scopes(deployment).of("pool")
        if scope.subjects["pool"].name == pool.name
    )
    tp = devices * 2 if isinstance(devices, int) else 3
    argument = template.format(tp=tp, backend="mooncake" if variant == "connector" else "")
    anchor = next(
        (word for word in launch.words if re.match(r"--[a-z]", word.value) and _exact(word, texts)),
        None,
    )
    return None if anchor is None else _before(anchor.place, argument, texts)


_FACTS = {"kv dtype": "kv.dtype", "block size": "kv.block_size", "tp": "parallelism.tp", "connector": "connector.name"}


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
