"""Facts about compute placement: device, precision path, ranks, engine version."""

from __future__ import annotations

import re

from hetpd_cli.facts.registry import Derivation, Found, add, derived
from hetpd_cli.facts.values import Unknown, Value
from hetpd_cli.tables import cell, row
from hetpd_cli.versions import is_version

_IMAGE_VERSION = re.compile(r":v?(\d+\.\d+(?:\.\d+)?(?:\.?(?:post|rc|dev)\d+)*)(?:[-_+][\w.\-]*)?\Z")
_ENGINE_IMAGES = ("vllm/vllm-openai", "lmsysorg/sglang", "vllm/vllm-openai-rocm")


def _accelerator_column(path: str, column: str, description: str, result: str) -> None:
    def look_up(accelerator: str) -> Found | Unknown:
        found = cell("accelerators", accelerator, column)
        if found is None:
            return Unknown(f"the accelerator table has no {column} for {accelerator}")
        return Found(found.value, f"accelerator table, {accelerator} ({', '.join(found.source)}; {found.confidence})")

    inputs = ("accelerator",)
    add(Derivation("pool", path, None, inputs, frozenset(), look_up, description, result))


_accelerator_column("accelerator.vendor", "vendor", "Vendor of the pool's device.", "text")
_accelerator_column("accelerator.formats", "formats", "Element types that the device's matrix units multiply.", "list")
_accelerator_column("accelerator.memory_gb", "memory_gb", "Nameplate memory of one device.", "number")


@derived("pool", "accelerator.multiplies_8_bit", result="boolean")
def multiplies_8_bit(accelerator__formats: tuple[str, ...]) -> bool:
    """Whether the device's matrix units multiply an 8-bit format (FP8 or INT8)."""
    return any(_FAMILY.get(name, name) in {"fp8", "int8"} for name in accelerator__formats)


@derived("handoff", "two_device_kinds", result="boolean")
def two_device_kinds(prefill__accelerator: str, decode__accelerator: str) -> bool | Found | Unknown:
    """Whether the two pools run on two kinds of device, whatever names they are given."""
    if prefill__accelerator.lower() == decode__accelerator.lower():
        return False
    rows = [row("accelerators", name) for name in (prefill__accelerator, decode__accelerator)]
    if rows[0] is None or rows[1] is None:
        return Unknown("a device is not known, and may be the other one under another name")
    return Found(rows[0]["id"] != rows[1]["id"], "ids of the accelerator table")


_FAMILIES = {
    "fp8": ("fp8_e4m3", "fp8_e4m3fnuz", "fp8_e5m2", "fp8_e5m2fnuz"),
    "fp4": ("fp4", "fp4_e2m1", "nvfp4", "mxfp4"),
}
"""Element types that an engine maps to whichever member of the family the device has (FP8 weights on MI300X)."""
_FAMILY = {member: family for family, members in _FAMILIES.items() for member in members}


@derived("pool", "precision.executable", result="boolean")
def precision_executable(accelerator: str, precision__activations: str) -> bool | Found | Unknown:
    """Whether the device's matrix units multiply in the element type of the activations (paper, T2 and BP-2).

    FP32 runs everywhere. A row of the table that is not verified says nothing by what it leaves out.
    """
    if precision__activations == "fp32":
        return True
    found = cell("accelerators", accelerator, "formats")
    if found is None or not isinstance(found.value, tuple):
        return Unknown(f"the accelerator table has no formats for {accelerator}")
    wanted = _FAMILY.get(precision__activations, precision__activations)
    executable = wanted in {_FAMILY.get(str(name), name) for name in found.value}
    if not executable and found.confidence == "unverified":
        return Unknown(f"the formats of {accelerator} are not verified")
    return Found(executable, f"accelerator table, {accelerator} ({', '.join(found.source)}; {found.confidence})")


@derived(
    "pool",
    "parallelism.ranks",
    unit="rank",
    result="integer",
    lenient=("parallelism.pp", "parallelism.dp", "parallelism.cp", "parallelism.dp_attention"),
)
def ranks(
    engine__name: str,
    parallelism__tp: int,
    parallelism__pp: Value,
    parallelism__dp: Value,
    parallelism__cp: Value,
    parallelism__dp_attention: Value,
) -> Value:
    """Ranks of one worker by the engine's convention.

    vLLM: TP x PP x DP x CP, decode context parallel ranks are carved out of TP. SGLang: TP x PP, times DP unless
    attention is data parallel inside the TP group; CP ranks are carved out of TP. Source: reference notes on
    vLLM 0.24-0.33 and SGLang 0.5.14-0.5.23 parallel state. Other engines: not known here.
    """
    factors: list[Value] = [parallelism__tp, parallelism__pp]
    if engine__name in {"vllm", "vllm-ascend"}:
        factors += [parallelism__dp, parallelism__cp]
    elif engine__name == "sglang":
        if parallelism__dp_attention is not True and parallelism__dp != 1:
            if isinstance(parallelism__dp_attention, Unknown):
                return Unknown("not known without parallelism.dp_attention")
            factors.append(parallelism__dp)
    else:
        return Unknown(f"how {engine__name} counts ranks is not known")
    product = 1
    for factor in factors:
        if not isinstance(factor, int):
            return Unknown("not known without every parallel size")
        product *= factor
    return product


@derived(
    "pool",
    "parallelism.attention_tp",
    unit="rank",
    result="integer",
    lenient=("parallelism.dp", "parallelism.cp", "parallelism.dp_attention"),
)
def attention_tp(
    engine__name: str,
    parallelism__tp: int,
    parallelism__dp: Value,
    parallelism__cp: Value,
    parallelism__dp_attention: Value,
) -> Value:
    """Ranks that share the heads of one sequence: TP, in SGLang divided by DP (with DP attention) and by CP.

    Source: sglang 0.5.14 layers/dp_attention.py, compute_dp_attention_world_info.
    """
    if engine__name != "sglang":
        return parallelism__tp
    shared = 1 if parallelism__dp_attention is False else parallelism__dp
    if isinstance(parallelism__dp_attention, Unknown) and parallelism__dp != 1:
        return Unknown("not known without parallelism.dp_attention")
    if not isinstance(shared, int) or not isinstance(parallelism__cp, int):
        return Unknown("not known without parallelism.dp and parallelism.cp")
    return max(1, parallelism__tp // (shared * parallelism__cp))


@derived("pool", "engine.version")
def version_from_image(engine__image: str) -> Value | Found:
    """Release of the engine as its image's tag gives it, for the engines' own images."""
    match = _IMAGE_VERSION.search(engine__image)
    if (
        match is None
        or not is_version(match[1])
        or not engine__image.startswith(tuple(f"{image}:" for image in _ENGINE_IMAGES))
    ):
        pinned = "@sha256:" in engine__image
        return Unknown(f"image {engine__image} names no version", None, engine__image if pinned else None)
    return Found(match[1], f"tag of image {engine__image}")
