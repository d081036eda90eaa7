"""`--kv-transfer-config` by vLLM's own class and factory."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter, ValidationError
from vllm.config.kv_transfer import KVTransferConfig
from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory

from tests.conformance.families.transfer_config import object_of
from tests.conformance.oracle.raised import where

_ADAPTER = TypeAdapter(KVTransferConfig)


def judge_config(case: dict[str, Any], _version: str) -> tuple[str, str]:
    """Return whether the parser takes the object and the factory knows its connector."""
    try:
        config = _ADAPTER.validate_json(json.dumps(object_of(case)))
    except ValidationError as error:
        return "reject", f"ValidationError {error.errors()[0]['type']}"
    if config.kv_connector is None:
        return "accept", ""
    try:
        KVConnectorFactory.get_connector_class(config)
    except ValueError as error:
        return "reject", where(error)
    except ImportError:
        # The connector's own dependencies are not installed here.
        return "accept", ""
    return "accept", ""
