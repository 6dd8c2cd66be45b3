"""Top-p without ordering the vocabulary: most distributions reach the mass in their first few tokens."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sightline.core.transforms import composed
from sightline.decoding.top import top

FEW = 32  # tokens that are ordered first
LONG = 7000  # tokens from which it gains not to order them all
ROUNDING = 1e-9  # more than two sums of the same probabilities differ, in any order


def nucleus(chances: Tensor, mass: float) -> Tensor:
    """Chances (N, V), zero but for the smallest set of most likely tokens of each row whose sum reaches `mass`.

    Of equally likely tokens the lowest are in the set. It is that of `by_sorting`, to the bit.
    """
    plain = chances.device.type == "cpu" and chances.dtype == torch.float64 and not composed()
    if chances.shape[1] < LONG or not plain or (chances.requires_grad and torch.is_grad_enabled()):
        return by_sorting(chances, mass)
    most, tokens = top(chances.detach(), FEW)
    ordered = most.numpy()  # (N, K); calls of numpy cost half as much as those of torch
    number, least = _boundary(ordered, mass)
    inside = ordered >= least
    # Where all of the few are in the set, others may be; so may others that are as likely as its last token.
    clear = (ordered[:, -1:] < least) & (np.count_nonzero(inside, axis=1, keepdims=True) == number)
    kept = torch.zeros_like(chances).scatter_(1, tokens, torch.from_numpy(np.where(inside, ordered, 0.0)))
    for row in np.flatnonzero(~clear):
        kept[row] = 0.0
        part, whole = kept[row].numpy(), chances[row].detach().numpy()
        chosen = slice(None) if np.isnan(whole[0]) else _tokens(whole, mass)  # NaN: no token is possible
        part[chosen] = whole[chosen]
    return kept


def by_sorting(chances: Tensor, mass: float) -> Tensor:
    """`nucleus` by its definition: all tokens in order."""
    ordered, tokens = chances.sort(dim=1, descending=True, stable=True)
    before = ordered.cumsum(1) - ordered  # mass of the more likely tokens; exactly 0 for the most likely
    return torch.zeros_like(chances).scatter(1, tokens, ordered.masked_fill(before >= mass, 0.0))


def _boundary(ordered: np.ndarray, mass: float) -> tuple[np.ndarray, np.ndarray]:
    """How many of the largest chances (N, K), in descending order, are in the set, and the least of these: (N, 1) each.

    The mass before a token never falls along the order, in rounded numbers too: the sum grows, and what is subtracted
    falls. So no token is in the set after one that is not.
    """
    cumulative = ordered.cumsum(1)
    number = np.count_nonzero(cumulative - ordered < mass, axis=1, keepdims=True)
    return number, np.take_along_axis(ordered, number - 1, 1)


def _tokens(chances: np.ndarray, mass: float) -> np.ndarray:
    """The tokens (M,) of the set, in their order, from chances (V,) of which it may have many."""
    tokens = _candidates(chances, mass)
    likely = chances[tokens]
    number, least = (one.item() for one in _boundary(np.sort(likely)[None, ::-1], mass))
    inside = likely >= least
    surplus = np.count_nonzero(inside) - number
    if surplus:
        inside[np.flatnonzero(likely == least)[-surplus:]] = False
    return tokens[inside]


def _candidates(chances: np.ndarray, mass: float) -> np.ndarray:
    """Tokens, in their order, that contain the set: all above a limit over which chances (V,) have more than `mass`."""
    # Exponents with two bits of fractions: steps of a quarter at most, in the order of numbers that are not negative.
    steps = chances.view(np.int64) >> 50
    down = np.bincount(steps, chances)[::-1].cumsum()  # mass of each step and those above
    limit = len(down) - 1 - np.count_nonzero(down < mass + ROUNDING)
    return np.flatnonzero(steps >= limit)
