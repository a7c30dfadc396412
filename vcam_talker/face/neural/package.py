"""A model that draws lips, as a folder: `model.json` and the networks it names, checked by hash.

The format is described in docs/faces.md. Nothing here needs a package that runs networks.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from vcam_talker.config import LipsConfig
from vcam_talker.core.errors import ConfigError, EngineError
from vcam_talker.core.paths import data_dir
from vcam_talker.face.neural.region import Region
from vcam_talker.persona import Persona

log = logging.getLogger(__name__)

MODEL_FILE: Final = "model.json"
FORMAT: Final = 2
SHIPPED: Final = "lips"
"""Name of the model that comes with the package."""
NO_MODEL: Final = "shapes"
"""What a persona says that wants none."""
_MODELS: Final = Path(__file__).resolve().parents[2] / "models"
_MAX_JSON_BYTES: Final = 1_000_000
_MAX_PART_BYTES: Final = 2_000_000_000
_HASH = re.compile(r"[0-9a-f]{64}")
_PARTS: Final = {"pose": frozenset({"face", "mouth"}), "wav2lip": frozenset({"sound", "face", "mouth"})}
_CONDITIONS: Final = {"pose": "pose", "wav2lip": "mel"}
_REMEDY: Final = "Put an undamaged copy of the model there, or name another one in lips.model"
_NAMES: Final = "Give a model's name, or the path of its folder (with a slash in it)"

Condition = Literal["pose", "mel"]
"""What a network draws a mouth from: a mouth pose, or the sound around the moment."""


class _Lenient(BaseModel):
    """Frozen; further keys are other programs' business."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RegionSpec(_Lenient):
    """As `region.Region`; its shape follows from the size of the network's pictures."""

    mouth_at: tuple[Annotated[float, Field(ge=-2, le=3)], Annotated[float, Field(ge=-2, le=3)]]
    width_mouths: float = Field(gt=0.5, le=12)

    def region(self) -> Region:
        """Return it as what is computed with."""
        return Region(self.mouth_at, self.width_mouths)


class Part(_Lenient):
    """A file of the model."""

    file: str
    sha256: str

    @field_validator("file")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}", name):
            raise ValueError("is no plain file name")
        return name

    @field_validator("sha256")
    @classmethod
    def _hash(cls, value: str) -> str:
        if not _HASH.fullmatch(value):
            raise ValueError("is no SHA-256 in hexadecimal")
        return value


class Network(Part):
    """A network of the model: an ONNX file, maybe in other number formats as well."""

    variants: tuple[Part, ...] = ()


class ModelSpec(_Lenient):
    """What `model.json` says."""

    format: Literal[1, 2]
    """2 has the channels of kind `pose` last; for the other kind they are the same."""
    kind: Literal["pose", "wav2lip"]
    condition: Condition
    label: Annotated[str, Field(min_length=1, max_length=80)]
    size: tuple[Annotated[int, Field(ge=16, le=1024)], Annotated[int, Field(ge=16, le=1024)]]
    """Height and width of the network's pictures."""
    region: RegionSpec
    parts: dict[str, Network]
    plan: str = Field("", max_length=200)
    """Hash of the channel plan; empty: dense."""
    trained_on: str = Field("", max_length=500)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.kind == "pose" and self.format == 1:
            raise ValueError("is of format 1, whose channels come first; export it anew with this version")
        if self.condition != _CONDITIONS[self.kind]:
            raise ValueError(f"a model of kind '{self.kind}' draws from '{_CONDITIONS[self.kind]}'")
        if missing := _PARTS[self.kind] - set(self.parts):
            raise ValueError(f"lacks the parts {', '.join(sorted(missing))}")
        return self


