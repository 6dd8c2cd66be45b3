"""Copies of a model that only predict: the same parameters, linear layers packed for a precision, no dropout."""

from __future__ import annotations

import math
from copy import deepcopy
from itertools import chain
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from sightline.core.hooks import any_hooked, parts_of
from sightline.core.precision import Precision
from sightline.parts.packed_linear import check_precision, pack_linears

M = TypeVar("M", bound=nn.Module)

SAMPLED = 32  # values of a tensor, at least, where it has as many
_kept: WeakKeyDictionary[nn.Module, _Kept] = WeakKeyDictionary()


def for_inference(model: M, precision: Precision = "float32") -> M:
    """The model in evaluation mode with packed linear layers and without dropout, for calls without gradients.

    The copy is kept until a parameter or a part of the model changes, so that a second call costs nothing. A model
    whose parts have hooks, or a `forward` that replaces that of their class, is returned as it is, since these are for
    its own parts.

    Raises:
        InputError: as `parts.packed_linear.check_precision` does.
    """
    parts = parts_of(model)
    tensors = _tensors(parts)
    device = next((tensor.device for tensor in tensors), torch.device("cpu"))
    check_precision(precision, device)
    if any_hooked(parts):
        return model
    if any(tensor.is_inference() for tensor in tensors):  # torch does not count their changes
        return _copied(model, precision)
    kept = _kept.get(model)
    if kept is None or kept.changed(parts, tensors):
        kept = _kept[model] = _Kept.of(parts, tensors)
    if precision not in kept.copies:
        kept.copies[precision] = _copied(model, precision)
    return kept.copies[precision]


def at_precision(model: M, precision: Precision) -> M:
    """The model itself for float32, which leaves its results as training saw them, else `for_inference`."""
    return model if precision == "float32" else for_inference(model, precision)


def _copied(model: M, precision: Precision) -> M:
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    copy = deepcopy(model, shared)
    pack_linears(copy, precision)
    _without_dropout(copy)
    return copy.eval()


def _without_dropout(module: nn.Module) -> None:
    """Replace every `nn.Dropout` below `module`, in place: calling one takes longer than an addition."""
    for name, part in list(module.named_children()):
        if type(part) is nn.Dropout:
            identity: Any = nn.Identity()
            identity.p, identity.inplace = part.p, part.inplace  # which other code may read
            setattr(module, name, identity)
        else:
            _without_dropout(part)


def _tensors(parts: list[nn.Module]) -> list[Tensor]:
    """Parameters and buffers of all parts."""
    each = (tensors.values() for part in parts for tensors in (part._parameters, part._buffers))
    return [tensor for tensor in chain.from_iterable(each) if tensor is not None]


class _Kept(NamedTuple):
    """The copies of a model, and the state that they were made of.

    torch counts neither the changes of fused optimizers (2.13) nor writes through `.data`, so that some of the values
    belong to it too. A write through `.data` to few values of a matrix is not seen where all of them lie between those:
    reading all values takes up to half as long as an answer.
    """

    counted: object
    some: list[Tensor]  # views of each tensor
    values: bytes
    copies: dict[str, Any]

    @classmethod
    def of(cls, parts: list[nn.Module], tensors: list[Tensor]) -> _Kept:
        some = [_some(tensor.detach()) for tensor in tensors]
        return cls(_counted(parts, tensors), some, _bytes(some), {})

    def changed(self, parts: list[nn.Module], tensors: list[Tensor]) -> bool:
        return self.counted != _counted(parts, tensors) or self.values != _bytes(self.some)


def _counted(parts: list[nn.Module], tensors: list[Tensor]) -> object:
    """A value that changes with a part, or with a tensor where torch counts that."""
    return [id(part) for part in parts], [(id(tensor), tensor.data_ptr(), tensor._version) for tensor in tensors]


def _some(tensor: Tensor) -> Tensor:
    """A view of some values of a tensor, (N,) where it has no gaps: of each row and column of a matrix at least one."""
    stored = tensor.permute(sorted(range(tensor.ndim), key=lambda axis: -tensor.stride(axis)))
    if not stored.is_contiguous():
        each = max(1, round(SAMPLED ** (1 / tensor.ndim)))  # along every axis
        return tensor[tuple(slice(None, None, max(1, size // each)) for size in tensor.shape)]
    rows = len(stored) if stored.ndim else 1
    columns = stored.numel() // max(1, rows)
    # Steps shorter than a row reach every row. As many steps as columns, without a common divisor, reach every column.
    step = max(1, min(rows, columns - 1, stored.numel() // SAMPLED))
    while math.gcd(step, columns) > 1:
        step -= 1
    return stored.view(-1)[::step]


def _bytes(some: list[Tensor]) -> bytes:
    if not some:
        return b""
    if len({values.device for values in some}) > 1:
        some = [values.cpu() for values in some]
    flat = torch.cat([values if values.ndim == 1 else values.reshape(-1) for values in some])
    return flat.cpu().view(torch.uint8).numpy().tobytes()
