"""Carry out what OBS asks for: commands in custom events, and the triggers of the configuration."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from vcam_talker.config import ObsTrigger
from vcam_talker.control.commands import Commands
from vcam_talker.control.models import (
    AskRequest,
    EmotionRequest,
    InterruptRequest,
    MuteRequest,
    PauseRequest,
    PersonaRequest,
    SayRequest,
)
from vcam_talker.control.obs.schema import (
    Ask,
    Command,
    Interrupt,
    Say,
    SetEmotion,
    SetPersona,
    Switch,
    accepted,
    command_id,
    parse_command,
    refused,
)
from vcam_talker.control.problems import Refusal, refusal_of
from vcam_talker.core.errors import BadInputError, VcamTalkerError
from vcam_talker.core.stages import Station
from vcam_talker.core.types import Emotion

log = logging.getLogger(__name__)

SOURCE: Final = "obs"


class Obedience:
    """Runs on the control loop. What is said or asked counts as the owner's."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._commands = Commands(station)

    async def obey(self, data: dict[str, Any]) -> dict[str, Any]:
        """Carry out the command in a custom event's data; return the event that acknowledges it."""
        number, cmd = command_id(data), data.get("cmd")
        try:
            command = parse_command(data)
            return accepted(number, command.cmd, await self._run(command))
        except VcamTalkerError as e:
            return refused(number, cmd, refusal_of(e))
        except Refusal as e:
            return refused(number, cmd, e)
        except Exception:  # one command must not end the link
            log.exception("a command from OBS failed")
            return refused(number, cmd, Refusal(500, "internal", "the command", "failed", "See the log"))

    async def pull(self, trigger: ObsTrigger) -> None:
        """Do what a trigger says. Never raises."""
        log.info("OBS told %s: %s %s", trigger.event, trigger.do, trigger.text)
        try:
            await self._trigger(trigger)
        except (VcamTalkerError, Refusal) as e:
            log.warning("trigger on %s: %s", trigger.event, e)
        except Exception:  # one trigger must not end the link
            log.exception("the trigger on %s failed", trigger.event)

    async def _run(self, command: Command) -> dict[str, Any]:
        run = self._commands
        match command:
            case Say():
                request = SayRequest(text=command.text, emotion=command.emotion, source=SOURCE)
                return asdict(await run.say(request))
            case Ask():
                return asdict(await run.ask(AskRequest(text=command.text, user=command.user, source=SOURCE)))
            case Interrupt():
                done = await run.interrupt(InterruptRequest(clear_queue=command.clear_queue))
                return done.model_dump(mode="json")
            case SetPersona():
                return asdict(await run.persona(PersonaRequest(name=command.name)))
            case SetEmotion():
                return (await run.emotion(EmotionRequest(emotion=command.emotion))).model_dump(mode="json")
            case Switch():
                return await self._switch(command.cmd)

    async def _switch(self, cmd: str) -> dict[str, Any]:
        if cmd in {"mute", "unmute"}:
            return (await self._commands.mute(MuteRequest(muted=cmd == "mute"))).model_dump(mode="json")
        if cmd in {"pause", "resume"}:
            return (await self._commands.pause(PauseRequest(paused=cmd == "pause"))).model_dump(mode="json")
        return self._status()

    def _status(self) -> dict[str, Any]:
        """Return the part of the status that fits an event."""
        status = self._station.status()
        return {
            "version": status.version,
            "persona": status.persona.name,
            "on_air": asdict(status.on_air) if status.on_air else None,
            "queue": len(status.queue),
            "paused": status.show.paused,
            "muted": status.show.muted,
            "emotion": status.show.emotion,
            "engine": status.engine.state,
            "uptime_s": status.uptime_s,
            "warnings": list(status.warnings),
        }

    async def _trigger(self, trigger: ObsTrigger) -> None:
        run, text = self._commands, trigger.text
        match trigger.do:
            case "say":
                await run.say(SayRequest(text=text, source=SOURCE))
            case "ask":
                await run.ask(AskRequest(text=text, source=SOURCE))
            case "interrupt":
                await run.interrupt(InterruptRequest())
            case "persona":
                await run.persona(PersonaRequest(name=text))
            case "emotion":
                await run.emotion(EmotionRequest(emotion=_emotion(text)))
            case do:
                await self._switch(do)


def fires(trigger: ObsTrigger, event: str, data: Mapping[str, Any]) -> bool:
    """Return whether an event of OBS is the one a trigger waits for."""
    return trigger.event == event and all(
        name in data and type(data[name]) in _same(value) and data[name] == value
        for name, value in trigger.match.items()
    )


def _same(value: object) -> tuple[type, ...]:
    """Return the types that compare with a value: numbers with numbers, but true is not 1."""
    return (int, float) if type(value) in {int, float} else (type(value),)


def _emotion(text: str) -> Emotion | None:
    """Return the mood of that name; none for an empty one."""
    if not text.strip():
        return None
    try:
        return Emotion(text.strip())
    except ValueError:
        raise BadInputError(
            f"emotion '{text[:40]}'", "there is no such emotion", f"There are: {', '.join(Emotion)}"
        ) from None
