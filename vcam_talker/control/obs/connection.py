"""One connection to OBS: obs-websocket-py 1.0 with its faults held off.

What is mended here, all seen in that version: `connect` waits for ever for an OBS that stands still; a wrong
password can't be told from any other end; error codes are thrown away; a request whose connection is gone
waits for its whole timeout; the receiving thread dies with a traceback, or joins itself; the mask of events
is fixed; what is sent to log in stands in the debug log.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import websocket
from obswebsocket.core import RecvThread, obsws

from vcam_talker.control.obs.settings import SECRET, Server
from vcam_talker.core.errors import SourceError

log = logging.getLogger(__name__)

EVENTS_ALL: Final = 0x7FF
"""Every category but the events that come many times a second."""
EVENTS_METERS: Final = 1 << 16
EVENTS_ON_REQUEST: Final = {"InputActiveStateChanged": 1 << 17, "InputShowStateChanged": 1 << 18}
"""obs-websocket counts them as high-volume, so they have to be asked for by name; they are bearable."""

NOT_READY: Final = 207
NOT_FOUND: Final = 600
NEEDED: Final = frozenset({"BroadcastCustomEvent", "GetStats", "GetInputSettings", "SetInputSettings"})
"""Requests without which an OBS is too old for this link."""
UPDATE: Final = "Update OBS to version 28 or newer"

_HELLO, _IDENTIFY, _IDENTIFIED, _REIDENTIFY, _EVENT, _REQUEST = 0, 1, 2, 3, 5, 6
_RPC_VERSION: Final = 1
_WRONG_PASSWORD: Final = 4009
_OTHER_RPC: Final = 4010
_KICKED: Final = 4011
_CONNECT_TIMEOUT_S: Final = 1.0
_HANDSHAKE_TIMEOUT_S: Final = 8.0
"""Long, so that an OBS which stands still is met at the moment it goes on."""
_ANSWER_TIMEOUT_S: Final = 2.0
_JOIN_TIMEOUT_S: Final = 2.0
_READY_TIMEOUT_S: Final = 60.0
_READY_POLL_S: Final = 0.25


class AbsentError(SourceError):
    """Nobody listens on the port."""


class MuteError(SourceError):
    """The port is open, and nobody answers: OBS stands still."""


class RefusedError(SourceError):
    """OBS can't be used as things are, and trying again at once would not help: wrong password, too old."""


class RequestError(SourceError):
    """OBS refused one request; the connection is as good as before."""

    def __init__(self, request: str, code: int, comment: str) -> None:
        super().__init__(f"OBS, {request}", comment.rstrip(".") or f"refused with code {code}")
        self.code = code


def quiet_library() -> None:
    """Silence the library's own log: its debug lines hold every message, its warnings repeat our errors."""
    logging.getLogger("obswebsocket.core").setLevel(logging.ERROR)


class _Socket(websocket.WebSocket):
    """Raises when the other end says goodbye, and keeps its reason."""

    closed_with = 0

    def recv_data_frame(self, control_frame: bool = False) -> tuple[int, Any]:
        opcode, frame = super().recv_data_frame(control_frame)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            self.closed_with = int.from_bytes(frame.data[:2], "big")
            raise websocket.WebSocketConnectionClosedException(f"closed with code {self.closed_with}")
        return opcode, frame


class _Receiver(RecvThread):  # type: ignore[misc]
    """The library's receiving thread; its end is told, whatever ends it."""

    def run(self) -> None:
        why = "OBS closed the connection"
        try:
            while self._read():
                log.warning("OBS sent a message that is nested too deeply; it is passed over")
        except (OSError, websocket.WebSocketException) as e:
            why = f"the connection broke ({_words(e)})"
        except Exception:
            log.exception("OBS sent what can't be understood")
            why = "it sent what can't be understood"
        finally:
            self.core.receiver_ended(why)

    def _read(self) -> bool:
        """Read until the connection ends, or return True behind a message that nothing can read."""
        try:
            super().run()
        except RecursionError:
            return True
        return False


