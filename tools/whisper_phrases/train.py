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

from tools.whisper_phrases.clips import Batch, Examples, speak_all
from tools.whisper_phrases.model import convert, logits, make_model, make_tokenizer

_PEAK_RATE: Final = 1.5e-3
_WARMUP_STEPS: Final = 80
_FULL_EVERY: Final = 10
_REPORT_EVERY: Final = 50


def main() -> None:
    """Train, convert, say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the converted model; replaced")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    started_s = time.monotonic()
    clips = speak_all(arguments.seed)
    spoken = f"{len(clips.phrases)} phrases and {len(clips.others)} other sentences"
    print(f"{spoken} spoken in {time.monotonic() - started_s:.0f} s", flush=True)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)
    examples = Examples(clips, tokenizer, arguments.seed, arguments.batch, _FULL_EVERY)
    loader = DataLoader(examples, batch_size=None, num_workers=1, prefetch_factor=4)
    optimiser = torch.optim.AdamW(model.parameters(), lr=_PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: _share_of_rate(s, arguments.steps))
    model.train()
    mean_loss = 0.0
    for step, batch in zip(range(1, arguments.steps + 1), loader, strict=False):
        mean_loss += _step(model, batch, optimiser)
        schedule.step()
        if step % _REPORT_EVERY == 0:
            took_s = time.monotonic() - started_s
            print(f"step {step:5}  loss {mean_loss / _REPORT_EVERY:.4f}  {took_s:.0f} s", flush=True)
            mean_loss = 0.0
    model.eval()
    with tempfile.TemporaryDirectory() as work:
        convert(model, tokenizer, Path(work), arguments.out)
    print(f"{arguments.out}: {sum(f.stat().st_size for f in arguments.out.iterdir()) / 1e6:.2f} MB")


def _share_of_rate(step: int, steps: int) -> float:
    """Return the share of the peak learning rate: a linear warm-up, then half a cosine."""
    if step < _WARMUP_STEPS:
        return (step + 1) / _WARMUP_STEPS
    return 0.5 * (1 + math.cos(math.pi * (step - _WARMUP_STEPS) / max(1, steps - _WARMUP_STEPS)))


def _step(model: torch.nn.Module, batch: Batch, optimiser: torch.optim.Optimizer) -> float:
    with torch.autocast("cpu", torch.bfloat16):
        scores = logits(model, batch.mel, batch.tokens)
    loss = torch.nn.functional.cross_entropy(scores.float().flatten(0, 1), batch.labels.flatten())
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


if __name__ == "__main__":
    main()
