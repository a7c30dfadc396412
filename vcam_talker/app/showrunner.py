"""Run the show: director, audience, conversation, quiet talk, fed with what engine, senses and air tell."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from vcam_talker.air.timeline import TimelineEvent
from vcam_talker.app.air import Air
from vcam_talker.app.stage import AirStage
from vcam_talker.config import Config
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.errors import BadInputError, QueueFullError
from vcam_talker.core.events import (
    Alive,
    BrainState,
    CacheState,
    EngineDown,
    EngineEvent,
    PersonaFailed,
    Ready,
)
from vcam_talker.core.hearing import Heard, NoWords, SpeechBegan, SpeechEnded
from vcam_talker.core.intake import ChatAdmitted, ChatWithdrawn, SensesEvent, SensesState
from vcam_talker.core.paths import state_dir
from vcam_talker.core.status import BrainView, CacheView, ChatView, EarsView, ShowView, SkippedView, TurnView
from vcam_talker.core.text import clean_text, parse_emotion_tags
from vcam_talker.core.types import NS_PER_S, ChatMessage, Emotion, TurnId
from vcam_talker.persona import Persona
from vcam_talker.show.audience import Audience
from vcam_talker.show.conversation import Conversation
from vcam_talker.show.director import Director, Rules
from vcam_talker.show.history import History
from vcam_talker.show.quiet import QuietTalk
from vcam_talker.show.turns import Rank

log = logging.getLogger(__name__)

_TICK_S = 0.1
_CHECK_EVERY = 10
_TALK_S = 1.0
_SKIPPED = 20
_MARGIN_S = 10.0
_MIN_THINK_S = 20.0
_MIN_STALL_S = 15.0

Emit = Callable[[dict[str, object]], None]


class ShowRunner:
    """All of it lives on the control loop; `on_*` methods of other threads are posted there by the caller."""

    def __init__(self, config: Config, persona: Persona, air: Air, clock: MonotonicClock, emit: Emit) -> None:
        self._config = config
        self._persona = persona
        self._air = air
        self._clock = clock
        self._emit = emit
        self._started_ns = clock.now_ns()
        self._stage = AirStage(air, persona.emotions.default)
        self._skipped: deque[SkippedView] = deque(maxlen=_SKIPPED)
        self._skipped_total = 0
        chat, brain, show = config.chat, config.brain, config.show
        self._history = History(brain.history_exchanges, brain.history_chars)
        think_s = len(brain.engines) * brain.first_token_timeout_s + _MARGIN_S
        self.director = Director(
            self._stage,
            clock,
            Rules(
                config.queue.capacity,
                max(_MIN_THINK_S, think_s),
                config.ears.barge_in,
                max(_MIN_STALL_S, brain.token_timeout_s + _MARGIN_S),
            ),
            self._on_turn,
            Audience(chat.answer, chat.stale_s, show.cooldown_s, self._skip_message),
            self._history,
        )
        self._conversation = Conversation(
            self.director, clock, config.ears.answer, (persona.title, persona.name), self._skip_voice
        )
        talks = show.quiet == "on" or (show.quiet == "auto" and chat.enabled and config.ears.mode != "call")
        self._quiet = _quiet_talk(config, clock) if talks else None
        self._greeted = not config.greet
        self.voice_warnings: tuple[str, ...] = ()
        self.brains: tuple[BrainView, ...] = ()
        self.cache: CacheView | None = None
        self.ears = EarsView(state="off" if config.ears.mode == "off" else "starting")
        self.chat = ChatView()

    # --- what air, engine and senses tell

    def on_timeline(self, event: TimelineEvent, at_ns: int) -> None:
        """Take that a turn's speech began or ended."""
        if event.kind == "started":
            self.director.on_started(event.turn, event.pts, at_ns)
        elif event.playout is not None:
            self.director.on_ended(event.playout)

    def on_frame(self, turn: TurnId, at_ns: int) -> None:
        """Take that the first frame of a turn has left."""
        self.director.on_frame(turn, at_ns)

    def on_engine(self, event: EngineEvent) -> None:
        """Take what the engine, or its supervisor, tells."""
        match event:
            case Ready():
                self.voice_warnings = event.warnings
                self._greet()
                self.director.advance()
                self._emit({"event": "engine", "state": "ready", "reason": ""})
            case PersonaFailed():
                log.error("%s", event.error)
                self.voice_warnings = (event.error,)
            case EngineDown():
                self.brains = ()
                self._emit({"event": "engine", "state": "down", "reason": event.reason})
                self.director.on_engine(event)
            case BrainState():
                self.brains = event.brains
            case CacheState():
                self.cache = event.view
            case Alive():
                pass
            case _:
                self.director.on_engine(event)

    def on_senses(self, event: SensesEvent) -> None:
        """Take what the senses, or their supervisor, tell."""
        match event:
            case SpeechBegan():
                self._conversation.speech_began()
                self._emit({"event": "voice", "speaking": True})
            case SpeechEnded():
                self._conversation.speech_ended()
                self._emit({"event": "voice", "speaking": False})
            case Heard():
                self._on_heard(event)
            case NoWords():
                self._conversation.no_words()
            case ChatAdmitted():
                self.director.offer(event.message)
            case ChatWithdrawn():
                self.director.withdraw(event.platform, event.message_id, event.user_id)
            case SensesState():
                self.ears, self.chat = event.ears, event.chat
            case EngineDown():
                self._conversation.speech_ended()
                self._conversation.no_words()
                self._emit({"event": "voice", "speaking": False})
                self._emit({"event": "senses", "state": "down", "reason": event.reason})
            case Ready():
                # New ears would take what is being said for somebody.
                if (view := self.director.floor_view()) is not None and view.state == "speaking":
                    self._tell_ears(speaking=True, text=view.answer)
            case Alive():
                pass

    # --- what the station tells

    def use_persona(self, persona: Persona) -> None:
        """Go on as another persona: what was said before is not its past."""
        self._persona = persona
        self._conversation.names = (persona.title, persona.name)
        self._stage.resting = persona.emotions.default
        self.director.start_over()
        self._air.mood.emotion = self._stage.mood or persona.emotions.default

    def set_emotion(self, emotion: Emotion | None) -> None:
        """Set the mood over the persona's own; the resting face shows it at once."""
        self._stage.mood = emotion
        if self.director.floor_view() is None:
            self._air.mood.emotion = emotion or self._stage.resting

    async def tick_forever(self) -> None:
        """Keep the face in step with what is heard, and watch floor and children."""
        count = 0
        while True:
            await asyncio.sleep(_TICK_S)
            count += 1
            try:
                self._tick(whole=count % _CHECK_EVERY == 0)
            except Exception:  # whatever goes wrong with one turn, the next ones need this task
                log.exception("a tick failed")

    async def talk_forever(self) -> None:
        """Break long silences. Waits for a disk now and then, which nothing else does."""
        while (quiet := self._quiet) is not None:
            await asyncio.sleep(_TALK_S)
            try:
                line = quiet.choose(self._persona.quiet) if self._is_quiet() else None
                if line is None:
                    continue
                # Before it is said: a process that is killed while it speaks must not say it again.
                await asyncio.to_thread(quiet.save)
                if self._is_quiet() and line in self._persona.quiet:
                    emotion, text = parse_emotion_tags(line)
                    self.director.submit("quiet", text, source="quiet", emotion=emotion, rank=Rank.QUIET)
            except Exception:  # whatever goes wrong with one line, the next ones need this task
                log.exception("no quiet talk")

    def view(self, *, muted: bool) -> ShowView:
        """Return what the director is up to."""
        idle_s = self.director.idle_s
        talks = self._quiet is not None and self._persona.quiet and not self.director.paused
        quiet_in_s = None
        if self._quiet is not None and talks and idle_s is not None:
            quiet_in_s = round(max(0.0, self._quiet.after_s - idle_s), 1)
        return ShowView(
            self.director.paused,
            muted,
            str(self._stage.mood or ""),
            tuple(self._skipped),
            self._skipped_total,
            quiet_in_s,
        )

    # --- the rest

    def _tick(self, *, whole: bool) -> None:
        timeline = self._air.timeline
        if timeline.on_air:
            self.director.follow(timeline.played_s)
        if whole:
            self._air.check_children()
            self._conversation.check()
            self.director.check()
            self.director.advance()

    def _is_quiet(self) -> bool:
        """Tell whether the room has been quiet for long enough to be talked to."""
        idle_s = self.director.idle_s
        if self._quiet is None or self.director.paused or idle_s is None:
            return False
        return idle_s >= self._quiet.after_s

    def _greet(self) -> None:
        if self._greeted or not self._persona.greeting:
            return
        self._greeted = True
        emotion, text = parse_emotion_tags(random.choice(self._persona.greeting))
        try:
            self.director.submit("greeting", text, source="start", emotion=emotion)
        except QueueFullError:
            log.info("no greeting: viewers have filled the queue already")

    def _on_heard(self, event: Heard) -> None:
        try:
            text = clean_text(event.utterance.text, self._config.queue.max_text_chars).text
        except BadInputError as e:
            self._conversation.missed(event.utterance.text[:100], str(e))
            return
        self._conversation.heard(event.utterance, text)

    def _on_turn(self, event: str, view: TurnView) -> None:
        if event in {"turn_speaking", "sentence"} and view.state == "speaking":
            self._tell_ears(speaking=True, text=view.answer)
        elif event == "turn_ended":
            self._tell_ears(speaking=False, text=view.heard_text)
        self._emit({"event": event, **asdict(view)})

    def _tell_ears(self, *, speaking: bool, text: str) -> None:
        message: dict[str, Any] = {"op": "presenter", "speaking": speaking, "text": text}
        if self._air.senses is not None and self._config.ears.mode != "off":
            self._air.senses.send(message)

    def _skip_message(self, message: ChatMessage, why: str) -> None:
        self._skip(message.text, message.user, message.platform, why)

    def _skip_voice(self, text: str, why: str) -> None:
        self._skip(text, "", "voice", why)

    def _skip(self, text: str, user: str, source: str, why: str) -> None:
        at_s = round((self._clock.now_ns() - self._started_ns) / NS_PER_S, 1)
        view = SkippedView(text, user, source, why, at_s)
        self._skipped.appendleft(view)
        self._skipped_total += 1
        log.debug("not answered: '%s' of '%s' (%s): %s", text, user, source, why)
        self._emit({"event": "skipped", **asdict(view)})


def _quiet_talk(config: Config, clock: MonotonicClock) -> QuietTalk:
    repeat_s = config.show.quiet_repeat_min * 60
    memory = state_dir() / "quiet.json"
    # Wall time: the memory outlives the process, and so the monotonic clock's origin.
    return QuietTalk(config.show.quiet_after_s, repeat_s, memory, time.time, clock, random.Random())
