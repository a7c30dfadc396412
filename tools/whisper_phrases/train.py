"""Train the model and convert it: `python -m tools.whisper_phrases.train --out FOLDER`.

Needs flite, espeak-ng, and `pip install 'vcam-talker[asr,llm]'`. A quarter of an hour on two cores. The same
seed gives the same clips in the same order; the bits of the weights depend on the machine.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path
from typing import Final

import torch
from torch.utils.data import DataLoader

from tools.whisper_phrases.clips import KINDS, Batch, Examples, speak_all
from tools.whisper_phrases.model import convert, decode, encode, make_model, make_tokenizer

_MATRIX_RATE: Final = 3e-3
_OTHER_RATE: Final = 1.2e-3
_WARMUP_STEPS: Final = 60
_FULL_EVERY: Final = 16
_HARD_AFTER: Final = 0.6
"""Share of the steps over which the augmentation grows to its full strength."""
_GUIDE_WEIGHT: Final = 0.5
_REPORT_EVERY: Final = 100


def main() -> None:
    """Train, convert, say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the converted model; replaced")
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="more pay only on an idle machine")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    started_s = time.monotonic()
    clips = speak_all(arguments.seed)
    spoken = f"{len(clips.phrases)} phrases and {len(clips.others)} other sentences"
    print(f"{spoken} spoken in {time.monotonic() - started_s:.0f} s", flush=True)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)
    examples = Examples(
        clips, tokenizer, arguments.seed, arguments.batch, _FULL_EVERY, int(_HARD_AFTER * arguments.steps)
    )
    loader = DataLoader(examples, batch_size=None, num_workers=1, prefetch_factor=4)
    guide = _Guide(model.config.d_model)
    optimisers = _optimisers(model, guide)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(o, lambda s: _share_of_rate(s, arguments.steps)) for o in optimisers
    ]
    model.train()
    losses: list[tuple[float, float]] = []
    for step, batch in zip(range(1, arguments.steps + 1), loader, strict=False):
        losses.append(_step(model, guide, batch, optimisers))
        for schedule in schedules:
            schedule.step()
        if step % _REPORT_EVERY == 0:
            took_s = time.monotonic() - started_s
            text, kind = (sum(column) / len(losses) for column in zip(*losses, strict=True))
            print(f"step {step:5}  text {text:.4f}  kind {kind:.3f}  {took_s:.0f} s", flush=True)
            losses.clear()
    model.eval()
    with tempfile.TemporaryDirectory() as work:
        convert(model, tokenizer, Path(work), arguments.out)
    print(f"{arguments.out}: {sum(f.stat().st_size for f in arguments.out.iterdir()) / 1e6:.2f} MB")


def _share_of_rate(step: int, steps: int) -> float:
    """Return the share of the peak learning rate: a linear warm-up, then half a cosine."""
    if step < _WARMUP_STEPS:
        return (step + 1) / _WARMUP_STEPS
    return 0.5 * (1 + math.cos(math.pi * (step - _WARMUP_STEPS) / max(1, steps - _WARMUP_STEPS)))


def _optimisers(model: torch.nn.Module, guide: torch.nn.Module) -> list[torch.optim.Optimizer]:
    """Return Muon (Jordan 2024) for the matrices of the layers, AdamW for the rest.

    At equal steps the guide's loss after 300 was 0.90 with both and 1.53 with AdamW alone.
    """
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    chosen = {id(p) for p in matrices}
    others = [p for p in (*model.parameters(), *guide.parameters()) if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=_MATRIX_RATE, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=_OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.01),
    ]


class _Guide(torch.nn.Module):
    """Tells the phrase from the mean of the encoder's output; only in training.

    Left alone, the decoder learns which phrases there are, and for a thousand steps does not listen.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(width, KINDS)

    def forward(self, encoded: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return its loss for float[B, T / 2, width]."""
        there = torch.arange(encoded.shape[1]) < (batch.frames[:, None] + 1) // 2
        mean = (encoded * there[..., None]).sum(1) / there.sum(1, keepdim=True)
        return torch.nn.functional.cross_entropy(self.linear(mean).float(), batch.kinds)


def _step(
    model: torch.nn.Module, guide: _Guide, batch: Batch, optimisers: list[torch.optim.Optimizer]
) -> tuple[float, float]:
    """Learn from one batch; return the losses of the decoder, per token, and of the guide, per clip."""
    with torch.autocast("cpu", torch.bfloat16):
        encoded = encode(model, batch.mel)
        scores = decode(model, encoded, batch.tokens)
        kind_loss = guide(encoded, batch)
    loss = torch.nn.functional.cross_entropy(scores.float().flatten(0, 1), batch.labels.flatten())
    for optimiser in optimisers:
        optimiser.zero_grad(set_to_none=True)
    (loss + _GUIDE_WEIGHT * kind_loss).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimiser in optimisers:
        optimiser.step()
    return float(loss.detach()), float(kind_loss.detach())


if __name__ == "__main__":
    main()
