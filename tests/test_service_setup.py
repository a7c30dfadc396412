"""`setup service`: what would change on which machine, on fake ones; and that nothing changes unasked."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from vcam_talker.cli import main
from vcam_talker.setup_service import Machine, ServiceError, ServicePlan, apply, plan, render_plan, run_setup
from vcam_talker.setup_service.plan import plan_removal
from vcam_talker.setup_service.unit import BACK_OFF, INSTALLATION, OURS, SANDBOX, UNIT, quoted, unit_files

pytestmark = pytest.mark.unit

USER = "ada"


@dataclass
class FakeSystemd:
    """Answers and obeys as systemd does for one user, as far as the plan looks."""

    version: str = "252.39-1~deb12u2"
    reachable: bool = True
    namespaces: bool = True
    fault: str = ""
    active: bool = False
    enabled: bool = False
    lingers: bool = False
    main_pid: int = 0
    may_linger: bool = True
    starts: bool = True
    commands: list[str] = field(default_factory=list)

    def query(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        out, code, errors = "", 0, ""
        match list(argv):
            case ["systemctl", "--user", *_] if not self.reachable:
                code, errors = 1, "Failed to connect to bus: No medium found"
            case ["systemctl", "--user", "show", "--property=Version", "--value"]:
                out = self.version
            case ["systemctl", "--user", "show", "--property=MainPID", "--value", "vcam-talker.service"]:
                out = str(self.main_pid)
            case ["systemctl", "--user", "is-enabled", _]:
                out, code = ("enabled", 0) if self.enabled else ("disabled", 1)
            case ["systemctl", "--user", "is-active", _]:
                out, code = ("active", 0) if self.active else ("inactive", 3)
            case ["systemd-run", "--user", *_, "/bin/true"]:
                code = 0 if self.namespaces else 226
            case ["systemd-analyze", "--user", "verify", _]:
                errors, code = self.fault, int(bool(self.fault))
            case ["id", "-un"]:
                out = USER
            case ["loginctl", "show-user", name, "--property=Linger", "--value"]:
                assert name == USER
                out = "yes" if self.lingers else "no"
            case unknown:
                raise AssertionError(f"asked: {unknown}")
        return subprocess.CompletedProcess(list(argv), code, out + "\n", errors)

    def run(self, argv: Sequence[str]) -> int:
        self.commands.append(shlex.join(argv))
        match list(argv)[-2:]:
            case ["enable", _]:
                self.enabled = True
            case ["start" | "restart", _]:
                self.active = self.starts
                return 0 if self.starts else 1
            case ["loginctl", "enable-linger"]:
                self.lingers = self.may_linger
                return 0 if self.may_linger else 1
            case ["--now", _]:
                self.active = self.enabled = False
        return 0


@pytest.fixture
def systemd() -> FakeSystemd:
    return FakeSystemd()


@pytest.fixture
def machine(tmp_path: Path, systemd: FakeSystemd, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("VCAM_TALKER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return machine_at(tmp_path, systemd)


def machine_at(root: Path, systemd: FakeSystemd, system: str = "linux", **environ: str) -> Machine:
    return Machine(root, system, {"HOME": str(root / "home"), **environ}, systemd.query, systemd.run)


def written(found: ServicePlan) -> dict[str, str]:
    return {step.path.name: step.content for step in found.steps if step.path and step.content is not None}


def install(machine: Machine, config: Path | None = None) -> list[str]:
    said: list[str] = []
    run_setup(config, dry_run=False, remove=False, ask=lambda _: True, announce=said.append, machine=machine)
    return said


def test_the_whole_way_and_then_nothing_is_left_to_do(machine: Machine, systemd: FakeSystemd) -> None:
    said = install(machine)
    assert systemd.commands == [
        "systemctl --user daemon-reload",
        "systemctl --user enable vcam-talker.service",
        "systemctl --user start vcam-talker.service",
        "loginctl enable-linger",
    ]
    assert sorted(
        str(p.relative_to(machine.unit_dir)) for p in machine.unit_dir.rglob("*.*") if p.is_file()
    ) == [
        UNIT,
        str(INSTALLATION),
        str(SANDBOX),
    ]
    assert said[-1].startswith("It is on air")
    assert "journalctl --user -u vcam-talker -f" in said[-1]
    assert plan(machine) == ServicePlan()
    assert "as it should be" in render_plan(plan(machine))


def test_a_dry_run_and_a_no_change_nothing(machine: Machine, systemd: FakeSystemd) -> None:
    said: list[str] = []
    run_setup(None, dry_run=True, remove=False, ask=pytest.fail, announce=said.append, machine=machine)
    assert "ExecStart=" in said[0]
    run_setup(None, dry_run=False, remove=False, ask=lambda _: False, announce=said.append, machine=machine)
    assert said[-1] == "Nothing was changed."
    assert systemd.commands == []
    assert not machine.unit_dir.exists()


def test_a_change_restarts_what_is_on_air(machine: Machine, systemd: FakeSystemd, tmp_path: Path) -> None:
    install(machine)
    systemd.commands.clear()
    install(machine, tmp_path / "other.toml")
    assert systemd.commands == [
        "systemctl --user daemon-reload",
        "systemctl --user restart vcam-talker.service",
    ]
    assert f"run --config {tmp_path}/other.toml" in (machine.unit_dir / INSTALLATION).read_text()


@pytest.mark.parametrize(("version", "backs_off"), [("252.39-1", False), ("254~rc1", True), ("v257.4", True)])
def test_longer_waits_where_systemd_knows_them(
    machine: Machine, systemd: FakeSystemd, version: str, backs_off: bool
) -> None:
    systemd.version = version
    assert (BACK_OFF.name in written(plan(machine))) == backs_off


def test_without_namespaces_it_runs_without_the_sandbox(machine: Machine, systemd: FakeSystemd) -> None:
    install(machine)
    systemd.namespaces = False
    found = plan(machine)
    assert [step.title.split("/")[0] for step in found.steps] == [
        "Remove ", "Have systemd read it", "Go on air anew (picture and sound are away for some seconds)",
    ]  # fmt: skip
    assert "without the sandbox" in found.notes[0]
    apply(found, machine, pytest.fail)
    assert not (machine.unit_dir / SANDBOX).exists()


def test_lingering_that_is_refused_is_said_and_the_rest_is_done(
    machine: Machine, systemd: FakeSystemd
) -> None:
    systemd.may_linger = False
    said = install(machine)
    assert f"sudo loginctl enable-linger {USER}" in said[-2]
    assert systemd.active


def test_a_service_that_does_not_start_is_one_error_with_the_log_command(
    machine: Machine, systemd: FakeSystemd
) -> None:
    systemd.starts = False
    with pytest.raises(ServiceError, match="journalctl --user -u vcam-talker -n 50") as caught:
        install(machine)
    assert "\n" not in str(caught.value)


def test_removal_takes_away_what_was_written_and_nothing_else(machine: Machine, systemd: FakeSystemd) -> None:
    install(machine)
    own = machine.unit_dir / INSTALLATION.parent / "override.conf"
    own.write_text("[Service]\n")
    apply(plan_removal(machine), machine, pytest.fail)
    assert own.exists()
    assert not any((machine.unit_dir / path).exists() for path in OURS)
    assert systemd.commands[-2:] == [
        "systemctl --user disable --now vcam-talker.service",
        "systemctl --user daemon-reload",
    ]
    assert plan_removal(machine) == ServicePlan()


def test_removal_leaves_no_empty_folder(machine: Machine) -> None:
    install(machine)
    apply(plan_removal(machine), machine, pytest.fail)
    assert list(machine.unit_dir.iterdir()) == []


# --- machines where it can't be


def test_no_systemd(tmp_path: Path, systemd: FakeSystemd) -> None:
    found = plan(machine_at(tmp_path, systemd))
    assert "not started by systemd (a container?)" in found.blocker
    assert "docker run --restart always" in found.blocker


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems(tmp_path: Path, systemd: FakeSystemd, system: str) -> None:
    assert "systemd is for Linux" in plan(machine_at(tmp_path, systemd, system)).blocker


def test_a_manager_that_is_out_of_reach(machine: Machine, systemd: FakeSystemd) -> None:
    systemd.reachable = False
    found = plan(machine)
    assert "export XDG_RUNTIME_DIR" in found.blocker
    with pytest.raises(ServiceError, match="can't be reached"):
        install(machine)


def test_sudo(machine: Machine, systemd: FakeSystemd) -> None:
    assert "without sudo" in plan(machine_at(machine.root, systemd, SUDO_USER="ada")).blocker


def test_a_daemon_that_was_started_by_hand(machine: Machine, systemd: FakeSystemd) -> None:
    runtime = machine.root / "runtime"
    runtime.mkdir(mode=0o700)
    address = {"pid": os.getpid(), "url": "http://127.0.0.1:1", "token": ""}
    (runtime / "daemon.json").write_text(json.dumps(address))
    (runtime / "daemon.json").chmod(0o600)
    assert f"(process {os.getpid()}). Stop it" in plan(machine).blocker
    systemd.main_pid = os.getpid()
    assert not plan(machine).blocker


def test_what_the_verifier_finds_is_told_before_anything_is_written(
    machine: Machine, systemd: FakeSystemd
) -> None:
    systemd.fault = "default.target: whatever\nvcam-talker.service: Command /x is not executable\n"
    with pytest.raises(ServiceError, match="finds fault with the unit: vcam-talker"):
        install(machine)
    assert not machine.unit_dir.exists()
    systemd.fault = "other.service: not ours\n"
    assert not plan(machine).blocker


def test_a_folder_that_can_not_be_written(machine: Machine) -> None:
    machine.unit_dir.parent.mkdir(parents=True)
    machine.unit_dir.write_text("a file in the way")
    with pytest.raises(ServiceError, match="can't be changed"):
        install(machine)


# --- the files


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("/opt/a-b_c.2/x", "/opt/a-b_c.2/x"),
        ("/opt/a b", '"/opt/a b"'),
        ("", '""'),
        ('say "hi"', '"say \\"hi\\""'),
        ("100%", '"100%%"'),
        ("$HOME", '"$$HOME"'),
        ("back\\slash", '"back\\\\slash"'),
        ("ü密", '"ü密"'),
        ("a\nb", '"a\\x0ab"'),
    ],
)
def test_words_are_quoted_for_systemd(word: str, expected: str) -> None:
    assert quoted(word) == expected


def test_the_service_looks_where_the_command_line_looks() -> None:
    environ = {
        "XDG_CONFIG_HOME": "/c $x",
        "XDG_STATE_HOME": "",
        "OPENAI_API_KEY": "hunter2",
        "HOME": "/home/a",
    }
    text = unit_files([], environ, version=252, sandbox=False)[INSTALLATION]
    assert 'Environment="XDG_CONFIG_HOME=/c $x"' in text
    assert text.count("Environment=") == 1
    assert "hunter2" not in text


def test_the_command_is_this_installations() -> None:
    text = unit_files(["--config", "/x y.toml"], {}, version=252, sandbox=False)[INSTALLATION]
    assert text.splitlines()[-2] == "ExecStart="
    assert text.splitlines()[-1].endswith('run --config "/x y.toml"')


def test_a_mistake_in_the_configuration_shows_before_anything_is_planned(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("nonsense = 1\n")
    done = CliRunner().invoke(main, ["setup", "service", "--dry-run", "--config", str(path)])
    assert done.exit_code == 3
    assert "nonsense" in done.output
