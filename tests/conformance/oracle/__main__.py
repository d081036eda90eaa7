"""`python -m tests.conformance.oracle FAMILY VERSION < cases > verdicts`: JSON lists, in one order."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys

MODULES = {
    "hash": "nixl",
    "handshake": "nixl",
    "placement": "nixl",
    "mooncake": "mooncake",
    "moriio": "moriio",
    "config": "transfer_config",
    "parallel": "parallel",
    "mtp": "mtp",
}


def main() -> None:
    """Judge the cases on standard input."""
    family, version = sys.argv[1:3]
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what vLLM prints is no verdict
    cases = json.load(sys.stdin)
    module = importlib.import_module(f"tests.conformance.oracle.{MODULES[family]}")
    logging.disable(logging.CRITICAL)
    judge = getattr(module, f"judge_{family}")
    json.dump([judge(case, version) for case in cases], output)
    output.close()


main()
