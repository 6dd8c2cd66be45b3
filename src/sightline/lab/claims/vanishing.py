"""C8: gradients through a vanilla RNN by the largest singular value of its recurrent matrix; the adding problem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.digits import and_joined
from sightline.core.mixer import Memory, SequenceMixer
from sightline.core.seeds import derive
from sightline.core.sourced import Place, sourced
from sightline.lab.bands import median_band
from sightline.lab.claims.adding import MEAN_ERROR, adding, adding_error, squared_error
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.fitting import Recipe, fit, initialised
from sightline.lab.claims.numbers import POSITIVE, mean_within, of_number, placed, points_of
from sightline.lab.claims.results import ClaimChart, ClaimCurve, ClaimNumber, ClaimOutcome, ClaimResult, ReferenceLine
from sightline.lab.reach import distances, spectrum, state_reach
from sightline.mixers.rnn import RNN

WIDTH, LENGTH = 24, 100
VALUES = (0.5, 0.8, 0.95, 1.0, 1.05, 1.25, 1.5, 2.0)  # the largest singular value
ABOVE = 1.25  # from here on a gradient is said to explode; at 1.05 it would take 140 steps to grow a thousandfold
VANISHED, EXPLODED = 1e-2, 1e2
QUIET = 0.01
FLOOR = 1e-12  # smaller norms are not drawn
LEARNED = 0.05  # knowing one of the two numbers leaves 1/12 = 0.083
WITHIN, BORDER, BEYOND = 10, 20, (50, 100)


class HiddenState(NamedTuple):
    """h (B, H)."""

    hidden: Tensor


@final
class LinearRecurrence(SequenceMixer[HiddenState]):
    """h_t = U h_{t-1} + x_t, the output is h_t: the vanilla RNN without its tanh, for which ∂h_t/∂h_{t-k} = U^k."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.weight_hidden = nn.Parameter(matrix.clone())
        self.d_model = self.d_out = len(matrix)

    def initial_state(self, batch: int, memory: Memory | None = None) -> HiddenState:
        return HiddenState(self.weight_hidden.new_zeros(batch, self.d_model))

    def forward(
        self, x: Tensor, state: HiddenState | None = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, HiddenState]:
        hidden, outputs = (self.initial_state(len(x)) if state is None else state).hidden, []
        for x_t in x.unbind(1):
            hidden = hidden @ self.weight_hidden.T + x_t
            outputs.append(hidden)
        return torch.stack(outputs, 1), HiddenState(hidden)


class GradientNorms(NamedTuple):
    """‖∂h_T/∂h_{T-k}‖₂ of one network.

    kind: "linear", "tanh", or "quiet tanh", whose inputs are a hundredth as large
    matrix: "orthogonal", whose singular values are all the same, or "gaussian"
    largest, radius: singular value and spectral radius of U; norms (sequences, K) at `lags`
    bound_met: whether no norm exceeds largest^k, by more than rounding; error: to the norm of U^k, for a linear one
    """

    kind: str
    matrix: str
    largest: float
    radius: float
    lags: list[int]
    norms: np.ndarray
    bound_met: bool
    error: float | None

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.matrix}, σ = {self.largest:g}"

    @property
    def last(self) -> float:
        """The median norm at the largest distance."""
        return float(np.median(self.norms[:, -1]))


class AddingError(NamedTuple):
    """The mean squared error (seeds,) of a trained vanilla RNN on the adding problem over `length` steps."""

    length: int
    errors: np.ndarray

    @property
    def learned(self) -> bool:
        """Whether most seeds are below `LEARNED`."""
        return bool(np.median(self.errors) < LEARNED)


