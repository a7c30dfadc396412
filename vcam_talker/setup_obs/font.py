"""A font for captions with the letters of the persona's language: OBS's FreeType text looks for no other."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from typing import Final

DEFAULT_FACE: Final = "Sans Serif"
_FONTCONFIG: Final = {"cmn": "zh-cn", "zh": "zh-cn", "yue": "zh-hk", "nb": "no"}
"""BCP 47 -> what fontconfig calls it, where that is something else."""
_CJK: Final = {"cmn", "zh", "yue", "ja", "ko"}
_TIMEOUT_S: Final = 10.0

Query = Callable[[Sequence[str]], str]


def caption_face(language: str, query: Query | None = None) -> tuple[str, str]:
    """Return the name of a font with the letters of `language` (BCP 47), and what is wrong if there is none.

    Blocks for fontconfig's answer, a fraction of a second. Never raises.
    """
    query = query or _query
    main = language.split("-", maxsplit=1)[0].lower() or "en"
    known = _FONTCONFIG.get(main, main)
    try:
        listed = query(["fc-list", f":lang={known}", "family"])
        best = query(["fc-match", "-f", "%{family[0]}", f"sans:lang={known}"]).strip()
    except (OSError, subprocess.SubprocessError):
        return DEFAULT_FACE, ""
    families = {name.strip() for line in listed.splitlines() for name in line.split(",")}
    if best in families:
        return best, ""
    if families - {""}:
        return min(families - {""}), ""
    package = "fonts-noto-cjk" if main in _CJK else "fonts-noto-core"
    return (
        DEFAULT_FACE,
        f"No font here has the letters of '{language}' for captions: apt-get install {package}",
    )


def _query(argv: Sequence[str]) -> str:
    done = subprocess.run(list(argv), capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
    return done.stdout
