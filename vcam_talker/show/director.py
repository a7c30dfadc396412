"""The director: one floor, one turn at a time, a bounded queue, interruptions at any moment.

Owner and callers first, then what the audience's rules choose, then its own talk when the room is quiet.

Lives in air, on the control loop, so that what viewers asked survives the engine. All methods run there.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.errors import QueueFullError
from vcam_talker.core.events import (
    Answered,
    EngineDown,
    FirstToken,
    SentenceBegan,
    SentenceCached,
    TurnEvent,
    TurnFailed,
    WordsPlaced,
)
from vcam_talker.core.status import TurnKind, TurnReceipt, TurnState, TurnView
from vcam_talker.core.types import NS_PER_S, Activity, ChatMessage, Emotion, Exchange, Playout, Pts, TurnId
from vcam_talker.show.audience import WITHDRAWN, Audience, is_withdrawn
from vcam_talker.show.history import History
from vcam_talker.show.turns import Rank, SpokenSentence, Turn

log = logging.getLogger(__name__)

_RECENT = 20
# A turn is tried this often when the engine dies before anything of it was heard.
_ATTEMPTS = 2
# No first sample this long after the turn began, or no further one while more was to come: the turn is given
# up, the engine replaced, and the next turn gets the floor.
_THINK_TIMEOUT_S = 20.0
_STALL_TIMEOUT_S = 15.0
# Somebody who speaks holds back the audience's turns, but not for ever.
_HEARING_S = 30.0
UNDERSTANDING_S: Final = 8.0
"""The same while the words are being understood, after the voice has ended. The ears tell when they are; this
is for ears that were lost meanwhile."""
_PAUSED: Final = "the show is paused: it waits for resume"


class Stage(Protocol):
    """What the director needs of air."""

    def begin(self, command: dict[str, Any]) -> bool:
        """Hand a turn to the engine; False when it can't take one now."""
        ...

    def cut(self, turn: TurnId) -> None:
        """Silence `turn` and all before it, at once, in the engine and on the timeline."""
        ...

    def replace_engine(self, reason: str) -> None:
        """Have the engine killed and started anew."""
        ...

    def show(self, emotion: Emotion | None, activity: Activity) -> None:
        """Set the face's mood (None: the persona's own) and activity."""
        ...

    def reader_ns(self, pts: Pts) -> int:
        """Return the monotonic time at which a reader of the microphone hears `pts`."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """What the director is held to."""

    capacity: int = 32
    """Turns of the owner that may wait."""
    think_timeout_s: float = _THINK_TIMEOUT_S
    barge_in: bool = True
    """A voice ends what is being said."""
    stall_timeout_s: float = _STALL_TIMEOUT_S


class Director:
    """Queue and floor."""

    def __init__(
        self,
        stage: Stage,
        clock: MonotonicClock,
        rules: Rules,
        emit: Callable[[str, TurnView], None],
        audience: Audience,
        history: History,
    ) -> None:
        self._stage = stage
        self._clock = clock
        self._rules = rules
        self._emit = emit
        self._audience = audience
        self._history = history
        self._next_id = 1
        self._next_take = 1
        self._waiting: list[Turn] = []
        self._floor: Turn | None = None
        self._recent: deque[Turn] = deque(maxlen=_RECENT)
        self._speaking = False
        self._listening_until_ns = clock.now_ns()
        self._moved_ns = clock.now_ns()
        self.paused = False

    def submit(
        self,
        kind: TurnKind,
        text: str,
        *,
        user: str = "",
        source: str = "",
        emotion: Emotion | None = None,
        note: str = "",
        rank: Rank = Rank.OWNER,
        room: str = "",
        heard_ns: int | None = None,
        stale_s: float | None = None,
    ) -> TurnReceipt:
        """Queue a turn. Raises QueueFullError; then nothing was dropped.

        `heard_ns`: when the line was complete; None for one that was typed just now. `stale_s`: how long it
        may wait; None for ever.
        """
        if len(self._waiting) >= self._rules.capacity:
            raise QueueFullError(
                "the queue",
                f"already holds {self._rules.capacity} turns",
                "Wait, or interrupt with --clear",
            )
        now_ns = self._clock.now_ns()
        if heard_ns is None and kind == "ask":
            heard_ns = now_ns  # typed: it was complete when it came
        turn = Turn(self._next_id, kind, text, now_ns, user, source, emotion, rank, room, heard_ns)
        turn.stale_ns = None if stale_s is None else now_ns + int(stale_s * NS_PER_S)
        self._next_id += 1
        before = sum(t.rank <= rank for t in self._waiting)
        self._waiting.insert(before, turn)
        self._emit("turn_queued", turn.view())
        self.advance()
        notes = [note, _PAUSED] if self.paused else [note]
        position = before + (self._floor is not None and self._floor is not turn)
        return TurnReceipt(turn.id, position, "; ".join(n for n in notes if n))

    def interrupt(self, *, clear_queue: bool) -> int:
        """End the turn on the floor, and the waiting ones if asked; return how many ended."""
        ended = 0
        if clear_queue:
            self._audience.clear()
            while self._waiting:
                self._drop(self._waiting[0])
                ended += 1
        if self._floor is not None:
            turn = self._floor
            self._cut(turn, "interrupted")
            ended += 1
        return ended

    def start_over(self) -> None:
        """Let another persona take over: what was said before is not its past, its own lines are others."""
        self._history.clear()
        for turn in [t for t in self._waiting if t.kind in {"greeting", "quiet"}]:
            self._drop(turn, "another persona took over")
        if self._floor is not None:
            self._floor.forgotten = True
            self._cut(self._floor, "interrupted")

    def advance(self) -> None:
        """Give the floor to the next turn if it is free and the engine can take one."""
        if self._floor is not None or self.paused:
            return
        turn = self._next()
        if turn is None:
            return
        take = TurnId(self._next_take)
        command: dict[str, Any] = {
            "op": "turn",
            "turn": take,
            "kind": turn.kind,
            "text": turn.text,
            "user": turn.user,
            "emotion": turn.emotion,
        }
        if turn.kind == "ask":
            command["room"] = turn.room
            command["history"] = [asdict(e) for e in self._history.of_room(turn.room)]
            command["remembered"] = [asdict(e) for e in self._history.of_viewer(turn.room, turn.user)]
        if not self._stage.begin(command):
            return
        if turn in self._waiting:
            self._waiting.remove(turn)
        else:
            self._audience.take(turn.queued_ns)
            self._next_id += 1
            self._emit("turn_queued", turn.view())
        self._floor = turn
        self._next_take += 1
        turn.take = take
        turn.attempts += 1
        turn.state = "thinking"
        turn.started_ns = turn.moved_ns = self._clock.now_ns()
        self._stage.show(turn.emotion, Activity.THINKING)
        self._emit("turn_started", turn.view())

    def check(self) -> None:
        """Give up a turn that makes no sound, or no more of it. Call about once a second."""
        now_ns = self._clock.now_ns()
        self._audience.drop_stale(now_ns)
        for waiting in list(self._waiting):
            if waiting.message and self._audience.is_stale(waiting.message, now_ns):
                self._drop(waiting, "it waited too long to be made again")
            elif waiting.stale_ns is not None and now_ns > waiting.stale_ns:
                self._drop(waiting, "it waited too long")
        turn = self._floor
        if turn is None:
            return
        rules = self._rules
        limit_s = rules.stall_timeout_s if turn.state == "speaking" else rules.think_timeout_s
        if now_ns - turn.moved_ns > limit_s * NS_PER_S:
            turn.error = f"no sound within {limit_s:.0f} s"
            log.warning("turn %d: %s", turn.id, turn.error)
            self._stage.replace_engine(turn.error)
            self._cut(turn, "failed")

    def on_engine(self, event: TurnEvent | EngineDown) -> None:
        """Take an engine's event about a turn."""
        if isinstance(event, EngineDown):
            self._on_down(event.reason)
            return
        turn = self._floor
        if turn is None or event.turn != turn.take:
            return
        match event:
            case FirstToken():
                turn.first_token_ns, turn.brain = event.at_ns, event.brain
            case Answered():
                turn.answer = event.text
            case SentenceCached():
                turn.cached = turn.cached or event.index == 0
            case SentenceBegan():
                turn.sentences.append(SpokenSentence(event.text, event.start_s, event.emotion))
                if len(turn.sentences) == 1:
                    self._stage.show(event.emotion, Activity.THINKING)
                self._emit("sentence", turn.view())
            case WordsPlaced():
                if turn.sentences:
                    turn.sentences[-1].words.extend(event.words)
            case TurnFailed():
                turn.error = event.error
                log.warning("turn %d: %s", turn.id, turn.error)
                if not turn.sentences and turn.first_audio_ns is None:
                    self._cut(turn, "failed")

    def on_started(self, take: TurnId, pts: Pts, at_ns: int) -> None:
        """Take that a turn's first sample, of PTS `pts`, left the timeline at monotonic `at_ns`."""
        turn = self._floor
        if turn is None or turn.take != take:
            return
        turn.state = "speaking"
        turn.first_audio_ns = turn.moved_ns = at_ns
        turn.on_air_ns = self._stage.reader_ns(pts)
        self._emit("turn_speaking", turn.view())

    def on_frame(self, take: TurnId, at_ns: int) -> None:
        """Take that the first frame of a turn left for the camera at monotonic `at_ns`."""
        turn = self._floor
        if turn is not None and turn.take == take and turn.first_frame_ns is None:
            turn.first_frame_ns = at_ns

    def on_ended(self, playout: Playout) -> None:
        """Take that a turn's last sample has left the timeline, or that it was cut."""
        turn = self._floor
        if turn is None or turn.take != playout.turn:
            return
        turn.played_s = playout.played_s
        if playout.interrupted:
            turn.heard_text = turn.heard_until(playout.played_s)
            self._end(turn, "failed" if turn.error not in {"", WITHDRAWN} else "interrupted")
        else:
            # After a failure some sentences had no sound.
            everything = " ".join(s.text for s in turn.sentences)
            turn.heard_text = turn.heard_until(playout.played_s) if turn.error else everything
            self._end(turn, "failed" if turn.error else "done")

    def follow(self, played_s: float) -> None:
        """Keep face and subtitle with the sentence that is being heard, `played_s` into the turn on air."""
        turn = self._floor
        if turn is None or turn.state != "speaking":
            return
        if played_s != turn.played_s:
            turn.played_s = played_s
            turn.moved_ns = self._clock.now_ns()
        turn.heard_text = turn.heard_until(played_s)
        current = [s for s in turn.sentences if s.start_s <= played_s]
        if current:
            self._stage.show(current[-1].emotion, Activity.SPEAKING)
            if turn.hearing is not current[-1]:
                turn.hearing = current[-1]
                self._emit("sentence_heard", turn.view())

    def offer(self, message: ChatMessage) -> None:
        """Take a viewer's line that has passed the chat's filters."""
        self._audience.offer(message, self._clock.now_ns())
        self.advance()

    def withdraw(self, platform: str, message_id: str, user_id: str) -> None:
        """Forget a viewer's line, or all of a viewer's; end the answer that is on the floor."""
        self._audience.withdraw(platform, message_id=message_id, user_id=user_id)
        for waiting in list(self._waiting):
            if waiting.message and is_withdrawn(waiting.message, platform, message_id, user_id):
                self._drop(waiting, WITHDRAWN)
        turn = self._floor
        if turn is None or turn.message is None:
            return
        if is_withdrawn(turn.message, platform, message_id, user_id):
            turn.error, turn.forgotten = WITHDRAWN, True
            self._cut(turn, "interrupted")

    def hear(self, *, speaking: bool) -> Turn | None:
        """Take that somebody began or ended to speak to the presenter; return the turn that gave way, if any.

        While a voice is heard, and a little longer, until `understood`, only the owner's turns begin.
        """
        self._speaking = speaking
        patience_s = _HEARING_S if speaking else UNDERSTANDING_S
        self._listening_until_ns = self._clock.now_ns() + int(patience_s * NS_PER_S)
        turn = self._floor
        if not speaking or not self._rules.barge_in:
            turn = None
        elif turn is not None and turn.waits_for_voices and turn.first_audio_ns is None:
            turn.attempts -= 1  # no fault of the engine's
            turn.gave_way = True
            self._put_back(turn)
        elif turn is not None:
            self._cut(turn, "interrupted")
        if self._floor is None:
            self._stage.show(None, Activity.LISTENING if speaking else Activity.IDLE)
        return turn

    def understood(self) -> None:
        """Take that no more words come of what was heard: whoever waited for them may begin."""
        if not self._speaking:
            self._listening_until_ns = self._clock.now_ns()
            self.advance()

    @property
    def idle_s(self) -> float | None:
        """How long nothing has been said, asked or heard; None while something is."""
        if self._floor is not None or self._waiting or len(self._audience) or self._somebody_speaks():
            return None
        return (self._clock.now_ns() - self._moved_ns) / NS_PER_S

    def floor_view(self) -> TurnView | None:
        """Return the turn that has the floor."""
        return self._floor.view() if self._floor else None

    def queue_view(self) -> tuple[TurnView, ...]:
        """Return what waits, next one first."""
        return tuple(t.view() for t in self._waiting)

    def recent_view(self) -> tuple[TurnView, ...]:
        """Return the last turns that ended, newest first."""
        return tuple(t.view() for t in self._recent)

    def _next(self) -> Turn | None:
        """Return whose turn it is, None when nobody's; it stays where it waits.

        A viewer's line stays with the audience until the engine takes it: until then it may go stale, be
        withdrawn, or be outdone.
        """
        first = self._waiting[0] if self._waiting else None
        if first is not None and first.rank == Rank.OWNER and not first.gave_way:
            return first
        if self._somebody_speaks():
            return None
        if first is not None and first.rank != Rank.QUIET:
            return first
        now_ns = self._clock.now_ns()
        message = self._audience.peek(now_ns)
        if message is None:
            return first
        return Turn(
            self._next_id,
            "ask",
            message.text,
            now_ns,
            message.user,
            message.platform,
            rank=Rank.VIEWER,
            room=f"{message.platform}:{message.room}",
            heard_ns=message.received_ns,
            message=message,
        )

    def _somebody_speaks(self) -> bool:
        # Ears that were lost in the middle of a word must not silence the show.
        return self._clock.now_ns() < self._listening_until_ns

    def _on_down(self, reason: str) -> None:
        turn = self._floor
        if turn is None:
            return
        if turn.first_audio_ns is None and turn.attempts < _ATTEMPTS:
            self._put_back(turn)
            return
        turn.error = f"the engine broke off: {reason}"
        self._cut(turn, "failed")

    def _put_back(self, turn: Turn) -> None:
        """Have a turn of which nobody has heard anything made again: it is the next of its rank."""
        # It leaves the floor first, for cutting it tells that a turn on the floor has ended.
        self._floor = None
        self._stage.cut(turn.take)
        turn.rewind()
        self._waiting.insert(sum(t.rank < turn.rank for t in self._waiting), turn)
        self._stage.show(None, Activity.IDLE)
        self._emit("turn_queued", turn.view())

    def _cut(self, turn: Turn, state: TurnState) -> None:
        """Silence the turn on the floor. If it had sound the timeline tells how much; else it ends here."""
        self._stage.cut(turn.take)
        if self._floor is turn:
            self._end(turn, state)

    def _end(self, turn: Turn, state: TurnState) -> None:
        turn.state = state
        self._floor = None
        self._moved_ns = self._clock.now_ns()
        if turn.kind == "ask" and not turn.forgotten:
            interrupted = state != "done"
            self._history.note(turn.room, Exchange(turn.user, turn.text, turn.heard_text, interrupted))
        log.info("%s", turn.trace())
        self._stage.show(None, Activity.IDLE)
        self._retire(turn)
        self.advance()

    def _drop(self, turn: Turn, why: str = "") -> None:
        """End a turn that waits."""
        self._waiting.remove(turn)
        turn.state, turn.error = "interrupted", why
        self._retire(turn)

    def _retire(self, turn: Turn) -> None:
        self._recent.appendleft(turn)
        self._emit("turn_ended", turn.view())
