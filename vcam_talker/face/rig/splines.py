"""All curves of a figure at once: from points on the outlines to Skia paths.

One pass of numpy computes the Bézier handles of every shape. Building the paths call by call would then cost
a fifth of a frame, so the points are written straight into Skia's own serialised form of the paths.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import skia

from vcam_talker.face.rig.geometry import Flags, Points

_HANDLE: Final = 0.36
"""Handle length per chord: 0.347 is exact for a circle through 8 points, 0.39 through 4."""
_Index = npt.NDArray[np.intp]


class Splines:
    """Closed shapes that share one array of points. Add them all, then ask for `paths` at any time."""

    def __init__(self) -> None:
        self._next: list[_Index] = []
        self._prev: list[_Index] = []
        self._corners: list[Flags] = []
        self._ranges: list[tuple[int, int]] = []
        self._path_of: list[int] = []
        self._compiled: _Compiled | None = None

    @property
    def count(self) -> int:
        """Points of all shapes added so far."""
        return self._ranges[-1][1] if self._ranges else 0

    def add(self, corners: Flags) -> int:
        """Append a closed shape with one point per flag; returns its number."""
        n, start = len(corners), self.count
        index = np.arange(n, dtype=np.intp)
        self._next.append(start + (index + 1) % n)
        self._prev.append(start + (index - 1) % n)
        self._corners.append(np.asarray(corners, np.bool_))
        self._ranges.append((start, start + n))
        self._path_of.append(len(self._path_of))
        self._compiled = None
        return len(self._ranges) - 1

    @property
    def shapes(self) -> int:
        """Shapes added so far."""
        return len(self._ranges)

    def range_of(self, shapes: Flags) -> slice:
        """Return where the points of the flagged shapes lie; they were added one after the other."""
        chosen = np.flatnonzero(shapes)
        if not len(chosen):
            return slice(0, 0)
        return slice(self._ranges[chosen[0]][0], self._ranges[chosen[-1]][1])

    def join(self, shape: int, other: int) -> None:
        """Make `other` a further contour of the path of `shape`, so that both are drawn in one go."""
        self._path_of[other] = self._path_of[shape]
        self._compiled = None

    def span(self, shape: int) -> slice:
        """Return where the shape's points lie in the array."""
        return slice(*self._ranges[shape])

    def bounds(self, points: Points, shapes: Flags) -> tuple[float, float, float, float] | None:
        """Return left, top, right, bottom of the points of the flagged shapes; None when there are none."""
        starts = [first for first, _ in self._ranges]
        low = np.minimum.reduceat(points, starts)[shapes]
        if not len(low):
            return None
        high = np.maximum.reduceat(points, starts)[shapes]
        (left, top), (right, bottom) = low.min(0).tolist(), high.max(0).tolist()
        return left, top, right, bottom

    def moved(self, before: Points, after: Points, by_px: float) -> Flags:
        """Return per shape whether any of its points moved by more than `by_px`."""
        far = np.abs(after - before).max(1)
        flags: Flags = np.maximum.reduceat(far, [first for first, _ in self._ranges]) > by_px
        return flags

    def paths(self, points: Points) -> list[skia.Path]:
        """Return a path per shape through `points` float64[count, 2]; reused by the next call.

        The path of a shape joined to another one is empty.
        """
        if self._compiled is None:
            members: list[list[tuple[int, int]]] = [[] for _ in self._ranges]
            for shape, path in enumerate(self._path_of):
                members[path].append(self._ranges[shape])
            self._compiled = _Compiled(
                np.concatenate(self._next), np.concatenate(self._prev), np.concatenate(self._corners), members
            )
        return self._compiled.paths(points)


class _Compiled:
    """Index arrays and buffers for a fixed set of shapes."""

    def __init__(
        self, after: _Index, before: _Index, corners: Flags, members: list[list[tuple[int, int]]]
    ) -> None:
        self._after, self._before = after, before
        self._straight = np.where(corners, _HANDLE, 0.0)
        self._curved = np.where(corners, 0.0, _HANDLE)
        self._straight_after, self._curved_after = self._straight[after], self._curved[after]
        self._paths = [skia.Path() for _ in members]
        self._segments = np.empty((len(after), 3), np.complex128)
        blobs: list[bytes] = []
        starts: list[npt.NDArray[np.intp]] = []
        targets: list[npt.NDArray[np.intp]] = []
        order: list[npt.NDArray[np.intp]] = []
        firsts: list[int] = []
        at = 0
        for ranges in members:
            blob, offset = _template([end - first for first, end in ranges])
            blobs.append(blob)
            place = (at + offset) // 4
            for first, end in ranges:
                n = end - first
                starts.append(np.array([place, place + 1]))
                firsts.append(first)
                targets.append(np.arange(place + 2, place + 2 + 6 * n))
                order.append(np.arange(first, end))
                place += 2 + 6 * n
            at += len(blob)
        self._buffer = bytearray(b"".join(blobs))
        self._floats = np.frombuffer(self._buffer, np.float32)
        self._order = np.concatenate(order)
        self._targets, self._starts = np.concatenate(targets), np.concatenate(starts)
        self._firsts = np.array(firsts, np.intp)
        view = memoryview(self._buffer)
        ends = np.cumsum([len(blob) for blob in blobs]).tolist()
        self._views = [view[end - len(blob) : end] for end, blob in zip(ends, blobs, strict=True)]

    def paths(self, points: Points) -> list[skia.Path]:
        # Complex numbers halve the number of passes: x + iy.
        z = np.ascontiguousarray(points).view(np.complex128)[:, 0]
        ahead = z[self._after]
        chord = ahead - z
        tangent = ahead - z[self._before]
        tangent /= np.abs(tangent) + 1e-9
        length = np.abs(chord)
        segments = self._segments
        segments[:, 0] = z + chord * self._straight + tangent * (self._curved * length)
        segments[:, 1] = (
            ahead - chord * self._straight_after - tangent[self._after] * (self._curved_after * length)
        )
        segments[:, 2] = ahead
        self._floats[self._targets] = segments[self._order].view(np.float64).ravel()
        self._floats[self._starts] = z[self._firsts].view(np.float64)
        for path, view in zip(self._paths, self._views, strict=True):
            path.readFromMemory(view)
        return self._paths


def _template(counts: list[int]) -> tuple[bytes, int]:
    """Return a serialised path of closed contours of `counts` cubics each, and its points' offset in bytes.

    The layout is Skia's own business; all that is assumed here is that the points lie in one piece, and where
    they lie is looked up.
    """
    path = skia.Path()
    # Whole numbers that occur nowhere else in the blob.
    marks = iter(range(1_000_003, 2_000_000))
    written: list[float] = []

    def take(n: int) -> list[float]:
        values = [float(next(marks)) for _ in range(n)]
        written.extend(values)
        return values

    for count in counts:
        path.moveTo(*take(2))
        for _ in range(count):
            path.cubicTo(*take(6))
        path.close()
    blob = bytes(path.serialize())
    offset = blob.find(np.array(written, np.float32).tobytes())
    if offset < 0 or offset % 4 or len(blob) % 4:
        raise RuntimeError(f"skia-python {skia.__version__} serialises paths in an unknown way")
    return blob, offset
