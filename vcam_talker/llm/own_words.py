"""A model's answers as it wrote them, put back where a prompt quotes what was heard of them.

The history holds what viewers heard: no emotion tags, no emphasis. Told like that, a model would compute each
answer of its own once more, as it differs from its first token on, and learn by example to leave tags out.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Final

from vcam_talker.core.types import Emotion

_TAG: Final = re.compile(rf"\[\s*(?:{'|'.join(Emotion)})\s*\]", re.IGNORECASE)
_STEERS: Final = frozenset("<>[]{}|\\`#")
"""What special tokens and the marks of roles are made of. An answer with one of these stays as it was heard:
a viewer may have made the model say it."""
_ANSWERS: Final = 256


class OwnWords:
    """Remembers the latest answers, 256 at most. Pure, not thread-safe."""

    def __init__(self) -> None:
        self._written: OrderedDict[str, str] = OrderedDict()

    def note(self, written: str) -> None:
        """Remember an answer as the model wrote it."""
        spoken = _TAG.sub(" ", written)
        letters = _letters(spoken)
        if not letters or not _STEERS.isdisjoint(spoken):
            return
        self._written[letters] = written
        self._written.move_to_end(letters)
        while len(self._written) > _ANSWERS:
            self._written.popitem(last=False)

    def restore(self, messages: list[dict[str, str]]) -> list[dict[str, str]]:
        """Return chat messages whose answers are as they were written, as far as they were heard.

        Letters and digits decide whether an answer is a remembered one or its beginning. What stands behind
        its last letter remains, as it tells of an interruption.
        """
        return [
            {**message, "content": self._restored(message["content"])}
            if message["role"] == "assistant"
            else message
            for message in messages
        ]

    def _restored(self, heard: str) -> str:
        letters = _letters(heard)
        if not letters:
            return heard
        for known in reversed(self._written):
            if known.startswith(letters):
                return _beginning(self._written[known], len(letters)) + _tail(heard)
        return heard


def _letters(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


def _beginning(written: str, count: int) -> str:
    """Return `written` up to its `count`-th spoken letter."""
    at = 0
    for tag in [*_TAG.finditer(written), None]:
        end = tag.start() if tag else len(written)
        for i in range(at, end):
            count -= written[i].isalnum()
            if count == 0:
                return written[: i + 1]
        at = tag.end() if tag else end
    return written


def _tail(text: str) -> str:
    """Return what stands behind the last letter."""
    end = len(text)
    while end and not text[end - 1].isalnum():
        end -= 1
    return text[end:]
