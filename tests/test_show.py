"""The audience's rules, the history, quiet talk, and a spoken conversation."""

from __future__ import annotations

import errno
import itertools
import json
import multiprocessing
import os
import random
from pathlib import Path
from typing import Any

import pytest

from vcam_talker.core.clock import ManualClock
from vcam_talker.core.errors import QueueFullError
from vcam_talker.core.text import names_one_of
from vcam_talker.core.types import NS_PER_S, ChatMessage, Exchange, Utterance
from vcam_talker.show.audience import Audience, is_question
from vcam_talker.show.conversation import Conversation
from vcam_talker.show.history import History
from vcam_talker.show.quiet import QuietTalk
from vcam_talker.show.turns import Turn

pytestmark = pytest.mark.unit


def line(text: str, user: str = "ada", at_s: float = 0.0, *, mentions: bool = False) -> ChatMessage:
    at_ns = int(at_s * NS_PER_S)
    return ChatMessage("twitch", "r", f"{user}:{text}:{at_s}", user, user, text, at_ns, "viewer", mentions)


class Room:
    """An audience and what it let go of."""

    def __init__(self, answer: Any = "all") -> None:
        self.skipped: list[tuple[str, str]] = []
        self.audience = Audience(answer, 30.0, 8.0, lambda m, why: self.skipped.append((m.text, why)))

    def offer(self, *messages: ChatMessage) -> None:
        for m in messages:
            self.audience.offer(m, m.received_ns)

    def take(self, at_s: float = 0.0) -> str | None:
        found = self.audience.take(int(at_s * NS_PER_S))
        return found.text if found else None


@pytest.mark.parametrize(
    "text",
    ["what is your name", "How much?", "do you ship to norway", "Quanto costa?", "多少钱", "这个有红色的吗",
     "呢？",
     "is it red",
     "you there?", "hello! what do you sell"],
)  # fmt: skip
def test_questions(text: str) -> None:
    assert is_question(text)


@pytest.mark.parametrize("text", ["lol", "nice stream", "what", "hello mira", "今天天气真好", "", "..."])
def test_chatter(text: str) -> None:
    assert not is_question(text)


def test_questions_before_chatter_and_the_oldest_first() -> None:
    room = Room()
    room.offer(line("nice one", "a"), line("what is it?", "b", 1), line("where are you?", "c", 2))
    assert [room.take(3), room.take(3), room.take(3), room.take(3)] == [
        "what is it?", "where are you?", "nice one", None,
    ]  # fmt: skip


def test_who_names_the_presenter_comes_first() -> None:
    room = Room()
    room.offer(line("what is it?", "a"), line("mira, where are you?", "b", 1, mentions=True))
    assert room.take(2) == "mira, where are you?"


def test_everybody_gets_a_turn() -> None:
    room = Room()
    room.offer(line("what is one?", "a"), line("what is two?", "a", 0.1), line("what is three?", "b", 0.2))
    assert [room.take(1), room.take(2), room.take(3)] == ["what is one?", "what is three?", "what is two?"]


def test_what_many_ask_comes_first_and_is_answered_once() -> None:
    room = Room()
    room.offer(line("who made you?", "a"), line("How much is the mug?", "b", 1))
    room.offer(line("how much is the mug", "c", 2), line("hi, how much is the mug pls??", "d", 3))
    assert [text for text, _ in room.skipped] == ["how much is the mug", "hi, how much is the mug pls??"]
    assert "b asked the same" in room.skipped[0][1]
    assert room.take(4) == "How much is the mug?"
    room.offer(line("how much is the mug?", "e", 5))
    assert "just now" in room.skipped[-1][1]


@pytest.mark.parametrize(
    ("first", "second"),
    [("is it red?", "is it blue?"), ("is shipping free?", "is shopping free?"),
     ("how much is the red mug?", "how much is the mug?"),
     ("红色杯子多少钱", "蓝色杯子多少钱"), ("do you ship to norway?", "do you ship to sweden?")],
)  # fmt: skip
def test_like_questions_are_not_the_same(first: str, second: str) -> None:
    room = Room()
    room.offer(line(first, "a"), line(second, "b"))
    assert room.skipped == []


