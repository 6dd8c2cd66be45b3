"""Our figures of faithfulness and those of Quantus agree on the same model and maps (`make quantus`).

Quantus replaces features of a vector by 0 here ("black" is its name for the smallest feature of each row). So does the
side that is opened, whose positions are the features. Compared: pixel flipping, the probability after each step of the
order (Bach et al. 2015), with the curve behind comprehensiveness (`Eraser.drops`); and the faithfulness estimate
(Alvarez-Melis & Jaakkola 2018) with `drop_correlation`. Exit status 5 if they differ by more than 1e-5.
"""

from __future__ import annotations

import sys

import numpy as np
import quantus  # pyrefly: ignore
import torch
from torch import Tensor, nn

from sightline.inspect.explained import ExplainedItem, ShownMap
from sightline.inspect.faithfulness_tests import drop_correlation
from sightline.tasks.opened import OpenedInput, OpenedSide

ROWS, FEATURES, CLASSES, CLOSE = 20, 16, 3, 1e-5


def opened(model: nn.Module, x: Tensor) -> OpenedInput:
    """One vector (1, S) with each feature as a position that is replaced by 0."""

    def replaced(position: int, number: int) -> Tensor:
        changed = x.repeat(number, 1)
        changed[:, position] = 0.0
        return changed

    side = OpenedSide([str(i) for i in range(FEATURES)], x, lambda changed: model(changed).unsqueeze(1), replaced)
    return OpenedInput("series", "", side, ["class"], model(x).argmax(1))


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
    common = {
        "abs": False,
        "normalise": False,
        "features_in_step": 1,
        "perturb_baseline": 0.0,
        "disable_warnings": True,
    }
    common |= {"return_aggregate": False}
    flipped = quantus.PixelFlipping(**common)(model=wrapped, softmax=True, **given)
    estimated = quantus.FaithfulnessEstimate(**common)(model=wrapped, softmax=True, **given)
    worst = {"pixel flipping": 0.0, "faithfulness estimate": 0.0}
    for row in range(ROWS):
        item = ExplainedItem(model, opened(model, x[row : row + 1]), replacements=1)
        order = np.argsort(-maps[row])
        sets = np.array([np.isin(np.arange(FEATURES), order[:count]) for count in range(1, FEATURES + 1)])
        whole = float(model(x[row : row + 1]).softmax(1)[0, labels[row]])
        ours = whole - item.eraser.drops(sets, "replacement")
        worst["pixel flipping"] = max(worst["pixel flipping"], float(np.abs(ours - np.array(flipped[row])).max()))
        correlation = drop_correlation(item, ShownMap("made", "", -1, maps[row]))
        difference = abs(correlation - float(estimated[row]))
        worst["faithfulness estimate"] = max(worst["faithfulness estimate"], difference)
    print(f"quantus {quantus.__version__}: largest differences over {ROWS} rows")
    for name, value in worst.items():
        print(f"{name:<24}{value:.2e}")
    return 5 if max(worst.values()) > CLOSE else 0


if __name__ == "__main__":
    sys.exit(main())
