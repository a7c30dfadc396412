"""The client against a server on a real socket: answers, connections, keys and models."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.support.llm_server import (
    Behaviour,
    LlmServer,
    Request,
    delta,
    drips,
    event,
    hangs,
    hangs_after,
    in_turn,
    raw,
    streams,
)
from tests.support.openai_brain import BOUND_S, KEY, MIRA, client, config, config_home, said, until, with_key
from vcam_talker.core.errors import DeclinedError, EngineError
from vcam_talker.core.types import Exchange, Question
from vcam_talker.llm.gate import AnswerCutError
from vcam_talker.llm.openai import OpenAIResponder

__all__ = ["config_home"]

pytestmark = pytest.mark.real

HELLO = event(delta("Hello.", "stop")) + event("[DONE]")


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
