"""Models with fewer heads than their config builds: which heads each layer has kept, by the layer's path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from sightline.core.suggest import unknown
from sightline.parts.attention_heads import PrunableHeads


def prunable_layers(model: nn.Module) -> dict[str, PrunableHeads]:
    """The layers of a model whose heads can be removed, by their paths; softmax attention over itself or a memory."""
    return {name: module for name, module in model.named_modules() if isinstance(module, PrunableHeads)}


def kept_heads(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The numbers of the heads that pruned layers have kept, by path; layers with all of their heads are left out."""
    kept = {name: layer.heads.kept for name, layer in prunable_layers(model).items()}
    return {name: numbers for name, numbers in kept.items() if numbers is not None}


def keep_heads(model: nn.Module, kept: Mapping[str, Sequence[int]]) -> None:
    """Remove from each named layer all heads but those with these numbers, in place; other layers stay.

    The model then computes what it did with the outputs of the removed heads replaced by zeros
    (`inspect.heads.ablated_heads`), with fewer parameters and smaller states.

    Raises:
        ValueError: "unknown layer 'decodr.0', did you mean 'decoder.0'?"; and, with the layer's path in front, those of
            `AttentionHeads.keep_heads`. The model is then left as it was, up to that layer.
    """
    layers = prunable_layers(model)
    for name, numbers in kept.items():
        if name not in layers:
            raise ValueError(unknown("layer", name, layers))
        try:
            layers[name].keep_heads(numbers)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


def restore_heads(model: nn.Module, kept: Mapping[str, Sequence[int]]) -> None:
    """Remove from a model that its config has just built what `kept_heads` says of the saved one, in place.

    Some layers are built without all heads (`SoftmaxConfig.kept`, `models.head_groups`). The numbers are those of all
    heads there too.

    Raises:
        ValueError: as `keep_heads`; "decoder.1: kept heads [0, 3] are not all among those that it is built with, [0]".
    """
    layers = prunable_layers(model)
    places: dict[str, Sequence[int]] = {}
    for name, numbers in kept.items():
        built = layers[name].heads.kept if name in layers else None
        if built is not None and not set(numbers) <= set(built):
            raise ValueError(
                f"{name}: kept heads {list(numbers)} are not all among those that it is built with, {list(built)}"
            )
        places[name] = numbers if built is None else [built.index(number) for number in numbers]
    keep_heads(model, places)
