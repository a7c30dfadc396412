"""The service for real: systemd's verifier, the daemon under a watchdog, a systemd that restarts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.notify import NotifySocket
from tests.support.systemd import UserManager, user_manager
from vcam_talker.bench.harness import daemon
from vcam_talker.setup_service.unit import BACK_OFF, BACK_OFF_SINCE, INSTALLATION, SANDBOX, UNIT, unit_files

pytestmark = pytest.mark.real

_PATCH = INSTALLATION.with_name("90-test.conf")
_SILENT = 'greet = false\n[camera]\ndevice = "null"\n[microphone]\ndevice = "null"\n[control]\nport = 0\n'


def verify(folder: Path, files: dict[Path, str]) -> str:
    """Return what systemd's verifier says of the files."""
    for path, content in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(content)
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(folder / UNIT)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def systemd_version() -> int:
    done = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[1])


def test_systemds_verifier_has_nothing_to_say_of_the_unit(tmp_path: Path) -> None:
    config = ["--config", "/a b/100% $HOME \"q\" 'p' ü\\x.toml"]
    files = unit_files(config, {}, version=systemd_version(), sandbox=True)
    assert verify(tmp_path, files) == ""
    # It reads the drop-ins too, and it does find faults.
    files[SANDBOX] = files[SANDBOX].replace("ProtectSystem=strict", "ProtectSystem=nonsense")
    assert SANDBOX.name in verify(tmp_path, files)


def test_what_this_systemd_is_too_old_for_is_ignored_by_it(tmp_path: Path) -> None:
    files = unit_files([], {}, version=BACK_OFF_SINCE, sandbox=False)
    said = verify(tmp_path, files).splitlines()
    assert all(BACK_OFF.name in line and line.endswith("ignoring.") for line in said), said


def test_the_daemon_is_ready_when_frames_leave_and_alive_while_they_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with NotifySocket() as systemd:
        monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        with daemon(mic="null") as running:
            ready_s = systemd.wait_for("READY=1")
            time.sleep(1.2)
            first_s = running.frames().sent_ns[0] / 1e9
            assert ready_s > first_s
            systemd.wait_for("WATCHDOG=1", len(systemd.times("WATCHDOG=1")) + 2)
            assert systemd.statuses()[0].startswith("Mira is on air, 1280x720 at 30 fps")

            # Its children may die; that is no reason to restart it.
            running.wait_idle()
            pid = running.engine_pid()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            systemd.wait_for("WATCHDOG=1", len(systemd.times("WATCHDOG=1")) + 3)

            running.process.send_signal(signal.SIGSTOP)
            time.sleep(0.2)
            count = len(systemd.times("WATCHDOG=1"))
            time.sleep(2)
            assert len(systemd.times("WATCHDOG=1")) == count
            running.process.send_signal(signal.SIGCONT)
            systemd.wait_for("WATCHDOG=1", count + 2)
        systemd.wait_for("STOPPING=1")
    assert len(systemd.times("READY=1")) == 1


@pytest.fixture
def manager() -> Iterator[UserManager]:
    with user_manager() as running:
        yield running


def vcam_talker(manager: UserManager, *argv: str, stdin: str = "") -> str:
    done = manager.run(sys.executable, "-m", "vcam_talker", *argv, stdin=stdin)
    assert done.returncode == 0, done.stdout
    return done.stdout


def main_pid(manager: UserManager) -> int:
    return int(manager.show(UNIT, "MainPID"))


def test_systemd_keeps_it_on_air(manager: UserManager) -> None:
    config = manager.home / "my show.toml"
    config.write_text(_SILENT)
    vcam_talker(manager, "setup", "secret", "obs-password", stdin="hunter2\n")
    said = vcam_talker(manager, "setup", "service", "--yes", "--config", str(config))
    assert "It is on air" in said
    assert manager.systemctl("is-enabled", UNIT) == "enabled"
    assert manager.show(UNIT, "StatusText").startswith("Elena is on air")

    # The secret came as a credential, and by no other way.
    pid = main_pid(manager)
    environ = Path(f"/proc/{pid}/environ").read_bytes()
    variables = dict(entry.split(b"=", 1) for entry in environ.split(b"\0") if b"=" in entry)
    credential = f"{variables[b'CREDENTIALS_DIRECTORY'].decode()}/vcam-talker_obs-password"
    assert manager.run("cat", credential).stdout == "hunter2\n"
    assert b"hunter2" not in environ
    assert b"hunter2" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert manager.show(UNIT, "ProtectSystem") == "strict"
    assert f'"pid": {pid}' in vcam_talker(manager, "status", "--json")

    # Nothing is left to do but what this small systemd has no part for: lingering.
    again = vcam_talker(manager, "setup", "service", "--dry-run", "--config", str(config))
    assert [line.split(". ")[1].split(" ")[0] for line in again.splitlines() if line[:1].isdigit()] == ["Let"]

    patch = manager.home / ".config/systemd/user" / _PATCH
    patch.write_text("[Service]\nWatchdogSec=3\nRestartSec=0.2\nTimeoutAbortSec=1\n")
    manager.systemctl("daemon-reload")
    manager.systemctl("restart", UNIT)
    for count, fault in enumerate((signal.SIGKILL, signal.SIGSTOP, signal.SIGABRT), 1):
        os.kill(main_pid(manager), fault)
        manager.wait_until(UNIT, "NRestarts", str(count))
        manager.wait_until(UNIT, "ActiveState", "active")
    # Alive and fed: past the watchdog's time it is still the same.
    pid = main_pid(manager)
    time.sleep(4)
    assert main_pid(manager) == pid

    vcam_talker(manager, "setup", "service", "--remove", "--yes")
    assert manager.systemctl("is-active", UNIT) == "inactive"
    assert not Path(f"/proc/{pid}").exists()
