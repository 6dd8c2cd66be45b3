"""Models as archives of `torch.export`, which torch alone reads and runs."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, ClassVar, final

import torch

from sightline.export.format import ExportFormat
from sightline.export.torch_forms import WRITERS
from sightline.tasks.task import Task

FORMAT = 1
MANIFEST = "manifest.json"


@final
class TorchArchive(ExportFormat):
    """`encoder.pt2`, `prompt.pt2`, `step.pt2` and `forward.pt2`, as the model has them; `manifest.json` describes them.

    Sizes of batches and lengths may change. Recurrences are loops of torch's operator `scan`, and a state of a decoder
    is a tensor for each of its parts. Every program is read back and compared with the model when it is written. The
    files that the task saves beside its weights, such as its vocabulary, are copied.
    """

    name: ClassVar[str] = "torch"
    summary: ClassVar[str] = "torch.export archives, which torch alone reads"
    mark: ClassVar[str] = MANIFEST

    def refusal(self, task: Task[Any, Any, Any]) -> str | None:
        if task.form not in WRITERS:
            return f"no exported program for models of the form {task.form!r}"
        if task.samples_futures:
            return "quantiles of futures that are drawn at random have no program: train with --model.paths 0"
        return None

    def write(self, task: Task[Any, Any, Any], directory: Path) -> None:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of torch's exporter, about itself
            programs = WRITERS[task.form](task, directory)
        task.save_files(directory)
        about = {"format": FORMAT, "torch": torch.__version__, "task": task.name, "form": task.form}
        about |= {"arch": task.arch, "data": task.data, "programs": programs}
        text = json.dumps(about, ensure_ascii=False, allow_nan=False, indent=1)
        (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")
