"""Set-up of every test process: one thread each (workers share the cores), and annotations that are enforced."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # inherited by the processes that tests start
os.environ.setdefault("MKL_NUM_THREADS", "1")
# Threads of OpenMP that wait for another do not spin: on cores that all tests share, that took most of the CPU time of
# comparisons whose runs have two threads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import jaxtyping

# Before the first import of sightline: in the rooms that have shapes, a call with a wrong type or shape fails.
# Elsewhere pyrefly says the same without a run, and wrapping every function took each process five seconds.
SHAPED = ("core", "decoding", "mixers", "models", "ops", "parts", "testing")
jaxtyping.install_import_hook([f"sightline.{room}" for room in SHAPED], "beartype.beartype")

import hypothesis  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

from tests.unchecked import unchecked  # noqa: E402

torch.set_num_threads(1)

# Time says nothing on busy cores: no limits of it. The same examples every time keep runs comparable.
hypothesis.settings.register_profile(
    "sightline",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=True,
    database=None,
)
hypothesis.settings.load_profile("sightline")


# In other tests whole models and commands run, for which the checks of each call take a third of the time.
CHECKED = {"contract", *SHAPED} - {"decoding"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Annotations are enforced in the tests of the rooms that have shapes, fixtures included."""
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    with nullcontext() if folder in CHECKED else unchecked():
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def _workers() -> Iterator[None]:
    from tests.kept_workers import kept_workers

    with kept_workers():
        yield
