"""Checks of the systemd service of this user."""

from __future__ import annotations

import getpass
import subprocess
import sys

from vcam_talker.config import Config
from vcam_talker.core.paths import APP
from vcam_talker.doctor.finding import Finding, Machine

_UNIT = f"{APP}.service"
_SHOWN = "LoadState,UnitFileState,ActiveState"
_LOGS = f"It says why: journalctl --user -u {APP} -n 50"


def check_service(_config: Config, machine: Machine) -> list[Finding]:
    """See whether the service is installed, enabled and on air, and whether it outlives the login."""
    if sys.platform != "linux" or not (machine.root / "run/systemd/system").is_dir():
        return [Finding("service", "ok", "no systemd here: whatever starts it must start it again")]
    try:
        output = machine.run(["systemctl", "--user", "show", _UNIT, f"--property={_SHOWN}"])
    except (OSError, subprocess.SubprocessError):
        remedy = "Log in directly rather than through su or sudo"
        return [Finding("service", "warn", "your own systemd can't be reached", remedy)]
    shown = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    if shown.get("LoadState") != "loaded":
        message = "not installed; 'vcam-talker setup service' has it on air after every boot"
        return [Finding("service", "ok", message)]
    enabled, active = shown.get("UnitFileState") == "enabled", shown.get("ActiveState", "")
    if active == "failed":
        return [Finding("service", "fail", "the service has failed", _LOGS)]
    if not enabled:
        message = f"{active or 'installed'}, but not enabled: gone after a boot"
        return [Finding("service", "warn", message, f"systemctl --user enable {APP}")]
    if active in {"inactive", "deactivating"}:
        return [Finding("service", "warn", "enabled, but not running", f"systemctl --user start {APP}")]
    if active != "active":
        return [Finding("service", "warn", f"enabled, but not on air yet ({active})", _LOGS)]
    if not (machine.root / "var/lib/systemd/linger" / getpass.getuser()).exists():
        message = "on air, but it ends when you log out"
        return [Finding("service", "warn", message, "loginctl enable-linger")]
    return [Finding("service", "ok", "on air, and after every boot")]
