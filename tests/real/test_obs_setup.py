"""`vcam-talker setup obs` on a real OBS: made once, seen and heard from OBS's side, taken away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.support.obs import ObsStudio, obs_program
from tests.support.pulse import SoundServer, pulse_server
from vcam_talker.bench.harness import MICROPHONE as DEVICE
from vcam_talker.bench.harness import Daemon, daemon
from vcam_talker.config import Config, override
from vcam_talker.control.obs.connection import EVENTS_METERS, ObsConnection
from vcam_talker.control.obs.settings import Server
from vcam_talker.core.paths import APP
from vcam_talker.setup_obs import Outcome, run_setup
from vcam_talker.setup_obs.checks import check_picture
from vcam_talker.setup_obs.sources import CAMERA, MICROPHONE

__all__ = ["pulse_server"]
pytestmark = pytest.mark.real

_CAPTIONS = "vcam_talker captions"


@pytest.fixture
def obs(pulse_server: SoundServer) -> Iterator[ObsStudio]:
    with obs_program(pulse_server.env) as program:
        yield program


@pytest.fixture
def on_air(pulse_server: SoundServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    assert pulse_server.names("sinks") == ["speakers"]
    with daemon() as running:
        monkeypatch.setenv("VCAM_TALKER_RUNTIME_DIR", str(running.folder / APP))
        running.wait_microphone()
        running.wait_idle()
        yield running


def _setup(program: ObsStudio, said: list[str] | None = None, **options: Any) -> Outcome:
    config = override(Config(), {"microphone.name": DEVICE, "camera.device": "null"})
    announce = (said if said is not None else []).append
    return run_setup(config, ask=lambda _: True, announce=announce, folders=(program.config,), **options)


def _names(program: ObsStudio) -> set[str]:
    return {i["inputName"] for i in program.client.call("GetInputList")["inputs"]}


@pytest.mark.usefixtures("on_air")
def test_made_checked_and_taken_away(obs: ObsStudio) -> None:
    planned = _setup(obs, dry_run=True)
    assert len(planned.steps) == 3
    assert not planned.done
    assert MICROPHONE not in _names(obs)

    made = _setup(obs)
    checks = {check.name: check for check in made.checks}
    assert checks["sound"].state == "ok", checks
    # OBS has guessed our microphone, the only one there is, as its Mic/Aux.
    assert checks["no echo"].state == "warn"
    assert "'Mic/Aux'" in checks["no echo"].detail
    assert checks["picture"].state == "skipped"
    assert "camera.device is 'null'" in checks["picture"].detail
    assert {MICROPHONE, _CAPTIONS} <= _names(obs)
    assert CAMERA not in _names(obs)
    assert obs.client.call("GetCurrentProgramScene")["currentProgramSceneName"] == "vcam_talker"

    _show_captions(obs)

    # What was done by hand stays, what keeps it from working is mended.
    obs.client.call("SetInputSettings", inputName=_CAPTIONS, inputSettings={"outline": False})
    obs.client.call("SetInputSettings", inputName=MICROPHONE, inputSettings={"device_id": "speakers.monitor"})
    again = _setup(obs)
    assert [step for step in again.steps if MICROPHONE not in step] == []
    assert len(again.steps) == 1
    assert not again.failed, again
    kept = obs.client.call("GetInputSettings", inputName=_CAPTIONS)["inputSettings"]
    assert kept["outline"] is False
    assert _setup(obs, dry_run=True).steps == []

    gone = _setup(obs, remove=True)
    assert len(gone.steps) == 3
    assert not {MICROPHONE, _CAPTIONS} & _names(obs)
    assert _setup(obs, remove=True).steps == []


def _show_captions(program: ObsStudio) -> None:
    """The captions are in the lower part of the picture, and readable: light letters, dark around them."""
    words = "It is easy to read what she says, and two lines are enough for what is long."
    program.client.call("SetInputSettings", inputName=_CAPTIONS, inputSettings={"text": words})
    deadline_s = time.monotonic() + 10
    while True:
        shot = program.client.screenshot("vcam_talker", 640, 360).max(axis=2)
        rows = np.flatnonzero((shot > 200).any(axis=1))
        if rows.size:
            break
        assert time.monotonic() < deadline_s, "no caption was drawn"
        time.sleep(0.2)
    columns = np.flatnonzero((shot > 200).any(axis=0))
    assert rows[0] > 360 * 0.6
    assert rows[-1] < 360
    assert columns[0] > 20
    assert columns[-1] < 620
    assert rows[-1] - rows[0] > 20, "it is one line, cut off or too small"


@contextmanager
def _asked(program: ObsStudio) -> Iterator[ObsConnection]:
    obs = ObsConnection(Server("127.0.0.1", program.port, program.password), events=EVENTS_METERS)
    obs.connect()
    try:
        obs.wait_ready()
        yield obs
    finally:
        obs.close()


def _clip(path: Path, *, moving: bool, level: int) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=Fraction(30))
        stream.width, stream.height = 160, 90
        for number in range(90):
            picture = np.full((90, 160, 3), level, np.uint8)
            if moving:
                picture[:, number : number + 40] = 230
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        out.mux(stream.encode(None))
    return path


def test_a_picture_is_judged(obs: ObsStudio, tmp_path: Path) -> None:
    for moving, level, wanted in ((True, 60, "ok"), (False, 120, "stands still"), (False, 0, "is black")):
        name = f"clip {level}"
        clip = _clip(tmp_path / f"{level}.mp4", moving=moving, level=level)
        obs.client.call(
            "CreateInput",
            sceneName="Scene",
            inputName=name,
            inputKind="ffmpeg_source",
            inputSettings={"local_file": str(clip), "looping": True},
        )
        with _asked(obs) as connection:
            check = check_picture(connection, name, patience_s=10 if moving else 2)
        assert wanted in f"{check.state} {check.detail}", check


def test_a_scene_of_the_users_own_is_kept(obs: ObsStudio) -> None:
    client = obs.client
    client.call("CreateScene", sceneName="Live")
    colour = next(k for k in client.call("GetInputKindList")["inputKinds"] if k.startswith("color_source"))
    client.call("CreateInput", sceneName="Live", inputName="backdrop", inputKind=colour, inputSettings={})
    # Captions that are shown in another scene, too, which is not on program.
    client.call("CreateScene", sceneName="Elsewhere")
    assert _setup(obs, scene="Live").done
    client.call("CreateSceneItem", sceneName="Elsewhere", sourceName=_CAPTIONS)
    gone = _setup(obs, scene="Live", remove=True)
    assert any("backdrop" in note for note in gone.notes)
    assert "Live" in {s["sceneName"] for s in client.call("GetSceneList")["scenes"]}
    assert not {MICROPHONE, _CAPTIONS} & _names(obs)
    assert "backdrop" in _names(obs)
