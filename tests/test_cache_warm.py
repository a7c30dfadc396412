"""Warming: what is sure to be said is made ahead, and never in anybody's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.studio import HELLO, Studio, persona
from tests.support.voices import Humming
from vcam_talker.cache.phrases import PhraseCache
from vcam_talker.config import CacheConfig
from vcam_talker.core.types import NO_TURN, Emotion, TurnId
from vcam_talker.engine import warm as warm_module
from vcam_talker.engine.lines import sure_sentences
from vcam_talker.engine.phrasing import Phrasing
from vcam_talker.engine.speaker import TurnCancelledError

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
def studio(cache: PhraseCache, engine: Humming) -> Iterator[Studio]:
    made = Studio({"flite": engine}, cache, persona())
    yield made
    made.ring.close()


def wait(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.002)


class TestWarming:
    SENTENCES = tuple(replace(HELLO, turn=NO_TURN, text=f"sentence number {n}") for n in range(5))

    @pytest.fixture(autouse=True)
    def hasten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(warm_module, "_REST", 0.0)
        monkeypatch.setattr(warm_module, "_REST_MIN_S", 0.001)
        monkeypatch.setattr(warm_module, "_SETTLE_S", 0.01)
        monkeypatch.setattr(warm_module, "_REVISIT_S", 0.02)

    def test_it_makes_all_and_then_nothing_more(self, studio: Studio, engine: Humming) -> None:
        warmer = studio.warmer(self.SENTENCES)
        assert (warmer.warmed, warmer.to_warm) == (0, 5)
        warmer.start()
        wait(lambda: warmer.warmed == 5)
        time.sleep(0.1)
        warmer.close()
        assert engine.made == [s.text for s in self.SENTENCES]
        for sentence in self.SENTENCES:
            assert studio.say(replace(sentence, turn=TurnId(4), index=2)).cached

    def test_what_is_on_disk_is_not_made_again(self, studio: Studio, engine: Humming, tmp_path: Path) -> None:
        for sentence in self.SENTENCES:
            assert studio.warmer(self.SENTENCES).warm(sentence, lambda: False) == "made"
        assert studio.hot is not None
        studio.hot.cache.close()
        engine.made.clear()
        other = PhraseCache(CacheConfig(folder=str(tmp_path)))
        again = Studio({"flite": engine}, other, persona())
        assert [again.warmer([]).warm(s, lambda: False) for s in self.SENTENCES] == ["there"] * 5
        assert engine.made == []
        assert other.stats().entries == 5
        again.ring.close()

    def test_it_stands_back_while_somebody_speaks_and_then_goes_on(
        self, studio: Studio, engine: Humming
    ) -> None:
        begun, go_on = threading.Event(), threading.Event()

        def linger() -> None:
            begun.set()
            go_on.wait(0.01)

        engine.between = linger
        warmer = studio.warmer([replace(HELLO, turn=NO_TURN, text="word " * 2000)])
        warmer.start()
        assert begun.wait(20)
        warmer.hold()
        begun_s = time.monotonic()
        assert not studio.say(HELLO).cached
        waited_s = time.monotonic() - begun_s
        assert waited_s < 5, "2000 words take 20 s"
        made = len(engine.made)
        time.sleep(0.1)
        assert len(engine.made) == made
        go_on.set()
        warmer.resume()
        wait(lambda: warmer.warmed == 1)
        warmer.close()

    def test_a_hit_never_waits_for_the_voice(self, studio: Studio) -> None:
        studio.say(HELLO)
        assert studio.hot is not None
        with studio.hot.voice_lock:
            assert studio.say(HELLO).cached

    def test_waiting_for_the_voice_can_be_cancelled(self, studio: Studio) -> None:
        assert studio.hot is not None
        stop = threading.Event()
        threading.Timer(0.05, stop.set).start()
        with studio.hot.voice_lock, pytest.raises(TurnCancelledError):
            studio.say(HELLO, stop.is_set)

    def test_it_goes_on_after_a_voice_that_fails_and_does_not_insist(
        self, studio: Studio, engine: Humming
    ) -> None:
        engine.breaks_after = 0
        warmer = studio.warmer(self.SENTENCES)
        warmer.start()
        wait(lambda: len(engine.made) == 5)
        time.sleep(0.1)
        assert len(engine.made) == 5
        assert warmer.warmed == 0
        warmer.close()

    def test_an_updated_voice_is_warmed_anew(self, studio: Studio, engine: Humming) -> None:
        warmer = studio.warmer(self.SENTENCES)
        warmer.start()
        wait(lambda: warmer.warmed == 5)
        engine.build = "2"
        wait(lambda: len(engine.made) == 10)
        wait(lambda: warmer.warmed == 5)
        warmer.close()

    def test_a_cleared_cache_is_warmed_anew(self, studio: Studio, engine: Humming) -> None:
        warmer = studio.warmer(self.SENTENCES)
        warmer.start()
        wait(lambda: warmer.warmed == 5)
        assert studio.hot is not None
        folder, cache = studio.hot.cache._folder, studio.hot.cache
        assert folder is not None
        cache.flush()
        folder.clear()
        cache._on_cleared()
        wait(lambda: len(engine.made) == 10)
        warmer.close()

    def test_it_leaves_half_of_the_cache_to_the_viewers(self, engine: Humming, tmp_path: Path) -> None:
        small = PhraseCache(CacheConfig(folder=str(tmp_path / "small"), memory_mb=1, disk_mb=1))
        studio = Studio({"flite": engine}, small, persona())
        sentences = [replace(HELLO, text=f"{n} " + "word " * 20) for n in range(10)]
        warmer = studio.warmer(sentences)
        outcomes = [warmer.warm(s, lambda: False) for s in sentences]
        assert outcomes == ["made", "made", "made"] + ["full"] * 7
        studio.ring.close()

    def test_close_ends_it_at_once_at_any_time(self, studio: Studio, engine: Humming) -> None:
        engine.between = lambda: time.sleep(0.005)
        warmer = studio.warmer([replace(HELLO, text="word " * 4000)])
        warmer.close()
        warmer = studio.warmer([replace(HELLO, text="word " * 4000)])
        warmer.start()
        wait(lambda: engine.made)
        warmer.close()
        warmer.close()
        assert not warmer._thread.is_alive()
        held = studio.warmer([HELLO])
        held.hold()
        held.start()
        held.close()
        assert not held._thread.is_alive()


class TestSureSentences:
    def test_what_a_turn_will_say_is_among_them(self) -> None:
        who = persona(
            greeting=("[happy] Hello, I'm {title}!",),
            quiet=("[playful] So quiet here. Is anybody there?",),
            lines=(
                {"match": ["hi"], "say": ["[happy] Hello, {user}! Lovely to see you. [sad] Must you go?"]},
                {"match": ["你好"], "say": ["你好,{user}!欢迎。"], "language": "cmn"},
            ),
            products=(
                {
                    "name": "Blue Mug",
                    "aliases": ["蓝色杯子"],
                    "facts": [
                        {"about": "price", "say": "The {product} is nine euros."},
                        {"about": "price", "say": "{product}九欧元。", "language": "cmn"},
                    ],
                },
            ),
        )
        found = {(s.text, s.emotion, s.language) for s in sure_sentences(who)}
        happy, sad, playful, none = Emotion.HAPPY, Emotion.SAD, Emotion.PLAYFUL, Emotion.NEUTRAL
        assert found >= {
            ("Hello, I'm {title}!", happy, "en"),
            ("So quiet here.", playful, "en"),
            ("Is anybody there?", playful, "en"),
            ("Hello!", happy, "en"),
            ("Lovely to see you.", happy, "en"),
            ("Must you go?", sad, "en"),
            ("欢迎。", none, "cmn"),
            ("The Blue Mug is nine euros.", none, "en"),
            ("蓝色杯子九欧元。", none, "cmn"),
            ("I have no idea.", none, "en"),
        }
        assert not any("{user}" in text for text, _, _ in found)

    def test_a_turn_cuts_a_stream_into_just_these_sentences(self) -> None:
        line = (
            "[happy] Hello there, my friends! It is wonderful to see all of you. [sad] Must you go so soon?"
        )
        who = persona(lines=({"match": ["hi"], "say": [line]},))
        streamed = Phrasing(who, TurnId(3))
        spoken = [s for c in line for s in streamed.feed(c)] + streamed.flush()
        sure = {(s.text, s.emotion, s.language) for s in sure_sentences(who)}
        assert [s.index for s in spoken] == [0, 1, 2]
        assert all(s.turn == 3 for s in spoken)
        assert {(s.text, s.emotion, s.language) for s in spoken} <= sure

    def test_each_sentence_is_there_once(self) -> None:
        who = persona(quiet=("So it is.", "So it is."), fallback=("So it is.",))
        assert [s.text for s in sure_sentences(who)] == ["So it is."]
