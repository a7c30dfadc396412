"""One turn as the show keeps it: what was asked, what is said, what was heard, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from vcam_talker.core.status import TurnKind, TurnState, TurnView
from vcam_talker.core.types import NO_TURN, ChatMessage, Emotion, TurnId

VOICE: Final = "voice"
"""Source of what was spoken to the presenter."""


class Rank(IntEnum):
    """Who goes first. Within a rank, who came first."""

    OWNER = 0
    """Whoever runs the show or speaks to it: command line, API, page, OBS, a voice in the call."""
    VIEWER = 1
    """A line the audience's rules have chosen."""
    QUIET = 2
    """Its own talk."""


@dataclass(slots=True)
class SpokenSentence:
    """A sentence and where in its turn's speech it begins; words as (text, start_s, end_s)."""

    text: str
    start_s: float
    emotion: Emotion
    words: list[tuple[str, float, float]] = field(default_factory=list)


@dataclass(slots=True)
class Turn:
    """Mutable record of a turn; owned by the director, on the control loop."""

    id: int
    """What the caller was told."""
    kind: TurnKind
    text: str
    queued_ns: int
    user: str = ""
    source: str = ""
    emotion: Emotion | None = None
    rank: Rank = Rank.OWNER
    room: str = ""
    """Whose history it belongs to."""
    heard_ns: int | None = None
    """When the line was complete: it reached this machine, or the voice ended."""
    message: ChatMessage | None = None
    """The viewer's line that it answers, if one."""
    stale_ns: int | None = None
    """Until when it may wait; None: for ever."""
    gave_way: bool = False
    """Somebody spoke before any of it was heard: it is made again once their words are known."""
    forgotten: bool = False
    """Belongs to a past that the present persona does not have."""
    state: TurnState = "queued"
    answer: str = ""
    error: str = ""
    take: TurnId = NO_TURN
    """What stamps the speech of the present attempt; a new one when the engine died under the last."""
    attempts: int = 0
    sentences: list[SpokenSentence] = field(default_factory=list)
    started_ns: int | None = None
    moved_ns: int = 0
    """When it last got anywhere: began, first sound, more sound."""
    brain: str = ""
    cached: bool = False
    first_token_ns: int | None = None
    first_audio_ns: int | None = None
    first_frame_ns: int | None = None
    on_air_ns: int | None = None
    played_s: float | None = None
    heard_text: str = ""
    hearing: SpokenSentence | None = None
    """The sentence that is being heard."""

    @property
    def waits_for_voices(self) -> bool:
        """Tell whether it is made again after a voice that comes before it was heard.

        Spoken questions are not: what follows may belong to them.
        """
        return self.source != VOICE and self.kind in {"say", "ask"}

    def rewind(self) -> None:
        """Forget the attempt that came to nothing."""
        self.state = "queued"
        self.answer = self.error = self.heard_text = self.brain = ""
        self.cached = False
        self.hearing = None
        self.sentences.clear()
        self.started_ns = self.first_token_ns = self.played_s = None
        self.first_audio_ns = self.first_frame_ns = self.on_air_ns = None

    def view(self) -> TurnView:
        """Return what `status` and the page show."""

        def after_ms(at_ns: int | None) -> float | None:
            return None if at_ns is None else round((at_ns - self.queued_ns) / 1e6, 1)

        return TurnView(
            self.id,
            self.kind,
            self.state,
            self.text,
            self.user,
            self.source,
            self.answer or " ".join(s.text for s in self.sentences),
            self.heard_text,
            after_ms(self.started_ns),
            after_ms(self.first_audio_ns),
            after_ms(self.on_air_ns),
            self.played_s,
            self.error,
            heard_ms=after_ms(self.heard_ns),
            first_token_ms=after_ms(self.first_token_ns),
            first_frame_ms=after_ms(self.first_frame_ns),
            brain=self.brain,
            cached=self.cached,
            sentence=self.hearing.text if self.hearing and self.state == "speaking" else "",
        )

    def trace(self) -> str:
        """Return how the answer came about, in one line for the log."""
        view = self.view()
        stages = {
            "heard": view.heard_ms,
            "queued": 0.0,
            "started": view.started_ms,
            "first token": view.first_token_ms,
            "first audio": view.first_audio_ms,
            "first frame": view.first_frame_ms,
            "on air": view.on_air_ms,
        }
        reached = [(stage, at_ms) for stage, at_ms in stages.items() if at_ms is not None]
        steps = ", ".join(f"{stage} {round(at_ms)}" for stage, at_ms in sorted(reached, key=lambda s: s[1]))
        how = f" by {self.brain}" if self.brain else ""
        return (
            f"turn {self.id} ({self.kind}{how}{', cached' if self.cached else ''}) {self.state}: {steps} ms"
        )

    def heard_until(self, played_s: float) -> str:
        """Return the words that were heard when `played_s` of the speech had left.

        A word counts once its middle was heard. A sentence without word times counts by its end.
        """
        parts: list[str] = []
        for index, sentence in enumerate(self.sentences):
            if sentence.start_s >= played_s:
                break
            following = self.sentences[index + 1 :]
            if following and following[0].start_s <= played_s:
                parts.append(sentence.text)
            else:
                words = [w for w, start_s, end_s in sentence.words if (start_s + end_s) / 2 <= played_s]
                complete = len(words) == len(sentence.words) and words
                parts.append(sentence.text if complete else " ".join(words))
        return " ".join(p for p in parts if p)
