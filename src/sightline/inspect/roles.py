"""Scores of known roles of attention heads, and profiles of where each looks, over any number of batches.

Weights are (B, H, T, S): of causal or full self-attention, T = S, or of cross-attention over a memory. Scores are means
over the queries that can play the role, from 0 (never) to 1 (all weight, always), NaN where no query can.
"""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor

from sightline.ops.documents import split_documents
from sightline.ops.pattern import Pattern
from sightline.ops.plan import Plan
from sightline.parts.positions import advance

EDGES = [*range(9), *(2**power for power in range(4, 21))]  # largest distances of the bins: 0 to 8, 9–16, 17–32, …


class HeadScores(NamedTuple):
    """Scores (H,) of the heads of one layer."""

    previous: Tensor  # weight on the position before
    first: Tensor  # weight on the first position of the row or document, of the other queries; of a memory, of all
    duplicate: Tensor  # weight on earlier occurrences of the query's own token
    induction: Tensor  # weight on the positions after earlier occurrences of the query's token
    rare: Tensor  # share of queries whose heaviest key is the rarest token in view
    distance: Tensor  # mean |t - s| by weight, in units of what even weights over the same keys would have
    entropy: Tensor  # of the weights, in units of the logarithm of the number of keys in view


class HeadProfiles(NamedTuple):
    """Where the heads of one layer look, by bins of distance and of the query's position (`EDGES`)."""

    before: Tensor  # (H, bins) share of weight on keys at or before the query, by distance
    after: Tensor  # (H, bins) share on later keys, by distance
    entropy: Tensor  # (H, bins) mean relative entropy by the query's position; NaN where no query says anything


ROLES = ("previous", "first", "duplicate", "induction", "rare")
NAMED = ROLES[:4]  # roles by which a head is named
CLEAR = 0.5  # score from which a role is clear, if it is also twice that of even weights


