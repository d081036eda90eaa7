"""Facts about the workload: what follows from shapes, rates and objectives that are stated."""

from __future__ import annotations

from typing import Any

from hetpd_cli.facts.quantities import calculated
from hetpd_cli.facts.registry import derived
from hetpd_cli.facts.values import Unknown, Value
from hetpd_cli.physics.operations import maximum


@derived("workload", "request_tokens", unit="token", result="number")
def request_tokens(input_tokens: float, output_tokens: float) -> Any:
    """Tokens of a mean request when it ends: prompt and output."""
    return calculated(lambda prompt, output: prompt + output, input_tokens, output_tokens)


@derived("workload", "uncached_tokens", unit="token", result="number")
def uncached_tokens(input_tokens: float, prefix_hit_rate: float) -> Any:
    """Prompt tokens of a mean request that no cache holds: prompt times one minus the share of hits."""
    return calculated(lambda prompt, hits: prompt * (1 - hits), input_tokens, prefix_hit_rate)


@derived("workload", "uncached_tokens_per_s", unit="token/s", result="number")
def uncached_tokens_per_s(rate_per_s: float, uncached_tokens: float) -> Any:
    """Prompt tokens offered per second that no cache holds."""
    return calculated(lambda rate, tokens: rate * tokens, rate_per_s, uncached_tokens)


def _disagreement(tokens_per_s: float, requests_per_s: float, tokens: float) -> Any:
    """Return by what factor two statements of one throughput differ, at least one."""
    ratio = calculated(lambda stated, rate, each: stated / (rate * each), tokens_per_s, requests_per_s, tokens)
    return ratio if isinstance(ratio, Unknown) else calculated(lambda one: maximum(one, 1 / one), ratio)


@derived("workload", "measured.prompt_disagreement", result="number")
def prompt_disagreement(
    measured__prompt_tokens_per_s: float, measured__requests_per_s: float, input_tokens: float
) -> Any:
    """Factor between prompt tokens per second as measured and as requests per second times prompt tokens."""
    return _disagreement(measured__prompt_tokens_per_s, measured__requests_per_s, input_tokens)


@derived("workload", "measured.output_disagreement", result="number")
def output_disagreement(
    measured__output_tokens_per_s: float, measured__requests_per_s: float, output_tokens: float
) -> Any:
    """Factor between output tokens per second as measured and as requests per second times output tokens."""
    return _disagreement(measured__output_tokens_per_s, measured__requests_per_s, output_tokens)


_TTFT = ("slo.ttft_p50_s", "slo.ttft_p90_s", "slo.ttft_p99_s")


@derived("workload", "slo.ttft_typical_s", unit="s", result="number", lenient=_TTFT)
def ttft_typical(slo__ttft_p50_s: Value, slo__ttft_p90_s: Value, slo__ttft_p99_s: Value) -> Value:
    """TTFT objective of the lowest percentile that has one."""
    return _first_known(slo__ttft_p50_s, slo__ttft_p90_s, slo__ttft_p99_s)


def _first_known(*objectives: Value) -> Value:
    for objective in objectives:
        if not isinstance(objective, Unknown):
            return objective
    return Unknown("no TTFT objective is stated")
