"""Every error a user can meet: what it is about, why it happened, what to do next."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every `vcam-talker` verb; documented in the README."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    CONFIG = 3
    DEVICE = 4
    NOT_RUNNING = 5
    ALREADY_RUNNING = 6
    BAD_INPUT = 7
    ENGINE = 8
    INTERRUPTED = 130


class VcamTalkerError(Exception):
    """Base of all expected failures; shown to the user as one line, without a traceback.

    `what` names the thing (a file, a device, a field), `why` the reason, `remedy` the next step.
    """

    exit_code = ExitCode.INTERNAL

    def __init__(self, what: str, why: str, remedy: str = "") -> None:
        super().__init__(what, why, remedy)
        self.what = what
        self.why = why
        self.remedy = remedy

    def __str__(self) -> str:
        line = f"{self.what}: {self.why}"
        return f"{line}. {self.remedy}" if self.remedy else line


class ConfigError(VcamTalkerError):
    """A configuration file or flag that can't be used."""

    exit_code = ExitCode.CONFIG


class PersonaError(ConfigError):
    """A persona that is missing, incomplete or malformed."""


class DeviceError(VcamTalkerError):
    """A camera or sound device that can't be opened."""

    exit_code = ExitCode.DEVICE


class DeviceLostError(DeviceError):
    """A device that worked and went away; its owner reopens it with back-off."""


class NotRunningError(VcamTalkerError):
    """A verb that needs the daemon found none."""

    exit_code = ExitCode.NOT_RUNNING


class AlreadyRunningError(VcamTalkerError):
    """A second daemon was started beside a running one."""

    exit_code = ExitCode.ALREADY_RUNNING


class BadInputError(VcamTalkerError):
    """Text, sound or a request that can't be used; nothing was changed."""

    exit_code = ExitCode.BAD_INPUT


class QueueFullError(BadInputError):
    """The bounded queue of turns is full; the request was refused, nothing was dropped."""


class EngineError(VcamTalkerError):
    """A voice, responder or face driver failed on one turn; the daemon stays on air."""

    exit_code = ExitCode.ENGINE


class DeclinedError(EngineError):
    """A responder has nothing to say to this question; another one should."""


class SourceError(VcamTalkerError):
    """A chat source, an ear or OBS that can't be reached or was lost; its owner tries again with back-off."""

    exit_code = ExitCode.DEVICE
