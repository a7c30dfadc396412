"""Who is to draw the lips: what the daemon and offline programs decide, and what they say about it."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import clip_persona
from tests.support.tiny_lips import make_pose_model
from vcam_talker.app.air import make_scene
from vcam_talker.app.lips import Lips
from vcam_talker.app.lips_choice import choose_lips
from vcam_talker.app.lips_local import LocalLips
from vcam_talker.config import Config, override
from vcam_talker.core.clock import ManualClock, frame_pts
from vcam_talker.core.errors import EngineError
from vcam_talker.core.events import Alive, EngineDown, Ready
from vcam_talker.core.lips import LipsDraw, LipsEvent, LipsLoad, LipsRest, pack, parse_lips
from vcam_talker.core.types import MOUTH_PARAMS, FaceInput, rest_mouth
from vcam_talker.core.wire import decode, encode
from vcam_talker.face.neural import package
from vcam_talker.face.neural.drawer import face_id
from vcam_talker.face.neural.pose_model import PoseModel
from vcam_talker.persona import Persona, load_persona

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def persona() -> Persona:
    return load_persona(str(clip_persona.shared()))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_pose_model(tmp_path / "model")


def config(model: Path | str = "", **changes: object) -> Config:
    return override(
        Config(),
        {
            "lips.model": str(model),
            "lips.engine": "ort",
            "lips.precision": "fp32",
            "air.width": 640,
            "air.height": 360,
            **changes,
        },
    )


def wide() -> FaceInput:
    mouth = rest_mouth()
    mouth[MOUTH_PARAMS.index("jaw")] = 0.9
    return FaceInput(mouth)


def test_a_model_is_taken(persona: Persona, model: Path) -> None:
    choice = choose_lips(persona, config(model))
    assert choice.package is not None
    assert (choice.fault, choice.otherwise) == ("", "shapes")


def test_a_model_that_cannot_be_used_is_a_fault_and_no_error(persona: Persona, tmp_path: Path) -> None:
    choice = choose_lips(persona, config(tmp_path))
    assert choice.package is None
    assert "model.json" in choice.fault


@pytest.mark.parametrize("name", ["x" * 300, "./" + "x" * 300, "~nosuchuser/x", "./a\0b"])
def test_a_name_that_no_file_can_have_is_a_fault_and_no_error(persona: Persona, name: str) -> None:
    own = persona.model_copy(update={"face": persona.face.model_copy(update={"lips": name})})
    for choice in (choose_lips(persona, config(name)), choose_lips(own, config())):
        assert choice.package is None
        assert choice.wanted
        assert choice.fault
        assert "\n" not in choice.fault


def test_one_mouth_and_no_network_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "_MODELS", tmp_path)
    alone = load_persona(str(clip_persona.with_one_mouth(tmp_path / "alone")))
    choice = choose_lips(alone, config())
    assert "one picture of its mouth" in choice.fault
    assert choice.otherwise == "nobody"
    assert choose_lips(alone, config(make_pose_model(tmp_path / "m"))).fault == ""


def test_status_tells_who_draws(persona: Persona, model: Path) -> None:
    lips = Lips(config(model), ManualClock())
    assert lips.view().state == "off"
    choice = choose_lips(persona, config(model))
    assert choice.package is not None
    face, name = face_id(persona, choice.package, (640, 360)), str(persona.root)
    lips._take(choice)
    assert (lips.view().state, lips.view().drawn_by) == ("starting", "shapes")
    lips._on_event(LipsDraw(name, face, "tiny on ort"))
    assert (lips.view().state, lips.view().drawn_by) == ("ready", "tiny on ort")
    assert lips._client.ready(face)
    lips._on_event(EngineDown("killed"))
    assert lips.view().drawn_by == "shapes"
    lips._on_event(LipsRest(name, "no engine. Install one"))
    assert (lips.view().state, lips.view().detail) == (
        "failed",
        "no engine. Install one; it is tried again in 2 s, then ever more rarely",
    )
    assert not lips._client.ready(face)
    lips._on_event(LipsDraw(name, face, "tiny on ort"))
    assert (lips.view().state, lips.view().detail) == ("ready", "")
    lips.stop()


@pytest.mark.parametrize(("fps", "deadline_s"), [(30, 0.02), (60, 0.01), (10, 0.02)])
def test_a_frame_waits_for_a_part_of_its_period_at_most(fps: int, deadline_s: float) -> None:
    lips = Lips(config(**{"air.fps": fps}), ManualClock())
    assert lips._client.patience_s == pytest.approx(deadline_s)


@pytest.mark.parametrize(
    "event",
    [
        Alive(),
        Ready("p", (), ()),
        LipsLoad("/ü"),
        LipsDraw("/p", 2**64 - 1, "a ü b"),
        LipsRest("/p", "why"),
        LipsRest("/p", "why", drawing=True),
    ],
)
def test_what_it_says_arrives(event: LipsEvent) -> None:
    assert parse_lips(decode(encode(pack(event)))) == event


@pytest.mark.parametrize(
    "message",
    [
        {"op": "draw"},
        {"op": "draw", "face": 1, "label": ""},
        {"op": "draw", "persona": "/p", "face": "x", "label": ""},
        {"op": "draw", "persona": "/p", "face": 1e999, "label": ""},
        {"op": "load"},
        {"op": "rest"},
        {"op": "rest", "fault": ""},
        {"op": "dance"},
    ],
)
def test_nonsense_is_refused(message: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="lips said"):
        parse_lips(message)


class TestOffline:
    def test_every_mouth_is_drawn(self, persona: Persona, model: Path) -> None:
        local = LocalLips(persona, config(model))
        drawn, plain = (make_scene(persona, config(), m) for m in (local.mouths, None))
        for n in range(5):
            pts = frame_pts(n, 30)
            assert (
                drawn.draw(pts, FaceInput()).pixels.tobytes() == plain.draw(pts, FaceInput()).pixels.tobytes()
            )
        for n in range(5, 10):
            first, other = (scene.draw(frame_pts(n, 30), wide()).pixels for scene in (drawn, plain))
            assert np.abs(first.astype(int) - other).max() > 40
        local.check()
        local.close()

    def test_the_same_story_is_the_same_film(self, persona: Persona, model: Path) -> None:
        films = []
        for _ in range(2):
            local = LocalLips(persona, config(model))
            scene = make_scene(persona, config(), local.mouths)
            films.append([scene.draw(frame_pts(n, 30), wide()).pixels.tobytes() for n in range(6)])
            local.close()
        assert films[0] == films[1]

    def test_a_network_that_was_named_and_fails_is_an_error(self, persona: Persona, tmp_path: Path) -> None:
        with pytest.raises(EngineError, match=r"model\.json"):
            LocalLips(persona, config(tmp_path))

    def test_without_a_name_shapes_draw_and_it_is_said(
        self, persona: Persona, model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(package, "_MODELS", model.parent)
        monkeypatch.setattr(package, "SHIPPED", "model")
        (model / "mouth.onnx").unlink()
        with caplog.at_level(logging.WARNING):
            assert LocalLips(persona, config()).mouths is None
        assert "shapes draw the lips" in caplog.text

    def test_an_error_on_the_way_is_kept(
        self, persona: Persona, model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        local = LocalLips(persona, config(model))
        scene = make_scene(persona, config(), local.mouths)

        def fail(*_: object) -> None:
            raise EngineError("mouth.onnx", "holds NaN")

        monkeypatch.setattr(PoseModel, "draw", fail)
        scene.draw(frame_pts(0, 30), wide())
        with pytest.raises(EngineError, match="NaN"):
            local.check()
        local.close()


def test_what_air_needs_of_it_loads_no_library_of_models() -> None:
    """The daemon starts, and draws a network's mouths, without anything that runs networks."""
    script = (
        "import sys; import vcam_talker.app.daemon, vcam_talker.lips.process; "
        "light = {'cv2', 'av'} & set(sys.modules); "
        "import vcam_talker.face.neural.patches, vcam_talker.face.neural.client; "
        "print(light | {'onnxruntime', 'torch', 'openvino', 'ctranslate2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
