"""Speculative decoding: a draft proposes several tokens, and the model checks them in one call.

The outputs are those of plain decoding: in greedy decoding, and with drafts that are not drawn, the same tokens; with
drawn drafts the same distribution (`decoding.sample.accept_or_draw`).
"""

from __future__ import annotations

from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from sightline.core.interruption import interruption_point
from sightline.core.state import retract
from sightline.decoding.drafts import Draft
from sightline.decoding.hypothesis import Extend, Hypothesis, Step, reorder
from sightline.decoding.outputs import BatchOutputs

MOST_UNREAD = 16  # certain tokens that are read again with the next drafts, rather than by themselves


@final
class DraftTally:
    """How drafts fared.

    calls: of the model, after the first token
    proposed, accepted: tokens of one row
    """

    def __init__(self) -> None:
        self.calls = self.proposed = self.accepted = 0


class _DraftedBatch(NamedTuple):
    """The rows that are decoded together.

    The state is that before `unread`: after drafts that were refused it is the last one that contains none of them, and
    what was accepted since is read again in the call that checks the next drafts. So no state has to be taken apart,
    and there is one call for each check, whatever the mechanism.
    """

    rows: Tensor  # (N,)
    live: Tensor  # (N,) False: ended
    unread: Tensor  # (N, m) certain tokens
    new: Tensor  # (N, m') those that the draft has not seen
    state: Any


@torch.inference_mode()
def speculate(
    step: Step,
    extend: Extend,
    state: Any,
    outputs: BatchOutputs,
    draft: Draft,
    *,
    bos: int,
    most: int,
    tally: DraftTally,
) -> list[Hypothesis]:
    """The outputs of `greedy.unroll`, with at most `most` tokens of the draft checked at a time.

    All rows advance by as many tokens as the one whose draft is refused first, which changes no distribution: where a
    row stops does not depend on what it would have drawn later.
    """
    rows = torch.arange(len(outputs.limits), device=outputs.limits.device)
    logits, state = step(torch.full_like(rows, bos), state)
    tokens, live = outputs.extend(logits, rows, outputs.limits > 0)
    batch = _DraftedBatch(rows, live, tokens.unsqueeze(1), tokens.unsqueeze(1), state)
    while True:
        interruption_point()
        if not batch.live.all():
            kept = batch.live.nonzero().squeeze(1)
            if not len(kept):
                return outputs.hypotheses()
            state = reorder(batch.state, kept, len(batch.rows))
            draft.keep(kept)
            batch = _DraftedBatch._make([*(part[kept] for part in batch[:-1]), state])
        batch = _checked(step, extend, batch, outputs, draft, most, tally)


def _checked(
    step: Step, extend: Extend, batch: _DraftedBatch, outputs: BatchOutputs, draft: Draft, most: int, tally: DraftTally
) -> _DraftedBatch:
    """The batch after one call of the model."""
    rows, live, unread, new, state = batch
    left = int((outputs.limits - outputs.counts)[rows].min())  # tokens that every row may still add
    proposals = draft.propose(new, 0 if unread.shape[1] > MOST_UNREAD else min(most, left - 1), rows, outputs)
    read = torch.cat([unread, *(one.tokens.unsqueeze(1) for one in proposals)], 1)
    if read.shape[1] == 1:
        logits, after = step(read[:, 0], state)
        logits = logits.unsqueeze(1)
    else:
        logits, after = extend(read, state)
    tally.calls += 1
    tally.proposed += len(proposals)
    new, live = outputs.check(logits[:, unread.shape[1] - 1 :], rows, live, proposals)
    tally.accepted += new.shape[1] - 1
    if new.shape[1] == len(proposals) + 1:
        return _DraftedBatch(rows, live, new[:, -1:], new, after)
    retract(state, after)
    return _DraftedBatch(rows, live, torch.cat([unread, new], 1), new, state)
