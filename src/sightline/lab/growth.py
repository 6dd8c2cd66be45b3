"""Time and peak memory by length, with fitted exponents: forward, training step, prefill and one step of decoding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch

from sightline.core.mixer import SequenceMixer
from sightline.core.state import map_state, nbytes
from sightline.lab.bench.timing import call_seconds
from sightline.lab.exponents import fit_exponent
from sightline.lab.live_memory import LiveMemory
from sightline.lab.mechanism import Mechanism, OnStop, not_stopped, outputs
from sightline.lab.panel_results import Phase, PhaseCost

CPU = torch.device("cpu")
PHASES: tuple[Phase, ...] = ("forward", "training", "prefill", "decode")


@final
@dataclass(frozen=True)
class Timing:
    """How often and how long calls are timed.

    rounds: the mechanisms are timed in turns, so often at each length
    shortest_s: calls that take less are repeated until a round takes this long
    longest_s: a mechanism is not measured at a length where one call may take longer than this
    device: name of torch's device
    """

    rounds: int = 7
    shortest_s: float = 0.002
    longest_s: float = 0.5
    batch: int = 1
    device: str = "cpu"


class PreparedPhase(NamedTuple):
    """A call that is ready to be timed, and the bytes of the state that it continues from (decode only)."""

    run: Callable[[], object]
    state_bytes: int = 0


def prepare(
    mechanism: Mechanism, phase: Phase, length: int, batch: int = 1, device: torch.device = CPU
) -> PreparedPhase | None:
    """The call of a phase at a length, in float32; None for an encoder where a state is needed.

    forward: outputs with the graph that a backward pass needs. training: with the gradients of the input and all
    parameters. prefill: outputs and state, without a graph. decode: one step after `length` positions; each call
    continues from the one before, as decoding does, so that a cache is appended to.
    """
    module = mechanism.build(length=length).to(device)
    inputs = map_state(lambda leaf: leaf.to(device), mechanism.inputs(module, batch, length))
    if phase in ("forward", "training"):
        x = inputs.x.requires_grad_()
        learnt = [x, *(p for p in module.parameters() if p.requires_grad)]

        def forward() -> object:
            return outputs(module, inputs._replace(x=x))[0]

        def training() -> object:
            y, _ = outputs(module, inputs._replace(x=x))
            return torch.autograd.grad(y.sum(), learnt, allow_unused=True)

        return PreparedPhase(forward if phase == "forward" else training)
    if not isinstance(module, SequenceMixer):
        return None
    if phase == "prefill":

        def prefill() -> object:
            with torch.inference_mode():
                return outputs(module, inputs)

        return PreparedPhase(prefill)
    with torch.inference_mode():
        _, state = outputs(module, inputs)
    carried, x_t = [state], inputs.x[:, -1]

    def decode() -> object:
        with torch.inference_mode():
            y, carried[0] = module.step(x_t, carried[0])
        return y

    return PreparedPhase(decode, nbytes(state))


def time_in_turns(runs: Sequence[Callable[[], object]], timing: Timing, warm: Sequence[float]) -> list[list[float]]:
    """Seconds of each call in every round; `warm` are the seconds of one earlier call each."""
    device = torch.device(timing.device)
    repeats = [max(1, math.ceil(timing.shortest_s / max(s, 1e-9))) for s in warm]
    taken: list[list[float]] = [[] for _ in runs]
    for number in range(timing.rounds):
        order = list(enumerate(runs))
        for place, run in order[::-1] if number % 2 else order:
            taken[place].append(call_seconds(run, device, repeats[place]))
    return taken


def peak_of(prepared: PreparedPhase) -> int:
    """Peak bytes of tensors in a call; for decode, of the state."""
    if prepared.state_bytes:
        return prepared.state_bytes
    with LiveMemory() as memory:
        kept = prepared.run()
    del kept
    return memory.peak_bytes


def measure_costs(
    mechanisms: Sequence[Mechanism],
    lengths: Sequence[int],
    timing: Timing,
    phases: Sequence[Phase] = PHASES,
    on_row: Callable[[str], object] = lambda row: None,
    on_stop: Callable[[str], OnStop] = lambda name: not_stopped,
) -> list[PhaseCost]:
    """The costs of every mechanism in every phase; a mechanism that takes too long stops at a shorter length.

    One that cannot read a length stops there too: `on_stop(name)(phase, length, reason)`.
    """
    costs, device = [], torch.device(timing.device)
    for phase in phases:
        rows: dict[str, _Measured] = {mechanism.name: _Measured(mechanism) for mechanism in mechanisms}
        for length in lengths:
            ready = []
            for row in (row for row in rows.values() if row.affordable(length, timing.longest_s)):
                try:
                    call = prepare(row.mechanism, phase, length, timing.batch, device)
                    if call is not None:
                        ready.append((row, call, min(call_seconds(call.run, device) for _ in range(2))))
                except ValueError as error:
                    row.stopped = True
                    on_stop(row.mechanism.name)(phase, length, str(error))
            taken = time_in_turns([call.run for _, call, _ in ready], timing, [warm for *_, warm in ready])
            for (row, call, _), rounds in zip(ready, taken, strict=True):
                row.add(length, rounds, peak_of(call))
            on_row(f"{phase} at {length}: {len(ready)} mechanisms")
        costs += [row.cost(phase) for row in rows.values() if row.lengths]
    return costs


@final
class _Measured:
    """The measurements of one mechanism in one phase."""

    def __init__(self, mechanism: Mechanism) -> None:
        self.mechanism = mechanism
        self.lengths: list[int] = []
        self.seconds: list[list[float]] = []
        self.bytes: list[int] = []
        self.stopped = False

    def affordable(self, length: int, longest_s: float) -> bool:
        """Whether one call at this length would take less than `longest_s`, if the time grew quadratically."""
        if self.stopped:
            return False
        return not self.lengths or min(self.seconds[-1]) * (length / self.lengths[-1]) ** 2 <= longest_s

    def add(self, length: int, rounds: list[float], peak: int) -> None:
        self.lengths.append(length)
        self.seconds.append([float(f"{value:.5g}") for value in rounds])
        self.bytes.append(peak)

    def cost(self, phase: Phase) -> PhaseCost:
        time = fit_exponent(self.lengths, self.seconds)
        memory = fit_exponent(self.lengths, [[float(value)] for value in self.bytes])
        return PhaseCost(self.mechanism.name, phase, self.lengths, self.seconds, self.bytes, time, memory)
