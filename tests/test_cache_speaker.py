"""Speaker, warmer and cache together: a hit is the miss again, and only what is whole and true is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.studio import HELLO, Studio, persona
from tests.support.voices import Humming
from vcam_talker.cache.phrase import to_sound
from vcam_talker.cache.phrases import PhraseCache
from vcam_talker.config import CacheConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.core.ring import Ring
from vcam_talker.core.types import Emotion, TurnId, Word
from vcam_talker.core.wire import QUANTUM, ring_bytes
from vcam_talker.engine import recipe as recipe_module
from vcam_talker.engine.recipe import Recipe
from vcam_talker.engine.speaker import TurnCancelledError
from vcam_talker.persona import VoiceSection
from vcam_talker.tts.voice import Voice

pytestmark = pytest.mark.unit


@pytest.fixture
def engine() -> Humming:
    return Humming()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[PhraseCache]:
    made = PhraseCache(CacheConfig(folder=str(tmp_path)))
    made.start()
    yield made
    made.close()


@pytest.fixture
def make_studio(cache: PhraseCache) -> Iterator[Callable[..., Studio]]:
    studios: list[Studio] = []

    def make(engines: dict[str, Any], **changes: object) -> Studio:
        studios.append(Studio(engines, cache, persona(**changes)))
        return studios[-1]

    yield make
    for studio in studios:
        studio.ring.close()


@pytest.fixture
def studio(make_studio: Callable[..., Studio], engine: Humming) -> Studio:
    return make_studio({"flite": engine})


class TestHits:
    def test_a_hit_is_the_miss_again(self, studio: Studio, engine: Humming) -> None:
        miss, hit = studio.say(HELLO), studio.say(HELLO)
        assert not miss.cached
        assert hit.events[0] == "cached"
        assert hit.events[1:] == miss.events
        assert len(miss.events) > 1
        assert hit.end_s == miss.end_s
        np.testing.assert_array_equal(np.concatenate(hit.mouth), np.concatenate(miss.mouth))
        expected = to_sound(np.concatenate(miss.samples)) / np.float32(32767)
        np.testing.assert_array_equal(np.concatenate(hit.samples), expected)
        assert [len(m) for m in hit.mouth] == [len(m) for m in miss.mouth]
        assert engine.made == [HELLO.text]

    def test_it_comes_from_disk_just_so(self, studio: Studio, tmp_path: Path) -> None:
        miss = studio.say(HELLO)
        studio.say(HELLO)
        assert studio.hot is not None
        studio.hot.cache.flush()
        other = PhraseCache(CacheConfig(folder=str(tmp_path)))
        again = Studio({"flite": Humming()}, other, persona())
        hit = again.say(HELLO)
        again.ring.close()
        assert hit.events == ["cached", *miss.events]
        np.testing.assert_array_equal(np.concatenate(hit.mouth), np.concatenate(miss.mouth))

    def test_the_mouth_is_at_rest_at_both_ends(self, studio: Studio) -> None:
        for take in (studio.say(HELLO), studio.say(HELLO)):
            mouth = np.concatenate(take.mouth)
            assert np.abs(mouth[-1]).max() == 0
            assert np.abs(mouth[0]).max() < 0.25
            assert np.abs(mouth).max() > 0.3

    def test_a_hit_between_two_misses_changes_neither(self, studio: Studio) -> None:
        script = [HELLO, replace(HELLO, text="one more thing"), HELLO, replace(HELLO, text="and another")]
        with_cache = [studio.say(sentence) for sentence in script]
        assert [take.cached for take in with_cache] == [False, False, True, False]
        plain = Studio({"flite": Humming()}, None, persona())
        for take, sentence in zip(with_cache, script, strict=True):
            expected = plain.say(sentence)
            np.testing.assert_array_equal(np.concatenate(take.mouth), np.concatenate(expected.mouth))
        plain.ring.close()

    def test_only_the_turns_number_differs(self, studio: Studio) -> None:
        studio.say(HELLO)
        assert studio.say(replace(HELLO, turn=TurnId(9), index=4)).cached

    def test_without_a_cache_it_speaks_as_ever(self, engine: Humming) -> None:
        studio = Studio({"flite": engine}, None, persona())
        assert not studio.say(HELLO).cached
        assert not studio.say(HELLO).cached
        studio.ring.close()


class TestNotKept:
    def test_what_was_cancelled(self, studio: Studio, engine: Humming) -> None:
        words = 0

        def count() -> None:
            nonlocal words
            words += 1

        engine.between = count
        with pytest.raises(TurnCancelledError):
            studio.say(HELLO, lambda: words >= 3)
        engine.between = lambda: None
        assert not studio.say(HELLO).cached

    def test_what_was_cancelled_when_all_of_it_was_made(self, studio: Studio, engine: Humming) -> None:
        asked = 0

        def at_the_very_end() -> bool:
            nonlocal asked
            asked += engine.made == [HELLO.text]
            return asked > 12

        with pytest.raises(TurnCancelledError):
            studio.say(HELLO, at_the_very_end)
        assert not studio.say(HELLO).cached

    def test_what_broke_off(self, studio: Studio, engine: Humming) -> None:
        engine.breaks_after = 2
        with pytest.raises(EngineError):
            studio.say(HELLO)
        engine.breaks_after = None
        assert not studio.say(HELLO).cached

    def test_what_a_stand_in_has_spoken(self, make_studio: Callable[..., Studio]) -> None:
        first, second = Humming(), Humming("espeak-ng")
        studio = make_studio({"flite": first, "espeak-ng": second})
        first.fails = True
        assert not studio.say(HELLO).cached
        assert second.made == [HELLO.text]
        first.fails = False
        assert not studio.say(HELLO).cached, "the persona's own voice is back"
        assert studio.say(HELLO).cached

    def test_what_was_made_while_the_voice_was_updated(self, studio: Studio, engine: Humming) -> None:
        def update() -> None:
            engine.build = "2"

        engine.between = update
        studio.say(HELLO)
        engine.between = lambda: None
        assert not studio.say(HELLO).cached
        engine.build = "1"
        assert not studio.say(HELLO).cached


class TestCancelledHits:
    def test_a_hit_stops_between_two_records(self, studio: Studio) -> None:
        whole = studio.say(HELLO)
        asked = 0

        def soon() -> bool:
            nonlocal asked
            asked += 1
            return asked > 2

        with pytest.raises(TurnCancelledError):
            studio.say(HELLO, soon)
        assert studio.say(HELLO).end_s == whole.end_s, "it is still there, whole"

    def test_a_hit_stops_while_the_ring_is_full(
        self, studio: Studio, engine: Humming, cache: PhraseCache
    ) -> None:
        long = replace(HELLO, text="word " * 60)
        studio.say(long)
        small = Studio({"flite": engine}, cache, persona())
        small.ring.close()
        small.ring = Ring.create(ring_bytes(100))
        small.speaker._ring = small.ring
        stop = threading.Event()
        threading.Timer(0.1, stop.set).start()
        with pytest.raises(TurnCancelledError):
            small.say(long, stop.is_set)
        small.ring.close()


class TestKeys:
    @pytest.mark.parametrize(
        "change",
        [
            {"voice": VoiceSection(engine="flite", name="slt", rate=1.1)},
            {"voice": VoiceSection(engine="flite", name="slt", pitch_semitones=1)},
            {"voice": VoiceSection(engine="flite", name="slt", gain_db=-3)},
            {"voice": VoiceSection(engine="espeak-ng", name="en")},
            {"emotions": {"strength": 0.5}},
        ],
    )
    def test_another_voice_has_other_keys(self, change: dict[str, Any]) -> None:
        engines = {"flite": Humming(), "espeak-ng": Humming("espeak-ng")}
        keys = [Recipe(Voice(engines, persona(**c)), "phonemes").key(HELLO) for c in ({}, change)]
        assert keys[0] != keys[1]
        assert all(keys)

    def test_the_configured_engine_has_other_keys(self) -> None:
        engines = {"flite": Humming(), "espeak-ng": Humming("espeak-ng")}
        keys = {Recipe(Voice(engines, persona(), c), "phonemes").key(HELLO) for c in ("auto", "espeak-ng")}
        assert len(keys) == 2

    @pytest.mark.parametrize(
        "change",
        [{"text": "hello"}, {"emotion": Emotion.SAD}, {"language": "de"}, {"emotion": Emotion.NEUTRAL}],
    )
    def test_another_sentence_has_another_key(self, engine: Humming, change: dict[str, Any]) -> None:
        recipe = Recipe(Voice({"flite": engine, "espeak-ng": Humming("espeak-ng")}, persona()), "phonemes")
        assert recipe.key(HELLO) != recipe.key(replace(HELLO, **change))

    def test_programs_driver_and_code_have_a_say(
        self, engine: Humming, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        voice = Voice({"flite": engine}, persona())
        keys = [Recipe(voice, "phonemes").key(HELLO), Recipe(voice, "audio").key(HELLO)]
        engine.build = "2"
        keys.append(Recipe(voice, "phonemes").key(HELLO))
        monkeypatch.setattr(recipe_module, "code_digest", lambda: "newer")
        keys.append(Recipe(voice, "phonemes").key(HELLO))
        assert len(set(keys)) == 4

    def test_the_same_thing_has_the_same_key_in_another_process(self) -> None:
        one, two = (Recipe(Voice({"flite": Humming()}, persona()), "phonemes") for _ in range(2))
        assert one.key(HELLO) == two.key(replace(HELLO, turn=TurnId(7), index=3))

    def test_a_sentence_that_nobody_speaks_has_none(self, engine: Humming, cache: PhraseCache) -> None:
        studio = Studio({"flite": engine}, cache, persona())
        mandarin = replace(HELLO, text="你好", language="cmn")
        assert studio.hot is not None
        assert studio.hot.key(mandarin) == ""
        with pytest.raises(EngineError):
            studio.say(mandarin)
        assert studio.warmer([mandarin]).warm(mandarin, lambda: False) == "failed"
        studio.ring.close()

    def test_the_codes_digest_covers_the_files_that_make_sound(self) -> None:
        assert len(recipe_module.code_digest()) == 16


def test_words_keep_their_times_to_the_bit(studio: Studio) -> None:
    miss, hit = studio.say(HELLO), studio.say(HELLO)
    words = [w for e in miss.events for w in e[1]]
    assert [w.text for w in words] == HELLO.text.split()
    assert all(isinstance(w, Word) for w in words)
    assert [w for e in hit.events[1:] for w in e[1]] == words


def test_sound_is_whole_quanta(studio: Studio) -> None:
    take = studio.say(HELLO)
    assert sum(map(len, take.samples)) == sum(map(len, take.mouth)) * QUANTUM
