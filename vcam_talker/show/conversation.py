"""A spoken conversation: who cuts in, which words are meant for the presenter, which belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.errors import QueueFullError
from vcam_talker.core.text import names_one_of
from vcam_talker.core.types import NS_PER_S, Utterance
from vcam_talker.show.director import Director

ROOM: Final = "voice"
SOURCE: Final = "voice"
_GOES_ON_S: Final = 6.0
"""Somebody who goes on after a breath still asks the same; the answer that began meanwhile is dropped."""
_ENGAGED_S: Final = 30.0
"""After a question the next words are meant for the presenter, name or not."""


class Conversation:
    """Turns what the ears tell into turns of the director. Used on the control loop."""

    def __init__(
        self,
        director: Director,
        clock: MonotonicClock,
        answer: Literal["always", "addressed"],
        names: Sequence[str],
        skip: Callable[[str, str], None],
    ) -> None:
        """`names` call the presenter; `skip(text, why)` learns of what is not answered."""
        self._director = director
        self._clock = clock
        self._answer = answer
        self.names = tuple(names)
        self._skip = skip
        self._unanswered = ""
        self._unanswered_ns = 0
        self._engaged_ns: int | None = None

    def speech_began(self) -> None:
        """Take that somebody speaks, surely: what is being said ends."""
        cut = self._director.hear(speaking=True)
        self._unanswered = ""
        if cut is None:
            return
        if cut.source == SOURCE and cut.first_audio_ns is None:
            self._unanswered, self._unanswered_ns = cut.text, self._clock.now_ns()

    def speech_ended(self) -> None:
        """Take that the voice has paused for good."""
        self._director.hear(speaking=False)

    def heard(self, utterance: Utterance, text: str) -> None:
        """Take an utterance; `text` is its cleaned text."""
        now_ns = self._clock.now_ns()
        if self._unanswered and now_ns - self._unanswered_ns < _GOES_ON_S * NS_PER_S:
            text = f"{self._unanswered} {text}"
        self._unanswered = ""
        if self._answer == "addressed" and not self._meant(text, now_ns):
            self._skip(text, "it does not name the presenter")
            return
        self._engaged_ns = now_ns
        try:
            self._director.submit("ask", text, source=SOURCE, room=ROOM, heard_ns=utterance.ended_ns)
        except QueueFullError as e:
            self._skip(text, str(e))

    def _meant(self, text: str, now_ns: int) -> bool:
        if self._engaged_ns is not None and now_ns - self._engaged_ns < _ENGAGED_S * NS_PER_S:
            return True
        return names_one_of(text, self.names)
