"""The client and the ladder against a server on a real socket that refuses, lies, cuts and hangs."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.support.llm_server import (
    Behaviour,
    LlmServer,
    cuts_after,
    delta,
    drips,
    endless,
    event,
    hangs,
    hangs_after,
    hangs_up,
    in_turn,
    raw,
    streams,
)
from tests.support.openai_brain import BOUND_S, KEY, MIRA, client, config, config_home, said, until, with_key
from vcam_talker.core.clock import SystemClock
from vcam_talker.core.errors import EngineError
from vcam_talker.core.types import Question
from vcam_talker.llm.ladder import FALLBACK, Ladder
from vcam_talker.llm.openai import OpenAIResponder

__all__ = ["config_home"]

pytestmark = pytest.mark.real


class TestRetry:
    @pytest.mark.parametrize(
        "first",
        [
            raw(b"busy", "text/plain", 503),
            raw(b"slow down", "text/plain", 429, Retry_After="0.1"),
            raw(b"", "text/plain", 500, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
            hangs_up,
        ],
    )
    async def test_before_the_first_token(self, first: Behaviour) -> None:
        async with LlmServer(in_turn(first, streams("Hello."))) as server:
            assert await said(client(server, retries=1)) == "Hello."
            assert len(server.asked) == 2

    async def test_no_more_often_than_it_may(self) -> None:
        async with LlmServer(raw(b'{"error": {"message": "overloaded"}}', "application/json", 503)) as server:
            with pytest.raises(EngineError, match=r"503: overloaded"):
                await said(client(server, retries=2))
            assert len(server.asked) == 3

    @pytest.mark.parametrize(
        "behave",
        [
            raw(b"later", "text/plain", 429, Retry_After="3600"),
            raw(b"no", "text/plain", 400),
            cuts_after("Hello "),
            cuts_after("Hello ", reset=True),
        ],
    )
    async def test_not_when_there_is_no_use_and_never_in_the_middle(self, behave: Behaviour) -> None:
        async with LlmServer(behave) as server, asyncio.timeout(BOUND_S):
            with pytest.raises(EngineError):
                await said(client(server, retries=3))
            assert len(server.asked) == 1


ERRORS: list[tuple[Behaviour, str, str]] = [
    (raw(b"<!doctype html><title>x</title>", "text/html"), "web page", "brain.openai.url"),
    (raw(b"<html>", "text/event-stream"), "web page", "brain.openai.url"),
    (raw(b"<html>no</html>", "text/html", 404), "no chat completions there", "ends in /v1"),
    (
        raw(b'{"error": {"message": "model \'x\' not found"}}', "application/json", 404),
        "has no model 'little'",
        "openai.model",
    ),
    (
        raw(b'{"error": {"message": "bad key sk-test-0123456789"}}', "application/json", 401),
        "refuses the key",
        "openai-api-key",
    ),
    (raw(b"forbidden", "text/plain", 403), "refuses the key", "openai-api-key"),
    (
        raw(b"", "text/plain", 307, Location="http://else.where/v1"),
        "sends us on to http://else.where/v1",
        "brain.openai.url",
    ),
    (raw(b"{'choices': 1", "application/json"), "no JSON", "log"),
    (raw(b'{"choices": "none"}'), "no completion", "log"),
    (raw(event("{broken")), "no JSON", "log"),
    (raw(event('{"error": {"message": "CUDA out of memory"}}')), "CUDA out of memory", "log"),
    (raw(b"event: error\n" + event('{"message": "overloaded"}')), "reports an error: overloaded", "log"),
    (raw(event(delta("Hi ")) + b"event: error\n" + event('{"error": "died"}')), "died", "log"),
    (raw(b"data: " + b"x" * 100_000 + b"\n\n"), "a line of more than", "brain.openai.url"),
    (raw(b"x" * 100_000), "a line of more than", "brain.openai.url"),
    (raw(b"{" + b" " * 2_000_000), "at once", "brain.openai.url"),
    (endless(b": nothing to say\n\n" * 2000), "more than 8,388,608 bytes", "brain.openai.url"),
    (raw(event({"object": "error", "message": "CUDA out of memory"})), "CUDA out of memory", "log"),
    (raw(b"x", content_encoding="br"), "compresses its answer (br)", "brain.openai.url"),
    (raw(b"no gzip", content_encoding="gzip"), "sent what is no gzip", "log"),
    (raw(gzip.compress(bytes(20_000_000)), content_encoding="gzip"), "more than 65,536 bytes", "url"),
    (raw(b""), "answered with nothing", "log"),
    (raw(b"\n\n: hm\n\n"), "ended its answer in the middle", "log"),
    (raw(event(delta("Hi"))), "ended its answer in the middle", "log"),
    (cuts_after("Hi "), "cut the connection in the middle", "running"),
    (cuts_after("Hi ", reset=True), "cut the connection in the middle", "running"),
    (hangs_up, "cut the connection", "running"),
]


class TestErrors:
    @pytest.mark.parametrize(("behave", "why", "remedy"), ERRORS)
    async def test_one_clear_line_each(
        self, behave: Behaviour, why: str, remedy: str, config_home: Path
    ) -> None:
        with_key(config_home)
        async with LlmServer(behave) as server, asyncio.timeout(BOUND_S):
            with pytest.raises(EngineError) as caught:
                await said(client(server))
            line = str(caught.value)
            assert f"127.0.0.1:{server.port}" in line
            assert why in line
            assert remedy in line
            assert KEY not in line
            assert "\n" not in line
            assert len(line) < 500
            await until(lambda: server.open_connections == 0, "nothing is left open")

    async def test_nobody_listens(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        responder = OpenAIResponder(MIRA, config(url))
        with pytest.raises(EngineError, match=r"can't be reached.*Is the server running"):
            await responder.warm_up()

    async def test_a_listener_that_never_accepts(self) -> None:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
            blockers = [socket.socket() for _ in range(4)]
            for blocker in blockers:
                blocker.setblocking(False)
                blocker.connect_ex(deaf.getsockname())
            responder = OpenAIResponder(MIRA, config(url, connect_timeout_s=0.3))
            async with asyncio.timeout(BOUND_S):
                with pytest.raises(EngineError, match=r"does not take the connection within 0\.3 s"):
                    await responder.warm_up()
            for blocker in blockers:
                blocker.close()
            await responder.close()

    async def test_an_unknown_host(self) -> None:
        responder = OpenAIResponder(MIRA, config("http://no-such-host.invalid/v1"))
        async with asyncio.timeout(BOUND_S):
            with pytest.raises(EngineError, match=r"no-such-host\.invalid"):
                await responder.warm_up()
        await responder.close()


def ladder(url: str, **changes: Any) -> Ladder:
    brain = config(url, **changes)
    return Ladder(MIRA, brain, lambda _name: OpenAIResponder(MIRA, brain), SystemClock())


async def loaded(made: Ladder) -> None:
    await made.warm_up()
    await until(lambda: made.views()[0].state == "ready", "it loads")


async def ask(made: Ladder) -> tuple[str, float]:
    started = time.monotonic()
    text = "".join([d async for d in made.respond(Question("what is quantum chromodynamics?", "Ann"))])
    return text.strip(), time.monotonic() - started


class TestLadder:
    @pytest.mark.parametrize(
        "behave",
        [
            hangs,
            hangs_after(),
            hangs_up,
            cuts_after(),
            endless(b": nothing to say\n\n"),
            endless(event(delta(reasoning_content="hm"))),
            endless(event(delta("<think>hm"))),
            *(behave for behave, _, _ in ERRORS if behave is not hangs_up),
        ],
    )
    async def test_whatever_the_server_does_there_is_an_answer_in_time(self, behave: Behaviour) -> None:
        async with LlmServer(behave) as server:
            made = ladder(server.url, breaker_failures=2)
            await loaded(made)
            for state in ("ready", "resting"):
                text, seconds = await ask(made)
                assert text, "never silence"
                assert seconds < BOUND_S
                assert made.views()[0].state == state
            assert made.views()[0].failed == 2
            asked = len(server.asked)
            text, _ = await ask(made)
            assert made.answered_by == FALLBACK
            assert text in MIRA.fallback
            assert len(server.asked) == asked, "it rests"
            await made.close()
            await until(lambda: not server.open_connections, "no connection is left open")

    @pytest.mark.parametrize(
        "behave",
        [
            hangs_after("It is blue. ", "It costs tw"),
            cuts_after("It is blue. ", "It costs tw"),
            cuts_after("It is blue. ", "It costs tw", reset=True),
            raw(event(delta("It is blue. It costs tw")) + event('{"error": "died"}')),
            raw(event(delta("It is blue. It costs tw", "length"))),
        ],
    )
    async def test_what_was_whole_is_said(self, behave: Behaviour) -> None:
        async with LlmServer(behave) as server:
            made = ladder(server.url)
            await loaded(made)
            text, seconds = await ask(made)
            assert text == "It is blue."
            assert seconds < BOUND_S
            assert made.answered_by == "openai"
            await made.close()

    async def test_an_endless_answer_ends_with_a_sentence(self) -> None:
        async with LlmServer(endless(event(delta("On and on it goes. ")))) as server:
            made = ladder(server.url, max_answer_chars=100)
            await loaded(made)
            text, seconds = await ask(made)
            assert text.endswith("goes.")
            assert len(text) < 130
            assert seconds < BOUND_S
            async with asyncio.timeout(BOUND_S):
                await server.gone.wait()
            assert made.views()[0].failed == 0
            await made.close()

    async def test_a_drip_that_never_ends_ends_in_time(self) -> None:
        async with LlmServer(drips(*["One more word. "] * 1000, wait_s=0.0005)) as server:
            made = ladder(server.url, answer_timeout_s=1, first_token_timeout_s=5, token_timeout_s=5)
            await loaded(made)
            text, seconds = await ask(made)
            assert text.endswith("word.")
            assert made.answered_by == "openai"
            assert 0.9 < seconds < BOUND_S
            await made.close()

    async def test_a_server_that_comes_late_is_found(self) -> None:
        async with LlmServer(streams("Hello.")) as server:
            made = ladder(server.url)
            server.list_models = raw(b'{"error": {"message": "Loading model"}}', "application/json", 503)
            text, _ = await ask(made)
            assert text in MIRA.fallback
            await until(lambda: made.views()[0].state == "failed", "it says why")
            assert "Loading model" in made.views()[0].detail
            server.list_models = None
            await until(lambda: made.views()[0].state == "ready", "it is tried again")
            assert (await ask(made))[0] == "Hello."
            await made.close()

    async def test_a_barge_in_closes_the_connection(self) -> None:
        async with LlmServer(hangs_after("Hello there. ", "And")) as server, asyncio.timeout(BOUND_S):
            made = ladder(server.url, token_timeout_s=100, answer_timeout_s=100)
            await loaded(made)
            async with aclosing(made.respond(Question("x"))) as answer:
                assert (await anext(answer)).startswith("Hello")
            await server.gone.wait()
            assert made.views()[0].failed == 0
            await made.close()
