"""Recurrences over packed rows equal torch's on PackedSequences, and their gradients those of the plain loop."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sightline.ops.cells import ElmanCell, GRUCell, LSTMCell
from sightline.ops.documents import split_documents
from sightline.ops.packed import CellWeights, pack, packable, packed_composed, run_packed

B, T, D, H = 4, 9, 5, 3
CELLS = {"rnn": ElmanCell(), "lstm": LSTMCell(), "1997": LSTMCell(forget_gate=False), "gru": GRUCell()}
LENGTHS = torch.tensor([4, 9, 0, 6])
MASK = torch.arange(T) < LENGTHS.unsqueeze(1)
HOLES = torch.rand(B, T, generator=torch.Generator().manual_seed(3)) > 0.3
HOLES[2] = False
STARTS = torch.rand(B, T, generator=torch.Generator().manual_seed(4)) > 0.6
FLAGS = {"whole": None, "lengths": (MASK, None), "packed": (None, STARTS), "both": (HOLES, STARTS)}


def normal(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).mul_(0.7).requires_grad_()


def inputs(cell):
    """x, weights, carried and fresh states."""
    rows = H * {"ElmanCell": 1, "GRUCell": 3}.get(type(cell).__name__, cell.columns)
    bias_hidden = normal(4, H) if isinstance(cell, GRUCell) else None
    weights = CellWeights(normal(1, rows, D), normal(2, rows, H), normal(3, rows), bias_hidden)
    carried, fresh = (tuple(normal(seed + n, B, H) for n in range(cell.carries)) for seed in (5, 7))
    return normal(0, B, T, D), weights, carried, fresh


def loop(cell, x, weights, carried, fresh, flags):
    """Position by position, row by row."""
    mask, starts = flags if flags is not None else (None, None)
    outputs, ends = [], []
    for row in range(B):
        state = tuple(part[row : row + 1] for part in carried)
        for t in range(T):
            if starts is not None and starts[row, t]:
                state = tuple(part[row : row + 1] for part in fresh)
            if mask is not None and not mask[row, t]:
                outputs.append(x.new_zeros(1, H))
                continue
            from_hidden = state[0] @ weights.hidden.T
            if weights.bias_hidden is not None:
                from_hidden = torch.cat([from_hidden[:, :H] + weights.bias_hidden, from_hidden[:, H:]], 1)
            state = cell.advance(x[row, t : t + 1] @ weights.input.T + weights.bias, from_hidden, state)
            outputs.append(state[0])
        ends.append(state)
    return torch.cat(outputs).view(B, T, H), tuple(torch.cat(part) for part in zip(*ends, strict=True))


def assert_equal(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_outputs_states_and_gradients_are_those_of_a_loop(cell, flags):
    x, weights, carried, fresh = inputs(cell)
    given = [x, *(part for part in weights if part is not None), *carried]
    given += fresh if flags is not None and flags[1] is not None else ()
    y, final = run_packed(cell, weights, x, carried, fresh, None if flags is None else split_documents(*flags))
    y_loop, final_loop = loop(cell, x, weights, carried, fresh, flags)
    assert_equal(y, y_loop)
    assert_equal(final, final_loop)
    shares = [normal(20 + n, *part.shape).detach() for n, part in enumerate((y, *final))]
    assert_equal(
        torch.autograd.grad((y, *final), given, shares), torch.autograd.grad((y_loop, *final_loop), given, shares)
    )


@pytest.mark.parametrize(("name", "kind"), [("rnn", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_equals_torch_with_packed_sequences(name, kind):
    cell, theirs = CELLS[name], kind(D, H, batch_first=True).double()
    bias = theirs.bias_ih_l0 + theirs.bias_hh_l0
    weights = CellWeights(theirs.weight_ih_l0, theirs.weight_hh_l0, bias)
    if name == "gru":  # the candidate first, and its second bias apart
        bias = theirs.bias_ih_l0 + torch.cat([theirs.bias_hh_l0[: 2 * H], torch.zeros(H, dtype=torch.float64)])
        weights = CellWeights(theirs.weight_ih_l0, theirs.weight_hh_l0.roll(H, 0), bias, theirs.bias_hh_l0[2 * H :])
    x, lengths = normal(0, B, T, D), LENGTHS.clamp(min=1)
    given = tuple(normal(5 + n, B, H) for n in range(cell.carries))
    ragged = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    first = tuple(part.unsqueeze(0) for part in given)
    out, final = theirs(ragged, first if name == "lstm" else first[0])
    expected, _ = pad_packed_sequence(out, batch_first=True, total_length=T)
    documents = split_documents(torch.arange(T) < lengths.unsqueeze(1), None)
    y, ends = run_packed(cell, weights, x, given, given, documents)
    assert_equal(y, expected)
    assert_equal(ends, tuple(part[0] for part in (final if name == "lstm" else (final,))))
    inputs = (x, *given, *theirs.parameters())
    gradients = torch.autograd.grad((y, *ends), inputs, [torch.ones_like(part) for part in (y, *ends)])
    outputs = (expected, *(final if name == "lstm" else (final,)))
    assert_equal(gradients, torch.autograd.grad(outputs, inputs, [torch.ones_like(part) for part in outputs]))


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_second_derivatives(cell):
    x, weights, carried, fresh = inputs(cell)
    documents = split_documents(HOLES[:, :4], STARTS[:, :4])
    used = [part for part in weights if part is not None]

    def run(x, carried, *weights):
        y, final = run_packed(cell, CellWeights(*weights), x, (carried, *rest), fresh, documents)
        return y, *final

    first, *rest = carried
    assert torch.autograd.gradgradcheck(run, (x[:, :4], first, *used), fast_mode=True)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_the_plain_form_is_the_fast_one(cell):
    x, weights, carried, _ = inputs(cell)
    documents = split_documents(MASK, None)
    packing = pack(documents)
    y, *final = packed_composed(cell, packing, x, weights, tuple(part[packing.order] for part in carried))
    result, ends = run_packed(cell, weights, x, carried, carried, documents)
    assert_equal(y, result)
    assert_equal(tuple(final), tuple(part[packing.order] for part in ends))


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_graph_and_inputs_are_left_as_they_were(cell):
    x, weights, carried, fresh = inputs(cell)
    given = [x, *(part for part in weights if part is not None), *carried]
    before = [part.detach().clone() for part in given]
    y, final = run_packed(cell, weights, x, carried, fresh, split_documents(MASK, None))
    total = y.sum() + sum(part.sum() for part in final)
    once = torch.autograd.grad(total, given, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(torch.autograd.grad(total, given), once, strict=True))
    assert all(torch.equal(part, copy) for part, copy in zip(given, before, strict=True))


def test_nothing_but_what_is_real_is_multiplied():
    """6 BTH·(D + H) of a GRU's FLOPs hold for the real positions alone."""
    from torch.utils.flop_counter import FlopCounterMode

    x, weights, carried, fresh = inputs(GRUCell())
    with FlopCounterMode(display=False) as counter:
        run_packed(GRUCell(), weights, x, carried, fresh, split_documents(MASK, None))
    assert counter.get_total_flops() == 6 * int(LENGTHS.sum()) * H * (D + H)


