"""One answer: respond, split into sentences, speak; sentence n + 1 is made while n is being heard."""

from __future__ import annotations

import asyncio
import logging
import queue
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.stages import Cancelled, Responder
from vcam_talker.core.status import TurnKind
from vcam_talker.core.text import detect_language, parse_emotion_tags
from vcam_talker.core.types import Emotion, Question, Sentence, TurnId, Word
from vcam_talker.engine.speaker import Speaker, TurnCancelledError
from vcam_talker.persona import Persona
from vcam_talker.tts.sentences import SentenceSplitter
from vcam_talker.tts.voice import Voice

log = logging.getLogger(__name__)

# Sentences that wait for the voice; the responder is held back beyond that.
_SENTENCES_AHEAD = 4


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What air asks for."""

    turn: TurnId
    kind: TurnKind
    text: str
    user: str = ""
    emotion: Emotion | None = None

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
        )


class TurnWorker:
    """Runs turns of one persona, one at a time; reports by `send`."""

    def __init__(
        self,
        persona: Persona,
        responder: Responder,
        voice: Voice,
        speaker: Speaker,
        send: Callable[[dict[str, Any]], None],
    ) -> None:
        self.voice = voice
        self._persona = persona
        self._responder = responder
        self._speaker = speaker
        self._send = send
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
        splitter = SentenceSplitter()
        emotion = request.emotion or self._persona.emotions.default
        index = 0
        answer = ""
        async for delta in self._deltas(request):
            if cancelled():
                return
            answer += delta
            for text in splitter.feed(delta):
                emotion, index = await self._queue(request, sentences, text, emotion, index, cancelled)
        for text in splitter.flush():
            emotion, index = await self._queue(request, sentences, text, emotion, index, cancelled)
        self._send({"op": "answer", "turn": request.turn, "text": parse_emotion_tags(answer)[1]})

    async def _deltas(self, request: TurnRequest) -> AsyncIterator[str]:
        if request.kind == "ask":
            async for delta in self._responder.respond(Question(request.text, request.user)):
                yield delta
        else:
            yield request.text

    async def _queue(
        self,
        request: TurnRequest,
        sentences: queue.Queue[Sentence | None],
        text: str,
        emotion: Emotion,
        index: int,
        cancelled: Cancelled,
    ) -> tuple[Emotion, int]:
        tagged, spoken = parse_emotion_tags(text)
        emotion = tagged or emotion
        if not spoken.strip():
            return emotion, index
        language = detect_language(spoken, self._persona.language)
        sentence = Sentence(request.turn, index, spoken, emotion, language)
        await self._offer(sentences, sentence, cancelled)
        return emotion, index + 1

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

        return self._speaker.speak(sentence, at_s, cancelled, on_words)
