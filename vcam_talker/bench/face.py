"""What a presenter made of pictures looks like in figures, and what drawing it costs."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np

from vcam_talker.bench.options import Options
from vcam_talker.bench.processes import rss_mb
from vcam_talker.bench.report import Report
from vcam_talker.core.clock import frame_pts
from vcam_talker.core.errors import PersonaError
from vcam_talker.core.types import Activity, Emotion, FaceInput, MouthPose, MouthTrack, Speech
from vcam_talker.face.clip.assets import load_assets
from vcam_talker.face.clip.evaluate import (
    FPS,
    Seam,
    gap_in_silence_px,
    idle_motion,
    loop_peak,
    mouths_of,
    shut_bilabials,
)
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.clip.video import Decoder
from vcam_talker.face.evaluate import SENTENCES, speak
from vcam_talker.face.phonemes import PhonemeDriver
from vcam_talker.persona import Persona, list_personas, load_persona

_VOICES = ("slt", "rms", "awb", "kal")
_SIZE = (1280, 720)
_LIFE_MIN = 10.0
_SEAM_EVERY = 5
"""Frames."""
_DEFAULT_S = 10.0
_REST_FRAMES = 60


def run(options: Options) -> Report:
    """Measure one persona, or every one that is made of pictures. Raises PersonaError, EngineError."""
    report = Report("face")
    names = [options.persona] if options.persona else [p.name for p in list_personas() if p.language]
    chosen = [p for p in map(load_persona, names) if p.face.kind == "clip"]
    if not chosen and options.persona:
        raise PersonaError(
            f"persona '{options.persona}'",
            'is not made of pictures (face.kind is not "clip")',
            "Name one that is, or leave --persona out to measure all of them",
        )
    if not chosen:
        report.notes.append("no persona here is made of pictures")
        return report
    driver = PhonemeDriver()
    spoken: list[tuple[Speech, MouthTrack]] = []
    for voice in _VOICES:
        for text in SENTENCES:
            driver.reset()
            speech = speak(text, voice)
            spoken.append((speech, driver.drive(speech)))
    for persona in chosen:
        _measure(persona, spoken, options.seconds or _DEFAULT_S, report)
    report.notes.append(f"{len(spoken)} sentences in {len(_VOICES)} voices, {_LIFE_MIN:.0f} min of idle life")
    return report


def _measure(
    persona: Persona, spoken: list[tuple[Speech, MouthTrack]], seconds: float, report: Report
) -> None:
    name, before_mb = persona.name, rss_mb()
    scene = ClipScene(persona, *_SIZE)
    seam, number = Seam(), 0
    for _, track in spoken:
        for k, mouth in enumerate(mouths_of(track)):
            if k % _SEAM_EVERY == 0:
                seam.look(scene, number, mouth)
            number += 1
    report.add(f"{name}: seam, against the bare clip", seam.added, "x", 1.1)
    report.add(f"{name}: gradient at the mask's border / inside", seam.against_inside, "x")
    report.add(f"{name}: pixels that silence changes", _changed_at_rest(persona, number), "px", 0)
    gap_px = max(gap_in_silence_px(scene, *pair) for pair in spoken)
    report.add(f"{name}: gap between the lips in silence", gap_px, "px", 0)
    good, count = np.sum([shut_bilabials(scene, *pair) for pair in spoken], axis=0).tolist()
    report.add(f"{name}: bilabials shut on their frames", 100 * good / count, "%", 98, at_least=True)
    motion = idle_motion(scene.assets, persona.face.seed, _LIFE_MIN)
    report.add(f"{name}: loop, autocorrelation at 2 to 60 s", loop_peak(motion, scene.assets.fps), "", 0.5)
    talk = [mouth for _, track in spoken for mouth in mouths_of(track)]
    frames = round(seconds * FPS)
    idle = (FaceInput() for _ in range(frames))
    talking = (_saying(talk, n, Emotion.NEUTRAL) for n in range(frames))
    moved = (_saying(talk, n, Emotion.HAPPY) for n in range(frames))
    report.add(f"{name}: drawing, idle", _load(scene, number, idle), "% core", 8)
    report.add(f"{name}: drawing, talking", _load(scene, number + frames, talking), "% core", 20)
    report.add(f"{name}: drawing, talking with a mood", _load(scene, number + 2 * frames, moved), "% core")
    report.add(f"{name}: memory that it takes", rss_mb() - before_mb, "MB")


def _saying(talk: list[MouthPose], n: int, emotion: Emotion) -> FaceInput:
    return FaceInput(talk[n % len(talk)], emotion, Activity.SPEAKING, 0.5)


def _load(scene: ClipScene, first: int, faces: Iterable[FaceInput]) -> float:
    """Return the processor time of drawing at 30 fps, decoding included, in per cent of a core."""
    scene.draw(frame_pts(first, FPS), FaceInput())
    began_s, count = time.process_time(), 0
    for count, face in enumerate(faces, 1):
        scene.draw(frame_pts(first + count, FPS), face)
    return 100 * (time.process_time() - began_s) / count * FPS


def _changed_at_rest(persona: Persona, first: int) -> int:
    """Return how many pixels of two seconds at rest differ from the clip's own."""
    assets = load_assets(persona.root / persona.face.file)
    scene = ClipScene(persona, *assets.size)
    decoder = Decoder(scene.video, lambda pixels: pixels)
    changed = 0
    for n in range(first, first + _REST_FRAMES):
        drawn = scene.draw(frame_pts(n, assets.fps), FaceInput()).pixels
        keyframe = max(k for k in scene.video.keyframes if k <= scene.shown)
        changed += int((drawn != decoder.read(scene.shown, keyframe)).sum())
    decoder.close()
    return changed
