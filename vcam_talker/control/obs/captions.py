"""A text source in OBS follows the speech, sentence by sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from vcam_talker.control.obs.connection import NOT_FOUND, ObsConnection, RequestError
from vcam_talker.control.obs.owner import Work

MIN_INTERVAL_S: Final = 0.2
_TEXT_KIND: Final = "text_"
"""How the kinds of all text sources begin: text_ft2_source_v2, text_gdiplus_v3, ..."""


class Captions:
    """Shows the newest text, at most five times a second. Lives on the control loop but for `_write`.

    Only a text source is ever written to, and only one that exists; whatever happens, nobody waits for it.
    """

    def __init__(self, source: str, submit: Callable[[Work, object], bool]) -> None:
        self._source = source
        self._submit = submit
        self._wanted = ""
        self._sent: str | None = None
        self._sent_s = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._checked = False
        """Whether the source was found to be there and one for text; written on the owner's thread."""
        self.note = ""
        """Why there are no captions, and the remedy; empty while there are."""

    def show(self, text: str) -> None:
        """Show `text` from now on; empty: nothing."""
        self._wanted = text
        self._schedule()

    def reassert(self) -> None:
        """Take that this is another connection, or that OBS's sources have changed: begin anew."""
        self._sent = None
        self._checked = False
        self.note = ""
        self._schedule()

    def stop(self) -> None:
        """Leave an empty text behind, if there is time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wanted = ""
        self._send()

    def _schedule(self) -> None:
        if not self._source or self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        wait_s = self._sent_s + MIN_INTERVAL_S - loop.time()
        if wait_s > 0:
            self._timer = loop.call_later(wait_s, self._due)
        else:
            self._send()

    def _due(self) -> None:
        self._timer = None
        self._send()

    def _send(self) -> None:
        if not self._source or self._wanted == self._sent or self.note:
            return
        text = self._wanted
        if self._submit(lambda connection: self._write(connection, text), self):
            self._sent = text
            self._sent_s = asyncio.get_running_loop().time()

    def _write(self, connection: ObsConnection, text: str) -> None:
        """Set the text, on the owner's thread."""
        try:
            if not self._checked:
                kind = str(connection.request("GetInputSettings", inputName=self._source)["inputKind"])
                if not kind.startswith(_TEXT_KIND):
                    self.note = f"no captions: OBS's source '{self._source}' is not a text source"
                    return
                self._checked = True
            connection.request(
                "SetInputSettings", inputName=self._source, inputSettings={"text": text}, overlay=True
            )
        except RequestError as e:
            if e.code != NOT_FOUND:
                raise
            self.note = (
                f"no captions: OBS has no text source '{self._source}' ('vcam-talker setup obs' makes one)"
            )
