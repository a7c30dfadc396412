"""Whisper models on this machine: where they lie, which there are, what a folder of one must hold."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from vcam_talker.core.errors import EngineError
from vcam_talker.core.extras import how_to_install
from vcam_talker.core.paths import data_dir

MANIFEST: Final = "vcam-talker.json"
"""Beside a model that `vcam-talker models get` fetched: where it came from, what it must be."""
NEEDED: Final = ("config.json", "tokenizer.json", "model.bin")
"""And one of VOCABULARIES."""
VOCABULARIES: Final = ("vocabulary.json", "vocabulary.txt")
OPTIONAL: Final = ("preprocessor_config.json",)
"""Models of 80 mel bands do without; those of 128 don't."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_JSON_BYTES: Final = 64_000_000
_CONVERT: Final = (
    "Convert it: ct2-transformers-converter --quantization int8"
    " --copy_files tokenizer.json preprocessor_config.json"
)


class FileRecord(BaseModel):
    """One file of a model as the hub described it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    size: int
    """Bytes."""
    digest: str
    """Hexadecimal."""
    digest_kind: str
    """`sha256`, or `git-sha1` for small files that the hub keeps in git."""


class Manifest(BaseModel):
    """What `models get` writes last, when everything is whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    name: str
    repository: str
    revision: str
    """The commit."""
    source: str
    """Address of the hub or mirror, without credentials."""
    files: tuple[FileRecord, ...]


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model in the user's folder of models."""

    name: str
    folder: Path
    size_bytes: int
    repository: str
    """Empty when it was put there by hand."""
    source: str
    problem: str
    """Why it can't be used; empty when it can, as far as a look without loading tells."""


def models_dir() -> Path:
    """Return the folder that holds one folder for each model."""
    return data_dir() / "models" / "whisper"


def is_folder(model: str) -> bool:
    """Tell whether `ears.model` means a folder (it has a slash, or begins with `~`) rather than a name."""
    return "/" in model or "\\" in model or model.startswith("~")


def folder_of(model: str) -> Path:
    """Return where a model is or would be, by name or folder. Raises EngineError for what can't be a name."""
    if is_folder(model):
        return Path(model).expanduser()
    if _NAME.fullmatch(model) is None:
        raise EngineError(
            f"model {model[:80]!r}", "is neither a name nor a folder", "See: vcam-talker models list"
        )
    return models_dir() / model


def is_there(model: str) -> bool:
    """Tell whether the folder of `ears.model` exists; whether it is whole is `find_model`'s to say."""
    return (_NAME.fullmatch(model) is not None or is_folder(model)) and folder_of(model).is_dir()


def find_model(model: str) -> Path:
    """Return the folder of a whole model by name or folder. Reads a few MB of JSON; does not load the model.

    Raises EngineError naming what is missing or damaged, and the command that mends it.
    """
    folder = folder_of(model)
    name = f"model {model[-200:]!r}"
    if not folder.is_dir():
        if is_folder(model):
            raise EngineError(
                name, "no such folder", "Set ears.model to a folder that holds a model, or to a name"
            )
        raise EngineError(name, "is not on this machine", _how_to_get(model))
    if problem := problem_of(folder):
        own = folder.parent == models_dir() and read_manifest(folder) is not None
        remedy = f"Fetch it again: vcam-talker models get {folder.name}" if own else _remedy(folder)
        raise EngineError(name, problem, remedy)
    return folder


def known_models() -> dict[str, str]:
    """Return every name that faster-whisper knows, and the hub's repository of each (`owner/name`).

    Reads the table out of its source: importing it takes a second and 100 MB. Raises EngineError when it is
    not installed.
    """
    spec = importlib.util.find_spec("faster_whisper")
    if spec is None or spec.origin is None:
        raise EngineError("faster-whisper", "is not installed", how_to_install("asr"))
    source = Path(spec.origin).with_name("utils.py").read_text(encoding="utf-8")
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "_MODELS":
            return dict(ast.literal_eval(statement.value))
    raise EngineError("faster-whisper", "has no table of models", "Install another version of it")


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return the known name that `name` resembles, or an empty one. Pure."""
    return next(iter(difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.5)), "")


def problem_of(folder: Path) -> str:
    """Return in words what is missing or damaged in a model's folder, without loading it; else nothing."""
    names = [*NEEDED, next((v for v in VOCABULARIES if (folder / v).exists()), VOCABULARIES[0])]
    names += [o for o in OPTIONAL if (folder / o).exists()]
    manifest = read_manifest(folder)
    sizes = {f.name: f.size for f in manifest.files} if manifest else {}
    for name in [*sizes, *(n for n in names if n not in sizes)]:
        try:
            size = (folder / name).stat().st_size
            if size == 0:
                return f"{name} in {folder} is empty"
            if name in sizes and size != sizes[name]:
                return f"{name} in {folder} is {size:,} bytes long instead of {sizes[name]:,}"
            if name.endswith(".json") and not _is_json(folder / name):
                return f"{name} in {folder} is damaged: it is no JSON object or list"
        except FileNotFoundError:
            return f"{name} is missing in {folder}"
        except OSError as e:
            return f"{name} in {folder} can't be read ({e.strerror or e})"
    return ""


def installed() -> list[InstalledModel]:
    """Return the models in the user's folder, by name. Touches the disk only."""
    directory = models_dir()
    if not directory.is_dir():
        return []
    found = []
    for folder in sorted(f for f in directory.iterdir() if f.is_dir() and not f.name.startswith(".")):
        manifest = read_manifest(folder)
        size_bytes = sum(f.stat().st_size for f in folder.iterdir() if f.is_file())
        repository, source = (manifest.repository, manifest.source) if manifest else ("", "")
        found.append(InstalledModel(folder.name, folder, size_bytes, repository, source, problem_of(folder)))
    return found


def read_manifest(folder: Path) -> Manifest | None:
    """Return what is known of a fetched model; None for one put there by hand, or when that is damaged."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return None


def _is_json(path: Path) -> bool:
    if path.stat().st_size > _MAX_JSON_BYTES:
        return False
    try:
        value: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict | list)


def _how_to_get(name: str) -> str:
    known = known_models()
    if name in known:
        return f"Fetch it: vcam-talker models get {name}"
    near = nearest_name(name, known)
    return (
        f"Did you mean '{near}'? Then: vcam-talker models get {near}"
        if near
        else f"There are: {', '.join(known)}"
    )


def _remedy(folder: Path) -> str:
    if any(folder.glob("*.safetensors")) or (folder / "pytorch_model.bin").exists():
        return f"It is a model of another kind. {_CONVERT}"
    return "Set ears.model to a whole CTranslate2 model, or fetch one: vcam-talker models get base"
