"""Photographs of kinds that people have: every orientation, colours other than sRGB, palettes, animations."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from vcam_talker.persona_new.orientation import png_orientation
from vcam_talker.persona_new.photo import load_photo

pytestmark = pytest.mark.unit

CMYK = Path(__file__).parent / "data" / "persona-new" / "cmyk.jpg"
"""64x64 pixels of (200, 150, 120), the upper left quarter of (30, 60, 160), as Pillow writes CMYK."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the program that looks for damage in JPEG files: `test_persona_new_jpeg` is about that."""
    monkeypatch.setattr("vcam_talker.persona_new.photo.is_damaged_jpeg", lambda _: False)


def exif(orientation: int) -> bytes:
    """Return the APP1 segment of a JPEG that says how the camera was held."""
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + b"\0\0\0\0"
    body = b"Exif\0\0" + tiff
    return b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(rgb: np.ndarray, *chunks: bytes) -> bytes:
    """Return a PNG picture with further chunks behind its header."""
    png = cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()
    return png[:33] + b"".join(chunks) + png[33:]


def marked() -> np.ndarray:
    """Return a picture that looks different in each of the eight orientations."""
    rgb = np.full((80, 120, 3), 90, np.uint8)
    rgb[:16, :24] = (250, 0, 0)
    rgb[-16:, :24] = (0, 0, 250)
    return rgb


def upright(rgb: np.ndarray, orientation: int) -> np.ndarray:
    """Return it as EXIF 2.3 says: what its row 0 and column 0 are seen as."""
    turned = {
        1: rgb,
        2: cv2.flip(rgb, 1),
        3: cv2.rotate(rgb, cv2.ROTATE_180),
        4: cv2.flip(rgb, 0),
        5: cv2.flip(cv2.rotate(rgb, cv2.ROTATE_90_CLOCKWISE), 1),
        6: cv2.rotate(rgb, cv2.ROTATE_90_CLOCKWISE),
        7: cv2.flip(cv2.rotate(rgb, cv2.ROTATE_90_COUNTERCLOCKWISE), 1),
        8: cv2.rotate(rgb, cv2.ROTATE_90_COUNTERCLOCKWISE),
    }
    return np.asarray(turned[orientation])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_each_way_of_holding_a_camera(tmp_path: Path, orientation: int, kind: str) -> None:
    path = tmp_path / f"held.{kind}"
    segment = exif(orientation)
    if kind == "png":
        path.write_bytes(with_chunks(marked(), chunk(b"eXIf", segment[10:])))
    else:
        packed = cv2.imencode(".jpg", marked()[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
        path.write_bytes(packed[:2] + segment + packed[2:])
    found = load_photo(path)
    wanted = upright(marked(), orientation)
    assert found.pixels.shape == wanted.shape
    assert found.size == (wanted.shape[1], wanted.shape[0])
    assert np.abs(found.pixels.astype(int) - wanted).mean() < 3


def test_a_big_endian_orientation_and_nonsense() -> None:
    entry = struct.pack(">HHIHH", 0x112, 3, 1, 6, 0)
    tiff = b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    for body, orientation in (
        (tiff, 6),
        (tiff[:12], 1),
        (tiff.replace(b"\0\6", b"\0\x63"), 1),
        (b"MM\0*\xff\xff\xff\xff", 1),
        (b"II*\0\x08\0\0\0\xff\xff", 1),
        (b"", 1),
        (b"hello, world", 1),
    ):
        assert png_orientation(with_chunks(marked(), chunk(b"eXIf", body))) == orientation
    assert png_orientation(with_chunks(marked())) == 1
    assert png_orientation(with_chunks(marked())[:40]) == 1
    assert png_orientation(b"\xff\xd8") == 1


def test_a_picture_made_smaller_remembers_its_size(tmp_path: Path) -> None:
    path = tmp_path / "big.jpg"
    packed = cv2.imencode(".jpg", np.full((4000, 6000, 3), 90, np.uint8))[1].tobytes()
    path.write_bytes(packed[:2] + exif(6) + packed[2:])
    found = load_photo(path)
    assert found.pixels.shape == (4096, 2731, 3)
    assert found.size == (4000, 6000)


def test_four_inks() -> None:
    found = load_photo(CMYK).pixels
    assert load_photo(CMYK).pictures == 1
    assert np.abs(found[48, 48].astype(int) - (200, 150, 120)).max() <= 6
    assert np.abs(found[16, 16].astype(int) - (30, 60, 160)).max() <= 6


def test_wide_colours_come_out_as_they_look(tmp_path: Path) -> None:
    # The primaries of Display P3, which phones take pictures in, at a plain gamma.
    corners = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
    primaries = struct.pack(">8I", *(round(value * 100_000) for value in corners))
    skin = np.full((80, 80, 3), (200, 150, 120), np.uint8)
    wide = chunk(b"gAMA", struct.pack(">I", 45_455)) + chunk(b"cHRM", primaries)
    (tmp_path / "wide.png").write_bytes(with_chunks(skin, wide))
    red, _, blue = load_photo(tmp_path / "wide.png").pixels[40, 40].tolist()
    assert red >= 206
    assert blue <= 117


def test_a_palette_with_a_hole(tmp_path: Path) -> None:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 3, 0, 0, 0))
    palette = chunk(b"PLTE", bytes((10, 20, 30, 200, 100, 50))) + chunk(b"tRNS", bytes([0]))
    rows = b"".join(b"\0" + bytes([row >= 32]) * 64 for row in range(64))
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + palette + body)
    found = load_photo(tmp_path / "a.png").pixels
    assert (found[:32] == 128).all()
    assert (found[32:] == (200, 100, 50)).all()


def test_an_animation_shows_its_first_picture(tmp_path: Path) -> None:
    first = np.full((80, 120, 3), 200, np.uint8)
    animation = cv2.Animation()
    animation.frames = [first, first // 4, first // 2]
    animation.durations = np.array([100, 100, 100])
    for name in ("a.webp", "a.gif", "a.png"):
        assert cv2.imwriteanimation(str(tmp_path / name), animation)
        found = load_photo(tmp_path / name)
        assert np.abs(found.pixels.mean((0, 1)) - 200).max() <= 12, name  # GIF has 256 colours, dithered
        # Skia takes an animated PNG for a plain one.
        assert found.pictures == (1 if name == "a.png" else 3)
