"""Models of any task in the layout of Hugging Face's hub, to upload as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

from sightline.export.format import ExportFormat
from sightline.models.store import CONFIG
from sightline.tasks.hub import MOST_BYTES, save_pretrained
from sightline.tasks.task import Task


@final
class Hub(ExportFormat):
    """A model directory, as `Task.save_pretrained` writes it; nothing is uploaded."""

    name = "hub"
    summary = "A repository for the Hugging Face Hub, for any model; nothing is uploaded."
    mark = CONFIG
    extra = "hf"
    packages = ("huggingface_hub",)

    def refusal(self, task: Task[Any, Any, Any]) -> str | None:
        return None

    def write(self, task: Task[Any, Any, Any], directory: Path) -> None:
        save_pretrained(task, directory, MOST_BYTES)
