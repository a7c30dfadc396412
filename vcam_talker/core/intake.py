"""What the senses tell air, checked where it enters: ears, chat, and signs of life."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from vcam_talker.core.events import Alive, EngineDown, Ready
from vcam_talker.core.hearing import EarsEvent, Heard, NoWords, SpeechBegan, SpeechEnded
from vcam_talker.core.status import ChatView, EarsView
from vcam_talker.core.types import ChatMessage, Utterance

_UTTERANCE = TypeAdapter(Utterance)
_MESSAGE = TypeAdapter(ChatMessage)
_EARS = TypeAdapter(EarsView)
_CHAT = TypeAdapter(ChatView)


@dataclass(frozen=True, slots=True)
class ChatAdmitted:
    """A viewer's line has passed every filter."""

    message: ChatMessage


@dataclass(frozen=True, slots=True)
class ChatWithdrawn:
    """A moderator removed a line (`message_id`), or all of a viewer (`user_id`)."""

    platform: str
    message_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class SensesState:
    """How ears and chat are; told about once a second when it changes."""

    ears: EarsView
    chat: ChatView


SensesEvent = Alive | Ready | EarsEvent | ChatAdmitted | ChatWithdrawn | SensesState | EngineDown


def pack(event: SensesEvent) -> dict[str, Any]:
    """Return the message of an event, ready for the pipe."""
    match event:
        case Alive():
            return {"op": "alive"}
        case Ready():
            return {"op": "ready", "persona": event.persona}
        case SpeechBegan():
            return {"op": "speech_began", "at_ns": event.at_ns}
        case SpeechEnded():
            return {"op": "speech_ended", "at_ns": event.at_ns}
        case Heard():
            return {"op": "heard", "utterance": asdict(event.utterance)}
        case NoWords():
            return {"op": "no_words"}
        case ChatAdmitted():
            return {"op": "chat", "message": asdict(event.message)}
        case ChatWithdrawn():
            return {"op": "withdrawn", **asdict(event)}
        case SensesState():
            return {"op": "state", "ears": asdict(event.ears), "chat": asdict(event.chat)}
        case EngineDown():
            raise ValueError("a child can't tell its own end")


def parse_senses(message: dict[str, Any]) -> SensesEvent:
    """Return the event of a message from the senses. Raises ValueError when it is none."""
    try:
        return _parse(message)
    except (KeyError, TypeError, ValueError, OverflowError) as e:
        raise ValueError(f"the senses said {str(message)[:200]!r}: {e!r}") from e


def _parse(message: dict[str, Any]) -> SensesEvent:
    match message["op"]:
        case "alive":
            return Alive()
        case "ready":
            return Ready(str(message["persona"]), (), ())
        case "speech_began":
            return SpeechBegan(int(message["at_ns"]))
        case "speech_ended":
            return SpeechEnded(int(message["at_ns"]))
        case "heard":
            return Heard(_UTTERANCE.validate_python(message["utterance"]))
        case "no_words":
            return NoWords()
        case "chat":
            return ChatAdmitted(_MESSAGE.validate_python(message["message"]))
        case "withdrawn":
            return ChatWithdrawn(
                str(message["platform"]), str(message["message_id"]), str(message["user_id"])
            )
        case "state":
            return SensesState(_EARS.validate_python(message["ears"]), _CHAT.validate_python(message["chat"]))
        case other:
            raise ValueError(f"unknown event {other!r}")
