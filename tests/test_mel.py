"""The mel spectrogram that Wav2Lip hears, against other people's arithmetic."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import signal
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from vcam_talker.dsp.mel import (
    BANDS,
    HOP,
    MEL_SAMPLE_RATE,
    SILENCE,
    WINDOW_FRAMES,
    mel_input,
    mel_spectrogram,
    mel_window,
    window_samples,
    window_start,
)

pytestmark = pytest.mark.unit


def published(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return float64[T, 80]: the published front end's steps, done by transformers and scipy."""
    filters = mel_filter_bank(401, BANDS, 55.0, 7600.0, MEL_SAMPLE_RATE, norm="slaney", mel_scale="slaney")
    magnitude = spectrogram(
        signal.lfilter([1, -0.97], [1], samples.astype(np.float64)),
        window_function(800, "hann"),
        frame_length=800,
        hop_length=200,
        power=1.0,
        center=True,
        pad_mode="reflect",
        dtype=np.float64,
    )
    level_db = 20 * np.log10(np.maximum(1e-5, filters.T @ magnitude)) - 20
    return np.clip(8 * ((level_db + 100) / 100) - 4, -4, 4).T


def speech(seconds: float = 2.0, seed: int = 3) -> npt.NDArray[np.float32]:
    """Return a buzz with moving formants, pauses and noise: every level from silence to loud."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * MEL_SAMPLE_RATE)) / MEL_SAMPLE_RATE
    buzz = sum(np.sin(2 * np.pi * k * 130 * t + k * np.sin(3 * t)) / k for k in range(1, 50))
    loudness = np.clip(np.sin(2 * np.pi * 1.7 * t), 0, 1) ** 2
    return (0.3 * buzz * loudness + 1e-4 * rng.standard_normal(t.size) * (t > 0.5)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 199, 200, 399, 800, 1600, 32_123])
def test_equals_the_published_front_end(count: int) -> None:
    samples = speech(2.1)[5000:][:count] if count < 5000 else speech(2.1)[:count]
    found = mel_spectrogram(samples)
    assert found.dtype == np.float32
    assert found.shape == (1 + count // HOP, BANDS)
    if count > 400:  # shorter ones can't be reflected by the other implementation
        np.testing.assert_allclose(found, published(samples), atol=1e-5)


def test_the_sound_of_these_tests_goes_from_silence_to_loud() -> None:
    found = mel_spectrogram(speech())
    assert found.min() == SILENCE
    assert found.max() > 0.5
    assert np.mean(found > SILENCE) > 0.5


def test_loud_sound_is_clipped_and_silence_is_the_lower_limit() -> None:
    assert mel_spectrogram(speech() * 1000).max() == 4.0
    assert np.all(mel_spectrogram(np.zeros(4000, np.float32)) == SILENCE)
    assert mel_spectrogram(np.zeros(0, np.float32)).shape == (0, BANDS)


def test_what_is_not_finite_is_silence() -> None:
    samples = speech()
    hole = samples.copy()
    hole[9000:9100] = 0
    broken = samples.copy()
    broken[9000:9100] = np.nan
    broken[9050] = np.inf
    np.testing.assert_array_equal(mel_spectrogram(broken), mel_spectrogram(hole))


def test_a_long_sound_is_one_sound() -> None:
    samples = np.tile(speech(), 4)  # more frames than are computed at once
    found = mel_spectrogram(samples)
    np.testing.assert_allclose(found, published(samples), atol=1e-5)


@pytest.mark.parametrize("start", [2, 3, 40, 77, 100])
@pytest.mark.parametrize("spare", [0, 777])
def test_a_window_equals_the_whole_sound_s_frames(start: int, spare: int) -> None:
    samples = speech()
    first, end = window_samples(start)
    assert 0 <= first < end <= samples.size
    first, end = max(0, first - spare), end + spare
    found = mel_window(samples[first:end], first, start)
    whole = mel_spectrogram(samples)[start : start + WINDOW_FRAMES]
    np.testing.assert_allclose(found, whole, atol=1e-5)
    assert found.dtype == np.float32


def test_every_sample_of_a_window_matters() -> None:
    samples = np.random.default_rng(5).standard_normal(16_000).astype(np.float32)
    first, end = window_samples(30)
    part = samples[first:end]
    whole = mel_window(samples, 0, 30)
    np.testing.assert_array_equal(mel_window(part, first, 30), whole)
    # The taper is next to nothing at both ends.
    assert not np.array_equal(mel_window(part[40:], first + 40, 30), whole)
    assert not np.array_equal(mel_window(part[:-40], first, 30), whole)


def test_what_is_not_there_yet_is_silence() -> None:
    samples = speech()
    early = mel_window(samples[:8000], 0, 30)  # to 0.5 s; the window goes to 0.5875 s
    later = mel_spectrogram(np.append(samples[:8000], np.zeros(8000, np.float32)))[30:46]
    np.testing.assert_allclose(early, later, atol=1e-5)
    np.testing.assert_array_equal(mel_window(samples, 0, 10_000), np.full((16, BANDS), SILENCE))
    np.testing.assert_array_equal(mel_window(samples, 0, -10_000), np.full((16, BANDS), SILENCE))
    np.testing.assert_array_equal(mel_window(samples[:0], 0, 0), np.full((16, BANDS), SILENCE))


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60])
def test_windows_begin_where_the_published_inference_has_them(fps: int) -> None:
    for frame in range(20 * fps):
        assert window_start(frame * 1_000_000_000 // fps) == int(frame * (80.0 / fps))


def test_the_network_s_layout_is_bands_by_frames() -> None:
    windows = np.stack([mel_window(speech(), 0, start) for start in (0, 7)])
    shaped = mel_input(windows)
    assert shaped.shape == (2, 1, BANDS, WINDOW_FRAMES)
    assert shaped[1, 0, 5, 3] == windows[1, 3, 5]
