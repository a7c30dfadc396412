"""How a face detector's verdict is counted; needs no head pack."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from studio.truth.faces import SIZE, Acceptance, Box, Seen, cascade, overlap, sample_people, write_sheet

pytestmark = pytest.mark.unit

BOX: Box = (60.0, 60.0, 120.0, 120.0)


def seen(*found: Box) -> Seen:
    return Seen(17, 0.0, np.full((SIZE, SIZE, 3), 90, np.uint8), BOX, found)


def test_boxes_overlap_by_what_they_share() -> None:
    assert overlap(BOX, BOX) == pytest.approx(1.0)
    assert overlap(BOX, (180.0, 60.0, 50.0, 50.0)) == 0.0
    assert overlap(BOX, (120.0, 60.0, 120.0, 120.0)) == pytest.approx(1 / 3)
    assert overlap(BOX, (90.0, 90.0, 60.0, 60.0)) == pytest.approx(0.25)


def test_a_picture_is_accepted_for_the_face_and_nothing_else() -> None:
    assert not seen().accepted
    assert not seen((0.0, 0.0, 60.0, 60.0)).accepted
    assert seen((0.0, 0.0, 60.0, 60.0), (50.0, 50.0, 130.0, 130.0)).accepted


def test_people_are_drawn_by_the_seed_without_repeats() -> None:
    some = sample_people(200, 1)
    assert len(set(some)) == 200
    assert some == sample_people(200, 1)
    assert some != sample_people(200, 2)
    assert Acceptance(200, 199, 200, 600, 599, (3,)).share == pytest.approx(0.995)


def test_the_detector_finds_no_face_in_a_wall() -> None:
    assert list(cascade()(np.full((SIZE, SIZE, 3), 128, np.uint8))) == []


def test_refused_pictures_are_shown_with_their_boxes(tmp_path: Path) -> None:
    path = tmp_path / "refused.png"
    write_sheet([seen((10.0, 10.0, 40.0, 40.0))] * 7, path)
    sheet = cv2.imread(str(path))
    assert sheet is not None
    assert sheet.shape == (2 * SIZE, 6 * SIZE, 3)
    assert tuple(sheet[60, 100]) == (0, 220, 0)
    assert tuple(sheet[10, 30]) == (0, 0, 255)
    with pytest.raises(OSError, match="written"):
        write_sheet([seen()], tmp_path / "none" / "there.png")
