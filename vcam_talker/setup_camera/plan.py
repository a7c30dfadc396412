"""What is to be done on which machine. Reads only."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from vcam_talker.air.confinement import confinement
from vcam_talker.air.loopback import MODULE, LoopbackState, read_loopback
from vcam_talker.air.loopback_options import MergedOptions, OptionsLine, add_camera, read_options
from vcam_talker.config import Config
from vcam_talker.setup_camera.module import SECURE_BOOT_NOTE, package_steps, secure_boot
from vcam_talker.setup_camera.step import Run, SetupPlan, Step, query_program

OPTIONS_NAME = "vcam-talker.conf"
LOAD_FILE = Path("etc/modules-load.d/vcam-talker.conf")
_HEADER = "# Written by `vcam-talker setup camera`; `vcam-talker setup camera --remove` takes it away.\n"


def plan(
    config: Config,
    *,
    remove: bool = False,
    root: Path = Path("/"),
    kernel: str = "",
    system: str = sys.platform,
    query: Run = query_program,
) -> SetupPlan:
    """Work out what is to be done for the camera of `config`; reads the machine, changes nothing.

    Blocks for up to a second or two (apt's lists). Never raises.
    """
    camera = config.camera
    if system != "linux":
        return SetupPlan("obs", camera.label, blocker=_elsewhere(system))
    state = read_loopback(root, kernel)
    if remove:
        return _plan_removal(camera.label, state, root)
    if confined := confinement(root, state):
        return SetupPlan(f"/dev/video{camera.number}", camera.label, blocker=confined)
    others = [line for line in read_options(root) if not line.file.name.endswith(OPTIONS_NAME)]
    merged = add_camera(others, state.devices, _real_cameras(root, state), camera.number, camera.label)
    device = f"/dev/video{merged.number}"
    packages, blocker = package_steps(state, root, query)
    if blocker:
        return SetupPlan(device, camera.label, blocker=blocker)

    files = _file_steps(root, others, merged)
    steps = [*packages, *files]
    present = state.by_label(camera.label)
    if files or present is None or present.path != device:
        steps += _load_steps(state)
    steps += _group_step(root, query)
    notes = []
    if kept := sorted({line.file.name for line in others}):
        notes.append(f"Cameras set up in {', '.join(kept)} stay as they are.")
    if merged.number != camera.number:
        notes.append(f"/dev/video{camera.number} belongs to another camera; ours becomes {device}.")
    if packages and secure_boot(root):
        notes.append(SECURE_BOOT_NOTE)
    return SetupPlan(device, camera.label, tuple(steps), tuple(notes))


def _elsewhere(system: str) -> str:
    if system == "darwin":
        return (
            "On macOS the virtual camera is OBS's: install OBS Studio 30 or newer, open it once, choose "
            "'Start Virtual Camera' and allow the extension, then run 'vcam-talker run --camera obs'."
        )
    return (
        "On Windows the virtual camera is OBS's: install OBS Studio 26 or newer, then run 'vcam-talker run "
        "--camera obs' (or --camera unitycapture with UnityCapture installed)."
    )


def _file_steps(root: Path, others: Sequence[OptionsLine], merged: MergedOptions) -> list[Step]:
    """Write the two files, where they differ from what is there."""
    # The last parameter wins, so our file has to be read last.
    last = max((line.file.name for line in others), default="")
    name = OPTIONS_NAME if last < OPTIONS_NAME else f"{last.removesuffix('.conf')}_{OPTIONS_NAME}"
    wanted = {Path("etc/modprobe.d") / name: f"{_HEADER}{merged.line()}\n", LOAD_FILE: f"{_HEADER}{MODULE}\n"}
    steps = []
    for path, content in wanted.items():
        target = root / path
        if not target.is_file() or target.read_text(encoding="utf-8", errors="replace") != content:
            steps.append(
                Step(f"Write /{path}", ("install", "-D", "-m", "644", "/dev/stdin", str(target)), content)
            )
    steps += [
        Step(f"Remove the older {stale.name}", ("rm", "-f", str(stale)))
        for stale in _our_options(root)
        if stale.name != name
    ]
    return steps


def _our_options(root: Path) -> list[Path]:
    return sorted((root / "etc/modprobe.d").glob(f"*{OPTIONS_NAME}"))


def _real_cameras(root: Path, state: LoopbackState) -> list[int]:
    """Return the numbers of cameras that are not v4l2loopback's."""
    numbers = {
        int(node.name.removeprefix("video"))
        for node in (root / "sys/class/video4linux").glob("video*")
        if node.name.removeprefix("video").isdigit()
    }
    return sorted(numbers - {device.number for device in state.devices})


def _load_steps(state: LoopbackState) -> list[Step]:
    in_use = (
        "Close every program that uses a virtual camera (OBS, browsers, calls) and run this again, or reboot"
    )
    unload = Step(
        "Unload the module (its cameras vanish for a moment)", ("modprobe", "-r", MODULE), None, in_use
    )
    load = Step(
        "Load the module now",
        ("modprobe", MODULE),
        None,
        f"See 'dmesg | tail' and 'dkms status'; the module must be built for kernel {state.kernel}",
    )
    return [unload, load] if state.loaded else [load]


def _group_step(root: Path, query: Run) -> list[Step]:
    """Add the user to the group that owns cameras, where it is not a member; root needs no group."""
    import pwd  # not on Windows

    user = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    if user == "root" or not (root / "etc/group").is_file():
        return []
    groups = query(["id", "-nG", user], None)
    if groups.returncode or "video" in groups.stdout.split():
        return []
    title = f"Let {user} write to cameras (from the next login on)"
    return [Step(title, ("usermod", "-aG", "video", user), None, "Add the user to the group 'video' by hand")]


def _plan_removal(label: str, state: LoopbackState, root: Path) -> SetupPlan:
    files = [*_our_options(root), *([root / LOAD_FILE] if (root / LOAD_FILE).exists() else [])]
    steps = [Step(f"Remove {file.name}", ("rm", "-f", str(file))) for file in files]
    present = state.by_label(label)
    if files and present:
        steps += _load_steps(state) if len(state.devices) > 1 else _load_steps(state)[:1]
    notes = ("The package v4l2loopback-dkms stays; 'apt-get remove v4l2loopback-dkms' takes it away.",)
    device = present.path if present else ""
    return SetupPlan(device, label, tuple(steps), notes if steps else ())
