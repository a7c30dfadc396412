"""What somebody does who waits, listens, thinks or speaks, written into a `Take`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from studio.life import anchors as ch
from studio.life.curves import Curve, stroke
from studio.life.gaze import Fixation, watch
from studio.life.take import Posture, Take
from vcam_talker.core.types import Activity

_REACH: Final = np.array([2.2, 0.8, 1.35, 0.42, 0.35])
"""How far idle postures lie from each other: one standard deviation."""
_LIVELY: Final = np.array([2.5, 0.7, 1.6, 0.42, 0.4])
"""The same of a speaker."""


def idle(take: Take) -> None:
    """Wait: a posture or two, the gaze on the viewer but for a glance now and then, calm breath."""
    rng, end = take.rng, take.end_s
    _breathe_calmly(take)
    glances = rng.random() < 0.35
    side = rng.choice((-1.0, 1.0))
    if glances:
        begin = rng.uniform(0.3, 0.4) * end
        stay = rng.uniform(0.6, 1.2)
        right, up = side * rng.uniform(5.5, 10.0), rng.uniform(-4.5, 3.5)
        hops = [Fixation(begin, right, up)]
        if stay > 0.8:
            hops.append(Fixation(begin + 0.5 * stay, right + rng.uniform(-2, 2), up + rng.uniform(-1.5, 1.5)))
        take.look([*watch(0.15, begin - 0.05, rng)] if begin > 1.0 else [])
        take.look([*hops, *watch(begin + stay, end - 0.15, rng)])
    else:
        take.look(watch(0.15, end - 0.15, rng))
    count = 1 if end < 3.6 else 2
    away = np.zeros_like(_REACH)
    leave, back = rng.uniform(0.03, 0.35), end - rng.uniform(0.75, 1.15)
    for k in range(count):
        start = leave + (back - leave) * k / count + rng.uniform(-0.1, 0.25) * (k > 0)
        # To the other side in turn: a weight that was shifted is shifted back.
        away = _draw(take, _REACH) - rng.uniform(0.6, 1.2) * away
        posture = take.middle + take.style.energy * away
        if glances and k == count // 2:
            # The head goes where the eyes went, less far and a little later.
            start = begin + rng.uniform(0.06, 0.10)
            posture[0] = take.posture[0] + side * rng.uniform(1.6, 3.2) * take.style.energy
        take.go(start, rng.uniform(0.6, 1.05), posture)
    take.arrive(back, end - rng.uniform(0.0, 0.15))
    _micro_expressions(take, rng.choice((0, 1, 1, 2)))


def listening(take: Take) -> None:
    """Attend: lean in, head aslant, gaze on the viewer, brows a little up, a nod or three."""
    rng, end = take.rng, take.end_s
    _breathe_calmly(take)
    take.look(watch(0.12, end - 0.15, rng))
    energy = take.style.energy
    tilt = rng.choice((-1.0, 1.0)) * rng.uniform(1.3, 2.3)
    leans = np.array([rng.gauss(0, 1.2), -0.3, tilt, rng.gauss(0, 0.25), rng.uniform(0.7, 1.1)])
    leave, back = rng.uniform(0.03, 0.15), end - rng.uniform(0.85, 1.05)
    take.go(leave, rng.uniform(0.6, 0.8), take.middle + energy * leans)
    start = rng.uniform(0.75, 1.05)
    size = rng.uniform(1.5, 2.2) * energy
    for _ in range(rng.choice((1, 2, 2, 3))):
        if start > end - 0.75:
            break
        take.nod(start, size, rng.uniform(0.19, 0.24), rng.uniform(0.26, 0.34))
        start += rng.uniform(0.44, 0.56)
        size *= rng.uniform(0.5, 0.7)
    take.brow(rng.uniform(0.1, 0.4), rng.uniform(0.12, 0.24), 0.35, end - 2.2, 0.6)
    take.sign(ch.SMILE, 0.5, take.style.smile * rng.uniform(0.3, 0.9), end - 1.0)
    take.sign(ch.SQUINT, 0.4, 0.12 * take.style.brows, end - 1.0)
    take.arrive(back, end - 0.02)


def thinking(take: Take) -> None:
    """Look away and up, head after the eyes, one brow up or both knit; come back with a blink."""
    rng, end = take.rng, take.end_s
    _breathe_calmly(take)
    side = rng.choice((-1.0, 1.0))
    away, back = rng.uniform(0.2, 0.35), end - rng.uniform(0.75, 0.9)
    right, up = side * rng.uniform(6.5, 11.0), rng.uniform(4.5, 8.0)
    hops, t = [Fixation(away, right, up)], away + rng.uniform(0.5, 0.9)
    while t < back - 0.3:
        hops.append(Fixation(t, right + rng.uniform(-3, 2) * side, up + rng.uniform(-2.5, 1.5)))
        t += rng.uniform(0.35, 0.9)
    take.look([*hops, Fixation(back, 0.0, 0.0)])
    energy, begun = take.style.energy, take.posture
    turn = np.array(
        [side * rng.uniform(1.8, 3.0), rng.uniform(0.8, 1.6), -side * rng.uniform(0.5, 1.6), 0.0, -0.25]
    )
    lead = rng.uniform(0.06, 0.10)
    take.go(away + lead, rng.uniform(0.55, 0.75), begun + energy * turn)
    if end > 3.0:
        drift = turn + np.array(
            [side * rng.uniform(-1.2, 0.6), rng.uniform(-0.6, 0.3), rng.gauss(0, 0.7), 0.2, 0.1]
        )
        take.go(rng.uniform(0.42, 0.5) * end, 0.8, begun + energy * drift)
    hold = back - away - 0.5
    if rng.random() < 0.5:
        take.brow(away, rng.uniform(0.16, 0.3), 0.3, hold, 0.5)
    else:
        take.brow(away, -rng.uniform(0.12, 0.22), 0.35, hold, 0.5)
    take.add(ch.BROW_INNER, 0.14 * take.style.brows * _held(take, away, hold))
    take.add(ch.SQUINT, 0.14 * take.style.brows * _held(take, away, hold))
    take.arrive(back + lead, end - 0.02)


def speaking(take: Take) -> None:
    """Talk: quick breath, postures that change with phrases, nods on stresses, brows with some of them."""
    rng, end = take.rng, take.end_s
    take.breathe([end], [rng.uniform(1.0, 1.5)], min(0.45 / end, 0.3))
    if end > 2.6 and rng.random() < 0.4:
        begin, right = rng.uniform(0.3, 0.45) * end, rng.choice((-1.0, 1.0)) * rng.uniform(3.5, 6.5)
        take.look([Fixation(begin, right, rng.uniform(-3.0, 1.0))])
        take.look(watch(begin + rng.uniform(0.4, 0.7), end - 0.12, rng))
    else:
        take.look(watch(0.12, end - 0.12, rng))
    energy = take.style.energy
    t, back = rng.uniform(0.02, 0.12), end - rng.uniform(0.55, 0.7)
    away = np.zeros_like(_LIVELY)
    while t < back - 0.35:
        away = _draw(take, _LIVELY) - 0.5 * away
        away[4] = abs(away[4])
        take.go(t, rng.uniform(0.42, 0.6), take.middle + energy * away)
        t += rng.uniform(0.6, 1.0)
    take.arrive(back, end - 0.01)
    beat = rng.uniform(0.15, 0.4)
    while beat < end - 0.6:
        strong = rng.random() < 0.35
        size = rng.uniform(1.3, 1.9) if strong else rng.uniform(0.5, 1.1)
        take.nod(beat, size * energy, rng.uniform(0.18, 0.23), rng.uniform(0.28, 0.36))
        if strong and beat < end - 0.75:
            take.brow(beat - 0.08, rng.uniform(0.22, 0.42), 0.15, rng.uniform(0.08, 0.2), 0.28)
        beat += max(0.4, rng.lognormvariate(math.log(0.55), 0.3))


ACTS: Final[dict[Activity, Callable[[Take], None]]] = {
    Activity.IDLE: idle,
    Activity.LISTENING: listening,
    Activity.THINKING: thinking,
    Activity.SPEAKING: speaking,
}


def _breathe_calmly(take: Take) -> None:
    rng, end = take.rng, take.end_s
    depths = [rng.uniform(0.85, 1.35) for _ in range(1 if end < 5.0 else 2)]
    first = end * rng.uniform(0.44, 0.56)
    take.breathe([end] if len(depths) == 1 else [first, end], depths, rng.uniform(0.34, 0.42))


def _micro_expressions(take: Take, count: int) -> None:
    rng, brows = take.rng, take.style.brows
    for _ in range(count):
        lasts = rng.uniform(0.6, 1.2)
        start = rng.uniform(0.15, take.end_s - lasts - 0.15)
        match rng.choice(("brow", "brow", "inner", "squint", "smile")):
            case "brow":
                take.brow(start, rng.uniform(0.12, 0.3), 0.25 * lasts, 0.3 * lasts, 0.45 * lasts)
            case "inner":
                take.sign(ch.BROW_INNER, start, rng.uniform(0.1, 0.25) * brows, lasts)
            case "squint":
                take.sign(ch.SQUINT, start, rng.uniform(0.12, 0.3) * brows, lasts)
            case _:
                take.sign(ch.SMILE, start, rng.uniform(0.5, 1.0) * take.style.smile, lasts)


def _draw(take: Take, reach: Posture) -> Posture:
    """Return a random posture about the middle; nobody draws one far out."""
    return np.clip([take.rng.gauss(0.0, 1.0) for _ in reach], -1.6, 1.6) * reach


def _held(take: Take, start_s: float, hold_s: float) -> Curve:
    return stroke(take.t, start_s, 0.35, hold_s, 0.5)
