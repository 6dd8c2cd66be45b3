"""Serial work: the longest chain of dependent operations, counted on the graph that is executed.

An operation is one call of a kernel that computes or moves numbers: a matrix product, a softmax, a sum, a sine, a copy.
Views, allocations and constants count nothing. The chain of a result is one more than the longest chain of what the
call read, element by element of memory: a loop that writes into the slots of one buffer is serial only if it also reads
from them. A prefix scan (`cumsum` and the like) counts ⌈log₂ n⌉, as on a parallel machine; a sum or a product counts
one, as do torch's fused kernels of attention, whose loop over keys is a sum. Kernels that hide a recurrence are
refused; on a CPU in float64 there are none, so that recurrences are counted step by step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sightline.core.mixer import SequenceMixer
from sightline.lab.exponents import fit_exponent
from sightline.lab.mechanism import Mechanism, OnStop, not_stopped, outputs
from sightline.lab.panel_results import Chain, Phase

LENGTHS = (32, 64, 128, 256, 512)
SCANS = ("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin", "_cummax_helper", "_cummin_helper")
HIDING = ("mkldnn_rnn_layer", "_cudnn_rnn", "miopen_rnn", "_thnn_fused")
# Their values do not depend on the numbers of the tensors that they take.
CONSTANTS = (
    "empty_like", "zeros_like", "ones_like", "full_like", "new_empty", "new_empty_strided", "new_zeros", "new_ones",
    "new_full",
)  # fmt: skip
OVERWRITING = ("copy_", "fill_", "zero_")  # what was there before does not matter

Depths = int | Tensor  # of a whole storage, or of each of its units


@final
class ChainCounter(TorchDispatchMode):
    """Counts the operations inside the block: `longest` chain, and `total`.

    Raises:
        ValueError: "aten.mkldnn_rnn_layer hides a recurrence: count it in float64".
    """

    def __init__(self) -> None:
        super().__init__()
        self.longest = self.total = 0
        self._depths: dict[int, Depths] = {}
        self._kept: list[Any] = []  # storages, so that no address is used twice

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        results = func(*args, **kwargs)
        name = func._schema.name.removeprefix("aten::")
        if name.startswith(HIDING):
            raise ValueError(f"aten.{name} hides a recurrence: count it in float64")
        written = [t for t in tree_leaves(results) if isinstance(t, Tensor) and t.numel()]
        arguments = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        if not func._schema.is_mutable:
            known = {_address(t) for t in arguments}
            written = [t for t in written if _address(t) not in known]
            if not written:
                return results
        read = list(_read(func, name, args, kwargs))
        if not read:
            for tensor in written:
                self._write(tensor, 0)
            return results
        depth = max(map(self._depth, read)) + _cost(name, args)
        self.longest, self.total = max(self.longest, depth), self.total + 1
        for tensor in written:
            self._write(tensor, depth)
        return results

    def _depth(self, tensor: Tensor) -> int:
        depths = self._depths.get(_address(tensor), 0)
        return depths if isinstance(depths, int) else int(_region(depths, tensor).max())

    def _write(self, tensor: Tensor, depth: int) -> None:
        address, storage = _address(tensor), tensor.untyped_storage()
        if address not in self._depths:
            self._kept.append(storage)
        units = storage.nbytes() // _unit(tensor)
        if tensor.numel() * tensor.element_size() == storage.nbytes() and tensor.is_contiguous():
            self._depths[address] = depth
            return
        before = self._depths.get(address, 0)
        if isinstance(before, int):
            if before == depth:
                return
            before = self._depths[address] = torch.full((units,), before, dtype=torch.int32)
        _region(before, tensor).fill_(depth)


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _unit(tensor: Tensor) -> int:
    """Bytes that have one depth: those of the real and of the imaginary part have their own."""
    return min(4, tensor.element_size())


def _region(depths: Tensor, tensor: Tensor) -> Tensor:
    """The depths of the tensor's elements."""
    units = tensor.element_size() // _unit(tensor)
    strides = [stride * units for stride in tensor.stride()]
    return depths.as_strided((*tensor.shape, units), (*strides, 1), tensor.storage_offset() * units)


def _read(func: Any, name: str, args: Any, kwargs: Any) -> Iterator[Tensor]:
    """The tensors whose numbers the call reads."""
    if name in CONSTANTS:
        return
    for place, argument in enumerate(func._schema.arguments):
        value = kwargs.get(argument.name) if argument.kwarg_only or place >= len(args) else args[place]
        if argument.is_out or (place == 0 and name in OVERWRITING):
            continue
        for tensor in tree_leaves(value):
            if isinstance(tensor, Tensor) and tensor.numel():
                yield tensor


def _cost(name: str, args: Any) -> int:
    if name.rstrip("_") not in SCANS or len(args) < 2 or not isinstance(args[1], int):
        return 1
    return max(1, math.ceil(math.log2(max(1, args[0].shape[args[1]]))))


def count_chain(mechanism: Mechanism, phase: Phase, length: int) -> tuple[int, int] | None:
    """Longest chain and number of operations of one row of `length` positions, in float64.

    phase: "forward" in one call; "training" adds the gradients of the input and all parameters; "prefill" is forward
    without a graph, which takes other kernels; "decode" is one step after `length` positions. None for a decode of an
    encoder, which has no step.
    """
    module = mechanism.build(dtype=torch.float64, length=length)
    inputs = mechanism.inputs(module, 1, length, dtype=torch.float64)
    if phase in ("prefill", "decode"):
        if not isinstance(module, SequenceMixer):
            return None
        with torch.no_grad():
            if phase == "prefill":
                with ChainCounter() as counter:
                    outputs(module, inputs)
            else:
                _, state = outputs(module, inputs)
                with ChainCounter() as counter:
                    module.step(inputs.x[:, 0], state)
        return counter.longest, counter.total
    x = inputs.x.requires_grad_()
    with ChainCounter() as counter:
        y, _ = outputs(module, inputs._replace(x=x))
        if phase == "training":
            y.sum().backward()
    return counter.longest, counter.total


def mechanism_chains(
    mechanism: Mechanism,
    lengths: Sequence[int] = LENGTHS,
    phases: Sequence[Phase] = ("forward", "training", "decode"),
    on_stop: OnStop = not_stopped,
) -> list[Chain]:
    """The chains of a mechanism at every length, with the exponents of their growth.

    A length that it cannot read ends the phase: `on_stop(phase, length, reason)`.
    """
    chains = []
    for phase in phases:
        counted: list[int] = []
        counts: list[tuple[int, int]] = []
        for length in lengths:
            try:
                count = count_chain(mechanism, phase, length)
            except ValueError as error:
                on_stop(phase, length, str(error))
                break
            if count is not None:
                counted.append(length)
                counts.append(count)
        if not counts:
            continue
        longest, total = ([count[i] for count in counts] for i in (0, 1))
        growth = fit_exponent(counted, [[float(steps)] for steps in longest])
        chains.append(Chain(mechanism.name, phase, counted, longest, total, growth, mechanism.along))
    return chains
