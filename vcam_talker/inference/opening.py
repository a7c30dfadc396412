"""Opens a network with the engine that is wanted, or the best one there is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from vcam_talker.core.errors import EngineError
from vcam_talker.core.extras import how_to_install
from vcam_talker.inference.candidates import Candidate, Measured, candidates, ranked
from vcam_talker.inference.choice import Question, forget, inference_cache, postpone, recall, remember
from vcam_talker.inference.engines import EngineChoice, PrecisionChoice, find_engine
from vcam_talker.inference.measure import measure
from vcam_talker.inference.measure_process import Run, run_apart, run_beside
from vcam_talker.inference.memory import give_back_freed
from vcam_talker.inference.model import Model, Request, find_model
from vcam_talker.inference.processor import Processor, this_processor
from vcam_talker.inference.session import Array, CheckedSession, Session
from vcam_talker.inference.threads import net_threads

log = logging.getLogger(__name__)


def open_session(
    model: Path,
    engine: EngineChoice = "auto",
    precision: PrecisionChoice = "auto",
    threads: int | None = None,
    *,
    variants: Sequence[Path] = (),
    example: Mapping[str, Array] | None = None,
    cache: Path | None = None,
    processor: Processor | None = None,
    run: Run = run_apart,
) -> Session:
    """Return a session, warmed up. Blocks: a second or so, the first time on a machine some seconds more.

    `model` is an ONNX file, or a folder with plan.json and weights.safetensors; `variants` are other forms of
    the same network: quantised, in half precision, or that folder. `auto` takes the fastest of what works
    here and agrees with the most exact one; that is measured once for each model and machine (in a process
    of its own), and remembered under `cache`. Those that failed are tried again beside the session after some
    days, for the next time. What is named and can't be used is replaced, with one warning
    in the log. `threads`: None leaves one core to picture and sound, and takes no more than the network gains
    from.

    `example` feeds fix the only shapes that the session takes, which engines are faster for, and are what is
    measured and compared with; zeros in it stand for noise. Without it sizes left open are 1 there.

    Raises EngineError: a model that is missing, damaged or dangerous; no engine at all that runs it.
    """
    found = find_model(Path(model), [Path(v) for v in variants])
    processor = processor or this_processor()
    threads = threads or net_threads(found, processor.cores)
    return _Opening(found, threads, example, cache or inference_cache(), processor, run).open(
        engine, precision
    )


class _Opening:
    def __init__(
        self,
        model: Model,
        threads: int,
        example: Mapping[str, Array] | None,
        cache: Path,
        processor: Processor,
        run: Run,
    ) -> None:
        self._model = model
        self._threads = threads
        self._example = None if example is None else {n: _filled(a) for n, a in example.items()}
        self._shapes = {name: tuple(a.shape) for name, a in example.items()} if example is not None else None
        self._cache = cache
        self._processor = processor
        self._run = run
        self._failed: list[EngineError] = []
        """Of what should have worked."""
        self._due: Callable[[], None] | None = None
        """Measures again."""

    def open(self, engine: EngineChoice, precision: PrecisionChoice) -> Session:
        """Return the first session that works, in the order of what is wanted."""
        _, lacking = candidates(self._model, engine, precision, self._processor)
        for candidate in self._in_order(engine, precision):
            session = self._try(candidate)
            if session is None:
                continue
            faults = self._failed
            if engine not in {"auto", session.engine}:
                faults = [*lacking, *faults]
            elif precision not in {"auto", session.precision}:
                faults = [self._no_engine_for(engine, precision), *faults]
            give_back_freed()
            if faults:
                log.warning("%s; running %s with %s", _all(faults), self._model.label, candidate)
            if self._due is not None:
                _beside(self._due)
            return session
        raise self._nothing(lacking)

    def _in_order(self, engine: EngineChoice, precision: PrecisionChoice) -> Iterator[Candidate]:
        """Yield what is wanted, then the engine in any number format, then anything."""
        seen: set[Candidate] = set()
        wanted: list[tuple[EngineChoice, PrecisionChoice]] = [
            (engine, precision),
            (engine, "auto"),
            ("auto", "auto"),
        ]
        for pair in wanted:
            found, _ = candidates(self._model, *pair, self._processor)
            contenders = [c for c in found if c not in seen]
            seen.update(contenders)
            yield from self._best_first(contenders)

    def _best_first(self, contenders: list[Candidate]) -> Iterator[Candidate]:
        if len(contenders) < 2:
            yield from contenders
            return
        question = Question.about(self._model, contenders, self._threads, self._shapes, self._processor)
        measured = recall(self._cache, question)
        if not measured:
            earlier = recall(self._cache, question, due_too=True)
            if ranked(earlier):
                # Nobody waits for a better one while this one works, nor for an engine that hangs.
                measured, self._due = earlier, lambda: self._measure_again(contenders, question, earlier)
            else:
                measured = self._measure(contenders, question)
        for candidate in ranked(measured):
            yield candidate
            forget(self._cache, question)  # the next one is wanted: this one did not work

    def _measure(self, contenders: list[Candidate], question: Question) -> list[Measured]:
        log.info(
            "%s: measuring once which of %d engines is fastest here, some seconds",
            self._model.label, len(contenders),
        )  # fmt: skip
        try:
            measured = measure(
                self._model, contenders, self._threads, self._example, self._cache, run=self._run
            )
        except EngineError as e:
            self._failed.append(e)
            return [Measured(candidate) for candidate in contenders]
        self._failed += [EngineError(f"engine '{m.candidate}'", m.fault) for m in measured if m.fault]
        if not ranked(measured):
            return measured
        remember(self._cache, question, measured)
        shown = ", ".join(f"{m.candidate} {m.run_ms:.2f} ms" for m in measured if not m.fault)
        log.info("%s, measured on this machine: %s", self._model.label, shown)
        return measured

    def _measure_again(
        self, contenders: list[Candidate], question: Question, earlier: list[Measured]
    ) -> None:
        """Write down what is found now, for the next time.

        What worked `earlier` is not given up for a moment's want of memory: the session in use may have it.
        """
        # First: who is killed meanwhile does not begin again at every start.
        postpone(self._cache, question)
        run = run_beside if self._run is run_apart else self._run
        try:
            now = measure(self._model, contenders, self._threads, self._example, self._cache, run=run)
        except EngineError as e:
            log.debug("%s: engines are not measured again: %s", self._model.label, e)
            return
        worked = {m.candidate: m for m in earlier if not m.fault}
        found = [worked.get(m.candidate, m) if m.tries else m for m in now]
        if not ranked(found):
            return
        remember(self._cache, question, found)
        log.info("%s: engines were measured again, for the next start", self._model.label)

    def _try(self, candidate: Candidate) -> Session | None:
        request = Request(self._model, candidate.precision, self._threads, self._shapes, self._cache)
        try:
            runner = find_engine(candidate.engine).open(request)
            session = CheckedSession(runner, candidate.engine, candidate.precision, self._model.label)
            try:
                session.warm_up()
            except EngineError:
                session.close()
                raise
        except EngineError as e:
            self._failed.append(e)
            return None
        return session

    def _no_engine_for(self, engine: EngineChoice, precision: PrecisionChoice) -> EngineError:
        forms = " and ".join(self._model.forms)
        if engine == "auto":
            what, why = f"precision '{precision}'", f"no engine computes in it here what there is as {forms}"
        else:
            what, why = f"engine '{engine}'", f"can't compute in {precision} here what there is as {forms}"
        return EngineError(what, why, "Set it to auto")

    def _nothing(self, lacking: list[EngineError]) -> EngineError:
        if len(self._failed) == 1:
            return self._failed[0]
        if self._failed:
            return EngineError(self._model.label, f"no engine here can run it: {_all(self._failed)}")
        if len(lacking) == 1:
            return lacking[0]
        if self._model.onnx:
            why = "needs ONNX Runtime or OpenVINO, and neither is installed"
            return EngineError(self._model.label, why, how_to_install("lips"))
        return EngineError(self._model.label, "needs torch, which is not installed", how_to_install("prune"))


def _beside(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="engines", daemon=True).start()


def _filled(array: Array) -> Array:
    """Return the array, or noise in the place of zeros: of those any network makes much the same."""
    if array.dtype.kind != "f" or array.any():
        return array
    return np.random.default_rng(array.size).random(array.shape).astype(array.dtype)


def _all(faults: list[EngineError]) -> str:
    return "; ".join(dict.fromkeys(str(f) for f in faults))
