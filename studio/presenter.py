"""A character's body as surfaces that can be posed: skin, eyes, teeth, tongue, clothes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from studio.character import Character, linear
from studio.garment import Garment, read_garment
from studio.hairline import Head, scalp
from studio.identity import macro_weights
from studio.landmarks import OUTER_LIPS
from studio.life import inside, lids, lips
from studio.life.expressions import Expression, express
from studio.masks import sample_mask
from studio.mesh import Faces, Mesh, Points, read_obj
from studio.morphs import Morphs
from studio.pack import HeadPack, Indices
from studio.pose import Pose
from studio.rotation import Rotation, about, head_rotation, turning
from studio.skin import Places, paint
from studio.subdivide import Shading, refine, triangles
from studio.surface import Material, Surface, Vectors
from studio.wear import made
from studio.wear_fit import EAR_LOBE, EAR_TOP, Face

_BODY_END: Final = 13380
_ENAMEL_POINTS: Final = 63
_BALL_POINTS: Final = 276
_NOT_HEAD: Final = (
    "spine",
    "breast",
    "clavicle",
    "shoulder",
    "upperarm",
    "lowerarm",
    "wrist",
    "finger",
    "metacarpal",
    "pelvis",
    "root",
    "leg",
    "foot",
    "toe",
    "neck",
)
_BEHIND_LIP_DM: Final = 0.02
_ARM: Final = ("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
_TIES: Final = {
    "male_elegantsuit01": (
        (4.9, 5.0, 5.85, 5.87, 6.14, 6.16, 6.32, 6.33, 6.45),
        (0.27, 0.27, 0.26, 0.20, 0.20, 0.165, 0.165, 0.08, 0.08),
    )
}
"""Garments with a tie in the shirt's mesh: heights, half its width there; its file's decimetres."""
_MOVED: Final = (Pose(), Pose(lids=(1.0, 1.0)), Pose(smile=1.0, squint=1.0), Pose(brow_up=(-1.0, -1.0)))
"""What glasses have to leave room for."""
_NECK_SHARES: Final = {"neck01": 0.2, "neck02": 0.45, "neck03": 0.75}


@dataclass(frozen=True, slots=True)
class Fineness:
    """How much of a presenter is made, and how smooth; the default is for large pictures."""

    skin: int = 2
    """How often the skin is refined."""
    parts: int = 1
    """How often teeth, tongue and clothes are."""
    below_jaw_dm: float = 4.2
    """What is further down is not made."""


@dataclass(frozen=True, slots=True)
class Posed:
    """All that moved."""

    points: dict[str, Vectors]
    """Of each surface by name."""
    normals: dict[str, Vectors]
    body: Points
    """float64[19158, 3]: the body with helpers, head turned."""
    local_body: Points
    """The same before the head was turned: what brows, lashes and hair are bound to."""
    head: Rotation
    pivot: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]
    """Of the head, on top of its rotation about the pivot."""
    eyes: Points
    """float64[2, 3]: the middles of the eyeballs, the character's left one first."""
    gaze: tuple[Rotation, Rotation]
    """Of the eyeballs, which rest looking along +z."""

    def turned(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return what is fixed to the skull (float64[..., 3], head not turned) where it is now."""
        return np.asarray((points - self.pivot) @ self.head.T + self.pivot + self.offset)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """How a surface hangs on the body."""

    surface: Surface
    weights: sparse.csr_array
    """Fine points from coarse ones."""
    garment: Garment | None
    """None: the body itself."""
    rows: Indices
    """Of the body's or the garment's points; the garment has been brought down to them."""
    on_head: bool
    shading: Shading


class Presenter:
    """Poses one character. Building takes a second or two; posing some milliseconds. One thread."""

    def __init__(self, pack: HeadPack, character: Character, fineness: Fineness | None = None) -> None:
        """Raise StudioError for what the pack does not have."""
        self._fineness = fineness or Fineness()
        self.character = character
        self._pack = pack
        self._morphs = pack.kept(Morphs, pack.targets)
        self._base = pack.kept(read_obj, pack.base_mesh)
        self._bones = pack.bone_weights()
        self.origin = max(character.who.origin, key=lambda name: character.who.origin[name])
        self._rest = self._arms_down(self._shaped())
        head = sum(
            (self._bone(b) for b in self._bones if not b.startswith(_NOT_HEAD)), np.zeros(len(self._rest))
        )
        neck = sum((share * self._bone(b) for b, share in _NECK_SHARES.items()), np.zeros(len(self._rest)))
        self._with_head = np.clip(head + neck, 0.0, 1.0)
        self._shoulders = np.clip(
            sum(
                (self._bone(b) for b in self._bones if b.startswith(("clavicle", "shoulder", *_ARM))),
                neck * 0,
            )
            + 0.6 * self._bone("spine01")
            + 0.25 * self._bone("spine02"),
            0.0,
            1.0,
        )
        self._chest = np.clip(
            self._bone("spine01") + 0.6 * self._bone("spine02") + self._bones_of("breast"), 0, 1
        )
        self._shifts = (0.5 + 0.5 * self._with_head)[:, None]
        self._rises = np.maximum(self._shoulders, self._with_head * 0.8)
        self._swells = self._chest * (1 - self._with_head)
        self.pivot = 0.35 * self.joint("neck") + 0.65 * self.joint("head")
        self.eyes = np.stack((self.joint("l-eye"), self.joint("r-eye")))
        self._lowest = float(self.joint("jaw")[1]) - self._fineness.below_jaw_dm
        self._build()

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """All parts, in the order of drawing."""
        return (*(part.surface for part in self._parts), *(part.surface for part in self._rigid))

    @property
    def rest(self) -> Points:
        """float64[19158, 3]: the body with helpers, arms down, expressionless."""
        return self._rest

    @property
    def base(self) -> Mesh:
        """The pack's base mesh: faces and texture coordinates."""
        return self._base

    @property
    def clothes(self) -> Garment:
        """The garment that it wears."""
        return self._clothes

    @property
    def pack(self) -> HeadPack:
        """Where its parts come from."""
        return self._pack

    def joint(self, name: str) -> npt.NDArray[np.float64]:
        """Return the place of a joint at rest, float64[3]."""
        return np.asarray(self._rest[self._pack.group(f"joint-{name}")].mean(0))

    def body(self, units: Mapping[str, float]) -> Points:
        """Return the body (float64[19158, 3]) with expression units (or any targets) of the given weights."""
        return self._morphs.moved(self._rest, {self._target(name): w for name, w in units.items()})

    def _worn(self, part: _Fitted, posed: Posed) -> Points:
        """Return a part's coarse points."""
        if part.garment is None:
            return posed.body[part.rows]
        if not part.on_head:
            return part.garment.fitted(posed.body)
        points = part.garment.fitted(posed.local_body)
        if part.surface.inside.all():
            # Jaws of a small chin are larger than it: what no mouth shows stays behind the lip.
            points[:, 1] = np.maximum(points[:, 1], posed.local_body[OUTER_LIPS[15], 1] + _BEHIND_LIP_DM)
        return posed.turned(points)

    def expressed(self, expression: Expression) -> Points:
        """Return the body (float64[19158, 3]) with an expression: lips and lids meet, the tongue follows."""
        mouth = expression.mouth
        found = self.body(expression.units)
        found = inside.arrange(found, self._rest, mouth.jaw, mouth.tongue_up, mouth.tongue_out)
        found = lips.meet(found, mouth.closing, mouth.biting, mouth.pressing)
        # The viewer's left eye is the character's right one.
        return lids.meet(found, expression.shut, self.eyes[::-1])

    def _target(self, name: str) -> str:
        return name if "/" in name else f"expression/units/{self.origin}/{name}"

    def at_rest(self) -> Posed:
        """Return it looking ahead, doing nothing."""
        return self.posed(Pose(), self.eyes.mean(0) + np.array([0.0, 0.0, 20.0]))

    def posed(self, pose: Pose, camera: npt.NDArray[np.float64]) -> Posed:
        """Return everything in `pose`; the eyes look at `camera` (float64[3]) unless the pose says else."""
        local = self.expressed(express(pose, self.character.rest))
        turn = head_rotation(pose.yaw_deg, pose.pitch_deg, pose.roll_deg)
        shift = np.array([0.1 * pose.shift_cm, 0.0, 0.1 * pose.lean_cm])
        breath = 0.5 * (pose.breath + 1.0)
        body = local + self._with_head[:, None] * ((local - self.pivot) @ turn.T + self.pivot - local)
        body += self._shifts * shift
        body[:, 1] += 0.035 * breath * self._rises
        body[:, 2] += 0.045 * breath * self._swells
        offset = shift + np.array([0.0, 0.028 * breath, 0.0])
        eyes = (self.eyes - self.pivot) @ turn.T + self.pivot + offset
        aside = head_rotation(pose.gaze_right_deg, pose.gaze_up_deg, 0.0)
        left, right = (aside @ turning(camera - eye) for eye in eyes)
        posed = Posed({}, {}, body, local, turn, self.pivot, offset, eyes, (left, right))
        for part in self._parts:
            coarse = self._worn(part, posed)
            if part.surface.material == "eye":
                side = 0 if part.surface.name == "eye-left" else 1
                # It came turned with the head: back, then towards the target.
                coarse = (coarse - eyes[side]) @ turn @ posed.gaze[side].T + eyes[side]
            points = np.asarray(part.weights @ coarse.astype(np.float32), np.float32)
            posed.points[part.surface.name] = points
            posed.normals[part.surface.name] = part.shading.normals(points)
        for fixed in self._rigid:
            name = fixed.surface.name
            posed.points[name], posed.normals[name] = fixed.placed(posed.turned, turn)
        return posed

    def _shaped(self) -> Points:
        who = self.character.who
        weights = dict(macro_weights(who.identity(), self._morphs))
        for name, weight in who.targets.items():
            for full in [name.replace("{side}", s) for s in "lr"] if "{side}" in name else [name]:
                weights[full] = weights.get(full, 0.0) + weight
        return self._morphs.moved(self._base.points, weights)

    def _arms_down(self, points: Points) -> Points:
        """Return the body out of the A pose, the arms at its sides."""
        for side, sign in (("L", 1), ("R", -1)):
            arm = np.clip(
                sum(
                    self._bone(b) for b in self._bones if b.endswith(f".{side}") and any(a in b for a in _ARM)
                ),
                0,
                1,
            )
            shoulder = np.clip(arm + self._bone(f"shoulder01.{side}"), 0, 1)
            for weight, joint, degrees in ((shoulder, "clavicle", 8.0), (arm, "shoulder", 32.0)):
                middle = points[self._pack.group(f"joint-{side.lower()}-{joint}")].mean(0)
                turned = (points - middle) @ about("z", -sign * degrees).T + middle
                points = points + weight[:, None] * (turned - points)
        return points

    def _bone(self, name: str) -> npt.NDArray[np.float64]:
        found = np.zeros(len(self._base.points))
        if name in self._bones:
            rows, weights = self._bones[name]
            found[rows] = weights
        return found

    def _bones_of(self, start: str) -> npt.NDArray[np.float64]:
        return sum(
            (self._bone(b) for b in self._bones if b.startswith(start)), np.zeros(len(self._base.points))
        )

    def _build(self) -> None:
        self._clothes = self._pack.kept(
            read_garment, self._pack.part("clothes", self.character.clothes.garment)
        )
        self._parts: list[_Fitted] = []
        self._add_skin()
        data = self._pack.root / "makehuman" / "data" / "eyes" / "high-poly" / "high-poly.mhclo"
        self._add_eyes(self._pack.kept(read_garment, data))
        self._add_teeth(self._pack.kept(read_garment, self._pack.part("teeth", "teeth_base")))
        tongue = self._pack.kept(read_garment, self._pack.part("tongue", "tongue01"))
        self._add(
            "tongue", "tongue", tongue, tongue.mesh.faces, ((0.42, 0.11, 0.10), 0.55, 1.0), on_head=True
        )
        self._add_clothes()
        worn = self.character.clothes
        bare = worn.glasses == "none" and not worn.earrings
        self._rigid = () if bare else made(self._face(), worn, fine=self._fineness.skin > 0)

    def _face(self) -> Face:
        """Return the measures of the head that glasses are made to."""
        faces = self._base.faces[np.array([group == "body" for group in self._base.groups])]
        faces = faces[(sample_mask(self._pack, self._base, "ears")[faces] < 0.3).all(1)]
        moods = [self.expressed(express(pose, self.character.rest)) for pose in _MOVED]
        return Face(self.eyes, self._rest[list(EAR_TOP)], self._rest[list(EAR_LOBE)], moods, triangles(faces))

    def _add_skin(self) -> None:
        rest, base = self._rest, self._base
        seen = np.arange(len(rest)) < _BODY_END
        seen[self._clothes.hides] = False
        seen &= rest[:, 1] > self._lowest
        body = np.array([group == "body" for group in base.groups])
        kept = body & seen[base.faces].all(1)
        rows = np.unique(base.faces[kept]).astype(np.int64)
        red = sample_mask(self._pack, base, "lips")
        within = sample_mask(self._pack, base, "inside-mouth")
        ears = sample_mask(self._pack, base, "ears")
        lashes = np.concatenate([self._pack.group(f"helper-{s}-eyelashes-{k}") for s in "lr" for k in (1, 2)])
        # Lids are folded at rest: what lies along the lashes is told while they are shut.
        shut = self.expressed(express(Pose(lids=(1.0, 1.0)), {}))
        rim = shut[lashes]
        far = np.sqrt(((rim[:, None] - self.eyes[None]) ** 2).sum(2)).min(1)
        self.places = Places(
            self.eyes,
            rest[self._pack.group("helper-upper-teeth")].mean(0),
            self.joint("jaw"),
            self.joint("head"),
            rim[far < np.percentile(far, 40)],
        )
        self.skin_rows = rows
        fine = refine(_renumbered(base.faces[kept], rows), len(rows), self._fineness.skin)
        points = np.asarray(fine.weights @ rest[rows])
        coats = [np.asarray(fine.weights @ mask[rows]) for mask in (red, within)]
        self.head = Head(float(self.eyes[0, 1]), float(self.joint("head")[2]), float(rest[rows, 1].max()))
        look = paint(points, fine.weights @ shut[rows], self.places, self.head, self.character.skin, *coats)
        self.scalp = scalp(points, self.head) * (1.0 - np.clip(fine.weights @ ears[rows], 0, 1))
        hair = self.character.hair
        if hair.style != "none":
            # Between hairs shows a scalp in their shade, not a bald one.
            shade = 0.55 * np.array(linear(hair.colour)) - look.albedo
            under = (
                0.92 * scalp(points, self.head, rough=False)[:, None] ** 2 * (self.scalp > 0)[:, None] * shade
            )
            look.albedo[...] += under.astype(np.float32)
        surface = Surface(
            "skin",
            "skin",
            fine.faces,
            look.albedo,
            look.gloss,
            look.inside,
            look.lips,
            points.astype(np.float32),
        )
        self._parts.append(_Fitted(surface, fine.weights, None, rows, True, Shading(fine.faces, len(points))))

    def _add_eyes(self, garment: Garment) -> None:
        piece = _pieces(garment.mesh.faces, len(garment.mesh.points))
        for name, side in (("eye-left", 1), ("eye-right", -1)):
            x = garment.fitted(self._rest)[:, 0] * side
            balls = [
                p for p in np.unique(piece) if (piece == p).sum() == _BALL_POINTS and x[piece == p].mean() > 0
            ]
            rows = np.flatnonzero(np.isin(piece, balls))
            faces = garment.mesh.faces[np.isin(garment.mesh.faces[:, 0], rows)]
            fine = refine(_renumbered(faces, rows), len(rows), 1)
            ball = np.asarray(fine.weights @ garment.fitted(self._rest)[rows])
            way = ball - self.eyes[0 if side > 0 else 1]
            way /= np.linalg.norm(way, axis=1, keepdims=True)
            count = len(ball)
            surface = Surface(
                name,
                "eye",
                fine.faces,
                _flat(self.character.eyes.white, count),
                np.full(count, 1.0, np.float32),
                np.zeros(count, np.float32),
                np.zeros(count, np.float32),
                way.astype(np.float32),
            )
            self._parts.append(
                _Fitted(surface, fine.weights, garment.only(rows), rows, True, Shading(fine.faces, count))
            )

    def _add_teeth(self, garment: Garment) -> None:
        faces = garment.mesh.faces
        piece = _pieces(faces, len(garment.mesh.points))
        size = np.bincount(piece)[piece]
        tooth = size[faces[:, 0]] == _ENAMEL_POINTS
        self._add("teeth", "enamel", garment, faces[tooth], ((0.86, 0.82, 0.74), 0.75, 1.0), on_head=True)
        self._add("gums", "gum", garment, faces[~tooth], ((0.45, 0.13, 0.12), 0.7, 1.0), on_head=True)

    def _add_clothes(self) -> None:
        worn, garment = self.character.clothes, self._clothes
        faces = garment.mesh.faces
        middle = garment.fitted(self._rest)[np.where(faces < 0, faces[:, :1], faces)].mean(1)
        high = middle[:, 1] > self._lowest - 0.4
        of_colour = {"cloth": worn.cloth}
        part = np.full(len(faces), "cloth", dtype="<U8")
        if worn.shirt:
            island = _islands(garment.mesh)
            for k in np.unique(island):
                at = middle[island == k]
                if np.abs(at[:, 0]).max() < 0.95 and at[:, 1].min() > 4.0:
                    part[island == k] = "shirt"
            of_colour["shirt"] = worn.shirt
            if worn.tie and worn.garment in _TIES:
                at = garment.mesh.points[np.where(faces < 0, faces[:, :1], faces)].mean(1)
                half = np.interp(at[:, 1], *_TIES[worn.garment], right=0.0)
                part[(part == "shirt") & (np.abs(at[:, 0]) < half) & (at[:, 2] > 1.0)] = "tie"
                of_colour["tie"] = worn.tie
        for name, colour in of_colour.items():
            chosen = faces[high & (part == name)]
            if len(chosen):
                self._add(name, "cloth", garment, chosen, (linear(colour), 0.15, 0.0), on_head=False)

    def _add(
        self,
        name: str,
        material: Material,
        garment: Garment,
        faces: Faces,
        look: tuple[tuple[float, float, float], float, float],
        *,
        on_head: bool,
    ) -> None:
        rows = np.unique(faces[faces >= 0]).astype(np.int64)
        times = self._fineness.parts
        fine = refine(_renumbered(faces, rows), len(rows), times)
        points = np.asarray(fine.weights @ garment.fitted(self._rest)[rows])
        count = len(points)
        albedo, gloss, inside = look
        surface = Surface(
            name,
            material,
            fine.faces,
            np.tile(np.array(albedo, np.float32), (count, 1)),
            np.full(count, gloss, np.float32),
            np.full(count, inside, np.float32),
            np.zeros(count, np.float32),
            points.astype(np.float32),
        )
        self._parts.append(
            _Fitted(surface, fine.weights, garment.only(rows), rows, on_head, Shading(fine.faces, count))
        )


def _flat(colour: str, count: int) -> Vectors:
    return np.tile(np.array(linear(colour), np.float32), (count, 1))


def _renumbered(faces: Faces, rows: Indices) -> Faces:
    """Return `faces` in the numbers of `rows`, which hold all their points."""
    place = np.full(max(int(faces.max()), int(rows.max())) + 2, -1, np.int32)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    return np.where(faces < 0, np.int32(-1), place[faces])


def _pieces(faces: Faces, points: int) -> npt.NDArray[np.int32]:
    """Return int32[V]: the number of the connected piece that each point belongs to."""
    a = np.repeat(faces[:, :1], 3, 1).ravel()
    b = np.where(faces[:, 1:] < 0, faces[:, :1], faces[:, 1:]).ravel()
    graph = sparse.coo_array((np.ones(len(a)), (a, b)), shape=(points, points))
    return np.asarray(sparse.csgraph.connected_components(graph, directed=False)[1], np.int32)


def _islands(mesh: Mesh) -> npt.NDArray[np.int32]:
    """Return int32[F]: the number of each face's island in texture space."""
    piece = _pieces(mesh.face_uvs, len(mesh.uvs))
    return np.asarray(piece[mesh.face_uvs[:, 0]], np.int32)
