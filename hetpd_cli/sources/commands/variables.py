"""Variables of the environment that a release of vLLM refuses or no longer reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.commands.faults import exact_release, fault
from hetpd_cli.sources.commands.words import place_of
from hetpd_cli.tables import covers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.sources.commands.context import Context
    from hetpd_cli.sources.launch import Word
    from hetpd_cli.sources.problems import Problem


class Gone(NamedTuple):
    """Releases that do not read a variable, what took its place, and the connector that it is about."""

    of: str
    instead: str
    connector: str = ""


_MORIIO = ">=0.23,<0.34"
GONE = {
    "VLLM_NIXL_ABORT_REQUEST_TIMEOUT": Gone(">=0.22,<0.34", "kv_lease_duration of kv_connector_extra_config", "nixl"),
    "VLLM_ATTENTION_BACKEND": Gone(">=0.16,<0.34", "--attention-backend"),
    "VLLM_MORIIO_CONNECTOR_READ_MODE": Gone(_MORIIO, "read_mode of kv_connector_extra_config", "moriio"),
    "VLLM_MORIIO_QP_PER_TRANSFER": Gone(_MORIIO, "qp_per_transfer of kv_connector_extra_config", "moriio"),
    "VLLM_MORIIO_POST_BATCH_SIZE": Gone(_MORIIO, "post_batch_size of kv_connector_extra_config", "moriio"),
    "VLLM_MORIIO_NUM_WORKERS": Gone(_MORIIO, "num_workers of kv_connector_extra_config", "moriio"),
}
"""Variables that releases of vLLM read no longer (``vllm/envs.py`` of 0.11 to 0.33)."""

_TWO = ("NHD", "HND")
_ALL = ("LBNHC", "LBHNC", "LHBNC", "NHD", "HND", "BLHNC", "BLNHC", "BHLNC")
CHOICES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "VLLM_KV_CACHE_LAYOUT": (("<0.29", _TWO), (">=0.29,<0.34", _ALL)),
    "VLLM_SSM_CONV_STATE_LAYOUT": ((">=0.20,<0.34", ("SD", "DS")),),
}
"""Variables with a closed list of values, by release (``env_with_choices``); upper and lower case differ."""


def gone(name: str, release: str | None) -> bool:
    """Tell whether a release of vLLM is known not to read a variable."""
    found = GONE.get(name)
    return found is not None and release is not None and covers(found.of, release)


def variable_faults(context: Context) -> Iterator[Problem]:
    """Yield the variables of a command that its release does not read, or whose value it refuses."""
    release = exact_release(context)
    connector = context.settings.text("connector.name")
    for name, word in context.env.items():
        if word.unresolved or not word.value or "$" in word.value:
            continue
        found = GONE.get(name)
        if found is not None and gone(name, release) and found.connector in {"", connector}:
            message = f"{name} is set, and vllm {release} does not read it"
            yield fault("idle-variable", message, place_of(word), "not read by this release", f"use {found.instead}")
        elif name in CHOICES:
            yield from _refused(name, word, release)


def _refused(name: str, word: Word, release: str | None) -> Iterator[Problem]:
    """Yield a value that the release refuses; of an unknown one, a value that no release takes."""
    lists = [words for of, words in CHOICES[name] if release is None or covers(of, release)]
    if not lists or any(word.value in words for words in lists):
        return
    message = f"{name} is {word.value}, and vLLM takes {', '.join(lists[-1])}"
    yield fault("refused-variable-value", message, place_of(word), "refused at start")
