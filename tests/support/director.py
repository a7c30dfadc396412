"""A director on a scripted stage; the test plays engine and timeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vcam_talker.core.clock import ManualClock
from vcam_talker.core.events import SentenceBegan, WordsPlaced
from vcam_talker.core.status import TurnView
from vcam_talker.core.types import Activity, Emotion, Playout, Pts, TurnId
from vcam_talker.show.audience import Audience
from vcam_talker.show.director import Director, Rules
from vcam_talker.show.history import History


class FakeStage:
    """Records what the director asks; the test plays engine and timeline."""

    def __init__(self) -> None:
        self.ready = True
        self.begun: list[dict[str, Any]] = []
        self.cuts: list[int] = []
        self.moods: list[tuple[Emotion | None, Activity]] = []
        self.replaced: list[str] = []
        self.on_cut: Callable[[int], None] = lambda _turn: None

    def begin(self, command: dict[str, Any]) -> bool:
        if self.ready:
            self.begun.append(command)
        return self.ready

    def cut(self, turn: TurnId) -> None:
        self.cuts.append(turn)
        self.on_cut(turn)

    def replace_engine(self, reason: str) -> None:
        self.replaced.append(reason)

    def show(self, emotion: Emotion | None, activity: Activity) -> None:
        self.moods.append((emotion, activity))

    def reader_ns(self, pts: Pts) -> int:
        return pts + 30_000_000


class Show:
    """A director with its stage and the events it told."""

    def __init__(self, capacity: int = 3, *, barge_in: bool = True) -> None:
        self.clock = ManualClock()
        self.stage = FakeStage()
        self.events: list[tuple[str, TurnView]] = []
        self.skipped: list[tuple[str, str]] = []
        audience = Audience("all", 30.0, 8.0, lambda m, why: self.skipped.append((m.text, why)))
        self.history = History(12, 4000)
        self.director = Director(
            self.stage,
            self.clock,
            Rules(capacity, barge_in=barge_in),
            lambda e, v: self.events.append((e, v)),
            audience,
            self.history,
        )

    def speak(self, take: int, *sentences: str) -> None:
        at_s = 0.0
        for text in sentences:
            words = tuple((w, at_s + i * 0.5, at_s + i * 0.5 + 0.5) for i, w in enumerate(text.split()))
            self.director.on_engine(SentenceBegan(TurnId(take), text, Emotion.HAPPY, at_s))
            self.director.on_engine(WordsPlaced(TurnId(take), words))
            at_s += 0.5 * len(words)
        self.director.on_started(TurnId(take), Pts(0), self.clock.now_ns())

    def end(self, take: int, played_s: float, *, interrupted: bool = False) -> None:
        self.director.on_ended(Playout(TurnId(take), played_s, played_s, interrupted, ""))
