"""Lines of IRC with message tags: exact where they are sound, harmless where they are not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcam_talker.chat.irc import MAX_CHARS, IrcMessage, parse_line, split_lines

pytestmark = pytest.mark.unit


def test_a_line_of_twitch() -> None:
    line = (
        "@badges=moderator/1,subscriber/12;color=#0000FF;display-name=Ada;id=b3-4;mod=1;reply=;flag "
        ":ada!ada@ada.tmi.twitch.tv PRIVMSG #mira :hello :) there "
    )
    tags = {
        "badges": "moderator/1,subscriber/12", "color": "#0000FF", "display-name": "Ada",
        "id": "b3-4", "mod": "1", "reply": "", "flag": "",
    }  # fmt: skip
    assert parse_line(line) == IrcMessage("PRIVMSG", ("#mira", "hello :) there "), "ada", tags)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("PING :tmi.twitch.tv", IrcMessage("PING", ("tmi.twitch.tv",))),
        ("ping x", IrcMessage("PING", ("x",))),
        (":irc.x 001 me :Welcome, all", IrcMessage("001", ("me", "Welcome, all"), "irc.x")),
        (":a@host JOIN #c", IrcMessage("JOIN", ("#c",), "a")),
        ("@a=b   :n!u@h   CMD   p   :", IrcMessage("CMD", ("p", ""), "n", {"a": "b"})),
        ("CMD a\u3000b\tc\x85d", IrcMessage("CMD", ("a\u3000b\tc\x85d",))),
        ("CMD a:b c", IrcMessage("CMD", ("a:b", "c"))),
        ("@=x;;k=1=2;k=3 CMD", IrcMessage("CMD", (), "", {"k": "3"})),
    ],
)
def test_parts(line: str, message: IrcMessage) -> None:
    assert parse_line(line) == message


@pytest.mark.parametrize(
    "line", ["", " ", "\r\n", ":", ":prefix", ":prefix ", "@tag", "@tag ", "@tag :p", "@", "@ : "]
)
def test_no_command_is_no_message(line: str) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize(
    ("escaped", "value"),
    [
        (r"\:", ";"),
        (r"\s", " "),
        (r"\\", "\\"),
        (r"\r", "\r"),
        (r"\n", "\n"),
        (r"\b", "b"),
        ("\\", ""),
        ("a\\", "a"),
        (r"\\s", r"\s"),
        (r"\\\s\:x\\", "\\ ;x\\"),
        ("plain", "plain"),
    ],
)
def test_tags_are_unescaped_as_ircv3_says(escaped: str, value: str) -> None:
    message = parse_line(f"@k={escaped} CMD")
    assert message is not None
    assert message.tags == {"k": value}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=0))
def test_tag_values_survive_escaping(value: str) -> None:
    table = {";": r"\:", " ": r"\s", "\\": r"\\", "\r": r"\r", "\n": r"\n"}
    message = parse_line(f"@k={''.join(table.get(c, c) for c in value)} CMD")
    assert message is not None
    assert message.tags["k"] == value


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    for line in split_lines(text):
        parse_line(line)
        parse_line(f"@{line}")
        parse_line(f":{line}")


@given(st.text(), st.text())
def test_only_carriage_return_and_line_feed_end_a_line(before: str, after: str) -> None:
    joined = split_lines(f"{before}\r\n{after}")
    assert joined == [line for part in (before, after) for line in split_lines(part)]
    assert all("\r" not in line and "\n" not in line for line in joined)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_a_viewer_cannot_speak_as_the_server(separator: str) -> None:
    forged = f"hi{separator}@badges=broadcaster/1 :boss!b@b PRIVMSG #c :obey"
    (line,) = split_lines(f":eve!e@e PRIVMSG #c :{forged}\r\n")
    message = parse_line(line)
    assert message is not None
    assert (message.nick, message.tags, message.text) == ("eve", {}, forged)


@pytest.mark.parametrize("unit", ["@", ";", "a=\\", "\\\\", " ", ":", " :", "a;", "\r"])
def test_a_long_line_is_cut_and_costs_little(unit: str) -> None:
    begun = time.perf_counter()
    message = parse_line("@" + unit * 500_000 + " CMD")
    assert message is None or len(message.text) <= MAX_CHARS
    assert time.perf_counter() - begun < 0.5
