"""Words read letter by letter against the formulas of Kim et al. 2016, in plain loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from sightline.core.errors import InputError
from sightline.data.tokens.spelling import Spelling
from sightline.parts.character_cnn import CharacterCNN


def vector(letters: list[int], weights: dict[str, np.ndarray], widths: tuple[int, ...], highways: int) -> np.ndarray:
    """A word's vector: for each filter the maximum of tanh over the word's windows, highways, a linear map, a norm."""
    features: list[float] = []
    for number, width in enumerate(widths):
        filters, bias = weights[f"convolutions.{number}.weight"], weights[f"convolutions.{number}.bias"]
        padded = letters + [0] * (width - len(letters))
        columns = [weights["embedding.weight"][letter] for letter in padded]
        for one, own in zip(filters, bias, strict=True):  # (d, w)
            outputs = []
            for start in range(len(padded) - width + 1):
                total = own
                for place in range(width):
                    total += float(np.dot(one[:, place], columns[start + place]))
                outputs.append(math.tanh(total))
            features.append(max(outputs))
    y = np.array(features)
    for number in range(highways):
        at = f"highways.{number}"
        gate = 1 / (1 + np.exp(-(weights[f"{at}.gate.weight"] @ y + weights[f"{at}.gate.bias"])))
        changed = np.maximum(weights[f"{at}.transform.weight"] @ y + weights[f"{at}.transform.bias"], 0)
        y = gate * changed + (1 - gate) * y
    x = weights["project.weight"] @ y + weights["project.bias"]
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weights["norm.weight"] + weights["norm.bias"]


@pytest.mark.parametrize("config", CharacterCNN.examples(), ids=str)
def test_it_follows_the_paper(config: CharacterCNN) -> None:
    torch.manual_seed(0)
    front_end = config.build(6).double()
    weights = {name: value.detach().numpy() for name, value in front_end.state_dict().items()}
    words = [[1, 2, 3, 4, 1], [2], [4, 4], [3, 1, 2], [1, 1, 1, 1, 1], [2, 4, 3, 3]]
    inputs = torch.tensor([[word + [0] * (8 - len(word)) for word in words]])
    x, mask = front_end(inputs)
    assert mask is None
    expected = [vector(word, weights, config.widths, config.highways) for word in words]
    np.testing.assert_allclose(x[0].detach().numpy(), np.stack(expected), rtol=0, atol=1e-12)


def test_most_of_a_word_is_carried_through_the_highway_at_first() -> None:
    front_end: Any = CharacterCNN(9).build(6)
    assert torch.equal(front_end.highways[0].gate.bias.detach(), torch.full((150,), -2.0))


def test_its_sizes_are_those_of_the_paper() -> None:
    """The small model of table 2: 15 numbers a letter, widths 1 to 6, 25 w filters of width w, one highway layer."""
    front_end: Any = CharacterCNN(60, widths=(1, 2, 3, 4, 5, 6), filters=25).build(300)
    assert [one.weight.shape for one in front_end.convolutions] == [(25 * w, 15, w) for w in range(1, 7)]
    assert front_end.highways[0].gate.weight.shape == (525, 525)


def test_too_many_widths_are_refused() -> None:
    with pytest.raises(InputError, match="widths: must be 1 to 16 widths, found 0"):
        CharacterCNN(9, widths=())


def test_words_that_share_letters_share_filters() -> None:
    """A word that training never saw has a vector of its own, near that of a word with the same letters."""
    torch.manual_seed(0)
    front_end = CharacterCNN(Spelling.size).build(16)
    (letters,) = Spelling().encode_batch(["unbelievable unbelievably tax"])
    x, _ = front_end(torch.from_numpy(letters)[None])
    near, far = (torch.cosine_similarity(x[0, 0], x[0, other], dim=0) for other in (1, 2))
    assert far < near < 1.0
