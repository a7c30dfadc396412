"""Make a kernel with v4l2loopback, and an initramfs that boots into this machine's own files.

Nothing is installed: the distribution's kernel, headers and v4l2loopback source are downloaded and unpacked
into a cache, the module is built against the headers there, and busybox plus a handful of modules become
the initramfs. Run `python -m tests.vm.build` to warm the cache; tests/support/vm.py does so by itself.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.lock import file_lock

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".vm"
INIT = Path(__file__).with_name("init.sh")

TOOLS = {
    "busybox": "busybox-static",
    "cpio": "cpio",
    "depmod": "kmod",
    "dpkg": "dpkg",
    "make": "make",
    "gcc": "gcc",
    "qemu-system-x86_64": "qemu-system-x86",
}
"""Programs this needs -> the package that brings each."""

BOOT_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
"""Loaded by init before it can see the machine's files; the order of their dependencies comes from kmod."""
EXTRA_MODULES = ("v4l2loopback",)
"""Left to modprobe inside."""

_KERNEL_PACKAGES = {"debian": ("linux-image-amd64", "linux-headers-amd64")}
_KERNEL_PACKAGES_ELSEWHERE = ("linux-image-generic", "linux-headers-generic")
_PART_OF_KERNEL = re.compile(r"linux-(image|headers|modules|kbuild)")
_APT_LISTS = Path("/var/lib/apt/lists")
_SOURCE_PACKAGE = "v4l2loopback-dkms"


class VmError(Exception):
    """The VM can't be built or run; the message says what to do."""


@dataclass(frozen=True)
class VmImage:
    """What qemu boots."""

    kernel: Path
    initrd: Path
    release: str
    """As `uname -r` prints it inside."""


def ensure_image() -> VmImage:
    """Return the image for the kernel that apt offers now, building it (half a minute) when it is not cached.

    Blocks while another process builds. Raises VmError naming what is missing.
    """
    check_tools()
    recipe = hashlib.sha256(INIT.read_bytes() + Path(__file__).read_bytes()).hexdigest()
    with file_lock(CACHE / "build.lock", timeout_s=600):
        home = CACHE / "image"
        made = home / "made.json"
        # Asking apt takes seconds, so it is asked only after its lists have changed.
        inputs = {"recipe": recipe, "lists": _APT_LISTS.stat().st_mtime_ns}
        known = json.loads(made.read_text()) if made.is_file() else {}
        if inputs != {key: known.get(key) for key in inputs}:
            packages = _packages()
            if (recipe, packages) == (known.get("recipe"), known.get("packages")):
                release = known["release"]
            else:
                shutil.rmtree(home, ignore_errors=True)
                release = _build(home, packages)
            known = {**inputs, "packages": packages, "release": release}
            made.write_text(json.dumps(known, indent=1))
        return VmImage(home / "vmlinuz", home / "initrd.gz", known["release"])


def check_tools() -> None:
    """Raise VmError naming the packages to install, when programs are missing or unsuitable."""
    missing = {package for tool, package in TOOLS.items() if shutil.which(tool, path=_PATH) is None}
    if missing:
        raise VmError(f"the test VM needs packages: sudo apt-get install {' '.join(sorted(missing))}")


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _run(command: Sequence[str | Path], *, cwd: Path | None = None, stdin: bytes | None = None) -> bytes:
    """Run a program with sbin on its path; VmError with its last words when it fails."""
    environment = {"PATH": _PATH, "LC_ALL": "C", "HOME": "/"}
    done = subprocess.run(command, cwd=cwd, input=stdin, env=environment, capture_output=True, check=False)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()[-1500:]
        raise VmError(f"{' '.join(map(str, command))} failed ({done.returncode}): {words}")
    return done.stdout


def _packages() -> dict[str, str]:
    """Return name -> version of everything to unpack, as apt offers it now."""
    metas = _KERNEL_PACKAGES.get(platform.freedesktop_os_release()["ID"], _KERNEL_PACKAGES_ELSEWHERE)
    wanted: set[str] = {_SOURCE_PACKAGE}
    waiting = list(metas)
    while waiting:
        name = waiting.pop()
        wanted.add(name)
        depends = _run(["apt-cache", "depends", "--important", name]).decode()
        found = re.findall(r"^\s+Depends: (\S+)$", depends, re.MULTILINE)
        waiting += [n for n in found if _PART_OF_KERNEL.match(n) and n not in wanted]
    policy = _run(["apt-cache", "policy", *sorted(wanted - set(metas))]).decode()
    versions = dict(re.findall(r"^(\S+):\n.*\n  Candidate: (\S+)$", policy, re.MULTILINE))
    absent = sorted(wanted - set(metas) - {n for n, v in versions.items() if v != "(none)"})
    if absent or len(versions) < 3:
        raise VmError(f"apt knows no {', '.join(absent) or 'kernel'}: sudo apt-get update")
    return versions


