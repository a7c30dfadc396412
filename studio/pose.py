"""What a presenter's body does at one moment. Signs as in the daemon's own idle life (`face/rig/idle.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vcam_talker.core.types import Emotion, MouthPose, rest_mouth


@dataclass(frozen=True, slots=True)
class Pose:
    """All that moves, in physical units; the default is the presenter at rest, looking at the viewer."""

    mouth: MouthPose = field(default_factory=rest_mouth)
    """float32[7], see `core.types.MOUTH_PARAMS`."""
    emotion: Mapping[Emotion, float] = field(default_factory=dict)
    """How strongly each shows, 0 to 1, mouth corners included."""
    yaw_deg: float = 0.0
    """Of the head, to the viewer's right."""
    pitch_deg: float = 0.0
    """Up."""
    roll_deg: float = 0.0
    """Clockwise as the viewer sees it."""
    shift_cm: float = 0.0
    """Weight moved to the viewer's right: shoulders half as far as the head."""
    lean_cm: float = 0.0
    """Towards the viewer."""
    breath: float = 0.0
    """-1 empty to 1 full."""
    gaze_right_deg: float = 0.0
    """Of both eyes against looking at the viewer, whatever the head does."""
    gaze_up_deg: float = 0.0
    lids: tuple[float, float] = (0.0, 0.0)
    """The viewer's left eye and right eye: 0 open, 1 shut, below 0 wider open (to -0.4)."""
    brow_up: tuple[float, float] = (0.0, 0.0)
    """-1 down to 1 up, the viewer's left and right, on top of the emotion."""
    brow_inner: float = 0.0
    """0 to 1: inner ends up and together (concern), on top of the emotion."""
    smile: float = 0.0
    """0 to 1: a smile with shut lips, on top of the emotion; small ones make micro-expressions."""
    squint: float = 0.0
    """0 to 1: lower lids up."""
