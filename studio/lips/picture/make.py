"""Draw the files that are missing, in several processes; whoever runs it again makes what is left."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from studio.lips.picture.scenes import SIZE, Sitter, draw_sitter, path_of
from studio.pack import StudioError
from studio.truth import container
from studio.truth.render import TruthRenderer, open_renderer
from studio.truth.voices import Speaker

_tools: list[tuple[TruthRenderer, Speaker]] = []
"""Of a worker process."""


def make(
    folder: Path, sitters: Sequence[Sitter], renderer: str, workers: int, say: Callable[[str], None]
) -> int:
    """Draw every sitter whose file is missing or damaged; return how many. Blocks. Raises StudioError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise StudioError(str(folder), f"can't be made ({e.strerror})") from None
    missing = [sitter for sitter in sitters if not _is_whole(path_of(folder, sitter))]
    if not missing:
        return 0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin, (renderer,)) as pool:
        done = pool.map(partial(_draw, folder), missing)
        for number, (sitter, size) in enumerate(zip(missing, done, strict=True), 1):
            say(f"{sitter.name}: {size / 1e6:.1f} MB ({number} of {len(missing)})")
    return len(missing)


def _begin(renderer: str) -> None:
    _tools.append((open_renderer(renderer, SIZE), Speaker()))


def _draw(folder: Path, sitter: Sitter) -> int:
    renderer, speaker = _tools[0]
    return container.write(path_of(folder, sitter), draw_sitter(sitter, renderer, speaker))


def _is_whole(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        container.read(path)
    except StudioError:
        return False
    return True
