"""`vcam-talker doctor`: what works on this machine, what does not, and the next step for each.

Looks only: nothing is started, made or changed, no model is loaded, torch is not imported.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from vcam_talker.config import Config
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.doctor import (
    brain,
    camera,
    ears,
    inference,
    links,
    lips,
    machine,
    service,
    software,
    sound,
    storage,
)
from vcam_talker.doctor.finding import Finding, Machine, State

__all__ = ["Finding", "Machine", "State", "diagnose", "render_findings"]

DEADLINE_S = 4.0
"""For all checks together; those that ask somebody else give up earlier by themselves."""

Check = Callable[[Config, Machine], list[Finding]]

CHECKS: tuple[Check, ...] = (
    software.check_python,
    software.check_packages,
    software.check_extras,
    software.check_persona,
    software.check_voices,
    software.check_encoder,
    sound.check_sound_server,
    sound.check_portaudio,
    camera.check_camera,
    ears.check_ears,
    ears.check_listening,
    brain.check_brain,
    inference.check_inference,
    lips.check_lips,
    storage.check_cache,
    storage.check_secrets,
    links.check_obs,
    links.check_chat,
    machine.check_port,
    machine.check_disk,
    machine.check_clock,
    machine.check_processors,
    machine.check_user,
    service.check_service,
)

_MARKS: dict[State, str] = {"ok": "ok", "warn": "WARN", "fail": "FAIL"}


def diagnose(
    config: Config,
    *,
    machine: Machine | None = None,
    checks: Sequence[Check] = CHECKS,
    deadline_s: float = DEADLINE_S,
) -> list[Finding]:
    """Return what every check found, in the order of `checks`. Blocks up to `deadline_s`; never raises.

    Each check has a thread of its own: one that fails or hangs is reported and harms no other.
    """
    target = machine or Machine()
    done: queue.SimpleQueue[tuple[int, list[Finding]]] = queue.SimpleQueue()
    for index, check in enumerate(checks):
        # Daemon threads: one that hangs in a C library can't keep the program from ending.
        threading.Thread(target=partial(_work, index, check, config, target, done), daemon=True).start()
    found: dict[int, list[Finding]] = {}
    end_s = time.monotonic() + deadline_s
    while len(found) < len(checks):
        try:
            index, findings = done.get(timeout=max(0.0, end_s - time.monotonic()))
        except queue.Empty:
            break
        found[index] = findings
    return [
        finding for index, check in enumerate(checks) for finding in found.get(index, [_unfinished(check)])
    ]


def _work(
    index: int,
    check: Check,
    config: Config,
    target: Machine,
    done: queue.SimpleQueue[tuple[int, list[Finding]]],
) -> None:
    findings = [Finding(_area(check), "warn", "could not be looked at", "Please report this")]
    try:
        findings = check(config, target)
    except (VcamTalkerError, OSError, ValueError, LookupError, RuntimeError, ImportError) as e:
        message = f"could not be looked at: {type(e).__name__}: {e}"
        findings = [Finding(_area(check), "warn", message, "Please report this")]
    finally:
        done.put((index, findings))


def _unfinished(check: Check) -> Finding:
    return Finding(_area(check), "warn", "did not answer in time", "Try again when the machine is less busy")


def _area(check: Check) -> str:
    return getattr(check, "__name__", "check").removeprefix("check_").replace("_", " ")


def render_findings(findings: Sequence[Finding]) -> str:
    """Return the findings as a table for a terminal, remedies below what needs one, and a closing line."""
    width = max((len(finding.area) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.state]:<4}  {finding.area:<{width}}  {finding.message}")
        if finding.remedy:
            lines.append(f"{'':<{width + 8}}-> {finding.remedy}")
    fails = sum(finding.state == "fail" for finding in findings)
    warns = sum(finding.state == "warn" for finding in findings)
    if not fails and not warns:
        lines.append("Everything is in order.")
    else:
        lines.append(f"{fails} failed, {warns} with a warning; the daemon runs with what is left.")
    return "\n".join(lines)
