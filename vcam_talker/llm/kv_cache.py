"""A language model's key-value cache together with the tokens that it holds, used again across prompts.

Causal attention: the keys and values of a token depend on the tokens before it and on nothing behind it. So
those of the longest common prefix of two prompts are the same, and only what follows must be computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from transformers import DynamicCache, PreTrainedModel

CHUNK_TOKENS: Final = 128
"""Tokens computed at once: few enough to be interrupted between two chunks, enough to fill the processor."""


class KvCache:
    """One conversation's cache over one model. Not thread-safe; every call blocks.

    Sliding-window models too are given caches that hold every token: their mask alone makes the window, which
    is exact, while a cache of the window's size could not be cut back.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        """`model`: a causal language model of transformers with plain attention, in evaluation mode."""
        self._decoder: Any = model.model
        self._head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
        self._device = model.device
        self._cache = DynamicCache()
        self._tokens: list[int] = []

    @property
    def tokens(self) -> tuple[int, ...]:
        """The tokens whose keys and values are held."""
        return tuple(self._tokens)

    def keep(self, tokens: Sequence[int]) -> int:
        """Cut back to the longest prefix in common with `tokens`; return its length."""
        common = common_prefix(self._tokens, tokens)
        self._cut_to(common)
        return common

    def logits(self, tokens: Sequence[int], cancelled: Callable[[], bool]) -> torch.Tensor | None:
        """Return the logits [V] behind a whole prompt of at least one token; None when cancelled.

        Computes what the cache does not hold, in chunks, and holds it from then on, cancelled or not.
        """
        # The last token's own output is needed even where its keys are held.
        self._cut_to(min(self.keep(tokens), len(tokens) - 1))
        return self._fill(tokens, cancelled)

    def prefill(self, tokens: Sequence[int], cancelled: Callable[[], bool]) -> None:
        """Compute and hold what `tokens` and the cache don't have in common, until cancelled."""
        if self.keep(tokens) < len(tokens):
            self._fill(tokens, cancelled, want_logits=False)

    def append(self, token: int) -> torch.Tensor:
        """Return the logits [V] behind what is held and `token`, which is held from then on."""
        return self._project(self._forward([token]))

    def clear(self) -> None:
        """Hold nothing."""
        self._cache = DynamicCache()
        self._tokens = []

    def _fill(
        self, tokens: Sequence[int], cancelled: Callable[[], bool], *, want_logits: bool = True
    ) -> torch.Tensor | None:
        hidden: torch.Tensor | None = None
        while len(self._tokens) < len(tokens):
            if cancelled():
                return None
            start = len(self._tokens)
            hidden = self._forward(tokens[start : start + CHUNK_TOKENS])
        # The vocabulary's matrix is the largest of all: it is multiplied once, not for every chunk.
        return self._project(hidden) if want_logits and hidden is not None else None

    def _project(self, hidden: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return self._head(hidden)[0]  # type: ignore[no-any-return]

    def _forward(self, tokens: Sequence[int]) -> torch.Tensor:
        """Return the last token's hidden state [1, H]; forgets everything when it fails midway."""
        try:
            with torch.inference_mode():
                ids = torch.tensor([list(tokens)], dtype=torch.long, device=self._device)
                out = self._decoder(input_ids=ids, past_key_values=self._cache, use_cache=True)
        except BaseException:
            self.clear()  # some layers have the tokens, others not
            raise
        self._tokens.extend(tokens)
        return out.last_hidden_state[:, -1]  # type: ignore[no-any-return]

    def _cut_to(self, length: int) -> None:
        surplus = len(self._tokens) - length
        if length == 0:
            self.clear()
        elif surplus > 0:
            self._cache.crop(-surplus)
            del self._tokens[length:]


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many tokens two sequences begin with in common."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))
