"""A state carried from batch to batch: the same logits as the whole text at once, in buffers that a checkpoint has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sightline.core.errors import InputError
from sightline.core.weights import own_tensors
from sightline.models import LANGUAGE_MODELS
from sightline.models.stateful import StatefulDecoder
from sightline.training.checkpoint import restore_model

FIXED = [name for name in LANGUAGE_MODELS if name not in ("transformer", "block_sparse", "hybrid")]


def built(name: str):
    torch.manual_seed(0)
    config = LANGUAGE_MODELS[name]
    sizes = {"d_model": 16, "layers": max(2, config.layers), "dropout": 0.0} | (
        {"heads": 2} if hasattr(config, "heads") else {}
    )
    options = {"options": {"window": {"window": 9}}} if name == "window" else {}
    return replace(config, **sizes, **options).build(30)


def starting(tokens):
    starts = torch.zeros_like(tokens, dtype=torch.bool)
    starts[:, 0] = True
    return starts


@pytest.mark.parametrize("name", FIXED)
def test_batches_one_after_another_are_the_whole_text(name):
    model = built(name)
    tokens = torch.randint(30, (3, 35), generator=torch.Generator().manual_seed(1))
    whole, _ = model(tokens, model.initial_state(3))
    carried = StatefulDecoder(model, 3, 7)
    pieces = [carried(piece, None, None, starting(piece) if i == 0 else None)[0]
              for i, piece in enumerate(tokens.split(7, 1))]  # fmt: skip
    torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FIXED)
def test_a_checkpoint_has_the_state(name):
    tokens = torch.randint(30, (3, 21), generator=torch.Generator().manual_seed(1)).split(7, 1)
    first, second = StatefulDecoder(built(name), 3, 7), StatefulDecoder(built(name), 3, 7)
    for i, piece in enumerate(tokens[:2]):
        first(piece, None, None, starting(piece) if i == 0 else None)
    restore_model(second, {key: value.clone() for key, value in own_tensors(first).items()}, Path("here"))
    assert torch.equal(first(tokens[2])[0], second(tokens[2])[0])


@pytest.mark.parametrize("name", FIXED)
def test_a_checkpoint_of_a_training_in_bfloat16_fits_a_model_that_has_not_begun(name):
    tokens = torch.randint(30, (3, 21), generator=torch.Generator().manual_seed(1)).split(7, 1)
    first, second = StatefulDecoder(built(name), 3, 7), StatefulDecoder(built(name), 3, 7)
    before = {key: buffer.dtype for key, buffer in first.named_buffers()}
    with torch.autocast("cpu", torch.bfloat16):
        for piece in tokens[:2]:
            first(piece)
        assert {key: buffer.dtype for key, buffer in first.named_buffers()} == before
        restore_model(second, {key: value.clone() for key, value in own_tensors(first).items()}, Path("here"))
        assert torch.equal(first(tokens[2])[0], second(tokens[2])[0])


def test_gradients_end_where_a_batch_begins():
    carried = StatefulDecoder(built("lstm"), 2, 5)
    tokens = torch.randint(30, (2, 5))
    first, _ = carried(tokens, None, None, starting(tokens))
    second, _ = carried(tokens)
    held = [leaf.grad_fn for leaf in carried.buffers()]
    assert held == [None] * len(held)
    reached = torch.autograd.grad(second.sum(), first, allow_unused=True)
    assert reached == (None,)


def test_a_state_given_is_used_and_none_is_left():
    carried = StatefulDecoder(built("gru"), 2, 5)
    before = [buffer.clone() for buffer in carried.buffers()]
    carried(torch.randint(30, (4, 3)), carried.model.initial_state(4))
    assert all(torch.equal(a, b) for a, b in zip(before, carried.buffers(), strict=True))


@pytest.mark.parametrize("name", ["transformer", "hybrid", "block_sparse"])
def test_a_state_that_grows_is_refused(name):
    with pytest.raises(InputError, match="grows with the text"):
        StatefulDecoder(built(name), 2, 5)
