"""What a line must pass: every reason is reached, alone and in order; memory and time stay bounded."""

from __future__ import annotations

import time
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcam_talker.chat.filters import Bucket, Filters, Reason
from vcam_talker.config import ChatConfig
from vcam_talker.core.types import NS_PER_S, ChatLine

pytestmark = pytest.mark.unit

NAMES = ("Mira", "mira")
ROOMY = ChatConfig(lines_per_s=1000, per_user_per_min=600, blocked_words=("scammer",))


def filters(config: ChatConfig = ROOMY) -> Filters:
    return Filters(config, NAMES, 0)


def drop(kept: Filters, line: ChatLine, now_s: float = 0.0) -> str | None:
    """Return why a line is dropped, None when it passes."""
    before = dict(kept.dropped)
    passed = kept.take("twitch", line, int(now_s * NS_PER_S))
    new = {
        reason: n - before.get(reason, 0) for reason, n in kept.dropped.items() if n != before.get(reason, 0)
    }
    assert sum(new.values()) == (passed is None)
    return next(iter(new), None)


REACHED: dict[str, tuple[ChatConfig, list[ChatLine]]] = {
    "flood": (ChatConfig(lines_per_s=1), [ChatLine(f"u{n}", f"line number {n}") for n in range(3)]),
    "too long": (ROOMY, [ChatLine("ann", "x" * 301)]),
    "nothing to say": (ROOMY, [ChatLine("ann", "\u200b !? \x1b[0m 😀")]),
    "for a bot": (ROOMY, [ChatLine("ann", " !song")]),
    "for somebody else": (ROOMY, [ChatLine("ann", "@bob did you see mira?")]),
    "a link": (ROOMY, [ChatLine("ann", "look: HTTPS://example.org")]),
    "seen before": (ROOMY, [ChatLine("ann", "one", id="1"), ChatLine("ann", "two", id="1")]),
    "repeated": (ROOMY, [ChatLine("ann", "Hi there"), ChatLine("ann", "hi, THERE!")]),
    "too many of one viewer": (ChatConfig(), [ChatLine("ann", f"{n} is it") for n in range(4)]),
    "blocked word": (ROOMY, [ChatLine("ann", "you 5cammer")]),
    "name": (ROOMY, [ChatLine("s.c.a.m.m.e.r", "how are you?")]),
}  # fmt: skip


def test_every_reason_has_its_case() -> None:
    assert set(REACHED) == set(get_args(Reason))


@pytest.mark.parametrize("reason", REACHED)
def test_a_reason_is_reached_and_no_other(reason: str) -> None:
    config, lines = REACHED[reason]
    kept = filters(config)
    assert [drop(kept, line) for line in lines] == [None] * (len(lines) - 1) + [reason]
    assert kept.passed == len(lines) - 1
    assert dict(kept.dropped) == {reason: 1}


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "what does it cost?",
        "@mira hi",
        "@Mira: hi",
        "@coolshow hi",
        "! what",
        "!!! really?",
        "@ 5 pm?",
        "and/or",
        "e.g. this",
        "3/4 of it",
        "你好，多少钱？",
        "node.js is nice",
        "a" * 300,
        "do you sell on amazon.com?",
    ],
)
def test_ordinary_lines_pass(text: str) -> None:
    assert drop(filters(), ChatLine("ann", text, "coolshow")) is None


@pytest.mark.parametrize("text", ["see www.example.org", "discord.gg/abc", "bit.ly/2x now", "ＨＴＴＰ://x.y"])
def test_links_are_links(text: str) -> None:
    expected = None if text.startswith("Ｈ") else "a link"
    assert drop(filters(), ChatLine("ann", text)) == expected


def test_the_message_is_clean_and_bounded() -> None:
    line = ChatLine(
        "\x1b[31m" + "N" * 500, " hi \u202e\x00 Mira\n! ", "r" * 500, "i" * 500, "u" * 500, "moderator"
    )
    message = filters().take("twitch", line, 7)
    assert message is not None
    assert (message.text, message.platform, message.received_ns) == ("hi Mira !", "twitch", 7)
    assert message.mentions_persona
    assert message.role == "moderator"
    assert [len(s) for s in (message.user, message.room, message.id, message.user_id)] == [32, 60, 100, 100]


