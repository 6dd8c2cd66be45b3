"""Exports run without the checks of annotations: a size that is left open is not an `int`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unchecked import unchecked


@pytest.fixture(autouse=True)
def _unchecked() -> Iterator[None]:
    with unchecked():
        yield
