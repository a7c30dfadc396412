"""Make a set: processes that each take a shard, make it, and put it in place whole.

Nothing is remembered but the shards themselves: whoever runs the same command again makes what is missing or
damaged and nothing else. Drawn clips are kept until their shard is whole: a process that is killed, or a run,
loses no more than the clips in its hands.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, Literal

from studio.pack import StudioError
from studio.truth import container
from studio.truth.clips import Plan
from studio.truth.drawn import sweep, workshop
from studio.truth.render import open_renderer
from studio.truth.shards import FORMAT, Shard, build_shard, shard_path
from studio.truth.voices import Speaker
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.filelock import try_lock

Say = Callable[[str], None]

_DEATHS: Final = 2
"""Processes that one shard may cost before the run gives up."""
_LOCK: Final = ".lock"
_ONE_CORE: Final = {"LP_NUM_THREADS": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""A process of ours keeps one core busy: threads of Mesa's and NumPy's would only be in each other's way."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a run did."""

    shards: int
    """In the set now."""
    made: int
    """By this run."""
    frames: int
    """By this run."""
    seconds: float
    bytes: int
    """By this run."""


def make_set(
    folder: Path,
    plan: Plan,
    frames: int,
    renderer: str,
    *,
    workers: int = 2,
    say: Say = print,
) -> Made:
    """Bring a set in `folder` to at least `frames` frames, in whole shards. Blocks.

    `say` gets a line per shard. Raises StudioError: when another run is at work in the folder, when its
    shards are of another plan or renderer, when the disk is full, when the renderer or a voice fails.
    """
    if frames < 1 or workers < 1:
        raise StudioError("make", f"was asked for {frames} frames by {workers} workers", "Give 1 or more")
    open_renderer(renderer, plan.size)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise StudioError(str(folder), f"can't be made ({e.strerror})") from None
    with _locked(folder):
        count = -(-frames // plan.shard_frames)
        todo = [
            n for n in range(count) if not _is_whole(shard_path(folder, plan.split, n), plan, renderer, say)
        ]
        sweep(folder, plan.split, [workshop(folder, plan, renderer, n) for n in todo])
        began = time.monotonic()
        crew = _Crew(folder, plan, renderer, deque(todo), min(workers, max(1, len(todo))), say)
        crew.run()
        return Made(count, len(todo), len(todo) * plan.shard_frames, time.monotonic() - began, crew.bytes)


def _is_whole(path: Path, plan: Plan, renderer: str, say: Say) -> bool:
    """Tell whether a shard is there, undamaged and of this set. Raises StudioError for another set's."""
    if not path.exists():
        return False
    try:
        container.verify(path)
        facts = Shard(path).facts
    except StudioError as e:
        say(f"{path.name} {e.why}: it is made anew")
        return False
    there = {"format": facts["format"], "renderer": facts["renderer"], **facts["plan"]}
    wanted = {"format": FORMAT, "renderer": renderer, **asdict(plan)}
    differing = [key for key, value in wanted.items() if there.get(key) != value]
    if differing:
        key = differing[0]
        raise StudioError(
            str(path),
            f"belongs to another set: its {key} is {there.get(key)}, not {wanted[key]}",
            "Use another folder, or the settings it was begun with",
        )
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / _LOCK).open("w", encoding="ascii") as file:
        try:
            try_lock(file)
        except OSError:
            raise StudioError(
                str(folder), "another run is making shards there", "Wait until it is done"
            ) from None
        yield


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    shard: int | None = None
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class _Outcome:
    kind: Literal["done", "failed"]
    shard: int
    bytes: int = 0
    error: tuple[str, str, str] = ("", "", "")


class _Crew:
    """Hands shards to processes, one at a time each, over pipes that no other process holds."""

    def __init__(
        self, folder: Path, plan: Plan, renderer: str, todo: deque[int], workers: int, say: Say
    ) -> None:
        # Not forked: a renderer's threads and contexts do not survive that.
        self._context = multiprocessing.get_context("spawn")
        self._folder, self._plan, self._renderer = folder, plan, renderer
        self._todo, self._say = todo, say
        self._total, self._done = len(todo), 0
        self._deaths: dict[int, int] = {}
        self._wanted = workers
        self._workers: list[_Worker] = []
        self.bytes = 0

    def run(self) -> None:
        """Until nothing is left to do. Raises StudioError; no process stays behind."""
        try:
            while self._todo or any(w.shard is not None for w in self._workers):
                while self._todo and len(self._workers) < self._wanted:
                    self._workers.append(self._start())
                for worker in self._workers:
                    if worker.shard is None and self._todo:
                        self._hand(worker, self._todo.popleft())
                for ready in wait([w.pipe for w in self._workers]):
                    self._hear(next(w for w in self._workers if w.pipe is ready))
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.join()
                worker.pipe.close()

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work, args=(theirs, self._folder, self._plan, self._renderer), daemon=True
        )
        with _environment(_ONE_CORE):
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _hand(self, worker: _Worker, shard: int) -> None:
        worker.shard, worker.since = shard, time.monotonic()
        # If it died, its pipe's end is heard next.
        with contextlib.suppress(OSError):
            worker.pipe.send(shard)

    def _hear(self, worker: _Worker) -> None:
        try:
            outcome: _Outcome = worker.pipe.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return
        if outcome.kind == "failed":
            raise StudioError(*outcome.error)
        worker.shard = None
        self._done += 1
        self.bytes += outcome.bytes
        speed = self._plan.shard_frames / max(1e-6, time.monotonic() - worker.since)
        name = shard_path(self._folder, self._plan.split, outcome.shard).name
        self._say(f"{name}  {self._done}/{self._total}  {outcome.bytes / 1e6:.1f} MB  {speed:.0f} frames/s")

    def _bury(self, worker: _Worker) -> None:
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        if worker.shard is None:
            return
        shard = worker.shard
        self._deaths[shard] = self._deaths.get(shard, 0) + 1
        how = f"ended with {worker.process.exitcode}"
        if self._deaths[shard] >= _DEATHS:
            raise StudioError(
                shard_path(self._folder, self._plan.split, shard).name,
                f"{_DEATHS} processes died while they made it, the last {how}",
                "Look whether memory is short; what is done stays",
            )
        self._say(f"a process {how}; its shard {shard} is made by another")
        self._todo.appendleft(shard)


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Let processes that start meanwhile inherit `wanted`, where nobody said else."""
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _work(pipe: Connection, folder: Path, plan: Plan, renderer_name: str) -> None:
    """Body of a process: shards in, files out, until the parent is done or gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, name="follow-parent", daemon=True).start()
    speaker = Speaker()
    shard = -1
    try:
        renderer = open_renderer(renderer_name, plan.size)
        while True:
            shard = pipe.recv()
            kept = workshop(folder, plan, renderer_name, shard)
            arrays = build_shard(plan, shard, renderer_name, renderer, speaker, kept)
            size = container.write(shard_path(folder, plan.split, shard), arrays)
            shutil.rmtree(kept, ignore_errors=True)
            pipe.send(_Outcome("done", shard, size))
    except (EOFError, OSError):
        pass
    except VcamTalkerError as e:
        pipe.send(_Outcome("failed", shard, error=(e.what, e.why, e.remedy)))
    finally:
        speaker.close()


def _follow_parent() -> None:
    """End with the parent, however it ends: an orphan would go on beside the next run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
