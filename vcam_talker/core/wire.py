"""What air and engine say to each other.

Speech crosses in the ring: a head, then K quanta of sound (float32) and K mouth poses (float32[7]).
Everything else crosses a pipe as JSON objects, one a message; `op` names it.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import MOUTH_PARAMS, MOUTH_RATE_HZ, SAMPLE_RATE, Samples, TurnId

QUANTUM = SAMPLE_RATE // MOUTH_RATE_HZ
"""Samples per quantum (480: 10 ms), which carries one mouth pose."""
QUANTUM_BYTES = 4 * (QUANTUM + len(MOUTH_PARAMS))
QUANTA_PER_RECORD = 4
RECORD_OVERHEAD_BYTES = 32

_HEAD = struct.Struct("<QII")
_SPEECH, _FINISHED = 1, 2


@dataclass(frozen=True, slots=True)
class SpeechRecord:
    """A few quanta of a turn: samples float32[K * 480], mouth float32[K, 7]; K = 0 ends the turn."""

    turn: TurnId
    samples: Samples
    mouth: npt.NDArray[np.float32]

    @property
    def finished(self) -> bool:
        """True on the turn's last record."""
        return len(self.mouth) == 0


def pack_speech(turn: TurnId, samples: Samples, mouth: npt.NDArray[np.float32]) -> bytes:
    """Return a record of K >= 1 quanta."""
    return _HEAD.pack(turn, _SPEECH, len(mouth)) + samples.tobytes() + mouth.tobytes()


def pack_finished(turn: TurnId) -> bytes:
    """Return the record that ends a turn."""
    return _HEAD.pack(turn, _FINISHED, 0)


def unpack_speech(record: bytes) -> SpeechRecord:
    """Return what `pack_*` packed. Raises ValueError on anything else."""
    try:
        turn, kind, count = _HEAD.unpack_from(record)
    except struct.error as e:
        raise ValueError(f"a record of {len(record)} bytes") from e
    if kind not in {_SPEECH, _FINISHED} or len(record) != _HEAD.size + count * QUANTUM_BYTES:
        raise ValueError(f"record kind {kind} of {len(record)} bytes for {count} quanta")
    floats = np.frombuffer(record, np.float32, offset=_HEAD.size)
    samples = floats[: count * QUANTUM]
    return SpeechRecord(TurnId(turn), samples, floats[count * QUANTUM :].reshape(count, len(MOUTH_PARAMS)))


def ring_bytes(ahead_ms: int) -> int:
    """Return the capacity of a ring that holds `ahead_ms` of speech."""
    quanta = max(QUANTA_PER_RECORD, ahead_ms * MOUTH_RATE_HZ // 1000)
    return quanta * QUANTUM_BYTES + (quanta // QUANTA_PER_RECORD + 1) * RECORD_OVERHEAD_BYTES


def encode(message: dict[str, Any]) -> bytes:
    """Return a command or event for the pipe; half a surrogate pair, which UTF-8 can't hold, becomes `?`."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def decode(data: bytes) -> dict[str, Any]:
    """Return the message. Raises ValueError when it is none."""
    try:
        message = json.loads(data)
    except RecursionError:
        raise ValueError("a message is nested too deeply") from None
    if not isinstance(message, dict) or not isinstance(message.get("op"), str):
        raise ValueError("a message needs an op")
    return message
