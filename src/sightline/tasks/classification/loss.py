"""The training loss of labels, and the weight of each class in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.core.config import nearest
from sightline.core.errors import InputError
from sightline.tasks.classification.config import ClassificationConfig
from sightline.training.loss import Loss, cross_entropy, divergence


def class_weights(config: ClassificationConfig, labels: np.ndarray, classes: Sequence[str]) -> tuple[float, ...] | None:
    """The weight of each class in the loss; see `ClassificationConfig.class_weights`.

    Raises:
        InputError: "class_weights.yess: no such class, did you mean 'yes'?"
    """
    chosen = config.class_weights
    if chosen == "none":
        return None
    counts = labels.sum(0) if labels.ndim == 2 else np.bincount(labels, minlength=len(classes))
    if isinstance(chosen, dict):
        weights = {_class_of(key, classes): float(weight) for key, weight in chosen.items()}
        return tuple(weights.get(name, 1.0) for name in classes)
    counts = np.maximum(counts, 1)
    balanced = (len(labels) - counts) / counts if labels.ndim == 2 else len(labels) / (len(classes) * counts)
    return tuple(float(weight) for weight in balanced)


def _class_of(key: str, classes: Sequence[str]) -> str:
    """The class that a key of `class_weights` means: in flags the hyphens of its name are underscores."""
    spelled = [key] if key in classes else [name for name in classes if name.replace("-", "_") == key]
    if len(spelled) == 1:
        return spelled[0]
    near = nearest(key, classes)
    hint = f", did you mean {near!r}?" if near else f"; there are {', '.join(classes[:20])}"
    raise InputError(f"no such class{hint}", where=f"class_weights.{key}")


def label_loss(
    logits: Tensor, labels: Tensor, weights: tuple[float, ...] | None = None, smoothing: float = 0.0
) -> Loss:
    """The loss of logits (B, C) for labels (B,) int64, or (B, C) bool where there may be any number of them.

    Its plain part is neither weighted nor smoothed; it counts items, or items times classes.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    weight = None if weights is None else logits.new_tensor(weights)
    if labels.dtype == torch.bool:
        targets = labels.to(logits.dtype)
        plain = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum").detach()
        smoothed = targets * (1.0 - smoothing) + 0.5 * smoothing
        total = F.binary_cross_entropy_with_logits(logits, smoothed, pos_weight=weight, reduction="sum")
        return Loss(total, plain, labels.numel())
    if weight is None:
        return cross_entropy(logits, labels, epsilon=smoothing)
    plain = F.cross_entropy(logits, labels, reduction="sum").detach()
    total = F.cross_entropy(logits, labels, weight, label_smoothing=smoothing, reduction="sum")
    return Loss(total, plain, len(labels))


def label_divergence(logits: Tensor, reference: Tensor, labels: Tensor) -> Tensor:
    """Σ KL of the probabilities by logits (B, C) from those of another model, in nats; of labels (B, C) bool, where
    there may be any number of them, over every class.
    """
    if labels.dtype != torch.bool:
        return divergence(logits, reference)
    pairs = [torch.stack([torch.zeros_like(part), part], -1) for part in (logits, reference)]  # (B, C, 2)
    return divergence(pairs[0], pairs[1])
