"""Any server with OpenAI's chat completions: llama.cpp, Ollama, vLLM, a cloud; answers are streamed."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final

import httpx

from vcam_talker.config import BrainConfig
from vcam_talker.core.errors import DeclinedError, EngineError, VcamTalkerError
from vcam_talker.core.secrets import read_secret
from vcam_talker.core.types import Question
from vcam_talker.llm.answer import cleaned
from vcam_talker.llm.completions import Dialect, ReplyError, model_names, quote
from vcam_talker.llm.gate import AnswerCutError
from vcam_talker.llm.openai_errors import CHECK_URL, KEY_NAME, ServerErrors
from vcam_talker.llm.openai_reply import read_body, read_chunks, read_reply
from vcam_talker.llm.prompt import build_messages
from vcam_talker.persona import Persona

log = logging.getLogger(__name__)

_WARM_UP_S: Final = 10.0
_GRACE_S: Final = 5.0
"""The ladder's time-outs come first; behind them no socket stays open on a server that has gone silent."""
_KEEP_ALIVE_S: Final = 120.0
_REFUSAL_S: Final = 2.0
"""How long the reason for a refusal is waited for."""
_BACK_OFF_S: Final = 0.25
_MAX_RETRY_AFTER_S: Final = 3.0
_BUSY: Final = frozenset((408, 429, 500, 502, 503, 504, 529))
_MAX_PORT: Final = 65_535
_NO_LISTING: Final = frozenset((404, 405, 501))


