"""The facts that the laws need of another library's module: how it is built and called, and what it offers."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.suggest import unknown


@final
class NotOffered(Exception):
    """The subject has no such thing, by its documentation; the text says what, as "rows of its cache"."""


@final
@dataclass(frozen=True)
class Offers:
    """The features of a subject, by its documentation. A law that needs something else is *not offered*, not violated.

    inputs: token ids (B, T), or vectors (B, T, size)
    size: of the vocabulary, or the width of a vector; first: the first id that is an ordinary token
    causal: position t depends on no later one; without it the laws of steps and chunks are not offered
    state: what a call returns for the next one: a "value" that no later call changes, a cache that the next call
        updates "in place", which is a design and no fault, or "none"
    chunk: positions of a call come in multiples of it
    several: a call with a state may bring several positions, not one alone
    mask: on which sides a mask (B, T), True = real, may hide positions
    documents: a row may contain several documents, each blind to those before it
    gradients: flow through the state from call to call
    empty: a call of no positions is documented
    tolerance: the largest difference that is rounding, relative to the largest |expected|. It follows from what the
        library computes in: 1e-8 for float64 throughout, some 5e-6 where a norm is in float32 whatever the dtype
    """

    inputs: Literal["tokens", "vectors"] = "vectors"
    size: int = 8
    first: int = 0
    causal: bool = True
    state: Literal["value", "in place", "none"] = "value"
    chunk: int = 1
    several: bool = True
    mask: tuple[Literal["left", "right"], ...] = ()
    documents: bool = False
    gradients: bool = True
    empty: bool = True
    tolerance: float = 1e-8

    def __post_init__(self) -> None:
        _check_word("inputs", self.inputs, ("tokens", "vectors"))
        _check_word("state", self.state, ("value", "in place", "none"))
        if isinstance(self.mask, str):
            raise InputError(f"mask: expected a tuple of sides, as in ({self.mask!r},), found {self.mask!r}")
        for side in self.mask:
            _check_word("mask", side, ("left", "right"))
        if self.chunk < 1 or self.size < 2 or not 0 <= self.first < self.size - 1:
            raise InputError(
                "expected chunk >= 1, size >= 2 and first below size - 1, "
                f"found {self.chunk}, {self.size} and {self.first}"
            )
        if not 0 < self.tolerance < 1:
            raise InputError(f"tolerance = {self.tolerance} is not between 0 and 1")


def _check_word(name: str, value: str, words: tuple[str, ...]) -> None:
    if value not in words:
        raise InputError(f"{name}: {unknown('value', value, words, cutoff=0.4)}")


class Adapter(ABC):
    """A subject under the laws of `check_foreign`: a module of any library, called as its documentation says.

    name: as the table shows it, such as "nn.LSTM"; package: the distribution whose version the report shows
    offers: see `Offers`
    """

    name: ClassVar[str]
    package: ClassVar[str] = "torch"
    offers: ClassVar[Offers] = Offers()

    @abstractmethod
    def build(self, seed: int) -> Any:
        """The subject with random weights that follow from the seed, in evaluation mode."""

    @abstractmethod
    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Outputs (B, T, …) of positions that follow those of the state, and the state after them.

        state: `initial_state`, or what the call before returned; it may be of any type, and a pair of the library's
            cache and whatever else its documentation asks the caller to keep, such as the mask so far
        x: (B, T) int64 tokens, or (B, T, size) float64 vectors
        mask: (B, T) bool, True = real; given only where `offers.mask` says so, in a first call; None = all real
        starts: (B, T) bool, True where a document begins, in a row or with a later call; given only where
            `offers.documents`
        """

    def initial_state(self, model: Any, batch: int) -> Any:
        """The state before the first position."""
        return None

    def step(self, model: Any, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """`forward` of one position (B, 1, …), where the library has another way for it."""
        return self.forward(model, x, state)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        """The state of these rows, in their order, as beam search needs it.

        Raises:
            NotOffered: the library has no documented way.
        """
        raise NotOffered("selection of rows of its state")

    def clone(self, state: Any) -> Any:
        """A copy of a state that later calls leave alone."""
        return copy.deepcopy(state)
