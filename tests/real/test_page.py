"""The page in a real Chromium against a real server: picture, sound, commands, hostile text, restarts."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.chromium import Chromium, Page, wait_until
from tests.support.server import RunningServer
from tests.support.station import FakeStation, LiveFeed
from vcam_talker.config import ControlConfig
from vcam_talker.core.errors import QueueFullError
from vcam_talker.core.status import (
    BrainView,
    CacheView,
    ChatView,
    EarsView,
    EngineView,
    LipsView,
    ShowView,
    SkippedView,
    SourceView,
    TurnView,
)

pytestmark = pytest.mark.real

OUT = Path(__file__).resolve().parents[2] / "out"
XSS = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"
PIXELS = """(() => {
  const c = document.querySelector('#picture');
  const d = c.getContext('2d').getImageData(0, c.height / 2, c.width, 1).data;
  return Array.from(d.filter((_, i) => i % 4 === 0));
})()"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with Chromium() as browser:
        yield browser


@pytest.fixture
def station() -> Iterator[FakeStation]:
    station = FakeStation()
    with LiveFeed(station.preview):
        yield station


@pytest.fixture
def server(station: FakeStation) -> Iterator[RunningServer]:
    with RunningServer(station, ControlConfig(port=0)) as server:
        yield server


@pytest.fixture
def page(chromium: Chromium, server: RunningServer) -> Page:
    chromium.page.resize(1440, 900)
    chromium.page.open(f"{server.url}/")
    chromium.page.wait("document.querySelector('#link').dataset.tone === 'good'")
    # The first status and the list of presenters come after that, and push things aside.
    chromium.page.wait("document.querySelector('#persona:enabled')?.value")
    return chromium.page


def show(station: FakeStation, server: RunningServer, **changes: object) -> None:
    """Put a status on every page."""
    station.current = replace(station.current, **changes)  # type: ignore[arg-type]
    server.call(station.emit, {"event": "changed"})


