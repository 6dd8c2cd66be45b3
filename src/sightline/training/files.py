"""Writing that survives a kill: whole files or none, synced before they get their name."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sightline.core.errors import EnvironmentFault

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
FULL = (errno.ENOSPC, errno.EDQUOT)


def write_bytes(path: Path, content: bytes) -> None:
    """A new file with this content, on the disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Puts a file, or a directory's list of names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Puts everything under `path` on the disk, contents before names."""
    for folder, _, names in os.walk(path, topdown=False):
        for name in names:
            sync(Path(folder, name))
        sync(Path(folder))


def write_file(path: Path, content: bytes) -> None:
    """Creates or replaces `path` in one step."""
    beside = path.with_name(path.name + ".tmp")
    with faults(path, len(content)):
        beside.unlink(missing_ok=True)
        write_bytes(beside, content)
        os.replace(beside, path)
        sync(path.parent)


def replace_directory(new: Path, target: Path) -> None:
    """Gives `new`, which must be synced, the name `target`; what stood there is removed.

    Where the kernel can exchange two names (Linux) `target` exists at every moment; elsewhere a kill may leave the old
    one as `target.old`, which `recover_directory` puts back.
    """
    if not target.exists():
        os.rename(new, target)
    elif _exchange(new, target):
        shutil.rmtree(new)
    else:
        old = target.with_name(target.name + ".old")
        os.rename(target, old)
        os.rename(new, target)
        shutil.rmtree(old)
    sync(target.parent)


def recover_directory(target: Path) -> None:
    """Removes what a killed `replace_directory` left, and puts the old directory back where the new one is missing."""
    old = target.with_name(target.name + ".old")
    if old.exists() and not target.exists():
        os.rename(old, target)
    for rest in (old, target.with_name(target.name + ".tmp")):
        if rest.exists():
            shutil.rmtree(rest)


def _exchange(a: Path, b: Path) -> bool:
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    return rename(AT_FDCWD, os.fsencode(a), AT_FDCWD, os.fsencode(b), RENAME_EXCHANGE) == 0


@contextmanager
def faults(path: Path, needed_bytes: int | None = None) -> Iterator[None]:
    """Turns an `OSError` inside into an `EnvironmentFault` that names the path, and the bytes needed on a full disk."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in FULL and needed_bytes is not None:
            raise EnvironmentFault(f"{path}: {reason}: {needed_bytes:,} bytes are needed{_free(path)}") from error
        raise EnvironmentFault(f"{path}: {reason}") from error


def _free(path: Path) -> str:
    for place in (path, *path.parents):
        if place.exists():
            return f", {shutil.disk_usage(place).free:,} are free"
    return ""


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Holds `directory` for this process; the lock ends with the process, however that ends.

    Raises `EnvironmentFault`: `runs/x: in use by process 4242 on host h`.
    """
    import fcntl

    path = directory / ".lock"
    with faults(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 400, 0).decode(errors="replace").strip()
            raise EnvironmentFault(f"{directory}: in use by {holder or 'another process'}") from None
        with faults(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on host {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
