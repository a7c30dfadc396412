"""The director's stage: what it tells the engine, the timeline, the face and the ears."""

from __future__ import annotations

from typing import Any

from vcam_talker.app.air import Air
from vcam_talker.core.types import Activity, Emotion, Pts, TurnId


class AirStage:
    """Implements show.director.Stage over Air. Used on the control loop; never blocks."""

    def __init__(self, air: Air, resting: Emotion) -> None:
        self._air = air
        self.resting = resting
        """The persona's own mood."""
        self.mood: Emotion | None = None
        """What was set over it."""

    def begin(self, command: dict[str, Any]) -> bool:
        """Hand a turn to the engine."""
        taken = self._air.supervisor.send({**command, "emotion": command["emotion"] or self.mood})
        self._air.playout.expecting = taken
        return taken

    def cut(self, turn: TurnId) -> None:
        """Silence a turn in the engine and on the timeline."""
        self._air.supervisor.send({"op": "cancel", "turn": turn})
        self._air.timeline.flush(turn)

    def replace_engine(self, reason: str) -> None:
        """Have the engine killed and started anew."""
        self._air.supervisor.replace(reason)

    def show(self, emotion: Emotion | None, activity: Activity) -> None:
        """Set the face's mood and activity."""
        face = self._air.mood
        face.emotion = emotion or self.mood or self.resting
        face.activity = activity
        if activity in {Activity.IDLE, Activity.LISTENING}:
            self._air.playout.expecting = False

    def reader_ns(self, pts: Pts) -> int:
        """Return when a reader of the microphone hears `pts`."""
        return self._air.clock.time_of(pts)
