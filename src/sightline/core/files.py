"""Files that survive a kill: written whole or not at all, on the disk before they get their name, read with a limit."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sightline.core.errors import EnvironmentFault, InputError, one_line

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
FULL = (errno.ENOSPC, errno.EDQUOT)
LOCK = ".lock"


def write_file(path: Path, content: bytes | str) -> None:
    """Create or replace `path` in one step; text becomes UTF-8. Several processes may write it at once.

    Raises:
        EnvironmentFault: "runs/x/config.yaml: No space left on device: 812 bytes are needed, 0 are free".
    """
    data = content.encode() if isinstance(content, str) else content
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with faults(path, len(data)):
        try:
            beside.unlink(missing_ok=True)
            write_new(beside, data)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        sync(path.parent)


def remove_unfinished(directory: Path) -> None:
    """Remove the files that killed calls of `write_file` left in a directory that no other process writes to."""
    for path in directory.glob(".*.tmp"):
        path.unlink()


def write_new(path: Path, content: bytes) -> None:
    """Create a file with this content; it is on the disk when this returns. Raises `OSError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Put a file's content, or a directory's list of names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Put everything under `path` on the disk, contents before names."""
    for folder, _, names in os.walk(path, topdown=False):
        for name in names:
            sync(Path(folder, name))
        sync(Path(folder))


@contextmanager
def replacing_directory(target: Path, needed_bytes: int | None = None) -> Iterator[Path]:
    """An empty directory to fill; it replaces `target` in one step when the block ends without an error.

    Raises:
        EnvironmentFault: for any `OSError` in the block too; nothing is left behind then.
    """
    beside = target.with_name(target.name + ".tmp")
    with faults(target, needed_bytes):
        if beside.exists():
            shutil.rmtree(beside)
        try:
            beside.mkdir()
            yield beside
            sync_tree(beside)
            replace_directory(beside, target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def replace_directory(new: Path, target: Path) -> None:
    """Give `new`, which must be synced, the name `target`, and remove the directory that had it.

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
    """Remove the rests of a killed `replace_directory`; put the old directory back where the new one is missing."""
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
    """Turn an `OSError` inside into an `EnvironmentFault` that names the path, and the bytes needed on a full disk."""
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
    """Keep `directory` for this thread, which may do so again inside; the lock ends with the process, however it ends.

    Raises:
        EnvironmentFault: "runs/x: in use by process 4242 on host h: wait until it ends, or choose another directory".
    """
    from filelock import FileLock, Timeout

    path = directory / LOCK
    lock = FileLock(path.absolute(), blocking=False, is_singleton=True)
    try:
        with faults(path):
            try:
                lock.acquire()
            except Timeout:  # an OSError
                holder = path.read_text(errors="replace").strip()
                instead = "wait until it ends, or choose another directory"
                raise EnvironmentFault(f"{directory}: in use by {holder or 'another process'}: {instead}") from None
            if lock.lock_counter == 1:
                path.write_text(f"process {os.getpid()} on host {socket.gethostname()}\n")
        yield
    finally:
        lock.release()


def read_regular(path: Path, most_bytes: int | None = None, *, follow_links: bool = True) -> bytes:
    """The content of a regular file of at most `most_bytes`.

    Raises:
        InputError: "no such file"; "not a regular file", since a pipe or device could block or never end;
            "2,000,000 bytes are too many, at most 1,048,576 are read".
        EnvironmentFault: it cannot be read.
    """
    try:
        status = path.stat(follow_symlinks=follow_links)
        if not stat.S_ISREG(status.st_mode):
            raise InputError("not a regular file", where=path)
        if most_bytes is not None and status.st_size > most_bytes:
            raise InputError(f"{status.st_size:,} bytes are too many, at most {most_bytes:,} are read", where=path)
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError("no such file", where=path) from None
    except OSError as error:
        raise EnvironmentFault(f"{path}: {error.strerror}") from error


def parse_json_object(content: bytes, *, where: object) -> dict[str, Any]:
    """A JSON object, strictly: no repeated key, no NaN.

    Raises:
        InputError: "not valid JSON: Expecting value: line 1 column 1 (char 0)"; "not a JSON object".
    """
    try:
        value = json.loads(content, object_pairs_hook=_distinct, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON: {one_line(error)}", where=where) from None
    if not isinstance(value, dict):
        raise InputError("not a JSON object", where=where)
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key is repeated")
    return values


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
