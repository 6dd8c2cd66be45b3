"""Copies of a model that only predict: the same parameters, with linear layers packed for a precision."""

from __future__ import annotations

from collections.abc import Hashable
from copy import deepcopy
from itertools import chain
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from sightline.core.precision import Precision
from sightline.parts.packed_linear import check_precision, pack_linears

M = TypeVar("M", bound=nn.Module)

SAMPLED = 32  # values of a tensor, at least, where it has as many
_copies: WeakKeyDictionary[nn.Module, tuple[Hashable, dict[str, Any]]] = WeakKeyDictionary()


def for_inference(model: M, precision: Precision = "float32") -> M:
    """The model in evaluation mode with packed linear layers, for calls without gradients.

    The copy is kept until a parameter or a part of the model changes, so that a second call costs nothing. A model
    whose parts have hooks is returned as it is, since the hooks are for its own parts.

    Raises:
        InputError: as `parts.packed_linear.check_precision` does.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    check_precision(precision, device)
    if any(part._forward_hooks or part._forward_pre_hooks for part in model.modules()):
        return model
    version = _version(model)
    if version is None:
        return _copied(model, precision)
    known, copies = _copies.get(model, (None, {}))
    if known != version:
        copies = {}
        _copies[model] = (version, copies)
    if precision not in copies:
        copies[precision] = _copied(model, precision)
    return copies[precision]


def at_precision(model: M, precision: Precision) -> M:
    """The model itself for float32, which leaves its results as training saw them, else `for_inference`."""
    return model if precision == "float32" else for_inference(model, precision)


def _copied(model: M, precision: Precision) -> M:
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    copy = deepcopy(model, shared)
    pack_linears(copy, precision)
    return copy.eval()


def _version(model: nn.Module) -> Hashable | None:
    """What changes with any parameter, buffer or part; None where torch does not count changes.

    Fused optimizers of torch change parameters without counting (2.13), so that some of the values belong to it too.
    """
    parts = list(model.modules())
    each = (part_tensors.values() for part in parts for part_tensors in (part._parameters, part._buffers))
    tensors = [tensor for tensor in chain.from_iterable(each) if tensor is not None]
    if any(tensor.is_inference() for tensor in tensors):
        return None
    counted = tuple((id(tensor), tensor.data_ptr(), tensor._version) for tensor in tensors)
    return tuple(map(id, parts)), counted, _samples(tensors)


@torch.no_grad()
def _samples(tensors: list[Tensor]) -> bytes:
    """Some values of each tensor, from all of its parts."""
    if not tensors:
        return b""
    flat = [tensor.reshape(-1) for tensor in tensors]
    some = [values[:: max(1, len(values) // SAMPLED)].to("cpu") for values in flat]
    return torch.cat(some).view(torch.uint8).numpy().tobytes()
