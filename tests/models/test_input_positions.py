"""Positions added once to the input, and recurrent encoders that read both ways."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sightline.core.errors import InputError
from sightline.models import ARCHITECTURES, EncoderConfig, LanguageModelConfig, RecurrentConfig
from sightline.parts.token_embedding import Tokens

SMALL = {"d_model": 8, "layers": 1, "heads": 2, "positions": "none", "dropout": 0.0}
ROW = torch.tensor([[3, 1, 4, 1, 5, 2]])
TURNED = ROW.flip(1)


@pytest.mark.parametrize("mixer", ["softmax", "linear", "window"])
@pytest.mark.parametrize("kind", ["sinusoidal", "learned"])
def test_without_positions_attention_sees_a_set_and_with_them_an_order(mixer: str, kind: str) -> None:
    torch.manual_seed(0)
    blind = EncoderConfig((mixer,), **SMALL, pooling="mean").build(Tokens(7), 3).eval()  # type: ignore[arg-type]
    torch.testing.assert_close(blind(ROW), blind(TURNED), rtol=1e-5, atol=1e-6)
    placed = EncoderConfig((mixer,), **SMALL, pooling="mean", input_positions=kind).build(Tokens(7), 3).eval()  # type: ignore[arg-type]
    assert (placed(ROW) - placed(TURNED)).abs().max() > 1e-4


def test_positions_continue_from_chunk_to_chunk() -> None:
    torch.manual_seed(0)
    model = LanguageModelConfig(("linear",), **SMALL, input_positions="sinusoidal").build(Tokens(7)).double().eval()  # type: ignore[arg-type]
    whole, _ = model(ROW, model.initial_state(1))
    first, state = model(ROW[:, :2], model.initial_state(1))
    rest, _ = model(ROW[:, 2:], state)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_summary_of_both_directions_has_read_all_and_no_padding(cell: str, layers: int) -> None:
    torch.manual_seed(0)
    preset = replace(ARCHITECTURES[cell], d_model=8, layers=layers, reverse_source=False, bidirectional=True)  # type: ignore[type-var]
    encoder = preset.build(Tokens(7), 5).double().eval().encoder
    alone = encoder(ROW).summary
    assert alone.shape == (1, 8)
    for place in (0, 5):
        other = ROW.clone()
        other[0, place] = 6
        assert (encoder(other).summary - alone).abs().max() > 1e-8
    padded = torch.cat([ROW, torch.full((1, 3), 6)], 1)
    mask = torch.arange(9)[None] < 6
    torch.testing.assert_close(encoder(padded, mask).summary, alone, rtol=1e-10, atol=1e-10)


def test_a_source_cannot_be_reversed_where_it_is_read_both_ways() -> None:
    config = RecurrentConfig("gru", reverse_source=True, bidirectional=True)
    with pytest.raises(InputError, match=r"model\.reverse_source: false where bidirectional reads both ways"):
        config.build(Tokens(7), 5)
