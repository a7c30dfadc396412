"""Places whose kernel can't be changed from inside: the camera has to come from elsewhere."""

from __future__ import annotations

from pathlib import Path

from vcam_talker.air.loopback import LoopbackState

_CONTAINER_MARKS = (".dockerenv", "run/.containerenv", "run/systemd/container")
_CONTAINER = (
    "This is a container: the camera must be made on the host (run 'vcam-talker setup camera' there) and "
    "handed in, for Docker with --device /dev/video10. Everything but the camera works without."
)
_WSL = (
    "This is WSL: its kernel comes without v4l2loopback and takes no packages. Run vcam_talker on Windows "
    "itself with OBS's virtual camera, or use the preview page."
)


def confinement(root: Path, state: LoopbackState) -> str:
    """Return why no camera can be made from inside this place, and what to do instead; or nothing.

    Reads files under `root` only; never raises.
    """
    if state.available:
        # A privileged container, a virtual machine on somebody's root, a WSL kernel of the user's own.
        return ""
    if any((root / mark).exists() for mark in _CONTAINER_MARKS):
        return _CONTAINER
    return _WSL if "microsoft" in state.kernel.lower() else ""
