"""Memory that a loaded network no longer needs, and memory that there was too little of."""

from __future__ import annotations

import ctypes
import re
import sys
from typing import Final

_LACKED: Final = re.compile(
    r"out of memory|out_?of_?memory|(not enough|insufficient) memory|memory allocation failed|bad_?alloc"
    r"|ALLOC_FAILED|MemoryAllocation|(failed to|can't|cannot|could not) (be )?alloc|could not be allocated"
    r"|available memory of \S+ is smaller",
    re.IGNORECASE,
)
"""As ONNX Runtime, CUDA, cuBLAS, cuDNN, TensorRT, OpenVINO and torch say it."""


def give_back_freed() -> None:
    """Hand what was freed back to the system (malloc_trim(3); only glibc has it). Milliseconds.

    Loading leaves the file's copy of the weights in the allocator: 140 MB of a network of 145 MB.
    """
    if sys.platform != "linux":
        return
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:  # musl
        return


def lacked_memory(error: BaseException) -> bool:
    """Tell whether an engine failed for want of memory, the machine's or the GPU's, by all that led to it."""
    cause: BaseException | None = error
    while cause is not None:  # the error itself may be cut to a line, before it comes to the reason
        if isinstance(cause, MemoryError) or _LACKED.search(str(cause)):
            return True
        cause = cause.__cause__
    return False