def test_the_channel_at_the_head_is_the_persona() -> None:
    message = filters().take("twitch", ChatLine("ann", "@coolshow how are you?", "coolshow"), 0)
    assert message is not None
    assert message.mentions_persona
    message = filters().take("twitch", ChatLine("ann", "coolshow is fun", "coolshow"), 0)
    assert message is not None
    assert not message.mentions_persona


def test_one_viewer_who_floods_leaves_the_others_their_share() -> None:
    kept = filters(ChatConfig())
    for n in range(5000):
        now_s = n / 1000
        drop(kept, ChatLine("spammer", f"!spam {n}"), now_s)
        if n % 500 == 0:
            assert drop(kept, ChatLine(f"viewer {n}", f"question {n}?"), now_s) is None


def test_a_dropped_line_silences_nobody_else() -> None:
    kept = filters()
    assert drop(kept, ChatLine("scammer", "what is the price today?")) == "name"
    assert drop(kept, ChatLine("ann", "what is the price today?")) is None
    assert drop(kept, ChatLine("bob", "What is the price today")) == "repeated"
    assert drop(kept, ChatLine("bob", "What is the price today"), 21) is None


def test_short_lines_are_not_copies_and_time_heals() -> None:
    kept = filters()
    assert [drop(kept, ChatLine(user, "hi")) for user in "abc"] == [None] * 3
    assert drop(kept, ChatLine("a", "hi"), 119) == "repeated"
    assert drop(kept, ChatLine("a", "hi"), 121) is None


def test_viewers_are_told_apart_by_room_and_platform() -> None:
    kept = filters()
    for room in ("bilibili", "douyin"):
        assert drop(kept, ChatLine("ann", "hi", room, "1", "1")) is None
    assert kept.take("webhook", ChatLine("ann", "hi", "bilibili", "1", "1"), 0) is not None


def test_made_up_numbers_differ() -> None:
    kept = filters()
    found = [kept.take("webhook", ChatLine(f"u{n}", "hi"), 0) for n in range(10)]
    assert len({m.id for m in found if m is not None}) == 10


def test_one_viewer_gets_his_rate_and_no_more() -> None:
    kept = filters(ChatConfig())
    passed = sum(drop(kept, ChatLine("ann", f"line {n}"), n / 2) is None for n in range(240))
    assert passed == 3 + 12 - 1


def test_bucket() -> None:
    bucket = Bucket(2, 4, 0)
    assert [bucket.take(0) for _ in range(5)] == [True] * 4 + [False]
    assert not bucket.take(NS_PER_S // 4)
    assert bucket.take(NS_PER_S // 2)
    assert [bucket.take(100 * NS_PER_S) for _ in range(5)] == [True] * 4 + [False]
    assert Bucket(0.1, 0.05, 0).take(0)


@given(st.builds(ChatLine, st.text(), st.text(), st.text(), st.text(), st.text()))
def test_any_line_is_survived(line: ChatLine) -> None:
    message = filters().take("webhook", line, 0)
    assert message is None or 0 < len(message.text) <= ROOMY.max_chars


def largest_table(kept: Filters) -> int:
    return max(len(value) for value in vars(kept).values() if hasattr(value, "__len__"))


def test_tables_stay_bounded_whoever_writes_whatever() -> None:
    kept = filters()
    for n in range(6000):
        line = ChatLine(f"user {n}", f"{n} is what I say, and it is long enough", "r", f"id {n}", f"{n}" * 20)
        kept.take("twitch", line, n * NS_PER_S // 900)
    assert kept.passed == 6000
    assert largest_table(kept) == 4096


def test_two_hundred_thousand_viewers_fill_bounded_tables() -> None:
    kept = filters()
    for n in range(200_000):
        kept.take("twitch", ChatLine(f"user {n}", "!x", id=f"id {n}"), 0)
    assert sum(kept.dropped.values()) == 200_000
    assert largest_table(kept) == 4096
    assert set(kept.dropped) <= set(get_args(Reason))


@pytest.mark.parametrize("unit", ["a ", "\u0301", "@", "﷽", "!", "http:/", "😀", "\u202e", "a.aa", "\x1b["])
def test_hostile_text_costs_little(unit: str) -> None:
    kept = filters(ChatConfig(max_chars=2000, lines_per_s=1000))
    text = (unit * 100_000)[:100_000]
    begun = time.perf_counter()
    for size in (2000, 8000, 100_000):
        kept.take("webhook", ChatLine("ann", text[:size]), 0)
    assert time.perf_counter() - begun < 0.5
