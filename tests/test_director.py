"""The director against a scripted stage: order, interruptions, engine loss, what was heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vcam_talker.core.clock import ManualClock
from vcam_talker.core.errors import QueueFullError
from vcam_talker.core.events import (
    EngineDown,
    FirstToken,
    SentenceBegan,
    SentenceCached,
    TurnFailed,
    WordsPlaced,
)
from vcam_talker.core.status import TurnView
from vcam_talker.core.types import NS_PER_S, Activity, ChatMessage, Emotion, Playout, Pts, TurnId
from vcam_talker.show.audience import Audience
from vcam_talker.show.director import Director, Rules
from vcam_talker.show.history import History
from vcam_talker.show.turns import Rank

pytestmark = pytest.mark.unit


class FakeStage:
    """Records what the director asks; the test plays engine and timeline."""

    def __init__(self) -> None:
        self.ready = True
        self.begun: list[dict[str, Any]] = []
        self.cuts: list[int] = []
        self.moods: list[tuple[Emotion | None, Activity]] = []
        self.replaced: list[str] = []
        self.on_cut: Callable[[int], None] = lambda _turn: None

    def begin(self, command: dict[str, Any]) -> bool:
        if self.ready:
            self.begun.append(command)
        return self.ready

    def cut(self, turn: TurnId) -> None:
        self.cuts.append(turn)
        self.on_cut(turn)

    def replace_engine(self, reason: str) -> None:
        self.replaced.append(reason)

    def show(self, emotion: Emotion | None, activity: Activity) -> None:
        self.moods.append((emotion, activity))

    def reader_ns(self, pts: Pts) -> int:
        return pts + 30_000_000


class Show:
    """A director with its stage and the events it told."""

    def __init__(self, capacity: int = 3, *, barge_in: bool = True) -> None:
        self.clock = ManualClock()
        self.stage = FakeStage()
        self.events: list[tuple[str, TurnView]] = []
        self.skipped: list[tuple[str, str]] = []
        audience = Audience("all", 30.0, 8.0, lambda m, why: self.skipped.append((m.text, why)))
        self.history = History(12, 4000)
        self.director = Director(
            self.stage,
            self.clock,
            Rules(capacity, barge_in=barge_in),
            lambda e, v: self.events.append((e, v)),
            audience,
            self.history,
        )

    def speak(self, take: int, *sentences: str) -> None:
        at_s = 0.0
        for text in sentences:
            words = tuple((w, at_s + i * 0.5, at_s + i * 0.5 + 0.5) for i, w in enumerate(text.split()))
            self.director.on_engine(SentenceBegan(TurnId(take), text, Emotion.HAPPY, at_s))
            self.director.on_engine(WordsPlaced(TurnId(take), words))
            at_s += 0.5 * len(words)
        self.director.on_started(TurnId(take), Pts(0), self.clock.now_ns())

    def end(self, take: int, played_s: float, *, interrupted: bool = False) -> None:
        self.director.on_ended(Playout(TurnId(take), played_s, played_s, interrupted, ""))


def test_one_turn_at_a_time_in_order() -> None:
    show = Show()
    receipts = [show.director.submit("say", text) for text in ("one", "two", "three")]
    assert [r.position for r in receipts] == [0, 1, 2]
    assert [c["text"] for c in show.stage.begun] == ["one"]
    show.speak(1, "one")
    show.end(1, 0.5)
    assert [c["text"] for c in show.stage.begun] == ["one", "two"]
    assert show.director.recent_view()[0].state == "done"
    assert show.director.recent_view()[0].heard_text == "one"


def test_a_full_queue_refuses_and_drops_nothing() -> None:
    show = Show(capacity=2)
    for text in ("floor", "a", "b"):
        show.director.submit("say", text)
    with pytest.raises(QueueFullError):
        show.director.submit("say", "c")
    assert [t.text for t in show.director.queue_view()] == ["a", "b"]


def test_an_interruption_keeps_only_what_was_heard() -> None:
    show = Show()
    show.director.submit("say", "long")
    show.speak(1, "Hello dear viewers.", "This was not heard.")
    assert show.director.interrupt(clear_queue=False) == 1
    assert show.stage.cuts == [1]
    show.director.submit("say", "next")
    assert show.director.recent_view()[0].state == "interrupted"


def test_heard_text_is_cut_at_the_word() -> None:
    show = Show()
    show.director.submit("say", "long")
    show.speak(1, "Hello dear viewers.", "Second sentence here.")
    show.end(1, 2.1, interrupted=True)
    assert show.director.recent_view()[0].heard_text == "Hello dear viewers. Second"


def test_clear_ends_what_waits_too() -> None:
    show = Show()
    for text in ("a", "b", "c"):
        show.director.submit("say", text)
    assert show.director.interrupt(clear_queue=True) == 3
    assert show.director.queue_view() == ()
    assert show.director.floor_view() is None
    assert show.director.interrupt(clear_queue=True) == 0


def test_without_an_engine_turns_wait() -> None:
    show = Show()
    show.stage.ready = False
    show.director.submit("ask", "anyone?")
    assert show.director.floor_view() is None
    show.stage.ready = True
    show.director.advance()
    floor = show.director.floor_view()
    assert floor is not None
    assert floor.text == "anyone?"


def test_an_engine_lost_before_any_sound_makes_the_turn_again() -> None:
    show = Show()
    receipt = show.director.submit("say", "precious")
    show.director.on_engine(EngineDown("killed"))
    show.director.advance()
    assert [c["text"] for c in show.stage.begun] == ["precious", "precious"]
    assert show.stage.begun[0]["turn"] != show.stage.begun[1]["turn"], (
        "the new attempt has a stamp of its own"
    )
    floor = show.director.floor_view()
    assert floor is not None
    assert floor.turn == receipt.turn, "the caller's number stays"
    show.director.on_engine(EngineDown("killed"))
    assert show.director.recent_view()[0].state == "failed", "not for ever"


def test_an_engine_lost_while_speaking_tells_what_was_heard_and_goes_on() -> None:
    show = Show()
    show.director.submit("say", "first")
    show.director.submit("say", "second")
    show.speak(1, "Hello dear viewers.")
    show.director.on_engine(EngineDown("killed by signal 9"))
    view = show.director.recent_view()[0]
    assert view.state == "failed"
    assert "signal 9" in view.error
    assert show.stage.begun[-1]["text"] == "second"


def test_a_turn_that_never_speaks_is_given_up() -> None:
    show = Show()
    show.director.submit("ask", "hm")
    show.director.submit("ask", "next")
    show.clock.advance(19 * NS_PER_S)
    show.director.check()
    assert show.director.floor_view() is not None
    show.clock.advance(2 * NS_PER_S)
    show.director.check()
    assert show.director.recent_view()[0].state == "failed"
    assert show.stage.begun[-1]["text"] == "next"
    assert show.stage.replaced, "an engine that hangs is no use to the next turn either"


def test_a_turn_that_stops_in_the_middle_is_given_up_too() -> None:
    show = Show()
    show.director.submit("ask", "hm")
    show.director.submit("ask", "next")
    show.speak(1, "Hello dear viewers.")
    for _ in range(30):
        show.clock.advance(NS_PER_S // 2)
        show.director.follow(0.7)
        show.director.check()
    floor = show.director.floor_view()
    assert floor is not None
    assert floor.text == "hm"
    show.clock.advance(2 * NS_PER_S)
    show.director.check()
    assert show.director.recent_view()[0].heard_text.startswith("Hello")
    assert show.stage.begun[-1]["text"] == "next"


def test_a_long_turn_that_goes_on_is_left_alone() -> None:
    show = Show()
    show.director.submit("ask", "tell me everything")
    show.speak(1, "Hello dear viewers.")
    for second in range(300):
        show.clock.advance(NS_PER_S)
        show.director.follow(float(second + 1))
        show.director.check()
    assert show.director.floor_view() is not None


def test_a_failed_turn_does_not_claim_it_was_heard() -> None:
    show = Show()
    show.director.submit("say", "x")
    show.director.on_engine(SentenceBegan(TurnId(1), "Never made.", Emotion.NEUTRAL, 0.0))
    show.director.on_engine(TurnFailed(TurnId(1), "the voice broke"))
    show.end(1, 0.0)
    view = show.director.recent_view()[0]
    assert (view.state, view.heard_text, view.error) == ("failed", "", "the voice broke")


def test_a_turn_made_again_is_not_ended_by_its_first_attempt() -> None:
    show = Show()
    show.director.submit("say", "precious")
    # Its first quanta are on the timeline, which tells of their end the moment they are cut.
    show.stage.on_cut = lambda take: show.end(take, 0.0, interrupted=True)
    show.director.on_engine(EngineDown("killed"))
    assert show.director.recent_view() == ()
    show.director.advance()
    show.stage.on_cut = lambda _take: None
    show.speak(2, "Now it works.")
    show.end(2, 1.5)
    view = show.director.recent_view()[0]
    assert (view.state, view.error) == ("done", "")


def test_events_of_an_old_attempt_are_ignored() -> None:
    show = Show()
    show.director.submit("say", "now")
    show.director.on_engine(TurnFailed(TurnId(99), "old"))
    show.director.on_started(TurnId(99), Pts(0), 0)
    floor = show.director.floor_view()
    assert floor is not None
    assert floor.state == "thinking"


def test_the_face_follows_the_sentence_that_is_heard() -> None:
    show = Show()
    show.director.submit("say", "x")
    for emotion, start_s in [(Emotion.HAPPY, 0.0), (Emotion.SAD, 2.0)]:
        show.director.on_engine(SentenceBegan(TurnId(1), "x", emotion, start_s))
    show.director.on_started(TurnId(1), Pts(0), 0)
    show.director.follow(1.0)
    assert show.stage.moods[-1][0] == Emotion.HAPPY
    show.director.follow(2.5)
    assert show.stage.moods[-1][0] == Emotion.SAD


def test_it_tells_once_which_sentence_is_heard() -> None:
    show = Show()
    show.director.submit("say", "x")
    show.speak(1, "Hello dear viewers.", "And welcome.")
    for played_s in (0.1, 0.6, 1.6, 1.7):
        show.director.follow(played_s)
    told = [view.sentence for event, view in show.events if event == "sentence_heard"]
    assert told == ["Hello dear viewers.", "And welcome."]
    show.end(1, 2.5)
    assert show.director.recent_view()[0].sentence == ""


def test_the_subtitle_grows_with_what_is_heard() -> None:
    show = Show()
    show.director.submit("say", "x")
    show.speak(1, "Hello dear viewers.")
    for played_s, heard in [(0.1, ""), (0.6, "Hello"), (1.4, "Hello dear viewers.")]:
        show.director.follow(played_s)
        floor = show.director.floor_view()
        assert floor is not None
        assert floor.heard_text == heard


def test_the_trace_counts_from_the_question() -> None:
    show = Show()
    show.clock.advance(10_000_000)
    show.director.submit("say", "x")
    show.clock.advance(60_000_000)
    show.speak(1, "x")
    floor = show.director.floor_view()
    assert floor is not None
    assert floor.first_audio_ms == 60.0


def line(text: str, user: str = "ada", *, at_ns: int = 0, room: str = "r") -> ChatMessage:
    return ChatMessage("twitch", room, f"{user}{text}{at_ns}", user, user, text, at_ns)


def test_owner_before_viewer_before_own_talk() -> None:
    show = Show()
    show.director.submit("say", "floor")
    show.director.submit("quiet", "own talk", rank=Rank.QUIET)
    show.director.offer(line("what is it?"))
    show.director.submit("say", "owner")
    for take in (1, 2, 3):
        show.speak(take, "words")
        show.end(take, 0.5)
    assert [c["text"] for c in show.stage.begun] == ["floor", "owner", "what is it?", "own talk"]


def test_a_viewer_waits_while_somebody_speaks_and_the_owner_does_not() -> None:
    show = Show()
    show.director.hear(speaking=True)
    show.director.offer(line("what is it?"))
    assert show.stage.begun == []
    show.director.submit("say", "owner")
    assert [c["text"] for c in show.stage.begun] == ["owner"]
    show.speak(1, "words")
    show.end(1, 0.5)
    assert len(show.stage.begun) == 1
    show.director.hear(speaking=False)
    show.director.advance()
    assert len(show.stage.begun) == 1, "the words may be the owner's next question"
    show.director.hear(speaking=True)
    show.director.understood()
    assert len(show.stage.begun) == 1, "somebody speaks again"
    show.director.hear(speaking=False)
    show.director.understood()
    assert [c["text"] for c in show.stage.begun] == ["owner", "what is it?"]


def test_words_that_never_come_do_not_hold_viewers_back_for_long() -> None:
    show = Show()
    show.director.hear(speaking=True)
    show.director.offer(line("what is it?"))
    show.director.hear(speaking=False)
    show.clock.advance(9 * NS_PER_S)
    show.director.advance()
    assert [c["text"] for c in show.stage.begun] == ["what is it?"]


def test_a_viewers_turn_made_again_stays_behind_the_owners() -> None:
    show = Show()
    show.director.offer(line("what is it?"))
    show.director.submit("say", "owner")
    show.stage.ready = False
    show.director.on_engine(EngineDown("killed"))
    show.director.hear(speaking=True)
    show.stage.ready = True
    show.director.advance()
    assert [c["text"] for c in show.stage.begun] == ["what is it?", "owner"]


def test_without_an_engine_viewers_lines_stay_with_the_audience() -> None:
    show = Show()
    show.stage.ready = False
    show.director.offer(line("nice"))
    show.director.offer(line("is it red?", user="b"))
    show.director.offer(line("is it blue?", user="c"))
    assert show.director.queue_view() == ()
    show.director.withdraw("twitch", "", "b")
    show.stage.ready = True
    show.director.advance()
    assert [c["text"] for c in show.stage.begun] == ["is it blue?"]
    assert [v.turn for _, v in show.events] == [1, 1]
    show.clock.advance(31 * NS_PER_S)
    show.director.check()
    assert ("nice", "it waited longer than 30 s") in show.skipped


def test_a_viewers_turn_made_again_goes_stale_too() -> None:
    show = Show()
    show.director.offer(line("is it red?"))
    show.stage.ready = False
    show.director.on_engine(EngineDown("killed"))
    show.clock.advance(31 * NS_PER_S)
    show.director.check()
    assert show.director.queue_view() == ()
    ended = show.director.recent_view()[0]
    assert (ended.state, ended.error) == ("interrupted", "it waited too long to be made again")


@pytest.mark.parametrize("lost", [False, True])
def test_what_a_moderator_removes_is_not_answered(lost: bool) -> None:
    show = Show()
    show.director.offer(line("is it red?"))
    if lost:
        show.stage.ready = False
        show.director.on_engine(EngineDown("killed"))
    show.director.withdraw("twitch", "another", "")
    assert show.director.recent_view() == ()
    show.director.withdraw("twitch", "", "ada")
    ended = show.director.recent_view()[0]
    assert (ended.state, ended.error) == ("interrupted", "a moderator removed it")
    assert show.director.floor_view() is None
    assert show.director.queue_view() == ()


def test_a_viewers_question_that_gives_way_to_a_voice_unheard_is_not_lost() -> None:
    show = Show()
    show.stage.on_cut = lambda take: show.end(take, 0.0, interrupted=True)
    show.director.offer(line("is it red?"))
    for _ in range(3):
        show.director.hear(speaking=True)
        assert [t.text for t in show.director.queue_view()] == ["is it red?"]
        show.director.hear(speaking=False)
        show.director.understood()
        view = show.director.floor_view()
        assert view is not None
        assert (view.text, view.turn) == ("is it red?", 1)
    show.speak(len(show.stage.begun), "Yes.")
    show.director.hear(speaking=True)
    assert show.director.recent_view()[0].state == "interrupted", "what was heard is over"
    assert show.director.queue_view() == ()


def test_a_moderator_ends_the_answer_that_is_heard_and_it_leaves_no_past() -> None:
    show = Show()
    show.stage.on_cut = lambda take: show.end(take, 0.5, interrupted=True)
    show.director.offer(line("is it red?"))
    show.speak(1, "Yes it is.")
    show.director.withdraw("twitch", "", "ada")
    ended = show.director.recent_view()[0]
    assert (ended.state, ended.error) == ("interrupted", "a moderator removed it")
    assert show.history.of_room("twitch:r") == ()


@pytest.mark.parametrize("kind", ["say", "ask"])
def test_what_was_typed_and_not_heard_yet_waits_for_the_voice_that_cut_in(kind: Any) -> None:
    show = Show()
    show.stage.on_cut = lambda take: show.end(take, 0.0, interrupted=True)
    show.director.submit(kind, "hello")
    show.director.hear(speaking=True)
    show.director.submit("ask", "and this?")
    assert [c["text"] for c in show.stage.begun] == ["hello"]
    show.director.hear(speaking=False)
    assert [t.text for t in show.director.queue_view()] == ["hello", "and this?"]
    show.director.understood()
    assert [c["text"] for c in show.stage.begun] == ["hello", "hello"]
    assert show.director.recent_view() == ()


def test_spoken_words_are_not_answered_hours_later() -> None:
    show = Show()
    show.director.paused = True
    receipt = show.director.submit("ask", "hello?", source="voice", stale_s=60)
    show.director.submit("say", "typed")
    assert "paused" in receipt.note
    show.clock.advance(61 * NS_PER_S)
    show.director.check()
    assert [t.text for t in show.director.queue_view()] == ["typed"]
    assert show.director.recent_view()[0].error == "it waited too long"


def test_another_persona_has_no_past() -> None:
    show = Show()
    show.stage.on_cut = lambda take: show.end(take, 0.5, interrupted=True)
    show.director.submit("ask", "who are you?", room="r")
    show.director.submit("ask", "and now?", room="r")
    show.director.submit("quiet", "I was here first.", rank=Rank.QUIET)
    show.speak(1, "Mira of course.")
    show.director.start_over()
    assert show.stage.begun[1]["history"] == []
    assert show.history.of_room("r") == ()
    assert show.director.queue_view() == ()
    show.speak(2, "Leo.")
    show.end(2, 0.5)
    assert [e.heard for e in show.history.of_room("r")] == ["Leo."]


def test_a_turn_made_again_is_traced_anew() -> None:
    show = Show()
    show.director.submit("say", "hello")
    show.director.on_frame(TurnId(1), 1_000_000)
    show.stage.ready = False
    show.director.on_engine(EngineDown("killed"))
    show.stage.ready = True
    show.clock.advance(NS_PER_S)
    show.director.advance()
    show.director.on_frame(TurnId(2), show.clock.now_ns())
    view = show.director.floor_view()
    assert view is not None
    assert view.first_frame_ms == 1000.0


def test_ears_that_were_lost_do_not_silence_the_show() -> None:
    show = Show()
    show.director.hear(speaking=True)
    show.director.offer(line("what is it?"))
    show.clock.advance(29 * NS_PER_S)
    show.director.advance()
    assert show.stage.begun == []
    show.clock.advance(2 * NS_PER_S)
    show.director.advance()
    assert show.director.floor_view() is None, "it went stale meanwhile"
    show.director.offer(line("and this?", at_ns=show.clock.now_ns()))
    assert [c["text"] for c in show.stage.begun] == ["and this?"]


def test_a_voice_cuts_in_unless_it_must_not() -> None:
    show = Show()
    show.director.submit("say", "long")
    show.speak(1, "Hello dear viewers.")
    cut = show.director.hear(speaking=True)
    assert cut is not None
    assert show.stage.cuts == [1]
    assert show.stage.moods[-1][1] is Activity.LISTENING
    polite = Show(barge_in=False)
    polite.director.submit("say", "long")
    polite.speak(1, "Hello dear viewers.")
    assert polite.director.hear(speaking=True) is None
    assert polite.stage.cuts == []


def test_paused_begins_nothing_and_ends_what_is_said_normally() -> None:
    show = Show()
    show.director.submit("say", "first")
    show.director.submit("say", "second")
    show.speak(1, "first")
    show.director.paused = True
    show.end(1, 0.5)
    assert show.director.recent_view()[0].state == "done"
    assert len(show.stage.begun) == 1
    show.director.paused = False
    show.director.advance()
    assert [c["text"] for c in show.stage.begun] == ["first", "second"]


def test_a_question_carries_what_was_really_heard_before_in_its_room() -> None:
    show = Show()
    show.director.offer(line("who are you?", "ada"))
    show.speak(1, "I am Mira, your host.", "This was never heard.")
    show.end(1, 1.1, interrupted=True)
    show.director.offer(line("what do you sell?", "bob"))
    show.director.offer(line("where are you?", "eve", room="elsewhere"))
    assert [(e["user"], e["heard"]) for e in show.stage.begun[1]["history"]] == [("ada", "I am")]
    show.speak(2, "Mugs.")
    show.end(2, 0.5)
    assert show.stage.begun[2]["history"] == []


def test_the_trace_of_an_answer() -> None:
    show = Show()
    show.clock.advance(NS_PER_S)
    show.director.submit("ask", "hm", heard_ns=show.clock.now_ns() - 450_000_000)
    begun_ns = show.clock.now_ns()
    show.director.on_engine(FirstToken(TurnId(1), begun_ns + 5_000_000, "script"))
    show.director.on_engine(SentenceCached(TurnId(1), 0))
    show.clock.advance(20_000_000)
    show.speak(1, "Hello there.")
    show.director.on_frame(TurnId(1), begun_ns + 40_000_000)
    show.director.on_frame(TurnId(7), 1)
    show.end(1, 1.0)
    view = show.director.recent_view()[0]
    assert (view.heard_ms, view.first_token_ms, view.first_audio_ms) == (-450.0, 5.0, 20.0)
    assert (view.first_frame_ms, view.brain, view.cached) == (40.0, "script", True)


def test_idle_counts_from_the_last_word() -> None:
    show = Show()
    show.clock.advance(5 * NS_PER_S)
    assert show.director.idle_s == 5.0
    show.director.submit("say", "x")
    assert show.director.idle_s is None
    show.speak(1, "x")
    show.end(1, 0.5)
    show.clock.advance(2 * NS_PER_S)
    assert show.director.idle_s == 2.0
    show.director.hear(speaking=True)
    assert show.director.idle_s is None


def test_clearing_tells_why_viewers_lines_are_gone() -> None:
    show = Show()
    show.director.submit("say", "floor")
    show.director.offer(line("what is it?"))
    assert show.director.interrupt(clear_queue=True) == 1
    assert show.skipped == [("what is it?", "the queue was cleared")]
    assert len(show.stage.begun) == 1
