"""Damaged personas: whatever is wrong with a file, one clear error names it, its reason and a remedy."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import clip_persona
from vcam_talker.core.errors import PersonaError
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.persona import list_personas, load_persona

pytestmark = pytest.mark.unit

Arrays = dict[str, Any]


@pytest.fixture(scope="module")
def good() -> Arrays:
    with np.load(clip_persona.shared() / "face.npz") as file:
        return dict(file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A persona of its own whose large files are links."""
    for file in clip_persona.shared().iterdir():
        if file.suffix == ".mp4":
            (tmp_path / file.name).hardlink_to(file)
        else:
            shutil.copy(file, tmp_path / file.name)
    return tmp_path


def error_of(folder: Path, file: str = "face.npz") -> PersonaError:
    """Return the error that this persona gives, which must be one clear line."""
    with pytest.raises(PersonaError) as caught:
        ClipScene(load_persona(str(folder)), 640, 360)
    error = caught.value
    assert file in f"{error.what} {error.why}"
    assert error.why
    assert error.remedy
    assert "\n" not in str(error)
    assert len(str(error)) < 400
    return error


def put(folder: Path, arrays: Arrays) -> None:
    np.savez(folder / "face.npz", **arrays)


def changed(values: np.ndarray, where: object, to: object) -> np.ndarray:
    found = values.copy()
    found[where] = to  # type: ignore[index]
    return found