@final
class HeadTally:
    """Sums of the scores and profiles of one layer's heads over batches.

    Beside the heads it scores even weights over the keys in view, the level of a head that does not choose.

    causal: whether later keys are hidden; pattern: the keys that the layer shows each position of a document, None =
        all, or all up to the position
    """

    def __init__(self, *, causal: bool = True, pattern: Pattern | None = None) -> None:
        self.causal, self.pattern = causal, pattern
        self._sums: dict[str, tuple[Tensor, Tensor]] = {}

    def add(
        self, weights: Tensor, tokens: Tensor | None = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> None:
        """Count in weights (B, H, T, T); tokens, mask (True = real) and starts of documents are (B, T).

        Without tokens the roles that need them are not scored. Which tokens are rare follows from those of one call.
        """
        rows, _, length, _ = weights.shape
        real = torch.ones(rows, length, dtype=torch.bool, device=weights.device) if mask is None else mask
        nothing = torch.zeros(rows, dtype=torch.long, device=weights.device)
        place, _ = advance(nothing, length, mask, starts)
        index = torch.arange(length, device=weights.device)
        seen = real[:, :, None] & real[:, None, :]  # (B, T, S)
        if self.causal:
            seen = seen & (index[:, None] >= index)
        if starts is not None:
            documents = starts.cumsum(1)
            seen = seen & (documents[:, :, None] == documents[:, None, :])
        if self.pattern is not None and not self.pattern.everywhere:
            alone = mask is None and starts is None
            plan = Plan(self.pattern, documents=None if alone else split_documents(mask, starts))
            shown, _ = plan.relate(weights, length, 0, length)
            seen = seen if shown is None else seen & shown.squeeze(1)
        weights = self._with_even(weights, seen)
        gap = (place[:, :, None] - place[:, None, :]).expand(seen.shape)  # (B, T, S)
        self._count("previous", *_weight_on(weights, seen & (gap == 1)))
        self._count("first", *_weight_on(weights, seen & (place == 0)[:, None, :] & (place > 0)[:, :, None]))
        if tokens is not None:
            same = (tokens[:, :, None] == tokens[:, None, :]) & seen & (gap > 0)
            after = torch.zeros_like(same)
            after[:, :, 1:] = same[:, :, :-1]
            self._count("duplicate", *_weight_on(weights, same))
            self._count("induction", *_weight_on(weights, after & seen & (gap >= 0)))
            self._count("rare", *_rare(weights, seen, tokens, real))
        self._spread(weights, seen, gap.abs().double(), place)
        for name, side in (("before", gap >= 0), ("after", gap < 0)):
            self._count(name, _by_bin((weights * (seen & side).unsqueeze(1)), gap.abs()), seen.any(2).sum())

    def add_memory(self, weights: Tensor, mask: Tensor | None = None, memory_mask: Tensor | None = None) -> None:
        """Count in weights (B, H, T, M) over a memory; mask (B, T) of the queries, memory_mask (B, M)."""
        rows, _, length, keys = weights.shape
        device = weights.device
        real = torch.ones(rows, length, dtype=torch.bool, device=device) if mask is None else mask
        shown = torch.ones(rows, keys, dtype=torch.bool, device=device) if memory_mask is None else memory_mask
        seen = real[:, :, None] & shown[:, None, :]
        weights = self._with_even(weights, seen)
        self._count("first", *_weight_on(weights, seen & (shown.cumsum(1) == 1)[:, None, :]))
        place = torch.arange(length, device=device).expand(rows, -1)
        self._spread(weights, seen, None, place)

    def scores(self) -> HeadScores:
        """The scores (H,) of all batches."""
        return HeadScores(*(self._mean(name)[:-1] for name in HeadScores._fields))

    def even(self) -> HeadScores:
        """The scores () of even weights over the keys in view."""
        return HeadScores(*(self._mean(name)[-1] for name in HeadScores._fields))

    def profiles(self) -> HeadProfiles:
        """The profiles of all batches."""
        return HeadProfiles(*(self._mean(name)[:-1] for name in ("before", "after", "entropy_at")))

    def _with_even(self, weights: Tensor, seen: Tensor) -> Tensor:
        even = seen.double() / seen.sum(2, keepdim=True).clamp(min=1)
        return torch.cat([weights.detach().double(), even.unsqueeze(1)], 1)  # (B, H + 1, T, S)

    def _count(self, name: str, total: Tensor, count: Tensor) -> None:
        before = self._sums.get(name)
        self._sums[name] = (total, count) if before is None else (before[0] + total, before[1] + count)

    def _mean(self, name: str) -> Tensor:
        if name in self._sums:
            total, count = self._sums[name]
            return total / count
        heads = len(next(total for total, _ in self._sums.values()))
        return torch.full((heads,), torch.nan, dtype=torch.double)

    def _spread(self, weights: Tensor, seen: Tensor, gap: Tensor | None, place: Tensor) -> None:
        """Relative distance and relative entropy, over queries that see more than one key."""
        keys = seen.sum(2)  # (B, T)
        queries = (keys > 1).unsqueeze(1)
        count = queries.sum()
        nats = torch.special.entr(weights * seen.unsqueeze(1)).sum(3) / keys.clamp(min=2).double().log().unsqueeze(1)
        self._count("entropy", (nats * queries).sum((0, 2)), count)
        at = _by_bin(nats * queries, place)
        self._count("entropy_at", at, _by_bin(queries.double(), place))
        if gap is not None:
            even = (gap * seen).sum(2) / keys.clamp(min=1)  # (B, T)
            far = (weights * gap.unsqueeze(1)).sum(3) / even.clamp(min=1e-12).unsqueeze(1)
            self._count("distance", (far * queries).sum((0, 2)), count)


def score_heads(
    weights: Tensor,
    tokens: Tensor,
    mask: Tensor | None = None,
    starts: Tensor | None = None,
    *,
    causal: bool = True,
    pattern: Pattern | None = None,
) -> HeadScores:
    """Scores of the H heads that gave weights (B, H, T, T) for tokens (B, T); mask and starts (B, T), True = real.

    previous, duplicate and induction (prefix matching) are the scores of Olsson et al. 2022 ("In-context learning and
    induction heads", arXiv:2209.11895, § "Argument 1" and its appendix); first is the weight on a sink (Xiao et al.
    2023, arXiv:2309.17453); rare is the role of Voita et al. 2019 (arXiv:1905.09418, § 5.2), with ranks of frequency
    in `tokens` themselves. Queries that see one key only say nothing and are left out of distance and entropy.
    `causal` and `pattern` as of `HeadTally`.

    Raises:
        ValueError: "expected weights (B, H, T, T) for tokens (2, 9), got (2, 4, 9, 8)".
    """
    rows, length = tokens.shape
    if weights.dim() != 4 or (weights.shape[0], *weights.shape[2:]) != (rows, length, length):
        raise ValueError(f"expected weights (B, H, T, T) for tokens {tuple(tokens.shape)}, got {tuple(weights.shape)}")
    tally = HeadTally(causal=causal, pattern=pattern)
    tally.add(weights, tokens, mask, starts)
    return tally.scores()


def clear_role(scores: dict[str, float], even: dict[str, float]) -> str:
    """The role of `NAMED` with the highest score, if that is at least `CLEAR` and twice that of even weights; or "".

    Roles without a score are left out.
    """
    known = [role for role in NAMED if role in scores]
    clear = {role: scores[role] for role in known if scores[role] >= max(CLEAR, 2 * even[role])}
    return max(clear, key=lambda role: clear[role], default="")


def _weight_on(weights: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """The weight (H,) on the chosen keys (B, T, S), summed over the queries that have one, and their number."""
    queries = chosen.any(2)  # (B, T)
    return (weights * chosen.unsqueeze(1)).sum((0, 2, 3)), queries.sum()


def _rare(weights: Tensor, seen: Tensor, tokens: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Queries (H,) whose heaviest key is the rarest token in view; of those that see two tokens at least."""
    counts = torch.bincount(tokens[real], minlength=int(tokens.max()) + 1)
    often = counts[tokens].double()[:, None, :].expand(seen.shape).masked_fill(~seen, torch.inf)  # (B, T, S)
    least = often.amin(2, keepdim=True)
    rarest = (often == least) & seen
    queries = (often.masked_fill(~seen, -torch.inf).amax(2, keepdim=True) > least).squeeze(2) & seen.any(2)
    heaviest = weights.argmax(3, keepdim=True)  # (B, H, T, 1)
    hit = rarest.unsqueeze(1).expand(weights.shape).gather(3, heaviest).squeeze(3)
    return (hit & queries.unsqueeze(1)).sum((0, 2)).double(), queries.sum()


def _by_bin(values: Tensor, distance: Tensor) -> Tensor:
    """Sums (H, bins) of values (B, H, …) by the bins of their distances (B, …)."""
    edges = torch.tensor(EDGES, device=values.device)
    place = torch.bucketize(distance.contiguous(), edges).clamp(max=len(EDGES) - 1)
    rows = values.transpose(0, 1).flatten(1)
    return rows.new_zeros(len(rows), len(EDGES)).index_add_(1, place.flatten(), rows)
