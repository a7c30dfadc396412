"""A network draws the lips of a built-in presenter on air, and everything that can happen to its process."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import onnx
import pytest

from tests.support.stall import StallMeter
from tests.support.tiny_lips import make_pose_model, make_wav2lip_model
from vcam_talker.bench.harness import Daemon, daemon

pytestmark = pytest.mark.real

_LONG = "This sentence is long enough for all that is to happen while it is spoken, and for some more of it. "
_FPS = 15
# Half the usual rate leaves a mouth twice the time: late answers are what other tests are about.
_SMALL = f"[air]\nwidth = 640\nheight = 360\nfps = {_FPS}\n"
_PATIENT = "deadline_ms = 100\nthreads = 1\n"
_PERIOD_MS = 1000 / _FPS


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pose_model(tmp_path_factory.mktemp("lips"), gain=10.0)


@pytest.fixture
def on_air(model: Path) -> Iterator[Daemon]:
    config = f'{_SMALL}[lips]\nmodel = "{model}"\n{_PATIENT}'
    with daemon(persona="elena", mic="null", config=config) as running:
        _wait_lips(running, "ready")
        running.wait_idle()
        yield running


def _lips(running: Daemon) -> dict[str, object]:
    found: dict[str, object] = running.client.status()["lips"]
    return found


def _wait_lips(running: Daemon, state: str, restarts: int = 0, detail: str = "") -> dict[str, object]:
    """Return what `status` told when it was so: two seconds later it may tell something else."""
    seen: dict[str, object] = {}

    def there() -> bool:
        seen.update(_lips(running))
        settled = seen["state"] == state and int(str(seen["restarts"])) >= restarts
        return settled and detail in str(seen["detail"])

    running.wait_until(f"lips that are {state}", there)
    return seen


def _wait_speaking(running: Daemon) -> None:
    running.wait_until("speech", lambda: (running.client.status()["on_air"] or {}).get("state") == "speaking")


def _wait_drawn(running: Daemon, more: int = 10) -> None:
    before = int(str(_lips(running)["answered"]))
    running.wait_until("mouths by the network", lambda: int(str(_lips(running)["answered"])) >= before + more)


def _libraries(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")


def test_the_network_draws_in_its_own_process(on_air: Daemon) -> None:
    status = on_air.client.status()
    assert "tiny pose on " in status["lips"]["drawn_by"]
    asked = status["lips"]["asked"]
    time.sleep(1)
    assert _lips(on_air)["asked"] == asked, "nothing is asked in silence"
    on_air.client.say(_LONG)
    _wait_drawn(on_air, 30)
    assert "onnxruntime" in _libraries(status["lips"]["pid"])
    assert "onnxruntime" not in _libraries(status["pid"])
    assert status["warnings"] == []


def test_its_death_costs_no_frame_and_it_comes_back(on_air: Daemon) -> None:
    before_mb = on_air.client.status()["rss_mb"]
    for count, fault in enumerate((signal.SIGKILL, signal.SIGSTOP), 1):
        on_air.client.say(_LONG * 2)
        _wait_speaking(on_air)
        _wait_drawn(on_air)
        pid = int(str(_lips(on_air)["pid"]))
        skipped = on_air.client.status()["pacing"]["skipped"]
        since_ns = time.monotonic_ns()
        with StallMeter() as stall:
            os.kill(pid, fault)
            _wait_lips(on_air, "ready", restarts=count)
        assert int(str(_lips(on_air)["pid"])) != pid
        _wait_drawn(on_air)
        time.sleep(1.2)
        frames = on_air.frames().after(since_ns)
        assert len(frames.sent_ns) > _FPS
        assert np.diff(frames.sent_ns).max() / 1e6 < 3 * _PERIOD_MS + stall.longest_ms
        if stall.longest_ms < _PERIOD_MS:
            assert on_air.client.status()["pacing"]["skipped"] == skipped
        on_air.client.interrupt(clear_queue=True)
        on_air.wait_idle()
    assert on_air.client.status()["engine"]["restarts"] == 0
    assert on_air.client.status()["rss_mb"] < before_mb + 15
    log = (on_air.folder / "log").read_text(encoding="utf-8")
    assert log.count("the lips process is gone") == 2
    assert log.count("Traceback") == 0


def test_another_persona_has_its_own_lips_or_none(on_air: Daemon) -> None:
    on_air.client.persona("mira")
    assert _lips(on_air)["state"] == "off"
    on_air.client.say(_LONG)
    _wait_speaking(on_air)
    on_air.client.interrupt(clear_queue=True)
    on_air.client.persona("kofi")
    _wait_lips(on_air, "ready")
    on_air.client.say(_LONG)
    _wait_drawn(on_air)
    on_air.client.persona("kofi")
    _wait_lips(on_air, "ready")
    on_air.client.say(_LONG)
    _wait_drawn(on_air)
    assert _lips(on_air)["restarts"] == 0


def test_viewers_see_the_network_then_shapes_in_the_frame_it_is_gone(model: Path, tmp_path: Path) -> None:
    film = tmp_path / "show.mp4"
    config = f'{_SMALL}[lips]\nmodel = "{model}"\n{_PATIENT}[engine]\nbackoff_max_s = 0.5\n'
    with daemon(persona="elena", mic="null", camera=f"file:{film}", config=config) as running:
        _wait_lips(running, "ready")
        running.wait_idle()
        running.client.say(_LONG * 2)
        _wait_speaking(running)
        _wait_drawn(running, 40)
        os.kill(int(str(_lips(running)["pid"])), signal.SIGKILL)
        _wait_lips(running, "ready", restarts=1)
        _wait_drawn(running, 40)
    green = _green(film)
    drawn = np.flatnonzero(green > 50)
    gaps = np.diff(drawn)
    assert len(drawn) > 40
    assert gaps.max() > 3, "shapes drew while it was gone"


def test_a_network_that_listens_hears_what_is_said(tmp_path: Path) -> None:
    folder = make_wav2lip_model(tmp_path / "listens")
    film = tmp_path / "show.mp4"
    config = f'{_SMALL}[lips]\nmodel = "{folder}"\n{_PATIENT}'
    with daemon(persona="elena", mic="null", camera=f"file:{film}", config=config) as running:
        _wait_lips(running, "ready")
        running.wait_idle()
        running.client.say(_LONG)
        _wait_drawn(running, 40)
    green = _green(film)
    # Silence would be drawn black: the brighter, the louder.
    assert (green > 500).sum() > 20


def test_a_network_that_fails_at_drawing_rests_and_comes_back(tmp_path: Path) -> None:
    folder = _failing_below(make_pose_model(tmp_path / "fails"), 0.45)
    config = f'{_SMALL}[lips]\nmodel = "{folder}"\n{_PATIENT}'
    with daemon(persona="elena", mic="null", config=config) as running:
        _wait_lips(running, "ready")
        running.wait_idle()
        running.client.say(_LONG * 2)
        assert "NaN" in str(_wait_lips(running, "failed", detail="tried again in")["detail"])
        make_pose_model(folder, gain=10.0)
        _wait_lips(running, "ready", restarts=1)
        running.client.say(_LONG)
        _wait_drawn(running)
        assert running.client.status()["pacing"]["rung"] == "live"
        log = (running.folder / "log").read_text(encoding="utf-8")
        # On a machine that stood still for two seconds the broken one, or half of the other, was tried, too.
        assert 1 <= log.count("tried again in") <= 3
        assert "Traceback" not in log


@pytest.mark.parametrize("fault", ["missing", "damaged"])
def test_a_model_that_cannot_be_used_is_told_once_and_taken_when_mended(tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "broken"
    if fault == "damaged":
        make_pose_model(folder)
        (folder / "mouth.onnx").write_bytes(b"no network")
    config = f'{_SMALL}[lips]\nmodel = "{folder}"\n{_PATIENT}'
    with daemon(persona="elena", mic="null", config=config) as running:
        _wait_lips(running, "failed")
        running.wait_idle()
        running.client.say("Hello.")
        _wait_speaking(running)
        status = running.client.status()
        assert status["lips"]["drawn_by"] == "shapes"
        assert str(folder) in status["lips"]["detail"]
        assert len([w for w in status["warnings"] if str(folder) in w]) == 1
        log = (running.folder / "log").read_text(encoding="utf-8")
        assert log.count(str(folder)) == 1
        assert "Traceback" not in log
        make_pose_model(folder, gain=10.0)
        running.wait_until("the mended model", lambda: _lips(running)["state"] == "ready", 90.0)
        running.client.say(_LONG)
        _wait_drawn(running)
        assert _lips(running)["restarts"] == 0


def _failing_below(folder: Path, jaw: float) -> Path:
    """Make a model answer with NaN while the jaw is open, but less than that; returns `folder`."""
    path = folder / "mouth.onnx"
    model = onnx.load(path)
    nodes = list(model.graph.node)
    at = next(n for n, node in enumerate(nodes) if "jaw" in node.output)
    nodes[at].output[0] = "plain"
    # The square root of what is negative between 0 and `jaw`, times nothing.
    added = [
        onnx.helper.make_node("Sub", ["plain", "least"], ["less"]),
        onnx.helper.make_node("Mul", ["plain", "less"], ["square"]),
        onnx.helper.make_node("Sqrt", ["square"], ["root"]),
        onnx.helper.make_node("Mul", ["root", "nothing"], ["none_or_nan"]),
        onnx.helper.make_node("Add", ["plain", "none_or_nan"], ["jaw"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend([*nodes[: at + 1], *added, *nodes[at + 1 :]])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(jaw, np.float32), "least"))
    onnx.save(model, path)
    spec = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    spec["parts"]["mouth"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(spec), encoding="utf-8")
    return folder


def _green(film: Path) -> np.ndarray:
    """Return for every frame of a film how many pixels are as green as no presenter is."""
    found = []
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            red, green, blue = (frame.to_ndarray(format="rgb24")[..., k].astype(int) for k in range(3))
            found.append(int(((green - red > 50) & (green - blue > 50)).sum()))
    return np.array(found)
