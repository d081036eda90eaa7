"""The families of cases."""

from __future__ import annotations

from tests.conformance.families import mooncake, moriio, mtp, nixl, parallel, transfer_config
from tests.conformance.families.base import Family

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        nixl.HASH,
        nixl.HANDSHAKE,
        nixl.PLACEMENT,
        parallel.PARALLEL,
        mtp.MTP,
        mooncake.MOONCAKE,
        moriio.MORIIO,
        transfer_config.CONFIG,
    )
}
