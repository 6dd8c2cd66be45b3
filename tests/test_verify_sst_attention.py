"""What the verification of attention on Stanford Sentiment counts, and when it fails."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import sst
import verify_sst_attention as verify
from sightline.lab.results import Estimate, Pair
from sst_items import overlap


def items(tau: float, predicted: list[int]) -> dict[str, np.ndarray]:
    return {"tau_gradient": np.array([tau, tau + 0.2, np.nan, 0.0]), "predicted": np.array(predicted)}


def test_an_item_counts_by_its_predicted_class_unless_it_has_no_value() -> None:
    found = [{verify.BILSTM: items(0.2, [0, 0, 1, 1])}, {verify.BILSTM: items(0.4, [1, 0, 0, 1])}]
    rows = verify.rows_of(found, verify.BILSTM, "tau_gradient", 0)
    assert rows.shape == (2, 4, 2)
    assert rows[..., 1].tolist() == [[1, 1, 0, 0], [0, 1, 0, 0]]
    estimates, _ = verify.compared({"a": rows}, verify.TAU)
    assert estimates["a"]["seeds"] == pytest.approx([0.3, 0.6])
    assert verify.rows_of(found, verify.BILSTM, "tau_gradient")[..., 1].tolist() == [[1, 1, 0, 1]] * 2


def test_the_overlap_is_of_the_top_tenth_of_real_words() -> None:
    first = torch.arange(24.0).repeat(2, 1)
    second = first.clone()
    second[0, 0] = 99.0  # one of the two most important of 24 words
    mask = torch.arange(24) < torch.tensor([[24], [5]])
    second[1, 4] = -1.0  # the one most important of 5 words
    assert overlap(first, second, mask).tolist() == [0.5, 0.0]


@pytest.mark.parametrize(
    ("tau", "more", "low", "wrong"),
    [
        (0.35, 0.25, 0.2, 0),
        (0.46, 0.25, 0.2, 2),
        (0.26, 0.25, 0.2, 2),
        (0.35, 0.09, 0.05, 2),
        (0.35, 0.25, -0.01, 2),
        (0.35, 0.25, None, 0),  # one seed: the spread is not known
    ],
)
def test_the_gates(tau: float, more: float, low: float | None, wrong: int) -> None:
    one = {verify.BILSTM: {"estimate": [tau, None, None]}, "difference": [more, low, None]}
    assert len(verify.wrong_agreement(dict.fromkeys(verify.CLASSES, one))) == wrong


def test_a_difference_has_its_sign_whichever_is_better() -> None:
    pair = Pair("a", "b", Estimate(0.3, 0.1, 0.5), 0.01, 0.01, True)
    assert verify.difference([pair], "a", "b") == [0.3, 0.1, 0.5]
    assert verify.difference([pair], "b", "a") == [-0.3, -0.5, -0.1]


@pytest.mark.parametrize(("mean", "good"), [(0.79, True), (0.83, True), (0.7899, False), (0.8301, False)])
def test_the_published_accuracy_decides(mean: float, good: bool) -> None:
    assert (not sst.wrong_accuracy(mean)) is good
