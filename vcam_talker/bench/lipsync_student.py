"""What draws the built-in presenters' mouths: its network alone, and through to a composed picture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from vcam_talker.bench.options import Options
from vcam_talker.bench.report import Report, percentile
from vcam_talker.config import LipsConfig
from vcam_talker.core.clock import frame_pts
from vcam_talker.core.paths import DEFAULT_PERSONA
from vcam_talker.core.types import Activity, Emotion, FaceInput
from vcam_talker.face.clip.evaluate import FPS, mouths_of
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.evaluate import SENTENCES, speak
from vcam_talker.face.neural.drawer import LocalDrawer
from vcam_talker.face.neural.package import Package, choose_model, load_package
from vcam_talker.face.neural.patches import neural_mouths
from vcam_talker.face.phonemes import PhonemeDriver
from vcam_talker.inference import Session, open_session
from vcam_talker.inference.candidates import candidates
from vcam_talker.inference.engines import find_engine
from vcam_talker.inference.model import find_model
from vcam_talker.inference.processor import this_processor
from vcam_talker.inference.session import noise
from vcam_talker.persona import Persona, load_persona

_SIZE: Final = (1280, 720)
MOUTH: Final = "student's mouth"
"""The network's part that runs for every frame."""
FACE: Final = "student's face"
"""The one that runs for faces that look like none before."""
_PARTS: Final = {MOUTH: "mouth", FACE: "face"}
_FRAMES: Final = 300
_WARM_FRAMES: Final = 30
_VOICE: Final = "slt"
_ABSENT: Final = "no model for lips is installed with the package: its figures are left out"


def open_parts(options: Options, threads: int) -> Iterator[tuple[str, Session]]:
    """Yield sessions of MOUTH and FACE, on every engine of the processor; none of another kind of network."""
    package = _package(_persona(options))
    if package is not None and package.spec.kind == "pose":
        for name, part in _PARTS.items():
            for session in _open(package, part, threads):
                yield name, session


def _open(package: Package, part: str, threads: int) -> Iterator[Session]:
    path, variants = package.network(part)
    for candidate in candidates(find_model(path, variants), "auto", "auto", this_processor())[0]:
        if not find_engine(candidate.engine).on_gpu:
            with closing(
                open_session(path, candidate.engine, candidate.precision, threads, variants=variants)
            ) as flexible:
                example = noise(flexible.inputs)
            yield open_session(
                path, candidate.engine, candidate.precision, threads, variants=variants, example=example
            )


def add_composed(report: Report, options: Options) -> float:
    """Draw a talking presenter at 1280x720: clip decoded, mouth by the network, blended into the frame.

    In this process, with as many threads as there are cores; on air the network has a process of its own.
    Returns for how many of the frames the network had to look at the face; from the first one on, so it is
    more than in a show of hours. Raises EngineError, PersonaError.
    """
    persona = _persona(options)
    package = _package(persona)
    if package is None:
        report.notes.append(_ABSENT)
        return 1.0
    drawer = LocalDrawer(persona, package, _SIZE, LipsConfig(threads=this_processor().cores))
    try:
        scene = ClipScene(persona, *_SIZE, mouths=neural_mouths(persona, package, _SIZE, drawer))
        before = drawer.faces_computed
        times_ms = list(_drawn(scene))
        looks = (drawer.faces_computed - before) / (_WARM_FRAMES + _FRAMES)
        report.notes.append(
            f"{persona.name}, {drawer.label}: {len(times_ms)} frames of speech, {_SIZE[0]}x{_SIZE[1]}"
        )
    finally:
        drawer.close()
    for share, bar in ((50, 100.0), (95, 50.0)):
        frames_per_s = 1000 / percentile(times_ms, share)
        report.add(f"student, composed frame, p{share}", frames_per_s, "frames/s", bar, at_least=True)
    report.add("student: frames whose face is like none before", 100 * looks, "%")
    return looks


def _persona(options: Options) -> Persona:
    return load_persona(options.persona or DEFAULT_PERSONA)


def _package(persona: Persona) -> Package | None:
    folder = choose_model(persona, LipsConfig())
    return None if folder is None else load_package(folder)


def _drawn(scene: ClipScene) -> Iterator[float]:
    """Yield how long each frame of speech took, ms, after some that don't count."""
    driver = PhonemeDriver()
    mouths = [mouth for text in SENTENCES for mouth in mouths_of(driver.drive(speak(text, _VOICE)))]
    moving = [mouth for mouth in mouths if any(mouth)]
    for number in range(_WARM_FRAMES + _FRAMES):
        face = FaceInput(moving[number % len(moving)], Emotion.NEUTRAL, Activity.SPEAKING, 0.5)
        begun_ns = time.perf_counter_ns()
        scene.draw(frame_pts(number, FPS), face)
        if number >= _WARM_FRAMES:
            yield (time.perf_counter_ns() - begun_ns) / 1e6
