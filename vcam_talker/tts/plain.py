"""Text as the voices' programs take it: printable, on one line, nothing that could be markup or a command."""

from __future__ import annotations

import re
from typing import Final

SILENCE_S: Final = 0.1
"""What is spoken of a sentence without anything to speak."""

_MARKUP: Final = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_LINK: Final = re.compile(r"\bhttps?://(?:www\.)?([^\s/?#]{1,100})\S*")


def to_plain(text: str) -> str:
    """Return `text` without control characters, tags (`<speak>`) and the tails of links.

    The last line of defence; what users send was cleaned before. Never fails, never longer than `text`.
    """
    text = "".join(c if c.isprintable() else " " for c in text)
    text = _MARKUP.sub(" ", text)
    text = _LINK.sub(r"\1", text)
    return " ".join(text.replace("<", " ").replace(">", " ").split())
