"""`setup camera`: what would change on which machine, on fake roots; and that nothing changes unasked."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from vcam_talker.air.loopback import LoopbackCamera, read_loopback
from vcam_talker.air.loopback_options import OptionsLine, add_camera, read_options
from vcam_talker.config import Config, override
from vcam_talker.core.errors import ConfigError, DeviceError
from vcam_talker.setup_camera import SetupPlan, Step, apply, plan, render_plan, run_setup

pytestmark = pytest.mark.unit

KERNEL = "6.1.0-28-amd64"
OURS = "etc/modprobe.d/vcam-talker.conf"


class FakeQuery:
    """Answers apt-cache and id as a Debian machine would."""

    def __init__(self, offered: Sequence[str] = (), groups: str = "video", has_apt: bool = True) -> None:
        self.offered = offered
        self.groups = groups
        self.has_apt = has_apt

    def __call__(self, argv: Sequence[str], _: str | None = None) -> subprocess.CompletedProcess[str]:
        if argv[0] == "id":
            return subprocess.CompletedProcess(argv, 0, self.groups + "\n", "")
        if not self.has_apt:
            return subprocess.CompletedProcess(argv, 127, "", "")
        # apt-cache says nothing of names it never heard of, and "(none)" of virtual ones.
        text = "".join(
            f"{name}:\n  Installed: (none)\n  Candidate: {version}\n  Version table:\n     {version} 500\n"
            for name in argv[2:]
            for version in (["1.0"] if name in self.offered else ["(none)"] if "loopback" in name else [])
        )
        return subprocess.CompletedProcess(argv, 0, text, "")


DEBIAN = FakeQuery(["v4l2loopback-dkms", f"linux-headers-{KERNEL}", "linux-headers-amd64"])


def machine(root: Path, *, module: bool = True, devices: dict[int, str] | None = None) -> Path:
    modules = root / "lib/modules" / KERNEL
    modules.mkdir(parents=True)
    name = "updates/dkms/v4l2loopback.ko.xz:" if module else "kernel/fs/9p/9p.ko.xz:"
    (modules / "modules.dep").write_text(name + "\n")
    if devices is not None:
        (root / "sys/module/v4l2loopback").mkdir(parents=True)
        (root / "sys/module/v4l2loopback/version").write_text("0.12.7\n")
    for number, label in (devices or {}).items():
        node = root / f"sys/devices/virtual/video4linux/video{number}"
        node.mkdir(parents=True)
        (node / "name").write_text(label + "\n")
        (node / "max_openers").write_text("10\n")
    return root


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def planned(root: Path, query: FakeQuery = DEBIAN, config: Config | None = None, **more: bool) -> SetupPlan:
    return plan(config or Config(), root=root, kernel=KERNEL, system="linux", query=query, **more)


def options(found: SetupPlan) -> str:
    """The options line the plan would write."""
    content = next(step.content for step in found.steps if "modprobe.d" in step.title and step.content)
    return content.splitlines()[-1]


class FakeRun:
    """Carries file steps out for real (under the fake root); notes the rest."""

    def __init__(self, fail: str = "") -> None:
        self.calls: list[tuple[str, ...]] = []
        self.fail = fail

    def __call__(self, argv: Sequence[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        self.calls.append(tuple(argv))
        words = [word for word in argv if word != "sudo"]
        if words[0] == self.fail:
            return subprocess.CompletedProcess(argv, 1)
        if words[0] in {"install", "rm"}:
            return subprocess.run(words, input=stdin, text=True, check=True)
        return subprocess.CompletedProcess(argv, 0)


def yes(_: str) -> bool:
    return True


def no(_: str) -> bool:
    return False


def test_bare_debian_gets_packages_files_and_a_load(tmp_path: Path) -> None:
    found = planned(machine(tmp_path, module=False))
    assert found.device == "/dev/video10"
    assert found.steps[0].argv == (
        "apt-get", "install", "-y", "--no-install-recommends",
        "v4l2loopback-dkms", f"linux-headers-{KERNEL}", "linux-headers-amd64",
    )  # fmt: skip
    assert options(found) == (
        'options v4l2loopback devices=1 video_nr=10 card_label="vcam_talker" exclusive_caps=1'
    )
    assert found.steps[-1].argv == ("modprobe", "v4l2loopback")


def test_carried_out_it_leaves_nothing_to_do(tmp_path: Path) -> None:
    machine(tmp_path)
    run = FakeRun()
    assert apply(planned(tmp_path), yes, run, root_user=True)
    assert run.calls[-1] == ("modprobe", "v4l2loopback")
    assert (tmp_path / "etc/modules-load.d/vcam-talker.conf").read_text().endswith("\nv4l2loopback\n")
    after = tmp_path / "sys/devices/virtual/video4linux/video10"
    after.mkdir(parents=True)
    (after / "name").write_text("vcam_talker\n")
    (after / "max_openers").write_text("10\n")
    (tmp_path / "sys/module/v4l2loopback").mkdir(parents=True)
    again = planned(tmp_path)
    assert again.steps == ()
    assert "Nothing is to be done" in render_plan(again)
    assert apply(again, no, run, root_user=True), "nothing to ask when nothing is to be done"


def test_refused_nothing_changes(tmp_path: Path) -> None:
    machine(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    run = FakeRun()
    assert not apply(planned(tmp_path), no, run, root_user=True)
    assert run.calls == []
    assert sorted(tmp_path.rglob("*")) == before


def test_sudo_where_not_root(tmp_path: Path) -> None:
    run = FakeRun()
    apply(planned(machine(tmp_path)), yes, run, root_user=False)
    assert run.calls
    assert {call[0] for call in run.calls} == {"sudo"}


def test_a_failing_step_stops_and_tells_the_remedy(tmp_path: Path) -> None:
    run = FakeRun(fail="modprobe")
    with pytest.raises(DeviceError, match=r"modprobe v4l2loopback' failed.*dkms status"):
        apply(planned(machine(tmp_path)), yes, run, root_user=True)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    def missing(argv: Sequence[str], _: str | None = None) -> subprocess.CompletedProcess[str]:
        raise FileNotFoundError(2, "No such file or directory", argv[0])

    with pytest.raises(DeviceError, match="sudo can't be started"):
        apply(planned(machine(tmp_path)), yes, missing, root_user=False)


def test_obs_keeps_its_camera(tmp_path: Path) -> None:
    machine(tmp_path, devices={4: "OBS Cam"})
    obs = 'options v4l2loopback devices=1 video_nr=4 card_label="OBS Cam" exclusive_caps=1 max_buffers=4\n'
    write(tmp_path, "etc/modprobe.d/v4l2loopback.conf", "# OBS\n" + obs)
    found = planned(tmp_path)
    words = options(found)
    assert "devices=2" in words
    assert "video_nr=4,10" in words
    assert 'card_label="OBS Cam,vcam_talker"' in words
    assert "exclusive_caps=1,1" in words
    assert "max_buffers=4" in words
    assert [step.argv[:2] for step in found.steps[-2:]] == [("modprobe", "-r"), ("modprobe", "v4l2loopback")]
    assert "v4l2loopback.conf" in render_plan(found)


def test_a_file_that_is_read_later_does_not_override_ours(tmp_path: Path) -> None:
    machine(tmp_path)
    write(tmp_path, "etc/modprobe.d/zz-cams.conf", "options v4l2loopback video_nr=7 card_label=Other\n")
    apply(planned(tmp_path), yes, FakeRun(), root_user=True)
    last = read_options(tmp_path)[-1].parameters
    assert last["video_nr"] == "7,10"
    assert last["card_label"] == "Other,vcam_talker"


def test_a_running_camera_without_configuration_is_carried_over(tmp_path: Path) -> None:
    machine(tmp_path, devices={0: "OBS Virtual Camera"})
    words = options(planned(tmp_path))
    assert "video_nr=0,10" in words
    assert 'card_label="OBS Virtual Camera,vcam_talker"' in words


def test_a_taken_number_is_not_taken_away(tmp_path: Path) -> None:
    machine(tmp_path)
    (tmp_path / "sys/class/video4linux/video10").mkdir(parents=True)
    found = planned(tmp_path)
    assert found.device == "/dev/video11"
    assert "video_nr=11" in options(found)
    assert "/dev/video10 belongs to another camera" in render_plan(found)


@pytest.mark.parametrize(
    ("line", "numbers", "labels", "exclusive"),
    [
        ({}, "-1,10", "Dummy video device (0x0000),cam", "0,1"),
        ({"devices": "2", "video_nr": "3"}, "3,-1,10", None, "0,0,1"),
        ({"video_nr": "3,4", "card_label": "a,b"}, "3,4,10", "a,b,cam", "0,0,1"),
        ({"video_nr": "10", "card_label": "a"}, "10,11", "a,cam", "0,1"),
        ({"video_nr": "5", "card_label": "cam", "exclusive_caps": "0"}, "10", "cam", "1"),
    ],
)
def test_merging(line: dict[str, str], numbers: str, labels: str | None, exclusive: str) -> None:
    found = add_camera([OptionsLine(Path("x.conf"), line)], [], [], 10, "cam").parameters
    assert found["video_nr"] == numbers
    assert labels is None or found["card_label"] == labels
    assert found["exclusive_caps"] == exclusive
    assert found["devices"] == str(len(numbers.split(",")))


def test_merging_what_was_merged_changes_nothing() -> None:
    first = add_camera([], [LoopbackCamera(0, "OBS")], [], 10, "cam").parameters
    second = add_camera([OptionsLine(Path("x.conf"), first)], [LoopbackCamera(10, "cam")], [], 10, "cam")
    assert second.parameters == first


def test_modprobe_files_are_read_as_modprobe_reads_them(tmp_path: Path) -> None:
    write(tmp_path, "usr/lib/modprobe.d/b.conf", "options v4l2loopback video_nr=1\n")
    write(tmp_path, "etc/modprobe.d/b.conf", "options v4l2loopback video_nr=2 \\\n  card_label=x\n")
    write(tmp_path, "etc/modprobe.d/a.conf", "options v4l2loopback video_nr=3\noptions other video_nr=9\n")
    found = [(line.file.name, line.parameters) for line in read_options(tmp_path)]
    assert found == [("a.conf", {"video_nr": "3"}), ("b.conf", {"video_nr": "2", "card_label": "x"})]


def test_remove_takes_back_what_was_set_up(tmp_path: Path) -> None:
    machine(tmp_path, devices={10: "vcam_talker"})
    apply(planned(tmp_path), yes, FakeRun(), root_user=True)
    found = planned(tmp_path, remove=True)
    run = FakeRun()
    assert apply(found, yes, run, root_user=True)
    assert run.calls[-1] == ("modprobe", "-r", "v4l2loopback")
    assert not list(tmp_path.rglob("*vcam-talker.conf"))
    assert planned(tmp_path, remove=True).steps == ()


def test_remove_leaves_other_cameras_running(tmp_path: Path) -> None:
    machine(tmp_path, devices={4: "OBS Cam", 10: "vcam_talker"})
    write(tmp_path, "etc/modprobe.d/obs.conf", "options v4l2loopback video_nr=4 card_label=OBS\n")
    write(tmp_path, OURS, "options v4l2loopback devices=2\n")
    found = planned(tmp_path, remove=True)
    assert [step.argv[-1] for step in found.steps[-2:]] == ["v4l2loopback", "v4l2loopback"]
    assert (tmp_path / "etc/modprobe.d/obs.conf").exists()


@pytest.mark.parametrize(
    ("mark", "kernel", "says"),
    [
        (".dockerenv", KERNEL, "container"),
        ("run/systemd/container", KERNEL, "container"),
        ("x", "5.15.153.1-microsoft-standard-WSL2", "WSL"),
    ],
)
def test_where_no_module_can_be_loaded(tmp_path: Path, mark: str, kernel: str, says: str) -> None:
    machine(tmp_path, module=False)
    write(tmp_path, mark, "")
    found = plan(Config(), root=tmp_path, kernel=kernel, system="linux", query=DEBIAN)
    assert says in found.blocker
    with pytest.raises(DeviceError, match=says):
        apply(found, yes, FakeRun(), root_user=True)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (FakeQuery(["v4l2loopback-dkms"]), f"has no package linux-headers-{KERNEL}"),
        (FakeQuery([f"linux-headers-{KERNEL}"]), "offers no v4l2loopback-dkms"),
        (FakeQuery(has_apt=False), "neither is apt"),
    ],
)
def test_packages_that_can_not_be_had(tmp_path: Path, query: FakeQuery, says: str) -> None:
    found = planned(machine(tmp_path, module=False), query)
    assert says in found.blocker
    assert found.steps == ()


def test_secure_boot_is_named_before_it_hurts(tmp_path: Path) -> None:
    machine(tmp_path, module=False)
    variable = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    write(tmp_path, variable, "")
    (tmp_path / variable).write_bytes(b"\x06\0\0\0\x01")
    assert "mokutil --import" in render_plan(planned(tmp_path))
    (tmp_path / variable).write_bytes(b"\x06\0\0\0\x00")
    assert "mokutil" not in render_plan(planned(tmp_path))


def test_a_user_outside_the_group_is_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path)
    write(tmp_path, "etc/group", "video:x:44:\n")
    monkeypatch.setenv("SUDO_USER", "ada")
    assert planned(tmp_path, FakeQuery(groups="ada")).steps[-1].argv == ("usermod", "-aG", "video", "ada")
    assert planned(tmp_path, FakeQuery(groups="ada video")).steps[-1].argv[0] == "modprobe"


def test_a_label_the_kernel_would_cut_is_refused(tmp_path: Path) -> None:
    for label in ("a,b", 'a"b', "a'b", "a\nb"):
        with pytest.raises(ConfigError, match=r"camera\.label"):
            planned(
                machine(tmp_path / label.encode().hex()), config=override(Config(), {"camera.label": label})
            )


@pytest.mark.parametrize(("system", "says"), [("win32", "OBS Studio 26"), ("darwin", "Start Virtual Camera")])
def test_elsewhere_obs_makes_the_camera(system: str, says: str) -> None:
    assert says in plan(Config(), system=system).blocker


def test_the_verb_shows_first_and_asks_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = planned(machine(tmp_path))
    monkeypatch.setattr("vcam_talker.setup_camera.plan", lambda *_, **__: found)
    said: list[str] = []

    def refuse(question: str) -> bool:
        said.append(question)
        return False

    run_setup(Config(), dry_run=True, remove=False, ask=refuse, announce=said.append)
    assert said == [render_plan(found)]
    run_setup(Config(), dry_run=False, remove=False, ask=refuse, announce=said.append)
    assert said[2:] == ["Make these 3 changes?", "Nothing was changed."]


def test_the_verb_fails_where_there_can_be_no_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    found = SetupPlan("", "cam", blocker="no kernel of one's own")
    monkeypatch.setattr("vcam_talker.setup_camera.plan", lambda *_, **__: found)
    with pytest.raises(DeviceError, match="no kernel"):
        run_setup(Config(), dry_run=False, remove=False, ask=yes, announce=print)
    said: list[str] = []
    run_setup(Config(), dry_run=True, remove=False, ask=yes, announce=said.append)
    assert said == ["no kernel of one's own"]


def test_the_rendered_plan_shows_every_byte() -> None:
    step = Step("Write /etc/x", ("install", "/dev/stdin", "/etc/a file"), "one\ntwo\n")
    text = render_plan(SetupPlan("/dev/video10", "cam", (step,)))
    assert "install /dev/stdin '/etc/a file'" in text
    assert "| one" in text
    assert "| two" in text


def test_state_is_read_from_the_kernel_not_from_names(tmp_path: Path) -> None:
    machine(tmp_path, devices={10: "vcam_talker"})
    other = tmp_path / "sys/devices/virtual/video4linux/video3"
    other.mkdir(parents=True)
    (other / "name").write_text("vivid\n")
    state = read_loopback(tmp_path, KERNEL)
    assert state.loaded
    assert state.version == "0.12.7"
    assert [(device.path, device.label) for device in state.devices] == [("/dev/video10", "vcam_talker")]
