"""Names for the shapes of tensors in public signatures, in the alphabet of `core.mixer`.

    def attention(q: Queries, k: Keys, v: Values, mask: KeyMask | None = None) -> Attended: ...

A letter means the same size everywhere in one call, and G is the number of key heads. The types come from jaxtyping
where that was imported before sightline, as under pytest, where a wrong shape is an error. Otherwise each name means
`Tensor`, and nothing is checked: jaxtyping is needed to develop sightline, not to use it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, final

from torch import Tensor


@final
class _Unchecked:
    """`Float[Tensor, "B T"]` without jaxtyping: the tensor's type alone."""

    def __class_getitem__(cls, item: Any) -> Any:
        return item[0]


if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Int, Num, Shaped
else:
    Bool = Float = Int = Num = Shaped = _Unchecked

# Any shape, where it does not matter or follows from an object
AnyTensor = Shaped[Tensor, "..."]  # of any dtype too: a leaf of a state, a parameter
AnyFloat = Float[Tensor, "..."]
AnyMask = Bool[Tensor, "..."]
Elementwise = Float[Tensor, "*shape"]  # the argument and the result of one call have the same shape
RowIndex = Int[Tensor, "N"]  # rows of a batch, in an order, that may repeat

# Sequences
Sequences = Float[Tensor, "B T D"]
Position = Float[Tensor, "B D"]  # one position of a sequence
MixedSequences = Float[Tensor, "B T O"]  # a mixer's output, O = d_out
MixedPosition = Float[Tensor, "B O"]
ProjectedSequences = Float[Tensor, "B T P"]  # products with the input, several side by side
ProjectedPosition = Float[Tensor, "B P"]
Mask = Bool[Tensor, "B T"]  # True = real
Starts = Bool[Tensor, "B T"]  # True where a new document begins
Counts = Int[Tensor, "B"]  # a number for each row, such as its length
TokenPositions = Int[Tensor, "B T"]  # counted in each position's document

# A decoder's memory from an encoder, E its width
MemoryValues = Float[Tensor, "B M E"]
MemoryMask = Bool[Tensor, "B M"]
Scores = Float[Tensor, "B T M"]  # how much each position attends to each position of the memory
ScoreSums = Float[Tensor, "B T E"]
Summary = Float[Tensor, "B P"]  # the memory of a decoder without attention

# Softmax attention: each of G key heads serves H / G query heads
Queries = Float[Tensor, "B H T K"]
Keys = Float[Tensor, "B G S K"]
Values = Float[Tensor, "B G S V"]
Attended = Float[Tensor, "B H T V"]
KeyMask = Bool[Tensor, "B S"]
KeyStarts = Bool[Tensor, "B S"]
Slopes = Float[Tensor, "H"]  # ALiBi's

# Linear attention and recurrences
SharedQueries = Float[Tensor, "B G T K"]  # queries or keys that each of G groups of heads shares; G = H without sharing
PositionProducts = Float[Tensor, "B G T T"]
HeadValues = Float[Tensor, "B H T V"]
Rates = Float[Tensor, "B H T"]  # a number for each head and position, such as beta
HeadRates = Float[Tensor, "H"]  # a number for each head, such as a constant decay
Hidden = Float[Tensor, "B H"]  # H hidden units
HiddenSequences = Float[Tensor, "B T H"]
