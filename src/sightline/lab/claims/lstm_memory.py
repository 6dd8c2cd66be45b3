"""C9: LSTMs learn dependencies over 100 to 1000 steps; the additive cell state is why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, final

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.state import replaced
from sightline.lab.claims.adding import MEAN_ERROR, adding, adding_error, squared_error
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.fitting import Draw, Examples, Recipe, fit, held_out, initialised, losses
from sightline.lab.claims.numbers import (
    POSITIVE,
    curve_of,
    in_words,
    mean_of,
    mean_within,
    of_number,
    placed,
    points_of,
)
from sightline.lab.claims.results import ClaimChart, ClaimNumber, ClaimOutcome, ClaimResult, ReferenceLine
from sightline.mixers.lstm import LSTM

Cut = Literal["nothing", "hidden", "cell"]
CUTS: tuple[Cut, ...] = ("nothing", "hidden", "cell")
SHARE = 0.1  # of the error without any memory, below which a task is learned
SYMBOLS, KEPT = 8, 10  # of the copy task


class MemorySizes(NamedTuple):
    """Of each: length, steps of training, and seeds."""

    adding: tuple[tuple[int, int, int], ...]
    copying: tuple[int, int, int]
    ways: tuple[int, int, int]


FULL = MemorySizes(((100, 2500, 2), (300, 2000, 1), (1000, 500, 1)), (100, 1500, 1), (40, 1000, 4))
QUICK = MemorySizes(((100, 1500, 1),), (100, 300, 1), (40, 600, 1))


class LearnedMemory(NamedTuple):
    """The error of one kind of LSTM on one task after training, a row for each seed.

    baseline: the error of the best answer without memory; cut: the way that gradients could not take
    """

    task: str
    length: int
    forget_gate: bool
    cut: Cut
    error: np.ndarray  # (seeds,)
    baseline: float

    @property
    def learned(self) -> bool:
        """Whether every seed is below a tenth of the error without memory."""
        return bool((self.error < SHARE * self.baseline).all())

    @property
    def name(self) -> str:
        gate = "with" if self.forget_gate else "without"
        ways = {"nothing": "", "hidden": ", gradients through c alone", "cell": ", gradients through h alone"}
        return f"{self.task} over {self.length} steps, {gate} forget gate{ways[self.cut]}"


def lstm_memory(effort: Effort) -> ClaimResult:
    """LSTMs on adding and copying over many steps, and the way that their gradients take.

    Adding (Hochreiter & Schmidhuber 1997, § 5.4): the sum of the two marked ones of T numbers. Copying (Arjovsky, Shah
    & Bengio 2016, § 4.1): 10 symbols, T blanks, the symbols again. One LSTM layer; Adam; the error is that of held
    out examples. Every length has its own number of steps of training, which the conditions name: "not learned" means
    within them. Why: an LSTM trained where gradients pass from step to step through the cell state c alone (as in 1997,
    where those through the gates were cut), and one where they pass through h alone; and the norm of the gradient of
    the loss by c(T-k) that takes each way in the trained model.

    Rule: a task is learned at a length if the held-out error of every seed is below a tenth of that of the best answer
    without memory (1/6 for adding, 10 ln 8 / (T + 20) for copying). The claim holds if adding and copying are learned
    at every length of 100 and more with the forget gate, and adding at a short length is learned by gradients through c
    alone and not by those through h alone. It does not hold if neither task is learned at 100 steps, or if gradients
    through h alone learn adding as well. Otherwise it depends: on the task, the length, or the training's length.
    """
    plan = _plan(effort)
    memories = [_train(effort, *each) for each in plan]
    ways, chart = _ways(effort)
    return ClaimResult(
        *placed(judge, memories),
        numbers=[_error_number(one) for one in memories]
        + [ClaimNumber(_baseline_name(one), one.baseline) for one in memories if one.cut == "nothing"]
        + ways,
        charts=[*_charts(memories), chart],
        conditions=f"{_trainings(plan)}; 48 units; {effort.conditions()}",
        limits=(
            "A task that is not learned in these steps of training may be learned in more. Gradients are those of one "
            "layer without other ways around it."
        ),
    )


def _trainings(plan: Sequence[tuple[str, int, bool, Cut, Recipe, int]]) -> str:
    each = (f"{task} {length}: {recipe.steps} steps of {recipe.batch}" for task, length, _, _, recipe, _ in plan)
    return "; ".join(dict.fromkeys(each))


def _plan(effort: Effort) -> list[tuple[str, int, bool, Cut, Recipe, int]]:
    """Task, length, forget gate, cut, recipe and number of seeds of every training."""
    sizes, whole = effort.choose(FULL, QUICK), CUTS[0]
    plan: list[tuple[str, int, bool, Cut, Recipe, int]] = []
    for length, steps, seeds in sizes.adding:
        plan += [("adding", length, gate, whole, Recipe(steps, 32, 1e-2), seeds) for gate in (True, False)]
    length, steps, seeds = sizes.copying
    plan += [("copying", length, gate, whole, Recipe(steps, 32, 5e-3), seeds) for gate in (True, False)]
    length, steps, seeds = sizes.ways
    return plan + [("adding", length, True, cut, Recipe(steps, 32, 1e-2), seeds) for cut in CUTS]


@final
class LongMemory(nn.Module):
    """One LSTM layer and a linear map of its last output, or of every output.

    `cut` stops gradients from one step to the next through the hidden state h, or through the cell state c; the outputs
    are the same. Cut, it runs step by step.
    """

    def __init__(self, d_in: int, outputs: int, *, forget_gate: bool, last: bool, cut: Cut = "nothing") -> None:
        super().__init__()
        self.lstm = LSTM(d_in, 48, forget_gate=forget_gate)
        self.head = nn.Linear(48, outputs)
        self.last, self.cut = last, cut

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, d_in) to (B, outputs), or (B, T, outputs)."""
        y = self.lstm(x)[0] if self.cut == "nothing" else torch.stack(unrolled(self.lstm, x, self.cut)[0], 1)
        return self.head(y[:, -1] if self.last else y)


