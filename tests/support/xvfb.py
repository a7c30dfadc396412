"""A screen for programs that insist on one."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def xvfb(width: int = 1280, height: int = 720, start_timeout_s: float = 30.0) -> Iterator[str]:
    """Yield the DISPLAY of a private virtual screen; it is gone on exit. Raises TimeoutError."""
    read_end, write_end = os.pipe()
    # setpriv: it ends with this process, however that ends.
    command = ["setpriv", "--pdeathsig", "KILL", "Xvfb", "-displayfd", str(write_end)]
    try:
        server = subprocess.Popen(
            [*command, "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp", "-noreset"],
            pass_fds=[write_end],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    finally:
        os.close(write_end)
    try:
        # Xvfb picks a free display and writes its number once it accepts clients.
        if not select.select([read_end], [], [], start_timeout_s)[0]:
            raise TimeoutError(f"Xvfb gave no display in {start_timeout_s:.0f} s")
        number = os.read(read_end, 16).decode().strip()
        if not number:
            raise RuntimeError(f"Xvfb ended at once ({server.wait(timeout=5)})")
        yield f":{number}"
    finally:
        os.close(read_end)
        server.terminate()
        try:
            server.wait(timeout=5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
