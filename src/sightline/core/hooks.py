"""Hooks of modules for the length of a block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch.utils.hooks import RemovableHandle


@contextmanager
def removed_after(handles: Iterable[RemovableHandle]) -> Iterator[None]:
    """Registered hooks are removed at the end of the block, after an exception too."""
    registered = list(handles)
    try:
        yield
    finally:
        for handle in registered:
            handle.remove()
