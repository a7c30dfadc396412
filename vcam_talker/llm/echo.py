"""The null responder: says what it was told."""

from __future__ import annotations

from collections.abc import AsyncIterator

from vcam_talker.persona import Persona


class EchoResponder:
    """Repeats the viewer's line. Stateless."""

    def __init__(self, persona: Persona, seed: int | None = None) -> None:
        """Take what every responder takes; an echo needs neither persona nor chance."""
        del persona, seed

    async def respond(self, text: str, *, user: str = "") -> AsyncIterator[str]:
        """Yield `text` as it came, in one delta; nothing for an empty one."""
        del user
        if text:
            yield text

    def greeting(self) -> str:
        """Return nothing: an echo never speaks first."""
        return ""
