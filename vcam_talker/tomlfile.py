"""Read TOML into a pydantic model; a mistake gets its line and, where one is near, a suggestion."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vcam_talker.core.errors import ConfigError

M = TypeVar("M", bound=BaseModel)

_MAX_BYTES = 1_000_000
_SECRETS: Final = frozenset({"token"})
"""Keys whose values are never shown."""


def matching(pattern: str, words: str) -> AfterValidator:
    """Return what makes a text field refuse all that `pattern` does not match as a whole, saying `words`.

    Pydantic's own refusal shows the regular expression, which tells a user little.
    """
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(words)
        return value

    return AfterValidator(check)


def load_toml(path: Path, error: type[ConfigError] = ConfigError) -> dict[str, Any]:
    """Return the parsed file. Raises `error` when it is missing, unreadable, too large or malformed."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise error(str(path), "is larger than 1 MB", "This is not a file of ours")
        raw = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(str(path), "no such file", "Check the path") from None
    except (OSError, UnicodeDecodeError) as e:
        raise error(str(path), f"can't be read ({e})", "It must be a UTF-8 text file") from None
    try:
        return tomllib.loads(raw)
    except tomllib.TOMLDecodeError as e:
        raise error(str(path), f"is not valid TOML: {e}", "Quote texts, and write tables as [name]") from None
    except RecursionError:
        raise error(str(path), "is nested too deeply", "This is not a file of ours") from None


def load_model(path: Path, model: type[M], error: type[ConfigError] = ConfigError) -> M:
    """Return the file as `model`. Raises `error` naming file, line, field, reason and remedy."""
    data = load_toml(path, error)
    try:
        return model.model_validate(data)
    except ValidationError as e:
        text = path.read_text(encoding="utf-8")
        # A misspelt key explains the missing one beside it.
        first = min(e.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        where, why, remedy = explain(first, model, text)
        more = f" (and {e.error_count() - 1} more)" if e.error_count() > 1 else ""
        raise error(f"{path}{where}", why + more, remedy) from None


def explain(detail: ErrorDetails, model: type[BaseModel], text: str) -> tuple[str, str, str]:
    """Return (`:line`, reason, remedy) for one pydantic error in the TOML source `text`."""
    location = [str(part) for part in detail["loc"]]
    line = find_line(text, location)
    where = f":{line}" if line else ""
    dotted = ".".join(location)
    if detail["type"] == "extra_forbidden":
        known = sorted(_known_fields(model, location[:-1]))
        near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known here: {', '.join(known)}"
        return where, f"unknown key '{dotted}'", hint
    if detail["type"] == "missing":
        return where, f"'{dotted}' is missing", "Add it"
    message = detail["msg"].removeprefix("Value error, ")
    if location[-1:] and location[-1] in _SECRETS:
        return where, f"'{dotted}': {message}", ""
    shown = repr(detail["input"])
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return where, f"'{dotted}' = {shown}: {message}", _remedy(detail)


def _remedy(detail: ErrorDetails) -> str:
    expected = detail.get("ctx", {}).get("expected")
    if not expected:
        return ""
    options = re.findall(r"'([^']*)'", str(expected))
    near = difflib.get_close_matches(str(detail["input"]), options, n=1, cutoff=0.5)
    return f"Did you mean '{near[0]}'?" if near else ""


def _known_fields(model: type[BaseModel], path: list[str]) -> list[str]:
    """Follow `path` through nested models and return the field names there."""
    current: Any = model
    for part in path:
        if part.isdigit():
            continue  # an element of a list has the fields of all of them
        if isinstance(current, type) and issubclass(current, BaseModel):
            info = current.model_fields.get(part)
            current = _model_in(info.annotation) if info else None
    return list(current.model_fields) if current is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any type expression
    """Return the model inside an annotation such as `tuple[Line, ...]` or `dict[str, Voice]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if found := _model_in(argument):
            return found
    return None


def find_line(text: str, location: list[str]) -> int | None:
    """Return the 1-based line of a dotted location in TOML source, or of its nearest table header.

    tomllib keeps no positions, so this scans headers and keys; array-of-tables indices count headers.
    """
    table: list[str] = []
    counts: dict[str, int] = {}
    best: int | None = None
    best_depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[(\[)?\s*([^\]]+?)\s*\]", line)
        if header:
            table = [_unquote(p) for p in header[2].split(".")]
            if header[1]:
                index = counts.get(header[2], 0)
                counts[header[2]] = index + 1
                table = [*table, str(index)]
            candidate = table
        else:
            key = re.match(r"\s*([A-Za-z0-9_\-\.\"']+)\s*=", line)
            if not key:
                continue
            candidate = table + [_unquote(p) for p in key[1].split(".")]
        depth = len(candidate)
        if candidate == location[:depth] and depth > best_depth:
            best, best_depth = number, depth
    return best


def _unquote(part: str) -> str:
    return part.strip().strip("\"'")