def unrolled(lstm: LSTM, x: Tensor, cut: Cut) -> tuple[list[Tensor], list[Tensor]]:
    """The hidden and the cell states (B, H) after each step of x (B, T, D), where gradients do not take the cut way."""
    state = lstm.initial_state(len(x))
    hidden, cells = [], []
    for x_t in x.unbind(1):
        h, c = state.carried
        h, c = (h.detach() if cut == "hidden" else h), (c.detach() if cut == "cell" else c)
        _, state = lstm.step(x_t, replaced(state, carried=(h, c)))
        hidden.append(state.carried[0])
        cells.append(state.carried[1])
    return hidden, cells


def copying(length: int) -> Draw:
    """10 symbols of 8, T - 1 blanks, a mark, 10 blanks for the symbols to be repeated in; one-hot (B, T+20, 10)."""

    def draw(generator: torch.Generator, count: int) -> Examples:
        symbols = torch.randint(SYMBOLS, (count, KEPT), generator=generator)
        read = torch.full((count, length + 2 * KEPT), SYMBOLS)
        read[:, :KEPT], read[:, -KEPT - 1] = symbols, SYMBOLS + 1
        labels = torch.full_like(read, SYMBOLS)
        labels[:, -KEPT:] = symbols
        x = nn.functional.one_hot(read, SYMBOLS + 2).float()
        return Examples((x,), labels, torch.ones_like(labels).bool())

    return draw


def _train(
    effort: Effort, task: str, length: int, forget_gate: bool, cut: Cut, recipe: Recipe, seeds: int
) -> LearnedMemory:
    errors = []
    for seed in effort.some_seeds(seeds):
        model = _fitted(task, length, forget_gate, cut, recipe, seed)
        errors.append(_error(task, length, model))
        effort.say(f"C9: {task}, {length} steps, forget gate {forget_gate}, {cut} cut, seed {seed}: {errors[-1]:.4f}")
    baseline = MEAN_ERROR if task == "adding" else KEPT * math.log(SYMBOLS) / (length + 2 * KEPT)
    return LearnedMemory(task, length, forget_gate, cut, np.array(errors), baseline)


def _fitted(task: str, length: int, forget_gate: bool, cut: Cut, recipe: Recipe, seed: int) -> LongMemory:
    with initialised(seed):
        if task == "adding":
            model = LongMemory(2, 1, forget_gate=forget_gate, last=True, cut=cut)
            nn.init.ones_(model.head.bias)  # the mean of the answers
        else:
            model = LongMemory(SYMBOLS + 2, SYMBOLS + 1, forget_gate=forget_gate, last=False, cut=cut)
    if task == "adding":
        fit(model, adding(length), recipe, seed, squared_error)
    else:
        fit(model, copying(length), recipe, seed)
    return model


@torch.no_grad()
def _error(task: str, length: int, model: LongMemory) -> float:
    if task == "adding":
        return adding_error(model, length)
    return float(losses(model, held_out(copying(length), 0, 300)).mean())


