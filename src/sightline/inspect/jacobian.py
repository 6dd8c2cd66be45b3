"""How much each input position moves each output position of a layer: norms of exact Jacobians.

What attention weights are for attention, these are for recurrences, which form no weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sightline.core.hooks import removed_after
from sightline.core.interruption import interruption_point
from sightline.core.mixer import SequenceEncoder, SequenceMixer
from sightline.core.modes import evaluating
from sightline.core.probe import Probe
from sightline.core.state import map_state
from sightline.models.stack import AsEncoder, DeepOutput, EncoderStack, Residual, ResidualEncoder, Stack

ROWS = 128  # rows of a Jacobian that are computed at once
COMPOSITES = (AsEncoder, DeepOutput, EncoderStack, Residual, ResidualEncoder, Stack)  # of which the parts are layers


def jacobian_norms(
    function: Callable[[Tensor], Tensor], x: Tensor, *, rows: int = ROWS, directions: int | None = None
) -> Tensor:
    """‖∂y_t/∂x_s‖ (T, S), the Frobenius norm, of y = function(x) at one row x (1, S, D).

    `function` maps rows (R, S, D) to rows (R, T, E), each row for itself. Exact, by vector-Jacobian products: copy r of
    the row has the r-th unit vector as its cotangent, so that one backward pass for each t gives `rows` rows of every
    ∂y_t/∂x_s. Takes T · ⌈E / rows⌉ backward passes and the memory of a forward pass over `rows` rows.

    directions: estimate instead ‖J‖² as the mean of ‖vᵀJ‖² over so many vectors v of random signs, the same ones every
        time (Hutchinson 1990, doi:10.1080/03610919008812866): without bias, with T backward passes over as many rows.
        None, or as many as there are rows: exact

    Raises:
        ValueError: "a Jacobian is of one row: expected x (1, S, D), got (2, 7, 4)".
    """
    if x.dim() != 3 or x.shape[0] != 1:
        raise ValueError(f"a Jacobian is of one row: expected x (1, S, D), got {tuple(x.shape)}")
    with torch.no_grad():
        _, steps, width = function(x).shape
    if directions is not None and directions < width:
        return _estimated(function, x, directions, width)
    total = x.new_zeros(steps, x.shape[1])
    for first in range(0, width, rows):
        interruption_point()
        count = min(rows, width - first)
        copies = x.detach().expand(count, -1, -1).clone().requires_grad_()
        with torch.enable_grad():
            outputs = function(copies)[:, :, first : first + count].diagonal(dim1=0, dim2=2)  # (T, R)
            if not outputs.requires_grad:
                continue
            total += _squares(outputs.sum(1), copies)
    return total.sqrt()


def _estimated(function: Callable[[Tensor], Tensor], x: Tensor, directions: int, width: int) -> Tensor:
    signs = torch.randint(2, (directions, 1, width), generator=torch.Generator().manual_seed(0)) * 2 - 1
    copies = x.detach().expand(directions, -1, -1).clone().requires_grad_()
    with torch.enable_grad():
        outputs = function(copies)
        if not outputs.requires_grad:
            return x.new_zeros(outputs.shape[1], x.shape[1])
        return (_squares((outputs * signs.to(outputs)).sum((0, 2)), copies) / directions).sqrt()


def _squares(of_steps: Tensor, copies: Tensor) -> Tensor:
    """Of numbers (T,) the sums (T, S) of their squared slopes by the positions of copies (R, S, D)."""
    sums = []
    for of_step in of_steps:
        (gradient,) = torch.autograd.grad(of_step, copies, retain_graph=True, allow_unused=True, materialize_grads=True)
        sums.append(gradient.square().sum((0, 2)))
    return torch.stack(sums)


class Called(NamedTuple):
    """A layer, and the arguments of its first call by name; x (B, T, D) is the first of them."""

    layer: nn.Module
    arguments: dict[str, Any]

    def of_row(self, row: int) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        """The layer as a function of x alone for copies of one row, and that row (1, T, D)."""
        (name, x), *others = self.arguments.items()

        def function(rows: Tensor) -> Tensor:
            def repeated(leaf: Tensor) -> Tensor:
                return leaf[row : row + 1].expand(len(rows), *leaf.shape[1:])

            result = self.layer(**{name: rows}, **{key: map_state(repeated, value) for key, value in others})
            return result if isinstance(result, Tensor) else result[0]

        return function, x[row : row + 1].detach()


def mixing_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The mixers and encoders without attention weights to show, by their path: recurrences, in the first place.

    Stacks and residuals are looked into; anything else with parts, a bidirectional recurrence say, is one layer.
    """
    layers: dict[str, nn.Module] = {}

    def look(path: str, module: nn.Module) -> None:
        layer = isinstance(module, SequenceMixer | SequenceEncoder) and not isinstance(module, COMPOSITES)
        if layer and not any(isinstance(part, Probe) for part in module.modules()):
            layers[path] = module
            return
        for name, child in module.named_children():
            look(f"{path}.{name}" if path else name, child)

    look("", model)
    return layers


@torch.no_grad()
def called_layers(layers: Mapping[str, nn.Module], run: Callable[[], object]) -> dict[str, Called]:
    """The first call of every layer while `run()` calls the model; layers that are not called are left out."""
    calls: dict[str, Called] = {}
    handles = []
    for name, layer in layers.items():

        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], name: str = name) -> None:
            if name not in calls:
                calls[name] = Called(module, dict(signature(module.forward).bind(*args, **kwargs).arguments))

        handles.append(layer.register_forward_pre_hook(hook, with_kwargs=True))
    with removed_after(handles):
        run()
    return calls


def layer_jacobians(
    model: nn.Module, run: Callable[[], object], *, rows: int = ROWS, directions: int | None = None
) -> dict[str, Tensor]:
    """`jacobian_norms` (T, T) of every mixing layer, by its path, while `run()` calls the model; the mean over rows.

    Layers that treat every position alone are left out. Dropout is off.
    """
    norms = {}
    with evaluating(model):
        for name, called in called_layers(mixing_layers(model), run).items():
            batch = len(next(iter(called.arguments.values())))
            if not batch or not _mixes(*called.of_row(0)):
                continue
            norms[name] = torch.stack(
                [jacobian_norms(*called.of_row(row), rows=rows, directions=directions) for row in range(batch)]
            ).mean(0)
    return norms


@torch.no_grad()
def _mixes(function: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    """Whether a change of the first or the last position reaches another."""
    plain = function(x)
    if plain.shape[1] != x.shape[1]:
        return True
    for place, others in ((0, slice(1, None)), (-1, slice(0, -1))):
        moved = x.clone()
        moved[:, place] += 1.0
        if not torch.equal(function(moved)[:, others], plain[:, others]):
            return True
    return False
