"""The words of OpenAI's chat completions: what a request says, what a chunk of the reply means. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

_QUOTED_CHARS: Final = 160
"""Of a server's own words in an error."""


class ReplyError(ValueError):
    """The server says that it failed, or something that no chat completion is."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one chunk brings."""

    text: str = ""
    finish: str = ""
    """Why the answer ends here: `stop`, `length`, `content_filter`, ...; empty while it goes on."""


@dataclass
class Dialect:
    """How a server wants its parameters; learnt from its refusals."""

    length_key: str = "max_tokens"
    temperature: bool = True

    def body(
        self, model: str, messages: list[dict[str, str]], temperature: float, length: int
    ) -> dict[str, Any]:
        """Return the JSON of a request for a stream."""
        body: dict[str, Any] = {"model": model, "messages": messages, "stream": True, self.length_key: length}
        if self.temperature:
            body["temperature"] = temperature
        return body

    def learn(self, refusal: str) -> bool:
        """Adapt to what a 400 says; tell whether it is worth asking again."""
        if self.length_key == "max_tokens" and "max_completion_tokens" in refusal:
            self.length_key = "max_completion_tokens"
            return True
        if self.temperature and "temperature" in refusal:
            self.temperature = False
            return True
        return False


def read_piece(text: str) -> Piece:
    """Return what a chunk (`delta`) or a whole reply (`message`) brings. Raises ReplyError."""
    try:
        reply = json.loads(text)
    except (ValueError, RecursionError):
        raise ReplyError(f"sent what is no JSON: {quote(text)}") from None
    if not isinstance(reply, dict):
        raise ReplyError(f"sent what is no completion: {quote(text)}")
    if reply.get("error"):
        raise ReplyError(f"reports an error: {error_text(reply)}")
    if reply.get("object") == "error":
        raise ReplyError(f"reports an error: {error_text(reply)}")
    choices = reply.get("choices")
    if choices is None:
        return Piece()  # only what it cost, for one
    if not isinstance(choices, list):
        raise ReplyError(f"sent what is no completion: {quote(text)}")
    for choice in choices:
        if not isinstance(choice, dict):
            raise ReplyError(f"sent what is no completion: {quote(text)}")
        if not choice.get("index"):
            return _read_choice(choice, text)
    return Piece()


def model_names(text: str) -> list[str]:
    """Return the models that a server lists. Raises ReplyError."""
    try:
        reply = json.loads(text)
    except (ValueError, RecursionError):
        raise ReplyError(f"lists its models as what is no JSON: {quote(text)}") from None
    listed = reply.get("data", reply.get("models")) if isinstance(reply, dict) else reply
    if not isinstance(listed, list):
        raise ReplyError(f"lists its models as {quote(text)}")
    names = [m.get("id") or m.get("name") if isinstance(m, dict) else m for m in listed]
    return [name for name in names if isinstance(name, str) and name]


def error_text(reply: object) -> str:
    """Return a server's own words about its failure, short and on one line."""
    found: object = reply
    for key in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(key):
            found = found[key]
    return quote(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, default=str))


def body_text(body: str) -> str:
    """Return the reason in the body of an error, of whatever kind it is; short and on one line."""
    if body.lstrip().startswith("<"):
        return "a web page"
    try:
        return error_text(json.loads(body))
    except (ValueError, RecursionError):
        return quote(body) or "no reason given"


def quote(text: str) -> str:
    """Return foreign text as it may stand in an error: printable, one line, short."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _QUOTED_CHARS]).split())
    return line if len(line) <= _QUOTED_CHARS else f"{line[: _QUOTED_CHARS - 1]}…"


def _read_choice(choice: dict[str, Any], text: str) -> Piece:
    said = choice.get("delta")
    if said is None:
        said = choice.get("message")
    if said is None:
        said = {"content": choice.get("text")}
    if not isinstance(said, dict):
        raise ReplyError(f"sent what is no completion: {quote(text)}")
    content = said.get("content")
    if isinstance(content, list):  # parts; those of other types are thoughts, pictures, ...
        content = "".join(
            part["text"]
            for part in content
            if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
        )
    finish = choice.get("finish_reason")
    if not isinstance(content, str | None) or not isinstance(finish, str | None):
        raise ReplyError(f"sent what is no completion: {quote(text)}")
    return Piece(content or "", finish or "")
