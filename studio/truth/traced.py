"""`python -m studio.truth traced`: the truth's renderer against a path tracer, on the same people.

Random people in a few poses are drawn as for a set, handed over as arrays, traced by Blender's Cycles in a
process of its own (its module is GPL and never loaded here), and compared.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import numpy.typing as npt

from studio.pack import StudioError
from studio.pose import Pose
from studio.truth.draw import digest, generator
from studio.truth.people import POPULATION, person
from studio.truth.shot import Shot, draw_shot

POSES: Final[Mapping[str, Pose]] = {
    "open": Pose(mouth=np.array([0.72, 0.1, 0, 0, 1, 0, 0], np.float32)),
    "rest": Pose(),
    "turned": Pose(mouth=np.array([0.4, 0.3, 0, 0, 0.8, 0.2, 0], np.float32), yaw_deg=24.0, pitch_deg=-6.0),
    "pursed": Pose(mouth=np.array([0.18, -0.6, 1, 0.8, 0, 0, 0], np.float32), yaw_deg=-9.0),
    "pressed": Pose(mouth=np.array([0, 0, 0, 0, 0, 0, 1], np.float32), pitch_deg=8.0),
    "wide": Pose(mouth=np.array([1, 0, 0, 0, 0.7, 0, 0], np.float32), roll_deg=6.0),
}
"""What people do; everybody takes turns at them."""
_POSES_EACH: Final = 2
_SCRIPT: Final = Path(__file__).with_name("traced_blender.py")
_PATIENCE_S: Final = 900.0
_PYTHON: Final = "build/blender/bin/python"
_REMEDY: Final = "`make studio` installs one; name another with --python"


@dataclass(frozen=True, slots=True)
class Moment:
    """One picture to be compared."""

    person: int
    pose: str
    shot: Shot


def moments(people: int, seed: int) -> Iterator[tuple[int, list[Moment]]]:
    """Yield each person's number and moments; the same for the same seed."""
    rng = generator("traced", seed)
    names = list(POSES)
    for k, number in enumerate(rng.permutation(POPULATION)[:people].tolist()):
        shot = draw_shot(generator("traced", seed, "shot", k))
        chosen = [names[(_POSES_EACH * k + n) % len(names)] for n in range(_POSES_EACH)]
        yield number, [Moment(number, name, shot) for name in chosen]


