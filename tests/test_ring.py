"""The shared-memory ring: whole records only, whatever the writer does."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcam_talker.core.ring import Ring, RingCorruptError
from vcam_talker.core.types import TurnId
from vcam_talker.core.wire import QUANTUM, decode, encode, pack_finished, pack_speech, unpack_speech

pytestmark = pytest.mark.unit


@pytest.fixture
def ring() -> Iterator[Ring]:
    made = Ring.create(1000)
    yield made
    made.close()


@given(records=st.lists(st.binary(max_size=300), max_size=60))
def test_records_arrive_in_order_through_the_wrap(records: list[bytes]) -> None:
    ring = Ring.create(1000)
    try:
        reader = Ring.attach(ring.name)
        got: list[bytes] = []
        for record in records:
            while not ring.try_write(record):
                read = reader.try_read()
                assert read is not None
                got.append(read)
        while (read := reader.try_read()) is not None:
            got.append(read)
        assert got == records
        reader.close()
    finally:
        ring.close()


def test_a_full_ring_refuses_and_keeps_what_it_has(ring: Ring) -> None:
    assert ring.try_write(b"a" * 900)
    assert not ring.try_write(b"b" * 100)
    assert ring.try_read() == b"a" * 900
    assert ring.try_write(b"b" * 100)


def test_a_record_that_never_fits_is_an_error(ring: Ring) -> None:
    with pytest.raises(ValueError, match="never fits"):
        ring.try_write(bytes(2000))


def test_a_torn_record_is_held_back_then_reported(ring: Ring) -> None:
    ring.try_write(b"x" * 50)
    ring._buffer[64 + 8 + 10] ^= 0xFF
    for _ in range(3):
        assert ring.try_read() is None
    with pytest.raises(RingCorruptError):
        ring.try_read()


def test_nonsense_positions_are_reported(ring: Ring) -> None:
    struct.pack_into("<Q", ring._buffer, 8, 1 << 60)
    with pytest.raises(RingCorruptError):
        ring.try_read()


def test_speech_survives_the_journey() -> None:
    samples = np.linspace(-1, 1, 3 * QUANTUM, dtype=np.float32)
    mouth = np.arange(21, dtype=np.float32).reshape(3, 7)
    speech = unpack_speech(pack_speech(TurnId(9), samples, mouth))
    assert speech.turn == 9
    assert not speech.finished
    np.testing.assert_array_equal(speech.samples, samples)
    np.testing.assert_array_equal(speech.mouth, mouth)
    assert unpack_speech(pack_finished(TurnId(9))).finished


@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_are_an_error_never_speech(data: bytes) -> None:
    try:
        speech = unpack_speech(data)
    except ValueError:
        return
    assert speech.samples.size == len(speech.mouth) * QUANTUM


def test_half_a_surrogate_pair_does_not_break_the_pipe() -> None:
    assert decode(encode({"op": "answer", "text": "so \ud83d so"})) == {"op": "answer", "text": "so ? so"}
