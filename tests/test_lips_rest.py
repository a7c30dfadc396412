"""A network that fails at drawing, or can't be loaded: what it costs, what is said, and how it comes back.

Air's end and the process's are the real ones; the process is a thread, and its networks fail when told to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support import clip_persona
from tests.support.lips_stage import (
    CROP,
    GONE,
    NAN,
    POSE,
    Stage,
    White,
    config,
    persona,
    stage,
)
from tests.support.tiny_lips import make_pose_model
from vcam_talker.app.air import make_scene
from vcam_talker.app.lips_choice import LipsChoice, choose_lips
from vcam_talker.config import Config, override
from vcam_talker.core.clock import ManualClock, frame_pts
from vcam_talker.core.errors import EngineError, PersonaError
from vcam_talker.core.lips import LipsDraw, LipsLoad, LipsNews, LipsRest
from vcam_talker.core.types import MOUTH_PARAMS, NS_PER_S, FaceInput, rest_mouth
from vcam_talker.face.clip.patch import RestPatches
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.neural.current import CurrentPatches, current_mouths
from vcam_talker.face.neural.drawer import face_id
from vcam_talker.face.neural.package import Package, load_package
from vcam_talker.lips.misses import _TOO_MANY, Misses
from vcam_talker.lips.process import _Lips
from vcam_talker.lips.rest import Rest
from vcam_talker.persona import Persona, load_persona

__all__ = ["config", "persona", "stage"]
pytestmark = pytest.mark.unit


def test_a_failed_drawing_costs_its_frame_only(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.begin()
    assert stage.draw() is not None
    for _ in range(3):
        stage.fail(times=_TOO_MANY - 1)
        assert stage.network is not None
        stage.network.fault = None
        drawn = stage.draw()
        assert drawn is not None
        np.testing.assert_array_equal(drawn, CROP[::-1])
    assert (stage.lips.view().state, stage.lips.view().detail) == ("ready", "")
    assert len(stage.process.loads) == 1
    assert caplog.text.count("holds NaN") == 1, "told once a minute at most"
    assert f"{_TOO_MANY - 1} mouths could not be drawn, the last: mouth.onnx" in caplog.text


def test_many_in_a_row_make_it_rest_and_it_comes_back(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.begin()
    failing = stage.network
    stage.fail()
    asked = stage.lips.view().asked
    view = stage.lips.view()
    assert (view.state, view.drawn_by) == ("failed", "shapes")
    assert view.detail == (
        "5 mouths in a row could not be drawn, the last: mouth.onnx: output 'maps' holds NaN. Try fp32; "
        "it is tried again in 2 s, then ever more rarely"
    )
    assert failing is not None
    assert failing.closed
    for _ in range(30):
        assert stage.draw() is None
    stage.wait(1.9)
    assert stage.lips.view().asked == asked, "nobody is asked while it rests"
    assert "tried again in 1 s" in stage.lips.view().detail
    assert not stage.process.replaced
    stage.wait(0.2)
    assert len(stage.process.replaced) == 1, "what broke in the process is gone with it"
    assert stage.draw() is not None
    assert (stage.lips.view().state, stage.lips.view().detail) == ("ready", "")
    assert caplog.text.count("holds NaN") == 1
    assert caplog.text.count("the lips are drawn by") == 2
    stage.wait(1000)
    assert len(stage.process.replaced) == 1


def test_one_that_never_draws_is_tried_ever_more_rarely(stage: Stage) -> None:
    stage.drawing = NAN
    stage.begin()
    rests = []
    for _ in range(8):
        stage.fail()
        rests.append(stage.rests_s())
        stage.wait(rests[-1] or 0.0)
    assert rests == [2, 4, 8, 16, 32, 60, 60, 60]
    stage.drawing = None
    stage.fail()
    stage.wait(60)
    assert stage.draw() is not None
    stage.fail()
    assert stage.rests_s() == 60, "one mouth is no proof"
    stage.wait(60)
    assert all(stage.draw() is not None for _ in range(60))
    stage.fail()
    assert stage.rests_s() == 2, "after two seconds of speech all is forgotten"


def test_one_that_cannot_be_loaded_is_told_once_and_tried_rarely(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.loading = GONE
    stage.begin()
    rests = []
    for _ in range(10):
        rests.append(stage.rests_s())
        assert stage.lips.view().state == "failed"
        assert "undamaged" in stage.lips.view().detail
        stage.wait(rests[-1] or 0.0)
    assert rests == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert caplog.text.count("undamaged") == 1
    stage.loading = EngineError("engine 'ort'", "onnxruntime can't be imported")
    stage.wait(300)
    assert caplog.text.count("can't be imported") == 1, "another fault is news"
    stage.loading = None
    stage.wait(300)
    assert stage.draw() is not None
    assert (stage.lips.view().state, stage.lips.view().detail) == ("ready", "")
    assert caplog.text.count("the lips are drawn by") == 1
    assert not stage.process.replaced


def test_a_model_that_is_missing_draws_as_soon_as_it_is_there(persona: Persona, tmp_path: Path) -> None:
    changes = {"lips.model": str(tmp_path / "late"), "air.width": 640, "air.height": 360}
    stage = Stage(persona, override(Config(), changes))
    assert stage.choice.package is None
    scene = make_scene(persona, stage.config, stage.lips.mouths(stage.choice))
    wide = rest_mouth()
    wide[MOUTH_PARAMS.index("jaw")] = 0.9
    stage.loading = EngineError("model.json", "can't be read")
    stage.begin()
    scene.draw(frame_pts(0, 30), FaceInput(wide))
    assert (stage.lips.view().state, stage.lips.view().asked) == ("failed", 0)
    make_pose_model(tmp_path / "late")
    stage.loading = None
    stage.wait(2)
    assert stage.lips.view().state == "ready"
    for n in range(1, 4):
        scene.draw(frame_pts(n, 30), FaceInput(wide))
        wide[0] += 0.01
    assert stage.lips.view().answered > 0
    # Mended once more, now by another model.
    make_pose_model(tmp_path / "late", gain=3.0, trained_on="something else")
    stage.process.send({"op": "persona", "name": str(persona.root)})
    answered = stage.lips.view().answered
    scene.draw(frame_pts(9, 30), FaceInput(wide))
    assert stage.lips.view().answered > answered
    stage.lips.stop()


def test_another_persona_does_not_wait_for_a_network_that_rests(stage: Stage, tmp_path: Path) -> None:
    stage.begin()
    stage.fail()
    other = choose_lips(load_persona(str(clip_persona.with_one_mouth(tmp_path / "other"))), stage.config)
    stage.lips.use(other)
    assert stage.draw(other) is not None
    assert (stage.lips.view().state, stage.lips.view().detail) == ("ready", "")
    restarts = len(stage.process.replaced)
    assert restarts == 1, "the process that failed does not go on with another persona"
    loads = len(stage.process.loads)
    stage.wait(1000)
    assert (len(stage.process.loads), len(stage.process.replaced)) == (loads, restarts)


def test_another_persona_begins_with_the_shortest_rest(stage: Stage, tmp_path: Path) -> None:
    stage.loading = GONE
    stage.begin()
    for seconds in (2, 4, 8):
        stage.wait(seconds)
    other = choose_lips(load_persona(str(clip_persona.with_one_mouth(tmp_path / "other"))), stage.config)
    stage.lips.use(other)
    assert stage.rests_s() == 2
    stage.loading = None
    stage.wait(2)
    assert stage.draw(other) is not None


def test_the_same_persona_again_is_not_waited_for(stage: Stage) -> None:
    stage.loading = GONE
    stage.begin()
    stage.loading = None
    stage.lips.use(stage.choice)
    assert stage.draw() is not None
    assert stage.rests_s() is None


@pytest.fixture
def other(stage: Stage, tmp_path: Path) -> LipsChoice:
    return choose_lips(load_persona(str(clip_persona.with_one_mouth(tmp_path / "other"))), stage.config)


def test_a_network_of_the_persona_before_costs_the_next_one_nothing(
    stage: Stage, other: LipsChoice, caplog: pytest.LogCaptureFixture
) -> None:
    stage.begin()
    stage.process.stop_obeying()
    stage.lips.use(other)
    caplog.clear()
    stage.lips._on_event(LipsDraw(stage.name, stage.face(stage.choice), "tiny on ort"))
    assert not stage.lips._client.ready(stage.face(stage.choice))
    assert not caplog.records
    for _ in range(4):
        stage.wait(1)
    assert (stage.lips.view().state, stage.lips.view().detail) == ("starting", "")
    stage.process.obey()
    assert stage.process.loads == [stage.name, str(other.persona.root)], "it is loaded once"
    assert stage.draw(other) is not None


def test_a_fault_of_the_persona_before_is_not_told_of_the_next_one(
    stage: Stage, other: LipsChoice, caplog: pytest.LogCaptureFixture
) -> None:
    stage.begin()
    stage.process.stop_obeying()
    stage.lips.use(other)
    stage.lips._on_event(LipsRest(stage.name, str(GONE)))
    assert (stage.lips.view().state, stage.lips.view().detail) == ("starting", "")
    assert stage.rests_s() is None
    stage.process.obey()
    assert stage.draw(other) is not None
    assert "undamaged" not in caplog.text
    assert not stage.process.replaced


def test_no_network_draws_in_a_process_in_which_the_one_before_failed(
    stage: Stage, other: LipsChoice
) -> None:
    stage.begin()
    stage.process.stop_obeying()
    stage.lips.use(other)
    stage.lips._on_event(LipsRest(stage.name, str(NAN), drawing=True))
    assert (stage.lips.view().state, stage.lips.view().detail) == ("starting", "")
    stage.process.obey()
    assert len(stage.process.replaced) == 1
    assert stage.draw(other) is not None
    stage.wait(1000)
    assert len(stage.process.replaced) == 1


def test_a_persona_that_is_chosen_again_while_it_draws_is_loaded_once_more(stage: Stage) -> None:
    stage.begin()
    stage.process.stop_obeying()
    stage.lips.use(stage.choice)
    # On its way since before; the model in its place is another one by now.
    stage.lips._on_event(LipsDraw(stage.name, 5, "the one before"))
    stage.lips._on_event(LipsLoad(stage.name))
    stage.wait(10)
    stage.process.obey()
    stage.wait(1000)
    assert len(stage.process.loads) == 2
    assert (stage.lips.view().state, stage.lips.view().detail) == ("ready", "")


def test_files_that_change_while_they_are_read_are_told_and_read_again(stage: Stage) -> None:
    stage.begin()
    stage.lips._on_event(LipsDraw(stage.name, 5, "another"))
    assert not stage.lips._client.ready(5)
    view = stage.lips.view()
    assert view.state == "failed"
    assert view.detail == (
        f"persona '{stage.choice.persona.name}': its files, or those of the network that draws its mouths, "
        "changed while they were read. Leave them as they are for a moment; "
        "it is tried again in 2 s, then ever more rarely"
    )
    stage.wait(2)
    assert stage.draw() is not None
    assert (stage.lips.view().state, stage.lips.view().detail) == ("ready", "")


def test_what_is_told_while_another_persona_comes_is_not_taken_for_its_own(
    stage: Stage, other: LipsChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.begin()
    look = stage.lips._look

    def slow_look(choice: LipsChoice, event: LipsNews) -> LipsChoice | None:
        found = look(choice, event)
        stage.process.stop_obeying()
        stage.lips.use(other)
        return found

    monkeypatch.setattr(stage.lips, "_look", slow_look)
    stage.lips._on_event(LipsRest(stage.name, str(GONE)))
    assert (stage.lips.view().state, stage.lips.view().detail) == ("starting", "")


class TestMendedByHand:
    """The persona names its network in persona.toml, which somebody writes anew."""

    @pytest.fixture
    def stage(self, tmp_path: Path) -> Iterator[Stage]:
        root = clip_persona.with_one_mouth(tmp_path / "mended")
        name_lips(root, "./a")
        for name, gain in (("a", 1.0), ("b", 3.0)):
            make_pose_model(root / name, gain=gain, trained_on=name)
        config = override(Config(), {"air.width": 640, "air.height": 360})
        made = Stage(load_persona(str(root)), config)
        yield made
        made.lips.stop()

    def test_another_network_draws_as_soon_as_it_is_named(self, stage: Stage) -> None:
        scene = make_scene(stage.choice.persona, stage.config, stage.lips.mouths(stage.choice))
        stage.loading = GONE
        stage.begin()
        assert stage.lips.view().state == "failed"
        name_lips(stage.choice.persona.root, "./b")
        stage.loading = None
        stage.wait(2)
        assert (stage.lips.view().state, stage.lips.view().detail) == ("ready", "")
        wide = rest_mouth()
        wide[MOUTH_PARAMS.index("jaw")] = 0.9
        for n in range(3):
            scene.draw(frame_pts(n, 30), FaceInput(wide))
        assert stage.lips.view().answered > 0
        loads = len(stage.process.loads)
        stage.wait(1000)
        assert len(stage.process.loads) == loads

    def test_no_network_is_waited_for_when_none_is_named_any_more(self, stage: Stage) -> None:
        stage.loading = GONE
        stage.begin()
        name_lips(stage.choice.persona.root, "shapes")
        stage.loading = None
        stage.wait(2)
        view = stage.lips.view()
        assert (view.state, view.drawn_by) == ("failed", "nobody")
        assert "one picture of its mouth" in view.detail
        assert "tried again" not in view.detail
        stage.wait(1000)
        assert len(stage.process.loads) == 2

    def test_a_script_that_is_broken_is_tried_again(self, stage: Stage) -> None:
        stage.begin()
        whole = (stage.choice.persona.root / "persona.toml").read_text()
        (stage.choice.persona.root / "persona.toml").write_text("title =")
        stage.process.send({"op": "persona", "name": stage.name})
        assert "is not valid TOML" in stage.lips.view().detail
        stage.lips._on_event(LipsDraw(stage.name, 5, "read before it was broken"))
        assert "changed while they were read" in stage.lips.view().detail
        (stage.choice.persona.root / "persona.toml").write_text(whole)
        stage.wait(4)
        assert stage.draw() is not None


def name_lips(root: Path, lips: str) -> None:
    script = (root / "persona.toml").read_text()
    (root / "persona.toml").unlink()  # it is a link to that of all tests
    (root / "persona.toml").write_text(
        re.sub(r'kind = "clip"(\nlips = ".*")?', f'kind = "clip"\nlips = "{lips}"', script)
    )


def test_a_persona_in_a_linked_folder_is_drawn(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "vcam-talker" / "personas").mkdir(parents=True)
    (tmp_path / "vcam-talker" / "personas" / "linked").symlink_to(clip_persona.shared())
    choice = choose_lips(load_persona("linked"), config)
    assert choice.package is not None
    child = _Lips(None, None, None, config)  # type: ignore[arg-type]
    drawer = child._open(str(choice.persona.root))
    assert drawer is not None
    assert drawer.face == face_id(choice.persona, choice.package, (640, 360))
    drawer.close()


def test_a_network_that_is_mended_in_mid_word_comes_softly(persona: Persona, config: Config) -> None:
    package = load_package(Path(config.lips.model))
    found: list[Package | None] = [None]
    mouths = current_mouths(persona, (640, 360), White(), lambda: found[0])
    scene = ClipScene(persona, 640, 360, mouths=mouths)
    wide = rest_mouth()
    wide[MOUTH_PARAMS.index("jaw")] = 0.9

    def luma(number: int) -> float:
        patch = scene._patches.patch(scene.moment(frame_pts(number, 30), scene._picture, FaceInput(wide)))
        assert patch is not None
        return float(patch.luma[patch.mask > 250].mean())

    shapes = luma(300)
    found[0] = package
    shares = [(luma(n) - shapes) / (255 - shapes) for n in range(301, 306)]
    assert shares == pytest.approx([0, 1 / 3, 2 / 3, 1, 1], abs=0.05)


def test_nothing_is_tried_after_the_end(stage: Stage) -> None:
    stage.begin()
    stage.fail()
    stage.lips.stop()
    stage.wait(1000)
    assert not stage.process.replaced
    assert len(stage.process.loads) == 1
    stage.lips.stop()


def test_a_rest_is_over_once() -> None:
    clock = ManualClock()
    rest = Rest(clock)
    assert rest.left_s() is None
    assert not rest.over()
    assert rest.begin(drawing=True) == 2
    clock.advance(2 * NS_PER_S)
    assert rest.over()
    assert not rest.over()
    assert rest.begin(drawing=True) == 4
    rest.end()
    assert rest.left_s() is None
    assert rest.begin(drawing=False) == 8
    rest.forget()
    assert rest.begin(drawing=False) == 2


def test_a_rest_may_end_while_somebody_asks_whether_it_is_over() -> None:
    clock = ManualClock()
    rest = Rest(clock)
    rest.begin(drawing=True)
    clock.advance(2 * NS_PER_S)
    now_ns = clock.now_ns()

    def ended() -> int:
        rest.end()
        return now_ns

    clock.now_ns = ended  # type: ignore[method-assign]
    assert not rest.over()
    assert rest.left_s() is None


def test_misses_in_a_row_are_counted_from_the_last_mouth() -> None:
    misses = Misses()
    for _ in range(3):
        assert [misses.missed(NAN) for _ in range(_TOO_MANY - 1)] == [""] * (_TOO_MANY - 1)
        misses.drew()
    assert [bool(misses.missed(NAN)) for _ in range(_TOO_MANY)] == [False] * (_TOO_MANY - 1) + [True]


@pytest.mark.parametrize("at_first", [False, True])
def test_shapes_stand_in_for_a_model_that_does_not_suit_the_face(
    config: Config, caplog: pytest.LogCaptureFixture, *, at_first: bool
) -> None:
    package = load_package(Path(config.lips.model))
    current: list[object] = [package if at_first else None]
    made = []

    def make(_shapes: object, given: object) -> RestPatches:
        made.append(given)
        raise PersonaError("face.npz", "the mouth at rest has no width")

    patches = CurrentPatches(RestPatches((16, 16)), make, lambda: current[0])  # type: ignore[arg-type,return-value]
    moment = object()
    current[0] = package
    for _ in range(5):
        assert patches.patch(moment) is None  # type: ignore[arg-type]
    assert len(made) == 1
    assert caplog.text.count("has no width") == 1
    assert patches.size == (16, 16)
    assert patches.aperture_px(POSE) == 0.0
