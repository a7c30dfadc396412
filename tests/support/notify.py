"""The other end of sd_notify: a socket that plays systemd and notes what comes, and when."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from pathlib import Path


class NotifySocket:
    """Context manager: a datagram socket and a thread that reads it. Give `address` as NOTIFY_SOCKET."""

    def __init__(self, path: Path | None = None) -> None:
        """`path`: None makes an abstract address."""
        self.address = str(path) if path else f"@vcam-talker-test-{secrets.token_hex(8)}"
        self.messages: list[tuple[float, list[str]]] = []
        """Arrival in seconds of time.monotonic, lines."""
        self._arrived = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> NotifySocket:
        self._socket.bind("\0" + self.address[1:] if self.address[0] == "@" else self.address)
        self._socket.settimeout(0.1)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        sock, self._socket = self._socket, None  # type: ignore[assignment]
        self._thread.join()
        sock.close()

    def times(self, line: str) -> list[float]:
        """Return when that line came, each time."""
        with self._arrived:
            return [at_s for at_s, lines in self.messages if line in lines]

    def statuses(self) -> list[str]:
        """Return the texts of STATUS= so far."""
        with self._arrived:
            found = [line for _, lines in self.messages for line in lines if line.startswith("STATUS=")]
        return [line.removeprefix("STATUS=") for line in found]

    def wait_for(self, line: str, count: int = 1, timeout_s: float = 30.0) -> float:
        """Wait until a line has come `count` times; return when it came last. Raises AssertionError."""
        deadline_s = time.monotonic() + timeout_s
        with self._arrived:
            while sum(line in lines for _, lines in self.messages) < count:
                left_s = deadline_s - time.monotonic()
                assert left_s > 0, f"{line} did not come {count} times: {self.messages}"
                self._arrived.wait(left_s)
        return self.times(line)[-1]

    def _run(self) -> None:
        while (sock := self._socket) is not None:
            try:
                data = sock.recv(65536)
            except TimeoutError:
                continue
            with self._arrived:
                self.messages.append((time.monotonic(), data.decode().split("\n")))
                self._arrived.notify_all()