class OpenAIResponder:
    """A client of one server. Used from one event loop; connections are kept alive between questions."""

    name = "openai"

    def __init__(self, persona: Persona, config: BrainConfig) -> None:
        """Raise EngineError for an address that is none."""
        self._persona = persona
        self._config = config
        self._wants = config.openai
        try:
            self._url = httpx.URL(self._wants.url)
            host = self._url.netloc.decode().rpartition("@")[2]
        except (httpx.InvalidURL, UnicodeError) as e:
            raise _no_address(str(e)) from None
        if not self._url.host or (self._url.port or 0) > _MAX_PORT:
            raise _no_address("it needs a host, and a port up to 65535")
        self._where = f"{self._url.scheme}://{host}{self._url.path}"
        self._errors = ServerErrors(self._where, self._wants.connect_timeout_s)
        self._dialect = Dialect()
        self._listed = ""
        self._client: httpx.AsyncClient | None = None

    async def respond(self, question: Question) -> AsyncIterator[str]:
        """Yield the answer as the server writes it, cleaned for speech. Closing closes the connection.

        Raises EngineError; AnswerCutError behind an answer that `max_tokens` cut; DeclinedError when the
        server's own filter kept it from answering.
        """
        messages = build_messages(self._persona, question, self._config)
        async with aclosing(cleaned(self._stream(messages))) as texts:
            async for text in texts:
                yield text

    async def warm_up(self) -> None:
        """Connect and see which models there are. Raises EngineError."""
        await self._find_model()
        if self._errors.key and self._url.scheme == "http" and not _is_local(self._url.host):
            log.warning("%s: the key crosses the network in the clear; use https", self._where)

    async def models(self) -> list[str]:
        """Return what the server lists; empty where it lists nothing and a model is configured.

        Takes ten seconds at most. Raises EngineError.
        """
        try:
            async with asyncio.timeout(_WARM_UP_S):
                response = await self._send("GET", "/models")
                try:
                    text = await read_body(read_chunks(response, self._errors), self._errors)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise self._errors.error(
                f"did not list its models within {_WARM_UP_S:g} s", "Is it busy?"
            ) from None
        except httpx.TransportError as e:
            raise self._errors.transport(e) from None
        if response.status_code != httpx.codes.OK:
            if self._wants.model and response.status_code in _NO_LISTING:
                return []
            raise self._refused(response, text)
        if text.lstrip().startswith("<"):
            raise self._errors.error("answers with a web page, not with its models", CHECK_URL)
        try:
            names = model_names(text)
        except ReplyError as e:
            raise self._errors.error(str(e), CHECK_URL) from None
        if not names and not self._wants.model:
            raise self._errors.error("lists no model", "Load one there, or name one in brain.openai.model")
        return names

    async def close(self) -> None:
        """Close the connections. Idempotent."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _stream(self, messages: list[dict[str, str]]) -> AsyncGenerator[str, None]:
        said = False
        async with (
            self._asked(messages) as response,
            aclosing(read_reply(response, self._errors)) as pieces,
        ):
            async for piece in pieces:
                if piece.text:
                    said = True
                    yield piece.text
                if piece.finish == "length":
                    raise AnswerCutError(self._where, f"cut the answer at {self._wants.max_tokens} tokens")
                if piece.finish == "content_filter":
                    kind = AnswerCutError if said else DeclinedError
                    raise kind(self._where, "its filter stopped the answer")

    @asynccontextmanager
    async def _asked(self, messages: list[dict[str, str]]) -> AsyncGenerator[httpx.Response, None]:
        """Send the request, again if that may help; yield a response with status 200; close it."""
        attempt = 0
        while True:
            wait_s: float | None
            try:
                response = await self._post(messages)
            except httpx.TransportError as e:
                error = self._errors.transport(e)
                wait_s = _back_off_s(attempt) if _worth_another_try(e) else None
            else:
                try:
                    if response.status_code == httpx.codes.OK:
                        yield response
                        return
                    refusal = await self._refusal(response)
                    if response.status_code == httpx.codes.BAD_REQUEST and self._dialect.learn(refusal):
                        continue
                    error = self._refused(response, refusal)
                    wait_s = _retry_after_s(response, attempt)
                finally:
                    await response.aclose()
            if attempt >= self._wants.retries or wait_s is None:
                raise error
            attempt += 1
            log.info("%s; once more in %.1f s", error, wait_s)
            await asyncio.sleep(wait_s)

    async def _post(self, messages: list[dict[str, str]]) -> httpx.Response:
        model = self._wants.model or self._listed or await self._find_model()
        body = self._dialect.body(model, messages, self._wants.temperature, self._wants.max_tokens)
        return await self._send("POST", "/chat/completions", body)

    async def _find_model(self) -> str:
        """Return the model to ask for. Raises EngineError."""
        names = await self.models()
        if self._wants.model:
            if names and self._wants.model not in names:
                log.warning("%s does not list the model %s", self._where, self._wants.model)
            return self._wants.model
        self._listed = names[0]
        log.info("%s: the model is %s", self._where, quote(self._listed))
        return self._listed

    async def _send(self, method: str, path: str, body: dict[str, object] | None = None) -> httpx.Response:
        """Return a response whose body has yet to be read. Raises EngineError, httpx.TransportError."""
        client = self._connected()
        headers = {"accept-encoding": "identity", "user-agent": "vcam-talker"}
        if key := await self._key():
            headers["authorization"] = f"Bearer {key}"
        # What stands behind the path stays: some clouds want a version there.
        url = self._url.copy_with(path=self._url.path.rstrip("/") + path)
        request = client.build_request(method, url, json=body, headers=headers)
        return await client.send(request, stream=True)

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            # It tells of every request, with the whole address, a password in it included.
            logging.getLogger("httpx").setLevel(logging.WARNING)
            silence_s = max(self._config.first_token_timeout_s, self._config.token_timeout_s) + _GRACE_S
            connect_s = self._wants.connect_timeout_s
            self._client = httpx.AsyncClient(
                timeout=httpx.Timeout(silence_s, connect=connect_s, pool=connect_s),
                limits=httpx.Limits(max_connections=4, keepalive_expiry=_KEEP_ALIVE_S),
                follow_redirects=False,  # the key goes where the user said, nowhere else
                trust_env=not _is_local(self._url.host),  # no proxy stands between us and this machine
            )
        return self._client

    async def _key(self) -> str | None:
        """Return the key; read anew for each request, so that a new one counts at once."""
        try:
            key = await asyncio.to_thread(read_secret, KEY_NAME)
        except VcamTalkerError as e:
            raise EngineError(e.what, e.why, e.remedy) from None
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
            raise EngineError(f"secret {KEY_NAME}", "holds characters that no key has", "Write it anew")
        self._errors.key = key or ""
        return key

    async def _refusal(self, response: httpx.Response) -> str:
        """Return why a request was refused, as far as the server says so."""
        try:
            async with asyncio.timeout(_REFUSAL_S):
                return await read_body(read_chunks(response, self._errors), self._errors)
        except (TimeoutError, httpx.TransportError, EngineError):
            return ""

    def _refused(self, response: httpx.Response, body: str) -> EngineError:
        if response.is_redirect:
            return self._errors.redirect(response.headers.get("location", ""))
        model = self._wants.model or self._listed
        if response.status_code == httpx.codes.NOT_FOUND:
            self._listed = ""  # another one may be loaded by now
        return self._errors.status(response.status_code, body, model)


def _no_address(why: str) -> EngineError:
    return EngineError("brain.openai.url", f"is no address: {why}", "Write http://HOST:PORT/v1")


def _worth_another_try(error: httpx.TransportError) -> bool:
    """Tell whether nothing was begun: no connection, or a kept one that the server had just closed."""
    return isinstance(
        error, httpx.ConnectError | httpx.ConnectTimeout | httpx.RemoteProtocolError | httpx.ReadError
    )


def _back_off_s(attempt: int) -> float:
    """Return a time with jitter: several clients must not come back in step."""
    return _BACK_OFF_S * 2.0**attempt * random.uniform(0.5, 1.5)


def _retry_after_s(response: httpx.Response, attempt: int) -> float | None:
    """Return how long to wait before another try, None when there is no use in one."""
    if response.status_code not in _BUSY:
        return None
    try:
        asked_s = float(response.headers.get("retry-after", ""))
    except ValueError:
        return _back_off_s(attempt)
    return max(0.0, asked_s) if asked_s <= _MAX_RETRY_AFTER_S else None


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
