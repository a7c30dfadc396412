"""The pure parts of the client: events from bytes, completions from events, words for errors."""

import contextlib
import json
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcam_talker.config import BrainConfig, OpenAIConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.llm.completions import Dialect, Piece, ReplyError, model_names, read_piece
from vcam_talker.llm.openai import OpenAIResponder
from vcam_talker.llm.openai_errors import ServerErrors
from vcam_talker.llm.sse import SseError, SseEvent, SseParser
from vcam_talker.persona import load_persona

pytestmark = pytest.mark.unit

STREAM = (
    b"\xef\xbb\xbf: hello\r\n\r\ndata: one\r\ndata:  two\r\n\r\n\nevent: error\rdata:three\rid: 7\r\r"
    b"retry: 5\ndata\ndata: \xe4\xbd\xa0\xe5\xa5\xbd \xff\n\ndata: tail"
)
EVENTS = [
    SseEvent("one\n two"),
    SseEvent("three", "error"),
    # A field without a colon is an empty one, and gives no line of data.
    SseEvent("\n你好 �"),
    SseEvent("tail"),
]


def parse(*chunks: bytes) -> list[SseEvent]:
    parser = SseParser()
    return [e for chunk in chunks for e in parser.feed(chunk)] + parser.close()


class TestEvents:
    def test_every_newline_comment_field_and_broken_letter(self) -> None:
        assert parse(STREAM) == EVENTS

    @given(st.lists(st.integers(1, len(STREAM) - 1), max_size=20))
    def test_the_cuts_change_nothing(self, cuts: list[int]) -> None:
        places = sorted({0, len(STREAM), *cuts})
        assert parse(*(STREAM[a:b] for a, b in pairwise(places))) == EVENTS

    def test_an_empty_piece_between_the_two_halves_of_a_line_end(self) -> None:
        assert parse(b"data: a\r", b"", b"\ndata: b\n\n") == [SseEvent("a\nb")]

    def test_byte_by_byte(self) -> None:
        assert parse(*(bytes((b,)) for b in STREAM)) == EVENTS

    @given(st.binary(max_size=300), st.integers(0, 300))
    def test_any_bytes_cut_anywhere(self, data: bytes, cut: int) -> None:
        assert parse(data[:cut], data[cut:]) == parse(data)

    def test_a_huge_line_and_a_huge_event_are_refused(self) -> None:
        parser = SseParser(max_line_bytes=100, max_event_bytes=250)
        with pytest.raises(SseError, match="a line of more than 100 bytes"):
            parser.feed(b"data: " + b"x" * 200)
        parser = SseParser(max_line_bytes=100, max_event_bytes=250)
        with pytest.raises(SseError, match="an event of more than 250 bytes"):
            parser.feed((b"data: " + b"x" * 90 + b"\n") * 3)


def chunk(delta: Any, finish: Any = None) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


class TestCompletions:
    @pytest.mark.parametrize(
        ("text", "piece"),
        [
            (chunk({"content": "Hi"}), Piece("Hi")),
            (chunk({"role": "assistant", "content": None}), Piece()),
            (chunk({"content": None, "reasoning_content": "hm", "reasoning": "hm"}), Piece()),
            (chunk({}, "stop"), Piece("", "stop")),
            (chunk({"content": "x"}, "length"), Piece("x", "length")),
            (
                chunk({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}]}),
                Piece("Hi"),
            ),
            ('{"choices": []}', Piece()),
            ('{"usage": {}, "choices": []}', Piece()),
            ('{"usage": {}, "choices": null}', Piece()),
            ('{"choices": [{"index": 1, "delta": {"content": "other"}}]}', Piece()),
            ('{"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}', Piece("Hi", "stop")),
            ('{"choices": [{"text": "Hi"}]}', Piece("Hi")),
            ('{"error": null, "choices": []}', Piece()),
        ],
    )
    def test_what_a_chunk_brings(self, text: str, piece: Piece) -> None:
        assert read_piece(text) == piece

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ('{"error": {"message": "out of\\nmemory", "code": 500}}', "reports an error: out of memory"),
            ('{"error": "no such model"}', "reports an error: no such model"),
            ('{"error": {"code": 7}}', 'reports an error: {"code": 7}'),
            ("<html>", "no JSON: <html>"),
            ("{", "no JSON"),
            ("[" * 100_000, "no JSON"),
            ("[1]", "no completion"),
            ('"x"', "no completion"),
            ('{"choices": "x"}', "no completion"),
            ('{"choices": ["x"]}', "no completion"),
            ('{"choices": [{"delta": "x"}]}', "no completion"),
            (chunk({"content": 5}), "no completion"),
            (chunk({"content": "x"}, 5), "no completion"),
        ],
    )
    def test_lies_and_errors(self, text: str, why: str) -> None:
        with pytest.raises(ReplyError, match=why.replace("{", r"\{")) as caught:
            read_piece(text)
        assert len(str(caught.value)) < 250
        assert "\n" not in str(caught.value)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda c: (
                st.lists(c)
                | st.dictionaries(
                    st.sampled_from(
                        ["choices", "delta", "content", "error", "index", "finish_reason", "message"]
                    ),
                    c,
                )
            ),
        )
    )
    def test_any_json_is_a_piece_or_an_error(self, value: Any) -> None:
        with contextlib.suppress(ReplyError):
            assert isinstance(read_piece(json.dumps(value)), Piece)

    def test_models(self) -> None:
        assert model_names('{"data": [{"id": "a"}, {"id": 5}, {"name": "b"}, "c", {}]}') == ["a", "b", "c"]
        assert model_names('{"models": [{"name": "b"}]}') == ["b"]
        for lie in ("<html>", "{}", '{"data": 5}', "5"):
            with pytest.raises(ReplyError):
                model_names(lie)

    def test_a_server_teaches_its_dialect(self) -> None:
        dialect = Dialect()
        body = dialect.body("m", [], 0.7, 50)
        assert (body["max_tokens"], body["temperature"], body["stream"]) == (50, 0.7, True)
        assert dialect.learn("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        assert dialect.learn("Unsupported value: 'temperature' does not support 0.7")
        assert not dialect.learn("max_completion_tokens temperature")
        body = dialect.body("m", [], 0.7, 50)
        assert body["max_completion_tokens"] == 50
        assert "temperature" not in body
        assert "max_tokens" not in body


class TestWords:
    def test_no_error_shows_the_key_or_a_password(self) -> None:
        errors = ServerErrors("http://host:80/v1", 2.0)
        errors.key = "sk-secret"
        for error in (
            errors.status(500, '{"error": "your key sk-secret is odd"}', "m"),
            errors.status(401, "sk-secret", "m"),
            errors.redirect("http://other/?key=sk-secret"),
            errors.transport(httpx.ReadError("sk-secret")),
        ):
            assert "sk-secret" not in str(error)
            assert "http://host:80/v1" in str(error)
            assert error.remedy
        config = BrainConfig(openai=OpenAIConfig(url="http://me:pw@host:1/v1"))
        assert "pw" not in OpenAIResponder(load_persona("mira"), config)._where

    @pytest.mark.parametrize("url", ["http://", "http://[::1", "http://a:b:c/v1", "http://host:99999999/v1"])
    def test_an_address_that_is_none(self, url: str) -> None:
        with pytest.raises(EngineError, match=r"brain\.openai\.url"):
            OpenAIResponder(load_persona("mira"), BrainConfig(openai=OpenAIConfig(url=url)))
