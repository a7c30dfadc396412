"""The network that listens: exact in parts, bounded ahead, the same in NumPy as in torch, no pickles."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

from studio.lips.sound.export import export
from studio.lips.sound.train import Recipe, loss_of
from vcam_talker.core.errors import EngineError
from vcam_talker.dsp.resample import resample
from vcam_talker.face.neural import sound as run_time
from vcam_talker.face.neural.products import product
from vcam_talker.face.neural.sound import FACTS, WEIGHTS, Listener, SoundNet, shipped
from vcam_talker.face.neural.spectrum import BANDS, SILENCE, bands
from vcam_talker.nets.sound import SoundNet as TorchNet
from vcam_talker.nets.sound import SoundPlan

pytestmark = pytest.mark.unit
RATE = 16_000


@pytest.fixture(scope="module")
def trained() -> TorchNet:
    """A network as if it had been trained: nothing in it is zero or one."""
    torch.manual_seed(7)
    net = TorchNet(SoundPlan(channels=16, head=8))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean = torch.randn(module.num_features) * 0.3
            module.running_var = torch.rand(module.num_features) + 0.5
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    return net.eval()


@pytest.fixture(scope="module")
def exported(trained: TorchNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("net")
    export(trained, folder, Recipe(channels=16), {"trained_on": "nothing"})
    return folder


def chatter(seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    """Return something with all that speech has: pitch, hiss, pauses."""
    t = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(3)
    voice = np.sign(np.sin(2 * np.pi * 110 * t)) * (np.sin(2 * np.pi * 3 * t) > -0.3)
    return (0.1 * voice + 0.01 * rng.standard_normal(t.size)).astype(np.float32)


def test_numpy_says_what_torch_says(trained: TorchNet, exported: Path) -> None:
    heard = np.random.default_rng(1).normal(0, 1, (700, BANDS)).astype(np.float32)
    with torch.no_grad():
        expected = trained(torch.from_numpy(heard.T[None].copy()))[0].numpy().T
    found = SoundNet.load(exported)(heard)
    assert found.poses.shape == (len(expected), 7)
    # The weights are kept in 16 bits.
    assert np.abs(found.poses - expected[:, :7]).max() < 4e-3
    assert np.abs(found.shut - 1 / (1 + np.exp(-expected[:, 7]))).max() < 4e-3
    exact = {name: tensor.numpy() for name, tensor in trained.folded().items()}
    same = SoundNet(tuple(tuple(t) for t in trained.plan.taps), exact)(heard)
    assert np.abs(same.poses - expected[:, :7]).max() < 1e-5


def test_parts_with_their_context_are_the_whole(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_time, "_GAIN_DB", 0.0)
    net = SoundNet.load(exported)
    sound = chatter()
    whole = Listener(net).hear(sound, RATE, 200, last=True)
    listener = Listener(net)
    unknown = listener.ahead
    at = 0
    for count in (1, 60, 7, 90, 42):
        part = listener.hear(sound[at * 160 : (at + count) * 160], RATE, count, last=at + count == 200)
        sure = count if at + count == 200 else max(0, count - unknown)
        assert np.abs(part.poses[:sure] - whole.poses[at : at + sure]).max(initial=0) < 1e-6
        at += count


def test_it_looks_no_farther_ahead_than_it_says(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_time, "_GAIN_DB", 0.0)
    net = SoundNet.load(exported)
    sound = chatter()
    changed = sound.copy()
    changed[RATE:] = 0.5
    a, b = (Listener(net).hear(s, RATE, 200, last=True).poses for s in (sound, changed))
    differs = np.flatnonzero(np.abs(a - b).max(axis=1) > 1e-9)
    window_ms = 12.5
    assert differs[0] * 10 >= 1000 - net.ahead * 10 - window_ms
    assert net.ahead * 10 + window_ms <= 120


@pytest.mark.parametrize("gain_db", [-26, -6, 10])
def test_soft_and_loud_voices_are_alike(exported: Path, gain_db: float) -> None:
    net = SoundNet.load(exported)
    sound = chatter() * np.float32(10 ** (gain_db / 20))
    found = Listener(net).hear(sound, RATE, 200, last=True).poses
    assert np.abs(found - Listener(net).hear(chatter(), RATE, 200, last=True).poses).max() < 1e-3


def test_the_level_is_kept_until_it_is_off(exported: Path) -> None:
    """Parts of a speech sound alike: a softer end isn't turned up, another speaker is."""
    net = SoundNet.load(exported)

    def second(gain_db: float) -> np.ndarray:
        listener = Listener(net)
        listener.hear(chatter(), RATE, 200, last=False)
        part = chatter() * np.float32(10 ** (gain_db / 20))
        return listener.hear(part, RATE, 200, last=True).poses[80:]

    same = second(0)
    assert np.abs(second(-3) - same).max() > 1e-3
    assert np.abs(second(-20) - same).max() < 1e-3


