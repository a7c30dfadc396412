"""What the API takes and returns, beyond the types of core.status."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, TypeAdapter

from vcam_talker.core.status import DaemonStatus
from vcam_talker.core.types import Emotion

Text = Annotated[str, Field(min_length=1, description="Any Unicode text; 'queue.max_text_chars' bounds it.")]
Source = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,20}$", description="Shown beside the turn.")]
RequestId = Annotated[int | str, Field(union_mode="left_to_right")]

STATUS = TypeAdapter(DaemonStatus)


class Request(BaseModel):
    """Frozen; an unknown field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SayRequest(Request):
    """A text to be spoken verbatim."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Good evening, and welcome!", "emotion": "happy"}]}
    )
    text: Text
    emotion: Emotion | None = None
    source: Source = "api"


class AskRequest(Request):
    """A viewer's line to be answered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "What's your name?", "user": "ada"}]})
    text: Text
    user: str = Field("", max_length=100)
    source: Source = "api"


class InterruptRequest(Request):
    """Stop the turn on air."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"clear_queue": False}]})
    clear_queue: bool = False
    """Drop the turns that wait, too."""


class PersonaRequest(Request):
    """Which persona to put on air."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "mira"}]})
    name: str = Field(min_length=1, max_length=200)


class MuteRequest(Request):
    """Send silence to the microphone, or sound again; lips and the page go on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"muted": True}]})
    muted: StrictBool


class PauseRequest(Request):
    """Begin no further turn, or go on; what is being said ends normally."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"paused": True}]})
    paused: StrictBool


class EmotionRequest(Request):
    """The mood of the resting face and of texts without one; null: the persona's own."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"emotion": "happy"}]})
    emotion: Emotion | None


class InterruptResult(BaseModel):
    """How many turns ended."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ended": 1}]})
    ended: int


class Health(BaseModel):
    """Whether picture and sound flow."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok", "problems": []}]})
    status: Literal["ok", "degraded", "failing"]
    """`degraded`: on air, but something is missing. `failing`: picture or sound does not flow."""
    problems: list[str]


class SayCommand(SayRequest):
    """`say` over the events socket."""

    cmd: Literal["say"]
    id: RequestId | None = None


class AskCommand(AskRequest):
    """`ask` over the events socket."""

    cmd: Literal["ask"]
    id: RequestId | None = None


class InterruptCommand(InterruptRequest):
    """`interrupt` over the events socket."""

    cmd: Literal["interrupt"]
    id: RequestId | None = None


class PersonaCommand(PersonaRequest):
    """`persona` over the events socket."""

    cmd: Literal["persona"]
    id: RequestId | None = None


class MuteCommand(MuteRequest):
    """`mute` over the events socket."""

    cmd: Literal["mute"]
    id: RequestId | None = None


class PauseCommand(PauseRequest):
    """`pause` over the events socket."""

    cmd: Literal["pause"]
    id: RequestId | None = None


class EmotionCommand(EmotionRequest):
    """`emotion` over the events socket."""

    cmd: Literal["emotion"]
    id: RequestId | None = None


AnyCommand = (
    SayCommand | AskCommand | InterruptCommand | PersonaCommand | MuteCommand | PauseCommand | EmotionCommand
)
COMMAND: TypeAdapter[AnyCommand] = TypeAdapter(Annotated[AnyCommand, Field(discriminator="cmd")])
