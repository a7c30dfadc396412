"""Where the kernel module comes from: the packages that build it, and whether the firmware will have it."""

from __future__ import annotations

import re
from pathlib import Path

from vcam_talker.air.loopback import LoopbackState
from vcam_talker.setup_camera.step import PROGRAM_MISSING, Run, Step

SECURE_BOOT_NOTE = (
    "Secure Boot is on: the module built here is refused until its key is enrolled. If loading fails: "
    "'mokutil --import /var/lib/dkms/mok.pub' (Ubuntu: /var/lib/shim-signed/mok/MOK.der), reboot, choose "
    "'Enroll MOK', and run this again."
)


def package_steps(state: LoopbackState, root: Path, query: Run) -> tuple[list[Step], str]:
    """Return the step that installs the module's source and the kernel's headers, or why there is none."""
    if state.available:
        return [], ""
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


def secure_boot(root: Path) -> bool:
    """Return whether the firmware has the kernel refuse unsigned modules."""
    variable = root / "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    try:
        # Four bytes of attributes, then the value.
        return variable.read_bytes()[4:5] == b"\x01"
    except OSError:
        return False
