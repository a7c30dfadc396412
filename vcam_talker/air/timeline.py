"""The timeline: speech that waits to be heard, in quanta of 10 ms that carry sound and mouth together.

Sound and mouth of one quantum can't drift apart: they are one element of one queue. What has left the
queue is kept for two seconds, so that the picture for a PTS finds the mouth of exactly that PTS. A
quantum nobody filled is silence with the mouth at rest.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vcam_talker.core.clock import sample_pts
from vcam_talker.core.types import (
    MOUTH_RATE_HZ,
    NO_TURN,
    NS_PER_S,
    SAMPLE_RATE,
    AudioChunk,
    MouthPose,
    Playout,
    Pts,
    Samples,
    TurnId,
    rest_mouth,
)
from vcam_talker.core.wire import QUANTUM

QUANTUM_NS = NS_PER_S // MOUTH_RATE_HZ
_HISTORY = 2 * MOUTH_RATE_HZ
# RMS at which speech counts as loud; levelled speech peaks there.
_LOUD_RMS = 0.16


@dataclass(frozen=True, slots=True)
class Quantum:
    """10 ms of a turn: samples float32[480], mouth float32[7]."""

    turn: TurnId
    samples: Samples
    mouth: MouthPose
    energy: float


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """A turn's first quantum left for the devices, or its last one did."""

    kind: Literal["started", "ended"]
    turn: TurnId
    pts: Pts
    playout: Playout | None = None


@dataclass(frozen=True, slots=True)
class FaceSample:
    """What the timeline knows of the face at one PTS; `turn` is NO_TURN in silence between turns."""

    mouth: MouthPose
    energy: float
    turn: TurnId


_SILENT = Quantum(NO_TURN, np.zeros(QUANTUM, np.float32), rest_mouth(), 0.0)


