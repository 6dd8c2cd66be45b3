"""Whether torch transforms a function instead of running it.

torch's compiler, `torch.jit.trace` and the transforms of `torch.func` read a function operation by operation. They, and
forward-mode differentiation, know the derivatives of torch's operations, and nothing of a kernel with a backward of its
own.
"""

from __future__ import annotations

import torch
from torch.autograd import forward_ad

from sightline.core.shapes import AnyTensor

_functorch, _is_tracing = torch._C._functorch, torch._C._is_tracing


def forward_mode() -> bool:
    """Whether forward-mode derivatives are recorded: by `torch.func.jvp` or `torch.autograd.forward_ad`."""
    return forward_ad._current_level >= 0


def transformed() -> bool:
    """Whether a transform of `torch.func` is active or forward-mode derivatives are recorded."""
    return torch._C._are_functorch_transforms_active() or forward_mode()


def several_gradients(grad: AnyTensor) -> bool:
    """Whether a backward gets several gradients at once: `torch.autograd.grad` with `is_grads_batched`."""
    return _functorch.is_legacy_batchedtensor(grad)


def composed() -> bool:
    """Whether a result must be composed of operations that torch can differentiate, batch and compile."""
    return torch.compiler.is_compiling() or _is_tracing() or transformed()


def in_place() -> bool:
    """Whether an operation may overwrite its own intermediate results: no graph is recorded, nothing transformed."""
    return not torch.is_grad_enabled() and (torch.compiler.is_compiling() or not transformed())


def batched(x: AnyTensor) -> bool:
    """Whether `torch.func.vmap` runs over an axis of x, so that its values cannot be looked at."""
    if not torch._C._are_functorch_transforms_active():
        return False
    while _functorch.is_functorch_wrapped_tensor(x):
        if _functorch.is_batchedtensor(x):
            return True
        x = _functorch.get_unwrapped(x)
    return False
