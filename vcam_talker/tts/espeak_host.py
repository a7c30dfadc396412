"""A program of its own that loads libespeak-ng and speaks what it is asked on stdin. Standard library only.

Started by `EspeakClient` as `python -I espeak_host.py`; espeak-ng is GPL-3.0, so no other process of ours
ever loads it, and what crosses is text one way, sound and events the other:

    request   u32 length, JSON {"id": int, "segments": [{"voice": str, "text": str}], "rate_wpm", "pitch"}
    reply     u32 length, u32 length of the JSON, JSON, PCM (s16le mono)

The first reply is the greeting {"id": 0, "rate": Hz, "version": str, "files": str, "voices": [[name,
language], ...], "variants": [str, ...]}, `files` being a digest of the library's and its data's names, sizes
and times; every segment of a request gets one reply {"id", "segment", "phones": [[mnemonic, sample], ...],
"words": [[character, length, sample], ...]}, or {"id", "segment", "error": str}. Numbers are little-endian.
"""

import ctypes
import hashlib
import json
import os
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

LIBRARIES = (
    "libespeak-ng.so.1",
    "libespeak-ng.1.dylib",
    "/opt/homebrew/lib/libespeak-ng.dylib",
    "/usr/local/lib/libespeak-ng.dylib",
    "libespeak-ng.dll",
)
NO_LIBRARY = 3
MAX_SEGMENT_S = 60
MAX_REQUEST_BYTES = 1_000_000

# From espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_PHONEME_EVENTS = 1
_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POSITION_CHARACTER = 1
_RATE, _PITCH = 1, 3
_WORD, _PHONEME = 1, 7


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.POINTER(ctypes.c_char)),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("private1", ctypes.c_ubyte),
        ("private2", ctypes.c_int),
        ("private3", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Espeak:
    """The library, in this process. Not thread-safe."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        library.espeak_Info.restype = ctypes.c_char_p
        self.rate: int = library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS | _DONT_EXIT)
        if self.rate <= 0:
            raise OSError("espeak-ng found no data files; install espeak-ng-data")
        self._pcm = bytearray()
        self._phones: list[tuple[str, int]] = []
        self._words: list[tuple[int, int, int]] = []
        self._callback = _Callback(self._take)  # kept: the library holds no reference
        library.espeak_SetSynthCallback(self._callback)

    def version(self) -> str:
        """Return the library's version."""
        raw: bytes = self._library.espeak_Info(None)
        return raw.decode("utf-8", "replace")

    def files(self) -> str:
        """Return a digest of what an update changes: the library and its data, by name, size and time."""
        data = ctypes.c_char_p()
        self._library.espeak_Info(ctypes.byref(data))
        try:
            found = [(path, Path(path).stat()) for path in _loaded("espeak")]
            found += [(file.path, file.stat()) for file in os.scandir(os.fsdecode(data.value or b""))]
        except OSError:
            return ""
        lines = sorted(f"{path}:{status.st_size}:{status.st_mtime_ns}" for path, status in found)
        return hashlib.blake2b("\n".join(lines).encode("utf-8", "replace"), digest_size=8).hexdigest()

    def voices(self) -> list[tuple[str, str]]:
        """Return (name to ask for, BCP 47 language) of every voice except variants and MBROLA's."""
        listed = self._library.espeak_ListVoices(None)
        found: dict[str, str] = {}
        index = 0
        while listed[index]:
            voice = listed[index].contents
            identifier = (voice.identifier or b"").decode("utf-8", "replace")
            if voice.languages and not identifier.startswith(("mb/", "!v")):
                # Priority byte, then the language's name.
                language = ctypes.string_at(ctypes.addressof(voice.languages.contents) + 1).decode(
                    "ascii", "replace"
                )
                found[language] = language
            index += 1
        return list(found.items())

    def variants(self) -> list[str]:
        """Return what may follow a voice's `+`, such as `f3`; none where the data can't be listed."""
        data = ctypes.c_char_p()
        self._library.espeak_Info(ctypes.byref(data))
        try:
            return sorted(
                file.name for file in Path(os.fsdecode(data.value or b""), "voices", "!v").iterdir()
            )
        except OSError:
            return []

    def set_voice(self, name: str) -> bool:
        """Choose a voice, `cmn` or with a variant `cmn+f3`; False when there is none of that name.

        The library takes a variant that it doesn't know for none: see `variants`.
        """
        return bool(self._library.espeak_SetVoiceByName(name.encode()) == 0)

    def set_speed(self, rate_wpm: int, pitch: int) -> None:
        """Set words per minute (80 .. 450) and pitch (0 .. 100, 50 is the voice's own)."""
        self._library.espeak_SetParameter(_RATE, rate_wpm, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)

    def speak(self, text: str) -> tuple[bytes, list[tuple[str, int]], list[tuple[int, int, int]]]:
        """Return PCM, phones (mnemonic, first sample) and words (character from 1, length, first sample)."""
        self._pcm, self._phones, self._words = bytearray(), [], []
        raw = text.encode() + b"\0"
        self._library.espeak_Synth(raw, len(raw), 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None)
        return bytes(self._pcm), self._phones, self._words

    def _take(self, wave: Any, count: int, events: Any) -> int:  # noqa: ANN401 - ctypes pointers
        if wave and count > 0:
            self._pcm += ctypes.string_at(wave, count * 2)
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == _PHONEME:
                self._phones.append((event.id.string.decode("utf-8", "replace"), event.sample))
            elif event.type == _WORD:
                self._words.append((event.text_position, event.length, event.sample))
            index += 1
        return 1 if len(self._pcm) > MAX_SEGMENT_S * self.rate * 2 else 0


def _loaded(part: str) -> set[str]:
    """Return the libraries of this process whose path holds `part`; none where the system doesn't tell."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    mapped = (line.split(maxsplit=5) for line in maps.splitlines())
    return {fields[5] for fields in mapped if len(fields) > 5 and part in fields[5]}


def load(names: tuple[str, ...]) -> ctypes.CDLL | None:
    """Return the first library that loads."""
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def answer(espeak: Espeak, request: dict[str, Any], out: BinaryIO) -> None:
    """Speak every segment of one request and write the replies."""
    for index, segment in enumerate(request["segments"]):
        head = {"id": request["id"], "segment": index}
        if not espeak.set_voice(segment["voice"]):
            send(out, {**head, "error": f"has no voice '{segment['voice']}'"})
            return
        espeak.set_speed(request["rate_wpm"], request["pitch"])
        pcm, phones, words = espeak.speak(segment["text"])
        send(out, {**head, "phones": phones, "words": words}, pcm)


def send(out: BinaryIO, head: dict[str, Any], pcm: bytes = b"") -> None:
    """Write one reply."""
    raw = json.dumps(head).encode()
    out.write(struct.pack("<II", 4 + len(raw) + len(pcm), len(raw)) + raw + pcm)
    out.flush()


def main() -> int:
    """Serve until stdin ends."""
    # Nothing the library prints may get between the frames.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    library = load(tuple(sys.argv[1:]) or LIBRARIES)
    if library is None:
        return NO_LIBRARY
    espeak = Espeak(library)
    build = {"version": espeak.version(), "files": espeak.files()}
    offered = {"voices": espeak.voices(), "variants": espeak.variants()}
    send(out, {"id": 0, "rate": espeak.rate, **build, **offered})
    source = sys.stdin.buffer
    while len(size := source.read(4)) == 4:
        (length,) = struct.unpack("<I", size)
        if length > MAX_REQUEST_BYTES:
            return 1
        answer(espeak, json.loads(source.read(length)), out)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)
