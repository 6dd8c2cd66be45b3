"""Tensors of a state that many values share: caches that grow, and what never changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.utils import _pytree

from sightline.core.branches import Branches, branched, may_branch, repeats, selected
from sightline.core.growing import Growing, as_tree_gives
from sightline.core.shapes import AnyTensor, RowIndex


@final
class Shared:
    """A tensor (B, …) that never changes, such as the keys of a memory; a row that is selected often is stored once."""

    __slots__ = ("__weakref__", "_branches", "_stored")

    def __init__(self, tensor: AnyTensor, branches: Branches | None = None) -> None:
        self._stored, self._branches = tensor, branches

    @property
    def tensor(self) -> AnyTensor:
        """The content: the tensor, or for branches a copy."""
        return self._stored if self._branches is None else self._stored.index_select(0, self._branches.owner)

    @property
    def branched(self) -> tuple[AnyTensor, Branches] | None:
        """The stored rows and the branches that this value's rows are; None where each row is stored by itself."""
        return None if self._branches is None else (self._stored, self._branches)

    @property
    def single(self) -> Branches | None:
        """The branches that this value's rows are, where all are those of one stored row."""
        return self._branches if self._branches is not None and self._branches.rows == 1 else None

    @property
    def distinct(self) -> AnyTensor:
        """The content, (1, …) where all rows are branches of one."""
        return self.tensor if self.single is None else self._stored

    @property
    def kind(self) -> tuple[Any, ...]:
        """What does not depend on sizes."""
        return self._stored.dtype, self._stored.dim(), None, self.single is not None

    @property
    def nbytes(self) -> int:
        """Bytes of what is stored."""
        return self._stored.numel() * self._stored.element_size()

    def map(self, function: Callable[[AnyTensor], AnyTensor]) -> Shared:
        """`function` of the content."""
        return Shared(function(self.tensor))

    def select(self, index: RowIndex, known: dict[Any, Any]) -> Shared:
        """See `Growing.select`."""
        if not may_branch(index, known) or (self._branches is None and not repeats(index, known)):
            return self.map(lambda content: content.index_select(0, index))
        if self._branches is None:
            branches = branched(index, known, len(self._stored))
        else:
            branches = selected(self._branches, index, known)
        if branches is self._branches:
            return self
        if not branches.sparse:
            return Shared(self._stored, branches)
        return Shared(self._stored.index_select(0, branches.used), branches.of_used())

    def beginning(self, length: int, axis: int) -> Shared:
        """The first `length` items along `axis`, with zeros (False) for those that are missing."""
        return Shared(beginning(self.tensor, length, axis))

    def joined(self, others: Sequence[Shared]) -> Shared:
        """The rows of this value and of others."""
        return Shared(torch.cat([self.tensor, *(other.tensor for other in others)]))

    def __repr__(self) -> str:
        return f"Shared({tuple(self.tensor.shape)})"


def beginning(x: AnyTensor, length: int, axis: int) -> AnyTensor:
    """The first `length` items of x along `axis`, with zeros (False) for those that are missing."""
    if length <= x.shape[axis]:
        return x.narrow(axis, 0, length)
    shape = list(x.shape)
    shape[axis] = length - x.shape[axis]
    return torch.cat([x, x.new_zeros(shape)], axis)


def content_of(leaf: AnyTensor | Growing | Shared | None) -> AnyTensor | None:
    """The tensor of a leaf of a state."""
    return leaf.tensor if isinstance(leaf, Growing | Shared) else leaf


def _flattened(cache: Any) -> Any:
    """The content of a cache, and its axis: what torch's trees have of it."""
    stored = cache._buffer if isinstance(cache, Growing) else cache._stored
    return [cache.tensor if isinstance(stored, Tensor) else stored], getattr(cache, "axis", None)


def _with_keys(cache: Any) -> Any:
    (content,), axis = _flattened(cache)
    return [(_pytree.GetAttrKey("tensor"), content)], axis


def _shared(leaves: Any, _: None) -> Shared:
    """See `core.growing.as_tree_gives`."""
    one = object.__new__(Shared)
    (one._stored,), one._branches = leaves, None
    return one


# torch's functions over trees of tensors, torch.export and torch.func among them, see the content of caches.
for _kind, _unflatten in ((Growing, as_tree_gives), (Shared, _shared)):
    _pytree.register_pytree_node(
        _kind,
        _flattened,
        _unflatten,
        serialized_type_name=f"sightline.{_kind.__name__}",
        flatten_with_keys_fn=_with_keys,
    )
