"""The null responder: says what it was told."""

from __future__ import annotations

from collections.abc import AsyncIterator

from vcam_talker.config import BrainConfig
from vcam_talker.core.types import Question
from vcam_talker.persona import Persona


class EchoResponder:
    """Repeats the viewer's line. Stateless."""

    name = "echo"

    def __init__(self, persona: Persona, config: BrainConfig) -> None:
        """Take what every responder takes; an echo needs none of it."""
        del persona, config

    async def respond(self, question: Question) -> AsyncIterator[str]:
        """Yield the question as it came, in one delta; nothing for an empty one."""
        if question.text:
            yield question.text

    async def warm_up(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