def vanishing_gradients(effort: Effort) -> ClaimResult:
    """C8: vanishing below one, exploding above, and what a vanilla RNN learns of the adding problem.

    Matrices have the largest singular value σ exactly: σ times a random orthogonal matrix, or a random Gaussian matrix
    scaled to σ, whose spectral radius is about half of that (Ginibre 1965). The network is h = tanh(W x + U h) on
    standard normal inputs and on quiet ones, a hundredth as large, which saturate tanh less; and the same without tanh,
    where the product U^k is known.

    Rule: three parts. (a) At σ ≤ 0.95 every norm of ∂h(t)/∂h(t-k) is at most σ^k, and the median at k = 100 is below
    0.01. (b) At σ ≥ 1.25 the median norm at k = 100 is above 100 in the tanh network, on either kind of inputs, for
    both kinds of matrices. (c) The adding problem is learned (median error over seeds below 0.05, which needs both
    numbers) at T = 10 and not at T = 50 and 100; T = 20 is the border that the saying names, and does not count. The
    claim holds if all three are so; it does not hold if (a) fails, or both others; otherwise it depends.
    """
    reached = measure_norms(effort)
    learnt = measure_adding(effort)
    more = [
        _norm_chart(reached, matrix, kind)
        for matrix, kind in (("orthogonal", "quiet tanh"), ("gaussian", "tanh"), ("gaussian", "quiet tanh"))
    ]
    linear = [one.error for one in reached if one.error is not None]
    return ClaimResult(
        *placed(judge, reached, learnt),
        numbers=[
            ClaimNumber("largest relative error of the linear network to ‖U^k‖", max(linear)),
            *(_norm_number(one) for one in reached),
            *(ClaimNumber(_radius_name(one), one.radius) for one in reached if one.kind == "tanh"),
            *(mean_within(f"adding problem, T = {one.length}: error", one.errors, POSITIVE) for one in learnt),
            *(ClaimNumber(_error_name(one), float(np.median(one.errors)), n=len(one.errors)) for one in learnt),
        ],
        charts=[_norm_chart(reached, "orthogonal", "tanh"), _adding_chart(learnt), *more],
        conditions=f"{WIDTH} units, float64, {_sequences(effort)} sequences of {LENGTH + 1} positions for the norms; "
        f"adding problem: {_units(effort)} units, {_recipe(effort).steps} steps of {_recipe(effort).batch} examples, "
        f"AdamW at {_recipe(effort).lr:g}, gradients clipped at 1; {effort.conditions()}",
        limits="What is not learned in these steps may be learned in more, or with another initialisation; clipping "
        "hides an exploding gradient from the training.",
    )


def measure_norms(effort: Effort) -> list[GradientNorms]:
    """The norms of both networks with both kinds of matrices at every largest singular value."""
    lags = [*(k for k in distances(LENGTH + 1) if k < LENGTH), LENGTH]
    norms = []
    for matrix in ("orthogonal", "gaussian"):
        unit = random_matrix(matrix, effort.seed)
        for largest in VALUES:
            for kind in ("linear", "tanh", "quiet tanh"):
                effort.say(f"C8: {kind}, {matrix}, {largest:g}")
                norms.append(_norms(kind, matrix, largest, largest * unit, lags, effort))
    return norms


def random_matrix(kind: str, seed: int) -> Tensor:
    """A random matrix (H, H) in float64 whose largest singular value is 1."""
    generator = torch.Generator().manual_seed(derive(seed, "recurrent matrix", kind))
    gaussian = torch.randn(WIDTH, WIDTH, generator=generator, dtype=torch.float64)
    if kind == "orthogonal":
        return torch.linalg.qr(gaussian)[0]
    return gaussian / torch.linalg.matrix_norm(gaussian, 2)


