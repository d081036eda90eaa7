"""Which line of vLLM raised, and what an engine refuses by itself."""

from __future__ import annotations

import traceback
from pathlib import Path


def where(error: BaseException) -> str:
    """Return the exception's name and the line of vLLM that raised it, as `RuntimeError nixl/base_worker.py:1660`."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/vllm/" in frame.filename]
    if not frames:
        return type(error).__name__
    path = Path(frames[-1].filename)
    return f"{type(error).__name__} {path.parent.name}/{path.name}:{frames[-1].lineno}"


def splits_heads(kv_heads: int, tp: int, *, latent: bool) -> None:
    """Split the KV heads over the ranks as QKVParallelLinear does, with vLLM's own `divide`."""
    from vllm.distributed.utils import divide

    if latent:
        return
    if tp >= kv_heads:
        divide(tp, kv_heads)
    else:
        divide(kv_heads, tp)
