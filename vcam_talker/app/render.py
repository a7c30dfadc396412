"""`vcam-talker render`: the same voice, timeline and scene as on air, in virtual time, into a file."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np

from vcam_talker import registry
from vcam_talker.air.painter import FaceDirector, Painter
from vcam_talker.air.sinks.file import Mp4Sink
from vcam_talker.air.timeline import Timeline
from vcam_talker.app.air import make_scene
from vcam_talker.app.encoding import Encoding
from vcam_talker.app.lips_local import LocalLips
from vcam_talker.config import Config, override
from vcam_talker.core.clock import frame_pts
from vcam_talker.core.errors import BadInputError, DeviceError
from vcam_talker.core.stages import Cancelled, FaceDriver, Scene
from vcam_talker.core.text import clean_text, detect_language, parse_emotion_tags
from vcam_talker.core.types import (
    MOUTH_RATE_HZ,
    NS_PER_S,
    SAMPLE_RATE,
    Activity,
    Emotion,
    Sentence,
    Speech,
    TurnId,
)
from vcam_talker.dsp.resample import resample
from vcam_talker.dsp.wav import read_wav
from vcam_talker.engine.maker import to_quanta
from vcam_talker.engine.recipe import FACE_DRIVER
from vcam_talker.face.neural.package import NO_MODEL
from vcam_talker.persona import Persona, load_persona
from vcam_talker.tts.sentences import SentenceSplitter
from vcam_talker.tts.voice import Voice

# A breath before and after, so that nothing starts or ends abruptly.
_LEAD_S = 0.5
_TAIL_S = 0.8
_TURN = TurnId(1)
_MAX_TEXT_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class RenderReport:
    """What was made, and how fast."""

    file: str
    duration_s: float
    frames: int
    took_s: float
    speed: float
    """Seconds of video per second of work; start of voices and file included."""


@dataclass(slots=True)
class _Mood:
    """An emotion that begins with a quantum of the turn."""

    quantum: int
    emotion: Emotion


def render_file(
    persona_name: str,
    out: Path,
    *,
    text: str | None,
    audio: Path | None,
    emotion: Emotion | None = None,
    size: tuple[int, int] = (1280, 720),
    fps: int = 30,
    lips: str = "",
    config: Config | None = None,
) -> RenderReport:
    """Write `out` (mp4, H.264 and AAC). Exactly one of `text` and `audio` is given.

    `lips`: who draws the mouth of a persona made of pictures, as `lips.model`; `shapes`: no network. Of
    `config`, by default one that says nothing, [lips], [voice] and the disclosure count. Deterministic
    but for the encoder's threads. Raises BadInputError, PersonaError, ConfigError, DeviceError, EngineError;
    then no file is left behind.
    """
    began_s = time.perf_counter()
    if out.suffix.lower() != ".mp4":
        raise BadInputError(str(out), "is not an .mp4 file", "Name it like show.mp4")
    if not out.parent.is_dir():
        raise DeviceError(str(out), "its folder does not exist", f"Make it: mkdir -p {out.parent}")
    persona = load_persona(persona_name)
    air = {"air.width": size[0], "air.height": size[1], "air.fps": fps}
    config = override(config or Config(), {**air, **_lips(lips)})
    stop = threading.Event()
    if audio is not None:
        speeches = _from_audio(audio)
    else:
        speeches = _from_text(persona, text or "", emotion, config.voice.engine, stop.is_set)
    # Under another name until it is complete: a file of this name that was there before stays until then.
    partial = out.with_name(f".{out.stem}.partial.mp4")
    sink = Mp4Sink(partial)
    with _terminable(), closing(speeches), closing(LocalLips(persona, config)) as mouths:
        # Everything that can be wrong is looked at before the file is begun: it must leave nothing behind.
        scene = make_scene(persona, config, mouths.mouths)
        try:
            first = next(speeches, None)
            if first is None:
                raise BadInputError("the text", "has nothing to say", "Add words beside the emotion tag")
            sink.open(size[0], size[1], fps)
            with Encoding(sink) as encoding:
                renderer = _Renderer(persona, scene, fps, encoding, stop)
                frames = renderer.run(first, speeches)
            mouths.check()
            sink.finish()
            partial.replace(out)
        except OSError as e:
            raise DeviceError(str(out), f"can't be written ({e.strerror})", "Name another file") from e
        finally:
            sink.close()
            partial.unlink(missing_ok=True)
    took_s = time.perf_counter() - began_s
    duration_s = frames / fps
    return RenderReport(str(out), duration_s, frames, round(took_s, 3), round(duration_s / took_s, 2))


def _lips(name: str) -> dict[str, str]:
    """Return what a name given for this video changes in the configuration."""
    if not name:
        return {}
    return {"lips.enabled": "off"} if name == NO_MODEL else {"lips.enabled": "auto", "lips.model": name}


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the block like an error, so that it cleans up behind itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Renderer:
    """Draws while the speech is still being made on another thread."""

    def __init__(
        self, persona: Persona, scene: Scene, fps: int, encoding: Encoding, stop: threading.Event
    ) -> None:
        self._fps = fps
        self._encoding = encoding
        self._stop = stop
        self._timeline = Timeline()
        self._mood = FaceDirector(persona.emotions.default)
        self._painter = Painter(self._timeline, scene, self._mood, fps)
        self._moods: list[_Mood] = []
        self._made = threading.Condition()
        self._quanta = 0
        self._complete = False
        self._error: Exception | None = None

    def run(self, first: Speech, rest: Iterator[Speech]) -> int:
        """Render everything; return the number of frames."""
        driver: FaceDriver = registry.find("face_driver", FACE_DRIVER)()
        maker = threading.Thread(target=self._make, args=(first, rest, driver), daemon=True)
        lead = round(_LEAD_S * MOUTH_RATE_HZ)
        frame = 0
        while self._quanta_at(frame + 1) <= lead:
            self._advance(frame)
            frame += 1
        lead = self._pulled
        maker.start()
        try:
            return self._draw_all(frame, lead)
        finally:
            # On an error the voice may be in the middle of a sentence.
            self._stop.set()
            maker.join()

    def _draw_all(self, frame: int, lead: int) -> int:
        """Draw from `frame` on; the speech follows `lead` quanta of silence. Return the number of frames."""
        # A mouth drawn from the sound wants to know what comes next.
        ahead = math.ceil(self._painter.needs.sound_s[1] * MOUTH_RATE_HZ) + 2
        while (spoken := self._quanta_at(frame + 1) - lead) <= self._wait_for(spoken + ahead):
            self._follow(spoken)
            self._advance(frame)
            frame += 1
        end = frame + round(_TAIL_S * self._fps)
        self._mood.activity = Activity.IDLE
        for index in range(frame, end):
            self._advance(index)
        return end

    @property
    def _pulled(self) -> int:
        return int(self._timeline.position * MOUTH_RATE_HZ // NS_PER_S)

    def _quanta_at(self, frame: int) -> int:
        """Return how many quanta begin before frame number `frame`."""
        return -(-frame * MOUTH_RATE_HZ // self._fps)

    def _make(self, first: Speech, rest: Iterator[Speech], driver: FaceDriver) -> None:
        """Thread: speech onto the timeline, as fast as it comes."""
        try:
            self._push(first, driver)
            for speech in rest:
                self._push(speech, driver)
        except Exception as e:  # noqa: BLE001 - handed to the renderer, which raises it
            self._error = e
        finally:
            with self._made:
                self._complete = True
                self._made.notify_all()

    def _push(self, speech: Speech, driver: FaceDriver) -> None:
        samples, mouth = to_quanta(speech.samples, driver.drive(speech).values)
        self._moods.append(_Mood(self._quanta, speech.sentence.emotion))
        self._timeline.push(_TURN, samples, mouth)
        with self._made:
            self._quanta += len(mouth)
            self._made.notify_all()

    def _wait_for(self, quanta: int) -> int:
        with self._made:
            while self._quanta < quanta and not self._complete:
                self._made.wait()
            if self._error is not None:
                raise self._error
            return self._quanta

    def _follow(self, spoken: int) -> None:
        current = [m.emotion for m in self._moods if m.quantum <= spoken]
        if current:
            self._mood.emotion = current[-1]

    def _advance(self, index: int) -> None:
        """Let the sound of a frame's span out, then draw it."""
        for _ in range(self._quanta_at(index + 1) - self._pulled):
            self._encoding.put(self._timeline.pull())
        self._encoding.put(self._painter.draw(frame_pts(index, self._fps)))


