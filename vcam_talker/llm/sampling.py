"""Which token comes next.

Imports torch, so import this only where a model is wanted.
"""

from __future__ import annotations

from typing import Final

import torch

_HEAD: Final = 512
"""Likeliest tokens that are looked at first; they hold the nucleus nearly always, and sorting the whole
vocabulary for each token would cost more than it finds."""


class Sampler:
    """Takes the likeliest token at temperature 0, else draws from the nucleus. Not thread-safe.

    Nucleus sampling: Holtzman et al., arXiv 1904.09751, after the temperature.
    """

    def __init__(self, temperature: float, top_p: float, seed: int | None = None) -> None:
        """`temperature` >= 0; `top_p` in (0, 1]; `seed`: of the draws."""
        self._temperature = temperature
        self._top_p = top_p
        self._generator = torch.Generator()
        if seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(seed)

    def choose(self, logits: torch.Tensor) -> int:
        """Return a token for logits [V] of any float type on any device. Blocks until they are computed."""
        if self._temperature == 0:
            return int(logits.argmax())
        logits = logits.float().cpu()
        shares = torch.softmax(logits / self._temperature, dim=-1)
        if not bool(torch.isfinite(shares).all()):
            # A temperature next to nothing overflows: its limit is the likeliest token.
            return int(logits.argmax())
        values, tokens = torch.topk(shares, min(_HEAD, shares.numel()))
        if self._top_p < 1 and float(values.sum()) >= self._top_p:
            before = values.cumsum(0) - values
            values = values[before < self._top_p]  # the likeliest one always is
        else:
            values, tokens = torch.sort(shares, descending=True)
            values = values[values.cumsum(0) - values < self._top_p]
        drawn = torch.multinomial(values, 1, generator=self._generator)
        return int(tokens[drawn])
