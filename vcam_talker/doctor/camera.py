"""Checks of the virtual camera."""

from __future__ import annotations

import os
import sys

from vcam_talker.air.confinement import confinement
from vcam_talker.air.loopback import LoopbackCamera, LoopbackState, read_loopback
from vcam_talker.air.sinks.v4l2 import Camera, find_camera
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
    setup = confinement(machine.root, state) or _SETUP
    if not state.available:
        message = f"no v4l2loopback for kernel {state.kernel}: the page shows the picture"
        return [Finding("camera", "warn", message, setup)]
    if not state.loaded:
        return [Finding("camera", "warn", "v4l2loopback is installed but not loaded", setup)]
    found = [Finding("camera", "ok", f"v4l2loopback {state.version} is loaded".replace("  ", " "))]
    cameras = machine.cameras()
    chosen = _chosen(config, state, cameras)
    if chosen is None:
        there = ", ".join(f"{c.path} '{c.label}'" for c in state.devices) or "none"
        wanted = f"called '{config.camera.label}'" if device == "auto" else f"at {device}"
        return [*found, Finding("camera", "warn", f"no camera {wanted} (there: {there})", setup)]
    return [*found, _check_node(chosen, cameras, machine, setup)]


def _chosen(config: Config, state: LoopbackState, cameras: list[Camera]) -> LoopbackCamera | None:
    """Return the camera the daemon would take; one it can't open counts, to be able to say why."""
    path = config.camera.device
    if path == "auto":
        if labelled := state.by_label(config.camera.label):
            return labelled
        other = find_camera(config.camera.label, config.camera.number, cameras)
        path = other.path if other else ""
    return next((camera for camera in state.devices if camera.path == path), None)


def _check_node(chosen: LoopbackCamera, cameras: list[Camera], machine: Machine, setup: str) -> Finding:
    node = machine.root / chosen.path.lstrip("/")
    shown = f"{chosen.path} '{chosen.label}'"
    if not node.exists():
        remedy = "In a container: hand it in with --device; elsewhere: udevadm trigger"
        return Finding("camera", "fail", f"{shown} has no device node", remedy)
    if not os.access(node, os.R_OK | os.W_OK):
        remedy = "sudo usermod -aG video $USER, then log in again"
        return Finding("camera", "fail", f"this user may not write to {shown}", remedy)
    camera = next((camera for camera in cameras if camera.path == chosen.path), None)
    if camera is None:
        return Finding(
            "camera", "fail", f"{shown} does not answer", "Reload it: sudo modprobe -r v4l2loopback"
        )
    if camera.output and camera.capture:
        # With exclusive_caps a device announces one of the two at a time; Chrome lists nothing else.
        return Finding("camera", "warn", f"{shown} lacks exclusive_caps=1: Chrome does not list it", setup)
    if camera.capture:
        return Finding("camera", "ok", f"{shown} has a writer: the daemon, or another program")
    return Finding("camera", "ok", f"{shown} takes frames")
