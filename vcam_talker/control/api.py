"""The HTTP and WebSocket API of the daemon, and its page. Importing this takes half a second (FastAPI)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from vcam_talker import __version__
from vcam_talker.config import ControlConfig
from vcam_talker.control.assets import load_assets
from vcam_talker.control.chat import chat_router
from vcam_talker.control.commands import Commands
from vcam_talker.control.events import EVENTS
from vcam_talker.control.guard import Guard
from vcam_talker.control.health import check_health
from vcam_talker.control.listen import check_exposure
from vcam_talker.control.models import (
    AskRequest,
    EmotionRequest,
    Health,
    InterruptRequest,
    InterruptResult,
    MuteRequest,
    PauseRequest,
    PersonaRequest,
    SayRequest,
)
from vcam_talker.control.problems import ErrorBody, Refusal, refusal_of
from vcam_talker.control.ratelimit import RateLimiter
from vcam_talker.control.sockets import Sockets
from vcam_talker.control.validation import explain
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.stages import Station
from vcam_talker.core.status import DaemonStatus, DeviceReport, PersonaSummary, TurnReceipt

_DESCRIPTION = """\
Puts words into the mouth of the presenter on air.

Requests that change something carry `Content-Type: application/json` (or no body) and at most 64 kB. When
`control.token` is set, every request needs `Authorization: Bearer TOKEN` (on a WebSocket also `?token=`).
Every answer of status 400 or above has the body `{"error": {"what", "why", "remedy", "code"}}`.

**WebSocket `/api/events`** sends JSON texts: `{"event": "status", "status": DaemonStatus}` once a second and
after every change (without `engine.voices`), and `{"event": NAME, ...its fields}`, listed below. It takes
commands,
`{"cmd": "say" | "ask" | "interrupt" | "persona" | "mute" | "pause" | "emotion", "id": ..., ...fields of the
request of that name}`, and answers each with `{"event": "ack", "id": ..., "ok": true, "result": ...}` or
`{"event": "ack", "id": ..., "ok": false, "error": ...}`. A client that reads too slowly loses the oldest.

**WebSocket `/api/chat`** takes viewers' lines, one object or a list in each message, as `POST /api/chat`
does; it answers what it refuses with `{"event": "refused", "error": ...}`, and tells at most once a second
how many messages came too fast: `{"event": "dropped", "messages": 12}`.

**WebSocket `/api/preview`** sends binary packets, little-endian: uint8 kind (1 JPEG picture, 2 sound), uint8
version (1), uint16 0, uint32 (picture: width << 16 | height; sound: rate in Hz), int64 PTS in ns on the media
clock, then the JPEG or mono s16le PCM. An unchanged picture is not sent again.

**Events** of `/api/events`; where a schema is named, its fields stand beside `event`:

"""


def _description() -> str:
    rows = [f"- `{name}`: {what}" for name, what in EVENTS.items()]
    return _DESCRIPTION + "\n".join(rows) + "\n"


def _documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    texts = {
        400: "Malformed JSON.",
        401: "The token is missing or wrong.",
        403: "Wrong Host, or a page of another site.",
        404: "No such persona.",
        413: "Larger than 64 kB.",
        415: "Not JSON.",
        422: "A field is missing, unknown or unusable.",
        429: "Too many requests; `Retry-After` says when to come back.",
        503: "The queue is full (`Retry-After`), or a device or the engine is missing.",
    }
    return {status: {"model": ErrorBody, "description": texts[status]} for status in statuses}


_READ = _documented(401, 403)
_CHANGE = _documented(400, 401, 403, 413, 415, 422, 429, 503)
_RECEIPT = {
    "description": "Queued.",
    "content": {"application/json": {"example": {"turn": 7, "position": 0, "note": ""}}},
}


def create_app(station: Station, config: ControlConfig, port: int) -> FastAPI:
    """Return the ASGI application; it only touches `station` on the loop that runs it.

    Raises ConfigError when it would be reachable from other machines without a token.
    """
    check_exposure(config)
    app = FastAPI(
        title="vcam_talker",
        version=__version__,
        description=_description(),
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(HTTPBearer(auto_error=False, description="The value of `control.token`."))],
    )
    limiter = RateLimiter(config.requests_per_s, time.monotonic)
    commands = Commands(station)
    _add_commands(app, commands)
    _add_queries(app, station)
    app.include_router(chat_router(station))
    _add_page(app)
    sockets = Sockets(station, commands, limiter)
    app.add_api_websocket_route("/api/events", sockets.events)
    app.add_api_websocket_route("/api/preview", sockets.preview)
    _add_error_bodies(app)
    app.add_middleware(Guard, config=config, port=port, limiter=limiter)
    return app


def _add_commands(app: FastAPI, commands: Commands) -> None:
    @app.post("/api/say", status_code=202, responses={202: _RECEIPT, **_CHANGE})
    async def say(request: SayRequest) -> TurnReceipt:
        """Queue a text to be spoken verbatim."""
        return await commands.say(request)

    @app.post("/api/ask", status_code=202, responses={202: _RECEIPT, **_CHANGE})
    async def ask(request: AskRequest) -> TurnReceipt:
        """Queue a viewer's line to be answered."""
        return await commands.ask(request)

    @app.post("/api/interrupt", responses=_CHANGE)
    async def interrupt(
        request: Annotated[InterruptRequest, Body()] = InterruptRequest(),  # noqa: B008 - frozen
    ) -> InterruptResult:
        """Stop the turn on air now, and drop what waits if asked. Ends nothing when nobody speaks."""
        return await commands.interrupt(request)

    @app.post("/api/mute", responses=_CHANGE)
    async def mute(request: MuteRequest) -> MuteRequest:
        """Send silence to the microphone, or sound again; lips and the page go on."""
        return await commands.mute(request)

    @app.post("/api/pause", responses=_CHANGE)
    async def pause(request: PauseRequest) -> PauseRequest:
        """Begin no further turn, or go on. What is being said ends normally, what comes waits."""
        return await commands.pause(request)

    @app.post("/api/emotion", responses=_CHANGE)
    async def emotion(request: EmotionRequest) -> EmotionRequest:
        """Set the mood of the resting face and of texts without one; null gives the persona its own back."""
        return await commands.emotion(request)

    @app.post("/api/persona", responses={**_CHANGE, **_documented(404)})
    async def persona(request: PersonaRequest) -> PersonaSummary:
        """Put another persona on air."""
        return await commands.persona(request)