def test_stale_lines_go_and_say_so() -> None:
    room = Room()
    room.offer(line("what is it?"))
    assert room.take(31) is None
    assert room.skipped == [("what is it?", "it waited longer than 30 s")]


@pytest.mark.parametrize(("answer", "left"), [("questions", 2), ("mentions", 1), ("all", 3)])
def test_what_is_answered_at_all(answer: str, left: int) -> None:
    room = Room(answer)
    room.offer(line("nice", "a"), line("what is it?", "b"), line("mira you rock", "c", mentions=True))
    assert len(room.audience) == left
    assert len(room.skipped) == 3 - left


def test_a_flood_stays_bounded_and_keeps_questions() -> None:
    room = Room()
    room.offer(line("what matters?", "first"))
    room.offer(*(line(f"noise number {i}", f"u{i}", 1 + i / 1000) for i in range(1000)))
    assert len(room.audience) == 64
    assert room.take(3) == "what matters?"
    assert len(room.skipped) == 1001 - 64


def test_a_look_takes_nothing() -> None:
    room = Room()
    room.offer(line("what is it?"))
    assert room.audience.peek(0) is room.audience.peek(0) is not None
    assert room.take() == "what is it?"
    assert room.audience.peek(0) is None


def test_moderators_remove_lines() -> None:
    room = Room()
    room.offer(line("what is one?", "a"), line("what is two?", "b"), line("what is three?", "a"))
    room.audience.withdraw("twitch", user_id="a")
    room.audience.withdraw("webhook", user_id="b")
    assert room.take() == "what is two?"
    assert room.take() is None


def exchange(n: int, user: str = "ada") -> Exchange:
    return Exchange(user, f"question {n}", f"answer {n}")


def test_history_grows_at_its_end_and_shrinks_in_steps() -> None:
    history = History(4, 10_000)
    prefixes = []
    for n in range(12):
        history.note("r", exchange(n))
        prefixes.append(history.of_room("r"))
    assert all(1 <= len(p) <= 4 for p in prefixes)
    kept = sum(b[: len(a)] == a for a, b in itertools.pairwise(prefixes))
    assert kept >= 7, "most turns only append"
    assert prefixes[-1][-1] == exchange(11)


def test_history_is_bounded_by_characters_and_rooms() -> None:
    history = History(100, 60)
    for n in range(50):
        history.note("r", exchange(n))
        assert sum(len(e.asked) + len(e.heard) for e in history.of_room("r")) <= 60
    history.note("r", Exchange("a", "x" * 100, "y"))
    assert history.of_room("r") == ()
    for n in range(1000):
        history.note(f"room {n}", exchange(n))
    assert history.of_room("room 0") == ()
    assert history.of_room("room 999") == (exchange(999),)


def test_a_viewer_is_remembered_beyond_the_rooms_history() -> None:
    history = History(4, 10_000)
    history.note("r", Exchange("bob", "my name is Bob", "Hello Bob."))
    assert history.of_viewer("r", "bob") == ()
    for n in range(6):
        history.note("r", exchange(n))
    assert [e.asked for e in history.of_viewer("r", "bob")] == ["my name is Bob"]
    assert history.of_viewer("other", "bob") == ()


def test_what_nobody_heard_did_not_happen() -> None:
    history = History(4, 1000)
    history.note("r", Exchange("a", "hm?", ""))
    assert history.of_room("r") == ()


