"""Open the camera in headless Chromium and print what the page saw as one line of JSON.

The page comes from a server on the loopback and posts its findings back to it: no debugging protocol needed.
"""

from __future__ import annotations

import argparse
import http.server
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.vm.read_frames import open_camera

PAGE = Path(__file__).with_name("camera.html")


class _Handler(http.server.BaseHTTPRequestHandler):
    results: queue.SimpleQueue[str] = queue.SimpleQueue()

    def do_GET(self) -> None:
        self.send_response(200 if self.path.startswith("/?") else 404)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        if self.path.startswith("/?"):
            self.wfile.write(PAGE.read_bytes())

    def do_POST(self) -> None:
        self.results.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("device")
    parser.add_argument("--seconds", type=float, default=1.0, help="of video to watch at least")
    parser.add_argument("--frames", type=int, default=2, help="of different times to see at least")
    parser.add_argument("--timeout", type=float, default=60.0)
    arguments = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("no Chromium: sudo apt-get install chromium")
    # The camera is there once somebody writes to it.
    os.close(open_camera(arguments.device, wait_s=60))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        chromium = subprocess.Popen(
            [
                browser,
                "--headless=new",
                "--no-sandbox",
                "--no-first-run",
                "--disable-gpu",
                "--disable-extensions",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-breakpad",
                "--disable-default-apps",
                "--disable-sync",
                "--in-process-gpu",
                "--js-flags=--jitless",
                "--autoplay-policy=no-user-gesture-required",
                "--use-fake-ui-for-media-stream",
                f"--user-data-dir={profile}",
                f"http://127.0.0.1:{server.server_port}/?seconds={arguments.seconds}&frames={arguments.frames}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=sys.stderr,
        )
        try:
            print(_Handler.results.get(timeout=arguments.timeout), flush=True)
        except queue.Empty:
            print('{"error": "the page never answered"}', flush=True)
            return 1
        finally:
            chromium.kill()
            chromium.wait()
            server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
