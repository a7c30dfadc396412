"""What every line passes before the director sees it: cheapest first, linear, in bounded memory."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Final, Literal, TypeVar

from vcam_talker.chat.words import WordFilter
from vcam_talker.config import ChatConfig
from vcam_talker.core.errors import BadInputError
from vcam_talker.core.text import CleanText, clean_name, clean_text, names_one_of
from vcam_talker.core.types import NS_PER_S, ChatLine, ChatMessage

Reason = Literal[
    "flood", "too long", "nothing to say", "for a bot", "for somebody else", "a link", "seen before",
    "repeated", "too many of one viewer", "blocked word", "name",
]  # fmt: skip
"""Why a line was dropped: a fixed set, so that counting a flood takes no memory."""

K = TypeVar("K")
V = TypeVar("V")

_VIEWERS: Final = 4096
_IDS: Final = 4096
_TEXTS: Final = 1024
_ID_CHARS: Final = 100
_ROOM_CHARS: Final = 60
_SAME_USER_S: Final = 120.0
_SAME_TEXT_S: Final = 20.0
_MIN_COPY_CHARS: Final = 12
"""Short lines ("hi", "lol") are written by many without being copied."""
_RAW_SLACK: Final = 4
"""Times `max_chars`: how long a raw line may be before it is looked at at all; marks and spaces go later."""
_TYPED_PER_S: Final = 2.0
_TYPED_BURST: Final = 10.0
"""No hand types faster. Who does takes nothing of the attention that is left for others."""
_LINK: Final = re.compile(r"https?://|www\.|\w\.[a-z]{2,18}/\w")
_BOT_COMMAND: Final = re.compile(r"\s*!\w")


class Bucket:
    """A token bucket: `rate_per_s` on average, `burst` at once. Time is given by the caller, in ns."""

    __slots__ = ("_burst", "_level", "_rate_per_ns", "_seen_ns")

    def __init__(self, rate_per_s: float, burst: float, now_ns: int) -> None:
        self._rate_per_ns = rate_per_s / NS_PER_S
        self._burst = self._level = max(1.0, burst)
        self._seen_ns = now_ns

    def take(self, now_ns: int) -> bool:
        """Return whether one more fits."""
        gained = (now_ns - self._seen_ns) * self._rate_per_ns
        self._level, self._seen_ns = min(self._burst, self._level + gained), now_ns
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True


class _Viewer:
    """What one viewer may still write."""

    __slots__ = ("answerable", "typed")

    def __init__(self, per_min: float, now_ns: int) -> None:
        self.typed = Bucket(_TYPED_PER_S, _TYPED_BURST, now_ns)
        """All lines."""
        self.answerable = Bucket(per_min / 60, per_min / 2, now_ns)
        """Lines that came as far as the last checks."""


class Filters:
    """Used on one event loop."""

    def __init__(self, config: ChatConfig, persona_names: Sequence[str], now_ns: int) -> None:
        self._config = config
        self._names = tuple(persona_names)
        self._words = WordFilter(config.blocked_words, config.allowed_words)
        self._flood = Bucket(config.lines_per_s, 2 * config.lines_per_s, now_ns)
        self._viewers: OrderedDict[str, _Viewer] = OrderedDict()
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._said: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._texts: OrderedDict[str, int] = OrderedDict()
        self._made_up = 0
        self.passed = 0
        self.dropped: Counter[str] = Counter()

    def take(self, platform: str, line: ChatLine, now_ns: int) -> ChatMessage | None:
        """Return the message of a line that passes, None for one that does not, which is counted."""
        found = self._judge(platform, line, now_ns)
        if isinstance(found, str):
            self.dropped[found] += 1
            return None
        self.passed += 1
        return found

    def _judge(self, platform: str, line: ChatLine, now_ns: int) -> ChatMessage | Reason:
        place = f"{platform}:{line.room[:_ROOM_CHARS]}"
        user_id = (line.user_id or line.user)[:_ID_CHARS]
        who = f"{place}:{user_id}"
        viewer = self._viewer(who, now_ns)
        # The viewer's own flood first: one who floods leaves the others their share.
        if not viewer.typed.take(now_ns) or not self._flood.take(now_ns):
            return "flood"
        text = self._readable(line)
        if not isinstance(text, CleanText):
            return text
        said = text.text
        names = (*self._names, line.room[:_ROOM_CHARS])
        addressed, _, _ = said.partition(" ")
        if len(addressed) > 1 and addressed[0] == "@" and not names_one_of(addressed, names):
            return "for somebody else"
        folded = said.casefold()
        if _LINK.search(folded):
            return "a link"
        number = line.id[:_ID_CHARS]
        if number and not self._is_new(f"{place}:{number}"):
            return "seen before"
        key = "".join(c for c in folded if c.isalnum())
        if self._is_repeated(who, key, now_ns):
            return "repeated"
        if not viewer.answerable.take(now_ns):
            return "too many of one viewer"
        if self._words.find(said) is not None:
            return "blocked word"
        user = clean_name(line.user)
        if self._words.find(user) is not None:
            return "name"
        # Only what passes counts as said: else a line that was dropped could silence another viewer's.
        _put(self._said, (who, key), now_ns, _TEXTS)
        if len(key) >= _MIN_COPY_CHARS:
            _put(self._texts, key, now_ns, _TEXTS)
        self._made_up += not number
        mentions = names_one_of(said, self._names) or (addressed[0] == "@" and names_one_of(addressed, names))
        return ChatMessage(
            platform,
            clean_name(line.room, _ROOM_CHARS),
            number or f"made-up-{self._made_up}",
            user,
            user_id,
            said,
            now_ns,
            line.role,
            mentions,
        )

    def _readable(self, line: ChatLine) -> CleanText | Reason:
        """Return the line cleaned, or why it is not worth that."""
        most = self._config.max_chars
        if len(line.text) > _RAW_SLACK * most:
            return "too long"
        if _BOT_COMMAND.match(line.text):
            return "for a bot"
        try:
            text = clean_text(line.text, _RAW_SLACK * most)
        except BadInputError:
            return "nothing to say"
        return "too long" if len(text.text) > most else text

    def _is_repeated(self, who: str, key: str, now_ns: int) -> bool:
        said_ns = self._said.get((who, key))
        if said_ns is not None and now_ns - said_ns < _SAME_USER_S * NS_PER_S:
            return True
        # Copied by many at once: one of them is enough.
        copied_ns = self._texts.get(key)
        return copied_ns is not None and now_ns - copied_ns < _SAME_TEXT_S * NS_PER_S

    def _viewer(self, who: str, now_ns: int) -> _Viewer:
        viewer = self._viewers.get(who) or _Viewer(self._config.per_user_per_min, now_ns)
        _put(self._viewers, who, viewer, _VIEWERS)
        return viewer

    def _is_new(self, key: str) -> bool:
        new = key not in self._ids
        _put(self._ids, key, None, _IDS)
        return new


def _put(table: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    table[key] = value
    table.move_to_end(key)
    while len(table) > most:
        table.popitem(last=False)