class Wall:
    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def test_never_the_same_line_twice_within_an_hour_restarts_included(tmp_path: Path) -> None:
    wall, clock, lines = Wall(), ManualClock(), [f"line {n}" for n in range(6)]
    said: list[tuple[float, str]] = []
    for restart in range(8):
        talk = QuietTalk(60, 3600, tmp_path / "state" / "quiet.json", wall, clock, random.Random(restart))
        for _ in range(3):
            wall.now_s += 400
            clock.advance(400 * NS_PER_S)
            if chosen := talk.choose(lines):
                said.append((wall.now_s, chosen))
            talk.save()
    assert len(said) >= 12
    for i, (at, text) in enumerate(said):
        assert all(text != other or at - then >= 3600 for then, other in said[:i])


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"a": "b"}', "\x00\xff"])
def test_a_damaged_memory_is_no_obstacle(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "quiet.json"
    file.write_text(damage, encoding="utf-8")
    talk = QuietTalk(60, 3600, file, Wall(), ManualClock(), random.Random(1))
    assert talk.choose(["a"]) == "a"
    talk.save()
    assert QuietTalk(60, 3600, file, Wall(), ManualClock(), random.Random(1)).choose(["a"]) is None


def test_a_disk_that_refuses_is_no_obstacle_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    memory = tmp_path / "file" / "quiet.json"
    talk = QuietTalk(60, 3600, memory, Wall(), ManualClock(), random.Random(1))
    assert talk.choose(["a"]) == "a"
    talk.save()
    talk.save()
    assert talk.choose(["a"]) is None
    assert caplog.text.count("can't be written") == 1


def test_a_disk_that_fills_up_leaves_the_old_memory_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    memory = tmp_path / "quiet.json"
    talk = QuietTalk(60, 3600, memory, Wall(), ManualClock(), random.Random(1))
    talk.choose(["a"])
    talk.save()
    before = memory.read_bytes()
    monkeypatch.setattr(os, "fsync", no_room)
    talk.choose(["b"])
    talk.save()
    assert memory.read_bytes() == before
    assert list(tmp_path.iterdir()) == [memory]


def remember(memory: Path, name: str, lines: int) -> None:
    """Process: say many lines."""
    said = [f"{name} {n}" for n in range(lines)]
    talk = QuietTalk(60, 3600, memory, Wall(), ManualClock(), random.Random(1))
    for _ in said:
        talk.choose(said)
        talk.save()


def test_two_daemons_of_one_user_write_no_nonsense(tmp_path: Path) -> None:
    memory = tmp_path / "quiet.json"
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=remember, args=(memory, name, 200)) for name in ("a", "b" * 200)]
    for process in both:
        process.start()
    while any(process.is_alive() for process in both):
        if memory.exists():
            json.loads(memory.read_bytes())
    assert [process.exitcode for process in both] == [0, 0]


@pytest.mark.parametrize("step_s", [-7200.0, -1.0, 7200.0])
def test_a_clock_that_is_set_repeats_no_line_and_silences_none_for_good(
    tmp_path: Path, step_s: float
) -> None:
    file, wall, clock = tmp_path / "quiet.json", Wall(), ManualClock()
    talk = QuietTalk(60, 3600, file, wall, clock, random.Random(1))
    assert talk.choose(["a"]) == "a"
    talk.save()
    wall.now_s += step_s
    clock.advance(60 * NS_PER_S)
    assert talk.choose(["a"]) is None
    talk.save()
    assert QuietTalk(60, 3600, file, wall, clock, random.Random(1)).choose(["a"]) is None, (
        "nor after a restart"
    )
    for _ in range(2):
        wall.now_s += 3600
        clock.advance(3600 * NS_PER_S)
        if said := talk.choose(["a"]):
            break
    assert said == "a"


