"""Decodes the JPEG on stdin and lets libjpeg write to stderr what it has to say of it. Run as a file.

A process of its own: libjpeg, in OpenCV, hands its warnings to nobody, but writes them to stderr.
"""

from __future__ import annotations

import sys

import cv2
import numpy as np


def main() -> None:
    """Decode: all of the coded data, an eighth of the picture's size."""
    raw = np.frombuffer(sys.stdin.buffer.read(), np.uint8)
    cv2.imdecode(raw, cv2.IMREAD_REDUCED_GRAYSCALE_8)


if __name__ == "__main__":
    main()
