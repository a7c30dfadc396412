"""JPEG files that decoders repair in silence are damaged; sound ones of every kind are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from tests.support import pictures
from vcam_talker.core.errors import BadInputError
from vcam_talker.persona_new.jpeg import is_damaged_jpeg
from vcam_talker.persona_new.photo import load_photo

pytestmark = pytest.mark.real

CMYK = Path(__file__).parent / "data" / "persona-new" / "cmyk.jpg"
EXIF = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"


def packed(*options: int, colours: bool = True) -> bytes:
    """Return a JPEG file of a presenter."""
    rgb = pictures.presenter("kofi")
    shown = rgb[..., ::-1] if colours else cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return cv2.imencode(".jpg", shown, options)[1].tobytes()


def before_end(raw: bytes, more: bytes) -> bytes:
    end = raw.rindex(b"\xff\xd9")
    return raw[:end] + more + raw[end:]


@pytest.mark.parametrize(
    "options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 40)]
)
@pytest.mark.parametrize("wrong", [bytes(200), b"\xa5\x5a\x3c" * 20])
def test_bytes_overwritten_in_the_middle_are_damage(
    tmp_path: Path, options: tuple[int, ...], wrong: bytes
) -> None:
    raw = bytearray(packed(*options))
    middle = len(raw) // 2
    raw[middle : middle + len(wrong)] = wrong
    path = tmp_path / "a.jpg"
    path.write_bytes(raw)
    with pytest.raises(BadInputError) as error:
        load_photo(path)
    assert "is damaged" in str(error.value)


def test_coded_data_too_many_are_damage() -> None:
    raw = packed()
    assert is_damaged_jpeg(before_end(raw, raw[-400:-300]))


def test_sound_files_are_not_damaged() -> None:
    plain = packed()
    kinds = {
        "plain": plain,
        "progressive": packed(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "optimised": packed(cv2.IMWRITE_JPEG_OPTIMIZE, 1),
        "with restarts": packed(cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
        "fine colours": packed(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
        "coarse": packed(cv2.IMWRITE_JPEG_QUALITY, 3),
        "grey": packed(colours=False),
        "four inks": CMYK.read_bytes(),
        "EXIF": plain[:2] + EXIF + plain[2:],
        "more behind it": plain + b"MotionPhoto" * 100,
        "two pictures": plain + plain,
        "padded": before_end(plain, bytes(512)),
        "one byte too many": before_end(plain, b"\x7f"),
        "no JPEG": b"\x89PNG\r\n\x1a\n" + plain,
    }
    assert [kind for kind, raw in kinds.items() if is_damaged_jpeg(raw)] == []
