"""Reads arrays from an .npz file that anybody may have made: bounded, typed, without pickles."""

from __future__ import annotations

import lzma
import tokenize
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import numpy as np
import numpy.typing as npt

from vcam_talker.core.errors import PersonaError

Floats = npt.NDArray[np.float32]
Shape = tuple[int | None, ...]
"""None: of any length."""
_MAX_FILE_BYTES: Final = 64_000_000
_MAX_ARRAY_BYTES: Final = 128_000_000
"""Unpacked."""
_DAMAGE: Final = (
    *(OSError, EOFError, ValueError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError),
)
"""What zipfile and numpy raise for bytes that are none of theirs: RuntimeError for "encrypted" ones."""
_REMEDY: Final = "Make the persona anew with the studio, or put an undamaged file there"


class Archive:
    """An open .npz file. Every method raises PersonaError for what does not fit."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            size = path.stat().st_size
            if size > _MAX_FILE_BYTES:
                self.check(False, f"is {size // 1_000_000} MB, more than {_MAX_FILE_BYTES // 1_000_000}")
            self._zip = zipfile.ZipFile(path)
        except OSError as e:
            raise PersonaError(str(path), f"can't be read ({e.strerror or e})", _REMEDY) from e
        except (zipfile.BadZipFile, ValueError) as e:
            raise PersonaError(str(path), "is damaged or no .npz file", _REMEDY) from e

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def check(self, holds: bool, why: str) -> None:
        """Raise PersonaError with `why` unless `holds`."""
        if not holds:
            raise PersonaError(str(self._path), why, _REMEDY)

    def array(self, name: str, shape: Shape, kinds: str) -> npt.NDArray[np.generic]:
        """Return the array `name`, whose dtype is of one of numpy's `kinds` and whose shape fits."""
        try:
            with self._zip.open(f"{name}.npy") as file:
                found, fortran, dtype = self._header(file)
                plain = int(np.prod(found, dtype=np.float64)) * dtype.itemsize
                self.check(plain <= _MAX_ARRAY_BYTES, f"'{name}' is too large")
                self.check(dtype.kind in kinds and not dtype.hasobject, f"'{name}' is of type {dtype}")
                fits = len(found) == len(shape) and all(
                    want is None or want == is_ for is_, want in zip(found, shape, strict=True)
                )
                wanted = "×".join("any" if n is None else str(n) for n in shape) or "a number"
                self.check(fits, f"'{name}' is {'×'.join(map(str, found)) or 'a number'}, not {wanted}")
                data = file.read(plain + 1)
        except KeyError as e:
            raise PersonaError(str(self._path), f"lacks '{name}'", _REMEDY) from e
        except _DAMAGE as e:
            raise PersonaError(str(self._path), f"'{name}' is damaged", _REMEDY) from e
        self.check(len(data) == plain, f"'{name}' is damaged")
        flat = np.frombuffer(data, dtype)
        return flat.reshape(found, order="F" if fortran else "C")

    @staticmethod
    def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
        major, _ = np.lib.format.read_magic(file)
        if major == 1:
            return np.lib.format.read_array_header_1_0(file)
        return np.lib.format.read_array_header_2_0(file)

    def floats(self, name: str, shape: Shape, limit: float) -> Floats:
        """Return a float32 array whose values are finite and within +-`limit`."""
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.ascontiguousarray(self.array(name, shape, "f"), np.float32)
            good = bool((np.abs(values) <= limit).all())
        self.check(good, f"'{name}' holds values that are not finite or beyond ±{limit:g}")
        return values

    def integers(self, name: str, shape: Shape, low: int, high: int) -> npt.NDArray[np.int64]:
        """Return an int64 array with values from `low` to `high`."""
        raw = self.array(name, shape, "iu")
        inside = bool(((raw >= np.int64(low)) & (raw <= np.int64(high))).all())
        self.check(inside, f"'{name}' holds values that are not {low} to {high}")
        return np.ascontiguousarray(raw, np.int64)

    def integer(self, name: str, low: int, high: int) -> int:
        """Return a single number from `low` to `high`."""
        return int(self.integers(name, (), low, high).reshape(-1)[0])

    def bytes_(self, name: str, shape: Shape) -> npt.NDArray[np.uint8]:
        """Return a uint8 array."""
        values = self.array(name, shape, "u")
        self.check(values.dtype == np.uint8, f"'{name}' is of type {values.dtype}, not uint8")
        return np.ascontiguousarray(values, np.uint8)

    def names(self, name: str, count: int | None) -> list[str]:
        """Return strings of 32 characters at most."""
        values = self.array(name, (count,), "U")
        self.check(values.dtype.itemsize <= 4 * 32, f"'{name}' holds strings of more than 32 characters")
        try:
            return [str(value) for value in values.tolist()]
        except (ValueError, UnicodeError):
            self.check(False, f"'{name}' holds what is no text")
            raise
