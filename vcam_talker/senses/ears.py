"""The ears: capture, voice activity, endpoint, recogniser; heard words and interruptions out."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from vcam_talker import registry
from vcam_talker.asr.choice import choose_transcriber
from vcam_talker.asr.endpoint import Endpointer, Step
from vcam_talker.asr.vad import WINDOW_NS, EnergyVad, SileroVad, VoiceActivity
from vcam_talker.config import EarsConfig, MicrophoneConfig
from vcam_talker.core.errors import DeviceError, EngineError
from vcam_talker.core.hearing import EarsEvent, Heard, NoWords, SpeechBegan, SpeechEnded
from vcam_talker.core.stages import Transcriber
from vcam_talker.core.status import EarsView
from vcam_talker.core.types import Samples, Utterance
from vcam_talker.senses.capture import PulseCapture
from vcam_talker.senses.echo import EchoGuard, SaidGuard
from vcam_talker.senses.source import EarSource

log = logging.getLogger(__name__)

_PRE_ROLL: Final = 10
"""Windows before the onset that belong to the first word, 320 ms."""
_FIRST_DELAY_S: Final = 0.3
_LONGEST_DELAY_S: Final = 5.0
_JOBS: Final = 512
"""Windows that may wait for the recogniser, 16 s; more are dropped, oldest utterance first."""
_TAIL_S: Final = 0.8
"""How long the presenter's last word may still be under way through loudspeakers and room."""
_SURE_OVER_OWN_VOICE_MS: Final = 260
"""While the presenter can be heard, a voice must last this long to be told from it."""
_STRANGE_WINDOWS: Final = 3
"""So many in a row must be no echo: one mistake, and the presenter would cut itself off."""
_RETRY_MODEL_S: Final = 30.0

Job = tuple[Literal["begin", "feed", "pause", "finish", "drop"], object]


@dataclass(frozen=True, slots=True)
class _Times:
    """When an utterance began, ended and was called ended; monotonic ns."""

    began_ns: int
    ended_ns: int
    endpoint_ns: int


