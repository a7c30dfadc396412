"""What the lips process tells air, checked where it enters.

Whose lips: the folder of a persona, just as the command named it. What is said of one may still be on its way
when another one is on air.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vcam_talker.core.events import Alive, EngineDown, Ready

_MAX_TEXT = 2000


@dataclass(frozen=True, slots=True)
class LipsLoad:
    """What draws the persona's mouths is about to be loaded; until more is said none are drawn."""

    persona: str


@dataclass(frozen=True, slots=True)
class LipsDraw:
    """From now on mouths of this face are drawn."""

    persona: str
    face: int
    """`face.neural.drawer.face_id`."""
    label: str
    """By which network, on what."""


@dataclass(frozen=True, slots=True)
class LipsRest:
    """No mouths are drawn: none are wanted of this persona, or what draws them can't be used."""

    persona: str
    fault: str = ""
    """Why it can't be used, with the remedy; empty: none are wanted."""
    drawing: bool = False
    """Whether it was loaded and failed at its work: what is broken may be the process itself."""


LipsNews = LipsLoad | LipsDraw | LipsRest
"""What is told of one persona."""
LipsEvent = Alive | Ready | LipsNews | EngineDown


def pack(event: LipsEvent) -> dict[str, Any]:
    """Return the message of an event, ready for the pipe."""
    match event:
        case Alive():
            return {"op": "alive"}
        case Ready():
            return {"op": "ready", "persona": event.persona}
        case LipsLoad():
            return {"op": "load", **asdict(event)}
        case LipsDraw():
            return {"op": "draw", **asdict(event)}
        case LipsRest():
            return {"op": "rest", **asdict(event)}
        case EngineDown():
            raise ValueError("a child can't tell its own end")


def parse_lips(message: dict[str, Any]) -> LipsEvent:
    """Return the event of a message from the lips. Raises ValueError when it is none."""
    try:
        return _parse(message)
    except (KeyError, TypeError, ValueError, OverflowError) as e:
        raise ValueError(f"the lips said {str(message)[:200]!r}: {e!r}") from e


def _parse(message: dict[str, Any]) -> LipsEvent:
    match message["op"]:
        case "alive":
            return Alive()
        case "ready":
            return Ready(str(message["persona"]), (), ())
        case "draw":
            return LipsDraw(str(message["persona"]), int(message["face"]), str(message["label"])[:_MAX_TEXT])
        case "load":
            return LipsLoad(str(message["persona"]))
        case "rest":
            fault = str(message["fault"])[:_MAX_TEXT]
            return LipsRest(str(message["persona"]), fault, bool(message["drawing"]))
        case other:
            raise ValueError(f"unknown event {other!r}")