class FakeDirector:
    """Takes what a conversation makes."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.cut: Turn | None = None
        self.full = False
        self.waited_for = 0

    def understood(self) -> None:
        self.waited_for += 1

    def hear(self, *, speaking: bool) -> Turn | None:
        return self.cut if speaking else None

    def submit(self, _kind: str, text: str, *, heard_ns: int, **_: object) -> None:
        if self.full:
            raise QueueFullError("the queue", "is full")
        self.asked.append((text, heard_ns))


class Call:
    def __init__(self, answer: Any = "always") -> None:
        self.clock = ManualClock()
        self.director = FakeDirector()
        self.skipped: list[tuple[str, str]] = []
        self.conversation = Conversation(
            self.director,  # type: ignore[arg-type]
            self.clock,
            answer,
            ("Mira", "米拉"),
            lambda t, why: self.skipped.append((t, why)),
        )

    def hears(self, text: str) -> None:
        self.conversation.speech_began()
        self.conversation.speech_ended()
        self.conversation.heard(Utterance(text, 0, 5, 9, 0.9), text)


def test_words_become_a_question_that_knows_when_the_voice_ended() -> None:
    call = Call()
    call.hears("what is your name")
    assert call.director.asked == [("what is your name", 5)]


def test_who_goes_on_after_a_breath_asks_one_question() -> None:
    call = Call()
    call.director.cut = Turn(1, "ask", "do you ship", 0, source="voice")
    call.hears("to norway")
    assert call.director.asked[-1][0] == "do you ship to norway"
    call.director.cut = Turn(2, "ask", "do you ship", 0, source="voice", first_audio_ns=1)
    call.hears("no wait")
    assert call.director.asked[-1][0] == "no wait", "an answer that was heard is over"
    call.director.cut = Turn(3, "ask", "of the chat", 0, source="twitch")
    call.hears("sorry")
    assert call.director.asked[-1][0] == "sorry"


def test_who_goes_on_for_long_still_asks_one_question() -> None:
    call = Call()
    call.director.cut = Turn(1, "ask", "do you ship", 0, source="voice")
    call.conversation.speech_began()
    call.clock.advance(12 * NS_PER_S)
    call.conversation.speech_ended()
    call.conversation.heard(
        Utterance("a very large mug to norway", 0, 5, 9, 0.9), "a very large mug to norway"
    )
    assert call.director.asked == [("do you ship a very large mug to norway", 5)]


def test_a_question_that_gave_way_to_a_noise_is_asked_again_once() -> None:
    call = Call()
    call.director.cut = Turn(1, "ask", "do you ship", 0, source="voice", heard_ns=7)
    call.conversation.speech_began()
    call.director.cut = None
    call.conversation.check()
    call.conversation.speech_ended()
    call.conversation.speech_began()
    call.conversation.speech_ended()
    call.conversation.check()
    assert call.director.asked == [], "its words may still come"
    call.clock.advance(9 * NS_PER_S)
    call.conversation.check()
    call.conversation.check()
    assert call.director.asked == [("do you ship", 7)]


def test_ears_that_found_no_words_let_it_be_asked_again_at_once() -> None:
    call = Call()
    call.director.cut = Turn(1, "ask", "do you ship", 0, source="voice", heard_ns=7)
    call.conversation.speech_began()
    call.conversation.no_words()
    assert call.director.asked == [], "somebody still speaks"
    call.conversation.speech_ended()
    call.conversation.no_words()
    call.conversation.no_words()
    assert call.director.asked == [("do you ship", 7)]


def test_who_waits_for_words_learns_that_none_come() -> None:
    call = Call("addressed")
    call.hears("let us begin the meeting")
    assert call.director.waited_for == 1
    call.conversation.missed("", "it is empty")
    call.hears("Mira, what is your name?")
    assert call.director.waited_for == 3


def test_only_who_is_addressed_answers() -> None:
    call = Call("addressed")
    call.hears("let us begin the meeting")
    assert call.skipped[0][0] == "let us begin the meeting"
    call.hears("Mira, what is your name?")
    call.hears("and where do you live?")
    assert [t for t, _ in call.director.asked] == ["Mira, what is your name?", "and where do you live?"]
    call.clock.advance(31 * NS_PER_S)
    call.hears("ok, next topic")
    assert len(call.director.asked) == 2


def test_a_full_queue_is_told() -> None:
    call = Call()
    call.director.full = True
    call.hears("hello")
    assert "full" in call.skipped[0][1]


@pytest.mark.parametrize("text", ["Mira?", "hey @mira!", "MIRA, hello", "请问米拉在吗"])
def test_named(text: str) -> None:
    assert names_one_of(text, ("Mira", "米拉"))


@pytest.mark.parametrize("text", ["admirable", "miracle", "", "拉米"])
def test_not_named(text: str) -> None:
    assert not names_one_of(text, ("Mira", "米拉", ""))