def test_picture_and_sound_are_live_and_together(page: Page) -> None:
    page.wait("Number(document.querySelector('#picture').dataset.frames) > 90 ")
    first = page.evaluate(PIXELS)
    assert max(first) > 180, "the bright bar is missing"
    assert 60 < sorted(first)[len(first) // 2] < 140, "the grey ground is missing"
    page.wait(f"JSON.stringify({PIXELS}) !== '{first}'.replaceAll(' ', '')")
    figures = page.evaluate("({...document.querySelector('#picture').dataset})")
    assert float(figures["level"]) > 0.05, "no sound: a tone of 0.25 has an RMS of 0.18"
    # A picture is seen at the first refresh after its sound is heard; headless refreshes at 60 Hz.
    assert -5 < float(figures["skewMs"]) < 40, figures
    assert int(figures["fps"]) >= 20, figures
    assert page.complaints == []


FLASH_AND_BEEP = """new Promise((done) => {
  const c = document.querySelector('#picture'), g = c.getContext('2d'), wave = new Float32Array(256);
  const flashes = [], beeps = [], start = performance.now();
  let bright = true, loud = true;
  analyser.fftSize = wave.length;
  (function tick() {
    const now = performance.now();
    const isBright = g.getImageData(c.width / 2, c.height / 2, 1, 1).data[0] > 128;
    analyser.getFloatTimeDomainData(wave);
    const isLoud = wave.some((value) => Math.abs(value) > 0.05);
    if (isBright && !bright) flashes.push(now);
    // The sine passes through zero: only the first loud moment of a second is a beep.
    if (isLoud && !loud && now - (beeps.at(-1) ?? -1e9) > 500) beeps.push(now);
    [bright, loud] = [isBright, isLoud];
    if (now - start < 4500) requestAnimationFrame(tick);
    else done({ flashes, beeps, latency_ms: analyser.context.outputLatency * 1000 });
  })();
})"""
TAP_ANALYSER = """const create = BaseAudioContext.prototype.createAnalyser;
BaseAudioContext.prototype.createAnalyser = function () {
  return (globalThis.analyser = create.call(this));
};"""


def test_flash_and_beep_meet_on_the_page(chromium: Chromium) -> None:
    station = FakeStation()
    white, black = np.full((1080, 1280), 235, np.uint8), np.full((1080, 1280), 16, np.uint8)
    white[720:] = black[720:] = 128
    feed = LiveFeed(
        station.preview,
        picture=lambda index: white if index % 30 < 3 else black,
        loudness=lambda second: 0.25 if second % 1 < 0.0999 else 0.0,
    )
    page = chromium.page
    tap = page.call("Page.addScriptToEvaluateOnNewDocument", source=TAP_ANALYSER)
    with feed, RunningServer(station, ControlConfig(port=0)) as server:
        page.open(f"{server.url}/")
        page.wait("Number(document.querySelector('#picture').dataset.frames) > 4")
        seen = page.evaluate(FLASH_AND_BEEP)
    page.call("Page.removeScriptToEvaluateOnNewDocument", identifier=tap["identifier"])
    # The analyser hears what leaves the graph; the listener hears it after the output's latency.
    beeps = [at + seen["latency_ms"] for at in seen["beeps"]]
    offsets_ms = [min((flash - beep for beep in beeps), key=abs) for flash in seen["flashes"]]
    assert len(offsets_ms) >= 3, seen
    assert abs(statistics.median(offsets_ms)) < 45, offsets_ms


def test_typing_and_enter_asks(page: Page, station: FakeStation) -> None:
    page.evaluate("document.querySelector('#text').focus()")
    page.type("What is your name? 你好 👋")
    page.press("Enter")
    asked = station.wait_for_call("ask")
    assert (asked["text"], asked["source"]) == ("What is your name? 你好 👋", "page")
    page.wait("document.querySelector('#prompt').textContent.includes('你好')")
    assert page.evaluate("document.querySelector('#text').value") == ""


def test_control_enter_says_with_the_chosen_emotion(page: Page, station: FakeStation) -> None:
    page.evaluate("document.querySelector('#emotion').value = 'happy'")
    page.evaluate("document.querySelector('#text').focus()")
    page.type("Word for word")
    page.press("Enter", ctrl=True)
    assert station.wait_for_call("say") == {"text": "Word for word", "emotion": "happy", "source": "page"}


def test_escape_and_the_buttons_interrupt(page: Page, station: FakeStation) -> None:
    page.press("Escape")
    assert station.wait_for_call("interrupt") == {"clear_queue": False}
    page.evaluate("document.querySelector('#text').focus()")
    for text in ("one", "two"):
        page.type(text)
        page.press("Enter")
        page.wait(f"document.body.textContent.includes('{text}')")
    page.wait("!document.querySelector('#clear').hidden")
    page.click("#clear")
    page.wait("document.querySelector('#clear').hidden")
    assert station.calls[-1] == ("interrupt", {"clear_queue": True})


def test_the_persona_is_chosen(page: Page, station: FakeStation) -> None:
    page.wait("document.querySelectorAll('#persona option').length === 2")
    page.evaluate("""(() => { const s = document.querySelector('#persona'); s.value = 'lin';
        s.dispatchEvent(new Event('change')); })()""")
    assert station.wait_for_call("persona") == {"name": "lin"}
    page.wait("document.querySelector('#presenter').textContent === 'Lin'")


def test_pause_mute_and_mood(page: Page, station: FakeStation) -> None:
    for name, field in (("pause", "paused"), ("mute", "muted")):
        for wanted in (True, False):
            page.click(f"#{name}")
            page.wait(
                f"document.querySelector('#{name}').getAttribute('aria-pressed') === '{wanted}'.toLowerCase()"
            )
            assert station.calls[-1] == (name, {field: wanted})
            if name == "pause":
                word = "Paused" if wanted else "On air"
                assert page.evaluate("document.querySelector('#activity-text').textContent") == word
            else:
                assert page.evaluate("document.querySelector('#muted').hidden") != wanted
    choose = "(() => {{ const s = document.querySelector('#mood'); s.focus(); s.value = '{}'; \
        s.dispatchEvent(new Event('change')); }})()"
    page.evaluate(choose.format("sad"))
    assert station.wait_for_call("emotion") == {"emotion": "sad"}
    page.evaluate("document.activeElement.blur()")
    station.raises = QueueFullError("mood", "can't be set now")
    page.evaluate(choose.format("happy"))
    page.wait("document.querySelector('.toast')?.textContent.includes('set now')")
    assert page.evaluate("document.querySelector('#mood').value") == "sad"
    page.evaluate(choose.format(""))
    wait_until(lambda: station.calls[-1] == ("emotion", {"emotion": None}), 10)


BUSY: dict[str, object] = {
    "show": ShowView(
        skipped=(
            SkippedView("buy followers", "promo4u", "twitch", "blocked word", 50.0),
            SkippedView("hello hello hello", "bob", "twitch", "repeated", 40.0),
        ),
        skipped_total=48,
        quiet_in_s=41.3,
    ),
    "brains": (
        BrainView("openai", "resting", "no answer within 3 s; tried again in 20 s", 4, 3),
        BrainView("script", "ready", "", 12, 0),
    ),
    "cache": CacheView(24, 3.1, 40, 9.2, 12, 3, 0, 12, 14),
    "ears": EarsView("hearing", "vcam_talker_speaker", "pocketsphinx", "en-us", "English only", 3, 1),
    "chat": ChatView((SourceView("twitch #ada", "open", "", 120, 1),), 80, {"flood": 30, "repeated": 10}),
    "obs": SourceView("obs", "lost", "OBS does not answer on 127.0.0.1:4455. Is it running?", 3, 2),
    "senses": EngineView("ready", 77, 0),
    "lips": LipsView("ready", "tiny on ort, fp32", "", 78, 1, 120, 118, 4.2, 9.5, "killed by signal 9"),
}
TONES = (
    "Object.fromEntries([...document.querySelectorAll('.chip')].map((e) => [e.textContent, e.dataset.tone]))"
)


def test_what_is_off_is_shown_as_off(page: Page) -> None:
    page.wait("document.querySelectorAll('.chip').length === 3")
    assert page.evaluate(TONES) == {"Earsoff": "off", "Chatoff": "off", "OBSoff": "off"}
    assert page.evaluate("document.querySelector('#skipped-card').hidden")


def test_sources_show_their_state_and_on_focus_why(
    page: Page, station: FakeStation, server: RunningServer
) -> None:
    show(station, server, **BUSY)
    page.wait("document.querySelectorAll('.chip').length === 6")
    assert page.evaluate(TONES) == {
        "Brainopenai": "warn", "Brainscript": "good", "Cache24 phrases": "good",
        "Earspocketsphinx": "think", "Chattwitch #ada": "good", "OBSlost": "live",
    }  # fmt: skip
    visible = (
        "[...document.querySelectorAll('.tip')].filter((e) => e.checkVisibility({visibilityProperty: true}))"
    )
    assert page.evaluate(f"{visible}.length") == 0
    page.evaluate("document.querySelectorAll('.chip')[5].focus()")
    page.wait(f"{visible}.length === 1")
    assert page.evaluate(f"{visible}[0].innerText.split('\\n').filter(Boolean)") == [
        "OBS is lost", "3 lines · reconnected 2×", "OBS does not answer on 127.0.0.1:4455. Is it running?",
    ]  # fmt: skip
    # The next status changes figures; who has the focus keeps it.
    changed = replace(BUSY["obs"], reconnects=3)  # type: ignore[type-var]
    show(station, server, obs=changed)
    page.wait(f"{visible}[0].textContent.includes('reconnected 3×')")
    assert page.evaluate("document.activeElement === document.querySelectorAll('.chip')[5]")
    for width in (360, 820, 1440):
        page.resize(width, 900)
        page.click(".sources li:nth-child(2) .chip")
        page.click(".sources li:last-child .chip")
        page.wait(f"{visible}.length === 1 && {visible}[0].textContent.startsWith('OBS')")
        chip, tip = (
            page.evaluate(f"{element}.getBoundingClientRect().toJSON()")
            for element in ("document.querySelector('.sources li:last-child .chip')", f"{visible}[0]")
        )
        assert 0 <= tip["left"] < tip["right"] <= width
        assert tip["left"] == pytest.approx(chip["left"], abs=2) or tip["right"] > width - 40
        assert tip["top"] >= chip["bottom"]
    assert page.evaluate("document.querySelector('#quiet').textContent") == "Talks by itself in 42 s."


def test_who_draws_the_lips_is_shown(page: Page, station: FakeStation, server: RunningServer) -> None:
    assert "Lips" not in page.evaluate("document.querySelector('#health').innerText")
    show(station, server, **BUSY)
    page.wait("document.querySelector('#health').innerText.includes('Lips')")
    text = page.evaluate("document.querySelector('#health').innerText")
    assert "tiny on ort, fp32" in text
    assert "4.2 ms each, 2 of 120 late, restarted 1×: killed by signal 9" in text


def test_skipped_lines_say_why(page: Page, station: FakeStation, server: RunningServer) -> None:
    show(station, server, **BUSY)
    page.wait("!document.querySelector('#skipped-card').hidden")
    assert page.evaluate("document.querySelector('#skipped-count').textContent") == "the last 2 of 48"
    first = page.evaluate("document.querySelector('#skipped li').innerText")
    assert first.split("\n") == ["promo4u · twitch", "blocked word", "buy followers"]


SPOKEN = TurnView(
    5, "ask", "done", "What do you think of rain?", "somebody", "ears", "I like it.", "I like it.",
    2.0, 400.0, 450.0, 1.9, heard_ms=-450, first_token_ms=240, first_frame_ms=425, brain="openai",
    cached=True,
)  # fmt: skip


def test_the_trace_of_an_answer_is_a_bar_in_proportion(
    page: Page, station: FakeStation, server: RunningServer
) -> None:
    half = replace(SPOKEN, turn=4, heard_ms=0.0, brain="", cached=False)
    waited = TurnView(3, "say", "done", "x", started_ms=300.0, on_air_ms=450.0)
    show(station, server, recent=(SPOKEN, half, waited, TurnView(1, "ask", "failed", "x")))
    page.wait("document.querySelectorAll('#recent li').length === 4")
    words = page.evaluate(
        "[...document.querySelectorAll('#recent .trace')].map((e) => e.innerText.split('\\n'))"
    )
    assert words == [
        ["900 ms", "heard 450", "thought 240", "voiced 160", "sent 50", "picture at 425", "openai", "cached",
         "1.9 s long"],
        ["450 ms", "thought 240", "voiced 160", "sent 50", "picture at 425", "1.9 s long"],
        ["450 ms", "waited 300", "sent 150"],
    ]  # fmt: skip
    shares = page.evaluate("""[...document.querySelectorAll('.bar-trace')].map((bar) =>
        [...bar.children].map((e) => e.getBoundingClientRect().width / bar.getBoundingClientRect().width))""")
    assert shares[0] == pytest.approx([0.5, 240 / 900, 160 / 900, 50 / 900], abs=0.02)
    assert sum(shares[1]) == pytest.approx(0.5, abs=0.02)


OLDER = """const parse = JSON.parse;
JSON.parse = (text) => {
  const found = parse(text);
  if (found.status) {
    const drop = (from, names) => names.split(" ").forEach((name) => delete from[name]);
    drop(found.status, "show brains cache ears chat obs senses lips");
    for (const turn of found.status.recent) drop(turn, "heard_ms first_token_ms first_frame_ms brain cached");
  }
  return found;
};"""


def test_an_older_daemon_lacks_fields_and_the_page_lives(
    chromium: Chromium, station: FakeStation, server: RunningServer
) -> None:
    page = chromium.page
    patch = page.call("Page.addScriptToEvaluateOnNewDocument", source=OLDER)
    page.open(f"{server.url}/")
    show(station, server, recent=(SPOKEN,), **BUSY)
    page.wait("document.querySelectorAll('#recent li').length === 1")
    trace = page.evaluate("document.querySelector('#recent .trace').innerText.split('\\n')")
    assert trace == ["450 ms", "voiced 400", "sent 50", "1.9 s long"]
    for gone in ("#deck", "#sources", "#skipped-card", "#muted"):
        assert page.evaluate(f"document.querySelector('{gone}').hidden"), gone
    assert page.complaints == []
    page.call("Page.removeScriptToEvaluateOnNewDocument", identifier=patch["identifier"])


def test_hostile_text_is_shown_and_inert(page: Page, station: FakeStation, server: RunningServer) -> None:
    turn = TurnView(1, "ask", "speaking", XSS, user=XSS, source=XSS, answer=XSS, heard_text=XSS[:9])
    show(
        station,
        server,
        on_air=turn,
        queue=(turn,),
        recent=(replace(turn, state="failed", error=XSS),),
        warnings=(XSS,),
        persona=replace(station.current.persona, title=XSS),
        show=ShowView(skipped=(SkippedView(XSS, XSS, XSS, XSS, 0.0),), skipped_total=1),
        brains=(BrainView(XSS, "failed", XSS),),
        ears=EarsView("lost", XSS, XSS, XSS, XSS),
        chat=ChatView((SourceView(XSS, "open", XSS, 1),), 1, {XSS: 3}),
        obs=SourceView("obs", "failed", XSS),
    )
    page.wait("document.querySelector('#warnings').textContent.includes('onerror')")
    station.raises = QueueFullError(XSS, XSS, XSS)
    page.press("Escape")
    page.wait("document.querySelector('.toast')?.textContent.includes('onerror')")
    for place in ("#prompt", "#subtitle", "#queue", "#recent", "#presenter", "#sources", "#skipped"):
        assert "onerror" in page.evaluate(f"document.querySelector('{place}').textContent"), place
    assert (
        page.evaluate(
            "document.querySelectorAll('main img, .toasts img, .warnings img, .sources img').length"
        )
        == 0
    )
    assert page.evaluate("document.title") != "pwned"


def test_errors_are_toasts_and_nothing_typed_is_lost(page: Page, station: FakeStation) -> None:
    station.raises = QueueFullError("queue", "32 turns wait already", "Try again in a moment")
    page.evaluate("document.querySelector('#text').focus()")
    page.type("one more")
    page.press("Enter")
    page.wait("document.querySelector('.toast')?.textContent.includes('32 turns wait already')")
    assert page.evaluate("document.querySelector('#text').value") == "one more"


def test_it_comes_back_by_itself_after_a_restart(chromium: Chromium) -> None:
    page = chromium.page
    port = 0
    for _ in range(2):
        station = FakeStation()
        with LiveFeed(station.preview), RunningServer(station, ControlConfig(port=port)) as server:
            if not port:
                port = server.port
                page.open(f"{server.url}/")
            page.wait("document.querySelector('#link').dataset.tone === 'good'", 20)
            page.wait("document.querySelector('#screen').dataset.signal === 'on'", 20)
            frames = page.evaluate("document.querySelector('#picture').dataset.frames")
            page.wait(f"Number(document.querySelector('#picture').dataset.frames) > {frames} + 20")
            page.wait("Number(document.querySelector('#picture').dataset.level) > 0.05")
        page.wait("document.querySelector('#link').dataset.tone === 'wait'")
        page.wait("document.querySelector('#screen').dataset.signal === 'off'")


def test_a_token_leaves_the_address_bar_and_is_asked_for(chromium: Chromium, station: FakeStation) -> None:
    page = chromium.page
    with RunningServer(station, ControlConfig(port=0, token="s3cret-token")) as server:  # noqa: S106
        page.open(f"{server.url}/?token=s3cret-token")
        page.wait("document.querySelector('#link').dataset.tone === 'good'")
        assert "token" not in page.evaluate("location.href")
        page.evaluate("sessionStorage.clear()")
        page.open(f"{server.url}/?again")
        page.wait("document.querySelector('#key-dialog').open")
        page.evaluate("document.querySelector('#key').focus()")
        page.type("s3cret-token")
        page.press("Enter")
        page.wait("document.querySelector('#link').dataset.tone === 'good'")
        page.wait("document.querySelector('#screen').dataset.signal === 'on'")


def test_sound_waits_for_a_gesture_where_the_browser_wants_one(server: RunningServer) -> None:
    with Chromium(autoplay=False) as browser:
        page = browser.page
        page.resize(1440, 900)
        page.open(f"{server.url}/")
        page.wait("Number(document.querySelector('#picture').dataset.frames) > 10")
        assert page.evaluate("document.querySelector('#sound').textContent").strip() == "Turn on sound"
        page.click("#sound")
        page.wait("document.querySelector('#sound').dataset.state === 'on'")
        page.wait("Number(document.querySelector('#picture').dataset.level) > 0.05")
        page.wait("Math.abs(Number(document.querySelector('#picture').dataset.skewMs || 99)) < 40")
        page.click("#sound")
        page.wait("Number(document.querySelector('#picture').dataset.level) < 0.01")


@pytest.mark.parametrize(("name", "width", "height"), [("desktop", 1440, 900), ("phone", 360, 780)])
def test_it_fits(
    page: Page, station: FakeStation, server: RunningServer, name: str, width: int, height: int
) -> None:
    page.resize(width, height, phone=name == "phone")
    answer = "Hello Ada! I am Mira, and I have been on air since this morning. Ask me anything you like."
    done = TurnView(
        3, "ask", "done", "How is the weather where you are?", "kim", "page", "Warm pixels, no clouds.",
        "Warm pixels, no clouds.", 2.0, 61.0, 97.0, 2.4,
    )  # fmt: skip
    waiting = TurnView(8, "ask", "queued", "Do you ever sleep? 你会睡觉吗？", "lee", "page")
    show(
        station,
        server,
        **BUSY,
        on_air=TurnView(7, "ask", "speaking", "Who are you?", "ada", "page", answer, answer[:52]),
        queue=(waiting, TurnView(9, "say", "queued", "We are back after a short break.", source="cli")),
        recent=(
            SPOKEN,
            done,
            replace(done, turn=2, state="interrupted", heard_text="Warm pixels"),
            replace(done, turn=1, state="failed", error="voice flite/slt: exited with status 1"),
        ),
        warnings=("No virtual camera: the picture is on this page only. Run 'vcam-talker setup camera'",),
    )
    page.wait("document.querySelector('#heard').textContent.length > 0")
    assert page.evaluate("document.querySelector('#subtitle').textContent") == answer
    page.wait("Number(document.querySelector('#picture').dataset.frames) > 40")
    page.screenshot(OUT / f"page-{name}.png", whole=name == "phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    too_small = page.evaluate("""[...document.querySelectorAll('button, select, textarea')].filter((e) => {
        const r = e.getBoundingClientRect(); return e.checkVisibility() && (r.height < 22 || r.width < 22);
    }).map((e) => e.id)""")
    assert too_small == []
    assert page.complaints == []


def test_every_control_has_a_name_and_is_reached_by_keyboard(page: Page) -> None:
    page.wait("!document.querySelector('#persona').disabled && document.querySelector('#persona').length > 0")
    reached = []
    for _ in range(20):
        page.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    for control in ("pause", "mute", "mood", "persona", "sound", "text", "ask", "say", "emotion"):
        assert control in reached, reached
    nameless = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "textbox", "combobox", "link"}
    assert [
        node for node in nameless
        if node["role"]["value"] in roles and not node.get("name", {}).get("value")
    ] == []  # fmt: skip


def test_the_api_page_shows_every_endpoint(chromium: Chromium, server: RunningServer) -> None:
    page = chromium.page
    page.open(f"{server.url}/docs")
    page.wait("document.body.textContent.includes('/api/interrupt')")
    page.screenshot(OUT / "page-docs.png")
    operations = "Object.values(api.paths).flatMap(Object.keys).length"
    count = page.evaluate(f"fetch('/api/openapi.json').then((r) => r.json()).then((api) => {operations})")
    assert page.evaluate("document.querySelectorAll('.verb').length") == count >= 11
    assert page.complaints == []