DAMAGE: dict[str, tuple[Arrays | Callable[[Arrays], Arrays], str]] = {
    "another version": ({"version": 2}, "format 2"),
    "no version": ({"version": np.array(["x"])}, "version"),
    "strange fps": ({"fps": 500}, "fps"),
    "huge size": ({"size": np.array([99_999, 720])}, "size"),
    "size of three": ({"size": np.array([640, 360, 1])}, "'size' is 3, not 2"),
    "affine not finite": (
        lambda a: {"frame_to_patch": changed(a["frame_to_patch"], (3, 0, 0), np.nan)},
        "finite",
    ),
    "affine infinite": (
        lambda a: {"frame_to_patch": changed(a["frame_to_patch"], (3, 0, 0), np.inf)},
        "finite",
    ),
    "affine flat": (lambda a: {"frame_to_patch": changed(a["frame_to_patch"], 5, 0.0)}, "flattens"),
    "affine of integers": (lambda a: {"frame_to_patch": a["frame_to_patch"].astype(int)}, "type int64"),
    "a frame less": (
        lambda a: {"frame_to_patch": a["frame_to_patch"][:-1], "frame_view": a["frame_view"][:-1]},
        "ends after",
    ),
    "views of fewer frames": (lambda a: {"frame_view": a["frame_view"][:-1]}, "frame_view"),
    "a segment beyond the end": (lambda a: {"segment_frames": a["segment_frames"] + 1}, "ends after"),
    "a segment of nothing": (
        lambda a: {"segment_frames": changed(a["segment_frames"], 0, 0)},
        "segment_frames",
    ),
    "a segment before the start": (
        lambda a: {"segment_first": changed(a["segment_first"], 0, -1)},
        "segment_first",
    ),
    "a dead end": (
        lambda a: {"segment_to": changed(a["segment_to"], 0, "z")},
        "no segment goes on from anchor 'z'",
    ),
    "no idle life": (lambda a: {"segment_activity": np.full_like(a["segment_activity"], "speaking")}, "idle"),
    "an unknown activity": (
        lambda a: {"segment_activity": changed(a["segment_activity"], 1, "flying")},
        "flying",
    ),
    "names that are too long": (
        lambda a: {"segment_from": np.array(["a" * 40] * len(a["segment_from"]))},
        "32",
    ),
    "names of another count": (lambda a: {"segment_from": a["segment_from"][1:]}, "segment_from"),
    "views in disorder": (lambda a: {"views": a["views"][::-1]}, "grid"),
    "a view missing": (lambda a: {"views": a["views"][:-1]}, "grid"),
    "no rest": (lambda a: {"shapes": changed(a["shapes"], 0, 0.5)}, "rest"),
    "a shape twice": (lambda a: {"shapes": changed(a["shapes"], 2, a["shapes"][1])}, "twice"),
    "shapes out of range": (lambda a: {"shapes": changed(a["shapes"], (2, 0), 3.0)}, "shapes"),
    "shapes of six": (lambda a: {"shapes": a["shapes"][:, :6]}, "shapes"),
    "landmarks of other shapes": (lambda a: {"landmarks": a["landmarks"][:, :-1]}, "landmarks"),
    "landmarks mirrored": (
        lambda a: {"landmarks": a["landmarks"] * np.float32([-1, 1])},
        "corner at the viewer's left",
    ),
    "landmarks upside down": (lambda a: {"landmarks": a["landmarks"] * np.float32([1, -1])}, "upper lip"),
    "mask with an edge": (lambda a: {"mask": np.full_like(a["mask"], 255)}, "border"),
    "mask of nothing": (lambda a: {"mask": np.zeros_like(a["mask"])}, "nothing"),
    "mask of odd size": (lambda a: {"mask": a["mask"][:-1]}, "mask"),
    "mask of floats": (lambda a: {"mask": a["mask"].astype(np.float32)}, "mask"),
    "mask of 16 bits": (lambda a: {"mask": a["mask"].astype(np.uint16)}, "uint16"),
    "an unknown emotion": (lambda a: {"emotions": changed(a["emotions"], 0, "bored")}, "bored"),
    "neutral as emotion": (lambda a: {"emotions": changed(a["emotions"], 0, "neutral")}, "neutral"),
    "an emotion twice": (lambda a: {"emotions": changed(a["emotions"], 0, a["emotions"][1])}, "twice"),
    "flow of fewer": (lambda a: {"emotion_flow": a["emotion_flow"][:-1]}, "emotion_flow"),
    "flow too far": (lambda a: {"emotion_flow": changed(a["emotion_flow"], (0, 9, 9), 5000)}, "emotion_flow"),
    "ratio of another size": (lambda a: {"emotion_ratio": a["emotion_ratio"][:, :-1]}, "emotion_ratio"),
    "canvas without area": ({"face_canvas": np.zeros(4, np.float32)}, "area"),
    "objects": ({"shapes": np.array([{}, []], object)}, "type object"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_wrong_table_is_refused(folder: Path, good: Arrays, name: str) -> None:
    change, why = DAMAGE[name]
    put(folder, {**good, **(change(good) if callable(change) else change)})
    assert why in str(error_of(folder))


@pytest.mark.parametrize("name", ["version", "shapes", "mask", "emotion_flow", "segment_to"])
def test_a_missing_table_is_named(folder: Path, good: Arrays, name: str) -> None:
    put(folder, {k: v for k, v in good.items() if k != name})
    assert f"lacks '{name}'" in str(error_of(folder))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_cut_table_file_is_refused(folder: Path, share: float) -> None:
    path = folder / "face.npz"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    error_of(folder)


def test_bit_rot_in_the_tables_is_refused(folder: Path) -> None:
    path = folder / "face.npz"
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 4, len(data) // 2, 97):
        data[at] ^= 0xFF
    path.write_bytes(bytes(data))
    error_of(folder)


def test_a_bit_that_says_encrypted_is_damage(folder: Path) -> None:
    path = folder / "face.npz"
    data = bytearray(path.read_bytes())
    at = 0
    while (at := data.find(b"PK\x01\x02", at + 1)) > 0:
        data[at + 8] |= 1
    path.write_bytes(bytes(data))
    assert "is damaged" in str(error_of(folder))


def test_a_header_that_promises_terabytes_takes_no_memory(folder: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 7)}
    )
    source = zipfile.ZipFile(clip_persona.shared() / "face.npz")
    with zipfile.ZipFile(folder / "face.npz", "w") as target:
        for name in source.namelist():
            target.writestr(name, header.getvalue() if name == "shapes.npy" else source.read(name))
    assert "too large" in str(error_of(folder))


