"""What tests of the doctor share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from vcam_talker.config import Config, override
from vcam_talker.doctor import Finding


def config(**changes: object) -> Config:
    return override(Config(), {key.replace("__", "."): value for key, value in changes.items()})


def states(findings: Sequence[Finding]) -> list[str]:
    for finding in findings:
        assert finding.state == "ok" or finding.remedy, finding
        assert "\n" not in finding.message + finding.remedy
    return [finding.state for finding in findings]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for kind in ("CONFIG", "DATA", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
