"""`make studio` gets the head pack from a folder, an archive, or the repositories it is published in."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

SCRIPT = Path(__file__).parents[1] / "scripts" / "install-studio.sh"
HOMES = {
    "makehuman": (
        "makehuman/data/3dobjs",
        "makehuman/data/targets",
        "makehuman/data/rigs",
        "makehuman/data/eyes",
    ),
    "makehuman-assets": ("base/clothes",),
    "mpfb2": ("src/mpfb/data/mesh_metadata", "src/mpfb/data/textures"),
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like this repository to the script; Blender is there already."""
    root = tmp_path / "checkout"
    (root / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPT, root / "scripts")
    blender = root / "build" / "blender" / "bin" / "python"
    blender.parent.mkdir(parents=True)
    blender.write_text("#!/bin/sh\nexit 0\n")
    blender.chmod(0o755)
    return root


def fill(root: Path, *folders: str) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True)
        (root / folder / "base.obj").write_text("v 0 0 0\n")
    return root


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return fill(tmp_path / "pack", *(folder for folders in HOMES.values() for folder in folders))


def install(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "scripts" / SCRIPT.name, *arguments],
        env={"PATH": "/usr/bin:/bin", "HOME": str(checkout), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def holds_pack(folder: Path) -> bool:
    return (folder / "makehuman/data/3dobjs/base.obj").is_file() and (folder / "base/clothes").is_dir()


def test_a_folder_is_used_where_it_is(checkout: Path, pack: Path) -> None:
    before = sorted(pack.rglob("*"))
    assert install(checkout, str(pack)).returncode == 0
    installed = checkout / "build" / "head-pack"
    assert installed.resolve() == pack
    assert holds_pack(installed)
    assert sorted(pack.rglob("*")) == before


@pytest.mark.parametrize("inner", [".", "head-pack-1"])
def test_an_archive_is_unpacked_whatever_its_folder_is_called(checkout: Path, pack: Path, inner: str) -> None:
    archive = checkout.parent / "pack.tar.xz"
    with tarfile.open(archive, "w:xz") as file:
        file.add(pack, inner)
    assert install(checkout, str(archive)).returncode == 0
    assert holds_pack(checkout / "build" / "head-pack")
    assert not (checkout / "build" / "head-pack.part").exists()


def test_what_is_no_pack_is_refused_and_the_old_one_stays(checkout: Path, pack: Path, tmp_path: Path) -> None:
    install(checkout, str(pack))
    (tmp_path / "holidays").mkdir()
    for wrong, why in ((tmp_path / "holidays", "is no head pack"), (tmp_path / "gone", "no such folder")):
        done = install(checkout, str(wrong))
        assert done.returncode == 1
        assert str(wrong) in done.stderr
        assert why in done.stderr
        assert holds_pack(checkout / "build" / "head-pack")


def test_it_comes_from_the_repositories_that_publish_it_and_once(checkout: Path, tmp_path: Path) -> None:
    for name, folders in HOMES.items():
        source = fill(tmp_path / name, *folders, f"{folders[0]}/deep", "not_wanted")
        git = ["git", "-C", str(source), "-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run(["git", "init", "-q", str(source)], check=True)
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", "all"], check=True)
        subprocess.run(
            ["git", "clone", "-q", "--bare", str(source), str(tmp_path / f"{name}.git")], check=True
        )
    done = install(checkout, HEAD_PACK_HOME=f"file://{tmp_path}")
    assert done.returncode == 0, done.stderr
    installed = checkout / "build" / "head-pack"
    assert holds_pack(installed)
    assert {p.name for p in installed.iterdir()} == {"makehuman", "base", "src"}
    assert install(checkout, HEAD_PACK_HOME="file:///nowhere").returncode == 0, "it was fetched again"


def test_without_a_python_for_blender_it_says_what_still_works(checkout: Path, pack: Path) -> None:
    shutil.rmtree(checkout / "build")
    done = install(checkout, str(pack), BLENDER_PYTHON="/nowhere/python3.11")
    assert done.returncode == 1
    assert "needs Python 3.11" in done.stderr
    assert holds_pack(checkout / "build" / "head-pack")
