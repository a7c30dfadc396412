"""Checks of the virtual camera."""

from __future__ import annotations

import os
import sys

from vcam_talker.air.loopback import LoopbackDevice, LoopbackState, read_loopback
from vcam_talker.config import Config
from vcam_talker.doctor.finding import Finding, Machine

_SETUP = "Run 'vcam-talker setup camera'"


def check_camera(config: Config, machine: Machine) -> list[Finding]:
    """Look at the module, the device, its label, its capabilities and who may write to it."""
    device = config.camera.device
    if device == "null" or device.startswith("file:"):
        return [Finding("camera", "ok", f"camera is '{device}': no device needed")]
    if sys.platform != "linux":
        return [Finding("camera", "ok", "the camera is OBS's; start it there once")]
    state = read_loopback(machine.root)
    if not state.available:
        message = f"no v4l2loopback for kernel {state.kernel}: the page shows the picture"
        return [Finding("camera", "warn", message, _SETUP)]
    if not state.loaded:
        return [Finding("camera", "warn", "v4l2loopback is installed but not loaded", _SETUP)]
    found = [Finding("camera", "ok", f"v4l2loopback {state.version} is loaded".replace("  ", " "))]
    chosen = _chosen(config, state)
    if chosen is None:
        there = ", ".join(f"{d.path} '{d.label}'" for d in state.devices) or "none"
        wanted = f"called '{config.camera.label}'" if device == "auto" else f"at {device}"
        return [*found, Finding("camera", "warn", f"no camera {wanted} (there: {there})", _SETUP)]
    return [*found, *_check_device(chosen, machine)]


def _chosen(config: Config, state: LoopbackState) -> LoopbackDevice | None:
    if config.camera.device == "auto":
        return state.by_label(config.camera.label)
    return next((device for device in state.devices if device.path == config.camera.device), None)


def _check_device(device: LoopbackDevice, machine: Machine) -> list[Finding]:
    node = machine.root / device.path.lstrip("/")
    shown = f"{device.path} '{device.label}'"
    if not node.exists():
        remedy = "In a container: hand it in with --device; elsewhere: udevadm trigger"
        return [Finding("camera", "fail", f"{shown} has no device node", remedy)]
    if not os.access(node, os.R_OK | os.W_OK):
        remedy = "sudo usermod -aG video $USER, then log in again"
        return [Finding("camera", "fail", f"this user may not write to {shown}", remedy)]
    return [Finding("camera", "ok", f"{shown} can be written to")]