def _norms(
    kind: str, matrix: str, largest: float, weight: Tensor, lags: Sequence[int], effort: Effort
) -> GradientNorms:
    network: SequenceMixer = LinearRecurrence(weight) if kind == "linear" else _tanh_network(weight, effort.seed)
    generator = torch.Generator().manual_seed(derive(effort.seed, "inputs"))
    rows = []
    for _ in range(1 if kind == "linear" else _sequences(effort)):  # a linear one does not depend on the inputs
        x = torch.randn(1, LENGTH + 1, WIDTH, generator=generator, dtype=torch.float64)
        x = QUIET * x if kind == "quiet tanh" else x
        reached = state_reach(network, x, list(lags))
        assert reached is not None
        assert reached.spectral is not None
        rows.append(reached.spectral.numpy())
    norms = np.stack(rows)
    bound = np.array([largest**k for k in lags])
    error = None
    if kind == "linear":
        exact = torch.stack([torch.linalg.matrix_norm(torch.linalg.matrix_power(weight, k), 2) for k in lags]).numpy()
        error = float(np.abs(norms[0] / exact - 1).max())
    met = bool((norms <= bound * (1 + 1e-9)).all())
    return GradientNorms(kind, matrix, largest, spectrum("U", weight).radius, list(lags), norms, met, error)


def _tanh_network(weight: Tensor, seed: int) -> RNN:
    with initialised(seed):
        network = RNN(WIDTH).double()
    with torch.no_grad():
        network.weight_hidden.copy_(weight)
    return network


def measure_adding(effort: Effort) -> list[AddingError]:
    """The error of a vanilla RNN after training at each length."""
    trainings = []
    for length in (WITHIN, BORDER, *BEYOND):
        errors = []
        for seed in range(effort.seed, effort.seed + min(effort.seeds, 3)):
            with initialised(seed):
                model = AddingNetwork(_units(effort))
            fit(model, adding(length), _recipe(effort), seed, squared_error)
            errors.append(adding_error(model, length))
            effort.say(f"C8: adding over {length} steps, seed {seed}: error {errors[-1]:.4f}")
        trainings.append(AddingError(length, np.array(errors)))
    return trainings


@final
class AddingNetwork(nn.Module):
    """A vanilla RNN and a linear map of its last output; the bias is the mean of the answers."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.rnn, self.head = RNN(2, units), nn.Linear(units, 1)
        nn.init.ones_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, 2) to (B, 1)."""
        return self.head(self.rnn(x)[0][:, -1])


def _recipe(effort: Effort) -> Recipe:
    return Recipe(effort.choose(1500, 700), 32, effort.choose(1e-3, 3e-3))


def _units(effort: Effort) -> int:
    return effort.choose(64, 32)


def _sequences(effort: Effort) -> int:
    return effort.choose(16, 6)


def judge(reached: Sequence[GradientNorms], learnt: Sequence[AddingError]) -> tuple[ClaimOutcome, str]:
    """The outcome, and what was measured in words."""
    below = [one for one in reached if one.largest <= 0.95]
    above = _best(one for one in reached if one.kind != "linear" and one.largest >= ABOVE)
    vanish = all(one.bound_met and one.last < VANISHED for one in below)
    explode = [one for one in above if one.last > EXPLODED]
    learned = [one for one in learnt if one.learned]
    as_claimed = [one.length for one in learned if one.length != BORDER] == [WITHIN]
    errors = ", ".join(
        f"{of_number(_error_name(one), f'{np.median(one.errors):.3f}')} at T = {_length(one)}" for one in learnt
    )
    most = _most(below)
    steps = of_number(_norm_name(below[0]), str(LENGTH), "name")
    sigma = sourced(f"{ABOVE:g}", ("charts", 0, "curves", VALUES.index(ABOVE), "label"), how="text")
    few = sourced(str(len(explode)), *(("numbers", _norm_name(one)) for one in above), how="derived")
    of_all = sourced(str(len(above)), *(("numbers", _norm_name(one)) for one in above), how="count")
    memoryless = sourced(f"{MEAN_ERROR:.3f}", ("charts", 1, "lines", 0, "y"))
    text = (
        f"Below one gradients {'vanish' if vanish else 'do not always vanish'}: at most {most} after {steps} steps. "
        f"From σ = {sigma} on they explode in {few} of {of_all} tanh networks, on the inputs that favour it "
        f"({_ranges(above)}). Error on the adding problem (without memory {memoryless}): {errors}."
    )
    exploding = len(explode) == len(above)
    if vanish and exploding and as_claimed:
        return "holds", text
    if not vanish or not (exploding or as_claimed):
        return "does not hold", text
    lengths = f"learned at T = {and_joined(list(map(_length, learned)))}" if learned else "learned at no length"
    return "depends", f"{text} The adding problem was {lengths}."


