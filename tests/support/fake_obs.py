"""A server that speaks obs-websocket v5 as far as the link needs, and misbehaves on demand."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

_SALT, _CHALLENGE = "salt", "challenge"


class FakeObs:
    """Context manager. `requests` holds what was asked; what it answers can be changed at any time."""

    def __init__(self, password: str = "", port: int = 0) -> None:
        self.password = password
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.logins = 0
        self.masks: list[int] = []
        """The masks of events that were asked for after the log-in."""
        self.refuse: dict[str, int] = {}
        """Request -> the code it is refused with."""
        self.answers: dict[str, dict[str, Any]] = {
            "GetVersion": {
                "obsVersion": "30.0.0",
                "obsWebSocketVersion": "5.3.0",
                "platform": "linux",
                "availableRequests": [
                    "BroadcastCustomEvent",
                    "GetStats",
                    "GetInputSettings",
                    "SetInputSettings",
                ],
            },
            "GetInputSettings": {"inputKind": "text_ft2_source_v2", "inputSettings": {}},
            "GetCurrentProgramScene": {"currentProgramSceneName": "Wide"},
            "GetInputList": {"inputs": []},
            "GetSceneCollectionList": {"currentSceneCollectionName": "Untitled"},
        }
        self.hello: dict[str, Any] | None = {"obsWebSocketVersion": "5.3.0", "rpcVersion": 1}
        """None: say nothing, as obs-websocket 4 does."""
        self.greeting = ""
        """Said instead of the hello."""
        self.before_identified: list[dict[str, Any]] = []
        """Said before the log-in is confirmed."""
        self.close_at_log_in = 0
        """The code to hang up with instead of confirming the log-in."""
        self.close_at: dict[str, int] = {}
        """Request -> the code to hang up with instead of answering it."""
        self.mute = False
        """Take requests and answer none, as a program that stands still."""
        self.changed = threading.Condition()
        self._clients: set[ServerConnection] = set()
        self._server: Server | None = None
        self._port = port
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Where it listens, or will again."""
        return self._port

    def __enter__(self) -> FakeObs:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Listen, on the same port as before."""
        self._server = serve(self._client, "127.0.0.1", self._port)
        self._port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; everybody is thrown out."""
        if self._server is None or self._thread is None:
            return
        self.drop()
        self._server.shutdown()
        self._thread.join(10)
        self._server = None

    def drop(self, code: int | None = None) -> None:
        """Cut every connection as a crash does, or say goodbye with `code`."""
        for client in list(self._clients):
            with contextlib.suppress(OSError):  # it may be going by itself
                if code is not None:
                    client.close(code)
                else:
                    client.socket.shutdown(socket.SHUT_RDWR)

    def emit(self, name: str, data: dict[str, Any]) -> None:
        """Send an event to everybody."""
        if name == "CurrentProgramSceneChanged":
            self.answers["GetCurrentProgramScene"] = {"currentProgramSceneName": data["sceneName"]}
        message = {"op": 5, "d": {"eventType": name, "eventIntent": 1, "eventData": data}}
        self.emit_raw(json.dumps(message))

    def emit_raw(self, text: str) -> None:
        """Send any text to everybody."""
        for client in list(self._clients):
            with contextlib.suppress(ConnectionClosed):
                client.send(text)

    def wait(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
        """Wait until `condition` holds after some request; return whether it does."""
        with self.changed:
            return self.changed.wait_for(condition, timeout_s)

    def asked(self, name: str) -> list[dict[str, Any]]:
        """Return the data of every request of that name so far."""
        return [data for request, data in list(self.requests) if request == name]

    def told(self) -> list[dict[str, Any]]:
        """Return every custom event that was broadcast through it."""
        return [data["eventData"] for data in self.asked("BroadcastCustomEvent")]

    def _client(self, client: ServerConnection) -> None:
        try:
            if self._log_in(client):
                self._serve(client)
        except ConnectionClosed:
            pass
        finally:
            self._clients.discard(client)

    def _log_in(self, client: ServerConnection) -> bool:
        if self.hello is None:
            client.recv()
            return False
        hello = dict(self.hello)
        if self.password:
            hello["authentication"] = {"challenge": _CHALLENGE, "salt": _SALT}
        client.send(self.greeting or json.dumps({"op": 0, "d": hello}))
        identify = json.loads(client.recv())["d"]
        if self.password and identify.get("authentication") != _proof(self.password):
            client.close(4009, "Authentication failed.")
            return False
        for message in self.before_identified:
            client.send(json.dumps(message))
        if self.close_at_log_in:
            client.close(self.close_at_log_in)
            return False
        client.send(json.dumps({"op": 2, "d": {"negotiatedRpcVersion": 1}}))
        self._clients.add(client)
        with self.changed:
            self.logins += 1
            self.changed.notify_all()
        return True

    def _serve(self, client: ServerConnection) -> None:
        for raw in client:
            message = json.loads(raw)
            if message["op"] == 3:
                self.masks.append(message["d"]["eventSubscriptions"])
            if message["op"] != 6:
                continue
            request = message["d"]
            name, data = request["requestType"], request["requestData"]
            with self.changed:
                self.requests.append((name, data))
                self.changed.notify_all()
            if name in self.close_at:
                client.close(self.close_at[name])
                return
            if self.mute:
                continue
            code = self.refuse.get(name, 100)
            if name == "SetCurrentProgramScene" and code == 100:
                self.answers["GetCurrentProgramScene"] = {"currentProgramSceneName": data["sceneName"]}
            answer = {
                "requestType": name,
                "requestId": request["requestId"],
                "requestStatus": {"result": code == 100, "code": code},
                "responseData": self.answers.get(name, {}),
            }
            client.send(json.dumps({"op": 7, "d": answer}))


def _proof(password: str) -> str:
    def hashed(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return hashed(hashed(password + _SALT) + _CHALLENGE)
