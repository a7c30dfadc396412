"""What every line passes before the director sees it: cheapest first, linear, in bounded memory."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Final, Literal, TypeVar

from vcam_talker.chat.words import WordFilter
from vcam_talker.config import ChatConfig
from vcam_talker.core.errors import BadInputError
from vcam_talker.core.text import clean_name, clean_text, names_one_of
from vcam_talker.core.types import NS_PER_S, ChatLine, ChatMessage

Reason = Literal[
    "flood", "too long", "nothing to say", "for a bot", "for somebody else", "a link", "seen before",
    "repeated", "too many of one viewer", "blocked word", "name",
]  # fmt: skip
"""Why a line was dropped: a fixed set, so that counting a flood takes no memory."""

K = TypeVar("K")
V = TypeVar("V")

_USERS: Final = 4096
_IDS: Final = 4096
_TEXTS: Final = 1024
_SAME_USER_S: Final = 120.0
_SAME_TEXT_S: Final = 20.0
_MIN_COPY_CHARS: Final = 12
"""Short lines ("hi", "lol") are written by many without being copied."""
_RAW_SLACK: Final = 4
"""Times `max_chars`: how long a raw line may be before it is looked at at all; marks and spaces go later."""
_LINKS: Final = ("http://", "https://", "www.")


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


class Filters:
    """Used on one event loop."""

    def __init__(self, config: ChatConfig, persona_names: Sequence[str], now_ns: int) -> None:
        self._config = config
        self._names = tuple(persona_names)
        self._words = WordFilter(config.blocked_words)
        self._flood = Bucket(config.lines_per_s, 2 * config.lines_per_s, now_ns)
        self._users: OrderedDict[str, Bucket] = OrderedDict()
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
        if not self._flood.take(now_ns):
            return "flood"
        if len(line.text) > _RAW_SLACK * self._config.max_chars:
            return "too long"
        if line.text.lstrip()[:1] == "!":
            return "for a bot"
        try:
            text = clean_text(line.text, _RAW_SLACK * self._config.max_chars).text
        except BadInputError:
            return "nothing to say"
        if len(text) > self._config.max_chars:
            return "too long"
        mentions = names_one_of(text, self._names)
        if text.startswith("@") and not names_one_of(text.partition(" ")[0], self._names):
            return "for somebody else"
        folded = text.casefold()
        if any(mark in folded for mark in _LINKS):
            return "a link"
        user = clean_name(line.user)
        user_id = (line.user_id or line.user)[:100]
        who = f"{platform}:{user_id}"
        if self._words.find(text) is not None:
            return "blocked word"
        if self._words.find(user) is not None:
            return "name"
        if line.id and not self._is_new(self._ids, f"{platform}:{line.id[:100]}", None, _IDS):
            return "seen before"
        if self._is_repeated(who, folded, now_ns):
            return "repeated"
        if not self._bucket(who, now_ns).take(now_ns):
            return "too many of one viewer"
        self._made_up += not line.id
        number = line.id[:100] or f"made-up-{self._made_up}"
        room = clean_name(line.room, 60)
        return ChatMessage(platform, room, number, user, user_id, text, now_ns, line.role, mentions)

    def _is_repeated(self, who: str, folded: str, now_ns: int) -> bool:
        key = "".join(c for c in folded if c.isalnum())
        said_ns = self._said.get((who, key))
        _put(self._said, (who, key), now_ns, _TEXTS)
        if said_ns is not None and now_ns - said_ns < _SAME_USER_S * NS_PER_S:
            return True
        if len(key) < _MIN_COPY_CHARS:
            return False
        # Copied by many at once: one of them is enough.
        copied_ns = self._texts.get(key)
        _put(self._texts, key, now_ns, _TEXTS)
        return copied_ns is not None and now_ns - copied_ns < _SAME_TEXT_S * NS_PER_S

    def _bucket(self, who: str, now_ns: int) -> Bucket:
        bucket = self._users.get(who)
        if bucket is None:
            per_min = self._config.per_user_per_min
            bucket = Bucket(per_min / 60, per_min / 2, now_ns)
        _put(self._users, who, bucket, _USERS)
        return bucket

    @staticmethod
    def _is_new(table: OrderedDict[str, None], key: str, value: None, most: int) -> bool:
        new = key not in table
        _put(table, key, value, most)
        return new


def _put(table: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    table[key] = value
    table.move_to_end(key)
    while len(table) > most:
        table.popitem(last=False)
