"""`python -m studio`: portraits, contact sheets and personas from a character's description."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import cv2

from studio.character import load_character
from studio.pack import StudioError, open_pack
from studio.persona import make_faces, make_life
from studio.pose import Pose
from studio.sheet import sheets
from studio.sitting import Sitting, load_backdrop


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{3,4})x(\d{3,4})", text)
    if not found or int(found[1]) % 2 or int(found[2]) % 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no even size such as 1280x720")
    return int(found[1]), int(found[2])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m studio", description=__doc__)
    parser.add_argument("what", choices=("portrait", "sheet", "faces", "life", "persona"))
    parser.add_argument("character", type=Path, help="a TOML file, see studio/characters")
    parser.add_argument("--pack", type=Path, help="folder of the head pack (default: VCAM_TALKER_HEAD_PACK)")
    parser.add_argument(
        "--backdrop", type=Path, required=True, help="picture of the set (python -m studio.sets)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--size", type=_size, default=(1280, 720), help="WIDTHxHEIGHT (default: 1280x720)")
    parser.add_argument("--seed", type=int, default=1, help="of the idle life")
    parser.add_argument("--scratch", type=Path, help="folder for finished segments (default: OUT/.segments)")
    parser.add_argument("--workers", type=int, default=2)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit status."""
    args = _parser().parse_args(arguments)
    try:
        pack, character = open_pack(args.pack), load_character(args.character)
        args.out.mkdir(parents=True, exist_ok=True)
        if args.what in {"portrait", "sheet"}:
            sitting = Sitting(pack, character, args.size, backdrop=load_backdrop(args.backdrop, args.size))
            pictures = {"portrait": sitting.picture(Pose())} if args.what == "portrait" else sheets(sitting)
            for name, picture in pictures.items():
                cv2.imwrite(str(args.out / f"{name}.png"), picture[..., ::-1])
        if args.what in {"faces", "persona"}:
            make_faces(pack, character, args.size, args.backdrop, args.out, args.seed)
        if args.what in {"life", "persona"}:
            scratch = args.scratch or args.out / ".segments"
            make_life(pack, character, args.size, args.backdrop, args.out, args.seed, scratch, args.workers)
    except StudioError as e:
        print(e, file=sys.stderr)
        return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
