"""What the processor is, and how much of it this process may have."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vcam_talker.inference.threads import read_text, spare_threads, usable_cores

_BFLOAT16_FLAGS: Final = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
"""Of x86 and, the last one, of ARM, as the kernel names them."""
_FAMILIES: Final = (("amx_tile", "AMX"), ("avx512f", "AVX-512"), ("avx2", "AVX2"), ("asimd", "NEON"))
_CAP: Final = "ONEDNN_MAX_CPU_ISA"
_NARROW: Final = frozenset({"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2"})
"""Values of it without AVX-512, let alone AMX."""


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor as the kernel describes it; fields are empty where it doesn't."""

    name: str
    flags: frozenset[str]
    cores: int
    """Physical ones that this process may keep busy, by its affinity and its quota."""

    @property
    def computes_bfloat16(self) -> bool:
        """Whether it multiplies bfloat16 itself."""
        return not _BFLOAT16_FLAGS.isdisjoint(self.flags)

    @property
    def family(self) -> str:
        """The widest instruction set that networks profit from."""
        return next((shown for flag, shown in _FAMILIES if flag in self.flags), platform.machine())

    @property
    def spare_threads(self) -> int:
        """How many threads to compute on: one core is left to picture and sound.

        For what uses all that it gets: language models. Networks have `net_threads`.
        """
        return spare_threads(self.cores)


def this_processor(root: Path = Path("/")) -> Processor:
    """Look at this machine; reads a few small files under `root`, never raises.

    Where the environment forbids OpenVINO the wide instructions, they are not told of: asked for bfloat16
    all the same, it may crash.
    """
    name, flags = "", frozenset[str]()
    for line in read_text(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        match key.strip():
            case "model name" if not name:
                name = " ".join(value.split())
            case "flags" | "Features" if not flags:
                flags = frozenset(value.split())
    if os.environ.get(_CAP, "").upper() in _NARROW:
        flags = frozenset(flag for flag in flags if not flag.startswith(("avx512", "amx")))
    return Processor(name or platform.processor() or platform.machine(), flags, usable_cores(root))
