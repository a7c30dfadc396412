"""vcam_talker: a talking person on a virtual webcam and a virtual microphone, around the clock."""

import os

__version__ = "0.1.0"

# Nothing leaves this machine unless its user says so. ONNX Runtime keeps a device id and reports every model
# that it loads; what fetches models from a hub tells it of machine and libraries. Both look here on import.
for _name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY"):
    os.environ.setdefault(_name, "1")
