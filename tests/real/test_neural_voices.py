"""The neural driver on real voices, synthetic and human; `pytest -s` prints the figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from studio.lips.sound.evaluate import Case, aligned, figures
from studio.lips.sound.human import Recording, recordings
from tests.real.test_mouth_voices import LINES
from tests.support.real_voices import Engines, engines, said
from vcam_talker.core.types import Speech
from vcam_talker.face.audio import AudioDriver
from vcam_talker.face.evaluate import closures, open_in_silence
from vcam_talker.face.neural.driver import NeuralDriver
from vcam_talker.face.phonemes import PhonemeDriver

pytestmark = pytest.mark.real

PEOPLE = 16


@pytest.fixture(scope="module")
def synthesizers() -> Iterator[Engines]:
    with engines() as started:
        yield started


@pytest.fixture(params=LINES, ids="-".join, scope="module")
def parts(request: pytest.FixtureRequest, synthesizers: Engines) -> list[Speech]:
    return said(synthesizers, request.param, LINES[request.param])


@pytest.fixture(scope="module")
def people() -> list[Recording]:
    """Return an audio book and telephone prompts, from Debian's packages."""
    return recordings(Path("/"), PEOPLE)


def test_with_timings_every_closure_and_every_silence_is_certain(parts: list[Speech]) -> None:
    driver, reader = NeuralDriver(), PhonemeDriver()
    good = whole = gaping = 0
    for part in parts:
        values, read = driver.drive(part).values, reader.drive(part).values
        shut, bilabials = closures(part, values)
        good, whole = good + shut, whole + bilabials
        gaping += open_in_silence(part, values)
        assert np.abs(np.diff(values, 2, axis=0)).max(initial=0) <= 0.25
        # As crisp as reading alone.
        assert values[:, 0].std() >= 0.75 * read[:, 0].std()
    assert whole >= 4
    assert good >= 0.98 * whole
    assert gaping == 0


def test_sound_alone_beats_the_formants(parts: list[Speech], request: pytest.FixtureRequest) -> None:
    cases = [Case(part, PhonemeDriver().drive(part).values) for part in parts]
    neural, audio = figures(NeuralDriver, cases), figures(AudioDriver, cases)
    print(f"\n{request.node.callspec.id}: neural {neural['r']}, audio {audio['r']}")
    assert neural["open_in_silence"] == 0
    assert neural["r"]["jaw"] >= 0.75
    for name in ("rounding", "teeth", "press"):
        assert neural["r"][name] > audio["r"][name]
    assert abs(neural["offset_ms"]) <= 20


def test_recorded_people_move_it_rightly(people: list[Recording]) -> None:
    cases = aligned([r for r in people if r.language == "en"])
    assert len(cases) >= 12
    neural, audio = figures(NeuralDriver, cases), figures(AudioDriver, cases)
    print(f"\nneural {neural}\naudio {audio}")
    assert neural["open_in_silence"] == 0
    assert neural["r"]["jaw"] >= 0.65
    assert neural["r"]["press"] > audio["r"]["press"] + 0.1
    assert neural["r"]["rounding"] > audio["r"]["rounding"]
    assert neural["touched"] >= 0.75
    assert neural["jaw_open"] > 1.15 * neural["jaw_close"]
    assert neural["rounding_round"] > 1.7 * neural["rounding_spread"]
    assert abs(neural["offset_ms"]) <= 30


def test_a_person_whose_words_are_known_closes_every_time(people: list[Recording]) -> None:
    found = figures(NeuralDriver, aligned([r for r in people if r.language == "en"]), phones=True)
    assert found["bilabials_closed"] >= 0.98
    assert found["open_in_silence"] == 0
