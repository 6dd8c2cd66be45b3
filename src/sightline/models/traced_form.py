"""Models in the form that torch's compiler reads."""

from __future__ import annotations

from copy import deepcopy
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from sightline.core.precision import Precision
from sightline.parts.packed_linear import BFloat16Linear, Int8Linear, PackedLinear
from sightline.parts.stored_linear import StoredLinear

_kept: WeakKeyDictionary[nn.Module, dict[Precision, Any]] = WeakKeyDictionary()


def traced_form(model: Any, precision: Precision) -> Any:
    """A copy of a model that is prepared for inference at this precision, whose linear layers the compiler can read.

    Parameters are shared. The copy is kept as long as the model.
    """
    forms = _kept.setdefault(model, {})
    if precision not in forms:
        forms[precision] = _copied(model, precision)
    return forms[precision]


def _copied(model: Any, precision: Precision) -> Any:
    copies: dict[int, Any] = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    for part in model.modules():
        narrow = isinstance(part, BFloat16Linear | Int8Linear)
        wide = isinstance(part, PackedLinear) or type(part) is nn.Linear
        if narrow or (wide and part.weight.dtype == torch.float32):
            copies[id(part)] = StoredLinear(part, precision if narrow else "float32")
        elif isinstance(part, PackedLinear):
            copies[id(part)] = part.plain()
    return deepcopy(model, copies).eval()
