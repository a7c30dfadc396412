"""A real `systemd --user` of one's own: private home, runtime folder and bus.

Where the machine was booted by systemd, the manager runs in a delegated scope of the user's session. Where it
was not (a container), root gives it a mount namespace with a /run that looks booted and a cgroup of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_START_TIMEOUT_S = 30.0
_BOOTED = Path("/run/systemd/system")
_MANAGERS = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")

# Arguments: runtime folder, home, name of the cgroup, manager.
_NAMESPACE = """
set -e
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system /run/systemd/unit-root /run/systemd/inaccessible/dir /run/credentials
touch /run/systemd/inaccessible/reg
mkdir -p -m 700 "$1"
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$3"
echo $$ > "/sys/fs/cgroup/$3/cgroup.procs"
"""
_SESSION = """
dbus-daemon --session --address="unix:path=$1/bus" --nofork --nopidfile &
exec "$4" --user
"""


class UserManager:
    """A running manager. Programs that `run` starts see it as their user's own."""

    def __init__(self, folder: Path, runtime: Path, prefix: list[str]) -> None:
        self.folder = folder
        self.home = folder / "home"
        self._prefix = prefix
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "VCAM_TALKER", "DBUS_"))},
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(runtime),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime / 'bus'}",
        }

    def run(self, *argv: str, stdin: str = "", timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; its output and errors are in `stdout`."""
        return subprocess.run(
            [*self._prefix, *argv],
            env=self.environ,
            input=stdin,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )

    def systemctl(self, *argv: str) -> str:
        """Run `systemctl --user` and return what it prints, without the newline at the end."""
        return self.run("systemctl", "--user", "--no-pager", *argv).stdout.strip()

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.systemctl("show", f"--property={name}", "--value", unit)

    def wait_until(self, unit: str, name: str, value: str, timeout_s: float = 60.0) -> None:
        """Wait until a property of a unit has that value. Raises AssertionError."""
        deadline_s = time.monotonic() + timeout_s
        while (found := self.show(unit, name)) != value:
            status = self.systemctl("status", unit)
            assert time.monotonic() < deadline_s, f"{name} is {found}, not {value}\n{status}"
            time.sleep(0.1)


@contextlib.contextmanager
def user_manager() -> Iterator[UserManager]:
    """Run a manager until the block ends; then everything it started is gone."""
    manager = next(path for path in _MANAGERS if Path(path).exists())
    folder = Path(tempfile.mkdtemp(prefix="user-manager-"))
    cgroup = folder.name
    (folder / "home").mkdir()
    booted = _BOOTED.is_dir()
    # Where systemd expects it, if the place is ours to give: its sandbox treats it in its own way.
    runtime = folder / "run" if booted else Path(f"/run/user/{os.getuid()}")
    if booted:
        runtime.mkdir(mode=0o700)
        wrapper = ["systemd-run", "--user", "--scope", "--quiet", "--property=Delegate=yes"]
        script = _SESSION
    else:
        wrapper = ["unshare", "--mount"]
        script = _NAMESPACE + _SESSION
    arguments = [str(runtime), str(folder / "home"), cgroup, manager]
    # systemd-run asks the session's own manager; what it starts is told of the private one.
    inner = UserManager(folder, runtime, []).environ
    private = [f"{name}={inner[name]}" for name in ("HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")]
    unset = [
        "-u",
        "XDG_CONFIG_HOME",
        "-u",
        "XDG_CACHE_HOME",
        "-u",
        "NOTIFY_SOCKET",
        "-u",
        "VCAM_TALKER_RUNTIME_DIR",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*wrapper, "env", *unset, *private, "sh", "-c", script, "session", *arguments],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    prefix = [] if booted else ["nsenter", f"--target={process.pid}", "--mount", f"--wd={folder}"]
    running = UserManager(folder, runtime, prefix)
    try:
        _wait_started(running, process)
        yield running
    finally:
        _stop(running, process, None if booted else cgroup)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_started(manager: UserManager, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while manager.systemctl("is-active", "default.target") != "active":
        log = (manager.folder / "log").read_text(errors="replace")
        assert process.poll() is None, f"systemd --user ended:\n{log[-2000:]}"
        assert time.monotonic() < deadline_s, f"systemd --user does not start:\n{log[-2000:]}"
        time.sleep(0.1)


def _stop(manager: UserManager, process: subprocess.Popen[bytes], cgroup: str | None) -> None:
    if process.poll() is None:
        manager.systemctl("exit")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if cgroup is not None:
        _remove_cgroup(cgroup)


def _remove_cgroup(name: str) -> None:
    """Remove the empty groups that a manager leaves; its namespace with the mount is gone."""
    # Killed processes are in them a moment longer.
    script = """mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 1
        for _ in 1 2 3 4 5; do
          find "/sys/fs/cgroup/$1" -depth -type d -exec rmdir {} + && exit
          sleep 0.2
        done"""
    subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", name], capture_output=True, timeout=10, check=False
    )
