"""Numbers of 8 bits for a model of lips, calibrated on what it will see: a presenter that speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.config import LipsConfig
from vcam_talker.core.clock import frame_pts
from vcam_talker.core.types import MOUTH_RATE_HZ, SAMPLE_RATE, FaceInput, Pixels, rest_mouth
from vcam_talker.dsp.resample import resample
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.evaluate import SENTENCES, speak
from vcam_talker.face.neural.model import SOUND_S, Floats, LipsModel, open_model
from vcam_talker.face.neural.package import Package, load_package
from vcam_talker.face.neural.sessions import open_part
from vcam_talker.face.neural.sitting import sit
from vcam_talker.face.phonemes import PhonemeDriver
from vcam_talker.inference import Array, Session
from vcam_talker.nets.quantise import Batch, Quantised, quantise_within
from vcam_talker.nets.variants import add_variants
from vcam_talker.persona import Persona

_SIZE: Final = (1280, 720)
_FPS: Final = 30
_VOICE: Final = "slt"
_EXACT: Final = LipsConfig(engine="ort", precision="fp32")
_SMALL: Final = LipsConfig(engine="ort", precision="int8")


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What came of it."""

    parts: Mapping[str, Quantised]
    difference: float
    """Mean absolute difference of drawn pictures, 0 .. 255, of moments that were not calibrated on."""


@dataclass(frozen=True, slots=True)
class _Moments:
    """What a model is asked to draw."""

    crops: Sequence[Pixels]
    conditions: Sequence[Floats]


def quantise_lips(folder: Path, persona: Persona, *, count: int = 48, limit: float = 0.05) -> Calibrated:
    """Add parts in int8 to a model's folder; layers stay in float until `limit` (`Quantised.error`) holds.

    Speaks `count` moments as `persona`, from a clip and with a voice of flite. The folder is changed when all
    parts are done, and not at all otherwise. Blocks for minutes. Raises VcamTalkerError.
    """
    package = load_package(folder)
    sitting = sit(persona, package, _SIZE)
    seen = _moments(persona, package, 2 * count)
    learnt, judged = _every_other(seen, 0), _every_other(seen, 1)
    opener = _Recorder()
    model = open_model(package, _EXACT, sitting.rest, opener=opener)
    try:
        model.begin(sitting.references)
        opener.forget()
        _draw(model, learnt)
        feeds = opener.feeds()
        exact = _draw(model, judged)
    finally:
        model.close()
    done = {}
    with TemporaryDirectory(prefix="vcam-talker-") as made:
        for part, network in package.spec.parts.items():
            trial = Path(made) / f"{part}.int8.onnx"
            done[part] = quantise_within(folder / network.file, feeds[part], limit, out=trial)
        placed = add_variants(folder, {part: each.path for part, each in done.items()})
    done = {part: replace(each, path=placed[part]) for part, each in done.items()}
    small = open_model(load_package(folder), _SMALL, sitting.rest)
    try:
        small.begin(sitting.references)
        drawn = _draw(small, judged)
    finally:
        small.close()
    off = [np.abs(a.astype(np.int16) - b).mean() for a, b in zip(exact, drawn, strict=True)]
    return Calibrated(done, float(np.mean(off)))


class _Recorder:
    """Opens sessions that note what they are fed."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Noted] = {}

    def __call__(
        self, package: Package, config: LipsConfig, part: str, example: Mapping[str, Array] | None = None
    ) -> Session:
        session = self._sessions[part] = _Noted(open_part(package, config, part, example))
        return session

    def forget(self) -> None:
        for session in self._sessions.values():
            session.noted.clear()

    def feeds(self) -> dict[str, list[Batch]]:
        return {part: list(session.noted) for part, session in self._sessions.items()}


class _Noted:
    """A `Session` that keeps copies of what it is fed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.noted: list[dict[str, npt.NDArray[np.float32]]] = []
        self.engine, self.precision = session.engine, session.precision
        self.inputs, self.outputs = session.inputs, session.outputs
        self.warm_up, self.close = session.warm_up, session.close

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return what the session does."""
        self.noted.append({name: np.array(values, np.float32) for name, values in feeds.items()})
        return self._session.run(feeds)


def _moments(persona: Persona, package: Package, count: int) -> _Moments:
    """Return moments spread over some sentences and over the clip's life."""
    scene = ClipScene(persona, *_SIZE)
    crops = sit(persona, package, _SIZE).crops
    driver = PhonemeDriver()
    poses: list[Floats] = []
    sounds: list[Floats] = []
    before, after = (round(s * SAMPLE_RATE) for s in SOUND_S)
    for sentence in SENTENCES:
        speech = speak(sentence, _VOICE)
        track = driver.drive(speech).values
        sound = np.pad(resample(speech.samples, speech.rate, SAMPLE_RATE), (before, after))
        for at in range(0, len(track), MOUTH_RATE_HZ // _FPS):
            start = min(round(at / MOUTH_RATE_HZ * SAMPLE_RATE), len(sound) - before - after)
            poses.append(track[at])
            sounds.append(sound[start : start + before + after])
    chosen = np.linspace(0, len(poses) - 1, count).astype(int)
    shown = []
    for number in range(count):
        picture = scene.draw(
            frame_pts(number * _FPS, _FPS), FaceInput(rest_mouth(), persona.emotions.default)
        )
        shown.append(crops.cut(picture.pixels, scene.to_patch(scene.shown)))
    conditions = poses if package.spec.condition == "pose" else sounds
    return _Moments(shown, [conditions[n] for n in chosen])


def _every_other(moments: _Moments, first: int) -> _Moments:
    return _Moments(moments.crops[first::2], moments.conditions[first::2])


def _draw(model: LipsModel, moments: _Moments) -> list[Pixels]:
    return [
        model.draw([crop], [n], [condition])[0]
        for n, (crop, condition) in enumerate(zip(moments.crops, moments.conditions, strict=True))
    ]
