"""Gradient reach: how much of position t-k reaches the state and the output at t, by exact vector-Jacobian products.

A batch of R copies of one sequence, with a different cotangent for each copy, gives R rows of every Jacobian in a
single backward pass, since rows of a batch do not touch each other. With the identity as cotangents the Jacobians are
complete. Where a state has more than `EXACT` numbers, `PROBES` random signs v take its place: E‖vᵀJ‖² = ‖J‖_F²
(Hutchinson 1990, "A stochastic estimator of the trace of the influence matrix").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sightline.core.mixer import Memory, SequenceMixer
from sightline.core.seeds import derive
from sightline.core.state import leaves, map_state
from sightline.lab.bands import median_band
from sightline.lab.mechanism import Inputs, Mechanism, outputs
from sightline.lab.panel_results import Reach, RecurrentMatrix

EXACT, PROBES = 256, 64
POWER = 128  # of a matrix, whose norm shows its spectral radius


class StateReach(NamedTuple):
    """Norms of ∂h_t/∂h_{t-k} of one sequence at t = T, for each k."""

    frobenius: Tensor  # (K,) divided by √(numbers of h_{t-k})
    spectral: Tensor | None  # (K,) the largest singular value; None where the Jacobians are estimated
    numbers: int  # of h_T
    readers: int = 1  # parts that read step by step, each with a state and an input of its own


def mechanism_reach(mechanism: Mechanism, length: int, sequences: int, seed: int = 0) -> Reach:
    """The reach of an untrained mechanism in float64 over standard normal sequences of `length` positions."""
    module, lags = mechanism.build(seed, torch.float64), distances(length)
    inputs = mechanism.inputs(module, sequences, length, seed, torch.float64)
    generator = torch.Generator().manual_seed(derive(seed, "cotangents"))
    states, gradients = [], []
    for row in range(sequences):
        x, memory = inputs.x[row : row + 1], _rows(inputs.memory, slice(row, row + 1))
        gradients.append(_output_reach(module, Inputs(x, memory)).flip(0)[[0, *lags]])
        if isinstance(module, SequenceMixer):
            states.append(state_reach(module, x, lags, memory, generator=generator))
    return Reach(
        mechanism.name,
        trained=False,
        input=median_band([0, *lags], torch.stack(gradients).numpy()),
        over="sequence" if inputs.memory is None else "memory",
        matrices=recurrent_matrices(module),
        **state_bands(lags, [one for one in states if one is not None]),
    )


def state_bands(lags: Sequence[int], reached: Sequence[StateReach]) -> dict[str, Any]:
    """The fields of `Reach` on states, over sequences; empty without a state."""
    if not reached:
        return {}
    exact = all(one.spectral is not None for one in reached)
    spectral = torch.stack([one.spectral for one in reached if one.spectral is not None]) if exact else None
    return {
        "state": median_band(lags, torch.stack([one.frobenius for one in reached]).cpu().numpy()),
        "spectral": None if spectral is None else median_band(lags, spectral.cpu().numpy()),
        "exact": exact,
        "numbers": reached[0].numbers,
        "readers": reached[0].readers,
    }


def _output_reach(module: Any, inputs: Inputs) -> Tensor:
    """‖∂y_T/∂x_s‖_F for every position s of one row; of the memory where the module reads one."""
    rows = module.d_out
    x = inputs.x.expand(rows, -1, -1).clone().requires_grad_(inputs.memory is None)
    memory = _repeated(inputs.memory, rows)
    if memory is not None:
        memory = memory._replace(values=memory.values.clone().requires_grad_())
    y, _ = outputs(module, Inputs(x, memory))
    return input_reach(y[:, -1], x if memory is None else memory.values, torch.eye(rows, dtype=x.dtype))


def distances(length: int) -> list[int]:
    """About two distances to each doubling, below `length`."""
    steps = {round(2 ** (half / 2)) for half in range(2 * length.bit_length())}
    return sorted(k for k in steps if k < length)


def state_reach(
    mixer: SequenceMixer[Any],
    x: Tensor,
    lags: Sequence[int],
    memory: Memory | None = None,
    *,
    exact: int = EXACT,
    generator: torch.Generator | None = None,
) -> StateReach | None:
    """Norms of ∂h_T/∂h_{T-k} for k in `lags` (ascending, below T) of the sequence x (1, T, D).

    h is every floating-point number of the state that changes along the sequence, flattened. None for a mechanism whose
    state has no such number.
    """
    count = _changing_numbers(mixer, x, lags, memory)
    if count == 0:
        return None
    rows = count if count <= exact else PROBES
    tapped, last = _run(mixer, x.expand(rows, -1, -1), lags, _repeated(memory, rows))
    vectors = cotangents(rows, count, x, generator, complete=count <= exact)
    sizes = [leaf.flatten(1).shape[1] for leaf in last]
    parts = [part.reshape(leaf.shape) for part, leaf in zip(vectors.split(sizes, 1), last, strict=True)]
    flat = [leaf for group in tapped for leaf in group]
    grads = iter(torch.autograd.grad(last, flat, parts, allow_unused=True, materialize_grads=True))
    frobenius, spectral = [], []
    for group in tapped:
        jacobian = torch.cat([next(grads).flatten(1) for _ in group], 1)  # (R, numbers of h_{t-k})
        norm = jacobian.norm() * (1.0 if count <= exact else 1.0 / math.sqrt(rows))
        frobenius.append(norm / math.sqrt(jacobian.shape[1]))
        if count <= exact:
            spectral.append(torch.linalg.matrix_norm(jacobian, 2))
    return StateReach(torch.stack(frobenius), torch.stack(spectral) if spectral else None, count)


def input_reach(outputs: Tensor, inputs: Tensor, vectors: Tensor, *, retain_graph: bool = False) -> Tensor:
    """‖∂y/∂x_s‖ for every position s, (T,), from outputs (R, C) of R copies of a row, and inputs (R, T, D).

    vectors (R, C) are `cotangents`: with the identity the Frobenius norm, with random signs its estimate.
    """
    kept = {"retain_graph": retain_graph, "materialize_grads": True, "allow_unused": True}
    (grads,) = torch.autograd.grad(outputs, inputs, vectors, **kept)
    norm = grads.transpose(0, 1).flatten(1).norm(dim=1)
    return norm if len(vectors) == vectors.shape[1] else norm / math.sqrt(len(vectors))


def cotangents(rows: int, count: int, like: Tensor, generator: torch.Generator | None, *, complete: bool) -> Tensor:
    """The identity (count, count), or random signs (rows, count)."""
    if complete:
        return torch.eye(count, dtype=like.dtype, device=like.device)
    signs = torch.randint(0, 2, (rows, count), generator=generator) * 2 - 1
    return signs.to(like)


def _changing_numbers(mixer: SequenceMixer[Any], x: Tensor, lags: Sequence[int], memory: Memory | None) -> int:
    _, last = _run(mixer, x, lags, memory)
    return sum(leaf.numel() for leaf in last)


def _run(
    mixer: SequenceMixer[Any], x: Tensor, lags: Sequence[int], memory: Memory | None
) -> tuple[list[list[Tensor]], list[Tensor]]:
    """The float leaves of the state k positions before the end, for each k in `lags`, and those at the end.

    Every leaf is a node of the graph of what follows. Leaves that the mixer hands on untouched are left out.
    """
    ends = [x.shape[1] - k for k in reversed(lags)]
    taps: list[list[Tensor]] = []
    state = mixer.initial_state(len(x), memory)
    with torch.enable_grad():
        for first, end in zip([0, *ends], [*ends, x.shape[1]]):
            if first:
                taps.append([])
                state = map_state(lambda leaf: _tap(leaf, taps[-1]), state)
            else:
                state = map_state(torch.Tensor.detach, state)
            _, state = mixer(x[:, first:end], state)
    last = list(leaves(state))
    changed = [i for i, (old, new) in enumerate(zip(taps[-1], last)) if new.data_ptr() != old.data_ptr()]
    kept = [i for i in changed if last[i].is_floating_point()]
    return [[group[i] for i in kept] for group in reversed(taps)], [last[i] for i in kept]


def _tap(leaf: Tensor, group: list[Tensor]) -> Tensor:
    if leaf.is_floating_point():
        leaf = leaf.clone() if leaf.requires_grad else leaf.clone().requires_grad_()
    group.append(leaf)
    return leaf


def _rows(memory: Memory | None, rows: slice) -> Memory | None:
    return map_state(lambda leaf: leaf[rows], memory)


def _repeated(memory: Memory | None, rows: int) -> Memory | None:
    return map_state(lambda leaf: leaf.expand(rows, *leaf.shape[1:]), memory)


def spectrum(name: str, matrix: Tensor) -> RecurrentMatrix:
    """Eigenvalues and singular values of a square matrix (N, N)."""
    matrix = matrix.detach().double()
    singular = torch.linalg.svdvals(matrix)
    radius = torch.linalg.eigvals(matrix).abs().max()
    values = (radius, singular[0], singular.median(), singular[-1])
    return RecurrentMatrix(name, len(matrix), *(value.item() for value in values))


def recurrent_matrices(model: nn.Module) -> list[RecurrentMatrix]:
    """The spectra of all hidden-to-hidden weights `weight_hidden` (G·H, H) of a model, gate by gate.

    They are called by the recurrence, numbered in the order of the model, its direction, and the gate.
    """
    spectra: list[RecurrentMatrix] = []
    weights = [(path, weight) for path, weight in model.named_parameters() if path.split(".")[-1] == "weight_hidden"]
    numbers: dict[str, int] = {}
    for path, weight in weights:
        owner = path.rpartition(".")[0]
        outer, _, direction = owner.rpartition(".")
        halves = direction in ("forwards", "backwards")
        number = numbers.setdefault(outer if halves else owner, len(numbers) + 1)
        layer = f"recurrence {number}, " if len(weights) > 1 else ""
        blocks = weight.split(weight.shape[1])
        names = _gates(model.get_submodule(owner), len(blocks))
        spectra += [
            spectrum(f"{layer}{direction + ', ' if halves else ''}{name}", block)
            for name, block in zip(names, blocks, strict=True)
        ]
    return spectra


def _gates(module: nn.Module, count: int) -> list[str]:
    """Names of this many blocks of weights: those of the gates, with the head where each gate has several."""
    order: Any = getattr(module, "gate_order", ())
    if not order or count % len(order):
        return ["hidden to hidden" + (f", block {place + 1}" if count > 1 else "") for place in range(count)]
    heads = count // len(order)
    return [f"hidden to {gate}{f', head {head + 1}' if heads > 1 else ''}" for gate in order for head in range(heads)]


def spectral_radius(matrices: Tensor) -> Tensor:
    """The largest absolute eigenvalue (G,) of square matrices (G, N, N), within about 1 %.

    Gelfand's formula, (‖M²ᵏ‖ / ‖Mᵏ‖)^(1/k) with k = `POWER`: a few products, where all eigenvalues take a hundred times
    as long.
    """
    tiny = torch.finfo(matrices.dtype).tiny
    norm = torch.linalg.matrix_norm(matrices).clamp(min=tiny)
    powers, power, logarithm = matrices / norm[:, None, None], 1, norm.log()  # logarithm of ‖M^power‖
    while True:
        powers = powers @ powers  # of M, with the norm 1 before
        norm = torch.linalg.matrix_norm(powers).clamp(min=tiny)
        if power == POWER:
            return ((logarithm + norm.log()) / POWER).exp()
        powers, power, logarithm = powers / norm[:, None, None], 2 * power, 2 * logarithm + norm.log()


def largest_singular_value(matrices: Tensor) -> Tensor:
    """The largest singular value (G,) of matrices (G, N, N): the root of the spectral radius of MᵀM."""
    return spectral_radius(matrices.mT @ matrices).sqrt()
