"""Which accelerator a product's name or a machine type of a cloud stands for."""

from __future__ import annotations

import re

from hetpd_cli.tables import row

MACHINE_TYPES = (
    (r"p4d\.24xlarge|p4d", "a100-sxm-40gb"),
    (r"p4de\.24xlarge|p4de", "a100-sxm-80gb"),
    (r"p5\.(?:4|48)xlarge|p5", "h100-sxm"),
    (r"p5en?\.48xlarge|p5en?", "h200-sxm"),
    (r"p6-b200(?:\.48xlarge)?", "b200-sxm"),
    (r"p6-b300(?:\.48xlarge)?", "b300-sxm"),
    (r"(?:p6e|u-p6e)-gb200(?:\..+)?", "gb200"),
    (r"g5(?:\..+)?", "a10"),
    (r"g6(?:\..+)?", "l4"),
    (r"g6e(?:\..+)?", "l40s"),
    (r"g7e(?:\..+)?", "rtx-pro-6000-blackwell"),
    (r"trn2(?:\..+)?", "trainium2"),
    (r"inf2(?:\..+)?", "inferentia2"),
    (r"a2-(?:highgpu|megagpu)-\d+g", "a100-sxm-40gb"),
    (r"a2-ultragpu-\d+g", "a100-sxm-80gb"),
    (r"a3-(?:highgpu|megagpu|edgegpu)-\d+g", "h100-sxm"),
    (r"a3-ultragpu-\d+g", "h200-sxm"),
    (r"a4-highgpu-\d+g", "b200-sxm"),
    (r"a4x-highgpu-\d+g.*", "gb200"),
    (r"g2-standard-\d+", "l4"),
    (r"ct5lp-.+", "tpu-v5e"),
    (r"ct5p-.+", "tpu-v5p"),
    (r"ct6e-.+", "tpu-v6e"),
    (r"tpu7x-.+", "tpu7x"),
    (r"standard_nd96asr_v4", "a100-sxm-40gb"),
    (r"standard_nd96amsr_a100_v4", "a100-sxm-80gb"),
    (r"standard_nd96isrf?_h100_v5", "h100-sxm"),
    (r"standard_nd96isr_h200_v5", "h200-sxm"),
    (r"standard_nd96isr_mi300x_v5", "mi300x"),
    (r"standard_nd128isr_ndr_gb200_v6", "gb200"),
    (r"standard_nd128isr_gb300_v6", "gb300"),
    (r"standard_nc\d+adi?s_h100_v5", "h100-nvl"),
    (r"standard_nc\d+ads_a100_v4", "a100-pcie-80gb"),
    (r"bm\.gpu4\.8", "a100-sxm-40gb"),
    (r"bm\.gpu\.a100-v2\.8", "a100-sxm-80gb"),
    (r"bm\.gpu\.h100\.8", "h100-sxm"),
    (r"bm\.gpu\.h200\.8", "h200-sxm"),
    (r"bm\.gpu\.b200\.8", "b200-sxm"),
    (r"bm\.gpu\.gb200\.4", "gb200"),
    (r"bm\.gpu\.mi300x\.8", "mi300x"),
)
"""Machine types of AWS, Google, Azure and OCI, with the accelerator that the vendor's page of the type names."""


def accelerator_of_name(name: str) -> str | None:
    """Return the id of the accelerator that a product name or a machine type stands for."""
    bare = re.sub(r"-(?:SHARED|MIG-.+)$", "", name.strip())
    for spelt in (bare, bare.replace("_", "-"), bare.replace("-", "_")):
        found = row("accelerators", spelt)
        if found is not None:
            return str(found["id"])
    lower = bare.lower().removeprefix("ml.")  # SageMaker names the machines of EC2 so
    return next((accelerator for pattern, accelerator in MACHINE_TYPES if re.fullmatch(pattern, lower)), None)
