"""Models built for the sake of their sizes: without memory for weights, and without values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


@final
class _DrawNothing(TorchFunctionMode):
    """Leaves out random initial values, for which the meta device imports torch's compiler."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.init.normal_:
            return kwargs["tensor"]
        return args[0] if func is torch.Tensor.normal_ else func(*args, **(kwargs or {}))


@contextmanager
def sizes_only() -> Iterator[None]:
    """Modules that are built inside have parameters on the meta device."""
    with _DrawNothing(), torch.device("meta"):
        yield
