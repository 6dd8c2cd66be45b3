"""The state of a decoder as tensors that a program takes and gives, in the form that `torch.export` records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.utils import _pytree

from sightline.core.caches import Growing
from sightline.export.torch_program import ProgramInputs

PREFIX = "state."
GROWN = 3  # positions of a cache in the example that a step is recorded with: neither 0 nor 1


@final
class StateForm:
    """The form of a state besides its tensors; `take` notes it while a program is recorded, `fill` needs it."""

    def __init__(self) -> None:
        self.tree: Any = None
        self.present: list[bool] = []  # of each leaf of the tree, whether it is a tensor
        self.names: list[str] = []
        self.growing: list[int | None] = []  # of each tensor, the axis that grows

    def take(self, state: Any) -> list[Tensor]:
        """The tensors of a state, whose form is noted.

        Raises:
            ValueError: "a step changes the form of the state: …", where it is not the form noted before.
        """
        paths, tree = _pytree.tree_flatten_with_path(state)
        if self.tree is not None and tree != self.tree:
            raise ValueError("a step changes the form of the state: it has no program that could be called again")
        self.tree, self.present = tree, [leaf is not None for _, leaf in paths]
        self.names = [PREFIX + _place(path) for path, leaf in paths if leaf is not None]
        self.growing = [axis for axis, there in zip(_axes(state), self.present, strict=True) if there]
        return [leaf for _, leaf in paths if leaf is not None]

    @classmethod
    def unsettled(cls, state: Any) -> bool:
        """Whether a tensor other than a cache is still empty, as a window is that is not full yet: it will grow."""
        form = cls()
        pairs = zip(form.take(state), form.growing, strict=True)
        return any(growing is None and 0 in tensor.shape[1:] for tensor, growing in pairs)

    def fill(self, tensors: Sequence[Tensor]) -> Any:
        """The state of this form with these tensors."""
        each = iter(tensors)
        return _pytree.tree_unflatten([next(each) if there else None for there in self.present], self.tree)

    def example(self, program: Any, tensors: Sequence[Tensor]) -> tuple[ProgramInputs, dict[str, dict[int, str]]]:
        """Inputs to record a step with, and the axes whose size may change.

        `program` gives such states as the last of its outputs, and gave these tensors.
        """
        outputs = program.graph.find_nodes(op="output")[0].args[0][-len(tensors) :]
        inputs: ProgramInputs = {}
        axes: dict[str, dict[int, str]] = {}
        for name, node, tensor, growing in zip(self.names, outputs, tensors, self.growing, strict=True):
            sizes = node.meta["val"].shape
            open_axes = {axis: "memory" for axis, size in enumerate(sizes) if not isinstance(size, int)}
            axes[name] = {**open_axes, 0: "batch"}
            if growing is not None:
                axes[name][growing] = "past"
                if tensor.shape[growing] < GROWN:
                    shape = list(tensor.shape)
                    shape[growing] = GROWN
                    tensor = torch.zeros(shape, dtype=tensor.dtype)
            inputs[name] = tensor.contiguous()
        return inputs, axes


def _place(path: Any) -> str:
    """The place of a leaf, such as "2.keys": the third layer's field of that name."""
    parts = [getattr(key, "name", getattr(key, "idx", getattr(key, "key", ""))) for key in path]
    return ".".join(str(part) for part in parts if part != "tensor")


def _axes(state: Any) -> list[int | None]:
    """For each leaf of the tree the axis along which it grows."""
    if isinstance(state, Growing):
        return [state.axis]
    if isinstance(state, tuple):
        return [axis for part in state for axis in _axes(part)]
    return [None]
