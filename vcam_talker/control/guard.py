"""What stands before every request: Host, Origin, token, rate, content type and size. Adds safe headers."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from vcam_talker.config import ControlConfig
from vcam_talker.control.hosts import HostPolicy, same_origin
from vcam_talker.control.problems import Refusal
from vcam_talker.control.ratelimit import RateLimiter

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 64 * 1024
_BODY_TIMEOUT_S = 10.0
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_CONTENT_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    b"trusted-types 'none'"
)
_SECURITY_HEADERS = (
    (b"content-security-policy", _CONTENT_POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
)


class Guard:
    """ASGI middleware.

    Everything under /api needs the token when one is set; the page's own files hold no secret.
    """

    def __init__(self, app: App, config: ControlConfig, port: int, limiter: RateLimiter) -> None:
        self._app = app
        self._hosts = HostPolicy(config.host, config.allowed_hosts)
        self._token = config.token.encode()
        self._port = port
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a refusal, or pass the request on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        send = _with_security_headers(send, api=_is_api(scope))
        try:
            self._admit(scope)
            if scope["type"] == "http" and scope["method"] not in _SAFE_METHODS:
                receive = _replay(await _read_body(scope, receive))
        except Refusal as refusal:
            await _refuse(scope, refusal, send)
            return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        headers = _headers(scope)
        is_socket = scope["type"] == "websocket"
        changes = is_socket or scope["method"] not in _SAFE_METHODS
        authority = headers.get("host", "")
        if not self._hosts.accepts(authority):
            raise Refusal(
                403,
                "forbidden_host",
                f"Host '{authority[:100]}'",
                "this daemon is not reached under that name",
                f"Open http://127.0.0.1:{self._port}/, or add the name to 'control.allowed_hosts'",
            )
        if changes and not _origin_is_ours(headers, authority):
            raise Refusal(
                403,
                "forbidden_origin",
                f"Origin '{headers.get('origin', '')[:100]}'",
                "pages of other sites may not command this daemon",
                "Use the daemon's own page, or a program that sends no Origin",
            )
        if _is_api(scope) and not self._has_token(scope, headers):
            self._take(scope)
            raise Refusal(
                401,
                "unauthorized",
                "the token",
                "is missing or wrong",
                "Send 'Authorization: Bearer TOKEN' with the value of 'control.token'",
                {"WWW-Authenticate": "Bearer"},
            )
        if changes:
            self._take(scope)

    def _take(self, scope: Scope) -> None:
        wait_s = self._limiter.wait_s(client_address(scope))
        if wait_s:
            raise rate_refusal(wait_s)

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        if not self._token:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = ""
            if scope["type"] == "websocket":
                # A browser can't set headers on a WebSocket.
                query = bytes(scope.get("query_string", b"")).decode("latin-1")
                given = parse_qs(query, max_num_fields=8).get("token", [""])[0] if len(query) < 2048 else ""
        return hmac.compare_digest(given.strip().encode(), self._token)


def client_address(scope: Scope) -> str:
    """Return the address the rate is counted for."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def rate_refusal(wait_s: int) -> Refusal:
    """Return the refusal of a client that asks too often."""
    return Refusal(
        429,
        "rate_limited",
        "this client",
        "sends requests faster than 'control.requests_per_s' allows",
        f"Try again in {wait_s} s",
        {"Retry-After": str(wait_s)},
    )


def _is_api(scope: Scope) -> bool:
    return str(scope["path"]).startswith("/api/")


def _headers(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        # Two Host or Origin headers that disagree are an attack, and comma-joined they match nothing.
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _origin_is_ours(headers: dict[str, str], authority: str) -> bool:
    origin = headers.get("origin")
    if origin is not None:
        return same_origin(origin, authority)
    return headers.get("sec-fetch-site", "none") in {"none", "same-origin"}


async def _read_body(scope: Scope, receive: Receive) -> bytes:
    """Return the whole body, read no further than MAX_BODY_BYTES. Raises Refusal."""
    headers = _headers(scope)
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise Refusal(400, "cut_off", "the request", "ended before its body was complete")
                body += message.get("body", b"")
                if len(body) > MAX_BODY_BYTES:
                    raise _too_large()
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise Refusal(408, "too_slow", "the request", f"took longer than {_BODY_TIMEOUT_S:g} s") from None
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    # A form of another site can only POST three types without asking first; JSON is none of them. Without a
    # body there is nothing to declare; other methods are for the router to refuse.
    undeclared = not body and not media_type
    if scope["method"] == "POST" and media_type != "application/json" and not undeclared:
        raise Refusal(
            415,
            "not_json",
            f"content type '{media_type[:100]}'",
            "the API takes JSON only",
            "Send 'Content-Type: application/json'",
        )
    return bytes(body)


def _too_large() -> Refusal:
    return Refusal(
        413,
        "too_large",
        "the request",
        f"is larger than {MAX_BODY_BYTES // 1024} kB",
        "Send less text at once",
        {"Connection": "close"},
    )


def _replay(body: bytes) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        return {"type": "http.disconnect"}

    return receive


async def _refuse(scope: Scope, refusal: Refusal, send: Send) -> None:
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.detail.why})
            return
        prefix = "websocket.http.response"
    else:
        prefix = "http.response"
    body = json.dumps(refusal.body).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refusal.headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": f"{prefix}.start", "status": refusal.status, "headers": raw})
    await send({"type": f"{prefix}.body", "body": body})


def _with_security_headers(send: Send, *, api: bool) -> Send:
    async def send_safely(message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.http.response.start"}:
            extra = list(_SECURITY_HEADERS)
            if api:
                extra.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return send_safely
