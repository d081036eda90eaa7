"""Which program a command runs, seen through what is put before it.

``exec env A=1 numactl -m 0 mpirun -n 8 python3 -u -m sglang.launch_server`` runs SGLang: what launches a program is
found, not what stands before it. A first word that only shows or ends things (``echo``, ``pkill``) launches nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.commands.words import is_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hetpd_cli.places import Place
    from hetpd_cli.sources.launch import Word

ENGINES = {"vllm": "vllm", "sglang": "sglang", "trtllm": "tensorrt-llm"}
"""Program to engine."""


class Program(NamedTuple):
    """A program with the words that it is given.

    ``name`` is ``vllm``, ``sglang``, ``trtllm``, one of these behind ``dynamo.``, or the name of a router.
    ``takes_model`` tells that its first word names the model. ``front_end`` names one whose arguments no table has.
    """

    name: str
    words: tuple[Word, ...]
    place: Place
    takes_model: bool = False
    front_end: str = ""

    @property
    def wrapper(self) -> str | None:
        """What starts the engine in its own process: ``dynamo``, or None."""
        return "dynamo" if self.name.startswith("dynamo.") else None

    @property
    def runtime(self) -> str:
        """The program of the engine itself: ``vllm`` of ``dynamo.vllm``."""
        return self.name.removeprefix("dynamo.")


_NO_LAUNCHERS = frozenset(
    {
        "echo", "printf", "cat", "grep", "egrep", "tee", "pkill", "kill", "killall", "pgrep", "ps", "which", "type",
        "ls", "sleep", "curl", "wget", "wait", "export", "pip", "pip3", "uv", "git", "apt", "apt-get", "cp", "mv", "rm",
        "mkdir", "test", "[", "[[", "sed", "awk", "helm", "kubectl", "oc", "read", "trap", "watch", "tail", "head",
        "cd", "log", "info", "warn", "log_info", "logger",
    }
)  # fmt: skip
_MODULES = {
    "vllm.entrypoints.openai.api_server": ("vllm", False),
    "vllm.entrypoints.api_server": ("vllm", False),
    "vllm.entrypoints.grpc_server": ("vllm", False),
    "sglang.launch_server": ("sglang", False),
    "sglang.srt.entrypoints.http_server": ("sglang", False),
    "tensorrt_llm.commands.serve": ("trtllm", True),
    "dynamo.vllm": ("dynamo.vllm", False),
    "dynamo.sglang": ("dynamo.sglang", False),
    "dynamo.trtllm": ("dynamo.trtllm", False),
    "dynamo.vllm.unified_main": ("dynamo.vllm", False),
    "dynamo.sglang.unified_main": ("dynamo.sglang", False),
    "dynamo.trtllm.unified_main": ("dynamo.trtllm", False),
}
_FILES = re.compile(
    r"(?:^|/)(?:(?P<vllm>vllm/entrypoints/openai/api_server\.py)|(?P<sglang>sglang/launch_server\.py)"
    r"|dynamo/(?P<dynamo>vllm|sglang|trtllm)/(?:__main__|main|worker)\.py)$"
)
_VLLM_PROGRAMS = frozenset({"vllm", "vllm-rs"})
_TRANSFER = re.compile(r"--kv[-_]transfer[-_]config\b")
_SERVING_IMAGE = re.compile(r"(?:^|/)vllm-openai(?:-[a-z0-9]+)*(?:[:@]|$)")
_ROUTER_MODULES = {
    "dynamo.frontend": "dynamo",
    "dynamo.router": "dynamo",
    "sglang_router.launch_router": "sglang-router",
    "sglang_router": "sglang-router",
    "sglang.srt.disaggregation.mini_lb": "mini-lb",
    "sglang.srt.disaggregation.launch_lb": "mini-lb",
    "vllm_router.launch_router": "vllm-router",
    "vllm_router.app": "production-stack",
}
_ROUTER_PROGRAMS = {
    "sglang-router": "sglang-router",
    "smg": "sglang-router",
    "vllm-router": "vllm-router",
    "llm-d-routing-sidecar": "llm-d",
    "pd-sidecar": "llm-d",
    "routing-proxy": "llm-d",
}
_ROUTER_FILES = re.compile(r"(?:proxy|router|load_balance)[\w-]*\.py$")
_STARTS = re.compile(r"[A-Za-z_./$-]")
_MODULE_FOLLOWS = re.compile(r"-[a-zA-Z]*m")


def only_speaks(words: Sequence[Word]) -> bool:
    """Tell whether a command starts nothing, whatever its arguments name."""
    return not words or _base(words[0]) in _NO_LAUNCHERS


def engine_of(words: Sequence[Word]) -> Program | None:
    """Return the program of an engine that a command runs, or None."""
    if only_speaks(words) or not _STARTS.match(words[0].value):
        return None
    for index, word in enumerate(words):
        if word.value.endswith(":"):
            # A line of a log that tells of a command.
            return None
        found = _engine_at(words, index, word)
        if found is not None:
            return found
    return None


def serves_vllm(words: Sequence[Word], index: int) -> bool:
    """Tell whether the word at ``index`` starts vLLM by ``serve``: by its name, or as a variable that can be no other.

    ``vllm-rs`` is the server in Rust that vLLM's package brings; it is not on the path, so scripts hold its path in a
    variable. One whose name does not say so is vLLM's if the arguments are: no other program takes a transfer
    configuration.
    """
    word, rest = words[index], words[index + 1 :]
    if not rest or rest[0].value != "serve":
        return False
    if _base(word) in _VLLM_PROGRAMS:
        return True
    if not word.unresolved or not word.value.startswith("$"):
        return False
    return "vllm" in word.value.lower() or any(_TRANSFER.match(one.value) for one in rest)


def implied(words: Sequence[Word], image: str) -> Program | None:
    """Return the program that an image starts by itself, where all words are arguments; None if unknown."""
    if words and is_option(words[0]) and _SERVING_IMAGE.search(image):
        return Program("vllm", tuple(words), words[0].place)
    return None


_BEHIND_PYTHON = 4
"""A script of a router is among the first words of a command: python3, its options, the script."""


def router_of(words: Sequence[Word]) -> Program | None:
    """Return the router that a command runs, or None."""
    if only_speaks(words):
        return None
    for index, word in enumerate(words):
        rest = tuple(words[index + 1 :])
        module = word.value if index and _MODULE_FOLLOWS.fullmatch(words[index - 1].value) else ""
        name = _ROUTER_MODULES.get(module) or _ROUTER_PROGRAMS.get(_base(word))
        if name is None and index < _BEHIND_PYTHON and _ROUTER_FILES.search(word.value):
            name = "proxy"
        if name is None and _base(word) == "trtllm-serve" and rest and rest[0].value == "disaggregated":
            name, rest = "trtllm-serve", rest[1:]
        if name is not None:
            return Program(name, rest, word.place)
    return None


def _engine_at(words: Sequence[Word], index: int, word: Word) -> Program | None:
    rest = tuple(words[index + 1 :])
    following = rest[0].value if rest else ""
    base = _base(word)
    if index and _MODULE_FOLLOWS.fullmatch(words[index - 1].value):
        if word.value == "vllm.entrypoints.cli.main" and following == "serve":
            return Program("vllm", rest[1:], word.place, takes_model=True)
        found = _MODULES.get(word.value)
        if found is not None:
            return Program(found[0], rest, word.place, found[1])
    if base == "sglang" and following == "serve":
        return Program(base, rest[1:], word.place)
    if serves_vllm(words, index):
        front_end = "" if base == "vllm" else "vllm-rs"
        return Program("vllm", rest[1:], word.place, takes_model=True, front_end=front_end)
    if base == "trtllm-serve":
        return _trtllm(rest, word)
    file = _FILES.search(word.value)
    if file is not None:
        name = f"dynamo.{file['dynamo']}" if file["dynamo"] else "vllm" if file["vllm"] else "sglang"
        return Program(name, rest, word.place)
    return None


def _trtllm(rest: tuple[Word, ...], word: Word) -> Program | None:
    following = rest[0].value if rest else ""
    if following in {"disaggregated", "disaggregated_mpi_worker", "mm_embedding_serve", "embeddings", "visual_gen"}:
        return None
    return Program("trtllm", rest[1:] if following == "serve" else rest, word.place, takes_model=True)


def _base(word: Word) -> str:
    return word.value.rpartition("/")[2]
