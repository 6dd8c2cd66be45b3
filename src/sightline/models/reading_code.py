"""Machine code that reads a source: token ids in, the decoder's state before its first token out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn

from sightline.core.caches import Growing, Shared
from sightline.core.state import Leaf, form, leaves, stored_leaves, with_leaves
from sightline.models.machine_code import (
    MachineCall,
    Recording,
    code_name,
    described,
    is_faster,
    machine_code,
    size_range,
)


@final
class LoopsOverPositions(Exception):
    """A reading for which torch has kernels of its own, as for recurrences, and its compiler has none."""


def read_source(model: Any, source: Any, mask: Tensor | None = None) -> Any:
    """The state of a model's decoder before its first token, everything it reads of the source included."""
    return model.initial_state(model.encode(source, mask))


@final
class ReadingCode:
    """The reading of one source without padding: `run(source)` gives the state after token ids (1, M).

    lengths: the least and the largest M
    like: a state of the same form; its leaves without content are those of every source
    stored: whether the code was compiled earlier
    """

    stored = False

    def __init__(self, call: MachineCall, lengths: tuple[int, int], like: Any) -> None:
        self._call, self._lengths = call, lengths
        self._like = with_leaves(like, [_without_content(leaf) for leaf in stored_leaves(like)])
        self._from_code = _with_content(like)

    def takes(self, source: Tensor) -> bool:
        """Whether the code is for sources of this length."""
        least, most = self._lengths
        return least <= source.shape[1] <= most

    def run(self, source: Tensor) -> Any:
        """The state after token ids (1, M)."""
        contents = iter(self._call(source.contiguous()))  # the code does not look at strides
        pairs = zip(stored_leaves(self._like), self._from_code, strict=True)
        return with_leaves(self._like, [_around(leaf, next(contents) if code else None) for leaf, code in pairs])

    def is_faster(self, plain: Callable[[], Any], source: Tensor) -> bool:
        """Whether calls in turns take less processor time than the plain reading's, by the median of their ratio."""
        return is_faster(lambda: self.run(source), plain)


def reading_code(model: Any, source: Tensor, like: Any, precision: str, *, again: bool = False) -> ReadingCode:
    """The code for a model's reading of one source, compiled unless this machine has it; with `again` in any case.

    like: the state after this source

    Raises:
        LoopsOverPositions: nothing is compiled.
    """
    reading = _TracedReading(model, like)
    decides = ["reading", len(source), str(source.dtype), precision, described(form(like)), _with_content(like)]
    name, what = code_name(model, decides), "the reading of one source"
    loaded = machine_code(name, reading, lambda: _recorded(reading, source), what, again=again)
    least, most = loaded.facts["lengths"]
    code = ReadingCode(loaded.call, (least, most), like)
    code.stored = loaded.stored
    return code


@final
class _TracedReading(nn.Module):
    """A reading as a function of tensors: token ids (1, M) in, the contents of leaves out."""

    def __init__(self, model: Any, like: Any) -> None:
        super().__init__()
        self.model = model
        self._form, self._from_code = form(like), _with_content(like)

    def forward(self, source: Tensor) -> tuple[Tensor, ...]:
        """The leaves that have content.

        Raises:
            ValueError: "the form of the state is not that of the plain reading".
        """
        state = read_source(self.model, source)
        if form(state) != self._form:
            raise ValueError("the form of the state is not that of the plain reading")
        pairs = zip(leaves(state), self._from_code, strict=True)
        return tuple(content.contiguous() for content, code in pairs if code)  # as steps read it


def _recorded(reading: _TracedReading, source: Tensor) -> Recording:
    """The reading as a program of torch.export, and `lengths` of `ReadingCode`."""
    free, fixed = torch.export.Dim.AUTO, torch.export.Dim.STATIC
    with torch.inference_mode(False), torch.no_grad():
        program = torch.export.export(reading, (source.clone(),), dynamic_shapes=({0: fixed, 1: free},))
    length = program.graph.find_nodes(op="placeholder")[-1].meta["val"].shape[1]
    loops = program.graph.find_nodes(op="call_function", target=torch.ops.higher_order.scan)
    if isinstance(length, int) or loops:
        raise LoopsOverPositions
    (constraint,) = [one for name, one in program.range_constraints.items() if str(name) == str(length)]
    return Recording(program, {"lengths": size_range(constraint)})


def _with_content(state: Any) -> list[bool]:
    """Whether the leaves of a state have content."""
    return [content.numel() > 0 for content in leaves(state)]


def _without_content(leaf: Leaf) -> Leaf:
    """A leaf of the same kind; the same one where it has no content."""
    (content,) = leaves(leaf)
    return _around(leaf, content.new_empty([0] * content.dim()) if content.numel() else content)


def _around(leaf: Leaf, content: Tensor | None) -> Leaf:
    """A leaf like this one with other content, None = its own, and a buffer of its own."""
    if content is None:
        (content,) = leaves(leaf)
    if isinstance(leaf, Growing):
        return Growing(content, leaf.axis)
    return Shared(content) if isinstance(leaf, Shared) else content
