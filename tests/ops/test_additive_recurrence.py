"""The recurrence with attention equals a loop of plain operations: states, contexts, all gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sightline.core.mixer import Memory
from sightline.mixers.additive import AdditiveConfig
from sightline.ops.additive_recurrence import (
    AdditiveWeights,
    Flags,
    ReadMemory,
    additive_recurrence,
    recorded,
    recurrence_composed,
)
from sightline.training.flops import count_flops

B, T, M, H, A, E = 3, 5, 4, 3, 2, 5
MASK = torch.tensor([[1, 1, 1, 0, 0], [1, 0, 1, 1, 1], [0, 0, 0, 0, 0]]).bool()
STARTS = torch.tensor([[0, 0, 1, 0, 1], [1, 0, 0, 0, 0], [0, 0, 0, 1, 0]]).bool()
OF_MEMORY = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]]).bool()
FLAGS = {
    "plain": (None, None, None),
    "padded memory": (OF_MEMORY, None, None),
    "padding": (None, MASK, None),
    "documents": (OF_MEMORY, None, STARTS),
    "all": (OF_MEMORY, MASK, STARTS),
}


def normal(seed, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).mul_(0.8).to(dtype).requires_grad_()


def inputs(dtype=torch.float64):
    """W x + b, the carried and the first state, keys, values and the five weights."""
    shapes = ((B, T, 3 * H), (B, H), (B, H), (B, M, A), (B, M, E), (A, H), (A,), (1, A), (3 * H, H), (3 * H, E))
    return tuple(normal(seed, *shape, dtype=dtype) for seed, shape in enumerate(shapes))


def run(flags, x, carried, first, keys, values, *weights):
    of_memory, mask, starts = flags
    memory = ReadMemory(keys, values, of_memory)
    return additive_recurrence(x, carried, first, AdditiveWeights(*weights), memory, mask, starts)


def loop(flags, x, carried, first, keys, values, *weights):
    """Position by position and row by row (Bahdanau et al. 2015, appendix A.2.2)."""
    query, query_bias, energy, hidden_weight, context_weight = weights
    of_memory, mask, starts = flags
    rows = []
    for row in range(B):
        s, asking, contexts = carried[row], [], []
        for t in range(T):
            if starts is not None and starts[row, t]:
                s = first[row]
            real = torch.ones(M, dtype=torch.bool) if of_memory is None else of_memory[row]
            scores = torch.tanh(query @ s + query_bias + keys[row, real]) @ energy[0]
            context = torch.softmax(scores, 0) @ values[row, real]
            asking.append(s)
            contexts.append(context)
            if mask is not None and not mask[row, t]:
                continue
            sums = x[row, t] + context_weight @ context
            r, z = torch.sigmoid(sums[: 2 * H] + hidden_weight[: 2 * H] @ s).chunk(2)
            n = torch.tanh(sums[2 * H :] + hidden_weight[2 * H :] @ (r * s))
            s = (1 - z) * s + z * n
        rows.append((torch.stack(asking), torch.stack(contexts), s))
    return tuple(torch.stack(part) for part in zip(*rows, strict=True))


def assert_equal(actual, expected, tolerance=1e-10):
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def gradients(outputs, tensors):
    shares = [normal(20 + n, *part.shape).detach().to(part.dtype) for n, part in enumerate(outputs)]
    return torch.autograd.grad(outputs, tensors, shares, materialize_grads=True)


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_states_contexts_and_gradients_are_those_of_a_loop(flags):
    tensors = inputs()
    assert recorded(AdditiveWeights(*tensors[5:]))
    outputs, expected = run(flags, *tensors), loop(flags, *tensors)
    assert_equal(outputs, expected)
    assert_equal(gradients(outputs, tensors), gradients(expected, tensors))


@pytest.mark.parametrize("size", [1.0, 60.0, 1e4, 1e308], ids=str)
@pytest.mark.parametrize("which", [3, 6], ids=["keys", "queries"])
def test_energies_of_any_size(which, size):
    """e^2q e^2k would be infinite, and zero times infinite, for large ones of opposite signs."""
    tensors = list(inputs())
    for place, sign in ((3, 1.0), (6, -1.0)):
        large = tensors[place].detach() * (size if place == which else math.sqrt(size)) * sign
        tensors[place] = large.requires_grad_()
    flags = FLAGS["plain"]
    outputs, expected = run(flags, *tensors), loop(flags, *tensors)
    assert_equal(outputs, expected)
    assert_equal(gradients(outputs, tensors), gradients(expected, tensors), 1e-9)


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_second_derivatives(flags):
    tensors = inputs()
    assert torch.autograd.gradgradcheck(lambda *given: run(flags, *given), tensors, fast_mode=True)


def test_several_gradients_at_once():
    tensors = inputs()
    outputs = run(FLAGS["all"], *tensors)
    each = [
        torch.stack([normal(30 + n + row, *part.shape).detach() for row in range(2)]) for n, part in enumerate(outputs)
    ]
    rows = torch.autograd.grad(outputs, tensors, each, is_grads_batched=True, retain_graph=True)
    for row in range(2):
        alone = torch.autograd.grad(outputs, tensors, [part[row] for part in each], retain_graph=True)
        assert_equal([part[row] for part in rows], list(alone))


def test_the_backward_multiplies_twice_as_much_as_the_forward():
    """No product for a weight is repeated: a step of the loop has 2 B (H (A + 2H) + H² + 3HE + MA + ME) operations."""
    tensors = inputs()
    expected = T * 2 * B * (H * (A + 2 * H) + H * H + 3 * H * E + M * A + M * E)
    outputs = []
    assert count_flops(lambda: outputs.extend(run(FLAGS["plain"], *tensors))) == expected
    assert count_flops(lambda: gradients(outputs, tensors)) == 2 * expected


def test_autocast_errs_no_more_than_with_plain_operations():
    """The errors of states, contexts and gradients in bfloat16, beside those of the loop that autocast converts."""

    def results(function, dtype):
        tensors = inputs(dtype)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.float32):
            outputs = function(FLAGS["all"], *tensors)
        loss = sum(part.double().sin().sum() for part in outputs)
        return (*outputs, *torch.autograd.grad(loss, tensors))

    def plain(flags, x, carried, first, keys, values, *weights):
        memory = ReadMemory(keys, values, flags[0])
        return recurrence_composed(x, carried, first, AdditiveWeights(*weights), memory, Flags(*flags))

    exact = results(loop, torch.float64)
    fast, slow = (
        [
            float((a.detach() - b.detach()).norm() / b.detach().norm())
            for a, b in zip(results(one, torch.float32), exact)
        ]
        for one in (run, plain)
    )
    assert max(fast) < 0.02
    assert sum(fast) < sum(slow)


def test_the_layer_equals_its_steps_with_and_without_a_graph():
    torch.manual_seed(0)
    module = AdditiveConfig(d_hidden=5, d_memory=6, d_summary=7, d_attention=3).build(4).double()
    x, memory = torch.randn(2, 6, 4).double(), Memory(torch.randn(2, 3, 6).double(), None, torch.randn(2, 7).double())
    y, state = module(x, module.initial_state(2, memory))
    with torch.no_grad():
        carried = module.initial_state(2, memory)
        steps = []
        for t in range(6):
            y_t, carried = module.step(x[:, t], carried)
            steps.append(y_t)
    assert_equal(y, torch.stack(steps, 1))
    assert_equal(state.hidden, carried.hidden)


@pytest.mark.parametrize("kind", ["hook", "probe", "type"])
def test_layers_that_are_watched_or_replaced_are_called(kind):
    """A hook on a projection, a listener on the weights, an adapted layer: each sees every position."""
    torch.manual_seed(0)
    module, calls = AdditiveConfig().build(4), []
    if kind == "hook":
        module.query_projection.register_forward_hook(lambda *given: calls.append(1))
    elif kind == "probe":
        module.weights.register_forward_hook(lambda *given: calls.append(1))
    else:

        class Adapted(nn.Linear):
            def forward(self, x):
                calls.append(1)
                return super().forward(x)

        module.query_projection = Adapted(4, 4)
    module(torch.randn(2, 3, 4), module.initial_state(2, Memory(torch.randn(2, 5, 4), None)))
    assert len(calls) == 3
