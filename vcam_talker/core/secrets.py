"""Passwords and keys: from files that only their owner can read; never from arguments or the environment.

Looked up in this order:
1. `$CREDENTIALS_DIRECTORY/NAME` or `$CREDENTIALS_DIRECTORY/vcam-talker_NAME`, where systemd puts what
   `LoadCredential=` names (the second form is what it makes of a whole directory),
2. `secrets/NAME` in the configuration directory, which `vcam-talker setup secret NAME` writes.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from pathlib import Path
from typing import Final

from vcam_talker.core.errors import BadInputError, ConfigError
from vcam_talker.core.paths import APP, config_dir

KNOWN_SECRETS: Final = {
    "obs-password": "the password of OBS's WebSocket server",
    "openai-api-key": "the key of the language model's server",
}
"""Name -> what it opens. Others are allowed; these are the ones that something reads."""

MAX_SECRET_BYTES: Final = 8192
_NAME: Final = re.compile(r"[a-z0-9-]{1,60}")


def read_secret(name: str) -> str | None:
    """Return the secret `name` without one trailing newline, or None where there is none.

    Blocks for a read of a small file. Raises BadInputError for a name that can't be one, ConfigError for a
    file that others can read, that is empty or too long, or that can't be read. No error holds any of it.
    """
    _check_name(name)
    if (value := _from_systemd(name)) is not None:
        return value
    return _read(secrets_dir() / name, private_bits=stat.S_IRWXG | stat.S_IRWXO)


def write_secret(name: str, value: str) -> Path:
    """Keep `value` as the secret `name`, for this user's eyes only; return its file.

    The file appears whole or not at all (mode 0600, in a directory of mode 0700). Blocks for a small write.
    Raises BadInputError for an unusable name or value, ConfigError when the file can't be written.
    """
    _check_name(name)
    value = value.removesuffix("\n").removesuffix("\r")
    data = value.encode("utf-8", "backslashreplace")
    # U+FFFD and lone surrogates stand for bytes that are no text.
    spoilt = any(ord(c) < 32 or c in "\x7f\ufffd" or "\ud800" <= c <= "\udfff" for c in value)
    if not value or spoilt or len(data) > MAX_SECRET_BYTES:
        raise BadInputError(
            name, f"a secret is one line of text, 1 to {MAX_SECRET_BYTES} bytes", "Nothing was written"
        )
    directory = secrets_dir()
    temporary = directory / f".{name}.{os.getpid()}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32":
            directory.chmod(0o700)
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(data + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(directory / name)
    except OSError as e:
        raise ConfigError(str(directory / name), f"can't be written ({e.strerror})") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return directory / name


def remove_secret(name: str) -> bool:
    """Delete this user's secret `name`; return whether there was one. Raises like `write_secret`."""
    _check_name(name)
    path = secrets_dir() / name
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as e:
        raise ConfigError(str(path), f"can't be removed ({e.strerror})") from None
    return True


def secret_names() -> tuple[str, ...]:
    """Return the names of this user's secrets, sorted; says nothing of those that systemd brings."""
    try:
        return tuple(sorted(p.name for p in secrets_dir().iterdir() if _NAME.fullmatch(p.name)))
    except OSError:
        return ()


def secrets_dir() -> Path:
    """Return the directory of this user's secrets, which need not exist."""
    return config_dir() / "secrets"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadInputError(
            repr(name[:60]), "is no name of a secret", "Use up to 60 of a-z, 0-9 and '-', like obs-password"
        )


def _from_systemd(name: str) -> str | None:
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return None
    for file in (name, f"{APP}_{name}"):
        # An access list for the service's user shows as the group's bits, so these tell nothing here.
        value = _read(Path(directory) / file, private_bits=stat.S_IRWXO)
        if value is not None:
            return value
    return None


def _read(path: Path, private_bits: int) -> str | None:
    try:
        # Not blocking: a FIFO of that name must not hang its reader.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        raise ConfigError(str(path), f"can't be read ({e.strerror})", "Check its owner and mode") from None
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise ConfigError(str(path), "is no file", "Put the secret in a file of that name")
        if sys.platform != "win32" and info.st_mode & private_bits:
            raise ConfigError(str(path), "can be read by others", f"Make it yours alone: chmod 600 {path}")
        data = os.read(descriptor, MAX_SECRET_BYTES + 2)
    finally:
        os.close(descriptor)
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    if not data or len(data) > MAX_SECRET_BYTES:
        why = "is empty" if not data else f"holds more than {MAX_SECRET_BYTES} bytes"
        raise ConfigError(str(path), why, "It has to hold the secret and nothing else")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(
            str(path), "is not UTF-8 text", "It has to hold the secret and nothing else"
        ) from None
