"""Checks of what it talks to: OBS, and the chat. Logs in and out again; sends nothing else."""

from __future__ import annotations

import ssl
import threading
import urllib.parse
from typing import TYPE_CHECKING

from vcam_talker.config import Config, ObsConfig
from vcam_talker.core.errors import SourceError
from vcam_talker.doctor.finding import Finding, Machine

if TYPE_CHECKING:
    from vcam_talker.control.obs.connection import ObsConnection

_TIMEOUT_S = 2.0
_CLOSE_TIMEOUT_S = 0.3


def check_obs(config: Config, _machine: Machine) -> list[Finding]:
    """Log in to OBS, ask its version, and whether the source for captions is there."""
    from vcam_talker.control.obs.settings import SWITCH_ON, ServerFinder

    if not config.obs.wanted:
        return [Finding("obs", "ok", "it leaves OBS alone: obs.connect is off")]
    server = ServerFinder(config.obs).find()
    if server is None:
        message = f"no OBS with its WebSocket server on; it connects once there is one. {SWITCH_ON}"
        return [Finding("obs", "ok", message)]

    from vcam_talker.control.obs.connection import AbsentError, MuteError, ObsConnection, RefusedError

    connection = ObsConnection(server, events=0)
    late = threading.Event()

    def give_up() -> None:
        late.set()
        connection.abort()

    # One that stands still is waited for in vain, and its port is open all the same.
    timer = threading.Timer(_TIMEOUT_S, give_up)
    timer.daemon = True
    timer.start()
    try:
        connection.connect()
        connection.wait_ready()
        message = f"OBS {connection.obs_version} at {server.address} lets us in"
        return [Finding("obs", "ok", message), *_captions(config.obs, connection)]
    except AbsentError as e:
        if config.obs.connect == "auto":
            message = f"OBS does not run; it connects to {server.address} once it does"
            return [Finding("obs", "ok", message)]
        return [Finding("obs", "warn", f"{e.what}: {e.why}", e.remedy)]
    except RefusedError as e:
        return [Finding("obs", "fail", f"{e.what}: {e.why}", e.remedy)]
    except SourceError as e:
        mute = late.is_set() or isinstance(e, MuteError)
        why = f"it does not answer within {_TIMEOUT_S:g} s" if mute else e.why
        return [
            Finding("obs", "warn", f"OBS at {server.address}: {why}", "Look at its window, or restart it")
        ]
    finally:
        timer.cancel()
        connection.close()


def _captions(config: ObsConfig, connection: ObsConnection) -> list[Finding]:
    if not config.captions:
        return []
    names = [one.get("inputName") for one in connection.request("GetInputList").get("inputs", ())]
    if config.captions in names:
        return [Finding("obs", "ok", f"'{config.captions}' is there for captions")]
    message = f"OBS has no source '{config.captions}': no captions"
    return [Finding("obs", "warn", message, 'Run "vcam-talker setup obs", or set obs.captions = ""')]


def check_chat(config: Config, _machine: Machine) -> list[Finding]:
    """Connect to the server of the chat that is configured; joins no channel."""
    chat = config.chat
    if not chat.enabled:
        return [Finding("chat", "ok", "no chat is read: chat.twitch.channel is empty")]
    found = []
    if chat.twitch.channel:
        found.append(_twitch(chat.twitch.channel, chat.twitch.url))
    if chat.webhook.enabled:
        found.append(Finding("chat", "ok", f"lines are taken at /api/chat for '{chat.webhook.room}'"))
    return found


def _twitch(channel: str, url: str) -> Finding:
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect
    from websockets.typing import Origin

    host = urllib.parse.urlsplit(url).hostname or url
    remedy = "Check the network, and chat.twitch.url"
    try:
        with connect(
            url,
            origin=Origin(url.replace("ws", "http", 1)),
            ssl=ssl.create_default_context() if url.startswith("wss://") else None,
            open_timeout=_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            proxy=None,
        ):
            return Finding("chat", "ok", f"{host} answers; #{channel} is read")
    except TimeoutError:
        why = f"does not answer within {_TIMEOUT_S:g} s"
    except ssl.SSLCertVerificationError as e:
        why, remedy = (
            f"shows a certificate that is not trusted ({e.verify_message})",
            "Check the clock and CAs",
        )
    except (OSError, WebSocketException) as e:
        why = f"can't be reached ({getattr(e, 'strerror', None) or e})"
    return Finding("chat", "warn", f"#{channel} can't be read: {host} {why}", remedy)
