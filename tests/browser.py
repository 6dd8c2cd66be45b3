"""A browser for tests that look at pages: Debian's chromium, by playwright. Without them tests are skipped."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tests.waiting import PATIENCE_S, wait_until

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def wait_for(page: Any, expression: str) -> None:
    """Wait until an expression is true; a page's own wait would evaluate text, which its security policy forbids."""
    wait_until(lambda: page.evaluate(expression))


@contextmanager
def opened(environment: Mapping[str, str] | None = None) -> Iterator[Any]:
    """A context of a browser, with an empty profile; `environment`: variables beside those of this process."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (pip install playwright)"
    )
    with tempfile.TemporaryDirectory() as profile, playwright.sync_playwright() as started:
        context = started.chromium.launch_persistent_context(
            profile,
            executable_path=chromium,
            headless=True,
            args=FLAGS,
            timeout=1000 * PATIENCE_S,
            env={**os.environ, **(environment or {})},
        )
        context.set_default_timeout(1000 * PATIENCE_S)
        yield context
        context.close()
