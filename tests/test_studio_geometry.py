"""The studio's geometry on a pack of a few points: reading, morphing, fitting, who somebody is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from studio.garment import read_garment
from studio.identity import Identity, macro_weights
from studio.mesh import normals, read_obj
from studio.morphs import Morphs
from studio.pack import PACK_VARIABLE, HeadPack, StudioError, open_pack

pytestmark = pytest.mark.unit

_BASE = """# a comment
v 0 0 0
v 2 0 0
v 2 2 0
v 0 2 0
v 0 0 4
vt 0.25 0.75
g body
f 1/1 2/1 3/1 4/1
g nose
f 1 2 5
"""
_HAT = """name hat
obj_file hat.obj
x_scale 0 1 2.0
y_scale 0 3 2.0
z_scale 0 4 4.0
verts 0
material hat.mhmat
2
0 1 3 0.5 0.25 0.25 0.1 0.2 0.4
delete_verts
0 2 - 3
"""


@pytest.fixture
def pack(tmp_path: Path) -> HeadPack:
    files = {
        "makehuman/data/3dobjs/base.obj": _BASE,
        "makehuman/data/targets/nose/nose-up.target": "# moved\n4 0 1 -2\n0 .5 0 0\n",
        "makehuman/data/rigs/default_weights.mhw": json.dumps({"weights": {"head": [[0, 1.0], [4, 0.5]]}}),
        "src/mpfb/data/mesh_metadata/basemesh_vertex_groups.json": json.dumps({"body": [[0, 2], [4, 4]]}),
        "base/clothes/hat/hat.mhclo": _HAT,
        "base/clothes/hat/hat.obj": "v 0 0 0\nv 0 0 0\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return HeadPack(tmp_path)


def test_a_mesh(pack: HeadPack) -> None:
    mesh = read_obj(pack.base_mesh)
    assert mesh.points.shape == (5, 3)
    assert mesh.faces.tolist() == [[0, 1, 2, 3], [0, 1, 4, -1]]
    assert mesh.groups == ("body", "nose")
    assert mesh.uvs.tolist() == [[0.25, 0.75]]
    assert mesh.triangles().tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 4]]


def test_normals_point_outwards_and_have_length_one(pack: HeadPack) -> None:
    mesh = read_obj(pack.base_mesh)
    found = normals(mesh.points, mesh.triangles())
    assert found[2].tolist() == [0, 0, 1]
    assert np.allclose(np.linalg.norm(found, axis=1), 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v 0 zero 0\n", "line 1"),
        ("v 0 0 0\nf 1 1\n", "line 2"),
        ("v 0 0 0\nf 0 1 1\n", "line 2"),
        ("v 0 0 0\nf 1 1 9\n", "names point 9 of 1"),
    ],
)
def test_a_damaged_mesh_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "m.obj"
    path.write_text(text)
    with pytest.raises(StudioError, match=message):
        read_obj(path)


def test_morphs_add_up_and_leave_what_they_are_given(pack: HeadPack) -> None:
    points = read_obj(pack.base_mesh).points
    morphs = Morphs(pack.targets)
    assert morphs.names() == ["nose/nose-up"]
    moved = morphs.moved(points, {"nose/nose-up": 2.0, "nose/none-at-all": 0.0})
    assert moved[4].tolist() == [0, 2, 0]
    assert moved[0].tolist() == [1, 0, 0]
    assert points[4].tolist() == [0, 0, 4]


def test_an_unknown_morph_is_told_with_the_nearest(pack: HeadPack) -> None:
    morphs = Morphs(pack.targets)
    with pytest.raises(StudioError, match=r"nose-upp.*Did you mean 'nose/nose-up'"):
        morphs.moved(np.zeros((5, 3)), {"nose/nose-upp": 1})


def test_a_garment_hangs_on_the_body_and_grows_with_it(pack: HeadPack) -> None:
    hat = read_garment(pack.part("clothes", "hat"))
    body = read_obj(pack.base_mesh).points
    assert hat.hides.tolist() == [0, 2, 3]
    assert np.allclose(hat.fitted(body), [[2, 2, 0], [0.6, 0.7, 0.4]])
    assert np.allclose(hat.fitted(2 * body), 2 * hat.fitted(body))


def test_a_garment_that_does_not_match_its_mesh(pack: HeadPack) -> None:
    (pack.root / "base/clothes/hat/hat.obj").write_text("v 0 0 0\n")
    with pytest.raises(StudioError, match=r"has 2 points where hat\.obj has 1"):
        read_garment(pack.part("clothes", "hat"))


def test_the_pack_knows_its_groups_and_bones(pack: HeadPack) -> None:
    assert pack.group("body").tolist() == [0, 1, 2, 4]
    vertices, weights = pack.bone_weights()["head"]
    assert (vertices.tolist(), weights.tolist()) == ([0, 4], [1.0, 0.5])
    with pytest.raises(StudioError, match="group 'tail'"):
        pack.group("tail")
    with pytest.raises(StudioError, match=r"hair 'bob'.*There are: "):
        pack.part("hair", "bob")


def test_the_pack_is_found_or_missed_in_one_line(
    pack: HeadPack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PACK_VARIABLE, str(pack.root))
    assert open_pack().root == pack.root
    with pytest.raises(StudioError, match=r"is no head pack.*studio/README"):
        open_pack(tmp_path / "base")
    monkeypatch.delenv(PACK_VARIABLE)
    monkeypatch.setattr("studio.pack.INSTALLED", pack.root)
    assert open_pack().root == pack.root
    monkeypatch.setattr("studio.pack.INSTALLED", tmp_path / "nowhere")
    with pytest.raises(StudioError, match="nobody said where it is"):
        open_pack()


class Everything:
    """A pack that has every target."""

    def __contains__(self, name: object) -> bool:
        return True


@pytest.mark.parametrize("sex", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("age_years", [1, 7, 25, 60, 90])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_parts_of_a_person_are_one_whole(sex: float, age_years: float, share: float) -> None:
    identity = Identity(sex, age_years, {"asian": 2, "african": 1}, muscle=share, weight=share, height=share)
    weights = macro_weights(identity, Everything())
    for kind in ("universal-", "proportions/", "height/"):
        assert sum(w for name, w in weights.items() if kind in name) == pytest.approx(1)
    skulls = {n: w for n, w in weights.items() if "/asian-" in n or "/african-" in n}
    assert sum(skulls.values()) == pytest.approx(1)
    assert sum(w for n, w in skulls.items() if "/asian-" in n) == pytest.approx(2 / 3)
    assert all(w > 0 for w in weights.values())


def test_what_the_pack_lacks_changes_nothing() -> None:
    known = {"macrodetails/caucasian-female-young"}
    assert macro_weights(Identity(), known) == {"macrodetails/caucasian-female-young": 1.0}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"sex": 1.5}, "identity.sex"),
        ({"age_years": 0}, "identity.age_years"),
        ({"age_years": float("nan")}, "identity.age_years"),
        ({"muscle": -0.1}, "identity.muscle"),
        ({"origin": {"elf": 1.0}}, "identity.origin"),
        ({"origin": {}}, "identity.origin"),
        ({"origin": {"asian": -1.0, "african": 2.0}}, "identity.origin"),
    ],
)
def test_a_person_out_of_range_is_refused(fields: dict[str, object], name: str) -> None:
    with pytest.raises(StudioError, match=name):
        Identity(**fields)  # type: ignore[arg-type]
