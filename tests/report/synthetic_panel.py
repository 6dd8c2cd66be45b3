"""A panel's results with every part, for the page."""

from __future__ import annotations

from sightline.lab.exponents import fit_exponent
from sightline.lab.panel_results import (
    Band,
    Chain,
    ContextGap,
    ContextLoss,
    Crossover,
    DecodeState,
    LossAlong,
    PanelResults,
    PhaseCost,
    Reach,
    Recall,
    RecallPoint,
    RecurrentMatrix,
    Saturation,
    TokenClass,
    Unmeasured,
)
from sightline.lab.results import Estimate

LENGTHS = [64, 128, 256, 512]
NAMES = ["lstm", "softmax+weights", "runs/my <lm>"]


def band(at, values) -> Band:
    return Band([float(x) for x in at], list(values), [v and 0.9 * v for v in values], [v and 1.1 * v for v in values])


def cost(name: str, phase, power: float) -> PhaseCost:
    seconds = [[1e-6 * n**power * noise for noise in (1.0, 1.01, 0.99)] for n in LENGTHS]
    peaks = [int(100 * n**power) for n in LENGTHS]
    time = fit_exponent(LENGTHS, seconds)
    return PhaseCost(name, phase, LENGTHS, seconds, peaks, time, fit_exponent(LENGTHS, [[float(p)] for p in peaks]))


def chain(name: str, slope: int) -> Chain:
    steps = [5 + slope * n for n in LENGTHS]
    return Chain(
        name, "forward", LENGTHS, steps, [2 * s for s in steps], fit_exponent(LENGTHS, [[float(s)] for s in steps])
    )


def recall(name: str, width: int, accuracies: list[float], ceilings=(1.0, 1.0), learned=True, task="recall") -> Recall:
    points = [
        RecallPoint(
            items, 4 * items, 40 * width, Estimate(a, 0.95 * a, min(1.0, 1.05 * a)), ceiling, 8.0 * items,
            Estimate(8 * items * a, 7 * items * a, 8.0 * items),
        )
        for items, a, ceiling in zip((4, 16), accuracies, ceilings)
    ]  # fmt: skip
    return Recall(name, task, width, 9000, 256, 400, [0], 0.02, [0.02], 1 - accuracies[-1], learned, points, 5.0)


def context(name: str, shift: float) -> ContextLoss:
    classes = [
        TokenClass("new repeat", 100, Estimate(0.5 + shift, 0.4, 0.9), 0.05),
        TokenClass("known repeat", 300, Estimate(0.9, 0.8, 1.0), 0.27),
        TokenClass("rest", 600, Estimate(2.0, 1.9, 2.1), 1.2),
    ]
    by_position = band([1, 2, 4, 8, 16, 32], [3.0, 2.5, 2.2, 2.1, 2.0, 2.4])
    return ContextLoss(name, "nats/token", 2, 16, 40, Estimate(1.52, 1.5, 1.54), classes, by_position, "d")


