"""What went wrong with a language model's server, in one clear line that never holds the key."""

from __future__ import annotations

from typing import Final

import httpx

from vcam_talker.core.errors import EngineError
from vcam_talker.llm.completions import body_text, quote

KEY_NAME: Final = "openai-api-key"
CHECK_URL: Final = "Check brain.openai.url; it ends in /v1 as a rule"
SEE_LOG: Final = "See the server's own log"


class ServerErrors:
    """Words errors about one server; foreign text in them is short, printable and without the key."""

    def __init__(self, where: str, connect_timeout_s: float) -> None:
        """`where`: the address as users see it, without a password."""
        self._where = where
        self._connect_timeout_s = connect_timeout_s
        self.key = ""
        """The key in use, which no error may show."""

    def error(self, why: str, remedy: str = "") -> EngineError:
        """Return the error that `why` names; it may quote the server."""
        return EngineError(self._where, self.redacted(why), remedy)

    def redacted(self, text: str) -> str:
        """Return `text` without the key, should a server have repeated it."""
        return text.replace(self.key, "***") if self.key else text

    def status(self, status: int, body: str, model: str) -> EngineError:
        """Return what a status other than 200 means."""
        said = body_text(body)
        if status in {401, 403}:
            remedy = (
                f"Put the right key into the secret {KEY_NAME}" if self.key else f"Set the secret {KEY_NAME}"
            )
            return self.error(f"refuses the key, or its absence ({status})", remedy)
        if status == httpx.codes.NOT_FOUND:
            if "model" in said.lower():
                remedy = "Check brain.openai.model, or leave it empty for the first one listed"
                return self.error(f"has no model '{quote(model)}' ({said})", remedy)
            return self.error("offers no chat completions there (404)", CHECK_URL)
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return self.error(f"has had enough of us for now (429: {said})", "Check its quota")
        return self.error(f"answers with an error ({status}: {said})", SEE_LOG)

    def redirect(self, target: str) -> EngineError:
        """Return what a redirect means: the key goes where the user said, nowhere else."""
        return self.error(f"sends us on to {quote(target) or 'nowhere'}", "Write that into brain.openai.url")

    def transport(self, error: httpx.TransportError, *, begun: bool = False) -> EngineError:
        """Return what a fault of the connection means; `begun`: in the middle of an answer."""
        said = quote(str(error)) or type(error).__name__
        match error:
            case httpx.ConnectTimeout():
                why = f"does not take the connection within {self._connect_timeout_s:g} s"
            case httpx.ConnectError():
                why = f"can't be reached ({said})"
            case httpx.ReadTimeout():
                why = "has gone silent"
            case _:
                why = f"cut the connection{' in the middle' if begun else ''} ({said})"
        return self.error(why, "Is the server running? Check brain.openai.url")
