"""Sessions that run in turn."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import numpy as np

from vcam_talker.bench.report import percentile
from vcam_talker.inference import Array, Session
from vcam_talker.inference.candidates import Candidate, deviation

Entry = tuple[str, Candidate]
"""A network and what runs it."""

_MIN_ROUNDS: Final = 5


class Race:
    """Takes the time of each run of each."""

    def __init__(self) -> None:
        self.times_ms: dict[Entry, list[float]] = {}
        """One for each round, in the same order for all."""
        self.processor_ms: dict[Entry, list[float]] = {}
        """The same in processor time of all threads, which other programs on the machine don't lengthen."""
        self._runs: dict[Entry, tuple[Session, Mapping[str, Array]]] = {}

    def enter(self, net: str, session: Session, feeds: Mapping[str, Array]) -> None:
        """Let a session take part, under what really runs it."""
        self._runs[net, Candidate(session.engine, session.precision)] = (session, feeds)

    def run(self, seconds: float) -> None:
        """Run all in turn for about that long. Raises EngineError."""
        self.times_ms = {entry: [] for entry in self._runs}
        self.processor_ms = {entry: [] for entry in self._runs}
        end_s = time.monotonic() + seconds
        while self.rounds < _MIN_ROUNDS or time.monotonic() < end_s:
            for entry, (session, feeds) in self._runs.items():
                begun_ns, spent_ns = time.perf_counter_ns(), time.process_time_ns()
                session.run(feeds)
                self.processor_ms[entry].append((time.process_time_ns() - spent_ns) / 1e6)
                self.times_ms[entry].append((time.perf_counter_ns() - begun_ns) / 1e6)

    def combine(self, name: str, shares: Mapping[str, float]) -> None:
        """Enter what is made of several networks, after `run`: so much of each one's time in every round."""
        first = next(iter(shares))
        for candidate in [candidate for net, candidate in self.times_ms if net == first]:
            parts = [((net, candidate), share) for net, share in shares.items()]
            if all(entry in self.times_ms for entry, _ in parts):
                for times in (self.times_ms, self.processor_ms):
                    rounds = np.sum([share * np.array(times[entry]) for entry, share in parts], 0)
                    times[name, candidate] = rounds.tolist()

    def deviation(self, net: str, candidate: Candidate, exact: Candidate) -> float:
        """Return how far a network's outputs are from the exact ones, relative. Raises EngineError."""
        session, feeds = self._runs[net, candidate]
        reference, _ = self._runs[net, exact]
        return deviation(session.run(feeds), reference.run(feeds))

    @property
    def rounds(self) -> int:
        """How often each has run."""
        return min((len(times) for times in self.times_ms.values()), default=0)

    def has(self, net: str) -> bool:
        """Tell whether a network took part."""
        return any(name == net for name, _ in self.times_ms)

    def p50_ms(self, net: str, candidate: Candidate) -> float:
        """Return the median."""
        return percentile(self.times_ms[net, candidate], 50)

    def best(self, net: str) -> Candidate:
        """Return what runs a network fastest."""
        return min((c for name, c in self.times_ms if name == net), key=lambda c: self.p50_ms(net, c))

    def ratio(self, slow: Entry, fast: Entry) -> float:
        """Return how many times faster, the median of each round's own."""
        return percentile(np.divide(self.times_ms[slow], self.times_ms[fast]), 50)

    def processor_ratio(self, slow: Entry, fast: Entry) -> float:
        """Return how many times less processor time, the median of each round's own."""
        return percentile(np.divide(self.processor_ms[slow], self.processor_ms[fast]), 50)
