"""The shared memory between air and the lips: one question and its answer, and the words that tell of them.

One question is under way at a time: a frame that comes while the one before has no answer asks nothing. So
each side owns the memory in turn, and a pipe, whose messages follow the writes they tell of, says whose turn
it is.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import Pixels

Floats = npt.NDArray[np.float32]

MAX_SIDE_PX: Final = 512
"""Of a crop: what would be larger is seen smaller."""
_CROP_BYTES: Final = MAX_SIDE_PX * MAX_SIDE_PX * 3 // 2
_FLOATS: Final = 32_768
_QUESTION_AT, _ANSWER_AT, _CONDITION_AT = 0, _CROP_BYTES, 2 * _CROP_BYTES
_BYTES: Final = 2 * _CROP_BYTES + 4 * _FLOATS
_ASK: Final = struct.Struct("<QQqIII")
_TOLD: Final = struct.Struct("<QI")


@dataclass(frozen=True, slots=True)
class Ask:
    """A question lies in the memory."""

    number: int
    """Counts up for ever; an answer to any but the latest is thrown away."""
    face: int
    """Of whom: `face_id`."""
    key: int
    """Frame of the clip."""
    width: int
    height: int
    floats: int
    """Length of the condition."""

    def pack(self) -> bytes:
        """Return the message for the pipe."""
        return _ASK.pack(self.number, self.face, self.key, self.width, self.height, self.floats)

    @classmethod
    def unpack(cls, message: bytes) -> Ask:
        """Return what `pack` packed. Raises ValueError on anything else."""
        try:
            found = cls(*_ASK.unpack(message))
        except struct.error as e:
            raise ValueError(f"a question of {len(message)} bytes") from e
        if not fits(found.width, found.height, found.floats):
            raise ValueError(f"a question of {found.width}x{found.height} and {found.floats} numbers")
        return found


def pack_told(number: int, *, drawn: bool) -> bytes:
    """Return the message that question `number` is dealt with, and whether a picture lies in the memory."""
    return _TOLD.pack(number, drawn)


def unpack_told(message: bytes) -> tuple[int, bool]:
    """Return what `pack_told` packed. Raises ValueError on anything else."""
    try:
        number, drawn = _TOLD.unpack(message)
    except struct.error as e:
        raise ValueError(f"an answer of {len(message)} bytes") from e
    return number, drawn == 1


def fits(width: int, height: int, floats: int) -> bool:
    """Tell whether a crop and a condition of that size can cross."""
    sides = all(2 <= side <= MAX_SIDE_PX and side % 2 == 0 for side in (width, height))
    return sides and 0 <= floats <= _FLOATS


class Crossing:
    """One side's view of the memory. The side whose turn it is uses it, from one thread."""

    def __init__(self, memory: SharedMemory, *, owner: bool) -> None:
        self._memory = memory
        self._owner = owner

    @classmethod
    def create(cls) -> Crossing:
        """Make the memory, 0.9 MB. Raises OSError where there is no room for it."""
        memory = SharedMemory(create=True, size=_BYTES)
        try:
            _reserve(memory.name)
        except OSError:
            memory.close()
            memory.unlink()
            raise
        return cls(memory, owner=True)

    @classmethod
    def attach(cls, name: str) -> Crossing:
        """Open what another process made. Raises FileNotFoundError."""
        return cls(SharedMemory(name=name), owner=False)

    @property
    def name(self) -> str:
        """Pass this to `attach`."""
        return self._memory.name

    def put_question(self, crop: Pixels, condition: Floats) -> None:
        """Write a question."""
        self._write(_QUESTION_AT, crop.reshape(-1))
        self._write(_CONDITION_AT, np.asarray(condition, np.float32).reshape(-1).view(np.uint8))

    def question(self, ask: Ask) -> tuple[Pixels, Floats]:
        """Return crop and condition, copied."""
        crop = self._read(_QUESTION_AT, ask.width * ask.height * 3 // 2)
        condition = self._read(_CONDITION_AT, 4 * ask.floats).view(np.float32)
        return crop.reshape(-1, ask.width), condition

    def put_answer(self, crop: Pixels) -> None:
        """Write an answer, of the question's size."""
        self._write(_ANSWER_AT, crop.reshape(-1))

    def answer(self, width: int, height: int) -> Pixels:
        """Return the answer, copied."""
        return self._read(_ANSWER_AT, width * height * 3 // 2).reshape(-1, width)

    def close(self) -> None:
        """Let go; the owner also frees the memory. Idempotent."""
        self._memory.close()
        if self._owner:
            self._owner = False
            self._memory.unlink()

    def _write(self, at: int, data: npt.NDArray[np.uint8]) -> None:
        # No view outlives the call: a memory that is looked at can't be closed.
        self._buffer[at : at + data.size] = data.tobytes()

    def _read(self, at: int, size: int) -> npt.NDArray[np.uint8]:
        return np.frombuffer(bytes(self._buffer[at : at + size]), np.uint8)

    @property
    def _buffer(self) -> memoryview:
        if self._memory.buf is None:
            raise ValueError("the shared memory is closed")
        return self._memory.buf


def _reserve(name: str) -> None:
    """Have the system set the memory aside now: writing where there is none left would end the process."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(Path("/dev/shm") / name.lstrip("/"), os.O_RDWR)  # noqa: S108 - where it lies
        try:
            os.posix_fallocate(descriptor, 0, _BYTES)
        finally:
            os.close(descriptor)