def _from_text(
    persona: Persona, text: str, emotion: Emotion | None, engine: str, cancelled: Cancelled
) -> Generator[Speech, None, None]:
    clean = clean_text(text, _MAX_TEXT_CHARS)
    synthesizers = {name: registry.find("synthesizer", name)() for name in registry.ENGINES["synthesizer"]}
    try:
        voice = Voice(synthesizers, persona, engine)
        splitter = SentenceSplitter()
        mood = emotion or persona.emotions.default
        for index, piece in enumerate([*splitter.feed(clean.text), *splitter.flush()]):
            tagged, spoken = parse_emotion_tags(piece)
            mood = tagged or mood
            if spoken.strip():
                language = detect_language(spoken, persona.language)
                yield from voice.speak(Sentence(_TURN, index, spoken, mood, language), cancelled)
    finally:
        for synthesizer in synthesizers.values():
            synthesizer.close()


def _from_audio(path: Path) -> Generator[Speech, None, None]:
    samples, rate = read_wav(path)
    samples = resample(samples, rate, SAMPLE_RATE)
    sentence = Sentence(_TURN, 0, path.name)
    # In pieces, so that drawing starts before the whole file has been analysed.
    piece = 10 * SAMPLE_RATE
    count = max(1, -(-len(samples) // piece))
    for index in range(count):
        block = np.ascontiguousarray(samples[index * piece : (index + 1) * piece])
        yield Speech(sentence, SAMPLE_RATE, block, last=index == count - 1)
