"""What a presenter made of pictures consists of, read from `face.npz` and checked.

The format (version 1) is described in docs/faces.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.errors import PersonaError
from vcam_talker.core.types import Activity, Emotion
from vcam_talker.face.clip.archive import Archive, Floats

OUTER: Final = slice(0, 20)
"""Landmarks of the lips' outer edge: from the corner at the viewer's left over the upper lip, back below."""
INNER: Final = slice(20, 32)
"""Of the inner edge, in the same order: 0 and 6 are the corners, k and 12 - k lie above each other."""
JAW: Final = slice(32, 41)
"""Along the jaw, from the viewer's left."""
SEALED: Final = 0.08
"""Of the mouth's width: how far the inner edges of lips that touch may lie apart."""
_POINTS: Final = 41
_VERSION: Final = 1
_MAX_FRAMES: Final = 36_000
_MAX_SEGMENTS: Final = 2_000
_MAX_PATCH_BYTES: Final = 160_000_000
"""All mouth patches stay in memory."""
_MAX_PX: Final = 3840


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the clip that leads from one anchor to another."""

    first: int
    """Frame of the clip, a keyframe."""
    frames: int
    activity: Activity
    begins: str
    """Name of the anchor that its first frame follows."""
    ends: str
    """Name of the anchor that its last frame shows."""


@dataclass(frozen=True, slots=True)
class FaceAssets:
    """Everything but the pictures. Coordinates are of pixel centres at +0.5; angles in degrees."""

    path: Path
    fps: int
    size: tuple[int, int]
    """Width and height of the clip."""
    segments: tuple[Segment, ...]
    frame_to_patch: Floats
    """float32[T, 2, 3]: from pixels of a frame of the clip to pixels of the patch."""
    frame_view: Floats
    """float32[T, 2]: yaw and pitch of the head."""
    yaws: Floats
    """float32[A], rising: of the views that patches exist for."""
    pitches: Floats
    """float32[B], rising."""
    shapes: Floats
    """float32[N, 7]: mouth poses that patches exist for, the first at rest."""
    landmarks: Floats
    """float32[A * B, N, 41, 2] in pixels of the patch, pitch running fastest."""
    mask: npt.NDArray[np.uint8]
    """uint8[h, w]: how much of the patch shows."""
    emotions: tuple[Emotion, ...]
    emotion_flow: Floats
    """float32[E, hf, wf, 2]: where to fetch a point of the face canvas from, in pixels of the patch."""
    emotion_ratio: Floats
    """float32[E, hf, wf]: what its luma is multiplied by."""
    face_canvas: tuple[float, float, float, float]
    """left, top, right, bottom of the canvas in pixels of the patch."""

    @property
    def patch_size(self) -> tuple[int, int]:
        """Width and height of a patch."""
        return int(self.mask.shape[1]), int(self.mask.shape[0])

    @property
    def patches(self) -> int:
        """How many patches there are: views times shapes."""
        return int(self.landmarks.shape[0] * self.landmarks.shape[1])

    def refitted(
        self, mask: npt.NDArray[np.uint8], factor: tuple[float, float], corner: tuple[int, int]
    ) -> FaceAssets:
        """Return the same face for patches scaled by `factor`, then cut to `mask` that lies at `corner`."""
        scale, origin = np.array(factor, np.float32), np.array(corner, np.float32)
        to_patch = self.frame_to_patch * scale[:, None]
        to_patch[:, :, 2] -= origin
        left, top, right, bottom = self.face_canvas
        return replace(
            self,
            mask=mask,
            frame_to_patch=to_patch,
            landmarks=self.landmarks * scale - origin,
            emotion_flow=self.emotion_flow * scale,
            face_canvas=(
                left * factor[0] - corner[0],
                top * factor[1] - corner[1],
                right * factor[0] - corner[0],
                bottom * factor[1] - corner[1],
            ),
        )


def load_assets(path: Path) -> FaceAssets:
    """Read and check `path`. Raises PersonaError, which names the file, what is wrong and what to do."""
    with Archive(path) as archive:
        version = archive.integer("version", 0, 1_000_000)
        if version != _VERSION:
            raise PersonaError(
                str(path),
                f"has format {version}, this program reads {_VERSION}",
                "Make the persona anew with the studio of this version",
            )
        fps = archive.integer("fps", 10, 60)
        width, height = (int(v) for v in archive.integers("size", (2,), 2, _MAX_PX))
        to_patch = archive.floats("frame_to_patch", (None, 2, 3), 1e5)
        frames = len(to_patch)
        archive.check(1 <= frames <= _MAX_FRAMES, f"has {frames} frames, not 1 to {_MAX_FRAMES}")
        turn = to_patch[:, 0, 0] * to_patch[:, 1, 1] - to_patch[:, 0, 1] * to_patch[:, 1, 0]
        archive.check(
            bool((turn > 1e-3).all() and (turn < 1e3).all()), "'frame_to_patch' flips or flattens the face"
        )
        segments = _segments(archive, frames)
        yaws, pitches = _grid(archive)
        shapes = archive.floats("shapes", (None, 7), 1.0)
        archive.check(1 <= len(shapes) <= 256, f"has {len(shapes)} mouth shapes, not 1 to 256")
        archive.check(not shapes[0].any(), "'shapes' must begin with the mouth at rest, all zeros")
        archive.check(len(np.unique(shapes, axis=0)) == len(shapes), "'shapes' holds a mouth twice")
        mask = archive.bytes_("mask", (None, None))
        rows, columns = mask.shape
        archive.check(
            16 <= rows <= 1024 and 16 <= columns <= 1024 and rows % 2 == 0 and columns % 2 == 0,
            f"'mask' is {columns}x{rows}, not even and 16 to 1024",
        )
        border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        archive.check(not border.any(), "'mask' does not fade to 0 at its border")
        archive.check(bool(mask.max() > 127), "'mask' lets nothing through")
        views = len(yaws) * len(pitches)
        archive.check(
            views * len(shapes) * rows * columns * 3 // 2 <= _MAX_PATCH_BYTES,
            f"{views} views of {len(shapes)} mouths of {columns}x{rows} take too much memory",
        )
        landmarks = archive.floats("landmarks", (views, len(shapes), _POINTS, 2), 1e4)
        inner = landmarks[:, :, INNER]
        archive.check(
            bool((inner[:, :, 0, 0] < inner[:, :, 6, 0]).all()),
            "'landmarks' of the inner lips must begin at the corner at the viewer's left",
        )
        drop = (inner[:, :, :6:-1, 1] - inner[:, :, 1:6, 1]).mean(-1)
        wide = inner[:, :, 6, 0] - inner[:, :, 0, 0]
        # Pressed lips meet in front of their edges, which then lie one behind the other.
        archive.check(
            bool((drop > -SEALED * wide).all()), "'landmarks' must run along the upper lip before the lower"
        )
        emotions, flow, ratio, canvas = _emotions(archive)
        return FaceAssets(
            path,
            fps,
            (width, height),
            segments,
            to_patch,
            archive.floats("frame_view", (frames, 2), 90.0),
            yaws,
            pitches,
            shapes,
            landmarks,
            mask,
            emotions,
            flow,
            ratio,
            canvas,
        )


def _segments(archive: Archive, frames: int) -> tuple[Segment, ...]:
    first = archive.integers("segment_first", (None,), 0, frames - 1)
    count = len(first)
    archive.check(1 <= count <= _MAX_SEGMENTS, f"has {count} segments, not 1 to {_MAX_SEGMENTS}")
    length = archive.integers("segment_frames", (count,), 2, frames)
    archive.check(bool((first + length <= frames).all()), "a segment ends after the clip")
    found = []
    rows = zip(
        first.tolist(),
        length.tolist(),
        archive.names("segment_activity", count),
        archive.names("segment_from", count),
        archive.names("segment_to", count),
        strict=True,
    )
    for begin, many, activity, begins, ends in rows:
        archive.check(activity in tuple(Activity), f"'{activity[:20]}' is no activity of a segment")
        found.append(Segment(begin, many, Activity(activity), begins, ends))
    begun = {segment.begins for segment in found}
    for segment in found:
        archive.check(segment.ends in begun, f"no segment goes on from anchor '{segment.ends[:20]}'")
    archive.check(any(s.activity is Activity.IDLE for s in found), "has no idle segment")
    return tuple(found)


def _grid(archive: Archive) -> tuple[Floats, Floats]:
    views = archive.floats("views", (None, 2), 90.0)
    archive.check(1 <= len(views) <= 121, f"has {len(views)} views, not 1 to 121")
    yaws, pitches = np.unique(views[:, 0]), np.unique(views[:, 1])
    product = np.stack(np.meshgrid(yaws, pitches, indexing="ij"), -1).reshape(-1, 2)
    archive.check(
        product.shape == views.shape and bool(np.array_equal(product, views)),
        "'views' is no grid of rising yaws and pitches, pitch running fastest",
    )
    return yaws, pitches


def _emotions(
    archive: Archive,
) -> tuple[tuple[Emotion, ...], Floats, Floats, tuple[float, float, float, float]]:
    names = archive.names("emotions", None)
    known = tuple(Emotion)
    for name in names:
        archive.check(name in known and name != Emotion.NEUTRAL, f"'{name[:20]}' is no emotion to be shown")
    archive.check(len(set(names)) == len(names), "'emotions' holds one twice")
    flow = archive.floats("emotion_flow", (len(names), None, None, 2), 500.0)
    rows, columns = flow.shape[1:3]
    archive.check(2 <= rows <= 1024 and 2 <= columns <= 1024, "'emotion_flow' is not 2 to 1024 points wide")
    ratio = archive.bytes_("emotion_ratio", (len(names), rows, columns)).astype(np.float32)
    ratio /= np.float32(128)
    left, top, right, bottom = (float(v) for v in archive.floats("face_canvas", (4,), 1e4))
    archive.check(right - left >= 2 and bottom - top >= 2, "'face_canvas' has no area")
    return tuple(Emotion(name) for name in names), flow, ratio, (left, top, right, bottom)
