"""Interpolated Kneser–Ney smoothing of sequences of bytes.

With c the count of an n-gram (u, w) of a context u and a symbol w, and u' the context without its oldest symbol,

    p(w | u) = max(c(u, w) - D(c(u, w)), 0) / Σ_v c(u, v) + γ(u) · p(w | u')
    γ(u) = (D₁ N₁(u) + D₂ N₂(u) + D₃ N₃₊(u)) / Σ_v c(u, v)

where N_i(u) is how many symbols follow u exactly i times (Chen & Goodman 1999, "modified", eq. 23–26). The discounts D
of each order follow from how many n-grams have the counts 1 to 4 (eq. 26). Orders below the highest count in how many
different contexts of one more symbol an n-gram occurs, not how often (Kneser & Ney 1995). Below one symbol the
distribution is uniform; a context that training lacks leaves everything to the shorter one.

Deviations: contexts do not reach beyond the beginning of a document, and what would lie before it is filled with the
symbol that ends documents; n-grams that begin with it are counted like all others.
"""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np

END = 256  # the symbol that ends a document
SYMBOLS = END + 1
ORDER = 8
_BITS = 63  # of an n-gram's number


@final
class _Grams(NamedTuple):
    """The n-grams of one length as sorted numbers (G,), the oldest symbol in the highest bits.

    taken: (G,), each one's discounted count over the sum of its context
    contexts: (U,) sorted numbers; left: (U,), their γ
    """

    grams: np.ndarray
    taken: np.ndarray
    contexts: np.ndarray
    left: np.ndarray


@final
class KneserNey:
    """The model of a sequence of symbols (T,) from 0 to `END`.

    order: the longest n-grams, shorter ones where so many kinds of symbols occur that they have no number of 64 bits
    """

    def __init__(self, symbols: np.ndarray, order: int = ORDER) -> None:
        kinds = np.unique(np.append(symbols, END))
        self._codes = np.full(SYMBOLS, len(kinds))  # of all symbols that training lacks, one that no n-gram has
        self._codes[kinds] = np.arange(len(kinds))
        self._bits = len(kinds).bit_length()
        self.order = min(order, _BITS // self._bits)
        grams, counts = np.unique(self._grams(symbols), return_counts=True)
        self._orders = [_discounted(grams, counts, self._bits)]
        for length in range(self.order - 1, 0, -1):
            grams, counts = np.unique(grams & self._mask(length), return_counts=True)
            self._orders.append(_discounted(grams, counts, self._bits))

    def probabilities(self, symbols: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
        """The probability (T,) of each symbol, given those before it in its document.

        before: symbols that precede the first one; None = a document begins
        """
        start = np.zeros(0, np.int64) if before is None else before[-(self.order - 1) :]
        numbers = self._grams(np.concatenate([start, symbols]))[len(start) :]
        distinct, places = np.unique(numbers, return_inverse=True)
        p = np.full(len(distinct), 1.0 / SYMBOLS)
        for length, one in enumerate(reversed(self._orders), 1):
            gram = distinct & self._mask(length)
            left = _looked_up(one.contexts, one.left, gram >> self._bits, 1.0)
            p = _looked_up(one.grams, one.taken, gram, 0.0) + left * p
        return p[places]

    def _mask(self, length: int) -> int:
        return (1 << self._bits * length) - 1

    def _grams(self, symbols: np.ndarray) -> np.ndarray:
        """The number (T,) of the n-gram that ends at each symbol."""
        codes, index = self._codes[symbols], np.arange(len(symbols))
        ended = np.where(symbols == END, index, -1)
        last_end = np.maximum.accumulate(np.concatenate([[-1], ended[:-1]])) if len(symbols) else ended
        numbers = codes.copy()
        for back in range(1, self.order):
            at = index - back
            numbers |= np.where(at > last_end, codes[np.maximum(at, 0)], self._codes[END]) << self._bits * back
        return numbers


def _discounted(grams: np.ndarray, counts: np.ndarray, bits: int) -> _Grams:
    discount = _discounts(counts)
    context = grams >> bits
    starts = np.flatnonzero(np.diff(context, prepend=-1))
    total = np.add.reduceat(counts, starts)
    off = discount[np.minimum(counts, 3)]
    left = np.add.reduceat(off, starts) / total
    taken = (counts - off) / np.repeat(total, np.diff(starts, append=len(grams)))
    return _Grams(grams, taken, context[starts], left)


def _discounts(counts: np.ndarray) -> np.ndarray:
    """(4,): 0, D₁, D₂ and D₃; half a count where too few n-grams are that rare for the estimate."""
    n = np.bincount(np.minimum(counts, 5), minlength=6)
    discounts = np.array([0.0, 0.5, 0.5, 0.5])
    if n[1] and n[2]:
        y = n[1] / (n[1] + 2 * n[2])
        for count in (1, 2, 3):
            estimate = count - (count + 1) * y * n[count + 1] / n[count] if n[count] else 0.0
            if 0 < estimate < count:
                discounts[count] = estimate
    return discounts


def _looked_up(keys: np.ndarray, values: np.ndarray, asked: np.ndarray, missing: float) -> np.ndarray:
    if not len(keys):
        return np.full(len(asked), missing)
    places = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[places] == asked, values[places], missing)
