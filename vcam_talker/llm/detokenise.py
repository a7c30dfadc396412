"""Text from tokens while they come, never half a character."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

_UNFINISHED: Final = "\ufffd"
_MAX_PENDING: Final = 16
"""Tokens that may wait for the rest of a character; a character has 4 bytes at most."""
_UTF8_BYTES: Final = 4


class Detokeniser:
    """Streaming: `feed` tokens, `flush` at the end. Pure, not thread-safe.

    What comes back, joined, equals the decoding of all tokens at once, as long as the tokens are text; bytes
    that are no UTF-8 become U+FFFD. Each token costs the decoding of those since the last whole character but
    one, 2 * 16 at most. The tokens before are kept as context, because decoders of the SentencePiece kind
    drop the space of the very first word (the scheme of Hugging Face's text-generation-inference).
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        """`decode` turns any tokens into text, U+FFFD for what is no text."""
        self._decode = decode
        self._window: list[int] = []
        self._context = 0  # tokens at the window's head whose text has been let go
        self._sent = 0  # characters of the window's text that have been

    def feed(self, token: int) -> str:
        """Return the text that `token` completes, often empty."""
        self._window.append(token)
        text = self._decode(self._window)
        whole = text.rstrip(_UNFINISHED)
        if len(whole) == len(text):
            out = text[self._sent :]
            if text:
                self._move_to(self._context)
            return out
        # Where bytes stand for themselves, a run of them is decoded as one: it is a text or it is none.
        if len(self._window) - self._context > _MAX_PENDING:
            return self._give_up(text)
        out = whole[self._sent :]
        self._sent = max(self._sent, len(whole))
        return out

    def flush(self) -> str:
        """Return what is left, unfinished characters as U+FFFD."""
        out = self._decode(self._window)[self._sent :]
        self._window.clear()
        self._context = self._sent = 0
        return out

    def _move_to(self, start: int) -> None:
        """Forget the tokens before `start`; the others are the context from now on."""
        del self._window[:start]
        self._context = len(self._window)
        self._sent = len(self._decode(self._window))

    def _give_up(self, text: str) -> str:
        """Let go of a run that is no text, but for its end, which may be the beginning of a character.

        Behind the cut stand as many bytes as a character has at most: one that lay across it would be whole
        by now, and the two halves would not make the same text.
        """
        latest = len(self._window) - _UTF8_BYTES
        for cut in range(latest, latest - _UTF8_BYTES, -1):
            head = self._decode(self._window[:cut])
            if head + self._decode(self._window[cut:]) == text:
                out = head[self._sent :]
                del self._window[:cut]
                self._context = 0
                self._sent = 0
                return out
        return ""
