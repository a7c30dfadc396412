"""Resampling, loudness, fades and WAV files."""

import struct
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcam_talker.core.errors import BadInputError
from vcam_talker.dsp.fade import fade_in, fade_out
from vcam_talker.dsp.loudness import CEILING_DB, apply_gain, gated_rms_db, levelling_gain_db, limit_peaks
from vcam_talker.dsp.resample import Resampler, resample
from vcam_talker.dsp.wav import parse_wav, read_wav

pytestmark = pytest.mark.unit


def sine(hz: float, seconds: float, rate: int, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


class TestResample:
    @pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
    def test_a_tone_keeps_its_pitch_length_and_level(self, rate: int) -> None:
        out = resample(sine(440, 1.0, rate), rate, 48_000)
        assert abs(out.size - 48_000) <= 1
        expected = sine(440, 1.0, 48_000)
        assert np.abs(out[4800:43_200] - expected[4800:43_200]).max() < 2e-3

    def test_parts_make_the_same_sound_as_the_whole(self) -> None:
        sound = sine(300, 1.0, 22_050)
        stream = Resampler(22_050, 48_000)
        parts = [stream.feed(sound[i : i + 3000]) for i in range(0, 21_000, 3000)]
        assert 0 < stream.delay_s < 0.05
        parts.append(stream.feed(sound[21_000:], last=True))
        joined = np.concatenate(parts)
        assert abs(joined.size - 48_000) <= 1
        size = min(joined.size, 47_999)
        assert np.abs(joined[:size] - resample(sound, 22_050, 48_000)[:size]).max() < 1e-3
        assert abs(stream.delay_s) < 1e-4

    def test_same_rate_passes_through(self) -> None:
        sound = sine(300, 0.1, 48_000)
        assert np.array_equal(Resampler(48_000, 48_000).feed(sound), sound)
        assert np.array_equal(resample(sound, 48_000, 48_000), sound)


class TestLoudness:
    def test_pauses_do_not_count(self) -> None:
        tone = sine(200, 1.0, 16_000, 0.2)
        alone = gated_rms_db(tone, 16_000)
        paused = gated_rms_db(np.concatenate([np.zeros(48_000, np.float32), tone]), 16_000)
        assert alone == pytest.approx(20 * np.log10(0.2 / np.sqrt(2)), abs=0.1)
        assert paused == pytest.approx(alone, abs=0.3)

    def test_silence_has_no_loudness(self) -> None:
        assert gated_rms_db(np.zeros(16_000, np.float32), 16_000) is None
        assert levelling_gain_db(np.zeros(10, np.float32), 16_000) is None

    def test_levelled_speech_meets_the_target(self) -> None:
        quiet = sine(200, 1.0, 16_000, 0.01)
        gain_db = levelling_gain_db(quiet, 16_000)
        assert gain_db is not None
        assert gated_rms_db(apply_gain(quiet, 16_000, gain_db), 16_000) == pytest.approx(-20, abs=0.1)

    @given(st.integers(0, 2**32 - 1), st.floats(0.5, 30), st.integers(1, 9000))
    @settings(max_examples=40, deadline=None)
    def test_no_peak_passes_the_limiter(self, seed: int, loud: float, size: int) -> None:
        rng = np.random.default_rng(seed)
        sound = (rng.standard_normal(size) * rng.random(size) ** 8 * loud).astype(np.float32)
        out = limit_peaks(sound, 48_000)
        assert out.shape == sound.shape
        assert out.dtype == np.float32
        assert np.abs(out).max() <= 10 ** (CEILING_DB / 20) + 1e-6

    def test_the_limiter_turns_down_instead_of_clipping(self) -> None:
        sound = sine(500, 0.5, 48_000, 0.3)
        sound[12_000:12_480] *= 10
        out = limit_peaks(sound, 48_000)
        assert np.array_equal(out[:10_000], sound[:10_000]), "sound away from the peak was touched"
        assert np.array_equal(out[15_000:], sound[15_000:])
        loud = out[12_100:12_400]
        at_ceiling = np.mean(np.abs(loud) > 10 ** (CEILING_DB / 20) - 1e-4)
        assert at_ceiling < 0.05, "flat tops: it clipped"


class TestFade:
    def test_ends_are_silent_and_the_rest_untouched(self) -> None:
        flat = np.ones(1000, np.float32)
        faded = fade_out(fade_in(flat, 100), 200)
        assert faded[0] < 0.001
        assert faded[-1] < 0.001
        assert np.all(faded[100:800] == 1)
        assert np.all(np.diff(faded[:100]) > 0)
        assert np.all(flat == 1), "the argument was changed"

    def test_longer_than_the_sound(self) -> None:
        assert fade_in(np.ones(3, np.float32), 100).size == 3
        assert fade_out(np.zeros(0, np.float32), 100).size == 0


def wav(
    body: bytes, *, code: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16, extra: bytes = b""
) -> bytes:
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", code, channels, rate, rate * block, block, bits) + extra
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


class TestWav:
    @pytest.mark.parametrize(
        ("code", "bits", "body"),
        [
            (1, 8, np.array([128, 192, 64], np.uint8).tobytes()),
            (1, 16, np.array([0, 16384, -16384], "<i2").tobytes()),
            (1, 24, b"\0\0\0" + b"\0\0\x40" + b"\0\0\xc0"),
            (1, 32, np.array([0, 2**30, -(2**30)], "<i4").tobytes()),
            (3, 32, np.array([0, 0.5, -0.5], "<f4").tobytes()),
            (3, 64, np.array([0, 0.5, -0.5], "<f8").tobytes()),
        ],
    )
    def test_every_encoding(self, code: int, bits: int, body: bytes) -> None:
        samples, rate = parse_wav(wav(body, code=code, bits=bits))
        assert rate == 16_000
        assert samples.dtype == np.float32
        assert samples == pytest.approx([0, 0.5, -0.5])

    def test_channels_are_averaged(self) -> None:
        body = np.array([[16384, 0], [0, -16384]], "<i2").tobytes()
        assert parse_wav(wav(body, channels=2))[0] == pytest.approx([0.25, -0.25])

    def test_extensible_and_cut_short(self) -> None:
        extra = struct.pack("<HHIH", 22, 16, 0, 1) + b"\0" * 14
        assert parse_wav(wav(b"\0\x40" * 10, code=0xFFFE, extra=extra)[:-5])[0].size == 7

    def test_what_is_not_finite_is_made_harmless(self) -> None:
        body = np.array([np.nan, np.inf, -np.inf, 7.0], "<f4").tobytes()
        assert parse_wav(wav(body, code=3, bits=32))[0] == pytest.approx([0, 1, -1, 1])

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b"", "is empty"),
            (b"ID3\x04 this is an mp3", "is not a WAV file"),
            (b"RIFF\0\0\0\0WAVE", "no sound data"),
            (wav(b""), "holds no sound"),
            (wav(b"\0" * 10, code=0x55, bits=8), "encoding"),
            (wav(b"\0" * 10, bits=12), "encoding"),
            (wav(b"\0" * 10, channels=0), "0 channels"),
            (wav(b"\0" * 10, channels=9), "9 channels"),
            (wav(b"\0" * 10, rate=1), "sample rate of 1 Hz"),
            (b"RIFF\0\0\0\0WAVEdata\x04\0\0\0\0\0\0\0", "before its format"),
            (b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\0\0data\x04\0\0\0\0\0\0\0", "too short"),
        ],
    )
    def test_broken_files_are_refused_by_name(self, tmp_path: Path, data: bytes, why: str) -> None:
        file = tmp_path / "x.wav"
        file.write_bytes(data)
        with pytest.raises(BadInputError, match=why) as caught:
            read_wav(file)
        assert "x.wav" in str(caught.value)
        assert caught.value.remedy

    def test_missing_folder_and_huge(self, tmp_path: Path) -> None:
        with pytest.raises(BadInputError, match="no such file"):
            read_wav(tmp_path / "none.wav")
        with pytest.raises(BadInputError, match="not a regular file"):
            read_wav(tmp_path)
        huge = tmp_path / "huge.wav"
        with huge.open("wb") as f:
            f.truncate(10**9)
        started = time.monotonic()
        with pytest.raises(BadInputError, match="1,000 MB"):
            read_wav(huge)
        assert time.monotonic() - started < 1, "a huge file was read before it was refused"

    @given(st.binary(max_size=200))
    @settings(max_examples=100, deadline=None)
    def test_no_bytes_make_it_crash(self, noise: bytes) -> None:
        good = bytearray(wav(b"\0\x40" * 50))
        good[20 : 20 + len(noise[:20])] = noise[:20]
        for data in (noise, bytes(good)):
            try:
                samples, _ = parse_wav(data)
            except BadInputError:
                continue
            assert np.all(np.abs(samples) <= 1)
