"""Sessions over ONNX Runtime, OpenVINO and torch: one way to run a network, whatever runs it."""

from __future__ import annotations

from vcam_talker.inference.engines import EngineChoice, PrecisionChoice
from vcam_talker.inference.opening import open_session
from vcam_talker.inference.session import Array, EngineName, Port, Precision, Session, Shape

__all__ = [
    "Array",
    "EngineChoice",
    "EngineName",
    "Port",
    "Precision",
    "PrecisionChoice",
    "Session",
    "Shape",
    "open_session",
]
