"""`vcam-talker setup camera`: plan what the machine needs for a virtual camera, show it, ask, do it.

Planning only reads. Devices of other programs stay: their options are carried into ours.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vcam_talker.air.loopback import MODULE, LoopbackState, read_loopback
from vcam_talker.air.loopback_options import MergedOptions, OptionsLine, add_camera, read_options
from vcam_talker.config import Config
from vcam_talker.core.errors import ConfigError, DeviceError

OPTIONS_NAME = "vcam-talker.conf"
PROGRAM_MISSING = 127
"""The shell's exit code for a program that is not there."""
LOAD_FILE = Path("etc/modules-load.d/vcam-talker.conf")
_HEADER = "# Written by `vcam-talker setup camera`; `vcam-talker setup camera --remove` takes it away.\n"

_SECURE_BOOT_NOTE = (
    "Secure Boot is on: the module built here is refused until its key is enrolled. If loading fails: "
    "'mokutil --import /var/lib/dkms/mok.pub' (Ubuntu: /var/lib/shim-signed/mok/MOK.der), reboot, choose "
    "'Enroll MOK', and run this again."
)

Run = Callable[[Sequence[str], str | None], "subprocess.CompletedProcess[str]"]
"""Runs a program to its end with a text on its standard input (or none); never raises for an exit code."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change: a file written, or a program run as root."""

    title: str
    argv: tuple[str, ...]
    content: str | None = None
    """Text for the program's standard input: the whole new file."""
    remedy: str = ""
    """What to do when this step fails."""


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """Everything that would change, in order; empty steps and no blocker: all is set up."""

    device: str
    label: str
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    blocker: str = ""
    """Why nothing can be done here, and what to do instead."""


