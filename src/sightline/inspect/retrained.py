"""Tests of attention by training models again: even, given and adversarial weights, and other seeds.

All functions are of classifiers with one probe of pooled attention (B, T), which map tokens (B, T) and a mask (B, T),
True = real, None where all are, to logits (B, C). The tests are those of Wiegreffe & Pinter 2019 ("Attention is not not
explanation", arXiv:1908.04626), §§ 3.2 to 4; the caller trains, by whatever means, inside `guided` for the first three:

- uniform weights (§ 3.2): a model trained with `even_guide`. If it answers as well, the data do not need attention, and
  nothing can be said about attention on them;
- seeds (§ 3.3): `seed_divergences` of the maps of models that differ in their seed only. Weights of an adversary are
  remarkable as far as they are farther from a model's than those of its other seeds;
- guides (§ 3.4): a model of words without context, trained with `guide_of(model)`. If it answers better than with even
  weights and than with weights of its own, the model's attention says of the words what another model can use;
- adversary (§ 4): `train_adversary`, a whole model that answers as another one does and attends to something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sightline.core.errors import Diverged
from sightline.core.hooks import removed_after
from sightline.inspect.alternatives import PooledAttention, check_pooled, pooled_attention, uniform_weights
from sightline.inspect.faithfulness import jensen_shannon, total_variation
from sightline.inspect.record import recorded_attention, replaced_attention

Guide = Callable[[Tensor, Tensor], Tensor]  # weights (B, T) for tokens (B, T) and mask (B, T)
EpochBatches = Callable[[int], Iterable[tuple[Tensor, Tensor | None]]]  # of an epoch: tokens (B, T) and mask (B, T)


def even_guide(tokens: Tensor, mask: Tensor) -> Tensor:
    """Even weights (B, T) over real tokens (Wiegreffe & Pinter 2019, § 3.2).

    A model that is trained with them is the same model pooled by the mean.
    """
    return uniform_weights(mask)


def guide_of(model: nn.Module) -> Guide:
    """The weights with which a trained model attends to the same tokens (Wiegreffe & Pinter 2019, § 3.4).

    The model is not trained further: it computes in evaluation mode and without gradients. It must read the same ids of
    tokens, and must not be the model that it guides.
    """
    return lambda tokens, mask: pooled_attention(model, tokens, mask).weights


@contextmanager
def guided(model: nn.Module, guide: Guide) -> Iterator[None]:
    """Inside the block `model` attends with exactly the weights of `guide`, in training as in evaluation.

    The parameters of its own attention are not used: they get no gradient. Wiegreffe & Pinter 2019, §§ 3.2 and 3.4.

    Raises:
        ValueError: "expected one probe of pooled attention, found 0"; "the guide gave weights (2, 5), where the model
            attends with (2, 6)", when the model is called.
    """
    check_pooled(model)
    weights: list[Tensor] = []

    def ask(_module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        tokens, mask = (*args, *named.values(), None)[:2]
        weights[:] = [guide(tokens, torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask).detach()]

    def replace(_name: str, own: Tensor) -> Tensor:
        if weights[0].shape != own.shape:
            shapes = tuple(weights[0].shape), tuple(own.shape)
            raise ValueError(f"the guide gave weights {shapes[0]}, where the model attends with {shapes[1]}")
        return weights[0].to(own.dtype)

    asking = removed_after([model.register_forward_pre_hook(ask, with_kwargs=True)])
    with asking, replaced_attention(model, replace):
        yield


def seed_divergences(maps: Sequence[Tensor]) -> Tensor:
    """The Jensen-Shannon divergence (S, S, B), in nats, between the maps (B, T) of each two of S seeds.

    Wiegreffe & Pinter 2019, § 3.3: they plot, for each item, the median over the other seeds of the divergence from one
    base model, `seed_divergences(maps)[0, 1:].median(0)`. Symmetric, 0 on the diagonal, at most ln 2.
    """
    each = torch.stack(list(maps))  # (S, B, T)
    return jensen_shannon(each.unsqueeze(0), each.unsqueeze(1))


def kullback_leibler(p: Tensor, q: Tensor) -> Tensor:
    """KL(p ‖ q) = Σ p (ln p - ln q) over the last axis, in nats; terms with p = 0 are 0."""
    tiny = torch.finfo(p.dtype).tiny
    return (p * (p.clamp(min=tiny).log() - q.clamp(min=tiny).log())).sum(-1)


def adversary_loss(own: PooledAttention, base: PooledAttention, divergence: float) -> Tensor:
    """TVD(ŷ_a, ŷ_b) - λ KL(α_a ‖ α_b) for each row (B,), of an adversary a and the model b, which it leaves as it is.

    Wiegreffe & Pinter 2019, § 4, eq. 1, with λ = `divergence`. The divergence is *from* the adversary: it pays for
    weight where the model has little. Deviation: TVD is ½ Σ |ŷ_a - ŷ_b| over all classes, where their code, with one
    probability for two classes, has half of that; a λ of theirs is 2 λ here.
    """
    change = total_variation(own.answers, base.answers.detach())
    return change - divergence * kullback_leibler(own.weights, base.weights.detach())


def train_adversary(
    base: nn.Module,
    adversary: nn.Module,
    batches: EpochBatches,
    *,
    divergence: float = 1e-3,
    epochs: int = 8,
    lr: float = 1e-3,
) -> list[float]:
    """Train `adversary` to answer as `base` does and to attend to something else; the mean loss of each epoch.

    Wiegreffe & Pinter 2019, § 4, by `adversary_loss`. It is a whole model with parameters of its own, drawn by the
    caller, so that its weights come from its inputs by one rule for all items: unlike `adversarial_attention`, which
    searches again for every item, it is a model that could have been trained. A copy of `base` is a poor start, where
    the divergence has no slope. Deviations: a number of epochs instead of stopping after ten without a lower loss, and
    Adam without decay.

    Raises:
        Diverged: "epoch 2: the adversary's loss is nan".
        ValueError: "expected one probe of pooled attention, found 0".
    """
    check_pooled(adversary)
    optimizer = torch.optim.Adam(adversary.parameters(), lr)
    means = []
    adversary.train()
    for epoch in range(epochs):
        total, count = 0.0, 0
        for tokens, mask in batches(epoch):
            mask = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask
            target = pooled_attention(base, tokens, mask)
            with recorded_attention(adversary) as weights:
                answers = adversary(tokens, mask).softmax(1)
            own = PooledAttention(next(iter(weights.values())), answers)
            losses = adversary_loss(own, target, divergence)
            optimizer.zero_grad(set_to_none=True)
            losses.mean().backward()
            optimizer.step()
            total, count = total + float(losses.detach().sum()), count + len(tokens)
        means.append(total / max(count, 1))
        if not torch.isfinite(torch.tensor(means[-1])):
            raise Diverged(f"epoch {epoch + 1}: the adversary's loss is {means[-1]}")
    adversary.eval()
    return means


class ConsistentAdversary(NamedTuple):
    """How an adversary answers and attends beside the model that it imitates, for each row."""

    change: Tensor  # (B,) total variation of the answer, in [0, 1]
    divergence: Tensor  # (B,) Jensen-Shannon divergence of the weights, nats, in [0, ln 2]
    agrees: Tensor  # (B,) bool: the same class is most likely


def compare_adversary(base: nn.Module, adversary: nn.Module, tokens: Tensor, mask: Tensor) -> ConsistentAdversary:
    """The numbers of Wiegreffe & Pinter 2019, § 4, for an adversary: a large divergence at a small change is one."""
    theirs, own = pooled_attention(base, tokens, mask), pooled_attention(adversary, tokens, mask)
    return ConsistentAdversary(
        total_variation(theirs.answers, own.answers),
        jensen_shannon(theirs.weights, own.weights),
        theirs.answers.argmax(1) == own.answers.argmax(1),
    )