def _add_queries(app: FastAPI, station: Station) -> None:
    # These read files or ask sound servers: plain functions run in a worker thread, off the loop.
    @app.get("/api/personas", responses=_READ)
    def personas() -> Sequence[PersonaSummary]:
        """List the personas that can be put on air."""
        return station.personas()

    @app.get("/api/devices", responses=_READ)
    def devices() -> DeviceReport:
        """List cameras and microphones, in use and at hand."""
        return station.devices()

    @app.get("/api/status", responses=_READ)
    async def status() -> DaemonStatus:
        """Everything the daemon knows about itself, once."""
        return station.status()

    @app.get(
        "/api/health",
        responses={503: {"model": Health, "description": "Picture or sound does not flow."}, **_READ},
    )
    async def health(response: Response) -> Health:
        """Check that frames leave and the clock advances; takes a tenth of a second."""
        found = await check_health(station)
        if found.status == "failing":
            response.status_code = 503
        return found


def _add_page(app: FastAPI) -> None:
    assets = load_assets()

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    @app.api_route("/{name}", methods=["GET", "HEAD"], include_in_schema=False)
    async def page(request: Request, name: str = "index.html") -> Response:
        asset = assets.get("docs.html" if name == "docs" else name)
        if asset is None:
            raise HTTPException(404)
        # Checked again at every visit: an upgraded daemon must not be steered by yesterday's script.
        headers = {"ETag": asset.etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == asset.etag:
            return Response(status_code=304, headers=headers)
        return Response(asset.body, media_type=asset.media_type, headers=headers)


def _add_error_bodies(app: FastAPI) -> None:
    def answer(refusal: Refusal) -> JSONResponse:
        return JSONResponse(refusal.body, refusal.status, refusal.headers)

    @app.exception_handler(Refusal)
    async def refused(_: Request, e: Refusal) -> JSONResponse:
        return answer(e)

    @app.exception_handler(VcamTalkerError)
    async def failed(_: Request, e: VcamTalkerError) -> JSONResponse:
        return answer(refusal_of(e))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, e: RequestValidationError) -> JSONResponse:
        return answer(explain(e.errors()))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, e: HTTPException) -> JSONResponse:
        codes = {400: "malformed_json", 404: "not_found", 405: "wrong_method"}
        whys = {400: "is not valid JSON", 404: "does not exist", 405: "does not take this method"}
        what = request.url.path[:100]
        why = whys.get(e.status_code, str(e.detail))
        code = codes.get(e.status_code, "http_error")
        return answer(Refusal(e.status_code, code, what, why, "See /docs", dict(e.headers or {})))

    @app.exception_handler(500)
    async def crashed(request: Request, _: Exception) -> JSONResponse:
        return answer(Refusal(500, "internal", request.url.path[:100], "failed unexpectedly", "See the log"))
