"""What a verb without a log says while it does something slow."""

from __future__ import annotations

import logging

import pytest

from vcam_talker.cli.output import telling

pytestmark = pytest.mark.unit


def test_a_log_is_told_meanwhile(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("vcam_talker.test_telling.part")
    log.info("before")
    with telling("vcam_talker.test_telling"):
        log.info("measuring once, %d seconds", 3)
    log.info("after")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "measuring once, 3 seconds\n"
