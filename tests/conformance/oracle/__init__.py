"""Runs vLLM's own functions on cases. Needs torch and vLLM's Python dependencies; the source of vLLM is on the path.

Nothing here imports hetpd. A family's module has a function `judge(case, version)` that returns verdict and reason.
"""
