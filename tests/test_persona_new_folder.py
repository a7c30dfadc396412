"""The folder a persona is made in: two at once, killed ones, and pictures that are no files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from vcam_talker.core.errors import BadInputError
from vcam_talker.core.paths import config_dir
from vcam_talker.persona_new.folder import in_a_folder, put
from vcam_talker.persona_new.photo import load_photo
from vcam_talker.persona_new.video import open_clip

pytestmark = pytest.mark.unit


@pytest.fixture(name="personas")
def _personas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return config_dir() / "personas"


def make(personas: Path, name: str) -> Path:
    with in_a_folder(personas, name) as folder:
        (folder / "persona.toml").write_text("")
        return put(folder, name)


def test_a_folder_appears_whole_or_not_at_all(personas: Path) -> None:
    assert make(personas, "ada") == personas / "ada"
    with pytest.raises(KeyError), in_a_folder(personas, "ben"):
        raise KeyError
    assert [path.name for path in personas.iterdir()] == ["ada"]


@pytest.mark.parametrize("empty", [False, True])
def test_of_two_at_once_the_later_is_told_that_it_is_there(personas: Path, empty: bool) -> None:
    def make_later() -> None:
        with in_a_folder(personas, "ada") as folder:
            if empty:
                (personas / "ada").mkdir()
            else:
                make(personas, "ada")
            put(folder, "ada")

    with pytest.raises(BadInputError) as error:
        make_later()
    assert "is there already" in str(error.value)
    assert error.value.remedy == "Choose another name"
    assert [path.name for path in personas.iterdir()] == ["ada"]


def test_one_that_appears_in_the_very_last_moment(personas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def later(self: Path, target: Path) -> Path:
        make_other(target)
        return rename(self, target)

    def make_other(target: Path) -> None:
        target.mkdir()
        (target / "persona.toml").write_text("")

    monkeypatch.setattr(Path, "rename", later)
    with pytest.raises(BadInputError) as error, in_a_folder(personas, "ada") as folder:
        put(folder, "ada")
    assert "is there already" in str(error.value)


def test_what_killed_runs_left_is_removed_whatever_its_name(personas: Path) -> None:
    old_s = time.time() - 7200
    gone = [".kk.swnp87g7", ".ada.abcd_123.new", ".whole-one.zzzzzzzz.new"]
    kept = ["ben", ".git", ".kk.original", ".a.b", ".cat.abcd1234", ".hen.abcd1234.new"]
    for name in gone + kept:
        (personas / name).mkdir(parents=True)
    for name in (".whole-one.zzzzzzzz.new", ".kk.original"):
        (personas / name / "persona.toml").write_text("")
    (personas / ".hen.abcd1234.new" / "life.mp4").write_bytes(b"\0")
    for folder in personas.iterdir():
        for path in () if "hen" in folder.name else folder.iterdir():
            os.utime(path, (old_s, old_s))
        if folder.name != ".cat.abcd1234":
            os.utime(folder, (old_s, old_s))
    make(personas, "new-one")
    # One of another process is in use: it was made, or written to, just now.
    assert sorted(path.name for path in personas.iterdir()) == sorted([*kept, "new-one"])


def test_a_pipe_is_no_ordinary_file(tmp_path: Path) -> None:
    path = tmp_path / "f.jpg"
    os.mkfifo(path)
    for read in (load_photo, open_clip):
        # Without the look before, this would wait for ever for somebody who writes.
        with pytest.raises(BadInputError) as error:
            read(path)
        assert "is no ordinary file" in str(error.value)
        assert error.value.remedy
