"""Loading of other libraries, or a report that they are missing."""

from __future__ import annotations

import importlib
import os
import warnings
from typing import Any

from sightline.lab.bench.scenario import Unavailable
from sightline.training.environment import installed_version


def load(package: str, module: str) -> Any:
    """A module of a distribution; raises `Unavailable` if it is not installed or cannot be imported."""
    if installed_version(package) is None:
        raise Unavailable(f"{package} is not installed: pip install 'sightline[peers]'")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models are built from configurations; nothing is downloaded
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(module)
        except Exception as error:
            raise Unavailable(f"importing {module} failed: {type(error).__name__}: {error}") from error
