"""Subnormal numbers, which many processors multiply a hundred times slower than others, flushed to zero.

A float32 is subnormal below 1.2e-38 in magnitude. Training makes them by itself: AdamW's averages of a parameter that
gets no gradient any more, such as the embedding of a rare token, shrink by a constant factor in every step.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch


@contextmanager
def subnormals_flushed() -> Iterator[None]:
    """Inside the block, subnormal numbers count as zero in this thread and its OpenMP threads; afterwards as before.

    Training is then as fast late as early, on processors that are slow with subnormal numbers; results differ in their
    last bits. The commands do it in their own processes; as a library this package leaves the mode of its program
    alone. Nothing happens on a processor without such a mode.
    """
    before = flushes_subnormals()
    flush_subnormals()
    try:
        yield
    finally:
        flush_subnormals(before)


def flush_subnormals(flush: bool = True) -> None:
    """Let this thread and its OpenMP threads take subnormal numbers for zero, or not."""
    torch.set_flush_denormal(flush)
    threads = torch.get_num_threads()
    if threads > 1:
        _in_openmp_threads(flush, threads)


def flushes_subnormals() -> bool:
    """Whether this thread takes subnormal numbers for zero."""
    return not bool(torch.tensor(1e-38) * 0.1)


def _in_openmp_threads(flush: bool, threads: int) -> None:
    """Set the mode of threads that may have started already: each has its own, which it inherits when it starts."""
    each = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: torch.set_flush_denormal(flush) and None)
    for library in _openmp_libraries():
        with suppress(OSError, AttributeError):  # another OpenMP than GNU's or one compatible with it
            ctypes.CDLL(library).GOMP_parallel(each, None, threads, 0)


def _openmp_libraries() -> set[str]:
    """The files of torch's OpenMP in this process; none where the system does not list them."""
    with suppress(OSError):
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
        files = {line.split(maxsplit=5)[5] for line in lines if line.count("/") > 1 and "omp" in line}
        beside = str(Path(torch.__file__).parent)
        return {file for file in files if file.startswith(beside) and "omp" in Path(file).name}
    return set()
