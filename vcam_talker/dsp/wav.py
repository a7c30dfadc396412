"""Read a sound file a user names, and WAV bytes a program printed; each way to be broken has its line."""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import Final

import numpy as np

from vcam_talker.core.errors import BadInputError
from vcam_talker.core.types import Samples

log = logging.getLogger(__name__)

MAX_SECONDS: Final = 3600
_MAX_BYTES: Final = 512 * 1024 * 1024
_MAX_CHANNELS: Final = 8
_RATES: Final = range(4_000, 384_001)

_PCM: Final = 0x0001
_FLOAT: Final = 0x0003
_EXTENSIBLE: Final = 0xFFFE
_SUPPORTED: Final = (
    "Use PCM of 8, 16, 24 or 32 bits or float, for example: ffmpeg -i IN -c:a pcm_s16le OUT.wav"
)


def read_wav(path: Path) -> tuple[Samples, int]:
    """Return a WAV file as (float32[N] in [-1, 1], mono by averaging up to 8 channels, rate in Hz).

    Blocks on the disk. Raises BadInputError for a file that is missing, unreadable, not WAV, broken, empty,
    longer than an hour, or in an encoding other than PCM (8, 16, 24, 32 bits) and float (32, 64). Samples
    that are no finite numbers are replaced, and the log says so; a file of nothing else is an error.
    """
    name = f"sound file '{path}'"
    try:
        if not path.is_file():
            why = "is not a regular file" if path.exists() else "no such file"
            raise BadInputError(name, why, "Check the path")
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise BadInputError(
                name, f"is {size / 1e6:,.0f} MB large, the limit is 512 MB", "Cut it in parts"
            )
        data = path.read_bytes()
    except OSError as e:
        raise BadInputError(name, f"can't be read ({e.strerror or e})", "Check its permissions") from None
    return parse_wav(data, name)


def parse_wav(data: bytes, name: str = "WAV data") -> tuple[Samples, int]:
    """Return a whole RIFF WAVE in memory as `read_wav` does; a data chunk cut short gives what is there.

    Raises BadInputError, calling the data `name`.
    """
    if not data:
        raise BadInputError(name, "is empty", "Give a WAV file with sound in it")
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise BadInputError(name, "is not a WAV file", f"Convert it. {_SUPPORTED}")
    header: bytes | None = None
    position = 12
    while position + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        body = memoryview(data)[position + 8 : position + 8 + size]
        if kind == b"fmt ":
            header = bytes(body)
        elif kind == b"data":
            if header is None:
                raise BadInputError(name, "is broken: sound comes before its format", "Write it again")
            return _decode(body, header, name)
        position += 8 + size + (size & 1)
    raise BadInputError(name, "is broken: it holds no sound data", "Write it again")


def _decode(body: memoryview, header: bytes, name: str) -> tuple[Samples, int]:
    if len(header) < 16:
        raise BadInputError(name, "is broken: its format chunk is too short", "Write it again")
    code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", header)
    if code == _EXTENSIBLE and len(header) >= 26:
        (code,) = struct.unpack_from("<H", header, 24)
    if not 1 <= channels <= _MAX_CHANNELS:
        raise BadInputError(name, f"has {channels} channels", f"1 to {_MAX_CHANNELS} can be read")
    if rate not in _RATES:
        raise BadInputError(
            name, f"has a sample rate of {rate} Hz", f"{_RATES[0]} to {_RATES[-1]} Hz can be read"
        )
    frame_bytes = channels * bits // 8
    if (code, bits) not in {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)}:
        raise BadInputError(
            name, f"has an encoding that is not read here ({code:#06x}, {bits} bits)", _SUPPORTED
        )
    frames = len(body) // frame_bytes
    if frames == 0:
        raise BadInputError(name, "holds no sound", "Give a WAV file with sound in it")
    if frames > MAX_SECONDS * rate:
        raise BadInputError(name, f"is {frames / rate / 60:,.0f} minutes long", "60 minutes are the limit")
    with np.errstate(over="ignore", invalid="ignore"):  # what follows of them is looked at below
        values = _to_float(bytes(body[: frames * frame_bytes]), code, bits)
        mono = values if channels == 1 else values.reshape(frames, channels).mean(axis=1, dtype=np.float32)
    # Float files may hold anything: infinities and values past full scale would harm ears further on.
    broken = frames - int(np.count_nonzero(np.isfinite(mono)))
    if broken == frames:
        raise BadInputError(name, "holds no sound: none of its samples is a finite number", "Write it again")
    if broken:
        log.warning(
            "%s: %s of its %s samples are no finite numbers; silence and full scale stand in for them",
            name, f"{broken:,}", f"{frames:,}",
        )  # fmt: skip
    return np.clip(np.nan_to_num(mono, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0), rate


def _to_float(raw: bytes, code: int, bits: int) -> Samples:
    """Return interleaved samples as float32 in [-1, 1)."""
    if code == _FLOAT:
        return np.frombuffer(raw, "<f4" if bits == 32 else "<f8").astype(np.float32)
    if bits == 8:
        return ((np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128).astype(np.float32)
    if bits == 24:
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return (wide.view("<i4").ravel() / np.float32(2**31)).astype(np.float32)
    return (np.frombuffer(raw, f"<i{bits // 8}") / np.float32(2 ** (bits - 1))).astype(np.float32)
