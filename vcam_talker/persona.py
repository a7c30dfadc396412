"""A persona: `personas/NAME/persona.toml` with face, voice, character, lines, products, idle style."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from vcam_talker.core.errors import PersonaError
from vcam_talker.core.language import canonical_language
from vcam_talker.core.paths import builtin_dir, config_dir
from vcam_talker.core.status import PersonaSummary
from vcam_talker.core.text import unknown_emotion
from vcam_talker.core.types import Emotion, VoiceSpec
from vcam_talker.tomlfile import load_model, matching

PERSONA_FILE = "persona.toml"
CLIP_FILE: Final = "life.mp4"
MOUTHS_FILE: Final = "mouths.mp4"
"""Of a presenter made of pictures, beside persona.toml."""
_FACE_FILES: Final = {"rig": "rig.toml", "clip": "face.npz"}
"""What `face.file` is unless said otherwise."""

FACT_KINDS: Final = (
    "price",
    "discount",
    "shipping",
    "returns",
    "warranty",
    "material",
    "size",
    "weight",
    "colour",
    "stock",
    "care",
    "origin",
    "about",
)
"""What viewers ask of any product; how they ask it is known. `about`: what it is."""

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{1,8})*")


def _language_tag(tag: str) -> str:
    if not _TAG.fullmatch(tag):
        raise ValueError("is no language tag, such as en, de, cmn")
    return canonical_language(tag)


def _known_emotion(line: str) -> str:
    word, meant = unknown_emotion(line)
    if word and word.islower():
        hint = f"did you mean [{meant}]?" if meant else f"there are {', '.join(Emotion)}"
        raise ValueError(f"[{word}] is no emotion; {hint}")
    return line


Tag = Annotated[str, AfterValidator(_language_tag)]
"""BCP 47 language tag: `en`, `cmn`, `de`; `zh` is taken for `cmn`."""
SpokenLine = Annotated[Line, AfterValidator(_known_emotion)]
"""What the persona says; a bracketed word at its start must be an emotion."""


class Section(BaseModel):
    """Frozen; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FaceSection(Section):
    """Which scene draws the presenter, and from which file."""

    kind: Literal["rig", "clip", "testcard", "still"] = "rig"
    """A vector rig drawn anew for every frame, a presenter made of pictures, a test card, a plain card."""
    file: str = ""
    """Beside persona.toml; what it holds is the scene's business. Default: rig.toml of a rig, face.npz of a
    clip, none of the others."""
    seed: int = 1
    """Of the idle life: blinks, sway, gaze; of a clip: the order of its segments."""
    lips: str = Field("", max_length=4096)
    """Of a clip, the network that draws its mouths: a model's name, a folder (with a slash in it, such as
    `./lips` beside persona.toml), or `shapes` for none. Empty: the one that is shipped."""
    disclosure: Annotated[str, StringConstraints(strip_whitespace=True, max_length=60)] = ""
    """Drawn small into a corner of every frame, such as "AI presenter"; empty: nothing is."""

    @model_validator(mode="before")
    @classmethod
    def _file_of_its_kind(cls, data: object) -> object:
        if isinstance(data, Mapping) and "file" not in data:
            return {**data, "file": _FACE_FILES.get(str(data.get("kind", "rig")), "")}
        return data

    @property
    def files(self) -> tuple[str, ...]:
        """Names of all files that any face of its kind needs, beside persona.toml; the first is `file`."""
        if self.kind == "clip":
            return (self.file, CLIP_FILE)
        return (self.file,) if self.kind == "rig" else ()


class VoiceSection(Section):
    """One voice."""

    engine: Literal["flite", "espeak-ng", "tone"]
    name: str = Field(min_length=1, max_length=100)
    rate: float = Field(1.0, ge=0.5, le=2.0)
    pitch_semitones: float = Field(0.0, ge=-12, le=12)
    gain_db: float = Field(0.0, ge=-24, le=12)

    def spec(self, language: str) -> VoiceSpec:
        """Return the voice as the synthesizers take it."""
        name = self.name
        if self.engine == "espeak-ng":  # its voices are named by language
            base, plus, variant = name.partition("+")
            name = canonical_language(base) + plus + variant
        return VoiceSpec(self.engine, name, language, self.rate, self.pitch_semitones, self.gain_db)


