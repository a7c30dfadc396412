"""The doctor on machines made of files: what it sees, and that no check harms another."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from vcam_talker.air.sinks.v4l2 import LOOPBACK_DRIVER, Camera
from vcam_talker.config import Config, override
from vcam_talker.core.errors import DeviceError
from vcam_talker.doctor import (
    CHECKS,
    Finding,
    Machine,
    camera,
    diagnose,
    machine,
    render_findings,
    software,
    sound,
)
from vcam_talker.setup_camera import plan as setup_plan

pytestmark = pytest.mark.unit

KERNEL = "6.1.0-28-amd64"
FLITE = "Voices available: kal awb_time kal16 awb rms slt \n"
ESPEAK = """Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  cmn             --/M      Chinese_(Mandarin) sit/cmn
 5  de              --/M      German             gmw/de
"""


def config(**changes: object) -> Config:
    return override(Config(), {key.replace("__", "."): value for key, value in changes.items()})


def states(findings: Sequence[Finding]) -> list[str]:
    return [finding.state for finding in findings]


def write(root: Path, path: str, text: str = "") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def programs(**outputs: str | Exception) -> Machine:
    def run(argv: Sequence[str]) -> str:
        answer = outputs.get(argv[0].replace("-", "_"), FileNotFoundError(2, "No such file", argv[0]))
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Machine(run=run)


# Voices


def test_both_voices() -> None:
    found = software.check_voices(Config(), programs(flite=FLITE, espeak_ng=ESPEAK))
    assert states(found) == ["ok", "ok"]
    assert "slt" in found[0].message
    assert "2 languages" in found[1].message


def test_one_voice_missing_is_a_warning_with_the_package() -> None:
    found = software.check_voices(Config(), programs(espeak_ng=ESPEAK))
    assert states(found) == ["warn", "ok"]
    assert found[0].remedy == "apt-get install flite"


def test_no_voice_fails() -> None:
    found = software.check_voices(Config(), programs())
    assert states(found) == ["warn", "warn", "fail"]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (subprocess.TimeoutExpired("flite", 2), "hangs"),
        (subprocess.CalledProcessError(127, "flite"), "exit code 127"),
        (PermissionError(13, "Permission denied"), "can't be started"),
    ],
)
def test_a_voice_that_fails_says_how(error: Exception, says: str) -> None:
    assert says in software.check_voices(Config(), programs(flite=error))[0].message


def test_lacking_voices_are_named() -> None:
    found = software.check_voices(Config(), programs(flite="Voices available: kal slt\n", espeak_ng="Pty\n"))
    assert "rms, awb" in found[0].message
    assert "Mandarin" in found[1].message
    assert states(found)[:2] == ["warn", "warn"]


# Packages, persona


def test_a_package_that_does_not_import(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        if name == "skia":
            raise ImportError("libGL.so.1: cannot open shared object file")
        if name == "pulsectl":
            raise OSError("libpulse.so.0: cannot open shared object file")

    monkeypatch.setattr(software, "import_module", broken)
    found = software.check_packages(Config(), Machine())
    by_name = {finding.message.split()[0]: finding for finding in found}
    assert by_name["skia-python"].state == "fail"
    assert "libgl1" in by_name["skia-python"].remedy
    assert by_name["pulsectl"].state == "warn"


def test_every_declared_dependency_is_looked_at() -> None:
    import re
    import tomllib

    pyproject = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    names = {re.split(r"[><=;\s\[]", line)[0].lower() for line in pyproject["project"]["dependencies"]}
    looked_at = {distribution.lower() for distribution in software.PACKAGES.values()}
    assert names <= looked_at


def test_an_unknown_persona_fails_with_the_nearest_name() -> None:
    found = software.check_persona(config(persona="no-such-presenter"), Machine())
    assert states(found) == ["fail"]
    assert found[0].remedy


# Camera


def loopback(root: Path, devices: dict[int, str], *, output: bool = True, capture: bool = False) -> Machine:
    write(root, "sys/module/v4l2loopback/version", "0.12.7\n")
    for number, label in devices.items():
        write(root, f"sys/devices/virtual/video4linux/video{number}/name", label + "\n")
        write(root, f"sys/devices/virtual/video4linux/video{number}/max_openers", "10\n")
        write(root, f"dev/video{number}")
    answers = [
        Camera(f"/dev/video{n}", LOOPBACK_DRIVER, label, output=output, capture=capture)
        for n, label in devices.items()
    ]
    return Machine(root, cameras=lambda: answers)


def test_no_camera_module_names_the_one_command(tmp_path: Path) -> None:
    found = camera.check_camera(Config(), Machine(tmp_path))
    assert states(found) == ["warn"]
    assert "vcam-talker setup camera" in found[0].remedy


@pytest.mark.parametrize("loaded", [False, True])
def test_in_a_container_the_camera_is_the_hosts_business(tmp_path: Path, loaded: bool) -> None:
    target = loopback(tmp_path, {}) if loaded else Machine(tmp_path)
    write(tmp_path, ".dockerenv")
    found = camera.check_camera(Config(), target)[-1]
    blocker = setup_plan(Config(), root=tmp_path, system="linux").blocker
    assert found.state == "warn"
    if loaded:
        # A container that is allowed to load modules, or a virtual machine on a container's files.
        assert blocker == ""
        assert "setup camera" in found.remedy
        return
    assert found.remedy == blocker
    assert "on the host" in blocker


def test_the_labelled_camera_is_found(tmp_path: Path) -> None:
    found = camera.check_camera(Config(), loopback(tmp_path, {4: "OBS", 10: "vcam_talker"}))
    assert states(found) == ["ok", "ok"]
    assert "/dev/video10" in found[-1].message


def test_only_other_cameras(tmp_path: Path) -> None:
    found = camera.check_camera(Config(), loopback(tmp_path, {4: "OBS Virtual Camera"}))
    assert states(found) == ["ok", "warn"]
    assert "/dev/video4 'OBS Virtual Camera'" in found[-1].message


def test_a_camera_that_nobody_named_is_taken_all_the_same(tmp_path: Path) -> None:
    found = camera.check_camera(Config(), loopback(tmp_path, {2: "Dummy video device (0x0000)"}))
    assert states(found) == ["ok", "ok"]


@pytest.mark.parametrize(
    ("output", "capture", "state", "says"),
    [
        (True, False, "ok", "takes frames"),
        (False, True, "ok", "writer"),
        (True, True, "warn", "exclusive_caps"),
    ],
)
def test_capabilities(tmp_path: Path, output: bool, capture: bool, state: str, says: str) -> None:
    target = loopback(tmp_path, {10: "vcam_talker"}, output=output, capture=capture)
    found = camera.check_camera(Config(), target)
    assert states(found) == ["ok", state]
    assert says in found[-1].message


def test_a_device_that_does_not_answer(tmp_path: Path) -> None:
    loopback(tmp_path, {10: "vcam_talker"})
    found = camera.check_camera(Config(), Machine(tmp_path, cameras=list))
    assert states(found) == ["ok", "fail"]


def test_a_camera_named_by_path(tmp_path: Path) -> None:
    target = loopback(tmp_path, {4: "OBS"})
    assert states(camera.check_camera(config(camera__device="/dev/video4"), target)) == ["ok", "ok"]
    assert states(camera.check_camera(config(camera__device="/dev/video5"), target)) == ["ok", "warn"]


def test_a_device_without_a_node_is_a_container_without_device(tmp_path: Path) -> None:
    target = loopback(tmp_path, {10: "vcam_talker"})
    (tmp_path / "dev/video10").unlink()
    assert "--device" in camera.check_camera(Config(), target)[-1].remedy


def test_a_camera_this_user_may_not_write_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = loopback(tmp_path, {10: "vcam_talker"})
    monkeypatch.setattr("os.access", lambda *_: False)
    found = camera.check_camera(Config(), target)
    assert states(found) == ["ok", "fail"]
    assert "usermod -aG video" in found[-1].remedy


@pytest.mark.parametrize("device", ["null", "file:show.mp4"])
def test_no_device_needed(tmp_path: Path, device: str) -> None:
    assert states(camera.check_camera(config(camera__device=device), Machine(tmp_path))) == ["ok"]


# Sound


def no_server() -> None:
    raise DeviceError("sound server", "none answers for this user")


@pytest.mark.parametrize(
    ("start", "can_start", "state", "says"),
    [
        (True, True, "ok", "the daemon starts PulseAudio"),
        (True, False, "fail", "not installed"),
        (False, True, "fail", "none answers"),
    ],
)
def test_without_a_sound_server(
    monkeypatch: pytest.MonkeyPatch, start: bool, can_start: bool, state: str, says: str
) -> None:
    monkeypatch.delenv("PULSE_SERVER", raising=False)
    monkeypatch.setattr(sound, "connect", no_server)
    monkeypatch.setattr(sound, "can_start_server", lambda: can_start)
    found = sound.check_sound_server(config(microphone__start_sound_server=start), Machine())
    assert states(found) == [state]
    assert says in found[0].message


class FakePulse:
    """A server with the given sources."""

    def __init__(self, name: str, *sources: str) -> None:
        self.server_name, self.server_version = name, "16.1"
        self.sources = sources
        self.closed = False

    def server_info(self) -> FakePulse:
        return self

    def source_list(self) -> list[object]:
        return [type("Source", (), {"name": name}) for name in self.sources]

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("server", "files", "state", "says"),
    [
        (FakePulse("pulseaudio", "vcam_talker_mic"), (), "ok", "is there"),
        (FakePulse("pulseaudio"), ("module-null-sink.so", "module-remap-source.so"), "ok", "can be made"),
        (FakePulse("pulseaudio"), ("module-null-sink.so",), "fail", "lacks"),
        (FakePulse("PulseAudio (on PipeWire 1.0.5)"), ("module-null-sink.so",), "ok", "can be made"),
    ],
)
def test_the_microphone_on_a_server(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    server: FakePulse,
    files: tuple[str, ...],
    state: str,
    says: str,
) -> None:
    for name in files:
        write(tmp_path, f"usr/lib/pulse-16.1/modules/{name}")
    monkeypatch.setattr(sound, "connect", lambda: server)
    found = sound.check_sound_server(Config(), Machine(tmp_path))
    assert states(found) == ["ok", state]
    assert says in found[-1].message
    assert server.closed


def test_the_pulse_plugin_is_looked_for(tmp_path: Path) -> None:
    assert states(sound.check_portaudio(Config(), Machine(tmp_path))) == ["ok", "fail"]
    write(tmp_path, "usr/lib/x86_64-linux-gnu/alsa-lib/libasound_module_pcm_pulse.so")
    assert states(sound.check_portaudio(Config(), Machine(tmp_path))) == ["ok"]


# Machine


@pytest.mark.parametrize(
    ("quota", "flags", "expected"),
    [
        ("max 100000", "avx2", ["ok"]),
        ("50000 100000", "avx2", ["warn"]),
        ("max 100000", "sse2", ["ok", "warn"]),
    ],
)
def test_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, flags: str, expected: list[str]
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    write(tmp_path, "proc/self/cgroup", "0::/user.slice\n")
    write(tmp_path, "sys/fs/cgroup/user.slice/cpu.max", quota)
    write(tmp_path, "proc/cpuinfo", f"processor : 0\nflags : fpu {flags}\nbugs :\n")
    assert states(machine.check_processors(Config(), Machine(tmp_path))) == expected


@pytest.mark.parametrize(
    ("groups", "files", "shown"),
    [
        ("0::/a/b", {"a/cpu.max": "250000 100000", "a/b/cpu.max": "max 100000"}, "limited to 2.5"),
        (
            "3:cpu,cpuacct:/x",
            {"cpu/x/cpu.cfs_quota_us": "300000", "cpu/x/cpu.cfs_period_us": "100000"},
            "to 3",
        ),
    ],
    ids=["around its own group", "of version 1"],
)
def test_a_quota_is_told_wherever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: str, files: dict[str, str], shown: str
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    write(tmp_path, "proc/self/cgroup", f"{groups}\n")
    for name, text in files.items():
        write(tmp_path, f"sys/fs/cgroup/{name}", text)
    (found,) = machine.check_processors(Config(), Machine(tmp_path))
    assert found.state == "ok"
    assert found.message.startswith("4 processors (")
    assert found.message.endswith(shown)


@pytest.mark.parametrize(("source", "state"), [("tsc", "ok"), ("hpet", "warn"), ("", "ok")])
def test_clock_source(tmp_path: Path, source: str, state: str) -> None:
    write(tmp_path, "sys/devices/system/clocksource/clocksource0/current_clocksource", source)
    assert states(machine.check_clock(Config(), Machine(tmp_path))) == [state]


def test_disk_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "not" / "yet"))
    assert states(machine.check_disk(Config(), Machine())) == ["ok"]
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1_000_000}))
    assert states(machine.check_disk(Config(), Machine())) == ["warn"]


def test_a_port_that_another_program_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = machine.check_port(config(control__port=port), Machine())
    assert states(taken) == ["fail"]
    assert str(port) in taken[0].message
    assert states(machine.check_port(config(control__port=port), Machine())) == ["ok"]


def test_our_own_daemon_may_hold_the_port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from vcam_talker.control.address import publish_address

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        publish_address(f"http://127.0.0.1:{port}")
        found = machine.check_port(config(control__port=port), Machine())
    assert states(found) == ["ok"]
    assert "on air" in found[0].message


def test_root_is_remarked_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert states(machine.check_user(Config(), Machine(tmp_path))) == ["warn"]
    write(tmp_path, ".dockerenv")
    assert states(machine.check_user(Config(), Machine(tmp_path))) == ["ok"]
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert states(machine.check_user(Config(), Machine(tmp_path))) == ["ok"]


# All together


def test_one_check_that_hangs_and_one_that_breaks_harm_no_other() -> None:
    release = threading.Event()

    def check_hanging(_config: Config, _machine: Machine) -> list[Finding]:
        release.wait(10)
        return []

    def check_breaking(_config: Config, _machine: Machine) -> list[Finding]:
        raise KeyError("surprise")

    def check_fine(_config: Config, _machine: Machine) -> list[Finding]:
        return [Finding("fine", "ok", "all is well")]

    found = diagnose(Config(), checks=[check_hanging, check_breaking, check_fine], deadline_s=0.2)
    release.set()
    assert [(finding.area, finding.state) for finding in found] == [
        ("hanging", "warn"),
        ("breaking", "warn"),
        ("fine", "ok"),
    ]
    assert "in time" in found[0].message
    assert "surprise" in found[1].message


def test_this_machine_gets_an_answer_for_every_area() -> None:
    start_s = time.monotonic()
    found = diagnose(Config())
    assert time.monotonic() - start_s < 10
    assert {finding.area for finding in found} >= {"python", "packages", "persona", "voice", "camera", "page"}
    assert len(found) >= len(CHECKS)
    for finding in found:
        assert finding.state == "ok" or finding.remedy, finding


def test_rendering() -> None:
    text = render_findings(
        [Finding("python", "ok", "Python 3.12"), Finding("camera", "fail", "gone", "Plug it in")]
    )
    assert text.splitlines() == [
        "ok    python  Python 3.12",
        "FAIL  camera  gone",
        "              -> Plug it in",
        "1 failed, 0 with a warning; the daemon runs with what is left.",
    ]
    assert render_findings([]) == "Everything is in order."
