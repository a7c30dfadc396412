"""The client and the ladder against a server on a real socket that streams, drips, lies, cuts and hangs."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
import zlib
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.support.llm_server import (
    Behaviour,
    LlmServer,
    Request,
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
from vcam_talker.config import BrainConfig, OpenAIConfig
from vcam_talker.core.clock import SystemClock
from vcam_talker.core.errors import DeclinedError, EngineError
from vcam_talker.core.types import Exchange, Question
from vcam_talker.llm.gate import AnswerCutError
from vcam_talker.llm.ladder import FALLBACK, Ladder
from vcam_talker.llm.openai import OpenAIResponder
from vcam_talker.persona import load_persona

pytestmark = pytest.mark.real

MIRA = load_persona("mira")
KEY = "sk-test-0123456789"
HELLO = event(delta("Hello.", "stop")) + event("[DONE]")
BOUND_S = 15.0
"""Far above what any answer here may take, far below a hang."""


@pytest.fixture(autouse=True)
def config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep this machine's own secrets and proxies out of it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    return tmp_path


def with_key(home: Path) -> None:
    directory = home / "vcam-talker" / "secrets"
    directory.mkdir(parents=True, mode=0o700)
    (directory / "openai-api-key").write_text(KEY + "\n")
    (directory / "openai-api-key").chmod(0o600)


def config(url: str, **changes: Any) -> BrainConfig:
    brain = {k: changes.pop(k) for k in tuple(changes) if k in BrainConfig.model_fields}
    fields = {"url": url, "connect_timeout_s": 1.0, "retries": 0, **changes}
    timeouts = {"first_token_timeout_s": 0.5, "token_timeout_s": 0.5, "answer_timeout_s": 3}
    return BrainConfig(**{"engines": ("openai",), **timeouts, **brain}, openai=OpenAIConfig(**fields))


def client(server: LlmServer, **changes: Any) -> OpenAIResponder:
    return OpenAIResponder(MIRA, config(server.url, **changes))


async def deltas(responder: OpenAIResponder, text: str = "hi", user: str = "Ann") -> list[str]:
    try:
        return [d async for d in responder.respond(Question(text, user))]
    finally:
        await responder.close()


async def said(responder: OpenAIResponder, **question: str) -> str:
    return "".join(await deltas(responder, **question))


async def until(condition: Any, what: str) -> None:
    async with asyncio.timeout(BOUND_S):
        while not condition():  # noqa: ASYNC110 - a server's counters tell no event
            await asyncio.sleep(0.005)
    assert condition(), what


class TestAnswers:
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    async def test_streamed(self, newline: str) -> None:
        async with LlmServer(streams("[happy] Hel", "lo, ", "**Ann**! ", "你好", newline=newline)) as server:
            assert await said(client(server)) == "[happy] Hello, Ann! 你好"
            sent = server.asked[0]
            assert sent.json["model"] == "little", "the first one listed"
            assert sent.json["stream"] is True
            assert (sent.json["max_tokens"], sent.json["temperature"]) == (200, 0.7)
            assert [m["role"] for m in sent.json["messages"]] == ["system", "user"]
            assert sent.json["messages"][1]["content"] == "Ann: hi"
            assert "authorization" not in sent.headers

    async def test_each_delta_comes_when_it_is_written(self) -> None:
        go_on = asyncio.Event()

        async def behave(request: Request) -> None:
            request.head(content_type="text/event-stream", transfer_encoding="chunked")
            request.chunk(event(delta("Hello ")) + event(delta("there")))
            await request.writer.drain()
            await go_on.wait()
            request.chunk(event(delta(" again.", "stop")) + event("[DONE]"))
            request.chunk(b"")

        async with LlmServer(behave) as server, asyncio.timeout(BOUND_S):
            responder = client(server, token_timeout_s=10)
            got = ""
            async for text in responder.respond(Question("x")):
                got += text
                if got == "Hello there":
                    go_on.set()
            await responder.close()
            assert got == "Hello there again."

    async def test_an_address_with_a_query_keeps_it(self) -> None:
        async with LlmServer(streams("Hello.")) as server:
            responder = OpenAIResponder(MIRA, config(f"{server.url}?api-version=1"))
            assert await said(responder) == "Hello."
            paths = [r.path for r in server.requests]
            assert paths == ["/v1/models?api-version=1", "/v1/chat/completions?api-version=1"]

    async def test_dripped_byte_by_byte(self) -> None:
        async with LlmServer(drips("你好，", "Ann 😀! ", "Ça va?")) as server:
            assert await said(client(server)) == "你好，Ann! Ça va?"

    @pytest.mark.parametrize(
        "behave",
        [
            streams("Hello."),
            streams("Hello.", done=False),
            raw(gzip.compress(HELLO), content_encoding="gzip"),
            raw(zlib.compress(HELLO), content_encoding="deflate"),
            streams("<think>hm, what", " now?</think>Hello."),
            streams("Hello.", finish=None),
            raw(event(delta("Hello.", "stop")).rstrip()),
            raw(b": wait\n\n: wait\n\n" + event(delta("Hello.")) + event("[DONE]")),
            raw(event(delta("Hello.")) + event("[DONE]"), "text/plain"),
            raw(b'{"choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}]}'),
            raw(
                b'\n {"choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}]}',
                "text/event-stream",
            ),
            raw(
                event(delta(reasoning_content="hm"))
                + event(delta("Hello."))
                + event({"choices": []})
                + event("[DONE]")
            ),
        ],
    )
    async def test_however_a_server_puts_it(self, behave: Behaviour) -> None:
        async with LlmServer(behave) as server:
            assert await said(client(server)) == "Hello."

    async def test_the_past_is_told(self) -> None:
        async with LlmServer(streams("Yes.")) as server:
            responder = client(server, model="large")
            question = Question("and now?", "Ann", history=(Exchange("Bob", "hello", "Hi Bob."),))
            assert [d async for d in responder.respond(question)] == ["Yes."]
            await responder.close()
            sent = server.asked[0].json
            assert sent["model"] == "large"
            assert [m["content"] for m in sent["messages"][1:]] == ["Bob: hello", "Hi Bob.", "Ann: and now?"]

    async def test_an_answer_cut_by_its_length_or_by_a_filter_says_so(self) -> None:
        async with LlmServer(
            in_turn(
                streams("It is blue. It", finish="length"),
                streams("It is", finish="content_filter"),
                streams(finish="content_filter"),
            )
        ) as server:
            responder = client(server)
            with pytest.raises(AnswerCutError, match="200 tokens"):
                await said(responder)
            with pytest.raises(AnswerCutError, match="filter"):
                await said(responder)
            with pytest.raises(DeclinedError, match="filter"):
                await said(responder)

    async def test_a_server_with_other_parameters_is_understood(self) -> None:
        async with LlmServer(
            in_turn(
                raw(
                    b'{"error": {"message": "Use \'max_completion_tokens\' instead."}}',
                    "application/json",
                    400,
                ),
                raw(b'{"error": {"message": "temperature is not supported"}}', "application/json", 400),
                streams("Hello."),
            )
        ) as server:
            assert await said(client(server)) == "Hello."
            assert server.asked[-1].json["max_completion_tokens"] == 200
            assert "temperature" not in server.asked[-1].json


class TestConnection:
    async def test_one_connection_serves_many_questions(self) -> None:
        async with LlmServer(streams("Hello.")) as server:
            responder = client(server)
            await responder.warm_up()
            for _ in range(5):
                assert "".join([d async for d in responder.respond(Question("hi"))]) == "Hello."
            assert server.connections == 1
            assert len(server.asked) == 5
            await responder.close()
            await responder.close()
            await until(lambda: server.open_connections == 0, "nothing is left open")

    async def test_closing_the_answer_closes_the_connection_at_once(self) -> None:
        async with LlmServer(hangs_after("Hello ", "there")) as server, asyncio.timeout(BOUND_S):
            responder = client(server, token_timeout_s=100)
            async with aclosing(responder.respond(Question("hi"))) as answer:  # type: ignore[type-var]
                assert await anext(answer)
                assert not server.gone.is_set()
            await server.gone.wait()
            await responder.close()

    @pytest.mark.parametrize("behave", [hangs, hangs_after("Hello ", "there")])
    async def test_a_cancelled_listener_closes_the_connection_at_once(self, behave: Behaviour) -> None:
        async with LlmServer(behave) as server, asyncio.timeout(BOUND_S):
            responder = client(server, token_timeout_s=100, first_token_timeout_s=100)
            task = asyncio.create_task(said(responder))
            await until(lambda: server.asked, "it was asked")
            await asyncio.sleep(0.05)
            task.cancel()
            await server.gone.wait()
            with pytest.raises(asyncio.CancelledError):
                await task

    async def test_a_kept_connection_that_the_server_closed_is_no_failure(self) -> None:
        closing: list[asyncio.StreamWriter] = []

        async def behave(request: Request) -> None:
            await streams("Hello.")(request)
            closing.append(request.writer)

        async with LlmServer(behave) as server:
            responder = client(server, retries=1)
            for _ in range(4):
                assert "".join([d async for d in responder.respond(Question("hi"))]) == "Hello."
                closing.pop().transport.abort()
            await responder.close()
            assert server.connections >= 4

    async def test_a_stalled_socket_does_not_stay_open(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("vcam_talker.llm.openai._GRACE_S", 0.1)
        async with LlmServer(hangs_after("Hello ")) as server, asyncio.timeout(BOUND_S):
            with pytest.raises(EngineError, match="has gone silent"):
                await said(client(server))
            await server.gone.wait()


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


class TestKey:
    async def test_it_is_sent_and_read_anew(self, config_home: Path) -> None:
        async with LlmServer(streams("Hello.")) as server:
            responder = client(server)
            await said(responder)
            with_key(config_home)
            await said(responder)
            sent = [r.headers.get("authorization") for r in server.asked]
            assert sent == [None, f"Bearer {KEY}"]

    async def test_one_that_others_can_read_is_refused(self, config_home: Path) -> None:
        with_key(config_home)
        (config_home / "vcam-talker" / "secrets" / "openai-api-key").chmod(0o644)
        async with LlmServer(streams("Hello.")) as server:
            with pytest.raises(EngineError, match="chmod 600"):
                await said(client(server))
            assert server.requests == []

    async def test_one_that_could_not_stand_in_a_header_is_refused(self, config_home: Path) -> None:
        with_key(config_home)
        (config_home / "vcam-talker" / "secrets" / "openai-api-key").write_bytes(b"a\r\nx-evil: 1")
        async with LlmServer(streams("Hello.")) as server:
            with pytest.raises(EngineError, match="holds characters that no key has") as caught:
                await said(client(server))
            assert "evil" not in str(caught.value)
            assert server.requests == []


class TestModels:
    async def test_a_server_that_lists_none_needs_a_name(self) -> None:
        async with LlmServer(streams("Hello."), models=()) as server:
            with pytest.raises(EngineError, match=r"lists no model.*brain\.openai\.model"):
                await client(server).warm_up()
            await client(server, model="mine").warm_up()

    @pytest.mark.parametrize(
        ("listing", "why"),
        [
            (raw(b"<html>", "text/html"), "web page"),
            (raw(b"{", "application/json"), "no JSON"),
            (raw(b'{"data": 5}', "application/json"), "lists its models as"),
            (raw(b'{"error": {"message": "Loading model"}}', "application/json", 503), "503: Loading model"),
            (raw(b"", "text/plain", 401), "refuses the key"),
            (raw(b"x" * 2_000_000, "text/plain"), "at once"),
        ],
    )
    async def test_lies(self, listing: Behaviour, why: str) -> None:
        async with LlmServer(streams("Hello."), list_models=listing) as server:
            responder = client(server)
            with pytest.raises(EngineError, match=why):
                await responder.warm_up()
            await responder.close()

    async def test_a_server_that_has_no_list_is_taken_at_its_name(self) -> None:
        async with LlmServer(streams("Hello."), list_models=raw(b"no", "text/plain", 404)) as server:
            responder = client(server, model="mine")
            await responder.warm_up()
            assert await said(responder) == "Hello."

    async def test_when_the_model_is_replaced_the_list_is_read_again(self) -> None:
        gone = raw(b'{"error": {"message": "model not found"}}', "application/json", 404)
        async with LlmServer(in_turn(streams("One."), gone, streams("Two."))) as server:
            responder = client(server)
            assert await said(responder) == "One."
            server.models = ("new",)
            with pytest.raises(EngineError, match="has no model 'little'"):
                await said(responder)
            assert await said(responder) == "Two."
            assert server.asked[-1].json["model"] == "new"


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
