"""`vcam-talker models get`: fetch a model whole or not at all; go on where the last run was cut off.

Files gather in a hidden folder beside the models, each under the hash that it must have; when all are there
and verified, the folder takes the model's name in one step. What looks like a model therefore is one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Final

from vcam_talker.asr.models import (
    MANIFEST,
    FileRecord,
    Manifest,
    folder_of,
    known_models,
    models_dir,
    nearest_name,
    read_manifest,
)
from vcam_talker.asr.models_hub import BusyError, Hub, HubModel, RangeError, UnreachableError, broken
from vcam_talker.core.errors import AlreadyRunningError, BadInputError, DeviceError, EngineError, SourceError
from vcam_talker.core.filelock import try_lock

Progress = Callable[[int, int], None]
"""Told (bytes there, bytes of the whole model), often; begins above zero when a run is taken up again."""

_BLOCK: Final = 1 << 18
_SPARE_BYTES: Final = 64_000_000
_TRIES: Final = 5
"""In a row without one new byte."""
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 16.0
_RESUMES: Final = "Run it again to go on where it stopped"
_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def get_model(
    name: str, hub: Hub, progress: Progress, *, wait: Callable[[float], None] = time.sleep
) -> tuple[Path, bool]:
    """Fetch the model `name` into the user's folder of models; return (folder, whether anything was fetched).

    One that is there is verified by its hashes, and what is damaged fetched again. Blocks for as long as it
    takes; may be interrupted anywhere. `wait` sleeps between attempts.

    Raises BadInputError (no such name), SourceError (hub not reachable or broken off for good), EngineError
    (what came is not the model), DeviceError (disk), AlreadyRunningError (another run fetches this model).
    """
    known = known_models()
    if name not in known:
        near = nearest_name(name, known)
        hint = f"Did you mean '{near}'?" if near else f"There are: {', '.join(known)}"
        raise BadInputError(f"model {name[:80]!r}", "no such name", hint)
    folder = folder_of(name)
    with _speaking_of_disk(folder), _locked(name):
        manifest = read_manifest(folder)
        if manifest is not None and all(_is_whole(folder / f.name, f) for f in manifest.files):
            return folder, False
        model = _patiently(lambda: hub.look_up(known[name]), wait)
        gathering = models_dir() / f".{name}.part"
        gathering.mkdir(exist_ok=True)
        _keep_only_parts_of(model, gathering)
        _take_over(folder, model, gathering)
        _check_room(model, gathering)
        for file in model.files:
            if not _is_whole(_part(gathering, file), file):
                _fetch_file(hub, model, file, gathering, progress, wait)
        _appear(name, hub, model, gathering, folder)
    return folder, True


def _fetch_file(
    hub: Hub,
    model: HubModel,
    file: FileRecord,
    gathering: Path,
    progress: Progress,
    wait: Callable[[float], None],
) -> None:
    """Fetch until the hash is right; an attempt goes on where the last ended. One damage is forgiven."""
    part = _part(gathering, file)
    fruitless = damaged = 0
    while True:
        before = _size(part)
        try:
            if before < file.size:
                _fetch_rest(hub, model, file, gathering, progress)
            if _size(part) >= file.size:
                if _is_whole(part, file):
                    return
                damaged += 1
                part.unlink()
                if damaged > 1:
                    raise EngineError(
                        file.name,
                        f"came damaged from {hub.shown}, twice",
                        "Name another mirror with --mirror",
                    )
                continue
            raise BusyError(hub.shown, f"broke off within {file.name}", _RESUMES)
        except RangeError:
            part.unlink(missing_ok=True)
            damaged += 1
            if damaged > 1:
                raise
        except BusyError as e:
            fruitless = 0 if _size(part) > before else fruitless + 1
            if fruitless >= _TRIES:
                raise SourceError(e.what, e.why, _RESUMES) from None
            wait(_pause_s(fruitless, e))


def _fetch_rest(hub: Hub, model: HubModel, file: FileRecord, gathering: Path, progress: Progress) -> None:
    """Append to the part what the hub sends, at most what the file has. Returns early when the line is cut.

    Raises BusyError for a line that fails, RangeError, SourceError, EngineError, OSError of the disk.
    """
    part = _part(gathering, file)
    others = sum(_size(_part(gathering, f)) for f in model.files if f != file)
    with hub.open(model, file, _size(part)) as (response, start), part.open("r+b" if start else "wb") as out:
        out.seek(start)
        out.truncate()
        there = start
        while there < file.size:
            try:
                block = response.read1(min(_BLOCK, file.size - there))
            except (OSError, HTTPException) as e:
                why = f"broke off within {file.name} ({broken(e)})"
                raise BusyError(hub.shown, why, _RESUMES) from None
            if not block:
                return
            out.write(block)
            there += len(block)
            progress(others + there, model.size_bytes)
        out.flush()
        os.fsync(out.fileno())


def _patiently(ask: Callable[[], HubModel], wait: Callable[[float], None]) -> HubModel:
    """Ask again a few times while the hub is busy; one that can't be reached at all is told at once."""
    for attempt in range(2):
        try:
            return ask()
        except UnreachableError:
            raise
        except BusyError as e:
            wait(_pause_s(attempt, e))
    return ask()


