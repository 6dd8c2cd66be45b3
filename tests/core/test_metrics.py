"""Metrics as people read them, and metrics of rows."""

from __future__ import annotations

import numpy as np
import pytest

from sightline.core.metrics import METRICS, find_metric


def test_metrics_are_written_in_their_unit() -> None:
    assert find_metric("exact_match").text(0.9964) == "99.6 %"
    assert find_metric("bleu").text(34.52) == "34.5"
    assert (
        find_metric("exact_match").text(None)
        == find_metric("loss").in_unit_of("nats").text(float("nan"))
        == "undefined"
    )
    assert find_metric("my_metric").text(-0.5) == "−0.500"
    assert find_metric("loss").text(1.5) == "1.500"
    assert find_metric("loss").in_unit_of("nats/token").text(1.5) == "1.500 nats/token"
    assert find_metric("mse").in_unit_of("nats/token").text(1.5) == "1.500"


def test_errors_and_losses_are_better_when_smaller() -> None:
    smaller = ["loss", "perplexity", "bits_per_byte", "ece", "cer", "wer", "mse", "mae", "mase", "smape", "pinball"]
    larger = ["exact_match", "token_accuracy", "bleu", "chrf", "accuracy", "label_accuracy", "macro_f1", "auroc"]
    assert [name for name in smaller + larger if METRICS[name].higher_is_better] == larger


@pytest.mark.parametrize("name", ["exact_match", "mae", "my_metric"])
def test_a_plain_metric_is_a_sum_over_a_sum(name: str) -> None:
    rows = np.array([[[1.0, 2.0], [3.0, 2.0], [5.0, 1.0]]])
    assert find_metric(name).value(rows) == pytest.approx([9 / 5])
    weights = np.array([[1.0, 1.0, 1.0], [0.0, 3.0, 0.0], [2.0, 0.0, 1.0]])
    np.testing.assert_allclose(find_metric(name).value(rows, weights), [[9 / 5, 3 / 2, 7 / 5]])
