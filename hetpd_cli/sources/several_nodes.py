"""Launch lines of workers that span several machines: one command on each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.deployment import Stated
from hetpd_cli.facts.values import Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hetpd_cli.sources.launch import Launch, Member, Word

DEVICES = "devices_per_worker"
_OF_A_NODE = frozenset(
    {"node-rank", "r", "headless", "host", "port", "master-addr", "master-port", "dist-init-addr", "nccl-port"}
    | {"data-parallel-start-rank", "dpr", "data-parallel-address", "dpa", "api-server-count", "asc"}
)
"""Arguments that differ between the commands of one worker, without their dashes."""
_SPREADING = frozenset({"srun", "mpirun", "mpiexec", "trtllm-llmapi-launch"})


def in_all(stated: Stated, launch: Launch, engine: str) -> Stated:
    """Return the devices of a worker on all its nodes, where ``stated`` counts those of the one that a command sees."""
    words = launch.words
    if any(word.value.rpartition("/")[2] in _SPREADING for word in words[:6]):
        return stated._replace(value=Unknown("the command may run on several nodes"))
    backends = [value_of(words, name) for name in _BACKENDS]
    if any(backend is not None and backend.value == "ray" for backend in backends):
        return stated._replace(value=Unknown("Ray may use devices of other nodes"))
    nodes = value_of(words, "nnodes")
    if nodes is None or nodes.value == "1":
        return stated
    if engine != "sglang" or not re.fullmatch(r"[1-9]\d{0,3}", nodes.value) or not isinstance(stated.value, int):
        return stated._replace(value=Unknown("the ranks of the worker are on several nodes"))
    return _times(stated, int(nodes.value))


_BACKENDS = ("distributed-executor-backend", "data-parallel-backend")


def _times(stated: Stated, nodes: int) -> Stated:
    if not isinstance(stated.value, int):
        return stated
    return stated._replace(value=stated.value * nodes, written=f"{stated.value} on each of {nodes} nodes")


def value_of(words: Sequence[Word], name: str) -> Word | None:
    """Return the word that holds the value of ``--name``, the last one given."""
    found = None
    for number, word in enumerate(words):
        option, given, _ = word.value.partition("=")
        if not option.startswith("--") or option[2:].replace("_", "-") != name:
            continue
        if given:
            found = word._replace(text=word.text[len(option) + 1 :])
        elif number + 1 < len(words):
            found = words[number + 1]
    return found


def is_further_node(launch: Launch) -> bool:
    """Tell whether a command starts a node of a worker that another command starts first."""
    rank = value_of(launch.words, "node-rank")
    if rank is not None:
        return bool(re.fullmatch(r"[1-9]\d{0,3}", rank.value))
    return any(word.value == "--headless" for word in launch.words)


def joined(members: list[Member], launch: Launch) -> bool:
    """Count ``launch`` as a further node of the last of ``members`` that starts alike; False if there is none."""
    if not is_further_node(launch):
        return False
    own = _common(launch)
    for number in range(len(members) - 1, -1, -1):
        first = members[number]
        if not is_further_node(first.launches[0]) and _common(first.launches[0]) == own:
            nodes = first.nodes + 1
            stated = first.settings.stated.get(DEVICES)
            if stated is not None and value_of(launch.words, "nnodes") is None:
                each = stated.value // first.nodes if isinstance(stated.value, int) else stated.value
                first.settings.stated[DEVICES] = _times(stated._replace(value=each), nodes)
            members[number] = first._replace(nodes=nodes)
            return True
    return False


def _common(launch: Launch) -> list[tuple[str, str]]:
    """Return the words that the commands of one worker have in common."""
    kept = []
    skip = False
    for word in launch.words:
        option, given, _ = word.value.partition("=")
        if option.startswith("-"):
            skip = option.lstrip("-").replace("_", "-") in _OF_A_NODE
            if skip:
                skip = not given
                continue
        elif skip:
            skip = False
            continue
        kept.append((word.value, word.unresolved))
    return kept
