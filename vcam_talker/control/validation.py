"""What pydantic found wrong with a request, in one line for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcam_talker.control.problems import Refusal


def explain(errors: Sequence[Any]) -> Refusal:
    """Return the refusal for the first of pydantic's errors; what was sent is not repeated to its sender."""
    # A misspelt field is also a missing one: the spelling tells more.
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    kind, message = str(first["type"]), str(first["msg"])
    if kind == "json_invalid":
        return Refusal(400, "malformed_json", "the request", "is not valid JSON", "Check quotes and commas")
    names = [str(part) for part in first["loc"] if part != "body"]
    what = f"field '{'.'.join(names)[:100]}'" if names else "the request"
    if kind == "extra_forbidden":
        return Refusal(422, "bad_request", what, "is unknown here", "See /docs")
    if kind == "string_too_short" and names[-1:] == ["text"]:
        # As core.text.clean_text says it of a text with nothing in it.
        return Refusal(422, "bad_request", "text", "is empty", "Write at least one letter or number")
    if kind == "string_too_short":
        return Refusal(422, "bad_request", what, "is empty")
    if kind == "string_too_long":
        limit = first["ctx"]["max_length"]
        return Refusal(422, "bad_request", what, f"is longer than {limit} characters", "Shorten it")
    why = message[:1].lower() + message[1:]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Refusal(422, "bad_request", what, why + more, "See /docs")
