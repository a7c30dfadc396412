"""Mouths as they are seen: of a presenter's own scene, as the daemon shows it, and of the studio's truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from studio.character import load_character
from studio.lips.picture.evaluate import true_opening
from studio.lips.sync.clips import CUT, cut
from studio.pose import Pose
from studio.truth.clips import FPS
from studio.truth.draw import digest
from studio.truth.render import TruthRenderer
from studio.truth.shot import Shot
from vcam_talker.config import LipsConfig
from vcam_talker.core.types import NS_PER_S, SAMPLE_RATE, Activity, FaceInput, Pixels, Pts, Samples, Speech
from vcam_talker.dsp.resample import resample
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.neural.drawer import LocalDrawer
from vcam_talker.face.neural.package import load_package
from vcam_talker.face.neural.patches import neural_mouths
from vcam_talker.face.neural.region import REGION
from vcam_talker.persona import Persona

Floats = npt.NDArray[np.float32]

VIEW: Final = (1280, 720)
_PAUSE_FRAMES: Final = 12
"""Of rest between two pieces."""
_SCALE, _OFFSET = 1.3, (0.0, -0.38)


class Stage(Protocol):
    """Somebody whose mouth is drawn. One thread."""

    def shows(self, mouths: Floats, speech: Speech) -> Pixels:
        """Return the mouth region of each frame at FPS, uint8[T, 96, 128, 3], of poses float32[T, 7]."""
        ...


class SceneStage:
    """The daemon's scene of a presenter, at 1280 x 720."""

    def __init__(self, persona: Persona, model: Path | None = None, seed: int = 1) -> None:
        """`model`: folder of the network that draws the lips; None: interpolated shapes. Blocks for seconds.

        Raises PersonaError, EngineError.
        """
        self._drawer: LocalDrawer | None = None
        mouths = None
        if model is not None:
            package = load_package(model)
            self._drawer = LocalDrawer(persona, package, VIEW, LipsConfig())
            mouths = neural_mouths(persona, package, VIEW, self._drawer)
        self._scene = ClipScene(persona, *VIEW, seed=seed, mouths=mouths)
        self._rest = self._scene.assets.landmarks[:, 0].mean(0)
        self._next = 0

    def shows(self, mouths: Floats, speech: Speech) -> Pixels:
        """Return the mouth region of each frame. See `Stage`."""
        needs = self._scene.needs.sound_s
        sound = resample(speech.samples, speech.rate, SAMPLE_RATE) if sum(needs) else None
        found = []
        for number, mouth in enumerate(mouths):
            heard = around(sound, number / FPS, needs) if sound is not None and mouth.any() else None
            face = FaceInput(mouth, activity=Activity.SPEAKING, sound=heard)
            pts = Pts((self._next + number) * NS_PER_S // FPS)
            pixels = self._scene.draw(pts, face).pixels
            rgb = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_YUV2RGB_I420), np.uint8)
            found.append(cut(rgb, affine_of(self._rest, self._scene.to_patch(self._scene.shown))))
        self._next += len(mouths) + _PAUSE_FRAMES
        return np.stack(found)

    def close(self) -> None:
        """Free what the network holds. Idempotent."""
        if self._drawer is not None:
            self._drawer.close()


@dataclass(frozen=True, slots=True)
class Truth:
    """What truth shows."""

    pictures: Pixels
    """uint8[T, 96, 128, 3]."""
    opening: Floats
    """float32[T, 2]: height and width of the mouth's inside in pixels, off the label maps."""


class TruthStage:
    """The same character drawn by the studio, in its own light, looking ahead."""

    def __init__(self, character: Path, renderer: TruthRenderer) -> None:
        """Build the person, for seconds; `renderer`: of pictures of `clips.SIZE`. Raises StudioError."""
        who = load_character(character)
        self._person = renderer.person(who, digest("strands", character.stem) & 0x7FFF_FFFF)
        self._shot = replace(Shot(), light=who.light, scale=_SCALE, offset=_OFFSET)
        self._region = REGION.affine(self._person.frame(Pose(), self._shot).landmarks, CUT)

    def truth(self, mouths: Floats) -> Truth:
        """Return pictures and openings of poses (float32[T, 7]); some 25 ms each."""
        pictures, labels = [], []
        size = (CUT[1], CUT[0])
        for mouth in mouths:
            frame = self._person.frame(Pose(mouth=mouth), self._shot)
            pictures.append(cut(frame.rgb, self._region))
            labels.append(cv2.warpAffine(frame.masks, self._region, size, flags=cv2.INTER_NEAREST))
        return Truth(np.stack(pictures), true_opening(np.stack(labels)))


def affine_of(rest: Floats, to_patch: Floats) -> Floats:
    """Return the affine float32[2, 3] from indices of a picture's pixels to those of its mouth region.

    `rest` float32[41, 2]: landmarks of the mouth at rest in the patch; `to_patch`: `ClipScene.to_patch`.
    """
    # The scene's is for places (centres at +0.5), the region's for indices.
    indices = to_patch.astype(np.float64)
    indices[:, 2] += indices[:, :2] @ np.array([0.5, 0.5]) - 0.5
    return np.asarray(REGION.affine(rest, CUT) @ np.vstack((indices, [0, 0, 1])), np.float32)


def around(sound: Samples, at_s: float, span_s: tuple[float, float]) -> Samples:
    """Return the sound (float32[N] at SAMPLE_RATE) around a moment; what lies outside of it is silence."""
    first, last = (round(s * SAMPLE_RATE) for s in (at_s - span_s[0], at_s + span_s[1]))
    found = np.zeros(round(sum(span_s) * SAMPLE_RATE), np.float32)
    low, high = max(0, first), min(sound.size, first + found.size, last)
    if low < high:
        found[low - first : high - first] = sound[low:high]
    return found
