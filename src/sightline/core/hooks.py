"""Hooks of modules: for the length of a block, and whether calling a module runs any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules import module as torchs
from torch.utils.hooks import RemovableHandle

# Those of every module, as `nn.modules.module.register_module_forward_hook` adds them.
_after, _before = torchs._global_forward_hooks, torchs._global_forward_pre_hooks
_after_backward, _before_backward = torchs._global_backward_hooks, torchs._global_backward_pre_hooks


def parts_of(model: nn.Module) -> list[nn.Module]:
    """The list of `model.modules()`, in a third of the time: torch writes a name for each part, for nobody."""
    parts: dict[nn.Module, None] = {}
    _collect(model, parts)
    return list(parts)


def _collect(part: nn.Module, parts: dict[nn.Module, None]) -> None:
    parts[part] = None
    for below in part._modules.values():
        if below is not None and below not in parts:
            _collect(below, parts)


def hooked(module: nn.Module) -> bool:
    """Whether calling the module does more than the `forward` of its class, or something else.

    It has hooks, or all modules have, or somebody has given this one a `forward` of its own.
    """
    return any_hooked((module,))


def any_hooked(modules: Iterable[nn.Module]) -> bool:
    """Whether one of the modules is `hooked`."""
    if _after or _before or _after_backward or _before_backward:
        return True
    for module in modules:
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks:
            return True
        if "forward" in module.__dict__:
            return True
    return False


@contextmanager
def removed_after(handles: Iterable[RemovableHandle]) -> Iterator[None]:
    """Registered hooks are removed at the end of the block, after an exception too."""
    registered = list(handles)
    try:
        yield
    finally:
        for handle in registered:
            handle.remove()
