"""From what a language model writes to what can be spoken, while it is being written.

Dropped: reasoning between <think> tags, code blocks, emphasis, headings, bullets, quotes, tables' lines, HTML
tags, emoji and pictographs, citations. A link becomes its words, a bare address its host. Emotion tags stay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from vcam_talker.core.types import Emotion

_THOUGHTS: Final = ("think", "thinking", "reasoning", "thought")
_FENCES: Final = {"`": "```", "~": "~~~"}
_BULLETS: Final = "-+•‣◦▪▸–—"
_ADDRESSES: Final = ("https://", "http://", "www.")
_ADDRESS_CHARS: Final = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?#@!$&'+,;=%"
)
_STOPS: Final = ".,;:!?'"
"""Behind an address these belong to the sentence."""
_NO_SPACE_BEFORE: Final = frozenset(".,;:!?…)]}”’。，、！？；：）」』】》")
_SPEAKABLE_SYMBOLS: Final = frozenset("°©®™℃℉№℠")
_JOINERS: Final = "\u200c\u200d"
"""Scripts from Arabic to Khmer need them; between pictographs they mean nothing here."""
_VARIANTS: Final = re.compile("[\ufe00-\ufe0f\u20e3\U0001f3fb-\U0001f3ff]")
"""What changes the looks of the character before: emoji style, a key cap, a tone of skin."""
_TAG_WINDOW: Final = 300
"""Characters within which a bracket or an HTML tag must close to be one."""
_LINK_WINDOW: Final = 2000


async def cleaned(deltas: AsyncGenerator[str, None], *, thinking: bool = False) -> AsyncGenerator[str, None]:
    """Yield what of a model's `deltas` can be spoken; closes `deltas`.

    `thinking`: the prompt itself opened the model's reasoning, so that the text starts inside it.
    """
    cleaner = AnswerCleaner(thinking=thinking)
    async with aclosing(deltas):
        async for delta in deltas:
            if text := cleaner.feed(delta):
                yield text
    if text := cleaner.flush():
        yield text


class AnswerCleaner:
    """Streaming: `feed` deltas, speak what comes back, `flush` at the end. Pure, not thread-safe.

    What comes back, joined, does not depend on how the text was cut into deltas: where the sequel decides,
    the cleaner waits for it. It holds back a few characters as a rule, and at most a link.
    """

    def __init__(self, *, thinking: bool = False) -> None:
        self._text = ""
        self._at = 0
        self._base = 0  # of `_text` in the whole answer
        self._final = False
        self._out: list[str] = []
        self._last = ""  # character that was let go last
        self._gap = ""  # what stands between it and the next one
        self._soft = False  # something was dropped in that gap
        self._line_start = True
        self._until = "</think>" if thinking else ""  # dropped up to here
        self._in_address = False
        self._jump = (-1, -1)  # the tail of a link: from, to; in the whole answer

    def feed(self, delta: str) -> str:
        """Return what of the text so far can be let go now; often empty."""
        self._text += delta
        return self._run()

    def flush(self) -> str:
        """Return what is left, after the last delta."""
        self._final = True
        return self._run()

    def _run(self) -> str:
        while self._at < len(self._text):
            used = self._drop_until() if self._until else self._step()
            if used == 0:
                break  # the sequel decides
            self._at += used
        self._base += self._at
        self._text = self._text[self._at :]
        self._at = 0
        out = "".join(self._out)
        self._out.clear()
        return out

    # Every step returns how many characters it has used up, 0 to wait for more. To wait is allowed only where
    # the text ends; what a step decides must not depend on where that is.

    def _step(self) -> int:
        here = self._base + self._at
        if here == self._jump[0]:
            self._in_address = False
            return self._jump[1] - here
        if self._in_address:
            return self._address_tail()
        character = self._text[self._at]
        if character.isspace():
            self._space("\n" if character in "\n\r\v\f\x85\u2028\u2029" else " ")
            return 1
        if self._line_start and (used := self._line_mark(character)) is not None:
            return used
        match character:
            case "`" | "~":
                return self._fence(character)
            case "*":
                return self._stars()
            case "_":
                return self._underscore()
            case "[":
                return self._bracket()
            case "<":
                return self._angle()
            case "-":
                return self._dashes()
            case "#" | "!":
                return self._sign(character)
            case "|":
                self._space(", ")
                return 1
            case "\\" | "]" | ">" | "～":
                return self._drop(1)
            case "h" | "H" | "w" | "W":
                return self._address()
        self._plain(character)
        return 1

    # -- what stands at the start of a line

    def _line_mark(self, character: str) -> int | None:
        """Use up a heading, a bullet, a quote or a rule; None when it is something else."""
        if character in "|>":
            return self._drop(1)
        if character not in ":#=" and character not in _BULLETS:
            return None
        run = self._run_of(":|-" if character == ":" else character)
        if self._pending(run):
            return 0
        following = self._peek(run)
        blank = not following or following.isspace()
        match character:
            case ":":
                mark = "-" in self._text[self._at : self._at + run]  # | :--- |
            case "#":
                mark = blank
            case "=":
                mark = run >= 3
            case _:
                mark = run >= 3 or (run == 1 and blank)
        return self._drop(run) if mark else None

    # -- what stands anywhere

    def _fence(self, character: str) -> int:
        run = self._run_of(character)
        if self._pending(run):
            return 0
        if run >= 3 and (character == "`" or self._line_start):
            self._until = _FENCES[character]
        return self._drop(run)

    def _stars(self) -> int:
        run = self._run_of("*")
        after = run
        while (following := self._peek(after)) and following in " \t":
            after += 1
        if self._pending(after):
            return 0
        between_numbers = self._last.isdigit() and following.isdigit() and not self._line_start
        even = bool(self._gap) == (after > run)  # 2 * 3 and 2*3, but not 2 *3*
        if run != 1 or not between_numbers or not even:
            return self._drop(run)
        self._space(" ")
        self._emit("×")
        self._space(" ")
        return 1

    def _underscore(self) -> int:
        if self._pending(1):
            return 0
        following = self._peek(1)
        if following.isalnum() and self._last.isalnum() and not self._gap:
            self._space(" ")
            return 1
        return self._drop(1)

    def _dashes(self) -> int:
        run = self._run_of("-")
        if self._pending(run):
            return 0
        if run == 1:
            self._emit("-")
        else:
            self._space(" ")
            self._emit("—")
            self._space(" ")
        return run

    def _sign(self, character: str) -> int:
        if self._pending(1):
            return 0
        following = self._peek(1)
        if character == "#" and not following.isdigit():
            return self._drop(1)
        if character == "!" and following == "[":
            return self._drop(1)  # an image: its description is spoken
        self._emit(character)
        return 1

    def _bracket(self) -> int:
        inner = self._inside("]", _TAG_WINDOW)
        if inner is None:
            return self._drop(1) if self._decided("]", _TAG_WINDOW) else 0
        word = inner.strip().lower()
        end = len(inner) + 2
        if word in set(Emotion):
            self._emit(f"[{word}]", keep_line_start=True)
            return end
        if word in {"", "x"} or word.lstrip("^").isdigit():
            return self._drop(end)  # a box to tick, a citation
        if self._pending(end):
            return 0
        opener = self._peek(end)
        tail = 0
        if opener in {"(", "["}:
            closer, window = (")", _LINK_WINDOW) if opener == "(" else ("]", _TAG_WINDOW)
            target = self._inside(closer, window, end)
            if target is None and not self._decided(closer, window, end):
                return 0
            tail = 0 if target is None else len(target) + 2
        here = self._base + self._at
        self._jump = (here + end - 1, here + end + tail)
        return self._drop(1)

    def _angle(self) -> int:
        if self._pending(1):
            return 0
        following = self._peek(1)
        if not (following.isalpha() or following in {"/", "!"}):
            self._space(" ")
            return 1
        inner = self._inside(">", _TAG_WINDOW)
        if inner is None:
            if not self._decided(">", _TAG_WINDOW):
                return 0
            self._space(" ")
            return 1
        name = inner.strip().lower()
        if name in _THOUGHTS:
            self._until = f"</{name}>"
        elif name.startswith(_ADDRESSES):
            self._say_host(inner)
        elif name.rstrip("/ ") in {"br", "p", "/p", "li", "/li"}:
            self._space("\n")
        self._soft = True
        return len(inner) + 2

    def _address(self) -> int:
        seen = self._text[self._at : self._at + len(_ADDRESSES[0])].lower()
        if not seen.startswith(_ADDRESSES):
            if not self._final and any(a.startswith(seen) for a in _ADDRESSES):
                return 0
            self._emit(self._text[self._at])
            return 1
        start = self._at + len(next(a for a in _ADDRESSES if seen.startswith(a)))
        end = start
        while end < len(self._text) and self._text[end] in _ADDRESS_CHARS and self._text[end] not in "/?#":
            end += 1
            if end - start > _TAG_WINDOW:
                break
        if end == len(self._text) and not self._final:
            return 0
        host = self._text[start:end].rstrip(_STOPS)
        self._say_host(host)
        self._in_address = True
        return start + len(host) - self._at

    def _address_tail(self) -> int:
        """Drop the rest of an address, but for the full stop behind it."""
        end = self._at
        while end < len(self._text) and self._text[end] in _ADDRESS_CHARS:
            end += 1
        kept = end
        while kept > self._at and self._text[kept - 1] in _STOPS:
            kept -= 1
        if end == len(self._text) and not self._final:
            return kept - self._at
        self._in_address = False
        if kept > self._at:
            return kept - self._at
        return self._step()

    def _say_host(self, address: str) -> None:
        _, _, rest = address.rpartition("://")
        host = rest.partition("/")[0].rpartition("@")[2].partition(":")[0]
        for character in host.removeprefix("www."):
            if character.isalnum() or character in ".-":
                self._emit(character)

    def _drop_until(self) -> int:
        found = re.compile(re.escape(self._until), re.IGNORECASE).search(self._text, self._at)
        if found:
            self._until = ""
            self._space(" ")
            return found.end() - self._at
        # The beginning of the closing mark may stand at the end.
        kept = 0 if self._final else len(self._until) - 1
        return max(0, len(self._text) - self._at - kept)

    # -- helpers

    def _peek(self, ahead: int) -> str:
        """Return the character `ahead` of here, empty where the text ends for now."""
        return self._text[self._at + ahead : self._at + ahead + 1]

    def _run_of(self, characters: str) -> int:
        end = self._at
        while end < len(self._text) and self._text[end] in characters:
            end += 1
        return end - self._at

    def _pending(self, ahead: int) -> bool:
        """Tell whether the character `ahead` of here has yet to come."""
        return not self._final and self._at + ahead >= len(self._text)

    def _inside(self, closer: str, window: int, ahead: int = 0) -> str | None:
        """Return what stands between the opener `ahead` of here and its closer, None when there is none."""
        start = self._at + ahead + 1
        text = self._text[start : start + window].partition("\n")[0]
        inner, found, _ = text.partition(closer)
        return inner if found else None

    def _decided(self, closer: str, window: int, ahead: int = 0) -> bool:
        """Tell whether more text can't bring the closer any more."""
        start = self._at + ahead + 1
        seen = self._text[start : start + window]
        return self._final or len(seen) == window or "\n" in seen or closer in seen

    def _drop(self, count: int) -> int:
        self._soft = True
        return count

    def _space(self, gap: str) -> None:
        if gap == "\n":
            self._gap = gap
            self._line_start = True
        elif gap == ", ":
            self._gap = self._gap if self._gap == "\n" else gap
        else:
            self._gap = self._gap or gap

    def _plain(self, character: str) -> None:
        category = unicodedata.category(character)
        if category in {"Cc", "So", "Co", "Cn", "Cs"} and character not in _SPEAKABLE_SYMBOLS:
            self._space(" ")
            self._soft = True
        elif category == "Cf":
            if character in _JOINERS and "\u0600" <= self._last <= "\u17ff" and not self._gap:
                self._emit(character)
        elif _VARIANTS.fullmatch(character):
            self._soft = True
        elif character in _BULLETS and character in "•‣◦▪▸":
            self._space(" ")
        else:
            self._emit(character)

    def _emit(self, text: str, *, keep_line_start: bool = False) -> None:
        if self._gap and self._last and not (self._soft and text in _NO_SPACE_BEFORE):
            self._out.append(self._gap)
        self._out.append(text)
        self._last = text[-1]
        self._gap = ""
        self._soft = False
        self._line_start = self._line_start and keep_line_start
