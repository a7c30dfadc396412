"""A spoken conversation: who cuts in, which words are meant for the presenter, which belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.errors import QueueFullError
from vcam_talker.core.text import names_one_of
from vcam_talker.core.types import NS_PER_S, Utterance
from vcam_talker.show.director import UNDERSTANDING_S, Director
from vcam_talker.show.turns import VOICE, Turn

ROOM: Final = "voice"
_ENGAGED_S: Final = 30.0
"""After a question the next words are meant for the presenter, name or not."""
_STALE_S: Final = 60.0
"""Who has waited this long for an answer to spoken words has gone on talking."""


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
        self._unanswered: Turn | None = None
        """A question whose answer gave way, unheard, to somebody who may be going on with it."""
        self._speaking = False
        self._ended_ns = 0
        self._engaged_ns: int | None = None

    def speech_began(self) -> None:
        """Take that somebody speaks, surely: what is being said ends."""
        self._speaking = True
        cut = self._director.hear(speaking=True)
        if cut is not None:
            unheard = cut.source == VOICE and cut.first_audio_ns is None
            self._unanswered = cut if unheard else None

    def speech_ended(self) -> None:
        """Take that the voice has paused for good; its words, if it had any, come soon."""
        self._speaking = False
        self._ended_ns = self._clock.now_ns()
        self._director.hear(speaking=False)

    def check(self) -> None:
        """Wait no longer for words that the ears owe. Call about once a second."""
        waited_ns = self._clock.now_ns() - self._ended_ns
        if not self._speaking and waited_ns >= UNDERSTANDING_S * NS_PER_S:
            self._ask_again()

    def no_words(self) -> None:
        """Take that the voice that ended was a noise."""
        if not self._speaking:
            self._ask_again()
        self._director.understood()

    def heard(self, utterance: Utterance, text: str) -> None:
        """Take an utterance; `text` is its cleaned text."""
        now_ns = self._clock.now_ns()
        if self._unanswered is not None:
            text = f"{self._unanswered.text} {text}"
        self._unanswered = None
        if self._answer == "addressed" and not self._meant(text, now_ns):
            self.missed(text, "it does not name the presenter")
            return
        self._engaged_ns = now_ns
        self._ask(text, utterance.ended_ns)
        self._director.understood()

    def missed(self, text: str, why: str) -> None:
        """Take that an utterance is not to be answered."""
        self._skip(text, why)
        self._director.understood()

    def _ask_again(self) -> None:
        """Ask what gave way to a noise without words."""
        cut = self._unanswered
        self._unanswered = None
        if cut is not None:
            self._ask(cut.text, cut.heard_ns)

    def _ask(self, text: str, heard_ns: int | None) -> None:
        try:
            self._director.submit("ask", text, source=VOICE, room=ROOM, heard_ns=heard_ns, stale_s=_STALE_S)
        except QueueFullError as e:
            self._skip(text, str(e))

    def _meant(self, text: str, now_ns: int) -> bool:
        if self._engaged_ns is not None and now_ns - self._engaged_ns < _ENGAGED_S * NS_PER_S:
            return True
        return names_one_of(text, self.names)