@dataclass(frozen=True, slots=True)
class Package:
    """A model's folder, `model.json` read; the networks are looked at when they are opened."""

    folder: Path
    spec: ModelSpec
    digest: str
    """SHA-256 of `model.json`, which names the hashes of all else."""

    def network(self, part: str) -> tuple[Path, tuple[Path, ...]]:
        """Return the file of a part and those in other number formats, checked.

        One of these that is missing or damaged is left out, with a warning in the log: what is drawn is right
        without it. Raises EngineError over the part itself.
        """
        path, variants, faults = self.look(part)
        for fault in faults:
            log.warning("%s", fault)
        return path, variants

    def look(self, part: str) -> tuple[Path, tuple[Path, ...], list[EngineError]]:
        """Return what `network` does, and what is to be said of the variants that are left out."""
        network = self.spec.parts[part]
        path = self._checked(network)
        variants, faults = [], []
        for variant in network.variants:
            try:
                variants.append(self._checked(variant))
            except EngineError as e:
                command = f"vcam-talker models lips quantise {shlex.quote(str(self.folder))}"
                faults.append(
                    EngineError(e.what, f"{e.why}; '{part}' runs without it", f"To make it anew: {command}")
                )
        return path, tuple(variants), faults

    def _checked(self, part: Part) -> Path:
        path = self.folder / part.file
        try:
            if path.stat().st_size > _MAX_PART_BYTES:
                raise EngineError(str(path), "is larger than 2 GB", _REMEDY)
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as e:
            raise EngineError(str(path), f"can't be read ({e.strerror or e})", _REMEDY) from e
        if found != part.sha256:
            raise EngineError(str(path), f"is not the file that {MODEL_FILE} tells of", _REMEDY)
        return path


def load_package(folder: Path) -> Package:
    """Read `model.json`. Raises EngineError, which names the file, what is wrong and what to do."""
    path = folder / MODEL_FILE
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise EngineError(str(path), "is larger than 1 MB", _REMEDY)
        raw = path.read_bytes()
    except (OSError, ValueError) as e:  # the latter over a path that no file can have
        raise EngineError(str(path), f"can't be read ({_reason(e)})", _REMEDY) from e
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as e:
        raise EngineError(str(path), "is no JSON", _REMEDY) from e
    if isinstance(data, dict) and data.get("format", FORMAT) not in {1, FORMAT}:
        found = str(data["format"])[:20]
        raise EngineError(str(path), f"has format {found}, this program reads {FORMAT}", _REMEDY)
    try:
        spec = ModelSpec.model_validate(data)
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        why = first["msg"].removeprefix("Value error, ")
        raise EngineError(str(path), f"{where}: {why}" if where else why, _REMEDY) from e
    return Package(folder, spec, hashlib.sha256(raw).hexdigest())


def choose_model(persona: Persona, config: LipsConfig) -> Path | None:
    """Return the folder of the model that is to draw the persona's lips; None: none is to.

    None too when nothing was asked for and the shipped one is not there. Raises ConfigError for a name
    that is not known, or can be none.
    """
    if config.enabled == "off" or persona.face.kind != "clip":
        return None
    if NO_MODEL in {config.model, persona.face.lips}:
        return None
    if config.model:
        return find_model(config.model, Path())
    if persona.face.lips:
        return find_model(persona.face.lips, persona.root)
    shipped = _MODELS / SHIPPED
    return shipped if (shipped / MODEL_FILE).is_file() else None


def user_models() -> Path:
    """Return the folder of the user's own models, named as their folders in it are; it may not exist."""
    return data_dir() / "models" / "lips"


def meaning(name: str) -> str:
    """Return in words what a name means already, so that no model of the user's may have it; "": nothing.

    Capital letters make no difference: to some file systems they make none either.
    """
    if name.casefold() == NO_MODEL:
        return "means no network at all"
    shipped = {file.parent.name.casefold() for file in _MODELS.glob(f"*/{MODEL_FILE}")} | {SHIPPED}
    if name.casefold() in shipped:
        return "is the name of a model that comes with vcam-talker"
    return "can only be a path" if "/" in name or "\\" in name else ""


def find_model(name: str, beside: Path) -> Path:
    """Return the folder of a model: a path (relative to `beside`), or a name, the user's own first.

    A path need not lead anywhere. Raises ConfigError for a name that is not known, and for what no file
    system takes: a name too long, the home of nobody, a character that can't be.
    """
    try:
        return _find(name, beside)
    except (OSError, RuntimeError, ValueError) as e:
        raise ConfigError(f"lips '{_shown(name)}'", f"can't be looked for ({_reason(e)})", _NAMES) from e


def _find(name: str, beside: Path) -> Path:
    if "/" in name or "\\" in name:
        return (beside / Path(name).expanduser()).resolve()
    places = [user_models() / name, _MODELS / name]
    for place in places:
        if (place / MODEL_FILE).is_file():
            return place
    known = sorted({file.parent.name for p in places for file in p.parent.glob(f"*/{MODEL_FILE}")})
    hint = f"There are: {', '.join(known)}" if known else f"Put it into {places[0]}"
    raise ConfigError(f"lips '{_shown(name)}'", "no such model", hint)


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[:80])


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.rstrip(".")
