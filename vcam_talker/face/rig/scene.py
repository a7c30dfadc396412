"""The scene of a vector rig: draws a persona's presenter in air, frame by frame."""

from __future__ import annotations

from typing import Final

import numpy as np

from vcam_talker.core.stages import NO_NEEDS
from vcam_talker.core.types import NS_PER_S, Activity, FaceInput, MouthPose, Pixels, Pts, VideoFrame
from vcam_talker.face.rig import mouth as mouth_shapes
from vcam_talker.face.rig.backdrop import render_backdrop
from vcam_talker.face.rig.canvas import YuvCanvas
from vcam_talker.face.rig.geometry import Points
from vcam_talker.face.rig.painter import Painter
from vcam_talker.face.rig.pose import Poser
from vcam_talker.face.rig.style import RigStyle, load_style
from vcam_talker.face.size import check_size
from vcam_talker.persona import Persona

_STILL_PX: Final = 0.7
"""While no point moved further than this since the last picture, it is not drawn again: the idle sway then
takes five to eight steps a second; only the tips of the hair move that far, the face half as much."""
_STILL_TALKING_PX: Final = 0.12
_CALM_NS: Final = 60_000_000
"""While the presenter only sways, the figure is looked at this often: every second frame at 30 fps."""
_CALM_PX: Final = 1.2
"""Faster motion than this since the last look (a blink, a glance, a change of mood) is no calm."""


class RigScene:
    """Draws a presenter (`core.stages.Scene`). Never blocks; one thread.

    All motion is a function of time, so the frame rate may be anything. Raises PersonaError for a malformed
    rig file and ConfigError for a size that can't be drawn.
    """

    needs = NO_NEEDS

    def __init__(self, persona: Persona, width: int, height: int, seed: int | None = None) -> None:
        check_size(width, height)
        style = load_style(persona.root / persona.face.file)
        self._style = style
        self._persona = persona
        self._size = (width, height)
        figure = style.figure
        # A narrow picture shrinks the figure until its shoulders fit.
        unit = min(height / 720, width / 640)
        self._painter = Painter(
            style, (width, height), figure.scale * unit, (figure.x * width, figure.y * height)
        )
        seed = persona.face.seed if seed is None else seed
        self._poser = Poser(persona, style, seed)
        self._canvas = YuvCanvas(render_backdrop(style, width, height))
        self._drawn: Points | None = None
        self._state: tuple[object, ...] = ()
        self._pixels: Pixels | None = None
        self._looked_at: Points | None = None
        self._calm_until = Pts(0)
        self._still = self.posed(figure.yaw, figure.pitch, figure.roll)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, both even."""
        return self._size

    @property
    def style(self) -> RigStyle:
        """The rig file."""
        return self._style

    def forget(self) -> None:
        """Draw the next picture as a whole."""
        self._drawn = None
        self._calm_until = Pts(0)

    def draw(self, pts: Pts, face: FaceInput) -> VideoFrame:
        """Return the picture for `pts` in yuv420p; the same pixels object while nothing visibly moves."""
        idle = face.activity is Activity.IDLE and not face.mouth.any()
        if idle and self._pixels is not None and self._calm_until - _CALM_NS <= pts < self._calm_until:
            return VideoFrame(pts, self._pixels)
        pose = self._poser.at(pts / NS_PER_S, face)
        points = self._painter.points(pose)
        if idle and self._looked_at is not None and np.abs(points - self._looked_at).max() < _CALM_PX:
            self._calm_until = Pts(pts + _CALM_NS)
        else:
            self._calm_until = Pts(0)
        self._looked_at = points
        still_px = _STILL_TALKING_PX if face.activity is Activity.SPEAKING else _STILL_PX
        if (
            self._drawn is None
            or self._pixels is None
            or self._painter.state() != self._state
            or np.abs(points - self._drawn).max() > still_px
        ):
            self._pixels = self._render(points)
        return VideoFrame(pts, self._pixels)

    def still(self) -> VideoFrame:
        """Return the resting portrait. Never raises."""
        return self._still

    def posed(self, yaw: float, pitch: float, roll: float, blink: float = 0.0) -> VideoFrame:
        """Return the portrait with the head turned (degrees) and the lids shut by `blink` 0 .. 1."""
        pose = Poser(self._persona, self._style, 0).at(0.0, FaceInput())
        pose.yaw, pose.pitch, pose.roll = yaw, pitch, roll
        pose.lids = (1.0 - blink, 1.0 - blink)
        pose.gaze_x = pose.gaze_y = 0.0
        return VideoFrame(Pts(0), self._render(self._painter.points(pose)))

    def aperture_px(self, mouth: MouthPose) -> float:
        """Return the gap between the lips in pixels as it is drawn; exactly 0.0 for a mouth drawn shut."""
        return mouth_shapes.aperture_px(mouth, self._style.mouth, self._painter.scale)

    def _render(self, points: Points) -> Pixels:
        box = self._painter.changed(self._drawn if self._painter.state() == self._state else None, points)
        if box is not None:
            canvas = self._canvas.begin(self._canvas.region(*box))
            self._painter.paint(canvas, points)
        self._drawn, self._state = points, self._painter.state()
        return self._canvas.finish()
