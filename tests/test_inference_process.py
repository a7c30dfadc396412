"""The process that measures, and its folder: they don't outlive whoever wanted them, whatever it does."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.engines_world import ORT, OV, World, net, start, warnings, world
from vcam_talker.core.errors import EngineError
from vcam_talker.inference import Session, measure_process, opening
from vcam_talker.inference.measure import measure
from vcam_talker.inference.measure_process import job_folder, run_apart, run_beside
from vcam_talker.inference.model import find_model

__all__ = ["net", "start", "world"]

PATIENCE_S = 60.0
"""Of a busy machine; what hangs would hang for ever."""
DAY_S = 24 * 3600


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary files, of this process and its children."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


class Hanging:
    """A job at which the process that does it hangs: it reads what nobody writes."""

    def __init__(self, temp: Path) -> None:
        self.folder = temp / "vcam-talker-inference-test"
        self.folder.mkdir()
        os.mkfifo(self.folder / "job.json")
        self._writer: int | None = None

    def wait_until_at_work(self) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while self._writer is None:
            try:
                self._writer = os.open(self.folder / "job.json", os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads it yet
                assert time.monotonic() < end_s, "nobody has begun"
                time.sleep(0.02)

    def wait_until_given_up(self) -> None:
        assert self._writer is not None
        end_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                os.write(self._writer, b" ")
            except BrokenPipeError:
                return
            assert time.monotonic() < end_s, "it hangs for ever"
            time.sleep(0.02)

    def close(self) -> None:
        """Let whoever still reads come to an end."""
        if self._writer is not None:
            os.close(self._writer)


@pytest.fixture
def hanging(temp: Path) -> Iterator[Hanging]:
    made = Hanging(temp)
    yield made
    made.close()


@contextmanager
def python(code: str, *arguments: object, stdin: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdin=stdin) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.real
@pytest.mark.parametrize("run", [run_apart, run_beside])
def test_who_is_killed_while_measuring_leaves_nothing_behind(
    hanging: Hanging, run: measure_process.Run
) -> None:
    name = run.__name__  # type: ignore[attr-defined]
    code = f"""
import sys
from pathlib import Path
from vcam_talker.inference.measure_process import {name}
{name}(Path(sys.argv[1]), 600.0)
"""
    with python(code, hanging.folder) as parent:
        hanging.wait_until_at_work()
        parent.kill()
    hanging.wait_until_given_up()
    assert not hanging.folder.exists()


@pytest.mark.real
def test_who_takes_too_long_is_stopped(hanging: Hanging) -> None:
    assert run_apart(hanging.folder, 0.5) is None
    assert hanging.folder.exists(), "it is for whoever made it to remove it"


@pytest.mark.real
def test_it_stops_itself_though_nobody_does(hanging: Hanging) -> None:
    argv = [sys.executable, "-m", "vcam_talker.inference.measure", str(hanging.folder), "1.0"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.wait(PATIENCE_S) == 1


@pytest.mark.real
def test_it_stops_itself_while_an_engine_holds_python_s_lock() -> None:
    code = """
import ctypes
from vcam_talker.inference.measure_process import end_after
end_after(0.5)
ctypes.PyDLL(None).sleep(600)
"""
    with python(code) as process:
        assert process.wait(PATIENCE_S) == 1


@pytest.mark.real
def test_started_by_hand_it_removes_no_folder_of_anybody_s(tmp_path: Path) -> None:
    code = """