def run_program(argv: Sequence[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `argv` to its end; its output goes to the terminal. Blocks. Raises OSError when it can't start."""
    return subprocess.run(list(argv), input=stdin, text=True, check=False)


def query_program(argv: Sequence[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a quick read-only program and capture its output; a missing or hung one counts as failed."""
    try:
        return subprocess.run(
            list(argv), input=stdin, text=True, check=False, capture_output=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return subprocess.CompletedProcess(list(argv), PROGRAM_MISSING, "", "")


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

    Blocks for up to a second or two (apt's lists). Raises ConfigError for a label the kernel can't take.
    """
    camera = config.camera
    if system != "linux":
        return SetupPlan("obs", camera.label, blocker=_elsewhere(system))
    if re.search(r'[",\\\x00-\x1f]', camera.label):
        raise ConfigError(
            f"camera.label '{camera.label}'",
            "commas, quotes, backslashes and control characters can't be in a camera's name",
            "Choose a plain one, such as vcam_talker",
        )
    state = read_loopback(root, kernel)
    if remove:
        return _plan_removal(camera.label, state, root)
    others = [line for line in read_options(root) if not line.file.name.endswith(OPTIONS_NAME)]
    merged = add_camera(others, state.devices, _real_cameras(root, state), camera.number, camera.label)
    device = f"/dev/video{merged.number}"
    packages, blocker = _packages(state, root, query)
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
    if packages and _secure_boot(root):
        notes.append(_SECURE_BOOT_NOTE)
    return SetupPlan(device, camera.label, tuple(steps), tuple(notes))


def render_plan(plan: SetupPlan) -> str:
    """Return the plan as a person reads it: every command and every byte that would be written."""
    lines = []
    if plan.blocker:
        lines.append(plan.blocker)
    elif not plan.steps:
        lines.append("Nothing is to be done: the system is as it should be.")
    for index, step in enumerate(plan.steps, 1):
        lines.append(f"{index}. {step.title}")
        lines.append(f"     {shlex.join(step.argv)}")
        if step.content is not None:
            lines += [f"     | {row}" for row in step.content.splitlines()]
    lines += [f"Note: {note}" for note in plan.notes]
    return "\n".join(lines)


def apply(
    plan: SetupPlan, ask: Callable[[str], bool], run: Run = run_program, *, root_user: bool | None = None
) -> bool:
    """Carry the plan out after one question; return False when refused (then nothing was changed).

    Programs run through sudo unless `root_user` (default: whether this process is root). Blocks for minutes
    where a module is built.
    Raises DeviceError when the plan is blocked or a step fails; the steps before it stay done, and running
    the whole again goes on from there.
    """
    if plan.blocker:
        raise DeviceError("virtual camera", plan.blocker)
    if not plan.steps:
        return True
    if not ask(f"Make {'this change' if len(plan.steps) == 1 else f'these {len(plan.steps)} changes'}?"):
        return False
    if root_user is None:
        root_user = os.geteuid() == 0
    for step in plan.steps:
        argv = step.argv if root_user else ("sudo", *step.argv)
        try:
            code = run(argv, step.content).returncode
        except OSError as e:
            raise DeviceError(step.title, f"{argv[0]} can't be started ({e.strerror})", step.remedy) from None
        if code:
            raise DeviceError(step.title, f"'{shlex.join(argv)}' failed (exit code {code})", step.remedy)
    return True


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


def _packages(state: LoopbackState, root: Path, query: Run) -> tuple[list[Step], str]:
    """Return the step that installs the module's source and the kernel's headers, or why there is none."""
    if state.available:
        return [], ""
    if confined := _confinement(root, state.kernel):
        return [], confined
    headers = f"linux-headers-{state.kernel}"
    # The meta package brings the headers of the next kernels too, so that an upgrade rebuilds the module.
    flavour = re.sub(r"^[^-]*(-[\d.]+)?-", "", state.kernel)
    wanted = ["v4l2loopback-dkms", headers, f"linux-headers-{flavour}"]
    policy = query(["apt-cache", "policy", *wanted], None)
    if policy.returncode == PROGRAM_MISSING:
        return [], (
            "The kernel module v4l2loopback is not here, and neither is apt: install your distribution's "
            "v4l2loopback package (Fedora: akmod-v4l2loopback, Arch: v4l2loopback-dkms), then run this again."
        )
    offered = dict(
        re.findall(r"^(\S+):\n(?:  .*\n)*?  Candidate: (?!\(none\))(\S+)", policy.stdout, re.MULTILINE)
    )
    # Headers that came with a kernel built by hand need no package.
    have_headers = (root / "lib/modules" / state.kernel / "build" / "Makefile").is_file()
    if headers not in offered and not have_headers:
        return [], (
            f"The running kernel ({state.kernel}) has no package {headers} here, so v4l2loopback can't be "
            "built for it. After a kernel upgrade: reboot into it. Otherwise run 'apt-get update' "
            "or boot the distribution's own kernel, and run this again. Everything but the camera works "
            "without."
        )
    if "v4l2loopback-dkms" not in offered:
        return [], (
            "apt offers no v4l2loopback-dkms: run 'apt-get update' (Ubuntu: enable the 'universe' component "
            "first) and run this again."
        )
    argv = (
        "apt-get",
        "install",
        "-y",
        "--no-install-recommends",
        *(name for name in wanted if name in offered),
    )
    remedy = (
        "Run 'sudo apt-get update' and try again; a failed build is explained in /var/lib/dkms/v4l2loopback"
    )
    return [Step("Install the camera's kernel module and what builds it", argv, None, remedy)], ""


def _confinement(root: Path, kernel: str) -> str:
    """Return why this place can't load a kernel module of its own, or nothing."""
    if "microsoft" in kernel.lower():
        return (
            "This is WSL: its kernel comes without v4l2loopback and takes no packages. Run vcam_talker on "
            "Windows itself with OBS's virtual camera, or use the preview page."
        )
    marks = (".dockerenv", "run/.containerenv", "run/systemd/container")
    if any((root / mark).exists() for mark in marks):
        return (
            "This is a container: the camera must be made on the host (run 'vcam-talker setup camera' there) "
            "and handed in, for Docker with --device /dev/video10. Everything but the camera works without."
        )
    return ""


def _secure_boot(root: Path) -> bool:
    variable = root / "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    try:
        # Four bytes of attributes, then the value.
        return variable.read_bytes()[4:5] == b"\x01"
    except OSError:
        return False


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
