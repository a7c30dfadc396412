"""What the engine tells air, checked where it enters: a broken engine may write anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from vcam_talker.core.status import BrainView, CacheView
from vcam_talker.core.types import Emotion, TurnId

_BRAINS = TypeAdapter(tuple[BrainView, ...])
_CACHE = TypeAdapter(CacheView)


@dataclass(frozen=True, slots=True)
class Alive:
    """A heartbeat."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A persona is loaded; turns can begin."""

    persona: str
    voices: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PersonaFailed:
    """The persona can't be loaded; the one before, if any, stays."""

    error: str


@dataclass(frozen=True, slots=True)
class FirstToken:
    """The first text of an answer came at monotonic `at_ns`, from the rung `brain` (empty: none)."""

    turn: TurnId
    at_ns: int
    brain: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The whole text of a turn's answer, emotion tags removed."""

    turn: TurnId
    text: str


@dataclass(frozen=True, slots=True)
class SentenceCached:
    """A sentence came from the hot-phrase cache."""

    turn: TurnId
    index: int


@dataclass(frozen=True, slots=True)
class BrainState:
    """The rungs of the ladder, in order; told when one changes."""

    brains: tuple[BrainView, ...]


@dataclass(frozen=True, slots=True)
class CacheState:
    """The figures of the hot-phrase cache; told about once a second when they change."""

    view: CacheView


@dataclass(frozen=True, slots=True)
class SentenceBegan:
    """A sentence is about to be made; it starts `start_s` into its turn's speech."""

    turn: TurnId
    text: str
    emotion: Emotion
    start_s: float


@dataclass(frozen=True, slots=True)
class WordsPlaced:
    """Where words lie in their turn's speech: (text, start, end), seconds."""

    turn: TurnId
    words: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """The turn went wrong; what was made of it is still heard."""

    turn: TurnId
    error: str


@dataclass(frozen=True, slots=True)
class EngineDown:
    """A child is gone. Told by its supervisor, not by the child."""

    reason: str


TurnEvent = FirstToken | Answered | SentenceBegan | SentenceCached | WordsPlaced | TurnFailed
EngineEvent = Alive | Ready | PersonaFailed | BrainState | CacheState | TurnEvent | EngineDown


def parse_event(message: dict[str, Any]) -> EngineEvent:
    """Return the event of a message from the engine. Raises ValueError when it is none."""
    try:
        return _parse(message)
    except (KeyError, TypeError, ValueError, OverflowError) as e:
        raise ValueError(f"the engine said {str(message)[:200]!r}: {e!r}") from e


def _parse(message: dict[str, Any]) -> EngineEvent:
    match message["op"]:
        case "alive":
            return Alive()
        case "ready":
            return Ready(str(message["persona"]), _texts(message["voices"]), _texts(message["warnings"]))
        case "persona_failed":
            return PersonaFailed(str(message["error"]))
        case "token":
            return FirstToken(_turn(message), int(message["at_ns"]), str(message["brain"]))
        case "cached":
            return SentenceCached(_turn(message), int(message["index"]))
        case "brains":
            return BrainState(_BRAINS.validate_python(message["brains"]))
        case "cache":
            return CacheState(_CACHE.validate_python(message["view"]))
        case "answer":
            return Answered(_turn(message), str(message["text"]))
        case "sentence":
            emotion = Emotion(message["emotion"])
            return SentenceBegan(_turn(message), str(message["text"]), emotion, float(message["start_s"]))
        case "words":
            words = tuple((str(w), float(start), float(end)) for w, start, end in message["words"])
            return WordsPlaced(_turn(message), words)
        case "failed":
            return TurnFailed(_turn(message), str(message["error"]))
        case other:
            raise ValueError(f"unknown event {other!r}")


def _turn(message: dict[str, Any]) -> TurnId:
    return TurnId(int(message["turn"]))


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("a list is needed")
    return tuple(str(item) for item in value)