class Ears:
    """Three threads: one records and decides, one recognises, one records the presenter for comparison.

    `report` is called on these threads and must not block.
    """

    def __init__(
        self,
        config: EarsConfig,
        language: str,
        microphone: MicrophoneConfig,
        report: Callable[[EarsEvent], None],
    ) -> None:
        self._config = config
        self._language = language
        self._microphone = microphone
        self._report = report
        self._source = EarSource(config, microphone)
        self._jobs: queue.Queue[Job | None] = queue.Queue(_JOBS)
        self._stop = threading.Event()
        self._view = EarsView(state="starting", device=self._source.name)
        self._view_lock = threading.Lock()
        self._capture: PulseCapture | None = None
        self._said = SaidGuard()
        self._guard = EchoGuard()
        self._speaking = False
        self._strange_windows = 0
        self._silent_since_ns = 0
        # In a call the presenter's voice goes to the microphone and never into the speaker we listen to.
        self._may_hear_itself = config.mode == "microphone"
        self._threads = [
            threading.Thread(target=self._listen, name="ears", daemon=True),
            threading.Thread(target=self._recognise, name="recogniser", daemon=True),
        ]
        if self._may_hear_itself:
            self._threads.append(threading.Thread(target=self._follow, name="own voice", daemon=True))

    def start(self) -> None:
        """Begin to listen; returns at once. What is missing is looked for again and again."""
        for thread in self._threads:
            thread.start()

    def presenter(self, *, speaking: bool, text: str) -> None:
        """Learn what the presenter is saying, or has just said. Any thread."""
        self._said.said(text, time.monotonic_ns())
        if self._speaking and not speaking:
            self._silent_since_ns = time.monotonic_ns()
        self._speaking = speaking

    def view(self) -> EarsView:
        """Return how listening goes. Any thread."""
        with self._view_lock:
            return self._view

    def close(self) -> None:
        """Stop; within a few seconds. Takes the virtual speaker away if it is ours."""
        self._stop.set()
        with suppress(queue.Full):
            self._jobs.put_nowait(None)
        if self._capture is not None:
            self._capture.close()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=3)

    def _change(self, **fields: object) -> None:
        with self._view_lock:
            self._view = replace(self._view, **fields)  # type: ignore[arg-type]

    # --- recording and deciding

    def _listen(self) -> None:
        """Thread: keep a recording open and follow it."""
        vad = self._voice_activity()
        delay_s = 0.0
        try:
            while not self._stop.wait(delay_s):
                opened_s = time.monotonic()
                try:
                    self._follow_source(vad)
                except DeviceError as e:
                    if self.view().state != "lost" and not self._stop.is_set():
                        log.warning("the ears lost their source: %s", e)
                    self._change(state="lost", detail=str(e))
                lasted_s = time.monotonic() - opened_s
                delay_s = _FIRST_DELAY_S if lasted_s > _LONGEST_DELAY_S else delay_s
                delay_s = min(_LONGEST_DELAY_S, max(_FIRST_DELAY_S, delay_s * 1.6))
        finally:
            self._source.close()

    def _voice_activity(self) -> VoiceActivity:
        try:
            return SileroVad()
        except EngineError as e:
            log.warning("%s; listening by loudness alone", e)
            self._change(detail=str(e))
            return EnergyVad()

    def _follow_source(self, vad: VoiceActivity) -> None:
        config = self._config
        name = self._source.open()
        capture = self._capture = PulseCapture(name, "vcam_talker ears")
        ends = Endpointer(config.threshold, config.barge_in_ms, config.endpoint_ms, config.max_utterance_s)
        recent: deque[Samples] = deque(maxlen=_PRE_ROLL)
        held: list[Samples] = []
        onset_ns = 0
        told = False
        watched_s = time.monotonic()
        try:
            for at_ns, window in capture.windows():
                if self._stop.is_set():
                    return
                if self.view().state in {"starting", "lost"}:
                    self._change(state="listening", device=self._source.name, detail=self._detail)
                if (now_s := time.monotonic()) - watched_s > 1.0:
                    watched_s = now_s
                    self._source.check(capture.pid)
                if self._may_hear_itself:
                    self._guard.hear(window, at_ns)
                step = ends.step(vad.probability(window))
                recent.append(window)
                match step:
                    case Step.ONSET:
                        onset_ns = at_ns - WINDOW_NS
                    case Step.BEGAN:
                        onset_ns = at_ns - ends.windows * WINDOW_NS
                        told = False
                        self._strange_windows = 0
                        held = []
                        self._put("begin", list(recent)[-(_PRE_ROLL + 1) :])
                    case Step.RESUMED:
                        self._put("feed", held)
                        held = []
                if ends.hearing and step is not Step.BEGAN:
                    # What follows a pause waits: if it stays silent the recogniser has heard everything.
                    held.append(window)
                    if not ends.silent_windows:
                        self._put("feed", held)
                        held = []
                if ends.hearing and not told and self._is_somebody(ends.windows):
                    told = True
                    self._change(state="hearing")
                    self._report(SpeechBegan(onset_ns))
                if step is Step.PAUSED and told:  # the presenter's own words cost too much to be recognised
                    self._put("pause", None)
                elif step is Step.ENDED:
                    ended_ns = at_ns - ends.silent_windows * WINDOW_NS
                    if told:
                        self._put("finish", _Times(onset_ns, ended_ns, time.monotonic_ns()))
                        self._report(SpeechEnded(ended_ns))
                    else:
                        self._put("drop", None)
                        self._change(echoes=self.view().echoes + 1)
                    self._change(state="listening")
        finally:
            capture.close()
            self._capture = None
            if ends.hearing and told:
                # The source went in the middle of a word; nobody is to wait for its end.
                self._put("drop", None)
                self._report(SpeechEnded(time.monotonic_ns()))

    def _is_somebody(self, windows: int) -> bool:
        """Tell whether the voice that is heard is not the presenter's own."""
        if not self._may_hear_itself:
            return True
        since_ns = time.monotonic_ns() - self._silent_since_ns
        if not self._speaking and since_ns > _TAIL_S * 1e9:
            return True
        if windows * WINDOW_NS < _SURE_OVER_OWN_VOICE_MS * 1_000_000:
            return False
        self._strange_windows = 0 if self._guard.is_echo(windows) else self._strange_windows + 1
        return self._strange_windows >= _STRANGE_WINDOWS

    def _follow(self) -> None:
        """Thread: record the presenter's microphone while there is one, for comparison."""
        while not self._stop.wait(_FIRST_DELAY_S):
            with suppress(DeviceError):
                capture = PulseCapture(self._microphone.name, "vcam_talker own voice")
                try:
                    for at_ns, window in capture.windows():
                        if self._stop.is_set():
                            return
                        self._guard.reference(window, at_ns)
                finally:
                    capture.close()

    # --- recognising

    _detail = ""

    def _put(self, what: Literal["begin", "feed", "pause", "finish", "drop"], value: object) -> None:
        try:
            self._jobs.put_nowait((what, value))
        except queue.Full:
            # It is hopelessly behind: what it has not begun is not worth an answer any more.
            log.warning("the recogniser is too slow; what was said meanwhile is lost")
            with suppress(queue.Empty):
                while True:
                    self._jobs.get_nowait()

    def _recognise(self) -> None:
        """Thread: feed the recogniser; load it again when it is missing."""
        transcriber = self._load()
        while not self._stop.is_set():
            job = self._jobs.get()
            if job is None:
                break
            if transcriber is None:
                continue
            try:
                self._work(transcriber, *job)
            except EngineError as e:
                log.warning("%s", e)
                self._note(str(e))
        if transcriber is not None:
            transcriber.close()

    def _load(self) -> Transcriber | None:
        def make(name: str) -> Transcriber:
            made: Transcriber = registry.find("transcriber", name)(self._config, self._language)
            return made

        while not self._stop.is_set():
            try:
                choice = choose_transcriber(self._config, make)
            except EngineError as e:
                log.warning("%s", e)
                self._note(str(e))
            else:
                self._note(choice.detail)
                model = self._config.model if choice.transcriber.name == "faster-whisper" else "en-us"
                self._change(engine=choice.transcriber.name, model=model)
                return choice.transcriber
            self._stop.wait(_RETRY_MODEL_S)
        return None

    def _note(self, detail: str) -> None:
        self._detail = detail
        if self.view().state != "lost":
            self._change(detail=detail)

    def _work(self, transcriber: Transcriber, what: str, value: object) -> None:
        match what:
            case "begin":
                transcriber.begin()
                transcriber.feed(_joined(value))
            case "feed":
                transcriber.feed(_joined(value))
            case "pause":
                transcriber.pause()
            case "drop":
                transcriber.begin()
            case "finish" if isinstance(value, _Times):
                self._finish(transcriber, value)

    def _finish(self, transcriber: Transcriber, times: _Times) -> None:
        try:
            found = transcriber.finish()
        except EngineError:
            self._report(NoWords())
            raise
        if not found.text:
            self._report(NoWords())
            return
        if self._said.is_own(found.text, time.monotonic_ns()):
            log.debug("its own voice: %s", found.text)
            self._change(echoes=self.view().echoes + 1)
            self._report(NoWords())
            return
        self._change(utterances=self.view().utterances + 1)
        self._report(
            Heard(
                Utterance(
                    found.text,
                    times.began_ns,
                    times.ended_ns,
                    times.endpoint_ns,
                    found.confidence,
                    found.language,
                    transcriber.name,
                )
            )
        )


def _joined(value: object) -> Samples:
    return np.concatenate(value) if isinstance(value, list) and value else np.zeros(0, np.float32)