class ObsConnection(obsws):  # type: ignore[misc]
    """One life of a connection; a new one is made for the next.

    `connect`, `wait_ready`, `request` and `close` belong to one thread and block; `abort` may be called from
    any. `on_event(name, data)` and, once, `on_lost()` are called on the receiving thread: they must only
    enqueue.
    """

    def __init__(
        self,
        server: Server,
        *,
        events: int = EVENTS_ALL,
        on_event: Callable[[str, dict[str, Any]], None] = lambda _name, _data: None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(server.host, server.port, server.password, legacy=False)
        self.obs_version = ""
        self.plugin_version = ""
        self.platform = ""
        """`linux`, `windows`, `macos`, as OBS says."""
        self.lost_why = ""
        """Why the connection is over; empty while it is not."""
        self.answered_s = 0.0
        """Monotonic time of the last answer."""
        self.kicked = False
        """Somebody threw this session out, in OBS."""
        self._server = server
        self._name = f"OBS at {server.address}"
        self._events_mask = events
        self._on_lost = on_lost
        self._numbers = itertools.count(1)
        self._over = threading.Event()
        self.ws: Any = None
        """A `_Socket` once there is one; the library's name for it."""
        self._receiver: _Receiver | None = None
        self.register(
            lambda event: on_event(event.name, event.datain if isinstance(event.datain, dict) else {})
        )

    # --- what the owner calls

    def connect(self) -> None:
        """Connect and log in. Where OBS stands still this blocks for up to 9 s, at a dripping port for 17 s.

        Raises AbsentError, MuteError, RefusedError, or SourceError; then nothing is left open.
        """
        try:
            self._connect()
        except SourceError:
            self.close()
            raise
        except websocket.WebSocketTimeoutException:
            self.close()
            raise MuteError(self._name, "it does not answer", "OBS may hang: look at its window") from None
        except websocket.WebSocketBadStatusException as e:
            self.close()
            raise self._another(f"HTTP {e.status_code}") from None
        except (OSError, websocket.WebSocketConnectionClosedException) as e:
            self.close()
            raise SourceError(self._name, f"the connection failed ({_words(e)})") from None
        except (ValueError, KeyError, TypeError, websocket.WebSocketException) as e:
            self.close()
            raise self._another(_words(e)) from None

    def wait_ready(self) -> None:
        """Wait until OBS has started up and takes requests; learn its version.

        Blocks for up to a minute. Raises RefusedError when OBS is too old, SourceError when it is lost.
        """
        deadline_s = time.monotonic() + _READY_TIMEOUT_S
        while True:
            try:
                found = self.request("GetVersion")
                break
            except RequestError as e:
                if e.code != NOT_READY or time.monotonic() > deadline_s:
                    raise RefusedError(
                        self._name, f"it does not get ready ({e.why})", "Restart OBS"
                    ) from None
            if self._over.wait(_READY_POLL_S):
                raise self._lost()
        self.obs_version = str(found.get("obsVersion", ""))
        self.plugin_version = str(found.get("obsWebSocketVersion", ""))
        self.platform = str(found.get("platform", ""))
        if lacking := NEEDED.difference(found.get("availableRequests") or ()):
            why = f"version {self.obs_version} lacks {', '.join(sorted(lacking))}"
            raise RefusedError(self._name, why, UPDATE)

    def request(self, kind: str, *, timeout_s: float | None = None, **data: object) -> dict[str, Any]:
        """Return OBS's answer. Blocks, for 2 s at most unless told otherwise; over at once when OBS is lost.

        Raises RequestError when OBS refuses, SourceError when it does not answer in time or is lost.
        """
        patience_s = _ANSWER_TIMEOUT_S if timeout_s is None else timeout_s
        number = f"vcam_talker-{next(self._numbers)}"
        answered = threading.Event()
        self.events[number] = answered
        try:
            self._send(_REQUEST, {"requestType": kind, "requestId": number, "requestData": data})
            if not answered.wait(patience_s):
                raise SourceError(self._name, f"no answer within {patience_s:g} s", "OBS may hang")
        finally:
            self.events.pop(number, None)
        answer = self.answers.pop(number, None)
        if answer is None:
            raise self._lost()
        self.answered_s = time.monotonic()
        status = answer["requestStatus"]
        if not status["result"]:
            raise RequestError(kind, int(status["code"]), str(status.get("comment", "")))
        found: dict[str, Any] = answer.get("responseData") or {}
        return found

    def subscribe(self, events: int) -> None:
        """Change the mask of events. Raises SourceError."""
        self._send(_REIDENTIFY, {"eventSubscriptions": events})

    def close(self) -> None:
        """Hang up and end the receiving thread. Blocks for some milliseconds; never raises. Idempotent."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.running = False
        if self.ws is not None:
            with contextlib.suppress(OSError, AttributeError, websocket.WebSocketException):
                if not self._over.is_set():
                    self.ws.send_close()
        self.abort()
        if receiver is not None:
            receiver.join(_JOIN_TIMEOUT_S)
        if self.ws is not None:
            self.ws.shutdown()

    def abort(self) -> None:
        """End whatever blocks in this connection, from any thread. Never raises."""
        self._over.set()
        sock = self.ws.sock if self.ws is not None else None
        if sock is not None:
            # `close` alone would not wake the thread that waits in `recv`.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    # --- what the library calls

    def disconnect(self) -> None:
        """Do nothing: the library calls this on its receiving thread, where it would wait for itself."""

    def receiver_ended(self, why: str) -> None:
        """Take that the receiving thread ends: every request that waits fails now."""
        self.kicked = self.ws is not None and self.ws.closed_with == _KICKED
        self.lost_why = "somebody ended this session in OBS" if self.kicked else why
        self._over.set()
        for waiting in list(self.events.values()):
            waiting.set()
        self._on_lost()

    # --- the rest

    def _connect(self) -> None:
        try:
            sock = socket.create_connection((self._server.host, self._server.port), _CONNECT_TIMEOUT_S)
        except OSError as e:
            raise AbsentError(self._name, f"nobody listens there ({_words(e)})", "Start OBS") from None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(_HANDSHAKE_TIMEOUT_S)
        self.ws = _Socket()
        self.ws.sock = sock  # from here on `abort` reaches it
        if self._over.is_set():
            raise self._lost()
        # Its own socket: no proxy of the environment has a say in this.
        # The socket's time-out counts from the last byte: what drips on for ever is cut off by a timer.
        limit = threading.Timer(2 * _HANDSHAKE_TIMEOUT_S, self.abort)
        limit.name, limit.daemon = "obs handshake", True
        limit.start()
        try:
            address = f"ws://{self._server.address}"
            self.ws.connect(address, socket=sock, suppress_origin=True, redirect_limit=0)
            self._log_in()
        finally:
            limit.cancel()
            limit.join()
        self.ws.settimeout(None)
        self.answered_s = time.monotonic()
        self._receiver = _Receiver(self)
        self._receiver.name = "obs receiver"
        self._receiver.daemon = True
        self._receiver.start()

    def _log_in(self) -> None:
        try:
            hello = self._receive(_HELLO)
        except websocket.WebSocketTimeoutException:
            # obs-websocket 4 waits to be spoken to.
            raise RefusedError(self._name, "it does not speak obs-websocket 5", UPDATE) from None
        version = hello.get("rpcVersion")
        if not isinstance(version, int) or version < _RPC_VERSION:
            raise RefusedError(self._name, "it does not speak version 1 of obs-websocket's protocol", UPDATE)
        identify: dict[str, Any] = {"rpcVersion": _RPC_VERSION, "eventSubscriptions": self._events_mask}
        if challenge := hello.get("authentication"):
            if not self.password:
                raise self._no_password()
            proof = self._build_auth_string(challenge["salt"], challenge["challenge"])
            identify["authentication"] = proof
        self._send(_IDENTIFY, identify)
        self._receive(_IDENTIFIED)

    def _receive(self, operation: int) -> dict[str, Any]:
        """Return the data of the next message that is no event, which must be of that kind."""
        while True:
            try:
                message = json.loads(self.ws.recv())
            except websocket.WebSocketConnectionClosedException:
                if self.ws.closed_with == _WRONG_PASSWORD:
                    raise self._wrong_password() from None
                if self.ws.closed_with == _OTHER_RPC:
                    raise RefusedError(
                        self._name, "it speaks another version of obs-websocket's protocol", UPDATE
                    ) from None
                raise
            except (ValueError, RecursionError):
                raise self._another("it sends no JSON") from None
            found = message.get("d") if isinstance(message, dict) else None
            if not isinstance(found, dict) or message.get("op") not in (operation, _EVENT):
                raise RefusedError(self._name, "it does not speak obs-websocket 5", UPDATE)
            if message["op"] == operation:
                return found

    def _send(self, operation: int, data: dict[str, Any]) -> None:
        if self._over.is_set() or self.ws is None:
            raise self._lost()
        try:
            # Never blocks for long: at most one request is unanswered, and the kernel's buffer holds many.
            self.ws.send(json.dumps({"op": operation, "d": data}))
        except (OSError, AttributeError, websocket.WebSocketException) as e:
            raise SourceError(self._name, f"the connection broke ({_words(e)})") from None

    def _lost(self) -> SourceError:
        return SourceError(self._name, self.lost_why or "the connection was ended")

    def _another(self, said: str) -> RefusedError:
        return RefusedError(
            self._name, f"another program answers there ({said})", "Set obs.port to the port that OBS shows"
        )

    def _no_password(self) -> RefusedError:
        why = f"it asks for a password, and none is known{self._secret_problem()}"
        return RefusedError(self._name, why, _SET_PASSWORD)

    def _wrong_password(self) -> RefusedError:
        return RefusedError(self._name, f"the password is wrong{self._secret_problem()}", _SET_PASSWORD)

    def _secret_problem(self) -> str:
        return f" ({self._server.problem})" if self._server.problem else ""


_SET_PASSWORD: Final = (
    f"Run 'vcam-talker setup secret {SECRET}' with the password that OBS shows under Tools > WebSocket "
    "Server Settings > Show Connect Info"
)


def _words(e: BaseException) -> str:
    if isinstance(e, OSError) and e.strerror:
        return e.strerror.lower()
    return (str(e).splitlines() or [""])[0][:200] or type(e).__name__
