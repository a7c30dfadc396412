"""What is to be done for the service on which machine. Changes nothing."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vcam_talker.control.address import read_address
from vcam_talker.core.errors import NotRunningError
from vcam_talker.core.secrets import secrets_dir
from vcam_talker.setup_service.machine import PROGRAM_MISSING, Machine
from vcam_talker.setup_service.unit import (
    DROP_INS,
    OURS,
    SANDBOX,
    UNIT,
    program,
    sandbox_properties,
    unit_files,
)

LOGS: Final = f"journalctl --user -u {UNIT.removesuffix('.service')} -n 50"
SYSTEMCTL: Final = ("systemctl", "--user")


@dataclass(frozen=True, slots=True)
class Step:
    """One change: a file written or removed, or a program run; as this user."""

    title: str
    path: Path | None = None
    content: str | None = None
    """The whole file; None with a path: it is removed."""
    argv: tuple[str, ...] = ()
    remedy: str = ""
    """What to do when it fails."""
    optional: bool = False
    """Its failure is reported, and the rest goes on."""


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """Everything that would change, in order; no step and no blocker: all is as it should be."""

    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    blocker: str = ""
    """Why nothing can be done here, and what to do instead."""


def plan(machine: Machine, config: Path | None = None) -> ServicePlan:
    """Work out what is to be done to run this installation as a service, with the settings of `config`.

    Asks systemd, and has a unit that does nothing tried in the sandbox; blocks for a second or two.
    """
    version, blocker = _manager(machine)
    if not blocker:
        blocker = _other_daemon(machine)
    if blocker:
        return ServicePlan(blocker=blocker)
    sandbox = _sandbox_works(machine)
    arguments = [] if config is None else ["--config", str(config.absolute())]
    wanted = unit_files(arguments, machine.environ, version=version, sandbox=sandbox)
    if fault := _verify(machine, wanted):
        return ServicePlan(blocker=f"systemd finds fault with the unit: {fault}")

    files = _file_steps(machine.unit_dir, wanted)
    steps = [*files, *_start_steps(machine, changed=bool(files)), *_linger_step(machine)]
    notes = []
    if not sandbox:
        notes.append("Users may not make namespaces here: the service runs without the sandbox.")
    return ServicePlan(tuple(steps), tuple(notes))


def plan_removal(machine: Machine) -> ServicePlan:
    """Work out how the service is taken away. Secrets stay."""
    present = [machine.unit_dir / path for path in OURS if (machine.unit_dir / path).is_file()]
    if not present:
        return ServicePlan()
    steps = [Step(f"Remove {path.name}", path) for path in present]
    _, blocker = _manager(machine)
    if not blocker:
        leave = Step("Leave the air and forget it at boot", argv=(*SYSTEMCTL, "disable", "--now", UNIT))
        steps = [leave, *steps, _reload()]
    notes = (
        f"Secrets stay in {secrets_dir()}.",
        "Services still run without a login; 'loginctl disable-linger' ends that.",
    )
    return ServicePlan(tuple(steps), notes)


def _manager(machine: Machine) -> tuple[int, str]:
    """Return the version of the user's systemd, or why there is none to talk to."""
    command = " ".join([*program(), "run"])
    if machine.system != "linux":
        return 0, f"systemd is for Linux. Have '{command}' started at login, by Task Scheduler or launchd."
    if not (machine.root / "run/systemd/system").is_dir():
        return 0, (
            "this machine was not started by systemd (a container?). Whatever started it can keep "
            f"'{command}' running, as 'docker run --restart always' does."
        )
    if machine.environ.get("SUDO_USER"):
        return 0, (
            "sound servers belong to users, and so does this service. Run it without sudo, as the user "
            "whose microphone it is to be."
        )
    found = machine.ask(*SYSTEMCTL, "show", "--property=Version", "--value")
    number = re.match(r"v?(\d+)", found or "")
    if number is None:
        return 0, (
            "your own systemd can't be reached. Log in directly rather than through su or sudo, or try: "
            "export XDG_RUNTIME_DIR=/run/user/$(id -u)"
        )
    return int(number[1]), ""


def _other_daemon(machine: Machine) -> str:
    """Return that a daemon runs which is not the service's, or nothing."""
    try:
        pid = read_address().pid
    except NotRunningError:
        return ""
    if machine.ask(*SYSTEMCTL, "show", "--property=MainPID", "--value", UNIT) == str(pid):
        return ""
    return f"a daemon that was started by hand runs already (process {pid}). Stop it, then run this again."


def _sandbox_works(machine: Machine) -> bool:
    """Try the sandbox on a unit that does nothing: without namespaces the service would not start."""
    properties = [f"--property={line}" for line in sandbox_properties()]
    answer = machine.query(
        ["systemd-run", "--user", "--quiet", "--wait", "--collect", *properties, "/bin/true"]
    )
    return answer.returncode == 0


def _verify(machine: Machine, wanted: Mapping[Path, str]) -> str:
    """Return what systemd's own verifier has to say of the files; empty: nothing, or it is missing."""
    with tempfile.TemporaryDirectory(prefix="vcam-talker-") as name:
        folder = Path(name)
        for path, content in wanted.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(content, encoding="utf-8")
        answer = machine.query(["systemd-analyze", "--user", "verify", str(folder / UNIT)])
    if answer.returncode == PROGRAM_MISSING:
        return ""
    # Units that ours refers to are looked at as well; their faults are not ours.
    ours = [line for line in answer.stderr.splitlines() if UNIT in line]
    return ours[0].replace(f"{folder}/", "") if ours else ""


def _file_steps(unit_dir: Path, wanted: Mapping[Path, str]) -> list[Step]:
    steps = []
    for path in OURS:
        target = unit_dir / path
        content = wanted.get(path)
        present = target.read_text(encoding="utf-8", errors="replace") if target.is_file() else None
        if content != present:
            verb = "Remove" if content is None else "Write"
            steps.append(Step(f"{verb} {target}", target, content, remedy=f"Check {target.parent}"))
    return steps


def _reload() -> Step:
    return Step("Have systemd read it", argv=(*SYSTEMCTL, "daemon-reload"))


def _start_steps(machine: Machine, *, changed: bool) -> list[Step]:
    steps = [_reload()] if changed else []
    if machine.ask(*SYSTEMCTL, "is-enabled", UNIT) != "enabled":
        steps.append(Step("Start it at every boot", argv=(*SYSTEMCTL, "enable", UNIT)))
    active = machine.ask(*SYSTEMCTL, "is-active", UNIT) == "active"
    start = Step("Go on air", argv=(*SYSTEMCTL, "start", UNIT), remedy=f"It says why: {LOGS}")
    if not active:
        steps.append(start)
    elif changed:
        title = "Go on air anew (picture and sound are away for some seconds)"
        steps.append(replace(start, title=title, argv=(*SYSTEMCTL, "restart", UNIT)))
    return steps


def _linger_step(machine: Machine) -> list[Step]:
    user = machine.ask("id", "-un") or ""
    if machine.ask("loginctl", "show-user", user, "--property=Linger", "--value") == "yes":
        return []
    if (machine.root / "var/lib/systemd/linger" / user).exists():
        return []
    return [
        Step(
            "Let it run while nobody is logged in, from boot on (otherwise it ends when you log out)",
            argv=("loginctl", "enable-linger"),
            remedy=f"Only an administrator may do that here: sudo loginctl enable-linger {user}",
            optional=True,
        )
    ]


__all__ = ["DROP_INS", "LOGS", "SANDBOX", "ServicePlan", "Step", "plan", "plan_removal"]
