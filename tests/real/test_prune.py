"""A network of full size, pruned, exported and measured; its report in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.support.chromium import Chromium
from vcam_talker.cli import main
from vcam_talker.inference import open_session
from vcam_talker.nets.lips import LipsNet
from vcam_talker.prune.apply import load_pruned, save_pruned
from vcam_talker.prune.cut import whole

pytestmark = pytest.mark.real


def test_pruned_exported_measured_and_told(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = LipsNet().eval()
    save_pruned(tmp_path / "dense", whole(net, net.plan()), net)
    out = tmp_path / "pruned"
    command = [
        "prune",
        "lipsync",
        "--model",
        str(tmp_path / "dense"),
        "--out",
        str(out),
        "--export",
        "--json",
    ]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["engine"].startswith("ONNX Runtime")
    assert told["ratios"]["parameters"] < 0.55
    assert told["ratios"]["macs"] < 0.55
    assert told["ratios"]["speed"] > 1.1  # near 2 on a machine that does nothing else
    assert told["ratios"]["memory"] < 0.95

    pruned, plan = load_pruned(out, LipsNet.from_plan)
    inputs = torch.rand(1, 3, 96, 128), torch.rand(1, 3, 96, 128), torch.rand(1, 7)
    with torch.inference_mode():
        wanted = pruned(*inputs)
    session = open_session(out / "network.onnx", "ort", "fp32", 1)
    feeds = {port.name: x.numpy() for port, x in zip(session.inputs, inputs, strict=True)}
    for made, one in zip(session.run(feeds).values(), wanted, strict=True):
        assert float(np.abs(made - one.numpy()).max()) <= 1e-4
    session.close()

    with Chromium() as browser:
        for scheme in ("light", "dark"):
            media = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.page.call("Emulation.setEmulatedMedia", features=media)
            browser.page.resize(1100, 900)
            browser.page.open((out / "report.html").as_uri())
            assert browser.page.complaints == []
            assert browser.page.evaluate("document.documentElement.scrollWidth") <= 1100
            assert browser.page.evaluate("document.querySelectorAll('rect.kept').length") == len(
                plan.net["channels"]
            )
            browser.page.screenshot(tmp_path / f"{scheme}.png", whole=True)
        browser.page.resize(390, 800, phone=True)
        browser.page.open((out / "report.html").as_uri())
        assert browser.page.evaluate("document.documentElement.scrollWidth") <= 390
    light, dark = (cv2.imread(str(tmp_path / f"{s}.png")) for s in ("light", "dark"))
    assert light is not None
    assert dark is not None
    assert light.mean() > 200 > 80 > dark.mean()