def make_panel(**changes) -> PanelResults:
    lags = [1, 2, 4, 8, 16, 32]
    reach = [
        Reach(
            "lstm", False, band([0, *lags], [2.0, *(0.5**k for k in lags)]), state=band(lags, [0.5**k for k in lags]),
            numbers=32, matrices=[RecurrentMatrix("weight_hidden", 16, 1.0, 1.25, 1.0, 0.5)],
        ),
        Reach(
            "runs/my <lm> at initialisation", False, band([0, *lags], [2.0, *(0.25**k for k in lags)]),
            before="runs/my <lm>",
        ),
        Reach(
            "runs/my <lm>", True, band([0, *lags], [2.0, *(1.0 for _ in lags)]),
            used=band([*lags, 64], [3.0, 2.5, 2.2, 2.01, 2.0, 2.0, 2.0]), loss_unit="nats/token",
        ),
    ]  # fmt: skip
    growth = [cost("lstm", "training", 1.0), cost("softmax+weights", "training", 2.0), cost("lstm", "decode", 0.0)]
    crossover = Crossover("lstm", "softmax+weights", "training", 700.4, LENGTHS, [420, 700], [1.5, 0.97], 680.0, 0.03)
    missing = Crossover("lstm", "softmax+weights", "forward", 900.0, LENGTHS, [540, 900], [1.5, 1.2])
    predicted = Crossover("lstm", "softmax+weights", "prefill", 1234.0, LENGTHS, [], [])
    widths = [8, 64, 512]
    saturation = [
        Saturation(name, "d_k", 256, band(widths, e), band(widths, e), band(widths, e))
        for name, e in (("scaled", [0.9, 0.9, 0.9]), ("unscaled", [0.6, 0.2, 0.01]))
    ]
    whole = {
        "command": "sightline panel --mixers lstm",
        "environment": {"cpu": "A CPU", "cores": 2, "packages": {"torch": "2.13.0"}},
        "names": NAMES,
        "reach": reach,
        "serial": [chain("lstm", 7), chain("softmax+weights", 0)],
        "growth": growth,
        "crossovers": [crossover, missing, predicted],
        "saturation": saturation,
        "recall": [
            recall("lstm", 16, [0.2, 0.05], learned=False),
            recall("softmax+weights", 16, [0.99, 0.5], (1.0, 0.6)),
            recall("softmax+weights", 32, [1.0, 0.6], (1.0, 0.7)),
            recall("softmax+weights", 16, [0.02, 0.01], (1.0, 0.7), task="needle"),
        ],
        "contexts": [context("runs/my <lm>", 0.0)],
        "gaps": [ContextGap("runs/my <lm>", "b", Estimate(0.1, 0.05, 0.15), {"new repeat": Estimate(0.5, 0.4, 0.6)})],
        "seconds": {"reach": 1.0},
    }
    return PanelResults(**{**whole, **changes})


def make_runs(**changes) -> PanelResults:
    """Two encoder-decoders and a forecaster, with every axis that they have."""
    lags, reads = [1, 2, 4, 8], [1, 2, 4, 8, 9]
    reach = []
    for name, used in (("bahdanau", [4.0, 3.0, 2.0, 1.0, 0.1]), ("lstm", [4.0, 2.0, 1.001, 1.0, 1.0])):
        for over in ("source", "target"):
            gradient = band([0, *lags], [2.0, *(0.5**k for k in lags)])
            state = band(lags, [0.9**k for k in lags])
            began = Reach(f"{name} at initialisation", False, gradient, over, before=name)
            cut = band(reads, used)
            reach += [
                began,
                Reach(name, True, gradient, over, state=state, used=cut, loss_unit="nats/token", readers=2),
            ]
    lookback = band([0, *lags], [1.0] * 5)
    reach.append(Reach("dlinear", True, lookback, "look-back", used=band(reads, used), loss_unit="scaled mse"))
    counts = {"all": [5 + 18 * n for n in LENGTHS], "source": [5 + 5 * n for n in LENGTHS]}
    counts["target"] = [5 + 13 * n for n in LENGTHS]
    grown = {along: fit_exponent(LENGTHS, [[float(n)] for n in steps]) for along, steps in counts.items()}
    sides = [
        Chain("bahdanau", "forward", LENGTHS, steps, steps, grown[along], along) for along, steps in counts.items()
    ]
    losses = [
        LossAlong("bahdanau", "target position", "nats/token", 40, band([1, 2, 4], [0.1, 0.2, 0.4])),
        LossAlong("bahdanau", "source length", "nats/token", 40, band([7, 12, 34], [0.1, 0.2, 0.3])),
        LossAlong("dlinear", "step ahead", "scaled mse", 9, band([1, 2, 3], [0.5, 0.6, 0.9])),
    ]
    whole = {
        "command": "sightline panel bahdanau lstm dlinear",
        "environment": {"cpu": "A CPU", "cores": 2, "packages": {"torch": "2.13.0"}},
        "names": ["bahdanau", "lstm", "dlinear"],
        "reach": reach,
        "serial": sides,
        "losses": losses,
        "states": [DecodeState("bahdanau", source, 11, 700 * source) for source in (8, 34)],
        "unmeasured": [
            Unmeasured("saturation", "lstm", "saturation", "no layer has softmax attention"),
            Unmeasured("saturation", "dlinear", "saturation", "no layer has softmax attention"),
            Unmeasured("reach", "dlinear", "gain from state to state", "the model has no layers with a state"),
        ],
    }
    return PanelResults(**{**whole, **changes})
