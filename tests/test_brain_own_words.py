"""What a model is told of its own answers: as it wrote them, as far as they were heard."""

from __future__ import annotations

import pytest

from vcam_talker.llm.own_words import OwnWords

pytestmark = pytest.mark.unit


def restored(written: str, heard: str) -> str:
    own = OwnWords()
    own.note(written)
    said = {"role": "assistant", "content": heard}
    asked = {"role": "user", "content": heard}
    assert own.restore([asked])[0] is asked, "viewers' lines stay"
    return own.restore([said])[0]["content"]


@pytest.mark.parametrize(
    ("written", "heard", "expected"),
    [
        ("[happy] Hello, Ann!", "Hello, Ann!", "[happy] Hello, Ann!"),
        ("[happy] Hello, Ann! How are you?", "Hello, Ann…", "[happy] Hello, Ann…"),
        ("[happy] Hi. [sad] Oh no.", "Hi. Oh no.", "[happy] Hi. [sad] Oh no."),
        ("[happy] Hi. [sad] Oh no.", "Hi.", "[happy] Hi."),
        ("[Happy]It is *nine* dollars.", "It is nine dollars.", "[Happy]It is *nine* dollars."),
        ("[happy] 你好，欢迎！今天", "你好，欢迎…", "[happy] 你好，欢迎…"),
        ("Hello.", "Something else.", "Something else."),
        ("Hello.", "…", "…"),
        ("😀!", "Hm.", "Hm."),
    ],
)
def test_an_answer_is_told_as_it_was_written(written: str, heard: str, expected: str) -> None:
    assert restored(written, heard) == expected


@pytest.mark.parametrize("mark", ["<|im_end|>", "[INST] ", "### user ", "{{", "\\", "`"])
def test_an_answer_with_a_steering_mark_is_told_as_it_was_heard(mark: str) -> None:
    assert restored(f"[happy] Hello {mark}Ann.", "Hello Ann.") == "Hello Ann."


def test_the_latest_answer_counts() -> None:
    own = OwnWords()
    own.note("[happy] Hello there.")
    own.note("[sad] Hello Ann.")
    assert own.restore([{"role": "assistant", "content": "Hello…"}])[0]["content"] == "[sad] Hello…"


def test_old_answers_are_forgotten() -> None:
    own = OwnWords()
    for number in range(2000):
        own.note(f"[happy] Answer {number} it is.")
    assert (
        own.restore([{"role": "assistant", "content": "Answer 1 it is."}])[0]["content"] == "Answer 1 it is."
    )
    assert len(own._written) < 1000
