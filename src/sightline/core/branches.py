"""Rows of a batch that branched off shared rows: what beams have in common is stored, and read, once."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from sightline.core.shapes import Bool, Float, Int, RowIndex, Shaped
from sightline.core.transforms import in_place

RowParts = Shaped[Tensor, "N *rest"]
BranchParts = Shaped[Tensor, "R W *rest"]
PathColumns = Int[Tensor, "N L"]
SeenColumns = Bool[Tensor, "R W C"]
ColumnBias = Float[Tensor, "R W C"]
UsedRows = Int[Tensor, "U"]
UsedColumns = Int[Tensor, "U C"]


@final
class Branches:
    """Row n of N continues the stored row `owner[n]` of R, as its branch number `slot[n]` of at most `width`.

    Branches are values. Several caches of one state share an object, and `select` with the same index gives them the
    same new one, so that what follows from it is computed once for all of them.
    """

    def __init__(self, owner: RowIndex, rows: int) -> None:
        self.owner, self.rows = owner, rows
        if rows == 1:  # one row continues all: a beam of one source
            self.slot = torch.arange(len(owner), device=owner.device)
            self.width, self.full, self.used = len(owner), True, owner[:1]
        else:
            self._count(owner, rows)
        self._of_used: Branches | None = None
        self._place = owner * self.width + self.slot  # (N,)

    def _count(self, owner: RowIndex, rows: int) -> None:
        order = owner.argsort(stable=True)
        counts = torch.bincount(owner, minlength=rows)  # (R,)
        first = counts.cumsum(0) - counts
        self.slot = torch.empty_like(owner)
        self.slot[order] = torch.arange(len(owner), device=owner.device) - first[owner[order]]
        self.width = int(counts.max()) if rows else 0
        self.full = len(owner) == rows * self.width and bool((owner[1:] >= owner[:-1]).all())
        self.used = counts.nonzero().squeeze(1)  # (R',) the stored rows that a row continues

    @property
    def sparse(self) -> bool:
        """Whether a quarter of the stored rows is not continued, so that it is time to leave them out."""
        return 4 * len(self.used) <= 3 * self.rows

    def select(self, index: RowIndex) -> Branches:
        """The branches of the rows `index`."""
        if self.rows == 1 and index.shape[0] == self.width:
            return self
        return Branches(self.owner.index_select(0, index), self.rows)

    def of_used(self) -> Branches:
        """The same rows as branches of the stored rows `used` alone."""
        if len(self.used) == self.rows:
            return self
        if self._of_used is None:
            place = torch.zeros(self.rows, dtype=torch.long, device=self.owner.device)
            place[self.used] = torch.arange(len(self.used), device=place.device)
            self._of_used = Branches(place[self.owner], len(self.used))
        return self._of_used

    def group(self, x: RowParts) -> BranchParts:
        """x (N, …) as (R, W, …); branches that do not exist are zero."""
        if self.full:
            return x.unflatten(0, (self.rows, self.width))
        grouped = x.new_zeros(self.rows * self.width, *x.shape[1:])
        return grouped.index_copy_(0, self._place, x).unflatten(0, (self.rows, self.width))

    def ungroup(self, x: BranchParts) -> RowParts:
        """x (R, W, …) as (N, …)."""
        flat = x.flatten(0, 1)
        return flat if self.full else flat.index_select(0, self._place)


@final
class Paths:
    """Where branches find their positions in the stored rows: row n has its position p in column `columns[n, p]`.

    `end` is the number of columns written so far, for all stored rows.
    """

    def __init__(self, branches: Branches, columns: PathColumns, end: int) -> None:
        self.branches, self.end = branches, end
        self.length = columns.shape[1]
        self._columns: Tensor | None = columns
        self._following: Paths | None = None
        self._compact: tuple[Tensor, Tensor, Paths] | None = None
        self._bias: Tensor | None = None

    @property
    def columns(self) -> PathColumns:
        if self._columns is None:
            self._columns = self.following().columns[:, :-1]
        return self._columns

    def select(self, index: RowIndex) -> Paths:
        """The paths of the rows `index`."""
        return Paths(self.branches.select(index), self.columns.index_select(0, index), self.end)

    def following(self) -> Paths:
        """The paths one position later: every branch writes a column of its own."""
        if self._following is None:
            new = (self.end + self.branches.slot).unsqueeze(1)
            columns = torch.cat([self.columns, new], 1)
            self._following = Paths(self.branches, columns, self.end + self.branches.width)
        return self._following

    @classmethod
    def before(cls, columns: PathColumns, branches: Branches, end: int) -> Paths:
        """The paths whose `following` has these columns (N, L + 1) and this end.

        Their own columns are a slice that is taken when somebody reads it: torch.export asks for its strides, and would
        record that it has more than one column.
        """
        paths = cls(branches, columns, end - branches.width)
        paths.length, paths._columns = paths.length - 1, None
        paths._following = cls(branches, columns, end)
        return paths

    def visible(self) -> SeenColumns:
        """Who sees which column, bool (R, W, end)."""
        branches = self.branches
        seen = torch.zeros(len(self.columns), self.end, dtype=torch.bool, device=self.columns.device)
        return branches.group(seen.scatter_(1, self.columns, True))

    def bias(self, dtype: torch.dtype) -> ColumnBias:
        """0 where a branch sees a column and -inf where not, (R, W, end); a branch that does not exist sees all."""
        if self._bias is None or self._bias.dtype != dtype:
            hidden = ~self.visible()
            if not self.branches.full:
                hidden &= ~hidden.all(2, keepdim=True)
            self._bias = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, -torch.inf)
        return self._bias

    def compact(self) -> tuple[UsedRows, UsedColumns, Paths]:
        """The stored rows (R',) and their columns (R', C) that a branch still sees, and the paths among those alone."""
        if self._compact is None:
            branches = self.branches.of_used()
            seen = self.visible().any(1).index_select(0, self.branches.used)  # (R', end)
            kept = seen.sum(1)
            order = (~seen).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(kept.max())]
            place = seen.cumsum(1) - 1
            columns = place.index_select(0, branches.owner).gather(1, self.columns)
            self._compact = self.branches.used, order, Paths(branches, columns, order.shape[1])
        return self._compact


def selected(value: Any, index: RowIndex, known: dict[Any, Any]) -> Any:
    """`value.select(index)` of branches or paths, once for each of them in `known`."""
    after = known.get(id(value))
    if after is None:
        after = known[id(value)] = value.select(index)
    return after


def branched(index: RowIndex, known: dict[Any, Any], rows: int) -> Branches:
    """The branches that `index` makes of `rows` rows, once in `known`."""
    key = "branches", rows
    if key not in known:
        known[key] = Branches(index, rows)
    return known[key]


def begun(index: RowIndex, known: dict[Any, Any], rows: int, columns: int) -> Paths:
    """The paths of the branches that `index` makes of `rows` rows with so many columns, once in `known`."""
    key = "paths", rows, columns
    if key not in known:
        straight = torch.arange(columns, device=index.device).expand(index.shape[0], -1)
        known[key] = Paths(branched(index, known, rows), straight, columns)
    return known[key]


def may_branch(index: RowIndex, known: dict[Any, Any]) -> bool:
    """Whether the rows `index` may become branches, which is the same for all caches of a state."""
    if "may branch" not in known:
        known["may branch"] = in_place() and index.shape[0] > 0
    return known["may branch"]


def repeats(index: RowIndex, known: dict[Any, Any]) -> bool:
    """Whether a row is selected several times."""
    if "repeats" not in known:
        rows = index.tolist()
        known["repeats"] = len(set(rows)) < len(rows)
    return known["repeats"]