def test_sixteen_bits_and_devices_are_left_to_torch():
    x = torch.zeros(2)
    assert packable(x)
    assert packable(x.double())
    assert not packable(x, x.double())
    assert not packable(x.bfloat16())
    assert not packable(x.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert packable(x, x.bfloat16())
        assert not packable(x.double())
        assert not packable(x.bfloat16(), x)
        assert not packable(x, x.double())


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_autocast_narrows_products_and_nothing_else(cell):
    """Outputs, states and gradients to the precision of bfloat16, which has 8 bits; 16 products of a row are added."""
    documents = split_documents(HOLES, STARTS)

    def results(dtype):
        x, weights, carried, fresh = inputs(cell)
        tensors = [x, *(part for part in weights if part is not None), *carried, *fresh]
        narrow = [part.detach().to(dtype).requires_grad_() for part in tensors]
        count = 1 + sum(part is not None for part in weights)
        states = narrow[count : count + cell.carries], narrow[count + cell.carries :]
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.float32):
            y, final = run_packed(cell, CellWeights(*narrow[1:count]), narrow[0], *map(tuple, states), documents)
        assert {part.dtype for part in (y, *final)} == {dtype}
        loss = sum(part.double().sin().sum() for part in (y, *final))
        return (y, *final, *torch.autograd.grad(loss, narrow))

    pairs = zip(results(torch.float32), results(torch.float64), strict=True)
    errors = [float((a - b).detach().norm() / b.detach().norm()) for a, b in pairs]
    assert 1e-4 < max(errors) < 2e-2
