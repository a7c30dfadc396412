"""Version 1 of what crosses OBS as custom events: commands in, acknowledgements and turns out."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, TypeAdapter, ValidationError

from vcam_talker.control.models import Text
from vcam_talker.control.problems import Refusal
from vcam_talker.control.validation import explain
from vcam_talker.core.types import Emotion

VERSION: Final = 1
MARK: Final = "vcam_talker"
"""The field that makes a custom event one of ours; its value is the version of this schema."""
SEE: Final = "See docs/obs.md"
_MAX_ID_CHARS: Final = 100

COMMANDS: Final = (
    "say",
    "ask",
    "interrupt",
    "mute",
    "unmute",
    "pause",
    "resume",
    "persona",
    "emotion",
    "status",
)


def _id(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value is None or whole or (isinstance(value, str) and len(value) <= _MAX_ID_CHARS):
        return value
    raise ValueError(f"is neither a whole number nor a text of up to {_MAX_ID_CHARS} characters")


CommandId = Annotated[int | str | None, BeforeValidator(_id)]


class _Command(BaseModel):
    """Frozen; an unknown field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vcam_talker: Annotated[StrictInt, Field(ge=VERSION, le=VERSION)]
    id: CommandId = None


class Say(_Command):
    """Speak a text word for word."""

    cmd: Literal["say"]
    text: Text
    emotion: Emotion | None = None


class Ask(_Command):
    """Answer a line."""

    cmd: Literal["ask"]
    text: Text
    user: str = Field("", max_length=100)


class Interrupt(_Command):
    """End what is being said."""

    cmd: Literal["interrupt"]
    clear_queue: bool = False


class SetPersona(_Command):
    """Put another persona on air."""

    cmd: Literal["persona"]
    name: str = Field(min_length=1, max_length=200)


class SetEmotion(_Command):
    """Set the mood; null: the persona's own."""

    cmd: Literal["emotion"]
    emotion: Emotion | None


class Switch(_Command):
    """What needs no field."""

    cmd: Literal["mute", "unmute", "pause", "resume", "status"]


Command = Say | Ask | Interrupt | SetPersona | SetEmotion | Switch
_COMMAND: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="cmd")])


def is_ours(data: dict[str, Any]) -> bool:
    """Return whether a custom event belongs to this schema; another application's is nobody's business."""
    return MARK in data


def is_command(data: dict[str, Any]) -> bool:
    """Return whether one of ours asks for something: what we tell ourselves never does."""
    return "ack" not in data and "event" not in data


def command_id(data: dict[str, Any]) -> int | str | None:
    """Return the id to acknowledge, if there is a usable one."""
    found = data.get("id")
    if isinstance(found, bool) or not isinstance(found, (int, str)):
        return None
    return found if not isinstance(found, str) or len(found) <= _MAX_ID_CHARS else None


def parse_command(data: dict[str, Any]) -> Command:
    """Return the command in a custom event's data. Raises Refusal in words for its sender."""
    if data.get(MARK) != VERSION or isinstance(data.get(MARK), bool):
        raise Refusal(
            422, "unknown_version", f"field '{MARK}'", f"this daemon speaks version {VERSION} alone", SEE
        )
    cmd = data.get("cmd")
    if not isinstance(cmd, str) or cmd not in COMMANDS:
        why = "is unknown" if "cmd" in data else "is missing"
        raise Refusal(422, "bad_request", "field 'cmd'", why, f"There are: {', '.join(COMMANDS)}")
    try:
        return _COMMAND.validate_python(data)
    except ValidationError as e:
        refusal = explain([_of_command(error) for error in e.errors()])
        detail = refusal.detail
        remedy = SEE if detail.remedy in {"", "See /docs"} else detail.remedy
        raise Refusal(refusal.status, detail.code, detail.what, detail.why, remedy) from None


def _of_command(error: Any) -> dict[str, Any]:  # noqa: ANN401 - pydantic's own dictionary
    """Return pydantic's error without the command's name in front of the field's."""
    where = error["loc"]
    return {**error, "loc": where[1:] if len(where) > 1 else where}


def accepted(number: int | str | None, cmd: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return the event that acknowledges a command."""
    return {MARK: VERSION, "ack": number, "cmd": cmd, "ok": True, "result": result}


def refused(number: int | str | None, cmd: object, refusal: Refusal) -> dict[str, Any]:
    """Return the event that tells why a command was not obeyed."""
    name = cmd if isinstance(cmd, str) and len(cmd) <= _MAX_ID_CHARS else None
    return {MARK: VERSION, "ack": number, "cmd": name, "ok": False, **refusal.body}


def told(event: str, **fields: object) -> dict[str, Any]:
    """Return an event of ours that is no acknowledgement."""
    return {MARK: VERSION, "event": event, **fields}