class Timeline:
    """Thread-safe queue of quanta of one turn at a time: the next one is pushed when this one has ended.

    One thread pulls (playout); any thread may push, finish or flush.

    `listener` is called for every TimelineEvent, outside the lock, on the thread that caused it.
    """

    def __init__(self, listener: Callable[[TimelineEvent], None] = lambda _event: None) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._waiting: deque[Quantum] = deque()
        self._gone: deque[Quantum] = deque(maxlen=_HISTORY)
        self._pulled = 0
        self._turn = NO_TURN
        self._played = 0
        self._pushed = 0
        self._complete = False
        self._dead_up_to = NO_TURN
        self._fade: Samples | None = None

    def push(self, turn: TurnId, samples: Samples, mouth: npt.NDArray[np.float32]) -> None:
        """Append speech: float32[K * 480] and one pose a quantum, float32[K, 7].

        Speech of a dead turn is dropped. Raises ValueError when the shapes do not fit each other.
        """
        count = len(mouth)
        if samples.shape != (count * QUANTUM,):
            raise ValueError(f"{samples.shape} samples do not fill {count} quanta")
        blocks = np.nan_to_num(samples, posinf=0.0, neginf=0.0).clip(-1.0, 1.0).reshape(count, QUANTUM)
        mouth = np.nan_to_num(mouth).clip(-1.0, 1.0)
        energy = np.minimum(1.0, np.sqrt(np.mean(np.square(blocks), axis=1)) / _LOUD_RMS)
        quanta = [Quantum(turn, blocks[i], mouth[i], float(energy[i])) for i in range(count)]
        with self._lock:
            if turn <= self._dead_up_to:
                return
            self._waiting.extend(quanta)
            self._pushed += count

    def finish(self, turn: TurnId) -> None:
        """Tell that nothing more of `turn` will come; it ends when its last quantum has left."""
        ended = None
        with self._lock:
            if turn <= self._dead_up_to:
                return
            if self._turn == turn or any(q.turn == turn for q in self._waiting):
                self._complete = True
                if self._turn == turn and not self._waiting:
                    ended = self._end(interrupted=False)
            else:
                # A turn without any sound: over before it began.
                self._dead_up_to = turn
                playout = Playout(turn, 0.0, 0.0, interrupted=False, heard_text="")
                ended = TimelineEvent("ended", turn, self.position, playout)
        if ended:
            self._listener(ended)

    def pull(self) -> AudioChunk:
        """Return the next 10 ms for the devices: speech if any waits, else silence. Never blocks."""
        events: list[TimelineEvent] = []
        with self._lock:
            pts = sample_pts(self._pulled * QUANTUM, SAMPLE_RATE)
            quantum = self._waiting.popleft() if self._waiting else _SILENT
            samples = quantum.samples
            if quantum.turn != NO_TURN:
                if quantum.turn != self._turn:
                    self._turn = quantum.turn
                    self._played = 0
                    events.append(TimelineEvent("started", quantum.turn, pts))
                self._played += 1
            if self._fade is not None:
                samples, self._fade = np.clip(samples + self._fade, -1.0, 1.0), None
            self._gone.append(quantum)
            self._pulled += 1
            if self._complete and self._turn != NO_TURN and not self._waiting:
                events.append(self._end(interrupted=False))
        for event in events:
            self._listener(event)
        return AudioChunk(pts, SAMPLE_RATE, samples, quantum.turn)

    def flush(self, turn: TurnId) -> bool:
        """Drop `turn` and all before it, now: the sound fades over one quantum, then the mouth rests.

        Returns whether anything of it was on air or waiting. What it had played is told by an `ended` event.
        """
        event = None
        with self._lock:
            if turn <= self._dead_up_to:
                return False
            self._dead_up_to = turn
            had = any(q.turn <= turn for q in self._waiting)
            if self._waiting and self._turn != NO_TURN and self._turn <= turn:
                ramp = np.cos(np.linspace(0, np.pi, QUANTUM, dtype=np.float32)) * 0.5 + 0.5
                self._fade = (self._waiting[0].samples * ramp).astype(np.float32)
            self._waiting = deque(q for q in self._waiting if q.turn > turn)
            if self._turn != NO_TURN and self._turn <= turn:
                had = True
                event = self._end(interrupted=True)
            elif had:
                playout = Playout(turn, 0.0, self._pushed / MOUTH_RATE_HZ, interrupted=True, heard_text="")
                self._pushed = 0
                self._complete = False
                event = TimelineEvent("ended", turn, self.position, playout)
        if event:
            self._listener(event)
        return had

    def face_at(self, pts: Pts) -> FaceSample:
        """Return mouth, loudness and turn at `pts`, interpolated between quanta.

        Looks back up to 2 s, and ahead into what still waits, as if nothing came between.
        """
        # A pose describes the middle of its quantum.
        place = pts / QUANTUM_NS - 0.5
        index = int(np.floor(place))
        with self._lock:
            first, second = self._quantum(index), self._quantum(index + 1)
            here = self._quantum(pts // QUANTUM_NS)
        share = np.float32(place - index)
        mouth = first.mouth * (1 - share) + second.mouth * share
        energy = first.energy * (1 - float(share)) + second.energy * float(share)
        return FaceSample(mouth, energy, here.turn)

    def sound_at(self, pts: Pts, before_s: float, after_s: float) -> Samples:
        """Return the speech around `pts` at SAMPLE_RATE, float32[round((before_s + after_s) * 48000)].

        As far as it is known: up to 2 s back, and what waits; silence for the rest. Each moment of it is a
        sample, `pts` lies at index `before_s * 48000`.
        """
        begin = pts * SAMPLE_RATE // NS_PER_S - round(before_s * SAMPLE_RATE)
        count = round((before_s + after_s) * SAMPLE_RATE)
        first = begin // QUANTUM
        last = (begin + count - 1) // QUANTUM
        with self._lock:
            blocks = [self._quantum(index).samples for index in range(first, last + 1)]
        start = begin - first * QUANTUM
        return np.concatenate(blocks)[start : start + count]

    @property
    def position(self) -> Pts:
        """PTS of the next quantum to be pulled."""
        return sample_pts(self._pulled * QUANTUM, SAMPLE_RATE)

    @property
    def waiting_ms(self) -> int:
        """How much speech waits."""
        return len(self._waiting) * 1000 // MOUTH_RATE_HZ

    @property
    def on_air(self) -> TurnId:
        """The turn whose speech is leaving, or NO_TURN."""
        return self._turn

    @property
    def played_s(self) -> float:
        """How much of the turn on air has left."""
        return self._played / MOUTH_RATE_HZ

    def _quantum(self, index: int) -> Quantum:
        ahead = index - self._pulled
        if ahead >= 0:
            return self._waiting[ahead] if ahead < len(self._waiting) else _SILENT
        back = len(self._gone) + ahead
        return self._gone[back] if back >= 0 else _SILENT

    def _end(self, *, interrupted: bool) -> TimelineEvent:
        turn = self._turn
        playout = Playout(
            turn, self._played / MOUTH_RATE_HZ, self._pushed / MOUTH_RATE_HZ, interrupted, heard_text=""
        )
        self._turn = NO_TURN
        self._pushed = self._played = 0
        self._complete = False
        self._dead_up_to = TurnId(max(self._dead_up_to, turn))
        return TimelineEvent("ended", turn, self.position, playout)
