"""A causal model that keeps its state from one call to the next, for truncated back-propagation through time."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.modes import evaluating
from sightline.core.state import Growing, leaves, map_state
from sightline.models.decoder import Decoder


@final
class StatefulDecoder(nn.Module):
    """`model` for rows of text that continue where the last call ended: gradients stop there, the state does not.

    The state is stored in buffers, so that a checkpoint contains it and an interrupted training resumes exactly. It
    must have a fixed size: recurrences, linear attention, and a window once it is full; a cache that grows with the
    text is refused.

    Args:
        model: the decoder to train; it keeps no state itself.
        rows: rows of every call.
        length: positions of a call, as the state's size may depend on it.

    Raises:
        InputError: "stateful training needs a state of fixed size, and this model's grows with the text: …".
    """

    carries_state = True  # the rows of a batch must be those of the batch before it

    def __init__(self, model: Decoder, rows: int, length: int) -> None:
        super().__init__()
        self.model = model
        self._like = settled_state(model, rows, length)
        self._count = 0
        for leaf in leaves(self._like):
            self.register_buffer(f"carried_{self._count}", leaf)
            self._count += 1

    @property
    def state(self) -> Any:
        """The state that the next call begins with."""
        buffers = iter([getattr(self, f"carried_{place}") for place in range(self._count)])
        return map_state(lambda _: next(buffers), self._like)

    def forward(
        self, tokens: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Logits (B, T, V) of what follows tokens (B, T), and the state after them.

        Without `state` the call continues from the last one and stores its final state, detached, for the next.
        """
        if state is not None:
            return self.model(tokens, state, mask, starts)
        logits, state = self.model(tokens, self.state, mask, starts)
        for place, leaf in enumerate(leaves(state)):
            name = f"carried_{place}"
            # Autocast may narrow it, and narrows it again; a checkpoint must fit a model that has not begun.
            setattr(self, name, leaf.detach().to(getattr(self, name).dtype))
        return logits, state


@torch.no_grad()
def settled_state(model: Decoder, rows: int, length: int) -> Any:
    """A state of `rows` rows in the shape that it has after any number of calls of `length` positions."""
    with evaluating(model):
        state = model.initial_state(rows)
        shapes: list[list[tuple[torch.Size, torch.dtype]]] = []
        # A window may take some calls to fill; a state that still changes its size after them grows without end.
        for _ in range(_CALLS):
            tokens = torch.zeros(rows, length, dtype=torch.long, device=next(model.parameters()).device)
            flags = torch.ones_like(tokens, dtype=torch.bool)
            _, state = model(tokens, state, flags, ~flags)
            shapes.append([(leaf.shape, leaf.dtype) for leaf in leaves(state)])
            if _grows(state):
                break
            if len(shapes) > 1 and shapes[-1] == shapes[-2]:
                return map_state(torch.clone, state)
    raise InputError(
        "stateful training needs a state of fixed size, and this model's grows with the text: "
        "choose bptt rows, or a recurrence, linear attention or a window",
        where="bptt",
    )


_CALLS = 64


def _grows(state: Any) -> bool:
    if isinstance(state, Growing):
        return True
    return isinstance(state, tuple) and any(map(_grows, state))