def trace(
    python: str, arrays: Mapping[str, npt.NDArray[Any]], samples: int, threads: int
) -> dict[str, npt.NDArray[Any]]:
    """Return what `traced_blender` makes of a moment. Blocks for half a minute. Raises StudioError."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "moment.npz", Path(folder) / "traced.npz"
        np.savez(source, allow_pickle=False, **arrays)
        command = [python, str(_SCRIPT), str(source), str(target), str(samples), str(threads)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
        except OSError as e:
            raise StudioError(
                f"Interpreter '{python}'", f"can't be started ({e.strerror})", _REMEDY
            ) from None
        except subprocess.TimeoutExpired:
            raise StudioError("Blender", f"took longer than {_PATIENCE_S:.0f} s for a picture") from None
        if done.returncode or not target.exists():
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise StudioError(f"Blender's module under '{python}'", f"failed: {last}", _REMEDY)
        with np.load(target, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}


def run(
    people: int,
    seed: int,
    out: Path,
    size: int,
    samples: int,
    python: str,
    threads: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Draw, trace and compare; write `traced.png` and `traced.json`, return what the latter holds."""
    # A command that is not asked for loads no OpenGL.
    from studio.raster.light import portrait_light
    from studio.truth.charts import save_png
    from studio.truth.raster import RasterRenderer
    from studio.truth.traced_compare import Figures, View, compare, summary
    from studio.truth.traced_scene import export
    from studio.truth.traced_sheet import Row, sheet

    renderer = RasterRenderer(size)
    rows: list[Row] = []
    found: list[Figures] = []
    pictures: list[dict[str, Any]] = []
    for number, each in moments(people, seed):
        somebody = renderer.person(person(number).character, digest("traced", seed, number) & 0xFFFFFFFF)
        for moment in each:
            pose, light = POSES[moment.pose], portrait_light(moment.shot.light)
            frame, taken = somebody.frame(pose, moment.shot), somebody.taken(pose, moment.shot)
            traced = trace(python, export(somebody, taken, pose, light), samples, threads)
            exposure = light.exposure * 2.0**moment.shot.exposure_stops
            drawn = View(taken.layer, frame.masks)
            other = View(traced["colour"], traced["mark"][..., 0])
            figures = compare(drawn, other, traced["albedo"], traced["mark"][..., 1], exposure)
            measured: dict[str, Any] = {
                "person": number,
                "pose": moment.pose,
                "landmarks_px": float(np.abs(traced["landmarks"] - frame.landmarks).max()),
                "cpu_s": float(traced["seconds"]),
            }
            found.append(figures)
            rows.append(Row(f"{number} {moment.pose}", drawn, other, figures, exposure))
            pictures.append({**measured, **figures.report()})
            say(_line(pictures[-1]))
    report: dict[str, Any] = {
        "seed": seed,
        "size": size,
        "samples": samples,
        "all": summary(found),
        "pictures": pictures,
    }
    report["all"] |= {
        "landmarks_px": max(p["landmarks_px"] for p in pictures),
        "cpu_s": float(np.mean([p["cpu_s"] for p in pictures])),
    }
    out.mkdir(parents=True, exist_ok=True)
    save_png(sheet(rows), out / "traced.png")
    (out / "traced.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def _line(picture: Mapping[str, Any]) -> str:
    return (
        f"person {picture['person']:3} {picture['pose']:8} error {picture['error']:.3f}"
        f"  PSNR {picture['psnr_db']:.1f} dB  SSIM {picture['ssim']:.3f}  shading {picture['shading']:.3f}"
        f"  landmarks {picture['landmarks_px']:.4f} px  {picture['cpu_s']:.0f} s"
    )


def explained(total: Mapping[str, Any]) -> Sequence[str]:
    """Return a run's figures and what they mean, line by line."""
    outlines = ", ".join(f"{name} {share:.3f}" for name, share in total["outlines"].items())
    stops = ", ".join(f"{name} {each['mean']:+.2f}" for name, each in total["stops"].items())
    gain = total["gain_stops"]

    def both(name: str) -> str:
        return f"median {total[name]['median']:.3f}, worst {total[name]['worst']:.3f}"

    return (
        f"{total['pictures']} pictures, each traced in {total['cpu_s']:.0f} s of a processor",
        f"outlines, shared part of each (1: the same pixels): {outlines}",
        f"landmarks, farthest that the two cameras are apart: {total['landmarks_px']:.4f} px",
        f"gain, one per picture, of the traced one, stops: {gain['least']:+.2f} to {gain['most']:+.2f}",
        f"error, mean difference in linear light against the face's mean: {both('error')}",
        f"PSNR over the face as displayed, dB: {both('psnr_db')}",
        f"SSIM over the face as displayed (1: the same): {both('ssim')}",
        f"shading, correlation of light on bare skin (1: falls alike): {both('shading')}",
        f"brightness of the drawn picture against the traced one, stops: {stops}",
    )


@click.command(help="Compare drawn faces with path-traced ones of the same people; needs Blender's module.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder.")
@click.option("--people", default=8, show_default=True, type=click.IntRange(1, POPULATION))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option(
    "--size", default=256, show_default=True, type=click.IntRange(64, 512), help="Pixels of a side."
)
@click.option(
    "--samples", default=64, show_default=True, type=click.IntRange(8, 4096), help="Paths a pixel at most."
)
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1, 64), help="Of Blender.")
@click.option("--python", default=_PYTHON, show_default=True, help="Interpreter that has bpy.")
def traced(out: Path, people: int, seed: int, size: int, samples: int, threads: int, python: str) -> None:
    """Run the comparison and print its figures."""
    report = run(people, seed, out, size, samples, python, threads, click.echo)
    for line in explained(report["all"]):
        click.echo(line)
    click.echo(out / "traced.png")
