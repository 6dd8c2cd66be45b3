"""What `sightline export --to torch` says of small models, in a process without checked types.

`python -m tests.export.torch_outcomes translation/gru audio` prints a line of JSON for each task and architecture, or
front end of a classifier: "equal", or the message of the refusal. Open sizes are not Python integers.
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

from sightline.models import FORMS
from sightline.parts.front_ends import FRONT_ENDS
from tests.export.small import BUILD, outcome


def with_front_end(name: str) -> Any:
    """A small classifier over that front end, as a stand-in for the task around it."""
    source: Any = FRONT_ENDS[name].examples()[0]
    preset: Any = FORMS["encoder"]["gru"]
    preset = replace(preset.resized(16), layers=1)
    torch.manual_seed(0)
    model = preset.build(source, 23)
    return SimpleNamespace(
        name="classification", form="encoder", arch="gru", data="", model=model, stored_model=model, source=source,
        sizes=preset, outputs=23, samples_futures=False, trained=None, save_files=lambda directory: None,
    )  # fmt: skip


def outcome_of(name: str) -> str:
    """The outcome for a task and architecture, or for a front end."""
    task, _, arch = name.rpartition("/")
    with tempfile.TemporaryDirectory() as folder:
        model = BUILD[task](arch, Path(folder)) if task else with_front_end(name)
        return outcome(model, "torch", Path(folder))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:]:
        print(json.dumps({"name": name, "outcome": outcome_of(name)}), flush=True)
