"""Drives a headless Chromium over the DevTools protocol: enough for the page's tests, nothing more."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import ProxyHandler, build_opener

from websockets.sync.client import ClientConnection, connect

T = TypeVar("T")

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-proxy-server",
    "--remote-debugging-port=0",
)
_KEYS = {"Enter": 13, "Escape": 27, "Tab": 9}


class Chromium:
    """Context manager: one browser with a fresh profile and one page, `page`.

    `autoplay` lets pages play sound without a gesture; `flags` are added to the command line (a virtual
    camera's test adds `--use-fake-ui-for-media-stream`).
    """

    def __init__(self, *, autoplay: bool = True, flags: tuple[str, ...] = ()) -> None:
        self._flags = [*_FLAGS, *flags]
        if autoplay:
            self._flags.append("--autoplay-policy=no-user-gesture-required")
        self._process: subprocess.Popen[bytes] | None = None
        self._profile = ""
        self.page: Page

    def __enter__(self) -> Chromium:
        program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
        assert program, "Chromium is needed: apt-get install chromium"
        self._profile = tempfile.mkdtemp(prefix="vcam-talker-chromium-")
        self._process = subprocess.Popen(
            [program, *self._flags, f"--user-data-dir={self._profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            port_file = Path(self._profile, "DevToolsActivePort")
            port = wait_until(lambda: port_file.exists() and port_file.read_text().partition("\n")[0], 30)
            self.page = Page(_page_url(int(port)))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "page"):
            self.page.close()
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)


class Page:
    """One page. Not thread-safe. `complaints` holds what its console and its exceptions said."""

    def __init__(self, url: str) -> None:
        self._resources = ExitStack()
        self._socket: ClientConnection = self._resources.enter_context(
            connect(url, max_size=64 * 1024 * 1024, close_timeout=1)
        )
        self._last_id = 0
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """Let go of the page; it stays open in the browser."""
        self._resources.close()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result. Raises AssertionError when it failed."""
        self._last_id += 1
        self._socket.send(json.dumps({"id": self._last_id, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=30))
            if message.get("id") == self._last_id:
                assert "error" not in message, f"{method}: {message['error']}"
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def open(self, url: str) -> None:
        """Load `url` and wait until it is complete; complaints of the page before are forgotten."""
        self.call("Page.navigate", url="about:blank")
        self.wait("location.href === 'about:blank'")
        self.complaints.clear()
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str) -> Any:
        """Return the JSON value of an expression; promises are awaited."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression: str, timeout_s: float = 15.0) -> Any:
        """Return the expression's value as soon as it is truthy. Raises AssertionError."""
        return wait_until(lambda: self.evaluate(expression), timeout_s, expression)

    def type(self, text: str) -> None:
        """Insert text where the focus is, as an input method does."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, *, ctrl: bool = False) -> None:
        """Press and release a key."""
        modifiers = 2 if ctrl else 0
        code = _KEYS[key]
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def click(self, selector: str) -> None:
        """Click the middle of the element, with a real pointer, as soon as it can be hit and stands still.

        Raises AssertionError when it stays away, hidden, disabled, covered or on the move.
        """
        box = self.wait(
            f"(async () => {{ const e = document.querySelector({json.dumps(selector)});"
            " if (!e || e.disabled) return null;"
            " e.scrollIntoView(); const r = e.getBoundingClientRect();"
            " if (!r.width || !r.height) return null;"
            # Between being asked for and being hit it may move: what comes late pushes it aside.
            " for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);"
            " if (JSON.stringify(e.getBoundingClientRect()) !== JSON.stringify(r)) return null;"
            " const x = r.x + r.width / 2, y = r.y + r.height / 2;"
            " return e.contains(document.elementFromPoint(x, y)) ? [x, y] : null; })()"
        )
        common = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", **common)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **common)

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        """Set the size of the view in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write a PNG of the view, or of the whole document."""
        path.parent.mkdir(parents=True, exist_ok=True)
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message["method"] == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif message["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif message["method"] == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning"}:
            self.complaints.append(str(params["args"]))


def wait_until(condition: Callable[[], T], timeout_s: float, what: str = "condition") -> T:
    """Return the condition's value as soon as it is truthy. Raises AssertionError after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what} (is {value!r})"
        time.sleep(0.05)


def _page_url(port: int) -> str:
    opener = build_opener(ProxyHandler({}))

    def find() -> str:
        with opener.open(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
            targets = json.load(answer)
        return next((t["webSocketDebuggerUrl"] for t in targets if t["type"] == "page"), "")

    return wait_until(find, 20, "a page in the browser")
