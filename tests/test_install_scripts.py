"""The installer on machines it has never seen: fake dpkg, apt and sudo on an otherwise bare PATH."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from vcam_talker.bench import NAMES

pytestmark = pytest.mark.real

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "scripts"
RUN_PACKAGES = {
    f"python3.{sys.version_info[1]}-venv",
    f"python3.{sys.version_info[1]}-dev",
    *("libgl1", "libegl1", "libexpat1", "gcc", "libc6-dev", "portaudio19-dev", "libportaudio2"),
    *("libasound2-plugins", "libpulse0", "pulseaudio-utils", "flite", "espeak-ng", "pulseaudio"),
}

FAKES = {
    "dpkg-query": """shift 3
for name; do grep -qx "$name" $FAKE/installed && echo "$name installed"; done; true""",
    "apt-cache": """shift
for name; do
  if grep -qx "$name" $FAKE/offered; then candidate=1.0; else candidate='(none)'; fi
  printf '%s:\\n  Installed: (none)\\n  Candidate: %s\\n' "$name" "$candidate"
done""",
    "apt-get": """echo "apt-get $*" >>$FAKE/log
for word; do
  if [ $word = update ]; then
    [ ! -e $FAKE/offered.after-update ] || cp $FAKE/offered.after-update $FAKE/offered
    exit
  fi
  if [ -e $FAKE/broken ] && grep -qx "$word" $FAKE/broken; then exit 100; fi
done
for word; do grep -qx "$word" $FAKE/offered && echo "$word" >>$FAKE/installed; done; true""",
    "sudo": """echo "sudo $*" >>$FAKE/log
[ ! -e $FAKE/no-sudo ] || exit 1
[ $1 != -n ] || shift
exec "$@" """,
    "id": "cat $FAKE/uid",
    "ldconfig": "true",
    # A distribution's python3 before its -venv and -dev packages came.
    "python": f"""case $2 in
  *ensurepip* | *Python.h*) exit 1 ;;
  *sys.executable*) echo "$0" ;;
  *) exec {sys.executable} "$@" ;;
esac""",
}


class Box:
    """A machine: what is installed, what apt offers, who the user is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in ("bash", "sh", "env", "sed", "cut", "grep", "cat", "dirname", "true", "cp"):
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)
        for name, body in FAKES.items():
            self.program(name, body)
        self.have()
        self.offer(*RUN_PACKAGES)
        self.user("0")

    def program(self, name: str, body: str = "true") -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.bin / name).chmod(0o755)

    def have(self, *names: str) -> None:
        (self.folder / "installed").write_text("".join(f"{name}\n" for name in names))

    def offer(self, *names: str, after_update: bool = False) -> None:
        file = "offered.after-update" if after_update else "offered"
        (self.folder / file).write_text("".join(f"{name}\n" for name in names))

    def user(self, uid: str, *, sudo: bool = True) -> None:
        (self.folder / "uid").write_text(uid)
        if not sudo:
            (self.folder / "no-sudo").touch()

    def installed(self) -> set[str]:
        return set((self.folder / "installed").read_text().split())

    def log(self) -> str:
        file = self.folder / "log"
        return file.read_text() if file.exists() else ""

    def install(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.bin / "bash", SCRIPTS / "install-system.sh", *arguments],
            env={"PATH": str(self.bin), "FAKE": str(self.folder), "PYTHON": str(self.bin / "python"), **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_root_installs_what_is_missing_and_only_that(box: Box) -> None:
    box.have("flite", "libgl1")
    done = box.install("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert box.installed() >= RUN_PACKAGES
    command = next(line for line in box.log().splitlines() if " install " in line)
    assert "--no-install-recommends --no-remove" in command
    assert " flite" not in command
    assert "sudo" not in box.log()


def test_nothing_is_done_twice(box: Box) -> None:
    box.have(*RUN_PACKAGES)
    done = box.install("run")
    assert done.returncode == 0
    assert "all there" in done.stdout
    assert box.log() == ""


def test_a_user_with_sudo(box: Box) -> None:
    box.user("1000")
    assert box.install("run").returncode == 0
    assert "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get" in box.log()
    assert box.installed() >= RUN_PACKAGES


def test_a_user_without_rights_learns_what_is_missing_and_goes_on(box: Box) -> None:
    box.user("1000", sudo=False)
    essential = {name for name in RUN_PACKAGES if name.endswith("-venv")} | {"libgl1", "libegl1", "libexpat1"}
    box.have(*essential)
    done = box.install("run")
    assert done.returncode == 0
    assert "apt-get" not in box.log()
    for name in RUN_PACKAGES - essential:
        assert f"  {name} " in done.stdout
    assert "sudo apt-get install --no-install-recommends gcc libc6-dev" in done.stdout
    assert "English is spoken by espeak-ng" in done.stdout
    assert "[essential]" not in done.stdout


def test_without_an_essential_package_it_stops(box: Box) -> None:
    box.user("1000", sudo=False)
    box.have(*RUN_PACKAGES - {"libgl1"})
    done = box.install("run")
    assert done.returncode == 1
    assert "can't be drawn (Skia) [essential]" in done.stdout


def test_apt_may_be_forbidden(box: Box) -> None:
    box.have(*RUN_PACKAGES - {"flite"})
    assert box.install("run", VCAM_TALKER_NO_APT="1").returncode == 0
    assert box.log() == ""


def test_dry_run_changes_nothing(box: Box) -> None:
    box.have(*RUN_PACKAGES - {"flite"})
    done = box.install("--dry-run", "run")
    assert "flite" in done.stdout
    assert box.log() == ""


def test_a_fresh_container_has_no_lists_yet(box: Box) -> None:
    box.offer()
    box.offer(*RUN_PACKAGES, after_update=True)
    assert box.install("run").returncode == 0
    assert box.installed() >= RUN_PACKAGES


def test_one_broken_package_keeps_no_other_out(box: Box) -> None:
    (box.folder / "broken").write_text("flite\n")
    done = box.install("run")
    assert done.returncode == 0
    assert box.installed() >= RUN_PACKAGES - {"flite"}
    assert "Could not install flite" in done.stderr
    assert "  flite " in done.stdout


def test_no_second_sound_server_beside_pipewire(box: Box) -> None:
    box.have("pipewire-pulse")
    assert box.install("run").returncode == 0
    assert "pulseaudio" not in box.installed()


def test_what_came_without_dpkg_counts(box: Box) -> None:
    box.program("flite")
    box.program("ldconfig", 'echo "	libGL.so.1 (libc6,x86-64) => /opt/lib/libGL.so.1"')
    assert box.install("run").returncode == 0
    assert not {"flite", "libgl1"} & box.installed()
    assert "libegl1" in box.installed()


def test_the_first_alternative_that_apt_has_is_taken(box: Box) -> None:
    generic = {name.replace(f".{sys.version_info[1]}", "") for name in RUN_PACKAGES}
    box.offer(*generic)
    assert box.install("run").returncode == 0
    assert {"python3-venv", "python3-dev"} <= box.installed()


def test_ubuntus_chromium_needs_snap(box: Box) -> None:
    box.offer(*RUN_PACKAGES, "chromium-browser")
    assert "chromium" in box.install("test").stdout
    assert "chromium-browser" not in box.installed()
    box.program("snap")
    box.install("test")
    assert "chromium-browser" in box.installed()


def test_a_system_without_apt(box: Box) -> None:
    for name in ("dpkg-query", "apt-get", "apt-cache"):
        (box.bin / name).unlink()
    done = box.install("run")
    assert done.returncode == 1
    assert "There is no apt here" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("walk",), ("run", "--fast")])
