"""Ragged rows for recurrences: run every document alone, at full kernel speed, whatever padding or packing it sits in.

A recurrence has no attention mask. Instead of guarding each step, the real positions of every document are moved to
the left of a row of their own, the kernel runs over those rows, and the outputs are moved back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Carried = tuple[Tensor, ...]  # what one step hands to the next, each (N, H)
Run = Callable[[Tensor, Carried, Tensor], tuple[Tensor, Carried]]


class Documents(NamedTuple):
    """Where the N documents of a batch stand. Document 0 of each row continues what came before the row."""

    row: Tensor  # (N,) the batch row
    begins: Tensor  # (N,) False = continues the state that the row was given
    length: Tensor  # (N,) real positions
    index: Tensor  # (N, L) positions in the flattened (B·T), 0 past the length
    valid: Tensor  # (N, L) False past the length
    last: Tensor  # (B,) the document that each row ends in


@torch.compiler.disable  # shapes follow from values: each would break the graph anew
def split_documents(mask: Tensor | None, starts: Tensor | None) -> Documents:
    """The documents of rows with padding (mask, True = real) and document starts, both (B, T); one may be None."""
    flags = mask if mask is not None else starts
    if flags is None:
        raise ValueError("split_documents needs a mask or starts")
    batch, steps = flags.shape
    device = flags.device
    real = torch.ones_like(flags) if mask is None else mask
    order = torch.zeros_like(flags, dtype=torch.long) if starts is None else starts.long().cumsum(1)  # (B, T)
    per_row = order[:, -1] + 1 if steps else torch.ones(batch, dtype=torch.long, device=device)
    offset = per_row.cumsum(0) - per_row
    documents = int(per_row.sum())
    row = torch.arange(batch, device=device).repeat_interleave(per_row)
    position = real.flatten().nonzero().squeeze(1)  # (R,) row by row, so already in document order
    document = (offset.unsqueeze(1) + order).flatten()[position]
    length = torch.bincount(document, minlength=documents)
    within = torch.arange(len(position), device=device) - (length.cumsum(0) - length)[document]
    longest = int(length.max()) if documents else 0
    index = torch.zeros(documents, longest, dtype=torch.long, device=device)
    index[document, within] = position
    valid = torch.arange(longest, device=device) < length.unsqueeze(1)
    begins = torch.arange(documents, device=device) != offset[row]
    return Documents(row, begins, length, index, valid, offset + per_row - 1)


def label_documents(first: Tensor, mask: Tensor | None, starts: Tensor | None, steps: int) -> tuple[Tensor, Tensor]:
    """The document (B, T) of each of `steps` positions, -1 for padding, and (B,) the last one, after `first` (B,).

    mask and starts (B, T) as in `split_documents`; both may be None.
    """
    label = first.unsqueeze(1).expand(-1, steps)
    if starts is not None:
        label, first = label + starts.cumsum(1), first + starts.sum(1)
    return (label if mask is None else label.masked_fill(~mask, -1)), first


def right_padded(mask: Tensor) -> bool:
    """Whether padding of mask (B, T) stands only at the end of rows; no elsewhere than on a CPU, where asking waits."""
    return mask.device.type == "cpu" and not bool((mask[:, 1:] > mask[:, :-1]).any())


def run_documents(
    run: Run, x: Tensor, carried: Carried, fresh: Carried, documents: Documents
) -> tuple[Tensor, Carried]:
    """Outputs (B, T, V), zero at masked positions, and what each row carries on.

    run(x (N, L, D), carried, length (N,)) gives outputs (N, L, V) and what is carried after `length` positions.
    `carried` is what the rows were given, `fresh` what a new document begins with, both tuples of (B, H).
    """
    batch, steps, width = x.shape
    rows = x.reshape(batch * steps, width)[documents.index]  # (N, L, D)
    rows = rows.masked_fill(~documents.valid.unsqueeze(-1), 0.0)
    y, final = run(rows, states_given(documents, carried, fresh), documents.length)
    out = y.new_zeros(batch * steps, y.shape[2])
    out = out.index_put((documents.index[documents.valid],), y[documents.valid])
    return out.view(batch, steps, -1), tuple(part[documents.last] for part in final)


def states_given(documents: Documents, carried: Carried, fresh: Carried) -> Carried:
    """What each document (N, H) begins with: what its row carried (B, H), or the state of a new document (B, H)."""
    begins = documents.begins.unsqueeze(1)
    return tuple(
        torch.where(begins, new[documents.row], old[documents.row]) for old, new in zip(carried, fresh, strict=True)
    )


def at_length(first: Tensor, y: Tensor, length: Tensor) -> Tensor:
    """y (N, L, H) after `length` (N,) positions, which is `first` (N, H) where the length is 0."""
    whole = torch.cat([first.unsqueeze(1), y], 1)
    return whole[torch.arange(len(length), device=y.device), length]
