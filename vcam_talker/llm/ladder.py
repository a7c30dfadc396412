"""The ladder: brains are asked in order until one answers, in bounded time, never with silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from vcam_talker.config import BrainConfig
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.errors import DeclinedError, VcamTalkerError
from vcam_talker.core.stages import Responder
from vcam_talker.core.status import BrainView
from vcam_talker.core.types import Question
from vcam_talker.llm.gate import SLACK_CHARS, AnswerCutError, SentenceGate, is_spoken
from vcam_talker.llm.phrases import Phrases
from vcam_talker.llm.read_ahead import ReadAhead
from vcam_talker.llm.rung import Rung
from vcam_talker.persona import Persona

log = logging.getLogger(__name__)

FALLBACK: Final = "fallback"
"""What `answered_by` says when it was none of the brains."""


class Ladder:
    """A Responder made of Responders. Used from one event loop; built on any thread.

    A brain that fails before its first text is passed over for the next one; later, its answer ends with
    what there is. One that keeps failing rests for a while, one that is not loaded is not waited for. Below
    the last one stands the persona's fallback line. Time-outs run on the loop's clock, rests on `clock`.
    """

    name = "ladder"

    def __init__(
        self,
        persona: Persona,
        config: BrainConfig,
        make: Callable[[str], Responder],
        clock: MonotonicClock,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`make` builds the brain of a name, and may raise; `on_change`: `views` would say something new."""
        self._config = config
        self._phrases = Phrases(persona)
        self._rungs = tuple(Rung(name, config, make, clock, on_change) for name in config.engines)
        self.answered_by = ""
        """Who answers, or answered last: a brain's name, FALLBACK, or empty before the first text."""

    def views(self) -> tuple[BrainView, ...]:
        """Return the brains' states, in order."""
        return tuple(rung.view() for rung in self._rungs)

    async def warm_up(self) -> None:
        """Begin to load all brains, at once and in the background; return when the quick ones are there."""
        for rung in self._rungs:
            rung.load()
        # What loads without waiting for anything, as a script does, has loaded after one round of the loop.
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Let go of all brains. Takes a bounded time; idempotent."""
        await asyncio.gather(*(rung.close() for rung in self._rungs))

    async def respond(self, question: Question) -> AsyncGenerator[str, None]:
        """Yield the answer's text as it comes, at least one delta. Never raises.

        The first sentence comes as it is made, the others whole.
        """
        self.answered_by = ""
        await self.warm_up()
        deadline_s = asyncio.get_running_loop().time() + self._config.answer_timeout_s
        for rung in self._rungs:
            late = asyncio.get_running_loop().time() >= deadline_s
            responder = None if late else rung.admit()
            if responder is None:
                continue
            said = False
            async with aclosing(self._ask(rung, responder, question, deadline_s)) as answer:
                async for text in answer:
                    said = said or is_spoken(text)
                    yield text
            if said:
                return
        self.answered_by = FALLBACK
        yield self._phrases.fallback(question)

    async def _ask(
        self, rung: Rung, responder: Responder, question: Question, deadline_s: float
    ) -> AsyncGenerator[str, None]:
        """Yield what one brain answers, nothing if it doesn't; tell the rung how it went."""
        gate = SentenceGate(self._config.max_answer_chars)
        error: str | None = None
        settled = False
        try:
            try:
                async with aclosing(self._read(responder, question, gate, deadline_s)) as texts:
                    async for text in texts:
                        self.answered_by = rung.name
                        yield text
                tail = gate.finish()
            except DeclinedError as e:
                if not gate.started:
                    settled = True
                    rung.declined()
                    log.debug("brain %s passes the question on: %s", rung.name, e)
                    return
                error, tail = str(e), gate.cut()
            except AnswerCutError:
                tail = gate.cut()
            except TimeoutError:
                error, tail = self._silence(gate, deadline_s), gate.cut()
            except VcamTalkerError as e:
                error, tail = str(e), gate.cut()
            except Exception as e:  # a brain's fault must not cost the answer
                log.exception("brain %s failed", rung.name)
                error, tail = f"internal fault: {e!r}", gate.cut()
            if not gate.started and error is None:
                error = "it said nothing"
            settled = True
            if error is None:
                rung.answered()
            else:
                rung.failed(error)
            if tail.strip() and gate.started:
                self.answered_by = rung.name
                yield tail
            if gate.started and not gate.complete and error is not None:
                # Half a sentence and then silence is what viewers hate: say that the thread is lost.
                yield f" {self._phrases.fallback(question)}"
        finally:
            if not settled:
                # The listener went away; what it heard tells that the brain works.
                if gate.started:
                    rung.answered()
                else:
                    rung.abandoned()

    async def _read(
        self, responder: Responder, question: Question, gate: SentenceGate, deadline_s: float
    ) -> AsyncGenerator[str, None]:
        silence_s = self._config.first_token_timeout_s
        limit = self._config.max_answer_chars + 2 * SLACK_CHARS
        async with ReadAhead(responder.respond(question), limit) as ahead:
            while (delta := await ahead.next(silence_s, deadline_s)) is not None:
                silence_s = self._config.token_timeout_s
                if text := gate.feed(delta):
                    yield text
                if gate.full:
                    return

    def _silence(self, gate: SentenceGate, deadline_s: float) -> str | None:
        """Return what went wrong; None for an answer that was merely long."""
        if asyncio.get_running_loop().time() >= deadline_s:
            return None if gate.complete else f"no answer within {self._config.answer_timeout_s:g} s"
        if gate.started:
            return f"no further token within {self._config.token_timeout_s:g} s"
        return f"no token within {self._config.first_token_timeout_s:g} s"
