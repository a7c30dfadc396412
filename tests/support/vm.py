"""Run a command on a kernel that has v4l2loopback, whatever this machine's own kernel has.

A small VM boots in a few seconds into this machine's own files: `/` is shared read-only under a throw-away
overlay, so programs, the virtual environment and the repository stand inside at the same paths, and what the
command changes is gone afterwards. Only the out folder is shared for writing. There is no network but `lo`.
"""

from __future__ import annotations

import contextlib
import csv
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.lock import file_lock
from tests.vm.build import CACHE, ROOT, VmError, VmImage, ensure_image

CAMERA = "/dev/video10"
CAMERA_LABEL = "vcam_talker"
CAMERA_MODULE = f"video_nr=10 card_label={CAMERA_LABEL} exclusive_caps=1"
"""Options of v4l2loopback as `vcam-talker setup camera` sets them."""

_BOOT_S = {"kvm": 30.0, "tcg": 300.0}
_QUEUE_S = 1500.0


@dataclass(frozen=True)
class VmResult:
    """What came of a command. `rc` is its exit status, `stdout` its output and errors together."""

    rc: int
    stdout: str
    out_dir: Path
    accel: str
    """`kvm`, or `tcg`: emulated, roughly ten times slower than this machine."""
    wall_s: float

    def check(self) -> VmResult:
        """Return self, or raise VmError with the output when the command failed."""
        if self.rc:
            raise VmError(f"the command in the VM ended with {self.rc}:\n{self.stdout[-6000:]}")
        return self


def run(
    command: Sequence[str] | str,
    *,
    timeout_s: float = 120.0,
    modules: str | None = CAMERA_MODULE,
    out_dir: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> VmResult:
    """Boot, load v4l2loopback with the options `modules` (None: don't), run `command` as root, power off.

    A string is a shell script, a sequence one program. It starts in the repository with the virtual
    environment first on PATH, VM_OUT naming the out folder (same path on both sides; a new one in the
    temporary directory unless given) and VM_ACCEL the kind of VM. Blocks up to `timeout_s` after the boot;
    VMs queue, one runs at a time. Raises VmError when packages are missing, and with console and output when
    the VM hangs or dies. qemu is gone on return.
    """
    image = ensure_image()
    with file_lock(CACHE / "run.lock", timeout_s=_QUEUE_S):
        accel = _accel(image)
        out = out_dir or Path(tempfile.mkdtemp(prefix="vm-"))
        return _run(image, accel, command, timeout_s, modules, out.resolve(), env or {})


def read_pace(path: Path) -> list[tuple[int, int, int]]:
    """Return what tests/vm/read_frames.py wrote: (monotonic ns, driver's sequence number, CRC) per frame."""
    with path.open() as file:
        return [(int(r["t_ns"]), int(r["sequence"]), int(r["crc32"])) for r in csv.DictReader(file)]


def _accel(image: VmImage) -> str:
    """Try KVM once per boot of this machine: /dev/kvm may be there and not work."""
    known = CACHE / "accel"
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    if known.is_file():
        recorded = known.read_text().split()
        if recorded[0] == boot_id:
            return recorded[1]
    found = "tcg"
    if Path("/dev/kvm").exists():
        with contextlib.suppress(VmError), tempfile.TemporaryDirectory(prefix="vm-") as out:
            _run(image, "kvm", "true", 10.0, CAMERA_MODULE, Path(out), {}).check()
            found = "kvm"
    known.write_text(f"{boot_id} {found}\n")
    return found


def _run(
    image: VmImage,
    accel: str,
    command: Sequence[str] | str,
    timeout_s: float,
    modules: str | None,
    out: Path,
    env: Mapping[str, str],
) -> VmResult:
    control = out / ".vm"
    shutil.rmtree(control, ignore_errors=True)
    control.mkdir(parents=True)
    (control / "path").write_text(f"{out}\n")
    script = _script(command, modules, {**env, "VM_OUT": str(out), "VM_ACCEL": accel})
    (control / "command.sh").write_text(script)
    started_s = time.monotonic()
    with (control / "qemu").open("wb") as log:
        # setpriv: the VM dies with this process, however that ends.
        qemu = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *_qemu(image, accel, out, control / "console")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        qemu.wait(timeout_s + _BOOT_S[accel])
    except subprocess.TimeoutExpired:
        raise VmError(f"the VM hangs ({accel}, {timeout_s:.0f} s)\n{_last_words(control)}") from None
    finally:
        qemu.kill()
        qemu.wait()
    try:
        rc = int(_read(control / "rc"))
    except ValueError:
        raise VmError(f"the VM died ({accel})\n{_last_words(control)}") from None
    return VmResult(rc, _read(control / "stdout"), out, accel, time.monotonic() - started_s)


def _script(command: Sequence[str] | str, modules: str | None, env: Mapping[str, str]) -> str:
    inside = {
        "PATH": f"{ROOT}/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/tmp/home",  # noqa: S108 - inside the VM, which has one user
        "XDG_RUNTIME_DIR": "/run/user/0",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        **env,
    }
    lines = ["set -e"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in inside.items()]
    lines += ['mkdir -p -m 700 "$HOME" "$XDG_RUNTIME_DIR"', f"cd {shlex.quote(str(ROOT))}"]
    if modules is not None:
        lines.append(f"modprobe v4l2loopback {modules}")
    lines.append(command if isinstance(command, str) else f"exec {shlex.join(command)}")
    return "\n".join(lines) + "\n"


def _qemu(image: VmImage, accel: str, out: Path, console: Path) -> list[str]:
    speed = {
        "kvm": ["-accel", "kvm", "-cpu", "host"],
        "tcg": ["-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "max"],
    }
    shared = f"local,id=shared,path={_escape(out)},security_model=none,multidevs=remap"
    return [
        "qemu-system-x86_64",
        *speed[accel],
        *["-smp", "2", "-m", "4096", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
        *["-kernel", str(image.kernel), "-initrd", str(image.initrd)],
        *["-append", "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable clocksource=tsc"],
        *["-serial", f"file:{console}"],
        *["-fsdev", "local,id=machine,path=/,security_model=none,readonly=on,multidevs=remap"],
        *["-device", "virtio-9p-pci,fsdev=machine,mount_tag=machine"],
        *["-fsdev", shared, "-device", "virtio-9p-pci,fsdev=shared,mount_tag=shared"],
    ]


def _escape(path: Path) -> str:
    """Qemu splits options at commas."""
    return str(path).replace(",", ",,")


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def _last_words(control: Path) -> str:
    return "\n".join(f"--- {name}\n{_read(control / name)[-4000:]}" for name in ("qemu", "console", "stdout"))
