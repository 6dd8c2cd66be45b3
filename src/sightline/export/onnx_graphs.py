"""One graph of an export: a module, its named inputs and outputs, and the sizes that may differ from call to call."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.errors import InputError, one_line
from sightline.export.equality import TOLERANCE, cause_of, difference

OPSET = 20


@final
@dataclass(frozen=True)
class Graph:
    """A module that takes and gives lists of tensors.

    inputs: examples, by name; none has the size 0 or 1 along an axis that may change
    axes: of each input, the axes whose size may change, with a name
    others: further inputs with other sizes, on which the graph is compared with the module
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    axes: dict[str, dict[int, str]]
    outputs: tuple[str, ...]
    others: Sequence[dict[str, Tensor]] = field(default=())

    def write(self, path: Path) -> None:
        """Write the graph, and compare it with the module in ONNX Runtime.

        Raises:
            InputError: "decoder: torch cannot export it: …"; "decoder: ONNX Runtime gives logits that differ by 0.1".
        """
        try:
            with _silence():
                self._export(path)
        except Exception as error:  # torch raises many classes, and none is about this model alone
            raise InputError(f"{path.stem}: torch cannot export it: {cause_of(error)}") from error
        for inputs in (self.inputs, *self.others):
            self._compare(path, inputs)

    def _export(self, path: Path) -> None:
        # An export that fails leaves marks on its tensors, by which the next one would be of fixed size: copies.
        tensors = [tensor.clone() for tensor in self.inputs.values()]
        program: Any = torch.onnx.export(
            self.module,
            (tensors,),
            input_names=list(self.inputs),
            output_names=list(self.outputs),
            dynamic_shapes=([self.axes[name] for name in self.inputs],),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        program.save(path)

    def _compare(self, path: Path, inputs: dict[str, Tensor]) -> None:
        with torch.no_grad():
            expected = self.module(list(inputs.values()))
        try:
            results = run(path, inputs)
        except Exception as error:  # the classes of ONNX Runtime have no common base
            raise InputError(f"{path.stem}: ONNX Runtime cannot run it: {one_line(error)}") from error
        for name, ours, theirs in zip(self.outputs, expected, results, strict=True):
            if (worst := difference(ours.numpy(), theirs)) > TOLERANCE:
                raise InputError(f"{path.stem}: ONNX Runtime gives {name} that differ by {worst:.1g}")


@contextmanager
def _silence() -> Iterator[None]:
    """Without what torch's exporter writes about itself, whole graphs where it fails."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def run(path: Path, inputs: dict[str, Tensor]) -> list[np.ndarray]:
    """The outputs of a graph in ONNX Runtime, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    known = {one.name for one in session.get_inputs()}  # an input that no output depends on is dropped
    return session.run(None, {name: tensor.numpy() for name, tensor in inputs.items() if name in known})
