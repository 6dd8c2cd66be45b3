"""Plans of softmax attention: who sees whom in one call and which kernel computes it, decided before any computation.

Mixers and `ops.softmax` make a plan; `ops.execute` runs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sightline.core.shapes import Bool, Float, Int, Mask, Num, Queries, Slopes, Starts, TokenPositions
from sightline.core.state import replaced
from sightline.core.transforms import batched
from sightline.ops.block_products import products_pay
from sightline.ops.documents import Documents, label_documents, right_padded, split_documents
from sightline.ops.pattern import Pattern
from sightline.ops.piece_kernel import available
from sightline.ops.traced import any_length

TRIM_FROM = 384  # queries from which a causal call is cut up: at 256 that gains nothing, at 512 a fifth of the time
TRIM_TO = 768  # from here on torch's kernel wastes less, and only one thread gains by cutting (1.14 at 1,024, two 0.96)
SLOPED = 2**24  # pairs of a query and a key up to which ALiBi's penalty is formed for whole pieces, float64

Kernel = Literal["products", "pieces", "fused", "masked"]


PlanVisible = Bool[Tensor, "#B 1 _ _"]
PlanBias = Float[Tensor, "#B H _ _"]
DocumentIndex = Int[Tensor, "N L"]
DocumentReal = Bool[Tensor, "N L"]
Distances = Num[Tensor, "*rows T S"]
DistanceBias = Float[Tensor, "*rows H T S"]


class Plan(NamedTuple):
    """Who sees whom, and how logits are formed; T queries are the last of S positions, each of which has a key.

    A query sees the keys of its own document that `pattern` shows and `real` does not hide. A row is one document,
    unless one of two descriptions says otherwise: `documents`, each of which is computed as a row of its own, or
    `labels` with `places`, which only an explicit mask follows. Both count positions without padding. For the row
    [a b | c _ d], in which | begins a document and _ is padding, labels are 0 0 1 -1 1 and places 0 1 0 1 1.

    A logit is scale · q·k, bounded by `softcap`, less slope · distance.
    """

    pattern: Pattern
    real: Tensor | None = None  # (B, S) bool, False hides a key from all queries
    documents: Documents | None = None
    labels: Tensor | None = None  # (B, S) the document of each position, -1 for padding
    places: Tensor | None = None  # (B, S) the position in that document, ascending
    slopes: Tensor | None = None  # (H,) ALiBi's
    scale: float | None = None  # None = 1/√K
    softcap: float | None = None

    def packed(
        self, q: Queries, mask: Mask | None, starts: Starts | None, places: TokenPositions, listened: bool
    ) -> Plan:
        """The fastest plan for rows with padding (`mask`) and documents (`starts`) that attend to themselves, T = S.

        This plan is the one without either; `places` are positions in documents. Padding gets zeros or, where it only
        follows and nobody listens to the weights, any finite values.
        """
        if mask is None and starts is None:
            return self
        exporting, pattern = torch.compiler.is_exporting(), self.pattern
        short = exporting or q.shape[2] < TRIM_FROM
        if mask is not None and starts is None:
            if pattern.everywhere and not pattern.causal and self.slopes is None:
                return replaced(self, real=mask)
            if pattern.causal and short and not listened and not batched(mask) and right_padded(mask):
                return self
        if exporting or (pattern.everywhere and (short or not available(q))):  # documents have no size in a graph
            labels, _ = label_documents(places.new_zeros(places.shape[0]), mask, starts, q.shape[2])
            return replaced(self, labels=labels, places=places)
        return replaced(self, documents=split_documents(mask, starts))

    def kernel(self, q: Queries, length: int, listened: bool) -> Kernel:
        """The kernel that reads `length` keys: products, pieces, one call of torch's kernel, or an explicit mask.

        With a soft cap or a listener weights are formed, which the first three do not do.
        """
        if any_length(length):
            self.pattern.check_open()
        if self.documents is not None or self.labels is not None:
            return "masked"
        if torch.compiler.is_exporting():  # for any number of queries and keys
            return "masked"
        steps = q.shape[2]
        pattern = self.pattern.reduced(steps, length)
        plain = pattern.everywhere and self.slopes is None and self.softcap is None
        if plain and self.real is None and not listened and length and products_pay(q):
            return "products"
        cut = pattern.causal and self.real is None if self.slopes is None else steps * length <= SLOPED
        whole = self.slopes is None and steps == length  # torch's kernel skips later keys by itself
        gains = not whole or steps < TRIM_TO or torch.get_num_threads() == 1
        pays = not pattern.everywhere or (cut and steps >= TRIM_FROM and gains)
        if pays and not listened and self.softcap is None and q.numel() and length and available(q):
            return "pieces"
        return "fused" if plain and not (pattern.causal and self.real is not None) else "masked"

    def relate(self, q: Queries, length: int, first: int, last: int) -> tuple[PlanVisible | None, PlanBias | None]:
        """Who sees whom (B or 1, 1, t, S), bool, and the bias (B or 1, H, t, S) of the queries first..last-1.

        None where nothing is hidden or added. What `pattern.causal` hides may be missing from a mask that is None.
        """
        start = length - q.shape[2]
        rows = slice(start + first, start + last)
        if self.documents is not None:
            matrices = _document_matrices(self.documents, self.pattern, len(q), length)
            visible, distance = (x[:, rows] for x in matrices)
        else:
            places = torch.arange(length, device=q.device).unsqueeze(0) if self.places is None else self.places
            at, keys = places[:, rows].unsqueeze(2), places.unsqueeze(1)
            exporting = torch.compiler.is_exporting()
            pattern = self.pattern if exporting else self.pattern.reduced(q.shape[2], length)
            visible = None if pattern.everywhere else pattern.sees(at, keys, length)
            distance = None if self.slopes is None else (at - keys).abs()
        if self.labels is not None:
            own = self.labels[:, rows]
            own = own.masked_fill(own < 0, -2)  # padding sees nothing
            same = own.unsqueeze(2) == self.labels.unsqueeze(1)
            visible = same if visible is None else same & visible
        if self.real is not None:
            real = self.real.unsqueeze(1)
            visible = real if visible is None else visible & real
        bias = None if self.slopes is None or distance is None else alibi_bias(self.slopes, distance, q.dtype)
        return None if visible is None else visible.unsqueeze(1), bias

    def groups(self, documents: Documents) -> Iterator[tuple[DocumentIndex, DocumentReal, Plan]]:
        """Documents that share a call: positions (N, L) in the flattened (B·S), which of these are real, and a plan."""
        pattern, lengths, members = self.pattern, documents.length.tolist(), {}
        for document, length in enumerate(lengths):
            if length:
                members.setdefault(_alike(pattern, length), []).append(document)
        for chosen in members.values():
            longest = max(lengths[document] for document in chosen)
            index, valid = documents.index[chosen, :longest], documents.valid[chosen, :longest]
            seen = torch.ones_like(valid) if pattern.causal else valid  # later positions are hidden already
            seen = seen if self.real is None else seen & self.real.flatten()[index]
            yield index, valid, replaced(self, real=None if bool(seen.all()) else seen, documents=None)


def alibi_bias(slopes: Slopes, distance: Distances, dtype: torch.dtype) -> DistanceBias:
    """-slope · distance, (…, H, T, S), for slopes (H,) and distances (…, T, S)."""
    return -(slopes.to(dtype)[:, None, None] * distance.unsqueeze(-3).to(dtype))


def _document_matrices(documents: Documents, pattern: Pattern, batch: int, length: int) -> tuple[Tensor, Tensor]:
    """Who sees whom, bool, and the distance inside the document, both (B, S, S)."""
    visible = torch.zeros(batch, length, length, dtype=torch.bool, device=documents.index.device)
    distance = torch.zeros_like(visible, dtype=torch.long)
    for document, (row, size) in enumerate(zip(documents.row.tolist(), documents.length.tolist(), strict=True)):
        if size:
            at = documents.index[document, :size] - row * length
            order = torch.arange(size, device=at.device)
            visible[row, at.unsqueeze(1), at] = pattern.sees(order.unsqueeze(1), order, size)
            distance[row, at.unsqueeze(1), at] = (order.unsqueeze(1) - order).abs()
    return visible, distance


def _alike(pattern: Pattern, length: int) -> int:
    """A number that documents of one call share: how many blocks they have, where the pattern may depend on that.

    Elsewhere it is the length, rounded up to 32 or by at most a quarter.
    """
    if pattern.blocks is not None and not pattern.causal:
        return pattern.blocks.number(length)
    step = max(32, 2 ** (length.bit_length() - 3))
    return -(-length // step) * step
