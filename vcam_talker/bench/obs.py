"""A custom event of OBS until it is heard; what an OBS that dies or freezes does to the picture."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from vcam_talker.bench.harness import Daemon, MicRecorder, daemon, ms
from vcam_talker.bench.obs_program import ObsProgram, obs_program
from vcam_talker.bench.options import Options
from vcam_talker.bench.report import Report, percentile
from vcam_talker.control.obs.connection import ObsConnection
from vcam_talker.core.types import NS_PER_S

_DEFAULT_S = 120.0
_FPS = 30
_LINE = "Hello, and welcome in!"
_LONG = "This is a very long sentence that goes on and on, while something happens to the program beside it. "
_QUIET = 0.003
_FAULTS = 10
"""Five kills and five freezes."""
_FREEZE_S = 6.0
_EVENT_SHARE = 0.2


def run(options: Options) -> Report:
    """Send events for a fifth of the time; kill and freeze OBS for the rest, ten times at most."""
    length_s = options.seconds or _DEFAULT_S
    report = Report("obs")
    with tempfile.TemporaryDirectory(prefix="vcam-talker-bench-") as cache, obs_program() as obs:
        table = f'[obs]\nconnect = "on"\nport = {obs.port}\n'
        with (
            _credentials(obs.credentials),
            daemon(camera=options.camera, cache=Path(cache), config=table) as under_test,
        ):
            under_test.wait_idle()
            under_test.wait_microphone()
            _wait_open(under_test)
            heard = _events(under_test, obs, length_s * _EVENT_SHARE)
            report.add("custom event -> first sample at a reader, p50", percentile(heard, 50), "ms")
            report.add("custom event -> first sample at a reader, p95", percentile(heard, 95), "ms", 150)
            _faults(report, under_test, obs, length_s * (1 - _EVENT_SHARE))
    report.notes.append(f"{len(heard)} events of a hot phrase, at a reader that asks for 10 ms")
    return report


@contextmanager
def _credentials(folder: Path) -> Iterator[None]:
    """Let the daemon that is started inside find the password."""
    before = os.environ.get("CREDENTIALS_DIRECTORY")
    os.environ["CREDENTIALS_DIRECTORY"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("CREDENTIALS_DIRECTORY")
        if before is not None:
            os.environ["CREDENTIALS_DIRECTORY"] = before


def _events(under_test: Daemon, obs: ObsProgram, length_s: float) -> list[float]:
    connection = obs.connect()
    recorder = MicRecorder()
    try:
        recorder.wait_started()
        # Twice: the second one shows the cache that the first has been taken in.
        for _ in range(2):
            _event_once(under_test, connection, recorder)
        times: list[float] = []
        end_s = time.monotonic() + length_s
        while time.monotonic() < end_s or len(times) < 3:
            times.append(_event_once(under_test, connection, recorder))
        return times
    finally:
        recorder.close()
        connection.close()


def _event_once(under_test: Daemon, connection: ObsConnection, recorder: MicRecorder) -> float:
    under_test.wait_idle()
    time.sleep(0.3)
    heard = recorder.heard
    event = {"vcam_talker": 1, "cmd": "say", "text": _LINE}
    asked_ns = time.monotonic_ns()
    connection.request("BroadcastCustomEvent", eventData=event)
    deadline_s = time.monotonic() + 10
    while not (loud := np.flatnonzero(np.abs(recorder.samples(heard)) > _QUIET)).size:
        if time.monotonic() > deadline_s:
            raise TimeoutError("nothing was heard within 10 s")
        time.sleep(0.01)
    first_ns = recorder.arrival_ns(heard + int(loud[0]))
    # To its end: a phrase that is cut is not kept.
    under_test.wait_idle()
    return ms(first_ns - asked_ns)


def _faults(report: Report, under_test: Daemon, obs: ObsProgram, length_s: float) -> None:
    began_ns = time.monotonic_ns()
    killed: list[float] = []
    thawed: list[float] = []
    noticed: list[float] = []
    end_s = time.monotonic() + length_s
    for number in range(_FAULTS):
        if time.monotonic() > end_s:
            break
        under_test.client.interrupt(clear_queue=True)
        under_test.client.say(_LONG * 8)
        under_test.wait_until("speech", lambda: _speaks(under_test))
        fault_ns = time.monotonic_ns()
        if number % 2 == 0:
            obs.kill()
            _wait_lost(under_test)
            back_ns = obs.start()
            _wait_open(under_test)
            killed.append((time.monotonic_ns() - back_ns) / NS_PER_S)
        else:
            obs.signal(signal.SIGSTOP)
            _wait_lost(under_test)
            noticed.append((time.monotonic_ns() - fault_ns) / NS_PER_S)
            time.sleep(max(0.0, _FREEZE_S - noticed[-1]))
            obs.signal(signal.SIGCONT)
            back_ns = time.monotonic_ns()
            _wait_open(under_test)
            thawed.append((time.monotonic_ns() - back_ns) / NS_PER_S)
    under_test.client.interrupt(clear_queue=True)
    time.sleep(1.5)
    frames = under_test.frames().after(began_ns)
    report.add("frames lost while OBS dies and freezes", frames.lost(_FPS), "frames", 0)
    gaps_ms = np.diff(frames.sent_ns) / 1e6
    report.add("longest gap between frames", float(gaps_ms.max()), "ms")
    report.add("OBS's port open -> link open, worst", max(killed, default=np.nan), "s", 5)
    report.add("OBS goes on -> link open, worst", max(thawed, default=np.nan), "s", 5)
    report.add("OBS stands still -> noticed, worst", max(noticed, default=np.nan), "s", 7)
    report.notes.append(f"{len(killed)} kills, {len(thawed)} freezes while talking")


def _speaks(under_test: Daemon) -> bool:
    on_air = under_test.client.status()["on_air"]
    return bool(on_air) and on_air["state"] == "speaking"


def _wait_open(under_test: Daemon) -> None:
    under_test.wait_until("the link to OBS", lambda: under_test.client.status()["obs"]["state"] == "open", 60)


def _wait_lost(under_test: Daemon) -> None:
    under_test.wait_until("OBS missed", lambda: under_test.client.status()["obs"]["state"] != "open", 30)
