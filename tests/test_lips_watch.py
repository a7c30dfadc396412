"""A lips process whose heart beats and that does nothing: when it is replaced."""

from __future__ import annotations

import errno

import pytest

from tests.support.lips_stage import Stage, config, persona, stage
from vcam_talker.core.clock import ManualClock
from vcam_talker.core.events import Alive, EngineDown, Ready
from vcam_talker.core.lips import LipsDraw, LipsEvent, LipsLoad, LipsRest
from vcam_talker.core.types import NS_PER_S
from vcam_talker.lips.watch import _DEAF_S, _LOADING_S, Watch

__all__ = ["config", "persona", "stage"]
pytestmark = pytest.mark.unit

LOAD, DRAW, REST = LipsLoad("p"), LipsDraw("p", 1, "tiny"), LipsRest("p", "gone")
UP = Ready("p", (), ())


class Rig:
    """A watch and its clock."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.watch = Watch(self.clock)

    def after(self, seconds: float, *events: LipsEvent) -> str:
        self.clock.advance(round(seconds * NS_PER_S))
        for event in events:
            self.watch.heard(event)
        return self.watch.fault()


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_one_that_draws_may_be_silent_for_ever(rig: Rig) -> None:
    assert not rig.after(1000)
    assert not rig.after(1, UP, LOAD, DRAW)
    assert not rig.after(1e6)
    assert not rig.after(1, LOAD, REST)
    assert not rig.after(1e6)


def test_one_that_takes_no_notice_is_replaced_once(rig: Rig) -> None:
    rig.after(1, UP, LOAD, DRAW)
    rig.after(1000)
    rig.watch.told()
    assert not rig.after(_DEAF_S)
    assert "did nothing" in rig.after(0.1)
    assert not rig.after(1000)
    assert not rig.after(1, EngineDown("replaced"))
    assert not rig.after(1000), "the next one is only starting"
    assert not rig.after(1, UP)
    assert rig.after(_DEAF_S + 1), "it was told when it was started"


def test_one_that_takes_notice_is_left_alone(rig: Rig) -> None:
    rig.after(1, UP, LOAD, DRAW)
    rig.watch.told()
    assert not rig.after(_DEAF_S, LOAD)
    assert not rig.after(_DEAF_S + 1, Alive())


def test_one_that_loads_takes_notice_when_it_has_loaded(rig: Rig) -> None:
    rig.after(1, UP, LOAD)
    assert not rig.after(600)
    rig.watch.told()
    assert not rig.after(600)
    assert not rig.after(1, DRAW)
    assert not rig.after(_DEAF_S - 1)
    assert "did nothing" in rig.after(2)


def test_one_that_never_ends_loading_is_replaced(rig: Rig) -> None:
    rig.after(1, UP, LOAD)
    assert not rig.after(_LOADING_S)
    rig.watch.told()
    assert "loading for 30 min" in rig.after(1)
    assert not rig.after(1)


def test_a_hang_that_a_change_of_persona_hides_is_found(stage: Stage) -> None:
    stage.begin()
    assert stage.draw() is not None
    stage.process.stop_obeying()
    stage.lips.use(stage.choice)
    stage.wait(_DEAF_S - 1)
    assert not stage.process.replaced
    stage.wait(2)
    assert stage.process.replaced == ["it did nothing of what it was told for 5 s"]
    stage.process.obey()
    assert stage.draw() is not None
    stage.wait(100)
    assert len(stage.process.replaced) == 1


def test_a_hang_in_a_load_that_was_tried_again_is_found(stage: Stage) -> None:
    stage.begin()
    stage.process.stop_obeying()
    stage.lips._on_event(LipsRest(stage.name, "gone"))
    stage.wait(3)
    assert not stage.process.replaced
    stage.wait(_DEAF_S + 1)
    assert len(stage.process.replaced) == 1


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "can't be loaded (No space left on device)"),
        (MemoryError(), "can't be loaded (not enough memory)"),
    ],
)
def test_what_the_system_refuses_is_tried_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, refusal: Exception, told: str
) -> None:
    monkeypatch.setattr(stage, "loading", refusal)
    stage.begin()
    assert stage.lips.view().state == "failed"
    assert told in stage.lips.view().detail
    stage.loading = None
    stage.wait(2)
    assert stage.draw() is not None
    assert not stage.process.replaced
