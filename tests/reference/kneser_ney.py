"""Modified Kneser–Ney smoothing, slowly, from Chen & Goodman 1999: dictionaries of counts, one context at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

END, SYMBOLS = 256, 257


class SlowKneserNey:
    """p(w | u) by the recursion, with counts of n-grams of one length each."""

    def __init__(self, symbols: Sequence[int], order: int) -> None:
        padded = [END] * (order - 1)
        grams: Counter[tuple[int, ...]] = Counter()
        for symbol in symbols:
            grams[(*padded, symbol)] += 1
            padded = [END] * (order - 1) if symbol == END else [*padded, symbol][1:]
        self.order = order
        self.levels = {order: grams}
        for length in range(order - 1, 0, -1):
            self.levels[length] = Counter(gram[1:] for gram in self.levels[length + 1])
        self.discounts = {length: self._discounts(counts) for length, counts in self.levels.items()}
        self.followers: dict[tuple[int, ...], dict[int, int]] = defaultdict(dict)
        for counts in self.levels.values():
            for gram, count in counts.items():
                self.followers[gram[:-1]][gram[-1]] = count

    @staticmethod
    def _discounts(counts: Counter[tuple[int, ...]]) -> list[float]:
        n = Counter(counts.values())
        discounts = [0.0, 0.5, 0.5, 0.5]
        if n[1] and n[2]:
            y = n[1] / (n[1] + 2 * n[2])
            for i in (1, 2, 3):
                value = i - (i + 1) * y * n[i + 1] / n[i] if n[i] else 0.0
                discounts[i] = value if 0 < value < i else 0.5
        return discounts

    def p(self, symbol: int, context: Sequence[int]) -> float:
        """The probability of a symbol after a context of at most `order` - 1 symbols."""
        context = tuple(context)
        shorter = self.p(symbol, context[1:]) if context else 1 / SYMBOLS
        followers = self.followers.get(context)
        if not followers:
            return shorter
        discounts = self.discounts[len(context) + 1]
        total = sum(followers.values())
        count = followers.get(symbol, 0)
        left = sum(discounts[min(c, 3)] for c in followers.values()) / total
        return max(count - discounts[min(count, 3)], 0) / total + left * shorter
