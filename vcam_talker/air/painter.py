"""Draw ahead: the frame for the next PTS is ready before its deadline. Holds the source ladder."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from vcam_talker.air.mouth_easing import MouthEasing
from vcam_talker.air.pacing import Rung
from vcam_talker.air.timeline import Timeline
from vcam_talker.core.stages import Scene, SceneNeeds
from vcam_talker.core.types import (
    NO_TURN,
    NS_PER_S,
    Activity,
    Emotion,
    FaceInput,
    Pts,
    Samples,
    VideoFrame,
)

log = logging.getLogger(__name__)

# After this many failed drawings in a row the scene is left alone for a while.
_FAILURES_TO_REST = 3
_REST_FRAMES = 90


class FaceDirector:
    """Mood and activity, which the face shows beside the mouth. Written by the show, read by the painter."""

    def __init__(self, emotion: Emotion) -> None:
        self.emotion = emotion
        self.activity = Activity.IDLE


class Painter:
    """Draws the frame of a PTS from timeline, mood and scene. One thread, except for `swap`.

    Ladder: live (speech) -> idle (the scene's own life) -> still picture when the scene fails to draw.
    """

    def __init__(self, timeline: Timeline, scene: Scene, mood: FaceDirector, fps: int) -> None:
        self._timeline = timeline
        # A frame is on display for a whole period: it shows the mouth of the middle of that time.
        self._half_period_ns = NS_PER_S // fps // 2
        self._scene = scene
        self._still = scene.still()
        self._mood = mood
        self._easing = MouthEasing()
        self._failures = 0
        self._resting = 0
        self._swap_lock = threading.Lock()
        self.rung: Rung = "idle"

    def swap(self, scene: Scene) -> None:
        """Put another scene on air from the next frame on. Thread-safe; ValueError on another size."""
        if scene.size != self._scene.size:
            raise ValueError(f"scene of {scene.size} in a picture of {self._scene.size}")
        still = scene.still()
        with self._swap_lock:
            self._scene, self._still = scene, still
            self._failures = self._resting = 0

    def draw(self, pts: Pts) -> VideoFrame:
        """Return the picture for `pts`; never raises."""
        sample = self._timeline.face_at(Pts(pts + self._half_period_ns))
        mouth = self._easing.shape(pts, sample)
        speaking = sample.turn != NO_TURN
        activity = Activity.SPEAKING if speaking else self._mood.activity
        with self._swap_lock:
            scene, still = self._scene, self._still
        sound = self._sound(pts, scene.needs) if mouth.any() else None
        face = FaceInput(mouth, self._mood.emotion, activity, sample.energy, sound)
        frame = self._attempt(lambda: scene.draw(pts, face))
        if frame is None:
            self.rung = "still"
            return replace(still, pts=pts, turn=sample.turn)
        self.rung = "live" if speaking else "idle"
        return replace(frame, turn=sample.turn) if frame.turn != sample.turn else frame

    @property
    def needs(self) -> SceneNeeds:
        """What the scene on air asks for."""
        return self._scene.needs

    def _sound(self, pts: Pts, needs: SceneNeeds) -> Samples | None:
        before_s, after_s = needs.sound_s
        if before_s + after_s <= 0.0:
            return None
        return self._timeline.sound_at(Pts(pts + self._half_period_ns), before_s, after_s)

    def _attempt(self, draw: Callable[[], VideoFrame]) -> VideoFrame | None:
        if self._resting > 0:
            self._resting -= 1
            return None
        try:
            frame = draw()
        except Exception:  # this is a supervisor: whatever a scene does, the picture goes on
            log.exception("the scene failed to draw; the still picture takes over")
            self._failures += 1
            if self._failures >= _FAILURES_TO_REST:
                self._failures, self._resting = 0, _REST_FRAMES
            return None
        self._failures = 0
        return frame
