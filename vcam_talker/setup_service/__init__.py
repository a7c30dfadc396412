"""`vcam-talker setup service`: run as a systemd service of this user; show what changes, ask, do it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

from vcam_talker.core.errors import ExitCode, VcamTalkerError
from vcam_talker.setup_service.machine import Machine
from vcam_talker.setup_service.plan import LOGS, ServicePlan, Step, plan, plan_removal
from vcam_talker.setup_service.unit import DROP_INS

__all__ = ["Machine", "ServiceError", "ServicePlan", "Step", "apply", "plan", "render_plan", "run_setup"]

_ON_AIR = f"""It is on air, and will be after every boot.
  how it is   systemctl --user status vcam-talker
  its log     {LOGS.replace("-n 50", "-f")}
  stop        systemctl --user stop vcam-talker"""


class ServiceError(VcamTalkerError):
    """There can be no service here, or a step failed."""

    exit_code = ExitCode.DEVICE


def run_setup(
    config: Path | None,
    *,
    dry_run: bool,
    remove: bool,
    ask: Callable[[str], bool],
    announce: Callable[[str], None],
    machine: Machine | None = None,
) -> None:
    """Show the plan, or why there is none, through `announce`; unless `dry_run`, do it if `ask` agrees.

    Blocks until the daemon is on air, a minute and a half at most. Raises ServiceError where there can be no
    service (not with `dry_run`) or where a step fails.
    """
    machine = machine or Machine()
    wanted = plan_removal(machine) if remove else plan(machine, config)
    if wanted.blocker and not dry_run:
        raise ServiceError("service", wanted.blocker.rstrip("."))
    announce(render_plan(wanted))
    if dry_run or not wanted.steps:
        return
    count = len(wanted.steps)
    if not ask(f"Make {'this change' if count == 1 else f'these {count} changes'}?"):
        announce("Nothing was changed.")
        return
    apply(wanted, machine, announce)
    announce("The service is gone." if remove else _ON_AIR)


def render_plan(plan: ServicePlan) -> str:
    """Return the plan as a person reads it: every command and every byte that would be written."""
    lines = []
    if plan.blocker:
        lines.append(f"Nothing can be done: {plan.blocker}")
    elif not plan.steps:
        lines.append("Nothing is to be done: all is as it should be.")
    for index, step in enumerate(plan.steps, 1):
        lines.append(f"{index}. {step.title}")
        if step.argv:
            lines.append(f"     {shlex.join(step.argv)}")
        if step.content is not None:
            lines += [f"     | {row}" for row in step.content.splitlines()]
    lines += [f"Note: {note}" for note in plan.notes]
    return "\n".join(lines)


def apply(plan: ServicePlan, machine: Machine, announce: Callable[[str], None]) -> None:
    """Carry the plan out. Raises ServiceError at the first step that fails and is not optional.

    The steps before it stay done; running the whole again goes on from there.
    """
    for step in plan.steps:
        why = _do(step, machine)
        if not why:
            continue
        if not step.optional:
            raise ServiceError(step.title, why, step.remedy)
        announce(f"Not done: {step.title} ({why}). {step.remedy}")


def _do(step: Step, machine: Machine) -> str:
    """Make one change; return why it failed, or nothing."""
    if step.path is None:
        code = machine.run(step.argv)
        return f"'{shlex.join(step.argv)}' failed with exit code {code}" if code else ""
    try:
        if step.content is None:
            step.path.unlink(missing_ok=True)
            if step.path.parent.name == DROP_INS.name and not any(step.path.parent.iterdir()):
                step.path.parent.rmdir()
        else:
            step.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = step.path.with_name(f".{step.path.name}.{os.getpid()}")
            temporary.write_text(step.content, encoding="utf-8")
            temporary.replace(step.path)
    except OSError as e:
        return f"{step.path} can't be changed ({e.strerror})"
    return ""
