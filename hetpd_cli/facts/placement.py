"""Facts about compute placement: device, precision path, ranks, engine version."""

from __future__ import annotations

from hetpd_cli.facts.registry import Derivation, Found, add, derived
from hetpd_cli.facts.values import Unknown, Value
from hetpd_cli.tables import cell, row
from hetpd_cli.tables.images import platform_of, release_of, tag_of


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
    vLLM 0.24-0.33 and SGLang 0.5.14-0.5.23 parallel state. TensorRT-LLM: TP x PP x CP; experts and data parallel
    attention are carved out of TP (tensorrt_llm/mapping.py). Other engines: not known here.
    """
    factors: list[Value] = [parallelism__tp, parallelism__pp]
    if engine__name in {"vllm", "vllm-ascend"}:
        factors += [parallelism__dp, parallelism__cp]
    elif engine__name == "sglang":
        if parallelism__dp_attention is not True and parallelism__dp != 1:
            if isinstance(parallelism__dp_attention, Unknown):
                return Unknown("not known without parallelism.dp_attention")
            factors.append(parallelism__dp)
    elif engine__name == "tensorrt-llm":
        factors.append(parallelism__cp)
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
    """Release of the engine that is in an image, by the table of images.

    An image whose tag tells no release is one release on both sides, if both name it: by digest, or by a tag that is
    not meant to move.
    """
    found = release_of(engine__image)
    if found is not None:
        return Found(found.value, f"image {engine__image} ({', '.join(found.source)}; {found.confidence})")
    fixed = "@sha256:" in engine__image or tag_of(engine__image) not in _MOVING
    return Unknown(f"image {engine__image} names no version", None, engine__image if fixed else None)


_MOVING = (None, "latest", "nightly", "main", "master", "dev", "edge", "head")
"""Tags that are given to another image from one day to the next."""


_PLATFORM_OF = {
    "NVIDIA": "cuda",
    "AMD": "rocm",
    "Huawei": "npu",
    "Google": "tpu",
    "Moore Threads": "musa",
}
"""Vendors whose devices an engine reaches by one platform."""


@derived("pool", "accelerator.platform")
def accelerator_platform(accelerator__vendor: str) -> Value:
    """Platform by which an engine reaches the device: cuda, rocm, npu, tpu, musa."""
    found = _PLATFORM_OF.get(accelerator__vendor)
    return (
        Unknown(f"devices of {accelerator__vendor} are reached by more than one platform") if found is None else found
    )


@derived("pool", "engine.built_for")
def built_for(engine__image: str) -> Value | Found:
    """Platform that the engine in the image is built for: cuda, rocm, xpu, cpu, npu, hpu."""
    found = platform_of(engine__image)
    if found is None:
        return Unknown(f"the platform of image {engine__image} is not known")
    return Found(found.value, f"image {engine__image} ({', '.join(found.source)}; {found.confidence})")
