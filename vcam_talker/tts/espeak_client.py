"""Our side of the espeak-ng program: keep it warm, ask it, kill it when it hangs, start it again."""

from __future__ import annotations

import contextlib
import json
import queue
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from vcam_talker.core.errors import EngineError
from vcam_talker.core.stages import Cancelled

_HOST: Final = Path(__file__).with_name("espeak_host.py")
_POLL_S: Final = 0.02
_MAX_REPLY_BYTES: Final = 16_000_000
_MAX_WAITING: Final = 8
"""Requests given up on that may wait in a busy program before it counts as hung."""
_REMEDY: Final = "apt install espeak-ng"


@dataclass(frozen=True, slots=True)
class Reply:
    """One frame from the program."""

    head: dict[str, Any]
    pcm: bytes


@dataclass(slots=True)
class _Host:
    process: subprocess.Popen[bytes]
    stdin: IO[bytes]
    replies: queue.Queue[Reply | None]
    reader: threading.Thread
    hello: dict[str, Any]
    next_id: int = 1
    answered: int = 0


class EspeakClient:
    """Requests go one at a time; thread-safe."""

    def __init__(
        self, libraries: Sequence[str] = (), *, timeout_s: float = 4.0, start_timeout_s: float = 5.0
    ) -> None:
        self._command = [sys.executable, "-I", str(_HOST), *libraries]
        self._timeout_s = timeout_s
        self._start_timeout_s = start_timeout_s
        self._lock = threading.Lock()
        self._host: _Host | None = None

    def hello(self) -> dict[str, Any]:
        """Return the program's greeting, see `espeak_host`. Starts it. Raises EngineError."""
        with self._lock:
            return self._started().hello

    def greeting(self) -> dict[str, Any]:
        """Return the greeting of the program that runs, at once even while it speaks; else as `hello`."""
        host = self._host
        return host.hello if host is not None and host.hello else self.hello()

    def request(
        self, segments: Sequence[dict[str, str]], rate_wpm: int, pitch: int, cancelled: Cancelled
    ) -> list[Reply] | None:
        """Return one reply per segment, or None as soon as `cancelled()` is true. Blocks.

        Raises EngineError when the program refuses, dies, or says nothing for the time limit; then it is
        gone, and the next request starts a new one.
        """
        with self._lock:
            host = self._started()
            number = host.next_id
            host.next_id += 1
            body = {"id": number, "segments": list(segments), "rate_wpm": rate_wpm, "pitch": pitch}
            self._write(host, json.dumps(body).encode())
            replies: list[Reply] = []
            while len(replies) < len(segments):
                reply = self._next(host, number, cancelled)
                if reply is None:
                    return None
                if "error" in reply.head:
                    host.answered = number
                    raise EngineError("espeak-ng", reply.head["error"], "espeak-ng --voices lists them")
                replies.append(reply)
            host.answered = number
            return replies

    def pid(self) -> int | None:
        """Return the program's process id while it runs."""
        host = self._host
        return host.process.pid if host is not None and host.process.poll() is None else None

    def close(self) -> None:
        """Kill the program, from any thread. Idempotent; a later request would start it again."""
        host = self._host
        if host is not None:
            _end(host)
            self._host = None

    def _started(self) -> _Host:
        host = self._host
        if host is not None and host.process.poll() is None and host.next_id - host.answered <= _MAX_WAITING:
            return host
        self.close()
        try:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as e:
            raise EngineError("espeak-ng", f"its host can't be started ({e})", _REMEDY) from None
        replies: queue.Queue[Reply | None] = queue.Queue(16)
        reader = threading.Thread(
            target=_read, args=(process.stdout, replies), name="espeak-replies", daemon=True
        )
        reader.start()
        host = _Host(process, cast("IO[bytes]", process.stdin), replies, reader, {})
        try:
            greeting = replies.get(timeout=self._start_timeout_s)
        except queue.Empty:
            _end(host)
            raise EngineError("espeak-ng", "did not start in time", _REMEDY) from None
        if greeting is None:
            _end(host)
            raise EngineError("espeak-ng", "is not installed", _REMEDY)
        host.hello = greeting.head
        self._host = host
        return host

    def _write(self, host: _Host, body: bytes) -> None:
        try:
            host.stdin.write(struct.pack("<I", len(body)) + body)
            host.stdin.flush()
        except OSError:
            self.close()
            raise EngineError(
                "espeak-ng", "ended unexpectedly", "It is started again for the next one"
            ) from None

    def _next(self, host: _Host, number: int, cancelled: Cancelled) -> Reply | None:
        deadline = time.monotonic() + self._timeout_s
        while not cancelled():
            if time.monotonic() > deadline:
                self.close()
                raise EngineError(
                    "espeak-ng",
                    f"said nothing for {self._timeout_s:g} s",
                    "It is started again for the next one",
                )
            try:
                reply = host.replies.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if reply is None:
                self.close()
                raise EngineError("espeak-ng", "ended unexpectedly", "It is started again for the next one")
            if reply.head["id"] == number:
                return reply
            host.answered = max(host.answered, reply.head["id"])  # of a sentence that was given up
        return None


def _read(source: IO[bytes], replies: queue.Queue[Reply | None]) -> None:
    """Thread of one program: frames into the queue; None at the end."""
    with contextlib.suppress(OSError, ValueError):
        while len(size := source.read(4)) == 4:
            (length,) = struct.unpack("<I", size)
            body = source.read(length) if 4 <= length <= _MAX_REPLY_BYTES else b""
            if len(body) < 4:
                break
            (head_length,) = struct.unpack_from("<I", body)
            head = json.loads(body[4 : 4 + head_length])
            replies.put(Reply(head, body[4 + head_length :]))
    replies.put(None)


def _end(host: _Host) -> None:
    host.process.kill()
    # The reader may be holding a frame for a full queue: make room until it has seen the end.
    while host.reader.is_alive():
        with contextlib.suppress(queue.Empty):
            host.replies.get(timeout=0.005)
    for pipe in (host.process.stdin, host.process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    host.process.wait()