def _appear(name: str, hub: Hub, model: HubModel, gathering: Path, folder: Path) -> None:
    """Turn the gathered files into the model; a damaged one of before goes."""
    for file in model.files:
        _part(gathering, file).replace(gathering / file.name)
    manifest = Manifest(
        name=name,
        repository=model.repository,
        revision=model.revision,
        source=hub.shown,
        files=model.files,
    )
    (gathering / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    old = models_dir() / f".{name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    gathering.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _keep_only_parts_of(model: HubModel, gathering: Path) -> None:
    """Remove what an older revision of the model, or an interrupted last step, left behind."""
    for file in model.files:
        if (gathering / file.name).exists():
            (gathering / file.name).replace(_part(gathering, file))
    kept = {_part(gathering, f).name for f in model.files}
    for entry in gathering.iterdir():
        if entry.name not in kept:
            entry.unlink()


def _take_over(folder: Path, model: HubModel, gathering: Path) -> None:
    """Take the files of a damaged model that are whole, without moving them: it may be in use."""
    for file in model.files:
        part = _part(gathering, file)
        if _is_whole(folder / file.name, file):
            part.unlink(missing_ok=True)
            try:
                part.hardlink_to(folder / file.name)
            except OSError:  # a file system without hard links
                shutil.copyfile(folder / file.name, part)


def _check_room(model: HubModel, gathering: Path) -> None:
    wanted = (
        model.size_bytes - sum(min(_size(_part(gathering, f)), f.size) for f in model.files) + _SPARE_BYTES
    )
    free = shutil.disk_usage(gathering).free
    if wanted > free:
        raise DeviceError(
            str(models_dir()),
            f"has {free / 1e6:,.0f} MB free, and {wanted / 1e6:,.0f} MB are needed",
            "Make room, or set XDG_DATA_HOME to another disk",
        )


def _is_whole(path: Path, file: FileRecord) -> bool:
    """Tell whether a file has its length and its hash. Reads all of it."""
    if _size(path) != file.size:
        return False
    digest = hashlib.sha256() if file.digest_kind == "sha256" else hashlib.sha1(usedforsecurity=False)
    if file.digest_kind == "git-sha1":
        digest.update(b"blob %d\0" % file.size)
    with path.open("rb") as data:
        while block := data.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == file.digest


def _part(gathering: Path, file: FileRecord) -> Path:
    """Return where a file gathers; named by its hash, so that no part of another revision is gone on with."""
    return gathering / f"{file.name}.{file.digest[:16]}.part"


def _size(path: Path) -> int:
    """Return a file's length in bytes; 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _pause_s(attempt: int, error: BusyError) -> float:
    return min(_LONGEST_PAUSE_S, max(error.retry_after_s, _FIRST_PAUSE_S * (1 << attempt)))


@contextmanager
def _locked(name: str) -> Iterator[None]:
    models_dir().mkdir(parents=True, exist_ok=True)
    with (models_dir() / f".{name}.lock").open("a+", encoding="ascii") as file:
        try:
            try_lock(file)
        except OSError:
            raise AlreadyRunningError(
                f"model '{name}'", "is being fetched by another process", "Wait for it to end"
            ) from None
        yield


@contextmanager
def _speaking_of_disk(folder: Path) -> Iterator[None]:
    """Turn what a disk refuses into a line."""
    try:
        yield
    except OSError as e:
        full = e.errno in _DISK_FULL
        why = "the disk is full" if full else f"can't be written ({e.strerror or e})"
        remedy = (
            "Make room and run it again; it goes on where it stopped" if full else "Check its permissions"
        )
        raise DeviceError(str(folder.parent), why, remedy) from None
