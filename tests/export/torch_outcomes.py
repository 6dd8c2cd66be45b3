"""What `sightline export --to torch` says of small models, in a process without checked types.

`python -m tests.export.torch_outcomes translation/gru audio` prints a line of JSON for each task and architecture, or
front end of a classifier: "equal", or why there is no export. Sizes that are left open are no Python integers.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from sightline.core.errors import InputError
from sightline.export import FORMATS, export
from sightline.models import FORMS
from sightline.parts.front_ends import FRONT_ENDS
from tests.export.small import BUILD


def with_front_end(name: str) -> Any:
    """A small classifier over that front end, as a stand-in for the task around it."""
    source: Any = FRONT_ENDS[name].examples()[0]
    preset: Any = FORMS["encoder"]["gru"]
    preset = replace(preset.resized(16), layers=1)
    torch.manual_seed(0)
    model = preset.build(source, 23)
    return SimpleNamespace(
        name="classification", form="encoder", arch="gru", data="", model=model, stored_model=model, source=source,
        sizes=preset, outputs=23, config=SimpleNamespace(levels=()), trained=None, save_files=lambda directory: None,
    )  # fmt: skip


def outcome(name: str) -> str:
    """ "equal", or why there is no export."""
    task, _, arch = name.rpartition("/")
    with tempfile.TemporaryDirectory() as folder:
        model = BUILD[task](arch, Path(folder)) if task else with_front_end(name)
        try:
            export(model, FORMATS["torch"], Path(folder) / "export")
        except InputError as error:
            return str(error)
    return "equal"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:]:
        print(json.dumps({"name": name, "outcome": outcome(name)}), flush=True)
