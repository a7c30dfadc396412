"""Other forms of a model's networks, entered in its folder: at every moment it is a model that works.

A form lies under a name that its content makes, `mouth.int8.0123456789ab.onnx`: a new one takes no file away
from the `model.json` of before, which is replaced last, and at once for all parts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from vcam_talker.nets.export import MODEL_FILE, ExportError, sha256_of, write_json

_NAMED_BY: Final = 12
"""Hexadecimal digits of the SHA-256."""
_ABANDONED_S: Final = 600
"""Nobody copies for so long without writing a byte: such a file is a killed process's."""


def add_variants(folder: Path, files: Mapping[str, Path], form: str = "int8") -> dict[str, Path]:
    """Copy `files`, parts of a model in another form, into its folder and enter them in its `model.json`.

    The daemon may then run either. A variant that was there in the same form is replaced; its file goes when
    nothing names it any more. Killed at any moment, this leaves the old or the new variants behind, all of
    them whole, and at most some half of a file that a later call removes. Returns where the parts lie now.
    Raises ExportError; the old variants are left then.
    """
    what = f"model folder {folder}"
    try:
        model = json.loads((folder / MODEL_FILE).read_bytes())
        placed = {}
        for part, file in files.items():
            network = model["parts"][part]
            others = [v for v in network.get("variants", []) if not _is_form(v["file"], part, form)]
            sha256 = sha256_of(file)
            placed[part] = folder / f"{part}.{form}.{sha256[:_NAMED_BY]}.onnx"
            network["variants"] = [*others, {"file": placed[part].name, "sha256": sha256}]
        _remove_abandoned(folder)  # first: the disk may be full of it
        for part, file in files.items():
            _copy(file, placed[part])
        write_json(folder / MODEL_FILE, model)
    except (LookupError, TypeError, ValueError, AttributeError) as e:
        why = f"its {MODEL_FILE} is damaged, or lacks one of the parts {', '.join(files)}"
        raise ExportError(what, why, "Export it anew") from e
    except OSError as e:
        raise ExportError(what, f"can't be changed ({e.strerror or e})") from e
    _remove_unnamed(folder, model, files, form)
    return placed


def _is_form(name: str, part: str, form: str) -> bool:
    """Tell whether a file is that form of a part; `mouth.int8.onnx` is what earlier versions wrote."""
    by_content = rf"(\.[0-9a-f]{{{_NAMED_BY}}})?"
    return re.fullmatch(rf"{re.escape(part)}\.{re.escape(form)}{by_content}\.onnx", name) is not None


def _copy(file: Path, to: Path) -> None:
    """Copy a file; `to` appears only whole."""
    partial = to.with_name(f".{to.name}.{os.getpid()}.part")
    try:
        shutil.copyfile(file, partial)
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove halves of files that killed processes have left: by age, for one may be copying right now."""
    before_s = time.time() - _ABANDONED_S
    for file in folder.glob(".*.part"):
        if re.fullmatch(rf"\.({re.escape(MODEL_FILE)}|.+\.onnx)\.[0-9]+\.part", file.name):
            with suppress(OSError):  # the process lives and was quicker, or Windows has the file open
                if file.stat().st_mtime < before_s:
                    file.unlink()


def _remove_unnamed(folder: Path, model: Mapping[str, Any], parts: Iterable[str], form: str) -> None:
    """Remove what was replaced, and what a killed run had copied and not entered."""
    networks = model["parts"].values()
    named = {each["file"] for network in networks for each in (network, *network.get("variants", []))}
    for file in folder.glob(f"*.{form}*.onnx"):
        if file.name not in named and any(_is_form(file.name, part, form) for part in parts):
            with suppress(OSError):  # Windows: one that the daemon has open; the next run removes it
                file.unlink(missing_ok=True)
