"""Renders a life's frames in several processes; a segment that is finished stays finished."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from studio.character import Character
from studio.film import Planes, to_yuv
from studio.life.segments import Segment
from studio.pack import HeadPack, StudioError
from studio.sitting import Sitting, load_backdrop

_FILE: Final = "segment-{:03d}.npy"


def render_segments(
    pack: HeadPack,
    character: Character,
    size: tuple[int, int],
    backdrop: Path,
    segments: Sequence[Segment],
    folder: Path,
    workers: int,
) -> None:
    """Write every segment's frames into `folder`, uint8[frames, H * 3 // 2, W] each. Blocks for long.

    What `folder` has already is left as it is: the same folder serves one character, size and plan alone.
    Raises StudioError when a worker ends early.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [k for k in range(len(segments)) if not (folder / _FILE.format(k)).exists()]
    # Long ones first, dealt out like cards: the workers end at about the same time.
    missing.sort(key=lambda k: -segments[k].frames)
    shares = [missing[n::workers] for n in range(workers)]
    context = multiprocessing.get_context("spawn")
    # Mesa's own threads would fight over the cores with the other workers.
    os.environ["LP_NUM_THREADS"] = "1"
    jobs = [
        context.Process(
            target=_work, args=(pack.root, character, size, backdrop, segments, share, folder), daemon=True
        )
        for share in shares
        if share
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    if any(job.exitcode for job in jobs):
        raise StudioError(
            "a worker",
            "stopped before its segments were done",
            "Run the command again: what is finished is kept",
        )


def frames(folder: Path, count: int) -> Iterator[Planes]:
    """Yield the frames of all segments, one after another."""
    for k in range(count):
        yield from np.load(folder / _FILE.format(k), mmap_mode="r")


def _work(
    root: Path,
    character: Character,
    size: tuple[int, int],
    backdrop: Path,
    segments: Sequence[Segment],
    mine: Sequence[int],
    folder: Path,
) -> None:
    sitting = Sitting(HeadPack(root), character, size, backdrop=load_backdrop(backdrop, size))
    began_s, count = time.process_time(), 0
    for k in mine:
        segment = segments[k]
        found = np.stack([to_yuv(sitting.picture(segment.pose(n))) for n in range(segment.frames)])
        part = folder / f".{k}.part.npy"
        np.save(part, found)
        part.replace(folder / _FILE.format(k))
        count += segment.frames
        cost_s = (time.process_time() - began_s) / count
        print(f"segment {k}: {segment.frames} frames, {cost_s:.2f} s of processor a frame", flush=True)
