"""One answer: respond, split into sentences, speak; sentence n + 1 is made while n is being heard."""

from __future__ import annotations

import asyncio
import logging
import queue
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import TypeAdapter

from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.stages import Cancelled
from vcam_talker.core.status import TurnKind
from vcam_talker.core.text import parse_emotion_tags
from vcam_talker.core.types import Emotion, Exchange, Question, Sentence, TurnId, Word
from vcam_talker.engine.phrasing import Phrasing
from vcam_talker.engine.speaker import Speaker, TurnCancelledError
from vcam_talker.llm.ladder import Ladder
from vcam_talker.llm.phrases import Phrases
from vcam_talker.persona import Persona

log = logging.getLogger(__name__)

# Sentences that wait for the voice; the responder is held back beyond that.
_SENTENCES_AHEAD = 4
_EXCHANGES: Final = TypeAdapter(tuple[Exchange, ...])

Forbidden = Callable[[str], str | None]
"""Returns the word that must not be spoken, if one stands in the text."""


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What air asks for."""

    turn: TurnId
    kind: TurnKind
    text: str
    user: str = ""
    emotion: Emotion | None = None
    room: str = ""
    history: tuple[Exchange, ...] = ()
    remembered: tuple[Exchange, ...] = ()

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> TurnRequest:
        """Read a `turn` command."""
        emotion = message.get("emotion")
        return cls(
            TurnId(message["turn"]),
            message["kind"],
            message["text"],
            message.get("user", ""),
            Emotion(emotion) if emotion else None,
            message.get("room", ""),
            _EXCHANGES.validate_python(message.get("history", ())),
            _EXCHANGES.validate_python(message.get("remembered", ())),
        )

    def question(self) -> Question:
        """Return what the brain is asked."""
        return Question(self.text, self.user, self.room, self.history, self.remembered)


class TurnWorker:
    """Runs turns of one persona, one at a time; reports by `send`."""

    def __init__(
        self,
        persona: Persona,
        brain: Ladder,
        speaker: Speaker,
        clock: MonotonicClock,
        send: Callable[[dict[str, Any]], None],
        forbidden: Forbidden = lambda _text: None,
    ) -> None:
        """`clock` is air's own, by which answers are traced.

        `forbidden` looks at every sentence that the brain made, before it is spoken. When it leaves none of
        an answer, the persona's fallback line is spoken instead.
        """
        self._persona = persona
        self._brain = brain
        self._speaker = speaker
        self._clock = clock
        self._send = send
        self._forbidden = forbidden
        self._phrases = Phrases(persona)
        self._thinking: asyncio.Task[None] | None = None

    async def run(self, request: TurnRequest, cancelled: Cancelled) -> None:
        """Make the whole turn. Ends early, quietly, once `cancelled()` is true."""
        if cancelled():
            return
        sentences: queue.Queue[Sentence | None] = queue.Queue(_SENTENCES_AHEAD)
        voice = asyncio.create_task(asyncio.to_thread(self._speak_all, request, sentences, cancelled))
        self._thinking = asyncio.create_task(
            self._think(request, sentences, lambda: cancelled() or voice.done())
        )
        try:
            await self._thinking
        except asyncio.CancelledError:
            log.debug("turn %d: thinking was cancelled", request.turn)
        except VcamTalkerError as e:
            self._send({"op": "failed", "turn": request.turn, "error": str(e)})
        finally:
            await self._offer(sentences, None, voice.done)
            await voice

    def abort(self) -> None:
        """Stop thinking now, in the middle of a token if need be. Event loop's thread."""
        if self._thinking is not None:
            self._thinking.cancel()

    async def _think(
        self, request: TurnRequest, sentences: queue.Queue[Sentence | None], cancelled: Cancelled
    ) -> None:
        phrasing = Phrasing(self._persona, request.turn, request.emotion)
        answer = ""
        spoken: list[str] = []
        refused = False

        async def take(made: list[Sentence]) -> None:
            nonlocal refused
            for sentence in made:
                if self._is_refused(request, sentence):
                    refused = True
                else:
                    spoken.append(sentence.text)
                    await self._offer(sentences, sentence, cancelled)

        async with aclosing(self._deltas(request)) as deltas:
            async for delta in deltas:
                if cancelled():
                    return
                if not answer:
                    self._tell_first_token(request)
                answer += delta
                await take(phrasing.feed(delta))
        await take(phrasing.flush())
        if request.kind == "ask" and not spoken:
            # Whoever asked must not meet silence.
            await take(self._fallback(request))
        # What was refused must not be shown, either.
        text = " ".join(spoken) if refused else parse_emotion_tags(answer)[1]
        self._send({"op": "answer", "turn": request.turn, "text": text})

    def _fallback(self, request: TurnRequest) -> list[Sentence]:
        """Return what the persona says when nobody can answer; nobody is named, names may be refused, too."""
        line = self._phrases.fallback(replace(request.question(), user=""))
        phrasing = Phrasing(self._persona, request.turn, request.emotion)
        return [*phrasing.feed(line), *phrasing.flush()]

    def _tell_first_token(self, request: TurnRequest) -> None:
        brain = self._brain.answered_by if request.kind == "ask" else ""
        self._send({"op": "token", "turn": request.turn, "at_ns": self._clock.now_ns(), "brain": brain})

    async def _deltas(self, request: TurnRequest) -> AsyncGenerator[str]:
        if request.kind != "ask":
            yield request.text
            return
        async with aclosing(self._brain.respond(request.question())) as deltas:
            async for delta in deltas:
                yield delta

    def _is_refused(self, request: TurnRequest, sentence: Sentence) -> bool:
        """Tell whether a brain said what must not be spoken."""
        # What viewers type into a language model comes out of it, too.
        word = self._forbidden(sentence.text) if request.kind == "ask" else None
        if word:
            log.warning("turn %d: a sentence with '%s' is not spoken", request.turn, word)
        return bool(word)

    @staticmethod
    async def _offer(
        sentences: queue.Queue[Sentence | None], item: Sentence | None, give_up: Callable[[], bool]
    ) -> None:
        while not give_up():
            try:
                sentences.put_nowait(item)
            except queue.Full:
                await asyncio.sleep(0.01)
            else:
                return

    def _speak_all(
        self, request: TurnRequest, sentences: queue.Queue[Sentence | None], cancelled: Cancelled
    ) -> None:
        """Worker thread: speak sentence after sentence until None comes."""
        at_s = 0.0
        self._speaker.reset()
        try:
            try:
                while (sentence := sentences.get()) is not None:
                    at_s = self._speak(sentence, at_s, cancelled)
            except VcamTalkerError as e:
                # What was already written is heard to its end.
                self._send({"op": "failed", "turn": request.turn, "error": str(e)})
            self._speaker.finish(request.turn, cancelled)
        except TurnCancelledError:
            log.debug("turn %d was cancelled", request.turn)

    def _speak(self, sentence: Sentence, at_s: float, cancelled: Cancelled) -> float:
        self._send(
            {
                "op": "sentence",
                "turn": sentence.turn,
                "index": sentence.index,
                "text": sentence.text,
                "emotion": sentence.emotion,
                "start_s": at_s,
            }
        )

        def on_words(start_s: float, words: tuple[Word, ...]) -> None:
            placed = [replace(w, start_s=w.start_s + start_s, end_s=w.end_s + start_s) for w in words]
            self._send(
                {
                    "op": "words",
                    "turn": sentence.turn,
                    "index": sentence.index,
                    "words": [[w.text, round(w.start_s, 3), round(w.end_s, 3)] for w in placed],
                }
            )

        def on_cached() -> None:
            self._send({"op": "cached", "turn": sentence.turn, "index": sentence.index})

        return self._speaker.speak(sentence, at_s, cancelled, on_words, on_cached)
