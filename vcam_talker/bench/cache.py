"""How soon a hot phrase is spoken, through the whole daemon, and what finding one costs."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vcam_talker import registry
from vcam_talker.bench.harness import Daemon, daemon, ms
from vcam_talker.bench.options import Options
from vcam_talker.bench.report import Report, percentile
from vcam_talker.cache.phrases import PhraseCache
from vcam_talker.config import CacheConfig, Config, override
from vcam_talker.core.types import Sentence
from vcam_talker.engine.hot import HotPhrases
from vcam_talker.engine.lines import sure_sentences
from vcam_talker.engine.offline import warm_now
from vcam_talker.engine.recipe import FACE_DRIVER, Recipe
from vcam_talker.persona import load_persona
from vcam_talker.tts.voice import Voice

_DEFAULT_S = 60.0
_PERSONA = "mira"
_RESTARTS = 3
_HOT = "[happy] Hello, and welcome in! I'm Mira."
_COLD = "[happy] Hello, and welcome, {word}! I'm Mira."
"""As long as the hot one, and never the same twice."""
_QUESTION = "What is your name?"
_BETWEEN_S = 0.15


@dataclass(frozen=True, slots=True)
class _Trace:
    """One request, milliseconds from its sending; the whole HTTP exchange is counted before the rest."""

    sample: float
    """First sample, and with it the first mouth pose, on the timeline."""
    frame: float
    """First frame of it handed to the camera."""
    cached: bool


def run(options: Options) -> Report:
    """Ask for the same things again and again, and for new ones."""
    length_s = options.seconds or _DEFAULT_S
    report = Report("cache")
    with tempfile.TemporaryDirectory(prefix="vcam-talker-bench-") as name:
        folder = Path(name)
        config = override(Config(), {"cache.folder": name, "persona": _PERSONA})
        outcomes = warm_now(load_persona(_PERSONA), config, lambda _done, _of: None)
        report.notes.append(f"{outcomes['made']} phrases of {_PERSONA} were warmed beforehand")
        with daemon(camera=options.camera, cache=folder, persona=_PERSONA) as under_test:
            under_test.wait_idle()
            under_test.wait_microphone()
            hot = _repeat(under_test, length_s / 3, lambda d, _: d.client.say(_HOT))
            asked = _repeat(under_test, length_s / 3, lambda d, _: d.client.ask(_QUESTION))
            cold = _repeat(under_test, length_s / 3, lambda d, n: d.client.say(_COLD.format(word=_word(n))))
            restarted = [_after_kill(under_test) for _ in range(_RESTARTS)]
        _add(report, hot, asked, cold, restarted)
        _add_cost(report, config)
    return report


def _add(
    report: Report, hot: list[_Trace], asked: list[_Trace], cold: list[_Trace], restarted: list[_Trace]
) -> None:
    samples = [t.sample for t in hot]
    fresh = [t.sample for t in cold]
    report.add("hot phrase -> first sample and mouth, p50", percentile(samples, 50), "ms")
    report.add("hot phrase -> first sample and mouth, p95", percentile(samples, 95), "ms", 30)
    report.add("hot phrase -> first frame at the camera, p50", percentile([t.frame for t in hot], 50), "ms")
    answers = [t.sample for t in asked]
    report.add("hot answer of the script -> first sample, p50", percentile(answers, 50), "ms")
    report.add("hot answer of the script -> first sample, p95", percentile(answers, 95), "ms")
    report.add("new phrase -> first sample, p50", percentile(fresh, 50), "ms")
    report.add("new phrase -> first sample, p95", percentile(fresh, 95), "ms")
    report.add("new against hot, p50", percentile(fresh, 50) / percentile(samples, 50), "x")
    report.add("hot phrase, first after a killed engine", percentile([t.sample for t in restarted], 50), "ms")
    found = [t.cached for t in (*hot, *asked, *restarted)]
    report.add("hot ones that came from the cache", 100 * sum(found) / len(found), "%", 100, at_least=True)
    report.add("new ones that did", 100 * sum(t.cached for t in cold) / len(cold), "%", 0)
    report.notes += [
        f"{len(hot)} hot, {len(asked)} asked, {len(cold)} new, {len(restarted)} engines killed",
        "requests go over HTTP; the whole exchange, answer included, counts into every time",
        "a frame leaves when its sound is heard: the microphone's latency is in the frame's time",
    ]


def _repeat(under_test: Daemon, length_s: float, request: Callable[[Daemon, int], Any]) -> list[_Trace]:
    traces: list[_Trace] = []
    rng = np.random.default_rng(1)
    end_s = time.monotonic() + length_s
    while time.monotonic() < end_s or len(traces) < 3:
        # The playout thread looks for speech every 10 or 20 ms: no step may fall in with that.
        time.sleep(_BETWEEN_S + float(rng.uniform(0, 0.04)))
        traces.append(_trace(under_test, len(traces), request))
    return traces


def _trace(under_test: Daemon, number: int, request: Callable[[Daemon, int], Any]) -> _Trace:
    under_test.wait_idle()
    asked_ns = time.monotonic_ns()
    turn: int = request(under_test, number).turn
    exchange_ms = ms(time.monotonic_ns() - asked_ns)
    view: dict[str, Any] = {}

    def on_camera() -> bool:
        status = under_test.client.status()
        found = [t for t in (status["on_air"], *status["recent"]) if t and t["turn"] == turn]
        view.update(found[0] if found else {})
        return view.get("first_frame_ms") is not None

    under_test.wait_until("a frame of the turn", on_camera)
    under_test.client.interrupt(clear_queue=True)
    return _Trace(exchange_ms + view["first_audio_ms"], exchange_ms + view["first_frame_ms"], view["cached"])


def _after_kill(under_test: Daemon) -> _Trace:
    pid = under_test.engine_pid()
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    under_test.wait_until("another engine", lambda: under_test.engine_pid() not in {pid, None})
    under_test.wait_idle()
    return _trace(under_test, 0, lambda d, _: d.client.say(_HOT))


def _word(number: int) -> str:
    """Return a made-up word of seven letters, another one for every number."""
    consonants, vowels = "bdfgklmnprst", "aeiou"
    letters = ""
    for _ in range(3):
        number, c = divmod(number, len(consonants))
        number, v = divmod(number, len(vowels))
        letters += consonants[c] + vowels[v]
    return letters + "n"


def _add_cost(report: Report, config: Config) -> None:
    """Measure inside one process what a hit costs the engine."""
    persona = load_persona(_PERSONA)
    engines = {name: registry.find("synthesizer", name)() for name in registry.ENGINES["synthesizer"]}
    try:
        recipe = Recipe(Voice(engines, persona), FACE_DRIVER)
        sentences = sure_sentences(persona)
        for sentence in sentences:
            recipe.key(sentence)
        from_disk = PhraseCache(config.cache)
        first = _lookups(HotPhrases(from_disk, recipe), sentences)
        report.add("cost of a hit from disk, verified, p50", percentile(first, 50), "us")
        report.add("cost of a hit from disk, verified, p95", percentile(first, 95), "us")
        roomy = PhraseCache(CacheConfig(folder=config.cache.folder, memory_mb=1000))
        hot = HotPhrases(roomy, recipe)
        _lookups(hot, sentences)
        again = _lookups(hot, sentences)
        report.add("cost of a hit from memory, p50", percentile(again, 50), "us")
        report.add("cost of a hit from memory, p95", percentile(again, 95), "us")
        keys = [_timed_us(lambda s=sentence: recipe.key(s)) for sentence in sentences]  # type: ignore[misc]
        report.add("of which the key, p50", percentile(keys, 50), "us")
    finally:
        for engine in engines.values():
            engine.close()


def _lookups(hot: HotPhrases, sentences: list[Sentence]) -> list[float]:
    """Return how long each took, us, with the first record's sound unpacked."""

    def look_up(sentence: Sentence) -> None:
        _, phrase = hot.find(sentence)
        if phrase is not None:
            phrase.samples(0, phrase.parts[0].quanta)

    return [_timed_us(lambda s=sentence: look_up(s)) for sentence in sentences]  # type: ignore[misc]


def _timed_us(work: Callable[[], object]) -> float:
    begun_ns = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - begun_ns) / 1000
