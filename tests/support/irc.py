"""A real IRC server (InspIRCd) on loopback, plain and as WebSocket over TLS; a proxy that stalls and cuts."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_MODULES = "/usr/lib/inspircd/modules"
_CONFIG = """
<server name="irc.test" description="test" network="Test" id="001">
<admin name="test" nick="test" email="test@example.org">
<module name="ssl_gnutls">
<module name="sha1">
<module name="cap">
<module name="websocket">
<wsorigin allow="*">
<websocket sendastext="yes" allowmissingorigin="yes">
<sslprofile name="own" provider="gnutls" certfile="{folder}/cert.pem" keyfile="{folder}/key.pem">
<bind address="127.0.0.1" port="{tls_port}" type="clients" sslprofile="own" hook="websocket">
<bind address="127.0.0.1" port="{plain_port}" type="clients">
<connect allow="127.0.0.0/8" timeout="10" pingfreq="120" softsendq="16M" hardsendq="32M" recvq="1M"
  localmax="50" globalmax="50" maxchans="20" commandrate="10000000" threshold="1000000" fakelag="off"
  resolvehostnames="no" useident="no">
<performance nouserdns="yes">
<pid file="{folder}/pid">
<log method="file" type="*" level="normal" target="{folder}/log">
<path configdir="{folder}" datadir="{folder}" logdir="{folder}" runtimedir="{folder}" moduledir="{modules}">
"""


def make_certificate(folder: Path) -> ssl.SSLContext:
    """Write key.pem and cert.pem for 127.0.0.1 into `folder`; return what trusts them and nothing else."""
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"), "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return ssl.create_default_context(cafile=str(folder / "cert.pem"))


def free_port() -> int:
    """Return a loopback port that nobody uses at the moment."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


class IrcServer:
    """InspIRCd as a child of its own; `kill` and `start` may follow each other."""

    def __init__(self, folder: Path) -> None:
        self.trust = make_certificate(folder)
        self.plain_port, self.tls_port = free_port(), free_port()
        self.url = f"wss://127.0.0.1:{self.tls_port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        text = _CONFIG.format(
            folder=folder, modules=_MODULES, tls_port=self.tls_port, plain_port=self.plain_port
        )
        (folder / "inspircd.conf").write_text(text, encoding="ascii")

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        program = shutil.which("inspircd") or "/usr/sbin/inspircd"
        command = [program, f"--config={self._folder / 'inspircd.conf'}", "--nofork", "--runasroot"]
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, cwd=self._folder)
        deadline_s = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.tls_port), 1):
                return
            if time.monotonic() > deadline_s or self._process.poll() is not None:
                output_text = (self._folder / "output").read_text(errors="replace")
                raise AssertionError(f"InspIRCd did not start: {output_text[-800:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None


class IrcViewer:
    """A viewer on the plain port: async context manager, in one channel."""

    def __init__(self, port: int, nick: str, channel: str = "mira") -> None:
        self._port, self._nick, self._channel = port, nick, channel
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(f"NICK {self._nick}\r\nUSER {self._nick} 0 * :viewer\r\n".encode())
        inside = asyncio.Event()
        self._reading = asyncio.create_task(self._read(reader, inside))
        async with asyncio.timeout(20):
            await inside.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._writer is not None
        assert self._reading is not None
        self._reading.cancel()
        self._writer.close()
        await asyncio.wait([self._reading])

    async def say(self, *texts: str | bytes) -> None:
        """Send lines to the channel, as fast as the server takes them."""
        assert self._writer is not None
        for text in texts:
            data = text if isinstance(text, bytes) else text.encode()
            self._writer.write(b"PRIVMSG #" + self._channel.encode() + b" :" + data + b"\r\n")
        await self._writer.drain()

    async def _read(self, reader: asyncio.StreamReader, inside: asyncio.Event) -> None:
        assert self._writer is not None
        with contextlib.suppress(OSError):
            while line := (await reader.readline()).decode(errors="replace"):
                words = line.split(" ")
                if words[0] == "PING":
                    self._writer.write(f"PONG {words[1]}\r\n".encode())
                elif len(words) > 1 and words[1] == "001":
                    self._writer.write(f"JOIN #{self._channel}\r\n".encode())
                elif len(words) > 1 and words[1] == "366":
                    inside.set()


class Proxy:
    """Async context manager: a TCP proxy before a port, that can stall, and cut after so many bytes."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.connections = 0
        self.cut_after: int | None = None
        """Bytes from the server that still pass; then the connection is reset."""
        self._target = port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        self._flowing.set()

    def stall(self) -> None:
        """Pass nothing on, in neither direction, and close nothing."""
        self._flowing.clear()

    def flow(self) -> None:
        """Pass everything on again."""
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, far_writer, counted=False))
                tasks.create_task(self._pump(far_reader, writer, counted=True))
        except* OSError:
            pass
        finally:
            self._writers -= {writer, far_writer}
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        while data := await reader.read(65_536):
            await self._flowing.wait()
            if counted and self.cut_after is not None:
                data, left = data[: self.cut_after], self.cut_after - len(data)
                self.cut_after = left
                if left <= 0:
                    self.cut_after = None
                    writer.write(data)
                    await writer.drain()
                    raise ConnectionResetError
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError
