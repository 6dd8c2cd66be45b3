"""The documents in rows with padding: where they are, and how to run a recurrence over each of them alone.

A recurrence has no attention mask. Instead of a check at each step, the real positions of every document move to the
left of a row of their own, the kernel runs over these rows at full speed, and the outputs move back. In the row
[a b | c _ d], in which | begins a document and _ is padding, the documents are [a b] and [c d].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.shapes import Counts, Float, Hidden, HiddenSequences, Mask, Sequences, Starts, TokenPositions
from sightline.core.transforms import batched
from sightline.ops.eager import eager

Carried = tuple[Hidden, ...]  # what one step passes to the next
DocumentVectors = Float[Tensor, "N H"]
DocumentStates = tuple[DocumentVectors, ...]


class Documents(NamedTuple):
    """The N documents of a batch. The first document of each row continues the one before the row."""

    row: Tensor  # (N,) the batch row
    begins: Tensor  # (N,) False = continues the state before the row
    length: Tensor  # (N,) real positions
    index: Tensor  # (N, L) positions in the flattened (B·T), 0 past the length
    valid: Tensor  # (N, L) False past the length
    last: Tensor  # (B,) the document that each row ends in


@eager  # shapes follow from values, on which a graph would have to be cut
def split_documents(mask: Mask | None, starts: Starts | None) -> Documents:
    """The documents of rows with padding (mask, True = real) and document starts, both (B, T); one may be None."""
    flags = mask if mask is not None else starts
    if flags is None:
        raise ValueError("split_documents needs a mask or starts")
    if any(part is not None and batched(part) for part in (mask, starts)):
        raise InputError(
            "torch.func.vmap cannot tell rows with different masks or starts apart in this mechanism: give rows of one "
            "length without them, or call it once for each row"
        )
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


def label_documents(
    first: Counts, mask: Mask | None, starts: Starts | None, steps: int
) -> tuple[TokenPositions, Counts]:
    """The document (B, T) of each of `steps` positions, -1 for padding, and the last document (B,).

    Documents are counted from `first`; mask and starts as in `split_documents`, but both may be None.
    """
    label = first.unsqueeze(1).expand(-1, steps)
    if starts is not None:
        label, first = label + starts.cumsum(1), first + starts.sum(1)
    return (label if mask is None else label.masked_fill(~mask, -1)), first


def right_padded(mask: Mask) -> bool:
    """Whether padding is only at the end of rows; False on a GPU, where the answer would wait, and in exports."""
    if mask.device.type != "cpu" or torch.compiler.is_exporting():
        return False
    return not bool((mask[:, 1:] > mask[:, :-1]).any())


def run_documents(
    run: Callable[[Sequences, Carried, Counts], tuple[HiddenSequences, Carried]],
    x: Sequences,
    carried: Carried,
    fresh: Carried,
    documents: Documents,
) -> tuple[HiddenSequences, Carried]:
    """Outputs (B, T, H), zero at masked positions, and the state after each row.

    run(x (N, L, D), carried, length (N,)) returns outputs (N, L, H) and the state after `length` positions. `carried`
    is the state before the rows, `fresh` that of a new document, both tuples of (B, H).
    """
    batch, steps, width = x.shape
    rows = x.reshape(batch * steps, width)[documents.index]  # (N, L, D)
    rows = rows.masked_fill(~documents.valid.unsqueeze(-1), 0.0)
    y, final = run(rows, first_states(documents, carried, fresh), documents.length)
    out = y.new_zeros(batch * steps, y.shape[2])
    out = out.index_put((documents.index[documents.valid],), y[documents.valid])
    return out.view(batch, steps, -1), tuple(part[documents.last] for part in final)


def first_states(documents: Documents, carried: Carried, fresh: Carried) -> DocumentStates:
    """The state (N, H) before each document: that of its row (B, H), or that of a new document (B, H)."""
    begins = documents.begins.unsqueeze(1)
    return tuple(
        torch.where(begins, new[documents.row], old[documents.row]) for old, new in zip(carried, fresh, strict=True)
    )


def at_length(first: Hidden, y: HiddenSequences, length: Counts) -> Hidden:
    """The last of the first `length` (N,) positions of y (N, L, H), or `first` (N, H) where the length is 0."""
    whole = torch.cat([first.unsqueeze(1), y], 1)
    return whole[torch.arange(len(length), device=y.device), length]
