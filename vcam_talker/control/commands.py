"""What the API can tell the station, the same over HTTP and WebSocket."""

from __future__ import annotations

import asyncio

from vcam_talker.control.models import (
    AskRequest,
    EmotionRequest,
    InterruptRequest,
    InterruptResult,
    MuteRequest,
    PauseRequest,
    PersonaRequest,
    SayRequest,
)
from vcam_talker.control.problems import Refusal
from vcam_talker.core.errors import PersonaError
from vcam_talker.core.stages import Station
from vcam_talker.core.status import PersonaSummary, TurnReceipt


class Commands:
    """Each raises VcamTalkerError or Refusal; runs on the control loop."""

    def __init__(self, station: Station) -> None:
        self._station = station

    async def say(self, request: SayRequest) -> TurnReceipt:
        """Queue a text to be spoken verbatim."""
        return await self._station.say(request.text, emotion=request.emotion, source=request.source)

    async def ask(self, request: AskRequest) -> TurnReceipt:
        """Queue a line to be answered."""
        return await self._station.ask(request.text, user=request.user, source=request.source)

    async def interrupt(self, request: InterruptRequest) -> InterruptResult:
        """Stop the turn on air."""
        return InterruptResult(ended=await self._station.interrupt(clear_queue=request.clear_queue))

    async def mute(self, request: MuteRequest) -> MuteRequest:
        """Send silence to the microphone, or sound again; return what holds now."""
        await self._station.mute(request.muted)
        return MuteRequest(muted=request.muted)

    async def pause(self, request: PauseRequest) -> PauseRequest:
        """Begin no further turn, or go on; return what holds now."""
        await self._station.pause(request.paused)
        return PauseRequest(paused=request.paused)

    async def emotion(self, request: EmotionRequest) -> EmotionRequest:
        """Set the mood; return what holds now."""
        await self._station.set_emotion(request.emotion)
        return EmotionRequest(emotion=request.emotion)

    async def persona(self, request: PersonaRequest) -> PersonaSummary:
        """Put another persona on air."""
        if "/" in request.name or "\\" in request.name:
            # The command line may name folders; a web page must not probe the daemon's file system.
            raise Refusal(
                422,
                "bad_input",
                f"persona '{request.name}'",
                "a path can't be chosen while on air",
                "Put the folder into ~/.config/vcam-talker/personas, or start with --persona",
            )
        try:
            return await self._station.set_persona(request.name)
        except PersonaError as e:
            known = await asyncio.to_thread(self._station.personas)
            if request.name not in {persona.name for persona in known}:
                raise Refusal(404, "unknown_persona", e.what, e.why, e.remedy) from None
            raise
