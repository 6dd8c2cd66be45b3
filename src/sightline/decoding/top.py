"""The largest logits of each row, found block by block: one quick pass over the vocabulary instead of a search."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 128  # tokens whose maximum is computed first
LONG = 2048  # tokens from which blocks gain


def argmax(logits: Tensor) -> Tensor:
    """The token (N,) with the largest of logits (N, V); ties go to the lowest."""
    blocks, rest = _split(logits, 1)
    if blocks is None:
        return logits.argmax(1)
    block = blocks.amax(2).argmax(1, keepdim=True)  # (N, 1)
    inside = blocks.gather(1, block.unsqueeze(2).expand(-1, -1, BLOCK)).squeeze(1)  # (N, BLOCK)
    largest, place = inside.max(1, keepdim=True)
    best = block * BLOCK + place
    if rest.shape[1]:
        of_rest, place = rest.max(1, keepdim=True)
        best = torch.where(of_rest > largest, place + logits.shape[1] - rest.shape[1], best)
    return best.squeeze(1)


def top(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`logits.topk(count, 1)`; for one token ties go to the lowest, so that a beam of 1 is greedy."""
    if count == 1:
        best = argmax(logits).unsqueeze(1)
        return logits.gather(1, best), best
    blocks, rest = _split(logits, count)
    if blocks is None:
        return logits.topk(count, 1)
    # The largest `count` tokens are in the rest or in those `count` blocks whose maxima are largest.
    chosen = blocks.amax(2).topk(count, 1).indices  # (N, K)
    inside = blocks.gather(1, chosen.unsqueeze(2).expand(-1, -1, BLOCK)).flatten(1)
    tokens = (chosen.unsqueeze(2) * BLOCK + torch.arange(BLOCK, device=logits.device)).flatten(1)
    if rest.shape[1]:
        last = torch.arange(logits.shape[1] - rest.shape[1], logits.shape[1], device=logits.device)
        inside, tokens = torch.cat([inside, rest], 1), torch.cat([tokens, last.expand(len(rest), -1)], 1)
    values, places = inside.topk(count, 1)
    return values, tokens.gather(1, places)


def _split(logits: Tensor, count: int) -> tuple[Tensor | None, Tensor]:
    """Whole blocks (N, V // BLOCK, BLOCK), None where they gain nothing, and what is left over."""
    whole = logits.shape[1] // BLOCK
    if logits.shape[1] < LONG or count > whole // 4:
        return None, logits
    return logits[:, : whole * BLOCK].unflatten(1, (whole, BLOCK)), logits[:, whole * BLOCK :]