def test_wrong_use(box: Box, arguments: tuple[str, ...]) -> None:
    done = box.install(*arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_an_old_python_is_refused_with_a_way_out(box: Box) -> None:
    box.program("old", "exit 1")
    done = subprocess.run(
        [SCRIPTS / "find-python.sh"],
        env={"PATH": os.environ["PATH"], "PYTHON": str(box.bin / "old")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "3.11" in done.stderr


def test_the_chosen_python_is_the_interpreter_itself(box: Box) -> None:
    box.program("shim", f'exec {sys.executable} "$@"')
    done = subprocess.run(
        [SCRIPTS / "find-python.sh"],
        env={"PATH": os.environ["PATH"], "PYTHON": str(box.bin / "shim")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == sys.executable


@pytest.mark.parametrize("both", [False, True])
def test_of_two_builds_of_onnx_runtime_the_gpus_stays(tmp_path: Path, *, both: bool) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(SCRIPTS / "install-python.sh", tmp_path / "scripts")
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/log\n'
        f'case "$*" in *importlib.metadata*) exit {0 if both else 1} ;; esac\n'
    )
    python.chmod(0o755)
    subprocess.run([tmp_path / "scripts" / "install-python.sh", "gpu,prune"], check=True, timeout=60)
    log = (tmp_path / "log").read_text()
    assert "--editable .[gpu,prune]" in log
    assert ("uninstall --quiet --yes onnxruntime\n" in log) is both
    assert ("--no-deps --force-reinstall onnxruntime-gpu\n" in log) is both


def test_make_alone_prints_help() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("run", "install", "test", "lint", "bench", "clean"):
        assert f"make {target} " in done.stdout


def test_make_bench_runs_every_bench() -> None:
    line = next(row for row in (ROOT / "Makefile").read_text().splitlines() if row.startswith("BENCHES"))
    assert sorted(line.partition("?=")[2].split()) == sorted(NAMES)


def test_every_import_is_declared() -> None:
    """A package that happens to lie in the developer's environment is not there on a user's machine."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    extras = ("asr", "llm", "lips", "openvino", "prune")
    lines = [*project["dependencies"], *(line for extra in extras for line in optional[extra])]
    declared = {re.split(r"[><=;\[\s]", line)[0].lower() for line in lines}
    # These are parts of fastapi and pydantic, and come with them in matching versions.
    declared |= {"starlette", "pydantic-core"}
    distributions = packages_distributions()
    for file in (ROOT / "vcam_talker").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            for top in {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"vcam_talker"}:
                providers = {d.lower().replace("_", "-") for d in distributions.get(top, [top])}
                assert providers & declared, f"{file.name} imports {top}: add it to pyproject.toml"


def test_pins_are_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    for line in pins:
        name, _, version = line.partition("==")
        assert name.replace("-", "").replace("_", "").replace(".", "").isalnum(), line
        assert version.replace(".", "").isalnum(), line
