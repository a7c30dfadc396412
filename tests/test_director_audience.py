"""The director among viewers and voices: who goes first, who waits, what is no longer answered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.director import Show
from vcam_talker.core.events import EngineDown
from vcam_talker.core.types import NS_PER_S, Activity, ChatMessage
from vcam_talker.show.turns import Rank

pytestmark = pytest.mark.unit


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


def test_clearing_tells_why_viewers_lines_are_gone() -> None:
    show = Show()
    show.director.submit("say", "floor")
    show.director.offer(line("what is it?"))
    assert show.director.interrupt(clear_queue=True) == 1
    assert show.skipped == [("what is it?", "the queue was cleared")]
    assert len(show.stage.begun) == 1