def _build(home: Path, packages: dict[str, str]) -> str:
    """Make the image in the new folder `home` and return the kernel's release."""
    debs, root = home / "debs", home / "root"
    debs.mkdir(parents=True)
    _run(["apt-get", "download", *(f"{n}={v}" for n, v in packages.items())], cwd=debs)
    for deb in debs.iterdir():
        _run(["dpkg", "-x", deb, root])
    release = next((root / "boot").glob("vmlinuz-*")).name.removeprefix("vmlinuz-")
    modules = _lib_modules(root) / release
    _unpack_modules(modules)
    _build_v4l2loopback(root, release, modules)
    shutil.copy(root / "boot" / f"vmlinuz-{release}", home / "vmlinuz")
    _make_initrd(root, release, home)
    shutil.rmtree(debs)
    shutil.rmtree(root)
    return release


def _lib_modules(root: Path) -> Path:
    """Return the folder of kernel modules, and make /lib and /usr/lib the same one, as in a merged system."""
    lib, usr_lib = root / "lib", root / "usr" / "lib"
    if not (usr_lib / "modules").exists():
        (usr_lib / "modules").symlink_to(lib / "modules")
    elif not (lib / "modules").exists():
        lib.mkdir(exist_ok=True)
        (lib / "modules").symlink_to(usr_lib / "modules")
    return (lib / "modules").resolve()


def _unpack_modules(modules: Path) -> None:
    """Decompress the modules where the distribution ships them compressed: busybox's insmod can't."""
    packed = [str(p) for p in modules.rglob("*.ko.zst")]
    if packed and shutil.which("zstd") is None:
        raise VmError("the test VM needs packages: sudo apt-get install zstd")
    for start in range(0, len(packed), 500):
        _run(["zstd", "-dq", "--rm", *packed[start : start + 500]])


def _build_v4l2loopback(root: Path, release: str, modules: Path) -> None:
    headers = root / "usr" / "src" / f"linux-headers-{release}"
    makefile = headers / "Makefile"
    if not makefile.is_symlink():
        # Debian's names the shared part by its installed path.
        makefile.write_text(makefile.read_text().replace(" /usr/src/", f" {root}/usr/src/"))
    printed = _run(["make", "-s", "-C", headers, "-f", "-", "print"], stdin=_PRINT_COMPILER)
    compiler = printed.decode().split()[-1]
    if shutil.which(compiler, path=_PATH) is None:
        raise VmError(f"the kernel wants its own compiler: sudo apt-get install {compiler}")
    source = next((root / "usr" / "src").glob("v4l2loopback-*"))
    _run(["make", "-C", headers, f"M={source}", f"CC={compiler}", "modules"])
    (modules / "updates").mkdir(exist_ok=True)
    _run(["strip", "--strip-debug", "-o", modules / "updates/v4l2loopback.ko", source / "v4l2loopback.ko"])


_PRINT_COMPILER = b"CC = gcc\n-include .kernelvariables\nprint:\n\t@echo $(strip $(CC))\n"


def _make_initrd(root: Path, release: str, home: Path) -> None:
    _run(["depmod", "-b", root, release])
    tree = home / "initrd"
    for folder in ("bin", "proc", "sys", "dev", "machine", "shared", "scratch", "new"):
        (tree / folder).mkdir(parents=True)
    busybox = shutil.which("busybox", path=_PATH)
    assert busybox is not None  # check_tools saw it
    shutil.copy(busybox, tree / "bin" / "busybox")
    shutil.copy(INIT, tree / "init")
    (tree / "init").chmod(0o755)
    boot = _with_dependencies(root, release, BOOT_MODULES)
    for module in dict.fromkeys(boot + _with_dependencies(root, release, EXTRA_MODULES)):
        place = tree / module.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / module.relative_to("/"), place)
    (tree / "boot-modules").write_text("".join(f"{m}\n" for m in boot))
    for index in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(root / "lib/modules" / release / index, tree / "lib/modules" / release / index)
    _run(["depmod", "-b", tree, release])
    names = "\n".join(str(p.relative_to(tree)) for p in sorted(tree.rglob("*")))
    archive = _run(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"], cwd=tree, stdin=names.encode())
    (home / "initrd.gz").write_bytes(gzip.compress(archive, 1))
    shutil.rmtree(tree)


def _with_dependencies(root: Path, release: str, names: Sequence[str]) -> list[Path]:
    """Return the modules' paths in loading order, as the guest will see them; built-in ones are left out."""
    paths: dict[Path, None] = {}
    for name in names:
        shown = _run(["modprobe", "-d", root, "-S", release, "--show-depends", name]).decode()
        for path in re.findall(r"^insmod (\S+)", shown, re.MULTILINE):
            inside = Path(path).relative_to(root)
            paths[Path("/lib/modules", *inside.parts[inside.parts.index("modules") + 1 :])] = None
    return list(paths)


if __name__ == "__main__":
    print(ensure_image())
