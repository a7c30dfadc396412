"""The NVIDIA GPU of this machine, asked through its driver; nothing is imported, nothing allocated."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from functools import lru_cache
from typing import Final

_DRIVERS: Final = {"win32": "nvcuda.dll"}
_TENSORRT: Final = {"win32": "nvinfer_10.dll"}
_NAME_BYTES: Final = 256


@lru_cache(maxsize=1)
def gpu_name() -> str:
    """Return the first GPU's name (CUDA driver API, cuDeviceGetName); empty without one. Never raises."""
    try:
        driver = ctypes.CDLL(_DRIVERS.get(sys.platform, "libcuda.so.1"))
        device = ctypes.c_int()
        name = ctypes.create_string_buffer(_NAME_BYTES)
        if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0):
            return ""
        return (
            "" if driver.cuDeviceGetName(name, _NAME_BYTES, device) else name.value.decode(errors="replace")
        )
    except (OSError, AttributeError):
        return ""


def tensorrt_version() -> str:
    """Return the version of TensorRT's library; empty when it can't be loaded. Never raises."""
    try:
        return str(ctypes.CDLL(_TENSORRT.get(sys.platform, "libnvinfer.so.10")).getInferLibVersion())
    except (OSError, AttributeError):
        return ""