def test_noise_is_not_turned_up(exported: Path) -> None:
    faint = np.random.default_rng(1).normal(0, 3e-4, RATE).astype(np.float32)
    listener = Listener(SoundNet.load(exported))
    listener.hear(faint, RATE, 100, last=True)
    assert listener.level_db == -np.inf


def test_forgetting(exported: Path) -> None:
    net = SoundNet.load(exported)
    listener = Listener(net)
    fresh = listener.hear(chatter(0.5), RATE, 50, last=True).poses
    listener.hear(chatter(1.0)[::-1], RATE, 100, last=False)
    assert np.abs(listener.hear(chatter(0.5), RATE, 50, last=False).poses[:30] - fresh[:30]).max() > 1e-4
    listener.reset()
    assert (listener.hear(chatter(0.5), RATE, 50, last=True).poses == fresh).all()
    # The end of a sentence is the end of what it knows; so is another rate.
    assert (listener.hear(chatter(0.5), RATE, 50, last=True).poses == fresh).all()


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
def test_bands_do_not_depend_on_the_rate(rate: int) -> None:
    sound = chatter()
    centres = np.arange(200, dtype=np.intp)
    a = bands(sound, RATE, centres * RATE // 100)
    b = bands(resample(sound, RATE, rate), rate, centres * rate // 100)
    assert np.abs(a - b)[5:-5, :-1].mean() < 0.01
    assert np.abs(a - b)[5:-5, :-1].max() < 0.35


def test_bands_above_the_sound_are_silent() -> None:
    heard = bands(chatter(rate=8000), 8000, np.arange(100, dtype=np.intp) * 80)
    assert (heard[:, -8:] == SILENCE).all()
    assert (heard[20:, :20] > SILENCE).all()


def test_what_is_no_number_is_silence() -> None:
    sound = np.full(4000, np.nan, np.float32)
    sound[::3] = np.inf
    assert (bands(sound, RATE, np.arange(20, dtype=np.intp) * 160) == SILENCE).all()
    assert bands(sound, RATE, np.zeros(0, np.intp)).shape == (0, BANDS)


def test_the_shipped_network() -> None:
    net = shipped()
    folder = resources.files("vcam_talker") / "models" / "sound"
    facts = json.loads((folder / FACTS).read_text("utf-8"))
    raw = (folder / WEIGHTS).read_bytes()
    assert hashlib.sha256(raw).hexdigest() == facts["sha256"]
    assert len(raw) < 2_000_000
    assert facts["parameters"] < 1_000_000
    assert net.ahead * 10 + 12.5 <= 120
    assert {"seed", "steps", "trained_on", "figures"} <= set(facts)
    silent = Listener(net).hear(np.zeros(RATE, np.float32), RATE, 100, last=True)
    assert silent.rest.min() > 0.9
    assert silent.shut.max() < 0.5


def test_a_damaged_network_is_one_clear_error(exported: Path, tmp_path: Path) -> None:
    def broken(facts: str | None = None, weights: bytes | None = None) -> str:
        (tmp_path / FACTS).write_text((exported / FACTS).read_text() if facts is None else facts)
        (tmp_path / WEIGHTS).write_bytes((exported / WEIGHTS).read_bytes() if weights is None else weights)
        with pytest.raises(EngineError) as e:
            SoundNet.load(tmp_path)
        assert "phonemes" in str(e.value)
        return str(e.value)

    good = json.loads((exported / FACTS).read_text())
    broken(facts="{")
    assert "another version" in broken(facts=json.dumps(good | {"format": 99}))
    broken(facts=json.dumps(good | {"taps": "none"}))
    broken(facts=json.dumps(good | {"taps": [[0]] * 12}))
    broken(weights=b"")
    broken(weights=(exported / WEIGHTS).read_bytes()[:900])
    np.savez(tmp_path / "objects.npz", **{"first.weight": np.array([{}], object)})
    broken(weights=(tmp_path / "objects.npz").read_bytes())
    with pytest.raises(EngineError):
        SoundNet.load(tmp_path / "nowhere")


def test_weights_are_plain_arrays(exported: Path) -> None:
    with zipfile.ZipFile(exported / WEIGHTS) as file:
        for name in file.namelist():
            assert b"'|O'" not in file.read(name)[:128]


def test_the_loss_minds_closures_and_motion() -> None:
    truth = torch.zeros(1, 7, 50)
    truth[0, 6, 20:30] = 1.0
    right = torch.zeros(1, 9, 50)
    right[:, :7] = truth
    right[0, 7], right[0, 8] = -9.0, 9.0
    right[0, 7, 20:30], right[0, 8, 20:30] = 9.0, -9.0
    weight = torch.ones(1, 50)
    best = float(loss_of(right, truth, weight))
    assert best < 1e-3

    def off(column: int, at: slice, by: float) -> float:
        wrong = right.clone()
        wrong[0, column, at] += by
        return float(loss_of(wrong, truth, weight))

    assert off(0, slice(22, 28), 0.3) > 1.5 * off(0, slice(2, 8), 0.3) > best
    jitter = right.clone()
    jitter[0, 0, ::2] += 0.1
    assert float(loss_of(jitter, truth, weight)) > off(0, slice(None), 0.1)


def test_blocks_do_not_show(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = SoundNet.load(exported)
    heard = np.random.default_rng(1).normal(0, 1, (400, BANDS)).astype(np.float32)
    whole = net(heard).poses
    monkeypatch.setattr(run_time, "_BLOCK", 37)
    assert np.abs(net(heard).poses - whole).max() < 1e-6


@pytest.mark.parametrize(
    ("rows", "inner", "columns"), [(0, 4, 4), (1, 1025, 48), (37, 128, 128), (5, 700, 700)]
)
def test_products_are_products(rows: int, inner: int, columns: int) -> None:
    rng = np.random.default_rng(rows)
    a = rng.normal(size=(rows, inner + 3)).astype(np.float32)[:, 3:]
    b = rng.normal(size=(inner, columns)).astype(np.float32)
    assert np.abs(product(a, b) - a @ b).max(initial=0) < 1e-3


def test_products_stay_on_their_thread() -> None:
    """OpenBLAS's threads spin: a second of processor for a tenth of one on the clock."""
    code = (
        "import os, time, numpy as np\n"
        "from vcam_talker.face.neural.products import product\n"
        "a, b = np.ones((4000, 128), np.float32), np.ones((128, 128), np.float32)\n"
        "product(a, b)\n"
        "ratios = []\n"
        "for _ in range(8):\n"
        "    mine, whole = time.thread_time(), time.process_time()\n"
        "    for _ in range(20): product(a, b)\n"
        "    ratios.append((time.process_time() - whole) / (time.thread_time() - mine))\n"
        # Threads that were made when NumPy was loaded spin for a while, wanted or not.
        "print(min(ratios))\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert float(done.stdout) < 1.2
