"""Our figures of faithfulness and those of Quantus agree on the same model and maps (`make quantus`).

Quantus replaces features of a vector by 0 here ("black" is its name for the smallest feature of each row). So does the
side that is opened, whose positions are the features. Compared: pixel flipping, the probability after each step of the
order (Bach et al. 2015), with the curve behind comprehensiveness (`Eraser.drops`); the faithfulness estimate
(Alvarez-Melis & Jaakkola 2018) with `drop_correlation`; and the faithfulness correlation (Bhatt et al. 2020) with
`subset_correlation`, Quantus being given the subsets that ours draws. Exit status 5 if they differ by more than 1e-5.
"""

from __future__ import annotations

import sys
from typing import Any
from unittest import mock

import numpy as np
import quantus  # pyrefly: ignore
import torch
from torch import Tensor, nn

from sightline.inspect.explained import ExplainedItem, ShownMap
from sightline.inspect.faithfulness_tests import SUBSETS, drop_correlation, random_subsets, subset_correlation
from sightline.tasks.opened import OpenedInput, OpenedSide

ROWS, FEATURES, CLASSES, CLOSE = 20, 16, 3, 1e-5
SUBSET = round(FEATURES / 5)


def opened(model: nn.Module, x: Tensor) -> OpenedInput:
    """One vector (1, S) with each feature as a position that is replaced by 0."""

    def replaced(position: int, number: int) -> Tensor:
        changed = x.repeat(number, 1)
        changed[:, position] = 0.0
        return changed

    side = OpenedSide([str(i) for i in range(FEATURES)], x, lambda changed: model(changed).unsqueeze(1), replaced)
    return OpenedInput("series", "", side, ["class"], model(x).argmax(1))


def correlations_on(metric: Any, model: nn.Module, given: dict[str, Any]) -> list[float]:
    """The faithfulness correlation of every row, over the subsets that `subset_correlation` draws: the same for all."""
    drawn = [np.flatnonzero(row) for row in random_subsets(FEATURES, seed=0) for _ in range(ROWS)]
    with mock.patch("numpy.random.choice", side_effect=drawn):
        return metric(model=model, softmax=True, **given)


@torch.no_grad()
def main() -> int:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 32), nn.Tanh(), nn.Linear(32, CLASSES)).eval()
    x = torch.randn(ROWS, FEATURES)
    labels = model(x).argmax(1).numpy()
    maps = np.random.default_rng(0).random((ROWS, FEATURES))
    batch = x.view(ROWS, 1, 1, FEATURES).numpy()
    wrapped = nn.Sequential(nn.Flatten(), model).eval()
    given = {
        "x_batch": batch,
        "y_batch": labels,
        "a_batch": maps.reshape(batch.shape),
        "device": "cpu",
        "channel_first": True,
    }
    settings = {
        "abs": False,
        "normalise": False,
        "perturb_baseline": 0.0,
        "disable_warnings": True,
        "return_aggregate": False,
    }
    common = {"features_in_step": 1, **settings}
    flipped = quantus.PixelFlipping(**common)(model=wrapped, softmax=True, **given)
    estimated = quantus.FaithfulnessEstimate(**common)(model=wrapped, softmax=True, **given)
    correlated = correlations_on(
        quantus.FaithfulnessCorrelation(nr_runs=SUBSETS, subset_size=SUBSET, **settings), wrapped, given
    )
    worst = {"pixel flipping": 0.0, "faithfulness estimate": 0.0, "faithfulness correlation": 0.0}
    for row in range(ROWS):
        item = ExplainedItem(model, opened(model, x[row : row + 1]), replacements=1)
        order = np.argsort(-maps[row])
        sets = np.array([np.isin(np.arange(FEATURES), order[:count]) for count in range(1, FEATURES + 1)])
        whole = float(model(x[row : row + 1]).softmax(1)[0, labels[row]])
        ours = whole - item.eraser.drops(sets, "replacement")
        worst["pixel flipping"] = max(worst["pixel flipping"], float(np.abs(ours - np.array(flipped[row])).max()))
        shown = ShownMap("made", "", -1, maps[row])
        difference = abs(drop_correlation(item, shown) - float(estimated[row]))
        worst["faithfulness estimate"] = max(worst["faithfulness estimate"], difference)
        difference = abs(subset_correlation(item, shown) - float(correlated[row]))
        worst["faithfulness correlation"] = max(worst["faithfulness correlation"], difference)
    print(f"quantus {quantus.__version__}: largest differences over {ROWS} rows")
    for name, value in worst.items():
        print(f"{name:<26}{value:.2e}")
    return 5 if max(worst.values()) > CLOSE else 0


if __name__ == "__main__":
    sys.exit(main())