import sys, time
from pathlib import Path
from vcam_talker.inference.measure_process import end_with_parent
end_with_parent(Path(sys.argv[1]))
time.sleep(600)
"""
    (tmp_path / "mine").touch()
    with python(code, tmp_path, stdin=subprocess.DEVNULL) as process:
        assert process.wait(PATIENCE_S) == 1
    assert (tmp_path / "mine").exists()


@pytest.mark.real
def test_what_is_measured_in_a_process_leaves_no_folder(net: Path, temp: Path, tmp_path: Path) -> None:
    measured = measure(find_model(net), [ORT, OV], 1, None, tmp_path / "cache", run=run_beside)
    assert [(m.candidate, m.fault) for m in measured] == [(ORT, ""), (OV, "")]
    assert list(temp.glob("vcam-talker-*")) == []


# The folder


def put(temp: Path, name: str, age_s: float) -> Path:
    folder = temp / name
    folder.mkdir()
    (folder / "feeds.npz").write_bytes(b"x")
    os.utime(folder, (time.time() - age_s,) * 2)
    return folder


@pytest.mark.unit
def test_what_killed_processes_left_is_removed_after_a_day(temp: Path, tmp_path: Path) -> None:
    put(temp, "vcam-talker-inference-old", DAY_S + 60)
    young = put(temp, "vcam-talker-inference-young", DAY_S - 60)
    other = put(temp, "vcam-talker-something", DAY_S + 60)
    elsewhere = put(tmp_path, "elsewhere", DAY_S + 60)
    link = temp / "vcam-talker-inference-link"
    link.symlink_to(elsewhere)
    with job_folder() as made:
        assert made.parent == temp
        assert {*temp.iterdir()} == {young, other, link, made}
    assert {*temp.iterdir()} == {young, other, link}
    assert (elsewhere / "feeds.npz").exists()


@pytest.mark.unit
def test_another_user_s_folders_are_left_alone(temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = put(temp, "vcam-talker-inference-old", DAY_S + 60)
    with monkeypatch.context() as patch:
        patch.setattr(os, "getuid", lambda: old.stat().st_uid + 1)
        with job_folder():
            assert old.exists()
    monkeypatch.delattr(os, "getuid")
    with job_folder():  # Windows: everybody's temporary files are his own
        assert not old.exists()


@pytest.mark.unit
def test_nothing_fails_for_what_can_not_be_removed(temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(temp, "vcam-talker-inference-old", DAY_S + 60)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    for name in ("lstat", "glob"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, refuse)
            with job_folder() as made:
                assert made.is_dir()


@pytest.mark.unit
@pytest.mark.parametrize("where", ["no folder at all", "no room for a folder", "no room in it"])
def test_a_full_or_unwritable_temp_folder_is_an_error_with_a_remedy(
    net: Path, temp: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    why = fill(monkeypatch, where)
    with pytest.raises(EngineError, match=why) as caught:
        measure(find_model(net), [ORT, OV], 1, None, temp, run=lambda *_: 0)
    assert caught.value.what == "engines"
    assert caught.value.why.startswith("can't be measured (")
    assert "TMPDIR" in caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.unit
@pytest.mark.parametrize("where", ["no folder at all", "no room for a folder", "no room in it"])
def test_an_engine_opens_though_the_temp_folder_is_full(
    world: World,
    start: Callable[..., Session],
    temp: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    where: str,
) -> None:
    monkeypatch.setattr(opening, "measure", measure)
    with monkeypatch.context() as patch:
        why = fill(patch, where)
        session = start()
    assert (session.engine, session.precision) == ("ort", "fp32")
    (line,) = warnings(caplog)
    assert why in line
    assert "TMPDIR" in line
    assert list(temp.glob("vcam-talker-*")) == []
    monkeypatch.setattr(opening, "measure", world.measure)
    start()
    assert world.measured, "nothing was remembered"


def fill(patch: pytest.MonkeyPatch, where: str) -> str:
    """Let the folder for temporary files be of no use; return what the system says then."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def none_usable() -> None:
        raise FileNotFoundError(2, "No usable temporary directory found in [...]")

    match where:
        case "no folder at all":
            patch.setattr(tempfile, "gettempdir", none_usable)
            return "No usable temporary directory"
        case "no room for a folder":
            patch.setattr(tempfile, "mkdtemp", full)
        case _:
            patch.setattr(Path, "write_text", full)
    return "No space left"
