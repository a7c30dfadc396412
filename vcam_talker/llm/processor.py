"""What this machine's processor computes with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_CPUINFO: Final = Path("/proc/cpuinfo")
_BFLOAT16_FLAGS: Final = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
"""Of x86 and, the last one, of ARM, as the kernel names them."""


def computes_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Tell whether the processor multiplies bfloat16 itself; False where that can't be told."""
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    for line in text.splitlines():
        name, _, flags = line.partition(":")
        if name.strip() in {"flags", "Features"}:
            return not _BFLOAT16_FLAGS.isdisjoint(flags.split())
    return False


def default_threads() -> int:
    """Return how many cores to compute on: one is left to picture and sound."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)
