"""`vcam-talker setup camera`: plan what the machine needs for a virtual camera, show it, ask, do it.

Devices of other programs stay: their options are carried into ours.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable

from vcam_talker.config import Config
from vcam_talker.core.errors import DeviceError
from vcam_talker.setup_camera.plan import plan
from vcam_talker.setup_camera.step import Run, SetupPlan, Step, run_program

__all__ = ["SetupPlan", "Step", "apply", "plan", "render_plan", "run_setup"]


def run_setup(
    config: Config,
    *,
    dry_run: bool,
    remove: bool,
    ask: Callable[[str], bool],
    announce: Callable[[str], None],
) -> None:
    """Show the plan, or why there is none, through `announce`; unless `dry_run`, do it if `ask` agrees.

    Blocks for minutes where a module is built. Raises DeviceError where there can be no camera (not with
    `dry_run`) or where a step fails.
    """
    wanted = plan(config, remove=remove)
    if wanted.blocker and not dry_run:
        raise DeviceError("virtual camera", wanted.blocker)
    announce(render_plan(wanted))
    if dry_run or not wanted.steps:
        return
    if not apply(wanted, ask):
        announce("Nothing was changed.")
    elif remove:
        announce("The virtual camera is gone.")
    else:
        announce(f"The camera '{wanted.label}' is {wanted.device}; it is there after every boot.")


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
