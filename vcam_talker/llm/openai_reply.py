"""Read the reply of a chat completion: a stream of events, or one JSON, whatever the server calls it."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import httpx

from vcam_talker.llm.completions import Piece, ReplyError, body_text, quote, read_piece
from vcam_talker.llm.openai_errors import CHECK_URL, SEE_LOG, ServerErrors
from vcam_talker.llm.sse import SseError, SseEvent, SseParser

log = logging.getLogger(__name__)

MAX_REPLY_BYTES: Final = 8 * 1024 * 1024
"""Of a stream; thoughts that are not spoken count, too."""
MAX_JSON_BYTES: Final = 1024 * 1024
_DONE: Final = "[DONE]"
_DRAIN_S: Final = 0.25
"""How long the end of a finished reply is waited for, so that its connection can be used again."""
_DRAIN_BYTES: Final = 16 * 1024
_BLANK: Final = b"\xef\xbb\xbf \t\r\n"
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_UNPACKED_BYTES: Final = 64 * 1024
"""At once: what is small when packed may be huge."""


async def read_reply(response: httpx.Response, errors: ServerErrors) -> AsyncGenerator[Piece, None]:
    """Yield what a reply brings, up to its end. Raises EngineError.

    The first byte tells a web page and a whole JSON from a stream, for servers mistake the type.
    """
    chunks = read_chunks(response, errors)
    parser = SseParser()
    first, size = b"", 0
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size > MAX_REPLY_BYTES:
                raise errors.error(f"sent more than {MAX_REPLY_BYTES:,} bytes", CHECK_URL)
            first = first or chunk.lstrip(_BLANK)[:1]
            if first == b"<":
                raise errors.error("answers with a web page, not with a completion", CHECK_URL)
            if first in {b"{", b"["}:
                yield _piece(await read_body(chunks, errors, chunk), errors)
                return
            for event in parser.feed(chunk):
                piece = _event(event, errors)
                if piece is None or piece.finish:
                    if piece is not None:
                        yield piece
                    await _drain(chunks)
                    return
                yield piece
        for event in parser.close():
            piece = _event(event, errors)
            if piece is None:
                return
            yield piece
            if piece.finish:
                return
    except httpx.TransportError as e:
        raise errors.transport(e, begun=True) from None
    except SseError as e:
        raise errors.error(f"sent {e}, which is no completion", CHECK_URL) from None
    raise errors.error("ended its answer in the middle" if first else "answered with nothing", SEE_LOG)


async def read_chunks(response: httpx.Response, errors: ServerErrors) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of a body as they come, none empty. Raises EngineError, httpx.TransportError.

    No compression was asked for, but some proxies compress whatever passes.
    """
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding in {"", "identity"}:
        async for chunk in response.aiter_raw():
            if chunk:
                yield chunk
        return
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise errors.error(f"compresses its answer ({quote(coding)}), which nobody asked for", CHECK_URL)
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        async for chunk in response.aiter_raw():
            packed = chunk
            while packed:
                if data := unpacker.decompress(packed, _UNPACKED_BYTES):
                    yield data
                packed = unpacker.unconsumed_tail
        if data := unpacker.flush():
            yield data
    except zlib.error:
        raise errors.error(f"sent what is no {coding}, though it says so", SEE_LOG) from None


async def read_body(chunks: AsyncIterator[bytes], errors: ServerErrors, begun: bytes = b"") -> str:
    """Return a body that is no stream as a whole. Raises EngineError when it is too long."""
    body = bytearray(begun)
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_JSON_BYTES:
            raise errors.error(f"sent more than {MAX_JSON_BYTES:,} bytes at once", CHECK_URL)
    return body.decode("utf-8", "replace")


def _event(event: SseEvent, errors: ServerErrors) -> Piece | None:
    """Return what an event brings, None for the last one."""
    if event.name == "error":
        raise errors.error(f"reports an error: {body_text(event.data)}", SEE_LOG)
    return None if event.data.strip() == _DONE else _piece(event.data, errors)


def _piece(data: str, errors: ServerErrors) -> Piece:
    try:
        return read_piece(data)
    except ReplyError as e:
        raise errors.error(str(e), SEE_LOG) from None


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read the end of a reply that is over, if it comes at once."""
    size = 0
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for chunk in chunks:
                size += len(chunk)
                if size > _DRAIN_BYTES:
                    return
    except (TimeoutError, httpx.TransportError):
        log.debug("the server holds on to a finished reply; its connection is not used again")
