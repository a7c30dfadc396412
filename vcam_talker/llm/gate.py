"""What of an answer is let go while it comes, so that it can end well wherever it is cut."""

from __future__ import annotations

import re
from typing import Final

from vcam_talker.core.errors import EngineError
from vcam_talker.core.text import parse_emotion_tags

SLACK_CHARS: Final = 300
"""How much longer than its limit an answer may get while its last sentence ends."""
_TRAILING_OFF: Final = "…"
_CLOSERS: Final = "\"')\\]}”’»」』）】》"
_END: Final = re.compile(rf"(?:[.!?…؟।]+[{_CLOSERS}]*(?=\s)|[。！？｡]+[{_CLOSERS}]*|\n)")
_LAST: Final = re.compile(rf"(?:[!?…؟।。！？｡]|(?<![0-9.])\.)[{_CLOSERS}]*\s*$")
"""The end of a sentence where the text ends. `It costs 3.` may be the beginning of 3.50."""


class AnswerCutError(EngineError):
    """An answer was cut by its own limit: what came of it is good, its last sentence is not whole.

    Responders raise it after their last delta; it counts as an answer, not as a failure.
    """


def is_spoken(text: str) -> bool:
    """Tell whether there is anything to say in `text`: more than signs and the tags of emotions."""
    return any(c.isalnum() for c in parse_emotion_tags(text)[1])


class SentenceGate:
    """Streaming: `feed` deltas, let go what comes back, then `finish` or `cut`. Pure, not thread-safe.

    The first sentence passes as it comes, for the voice may start within it. Later ones pass whole: nobody
    can speak them earlier, and one that is cut was then never said.
    """

    def __init__(self, max_chars: int) -> None:
        """Make one that is full with the sentence that reaches `max_chars`."""
        self._max_chars = max_chars
        self._text = ""
        self._passed = 0
        self._started = False
        self._end = 0
        self.full = False
        """Nothing more passes."""

    @property
    def started(self) -> bool:
        """Something to say has passed."""
        self._started = self._started or is_spoken(self._text[: self._passed])
        return self._started

    @property
    def complete(self) -> bool:
        """At least one whole sentence has passed."""
        return self._end > 0

    def feed(self, delta: str) -> str:
        """Return what may be spoken now; empty once it is full."""
        if self.full:
            return ""
        self._text += delta if self._text else delta.lstrip()
        for match in _END.finditer(self._text, self._end):
            if any(c.isalnum() for c in self._text[self._end : match.end()]):
                self._end = match.end()
            if self._end >= self._max_chars:
                self.full = True
                return self._pass_to(self._end)
        if len(self._text) > self._max_chars + SLACK_CHARS:
            self.full = True
            return self._pass_to(self._end) if self._end else self._overlong()
        return self._pass_to(self._end or len(self._text.rstrip()))

    def finish(self) -> str:
        """Return the rest of an answer that came to its end."""
        rest = "" if self.full else self._pass_to(len(self._text))
        self.full = True
        return rest

    def cut(self) -> str:
        """Return how an answer that was cut ends: with a whole sentence, or trailing off in its first."""
        if self.full:
            return ""
        self.full = True
        if _LAST.search(self._text, self._end):
            self._end = len(self._text)
            return self._pass_to(self._end)
        if self._end or not self._text:
            return ""
        return _TRAILING_OFF

    def _pass_to(self, end: int) -> str:
        start, self._passed = self._passed, max(self._passed, end)
        return self._text[start : self._passed]

    def _overlong(self) -> str:
        """Return the rest of a first sentence that never ends, to the last word."""
        limit = self._max_chars + SLACK_CHARS
        end = self._text.rfind(" ", self._passed, limit)
        return self._pass_to(end if end >= 0 else limit) + _TRAILING_OFF
