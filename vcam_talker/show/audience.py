"""The live chat's lines that wait for an answer: which of them comes next, and why others never do."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

from vcam_talker.core.types import NS_PER_S, ChatMessage

_CAPACITY: Final = 64
_JUST_ANSWERED_S: Final = 30.0
_ANSWERED_USERS: Final = 512
_ANSWERED_LINES: Final = 32
_COMPARED_CHARS: Final = 120

_QUESTION_MARKS: Final = frozenset("?？؟;")
_ASKING: Final = frozenset(
    """what what's who who's whom whose which when where why how how's can could do does did is are am was
    were will would should shall may have has any anyone tell explain show price cost""".split()  # noqa: SIM905
)
_ASKING_HAN: Final = (
    "吗",
    "呢",
    "什么",
    "怎么",
    "多少",
    "几",
    "哪",
    "谁",
    "为什么",
    "能不能",
    "可以",
    "有没有",
    "请问",
)

_FILLERS: Final = frozenset("a an the please pls plz hi hey hello so um uh well just and but".split())  # noqa: SIM905
_PARTICLES_HAN: Final = dict.fromkeys(map(ord, "吗呢啊呀吧的请问了"))

WITHDRAWN: Final = "a moderator removed it"

K = TypeVar("K")

Skip = Callable[[ChatMessage, str], None]
"""Told of every line that will not be answered, and why, in words."""


@dataclass(slots=True)
class WaitingLine:
    """A line, and how many viewers asked the same."""

    message: ChatMessage
    question: bool
    key: tuple[str, ...]
    askers: set[tuple[str, str]] = field(default_factory=set)
    """(Platform, user id)."""


class Audience:
    """Bounded; used on the control loop. All times monotonic nanoseconds, given by the caller."""

    def __init__(
        self, answer: Literal["questions", "mentions", "all"], stale_s: float, cooldown_s: float, skip: Skip
    ) -> None:
        self._answer = answer
        self._stale_ns = int(stale_s * NS_PER_S)
        self._cooldown_ns = int(cooldown_s * NS_PER_S)
        self._skip = skip
        self._waiting: list[WaitingLine] = []
        self._answered_users: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._answered_lines: OrderedDict[tuple[str, ...], int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, message: ChatMessage, now_ns: int) -> None:
        """Take a line in, or tell why not."""
        question = message.mentions_persona or is_question(message.text)
        if self._answer == "mentions" and not message.mentions_persona:
            self._skip(message, "it does not name the persona")
            return
        if self._answer == "questions" and not question:
            self._skip(message, "it asks nothing")
            return
        key = _key(message.text)
        for answered, at_ns in self._answered_lines.items():
            if now_ns - at_ns < _JUST_ANSWERED_S * NS_PER_S and key == answered:
                self._skip(message, "the same was answered just now")
                return
        for line in self._waiting:
            if key == line.key:
                line.askers.add((message.platform, message.user_id))
                self._skip(message, f"{line.message.user or 'somebody'} asked the same and is next")
                return
        self._waiting.append(WaitingLine(message, question, key, {(message.platform, message.user_id)}))
        if len(self._waiting) > _CAPACITY:
            last = max(self._waiting, key=lambda line: self._rank(line, now_ns))
            self._waiting.remove(last)
            self._skip(last.message, f"more than {_CAPACITY} lines wait")

    def drop_stale(self, now_ns: int) -> None:
        """Let go of what has waited too long."""
        for line in [w for w in self._waiting if self.is_stale(w.message, now_ns)]:
            self._waiting.remove(line)
            self._skip(line.message, f"it waited longer than {self._stale_ns / NS_PER_S:.0f} s")

    def is_stale(self, message: ChatMessage, now_ns: int) -> bool:
        """Tell whether a line has waited too long."""
        return now_ns - message.received_ns > self._stale_ns

    def peek(self, now_ns: int) -> ChatMessage | None:
        """Return the line to answer now, None when none waits; it goes on waiting."""
        best = self._best(now_ns)
        return best.message if best else None

    def take(self, now_ns: int) -> ChatMessage | None:
        """Return the line to answer now, which waits no longer; None when none waits."""
        best = self._best(now_ns)
        if best is None:
            return None
        self._waiting.remove(best)
        _remember(self._answered_lines, best.key, now_ns, _ANSWERED_LINES)
        for user in best.askers:
            _remember(self._answered_users, user, now_ns, _ANSWERED_USERS)
        return best.message

    def withdraw(self, platform: str, *, message_id: str = "", user_id: str = "") -> None:
        """Drop lines that a moderator removed: one by its id, all of one user, or without either all."""
        for line in list(self._waiting):
            if is_withdrawn(line.message, platform, message_id, user_id):
                self._waiting.remove(line)
                self._skip(line.message, WITHDRAWN)

    def clear(self) -> None:
        """Forget every line that waits."""
        for line in self._waiting:
            self._skip(line.message, "the queue was cleared")
        self._waiting.clear()

    def _best(self, now_ns: int) -> WaitingLine | None:
        self.drop_stale(now_ns)
        return min(self._waiting, key=lambda line: self._rank(line, now_ns), default=None)

    def _rank(self, line: WaitingLine, now_ns: int) -> tuple[bool, bool, bool, int, int]:
        """Return what orders lines: the smallest is next."""
        m = line.message
        last_ns = self._answered_users.get((m.platform, m.user_id))
        cooling = last_ns is not None and now_ns - last_ns < self._cooldown_ns
        return (not line.question, cooling, not m.mentions_persona, -len(line.askers), m.received_ns)


def is_withdrawn(message: ChatMessage, platform: str, message_id: str, user_id: str) -> bool:
    """Tell whether a removal means `message`: by its id, by who wrote it, or as one of all."""
    if message.platform != platform:
        return False
    if not message_id and not user_id:
        return True
    return bool((message_id and message.id == message_id) or (user_id and message.user_id == user_id))


def is_question(text: str) -> bool:
    """Tell whether a line asks something: by its words in English and Chinese, or by its mark."""
    stripped = text.rstrip(" .!。！~")
    if not stripped:
        return False
    if stripped[-1] in _QUESTION_MARKS or any(mark in text for mark in "?？؟"):
        return True
    if any(word in text for word in _ASKING_HAN):
        return True
    words = [w for w in re.findall(r"[a-z']+", text[:_COMPARED_CHARS].casefold()) if w not in _FILLERS]
    return len(words) > 1 and words[0] in _ASKING


def _key(text: str) -> tuple[str, ...]:
    """Return the words of a line that carry meaning; lines are one question when all of these are equal.

    Likeness would not do: "is it red" and "is it blue", "shipping" and "shopping" differ in little.
    """
    folded = text[:_COMPARED_CHARS].casefold().replace("'", "")
    words = "".join(c if c.isalnum() else " " for c in folded).translate(_PARTICLES_HAN).split()
    return tuple(w for w in words if w not in _FILLERS) or tuple(words)


def _remember(table: OrderedDict[K, int], key: K, now_ns: int, most: int) -> None:
    table[key] = now_ns
    table.move_to_end(key)
    while len(table) > most:
        table.popitem(last=False)
