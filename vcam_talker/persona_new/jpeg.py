"""Tells whether a JPEG file is damaged inside.

Decoders repair what they can and call it success; what they say meanwhile is all there is to go by. Skia says
nothing, libjpeg writes warnings to its process's stderr: so that process is one of its own, `jpeg_warnings`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

_PROGRAM: Final = Path(__file__).with_name("jpeg_warnings.py")
_TIMEOUT_S: Final = 60.0
_MAGIC: Final = b"\xff\xd8"
_BROKEN: Final = re.compile(
    rb"premature end of data|bad Huffman code|bad arithmetic code|found marker 0x[0-9a-f]+ instead of RST"
)
_LEFT_OVER: Final = re.compile(rb"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")


def is_damaged_jpeg(raw: bytes) -> bool:
    """Return whether the coded data of a JPEG file are damaged; False of all else, and when in doubt.

    Starts a program; blocks for half a second, for more with a large picture.
    """
    if not raw.startswith(_MAGIC):
        return False
    told = _warnings(raw)
    if _BROKEN.search(told):
        return True
    found = _LEFT_OVER.search(told)
    return found is not None and not _is_padding(raw, int(found[1]), int(found[2], 16))


def _warnings(raw: bytes) -> bytes:
    # -P: a file cv2.py of the user's folder is not for us to import.
    argv = [sys.executable, "-P", str(_PROGRAM)]
    try:
        done = subprocess.run(argv, input=raw, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return b""
    return done.stderr


def _is_padding(raw: bytes, count: int, marker: int) -> bool:
    """Return whether bytes that nothing was coded in, before a marker, are all the same: some cameras pad."""
    sign = bytes((0xFF, marker))
    at = raw.find(sign)
    while at >= 0:
        # A few more or less are taken for coded data: their last bits.
        left = raw[max(at - count, 0) : at]
        if len(left) == count and len(set(left)) <= 1:
            return True
        at = raw.find(sign, at + 2)
    return False
