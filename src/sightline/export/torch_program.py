"""One program of a `torch.export` archive: a module over tensors, the sizes that may change, and its description."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.export.equality import TOLERANCE, cause_of, difference

ProgramInputs = dict[str, Tensor]


@final
@dataclass(frozen=True)
class Program:
    """A module that takes tensors, one argument each, and gives a tuple of tensors.

    inputs: examples, by name; none has the size 0 or 1 along an axis that may change
    axes: of each input, the axes whose size may change, with a name
    """

    name: str
    module: nn.Module
    inputs: ProgramInputs
    axes: dict[str, dict[int, str]]

    def trace(self) -> Any:
        """The module as `torch.export` records it, an `ExportedProgram`.

        Raises:
            InputError: "step: torch.export cannot record it: …".
        """
        sizes = [dict.fromkeys(self.axes[name], torch.export.Dim.DYNAMIC) for name in self.inputs]
        # An export that fails leaves marks on its tensors, by which the next one would be of fixed size: copies.
        tensors = tuple(tensor.clone() for tensor in self.inputs.values())
        try:
            with torch.no_grad():
                program = torch.export.export(self.module, tensors, dynamic_shapes=(tuple(sizes),))
        except Exception as error:  # torch raises many classes, and none is about this model alone
            raise InputError(f"{self.name}: torch.export cannot record it: {cause_of(error)}") from error
        for part in program.graph_module.modules():  # its own graph and those of its loops
            for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
                node.meta.pop("stack_trace", None)  # which lines of which files of this machine
        return program

    def describe(self, program: Any, outputs: Sequence[str]) -> dict[str, Any]:
        """Names, types and sizes of the program's inputs and outputs; sizes that may change are names or formulas."""
        placeholders = [node for node in program.graph.nodes if node.op == "placeholder"]
        taken = [node.meta["val"] for node in placeholders[-len(self.inputs) :]]
        names: dict[str, str] = {}
        for name, value in zip(self.inputs, taken, strict=True):
            names.update({str(value.shape[axis]): called for axis, called in self.axes[name].items()})
        results = [node.meta["val"] for node in program.graph.find_nodes(op="output")[0].args[0]]
        return {
            "file": f"{self.name}.pt2",
            "inputs": [_described(*pair, names) for pair in zip(self.inputs, taken, strict=True)],
            "outputs": [_described(*pair, names) for pair in zip(outputs, results, strict=True)],
        }


def save(program: Any, path: Path) -> Callable[..., Any]:
    """Write an archive, and give what `torch.export.load` reads back, as a function.

    It raises `InputError` where the program does not run: "step: the program runs at its example's sizes alone: …".
    """
    logger = logging.getLogger("torch._export.serde.serialize")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of loops without constants, which it writes rightly
    try:
        torch.export.save(program, path)
    finally:
        logger.setLevel(level)
    loaded = torch.export.load(path).module()

    def run(*tensors: Tensor) -> Any:
        try:
            return loaded(*tensors)
        except Exception as error:  # guards are assertions
            raise InputError(
                f"{path.stem}: the program runs at its example's sizes alone: {cause_of(error)}"
            ) from error

    return run


def check_equal(name: str, expected: Tensor, actual: Tensor) -> None:
    """Raise `InputError` where a program's output differs from the model's."""
    if actual.shape != expected.shape:
        shapes = tuple(actual.shape), tuple(expected.shape)
        raise InputError(f"{name}: the program gives the shape {shapes[0]}, the model {shapes[1]}")
    if not (worst := difference(expected.numpy(), actual.numpy())) <= TOLERANCE:
        raise InputError(f"{name}: the program gives outputs that differ by {worst:.1g}")


def _described(name: str, value: Tensor, names: dict[str, str]) -> dict[str, Any]:
    sizes = [size if isinstance(size, int) else _spelled(str(size), names) for size in value.shape]
    return {"name": name, "dtype": str(value.dtype).removeprefix("torch."), "shape": sizes}


def _spelled(size: str, names: dict[str, str]) -> str:
    """A size such as "s75 + 1" with the names of inputs' axes."""
    for symbol in sorted(names, key=len, reverse=True):
        size = size.replace(symbol, names[symbol])
    return size
