"""The recipe "a law", followed: a deep copy of a state continues as the state itself, and leaves it as it was."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch

from sightline.core.state import leaves
from sightline.testing.findings import Finding, same
from sightline.testing.subject import Subject, feed, packed, ragged


def copies_continue(subject: Subject) -> Iterator[Finding]:
    """A deep copy of a state continues as the state itself, and leaves it as it was."""
    subject.need_mixer("state")
    module, x, memory = subject.module(), subject.x(), subject.memory()
    with torch.no_grad():  # torch does not copy tensors that are part of a graph
        for mask, starts in ((None, None), (ragged()[:, :6], packed()[:, :6])):
            _, state = subject.whole(module, x[:, :6], memory, mask, starts)
            kept, copied = [leaf.clone() for leaf in leaves(state)], copy.deepcopy(state)
            y, after = feed(module, x[:, 6:], copied, (2,))
            expected, final = feed(module, x[:, 6:], state, (2,))
            yield same(y, expected, "outputs after a copied state")
            yield same(leaves(after), leaves(final), "the state after a copied state")
            yield same(leaves(state), kept, "the state that was copied")