def test_a_table_that_is_shorter_than_its_header_says_is_damaged(folder: Path) -> None:
    source = zipfile.ZipFile(clip_persona.shared() / "face.npz")
    with zipfile.ZipFile(folder / "face.npz", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name)[: -8 if name == "shapes.npy" else None])
    assert "'shapes' is damaged" in str(error_of(folder))


def test_a_pickle_is_never_opened(folder: Path) -> None:
    (folder / "face.npz").write_bytes(b"cos\nsystem\n(S'touch /tmp/never'\ntR.")
    assert ".npz" in str(error_of(folder))


@pytest.mark.parametrize("file", ["life.mp4", "mouths.mp4"])
@pytest.mark.parametrize("damage", ["empty", "text", "half", "a table"])
def test_a_damaged_film_is_refused(folder: Path, file: str, damage: str) -> None:
    path = folder / file
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(
        {
            "empty": b"",
            "text": b"this is no film\n" * 100,
            "half": data[: len(data) // 2],
            "a table": (folder / "face.npz").read_bytes(),
        }[damage]
    )
    error_of(folder, file)


def test_mouths_with_rotten_pictures_are_refused(folder: Path) -> None:
    path = folder / "mouths.mp4"
    data = bytearray(path.read_bytes())
    path.unlink()
    for at in range(len(data) // 4, len(data) // 2, 53):
        data[at] ^= 0xFF
    path.write_bytes(bytes(data))
    error_of(folder, "mouths.mp4")


@pytest.mark.parametrize("file", ["face.npz", "life.mp4", "mouths.mp4"])
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(PersonaError, match=f"lacks the file {file}"):
        ClipScene(load_persona(str(folder)), 640, 360)


def test_films_in_each_others_place_are_refused(folder: Path) -> None:
    life, mouths = folder / "life.mp4", folder / "mouths.mp4"
    life.rename(folder / "x")
    mouths.rename(life)
    (folder / "x").rename(mouths)
    assert "face.npz tells of" in str(error_of(folder, "life.mp4"))


def test_a_film_of_another_length_is_refused(folder: Path) -> None:
    frames = clip_persona.Sitting(640, 360)
    picture, _ = frames.picture(frames.pose({}))
    (folder / "life.mp4").unlink()
    clip_persona.encode(folder / "life.mp4", [picture] * 20, {0})
    assert "holds 20 pictures" in str(error_of(folder, "life.mp4"))


def test_a_film_without_keyframes_at_the_segments_is_refused(folder: Path, good: Arrays) -> None:
    picture = clip_persona.Sitting(640, 360).picture(clip_persona.Sitting(640, 360).pose({}))[0]
    (folder / "life.mp4").unlink()
    clip_persona.encode(folder / "life.mp4", [picture] * len(good["frame_view"]), {0}, preset="ultrafast")
    assert "no keyframe where a segment begins" in str(error_of(folder, "life.mp4"))


def test_a_clip_persona_is_listed_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "personas"
    shutil.copytree(clip_persona.shared(), root / "pictures")
    monkeypatch.setattr("vcam_talker.persona.persona_dirs", lambda: [root])
    assert {p.title for p in list_personas()} == {"Picture Mira"}
    (root / "pictures" / "life.mp4").unlink()
    (broken,) = list_personas()
    assert "life.mp4" in broken.description


def test_a_face_file_outside_the_folder_is_refused(folder: Path) -> None:
    text = (folder / "persona.toml").read_text().replace('"clip"\n', '"clip"\nfile = "../face.npz"\n')
    (folder / "persona.toml").write_text(text)
    with pytest.raises(PersonaError, match="outside"):
        load_persona(str(folder))
