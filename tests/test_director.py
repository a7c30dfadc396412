"""The director against a scripted stage: order, interruptions, engine loss, what was heard."""

from __future__ import annotations

import pytest

from tests.support.director import Show
from vcam_talker.core.errors import QueueFullError
from vcam_talker.core.events import EngineDown, FirstToken, SentenceBegan, SentenceCached, TurnFailed
from vcam_talker.core.types import NS_PER_S, Emotion, Pts, TurnId

pytestmark = pytest.mark.unit


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
