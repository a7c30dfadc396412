"""Read the lines of an IRC connection with message tags (RFC 1459, IRCv3). Never raises on any text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

MAX_CHARS: Final = 16_384
"""Of a line: 8191 bytes of tags, as the specification allows, and far more text than any server sends."""
_LINE_END: Final = re.compile(r"[\r\n]+")
_ESCAPES: Final = {":": ";", "s": " ", "\\": "\\", "r": "\r", "n": "\n"}


@dataclass(frozen=True, slots=True)
class IrcMessage:
    """One line, taken apart."""

    command: str
    """Upper case; a numeric as three digits."""
    params: tuple[str, ...] = ()
    nick: str = ""
    """Who sent it, empty when the server did not say."""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The last parameter."""
        return self.params[-1] if self.params else ""


def split_lines(text: str) -> list[str]:
    """Return the lines of what a server sent at once. Only CR and LF end a line.

    `str.splitlines` would also part at U+2028, form feeds and others that viewers can type, and take what
    follows for a line of the server: anybody could speak as the broadcaster.
    """
    return [line for line in _LINE_END.split(text) if line]


def parse_line(line: str) -> IrcMessage | None:
    """Return the message of a line without its line end, None when it is none. Linear in its length."""
    rest = line[:MAX_CHARS].strip("\r\n")
    tags: dict[str, str] = {}
    if rest.startswith("@"):
        raw, _, rest = rest[1:].partition(" ")
        for item in raw.split(";"):
            key, _, value = item.partition("=")
            if key:
                tags[key] = _unescape(value)
    rest = rest.lstrip(" ")
    nick = ""
    if rest.startswith(":"):
        prefix, _, rest = rest[1:].partition(" ")
        nick = prefix.partition("!")[0].partition("@")[0]
    rest = rest.lstrip(" ")
    head, colon, trailing = rest.partition(" :")
    # Nothing but a space parts parameters; other white space is text.
    words = [word for word in head.split(" ") if word]
    if not words:
        return None
    params = (*words[1:], trailing) if colon else tuple(words[1:])
    return IrcMessage(words[0].upper(), params, nick, tags)


def _unescape(value: str) -> str:
    if "\\" not in value:
        return value
    out: list[str] = []
    characters = iter(value)
    for c in characters:
        if c != "\\":
            out.append(c)
        else:
            # A backslash before anything else vanishes, also at the end.
            escaped = next(characters, "")
            out.append(_ESCAPES.get(escaped, escaped))
    return "".join(out)
