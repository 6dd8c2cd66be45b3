"""Models as ONNX graphs, with a runner that needs numpy and onnxruntime alone."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, final

from sightline.export.format import ExportFormat
from sightline.export.onnx_forms import FACTS, WRITERS, write_facts
from sightline.tasks.task import Task

RUNNER = "run.py"
FORMAT = 1


@final
class Onnx(ExportFormat):
    """`encoder.onnx`, `decoder.onnx`, `classifier.onnx` or `forecaster.onnx`; `export.json` describes them.

    Sizes of batches and lengths may change. Recurrences are loops (Scan), and a state of a decoder is a tensor for each
    of its parts. Every graph is compared with the model in ONNX Runtime when it is written.
    """

    name: ClassVar[str] = "onnx"
    summary: ClassVar[str] = "ONNX graphs, and a runner that needs numpy and onnxruntime alone"
    mark: ClassVar[str] = FACTS
    extra: ClassVar[str | None] = "onnx"
    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxscript", "onnxruntime")

    def refusal(self, task: Task[Any, Any, Any]) -> str | None:
        if task.form not in WRITERS:
            return f"no ONNX graph for models of the form {task.form!r}"
        if task.samples_futures:
            return "quantiles of futures that are drawn at random have no graph: train with --model.paths 0"
        return None

    def write(self, task: Task[Any, Any, Any], directory: Path) -> None:
        facts = WRITERS[task.form](task, directory)
        about = {"format": FORMAT, "task": task.name, "form": task.form, "arch": task.arch, "data": task.data}
        write_facts(directory, about | facts)
        runner = files("sightline.export").joinpath("onnx_runner.py").read_text(encoding="utf-8")
        (directory / RUNNER).write_text(runner, encoding="utf-8")