def gradient_ways(model: LongMemory, x: Tensor) -> dict[Cut, np.ndarray]:
    """‖∂L/∂c(T-k)‖ (B, T) for k = 0 … T-1, L the sum of the last outputs, by the way that is cut; "nothing" = all."""
    norms: dict[Cut, np.ndarray] = {}
    for cut in CUTS:
        hidden, cells = unrolled(model.lstm, x, cut)
        gradients = torch.autograd.grad(model.head(hidden[-1]).sum(), cells, allow_unused=True, materialize_grads=True)
        norms[cut] = torch.stack([g.norm(dim=1) for g in reversed(gradients)], 1).double().numpy()
    return norms


def _ways(effort: Effort) -> tuple[list[ClaimNumber], ClaimChart]:
    """Gradients at distance in the trained model of the shortest adding problem, in numbers and as a chart."""
    length, steps, _ = effort.choose(FULL, QUICK).ways
    model = _fitted("adding", length, True, "nothing", Recipe(steps, 32, 1e-2), effort.seed)
    examples = held_out(adding(length), 0, 32)
    norms = gradient_ways(model, examples.inputs[0])
    labels = {"nothing": "all ways", "hidden": "through c alone", "cell": "through h alone"}
    distances = list(range(length))
    curves = [curve_of(labels[cut], distances, np.maximum(rows, 1e-30)) for cut, rows in norms.items()]
    far = length * 3 // 4
    numbers = [mean_of(f"norm of ∂L/∂c at distance {far}, {labels[cut]}", rows[:, far]) for cut, rows in norms.items()]
    chart = ClaimChart(
        "Gradient by the way it takes, after training", "distance (steps)", "‖∂L/∂c(T-k)‖", curves, log_y=True
    )
    return numbers, chart


def judge(memories: Sequence[LearnedMemory]) -> tuple[ClaimOutcome, str]:
    """The outcome by the rule of `lstm_memory`, and what was measured in words."""
    far = [one for one in memories if one.cut == "nothing" and one.length >= 100 and one.forget_gate]
    hundred = [one for one in far if one.length == min(each.length for each in far)]
    ways = {one.cut: one for one in memories if one.length < 100}
    trained, by_cell, by_hidden = (ways[cut].learned for cut in ("nothing", "hidden", "cell"))
    long = [one for one in memories if one.cut == "nothing" and one.length >= 100]
    learned, missed = [one for one in long if one.learned], [one for one in long if not one.learned]
    parts = [f"learned: {_listed(learned)}" if learned else "no task of 100 steps or more was learned"]
    parts += [f"not learned in these steps of training: {_listed(missed)}"] if missed else []
    cell, hidden = (in_words(_error_number(ways[cut]), 4) for cut in ("hidden", "cell"))
    steps = of_number(_error_number(ways["hidden"]).name, str(ways["hidden"].length), "name")
    memoryless = of_number(_baseline_name(ways["nothing"]), f"{MEAN_ERROR:.3f}")
    parts.append(
        f"over {steps} steps gradients through c alone left an error of {cell}, those through h alone {hidden} "
        f"(without memory {memoryless})"
    )
    text = "; ".join(parts) + "."
    if by_hidden and by_cell:
        return "does not hold", f"The cell state is not why, gradients through h alone do: {text}"
    if not any(one.learned for one in hundred):
        return "does not hold", text[0].upper() + text[1:]
    if not trained:
        return "depends", f"Not decided why, as the short task was not learned by all gradients: {text}"
    if all(one.learned for one in far) and by_cell and not by_hidden:
        return "holds", text[0].upper() + text[1:]
    return "depends", f"It depends on the task and its length: {text}"


def _listed(memories: Sequence[LearnedMemory]) -> str:
    return ", ".join(map(_described, memories))


def _described(one: LearnedMemory) -> str:
    error, baseline = _error_number(one), _baseline_name(one)
    name = one.name.replace(str(one.length), of_number(error.name, str(one.length), "name"), 1)
    return f"{name} ({in_words(replace(error, low=None), 4)} of {of_number(baseline, f'{one.baseline:.4f}')})"


def _error_number(one: LearnedMemory) -> ClaimNumber:
    return mean_within(f"{one.name}: error", one.error, POSITIVE)


def _baseline_name(one: LearnedMemory) -> str:
    return f"{one.name}: error without memory"


def _charts(memories: Sequence[LearnedMemory]) -> list[ClaimChart]:
    rows = [one for one in memories if one.task == "adding" and one.cut == "nothing"]
    gates = {"with forget gate": True, "without forget gate": False}
    curves = []
    for label, gate in gates.items():
        of_gate = [one for one in rows if one.forget_gate == gate]
        curves.append(points_of(label, [one.error for one in of_gate], [one.length for one in of_gate], POSITIVE))
    lines = [ReferenceLine("without memory", MEAN_ERROR)]
    return [ClaimChart("Adding: error by length", "steps", "mean squared error", curves, True, True, lines)]
