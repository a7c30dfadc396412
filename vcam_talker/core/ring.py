"""A bounded single-producer, single-consumer ring of records in shared memory.

The engine writes, air reads. Whatever happens to the writer (killed in the middle of a record, stopped,
out of memory), the reader sees whole records only: the write position moves after the record is there,
and each record carries a CRC-32, which also guards machines that reorder stores.
Layout: 64-byte header (capacity, written, read: u64 each), then the data. Positions count up for ever.
"""

from __future__ import annotations

import struct
import zlib
from multiprocessing.shared_memory import SharedMemory

_HEADER_BYTES = 64
_U64 = struct.Struct("<Q")
_RECORD = struct.Struct("<II")
_CAPACITY_AT, _WRITTEN_AT, _READ_AT = 0, 8, 16


class RingCorruptError(Exception):
    """A record that can't be: the writer is broken; replace ring and writer."""


class Ring:
    """Records of bytes. `try_write` from one process, `try_read` from one other; neither blocks."""

    def __init__(self, memory: SharedMemory, *, owner: bool) -> None:
        self._memory = memory
        self._owner = owner
        self._buffer = _view(memory)
        self._capacity = self._load(_CAPACITY_AT)
        self._bad_reads = 0

    @classmethod
    def create(cls, capacity: int) -> Ring:
        """Make a ring of `capacity` bytes, records' 8-byte heads included."""
        memory = SharedMemory(create=True, size=_HEADER_BYTES + capacity)
        view = _view(memory)
        view[:_HEADER_BYTES] = bytes(_HEADER_BYTES)
        _U64.pack_into(view, _CAPACITY_AT, capacity)
        return cls(memory, owner=True)

    @classmethod
    def attach(cls, name: str) -> Ring:
        """Open a ring that another process made. Raises FileNotFoundError."""
        return cls(SharedMemory(name=name), owner=False)

    @property
    def name(self) -> str:
        """Pass this to `attach`."""
        return self._memory.name

    def try_write(self, payload: bytes) -> bool:
        """Append a record; False when it doesn't fit now. Raises ValueError when it never will."""
        size = _RECORD.size + len(payload)
        if size > self._capacity:
            raise ValueError(f"a record of {size} bytes never fits a ring of {self._capacity}")
        written = self._load(_WRITTEN_AT)
        if self._capacity - (written - self._load(_READ_AT)) < size:
            return False
        self._copy_in(written, _RECORD.pack(len(payload), zlib.crc32(payload)) + payload)
        _U64.pack_into(self._buffer, _WRITTEN_AT, written + size)
        return True

    def try_read(self) -> bytes | None:
        """Return the oldest record, or None. Raises RingCorruptError when the writer left nonsense."""
        read = self._load(_READ_AT)
        waiting = self._load(_WRITTEN_AT) - read
        if waiting == 0:
            return None
        if not _RECORD.size <= waiting <= self._capacity:
            raise RingCorruptError(f"{waiting} bytes wait")
        length, crc = _RECORD.unpack(self._copy_out(read, _RECORD.size))
        if _RECORD.size + length > waiting:
            self._suspect()
            return None
        payload = self._copy_out(read + _RECORD.size, length)
        if zlib.crc32(payload) != crc:
            self._suspect()
            return None
        self._bad_reads = 0
        _U64.pack_into(self._buffer, _READ_AT, read + _RECORD.size + length)
        return payload

    def close(self) -> None:
        """Let go; the owner also frees the memory. Idempotent."""
        self._buffer = memoryview(b"")
        self._memory.close()
        if self._owner:
            self._owner = False
            self._memory.unlink()

    def _suspect(self) -> None:
        # The stores may not all be visible yet; a record that stays wrong is.
        self._bad_reads += 1
        if self._bad_reads > 3:
            raise RingCorruptError("checksum")

    def _load(self, at: int) -> int:
        value: int = _U64.unpack_from(self._buffer, at)[0]
        return value

    def _copy_in(self, position: int, data: bytes) -> None:
        at = position % self._capacity
        first = min(len(data), self._capacity - at)
        start = _HEADER_BYTES + at
        self._buffer[start : start + first] = data[:first]
        self._buffer[_HEADER_BYTES : _HEADER_BYTES + len(data) - first] = data[first:]

    def _copy_out(self, position: int, length: int) -> bytes:
        at = position % self._capacity
        first = min(length, self._capacity - at)
        start = _HEADER_BYTES + at
        head = bytes(self._buffer[start : start + first])
        return head + bytes(self._buffer[_HEADER_BYTES : _HEADER_BYTES + length - first])


def _view(memory: SharedMemory) -> memoryview:
    if memory.buf is None:
        raise ValueError("the shared memory is closed")
    return memory.buf
