"""Checks prefill-decode disaggregated LLM serving deployments at their boundary."""

__version__ = "0.1.0"