def _best(reached: Iterable[GradientNorms]) -> list[GradientNorms]:
    """Of each matrix the network with the larger norm: the inputs on which it explodes if it does on any."""
    best: dict[tuple[str, float], GradientNorms] = {}
    for one in sorted(reached, key=lambda one: one.last):
        best[one.matrix, one.largest] = one
    return list(best.values())


def _ranges(above: Sequence[GradientNorms]) -> str:
    parts = []
    for matrix in dict.fromkeys(one.matrix for one in above):
        own = [one for one in above if one.matrix == matrix]
        radii = [one.radius for one in own]
        places = [("numbers", _radius_name(one), "value") for one in own]
        low, high = (
            sourced(f"{min(radii):.2f}", *places, how="least"),
            sourced(f"{max(radii):.2f}", *places, how="most"),
        )
        parts.append(f"{matrix}, spectral radius {low} to {high}: {_least(own)} to {_most(own)}")
    return "; ".join(parts)


def _least(of: Sequence[GradientNorms]) -> str:
    return sourced(f"{min(one.last for one in of):.2g}", *map(_norm_place, of), how="least")


def _most(of: Sequence[GradientNorms]) -> str:
    return sourced(f"{max(one.last for one in of):.2g}", *map(_norm_place, of), how="most")


def _norm_place(one: GradientNorms) -> Place:
    return "numbers", _norm_name(one), "value"


def _norm_name(one: GradientNorms) -> str:
    return f"{one.name}: norm after {LENGTH} steps"


def _radius_name(one: GradientNorms) -> str:
    """The number of the matrix, which networks of every kind share."""
    return f"{one._replace(kind='tanh').name}: spectral radius"


def _error_name(one: AddingError) -> str:
    return f"adding problem, T = {one.length}: median error"


def _length(one: AddingError) -> str:
    return of_number(_error_name(one), str(one.length), "name")


def _norm_number(one: GradientNorms) -> ClaimNumber:
    band = median_band([0], one.norms[:, -1:])
    return ClaimNumber(_norm_name(one), band.centre[0], band.low[0], band.high[0], n=len(one.norms))


def _norm_chart(reached: Sequence[GradientNorms], matrix: str, kind: str) -> ClaimChart:
    curves = []
    for one in reached:
        if one.matrix == matrix and one.kind == kind:
            band = median_band(one.lags, one.norms)
            ends = ([None if v is None or v < FLOOR else v for v in row] for row in (band.centre, band.low, band.high))
            curves.append(ClaimCurve(f"σ = {one.largest:g}", band.at, *ends))
    what = "σ times an orthogonal matrix" if matrix == "orthogonal" else "a Gaussian matrix with largest value σ"
    return ClaimChart(
        f"Norm of ∂h(t)/∂h(t-k), {kind} network, U = {what}",
        "distance k",
        "norm",
        curves,
        log_x=True,
        log_y=True,
        lines=[ReferenceLine("1", 1.0)],
    )


def _adding_chart(learnt: Sequence[AddingError]) -> ClaimChart:
    return ClaimChart(
        "Adding problem: error of a trained vanilla RNN",
        "steps T",
        "mean squared error",
        [points_of("vanilla RNN", [one.errors for one in learnt], limits=POSITIVE)],
        categories=[str(one.length) for one in learnt],
        lines=[ReferenceLine("without memory", MEAN_ERROR), ReferenceLine("one of the two numbers", MEAN_ERROR / 2)],
    )