class IdleSection(Section):
    """How lively the presenter is when nothing happens; 1 is the scene's own measure."""

    sway: float = Field(1.0, ge=0, le=3)
    breath: float = Field(1.0, ge=0, le=3)
    gaze: float = Field(1.0, ge=0, le=3)
    blinks_per_min: float = Field(15.0, ge=0, le=60)


class EmotionSection(Section):
    """The face at rest, and how strongly emotions show."""

    default: Emotion = Emotion.NEUTRAL
    strength: float = Field(1.0, ge=0, le=2)


class LineSection(Section):
    """What to answer to what."""

    match: tuple[Line, ...] = Field(min_length=1)
    """Ways to ask, in any of the persona's languages."""
    say: tuple[SpokenLine, ...] = Field(min_length=1)
    """Answers, one is chosen; may start with an emotion tag: `[happy] Hello!`."""
    language: Tag | None = None
    """Of `say`; default: the persona's."""


class BrainSection(Section):
    """What a language model is told; viewers never hear it as it stands."""

    prompt: str = Field("", max_length=4000)
    """Character: who she is, how she talks, what she cares about."""
    facts: tuple[Annotated[Line, Field(max_length=300)], ...] = Field((), max_length=100)
    """What she knows for certain, a sentence each."""


class FactSection(Section):
    """One thing that is known about a product."""

    about: Annotated[str, matching(r"[a-z][a-z_]{0,31}", "is no name of a fact: use up to 32 of a-z and _")]
    """One of FACT_KINDS, or a name of its own; that needs `ask`."""
    ask: tuple[Annotated[Line, Field(max_length=200)], ...] = ()
    """Further ways to ask, with or without `{product}`."""
    say: SpokenLine
    language: Tag | None = None
    """Of `say`; default: the persona's."""

    @model_validator(mode="after")
    def _known_or_asked(self) -> Self:
        if self.about not in FACT_KINDS and not self.ask:
            near = difflib.get_close_matches(self.about, FACT_KINDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known without are {', '.join(FACT_KINDS)}"
            raise ValueError(f"about = '{self.about}' needs `ask`, ways to ask for it; {hint}")
        return self


class ProductSection(Section):
    """Something that is for sale, and all that may be said about it."""

    name: Annotated[Line, Field(max_length=100)]
    aliases: tuple[Annotated[Line, Field(max_length=100)], ...] = ()
    """What else viewers call it, in any language."""
    facts: tuple[FactSection, ...] = ()


class Persona(Section):
    """A whole persona; `root` is where its files lie."""

    title: Line
    """The name viewers see."""
    description: str = Field("", max_length=500)
    language: Tag = "en"
    greeting: tuple[SpokenLine, ...] = ()
    """Spoken when going on air; one is chosen."""
    fallback: tuple[SpokenLine, ...] = Field(min_length=1)
    """Answers when nothing matches, in the persona's language."""
    fallback_by_language: dict[Tag, tuple[SpokenLine, ...]] = {}
    face: FaceSection = FaceSection()
    voice: VoiceSection
    voices: dict[Tag, VoiceSection] = {}
    """Voices for further languages."""
    idle: IdleSection = IdleSection()
    emotions: EmotionSection = EmotionSection()
    lines: tuple[LineSection, ...] = ()
    quiet: tuple[SpokenLine, ...] = ()
    """Said when the room is quiet, none twice within an hour; each in any language."""
    brain: BrainSection = BrainSection()
    products: tuple[ProductSection, ...] = Field((), max_length=500)
    unknown_fact: tuple[SpokenLine, ...] = ()
    """Said when something is asked of a product that no fact answers, with `{product}`; a line for each
    language, told by its script. Empty: the built-in ones in English and Mandarin."""

    root: Path = Path()
    name: str = ""

    @field_validator("voices", "fallback_by_language", mode="before")
    @classmethod
    def _each_language_once(cls, value: object) -> object:
        if isinstance(value, Mapping):
            seen: dict[str, str] = {}
            for tag in map(str, value):
                first = seen.setdefault(canonical_language(tag), tag)
                if first != tag:
                    raise ValueError(f"'{first}' and '{tag}' are one language; keep one of them")
        return value

    @field_validator("products")
    @classmethod
    def _each_name_once(cls, value: tuple[ProductSection, ...]) -> tuple[ProductSection, ...]:
        owner: dict[str, str] = {}
        for product in value:
            for called in {" ".join(n.casefold().split()) for n in (product.name, *product.aliases)}:
                if called in owner:
                    raise ValueError(f"'{called}' names both '{owner[called]}' and '{product.name}'")
                owner[called] = product.name
        return value

    def voice_for(self, language: str) -> VoiceSpec:
        """Return the voice that speaks `language` (empty: the persona's own)."""
        tag = canonical_language(language) or self.language
        if tag == self.language or (self.voice.engine == "tone" and tag not in self.voices):
            return self.voice.spec(tag)
        if tag in self.voices:
            return self.voices[tag].spec(tag)
        # No voice was chosen for this language: espeak-ng speaks a hundred, named by their tag.
        return VoiceSpec("espeak-ng", tag, tag)

    def summary(self) -> PersonaSummary:
        """Return what a list of personas shows."""
        return PersonaSummary(self.name, self.title, self.language, self.description)


def persona_dirs() -> list[Path]:
    """Return where personas are looked for, the user's own first."""
    return [config_dir() / "personas", builtin_dir("personas")]


def load_persona(name: str) -> Persona:
    """Return the persona called `name`, or the one in the folder that `name` is the path of.

    Raises PersonaError for an unknown name (with the nearest one), a malformed file or a missing asset.
    """
    root = _find(name)
    persona = load_model(root / PERSONA_FILE, Persona, PersonaError)
    persona = persona.model_copy(update={"root": root, "name": root.name})
    for file in persona.face.files:
        asset = (root / file).resolve()
        if not asset.is_relative_to(root.resolve()):
            raise PersonaError(
                f"persona '{name}'",
                f"'face.file' points outside its folder ({file})",
                "Keep the file beside persona.toml",
            )
        if not asset.is_file():
            named = " named by 'face.file'" if file == persona.face.file else " of its face"
            raise PersonaError(f"persona '{name}'", f"lacks the file {file}{named}", f"Put it into {root}")
    return persona


def list_personas() -> list[PersonaSummary]:
    """Return every persona that loads, by name; the user's own hide built-in ones of the same name."""
    found: dict[str, PersonaSummary] = {}
    for directory in persona_dirs():
        for file in sorted(directory.glob(f"*/{PERSONA_FILE}")):
            if file.parent.name not in found:
                try:
                    found[file.parent.name] = load_persona(str(file.parent)).summary()
                except PersonaError as e:
                    found[file.parent.name] = PersonaSummary(
                        file.parent.name, file.parent.name, "", f"unusable: {e}"
                    )
    return [found[name] for name in sorted(found)]


def _find(name: str) -> Path:
    if "/" in name or "\\" in name:
        path = Path(name).expanduser()
        if (path / PERSONA_FILE).is_file():
            return path.resolve()
        raise PersonaError(
            f"persona '{name}'", f"no {PERSONA_FILE} in that folder", "Name a folder that holds one"
        )
    for directory in persona_dirs():
        if (directory / name / PERSONA_FILE).is_file():
            return directory / name
    known = sorted({f.parent.name for d in persona_dirs() for f in d.glob(f"*/{PERSONA_FILE}")})
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(known) or 'none'}"
    raise PersonaError(f"persona '{name[:80]}'", "no such persona", hint)
