"""Separate random streams derived from one seed.

One `--seed` gives independent streams for initialisation, order, dropout and sampling: changing how often one of them
is drawn from does not shift the others. A stream's seed is the first 8 bytes of SHA-256 over the seed and the names,
so that it is the same on every machine and Python version.
"""

from __future__ import annotations

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """A seed in [0, 2**63) for the stream `names`, e.g. `derive(seed, "dropout", step)`."""
    text = "/".join([str(int(seed)), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
