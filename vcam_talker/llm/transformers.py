"""A language model of a Hugging Face folder on this machine, run in a thread of this process."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from vcam_talker.config import BrainConfig
from vcam_talker.core.errors import DeclinedError, EngineError
from vcam_talker.core.stages import Cancelled
from vcam_talker.core.types import Question
from vcam_talker.llm.answer import cleaned
from vcam_talker.llm.gate import AnswerCutError
from vcam_talker.llm.hf_folder import check_folder
from vcam_talker.llm.own_words import OwnWords
from vcam_talker.llm.prompt import build_messages
from vcam_talker.llm.torch_import import import_local_model
from vcam_talker.llm.work_thread import Emit, WorkThread
from vcam_talker.persona import Persona

if TYPE_CHECKING:  # both import torch
    from vcam_talker.llm.local_model import AnswerStats, LocalModel

_HISTORY_STEP: Final = 4
"""Exchanges by which a history that does not fit is shortened: one at a time would change every prompt."""
_MIN_ROOM: Final = 4
"""The answer is left at least this part of the context, one n-th."""


class TransformersResponder:
    """Answers with a local model. Used from one event loop; the model lives in one thread of its own.

    Consecutive prompts begin alike (persona, history), and what the model has computed for that beginning is
    used again: only what is new is computed.
    """

    name = "transformers"

    def __init__(self, persona: Persona, config: BrainConfig, seed: int | None = None) -> None:
        """`seed`: of the draws at a temperature above 0."""
        self._persona = persona
        self._config = config
        self._seed = seed
        self._thread = WorkThread("language model")
        self._model: LocalModel | None = None  # the thread's
        self._own = OwnWords()  # the thread's

    @property
    def stats(self) -> AnswerStats | None:
        """What the last answer cost."""
        return self._model.stats if self._model is not None else None

    @property
    def held(self) -> tuple[int, ...]:
        """The tokens that need not be computed again; between answers, the last prompt and its answer."""
        return self._model.cached_tokens if self._model is not None else ()

    async def forget(self) -> None:
        """Empty the cache, so that the next answer is a cold one."""
        if self._model is not None:
            await self._thread.call(self._model.forget)

    async def respond(self, question: Question) -> AsyncIterator[str]:
        """Yield the answer as the model writes it, cleaned for speech. Loads the model if need be.

        Closing stops the model behind the token, or the chunk of the prompt, that it is at; the cache stays
        good. Raises EngineError; AnswerCutError behind an answer that `max_new_tokens` cut; DeclinedError
        for a question that is longer than the model's context.
        """
        model = await self._thread.call(self._loaded)
        deltas = self._deltas(question)
        async with aclosing(cleaned(deltas, thinking=model.chat.opens_thought)) as texts:
            async for text in texts:
                yield text

    async def warm_up(self) -> None:
        """Load the model and compute the persona's prompt. Seconds to minutes. Raises EngineError."""
        await self._thread.call(self._loaded)

    async def close(self) -> None:
        """Stop what runs and free the model's memory. Idempotent."""
        await self._thread.close(self._free)

    async def _deltas(self, question: Question) -> AsyncGenerator[str, None]:
        async with aclosing(self._thread.stream(lambda e, c: self._answer(question, e, c))) as deltas:
            async for delta in deltas:
                yield delta

    # In the model's thread.

    def _loaded(self) -> LocalModel:
        if self._model is None:
            folder = check_folder(self._config.transformers.folder)
            model = import_local_model()(folder, self._config.transformers, self._seed)
            self._warm(model)
            self._model = model
        return self._model

    def _warm(self, model: LocalModel) -> None:
        """Compute what all prompts have in common: two are enough to see it."""
        one, other = (
            model.chat.tokens(build_messages(self._persona, Question(text), self._config))
            for text in ("Hello", "What?")
        )
        if len(one) > _room(model.context_tokens):
            raise EngineError(
                "brain.transformers.folder",
                f"the persona's prompt has {len(one):,} tokens, the model takes {model.context_tokens:,}",
                "Use a model with a longer context, or shorten the persona",
            )
        common = [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))]
        model.prefill(common, self._thread.closing)

    def _free(self) -> None:
        model, self._model = self._model, None
        if model is not None:
            model.close()

    def _answer(self, question: Question, emit: Emit, cancelled: Cancelled) -> None:
        model = self._loaded()
        begun_s = time.perf_counter()
        prompt = self._prompt(model, question)
        written: list[str] = []

        def keep(text: str) -> None:
            written.append(text)
            emit(text)

        try:
            made, cut = model.generate(prompt, keep, cancelled, begun_s)
        finally:
            self._own.note("".join(written))
        if cut:
            raise AnswerCutError("the answer", f"was cut at {len(made)} tokens")

    def _prompt(self, model: LocalModel, question: Question) -> list[int]:
        """Return the prompt, with as much of the history as fits. Raises DeclinedError."""
        room = _room(model.context_tokens)
        while True:
            messages = build_messages(self._persona, question, self._config)
            tokens = model.chat.tokens(self._own.restore(messages))
            if len(tokens) <= room:
                return tokens
            if question.history:
                question = replace(question, history=question.history[_HISTORY_STEP:])
            elif question.remembered:
                question = replace(question, remembered=())
            else:
                raise DeclinedError(
                    "the question",
                    f"makes a prompt of {len(tokens):,} tokens, the model takes {room:,}",
                    "Use a model with a longer context",
                )


def _room(context_tokens: int) -> int:
    """Return how long a prompt may be."""
    return context_tokens - context_tokens // _MIN_ROOM
