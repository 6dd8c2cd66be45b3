"""Linear attention by chunks against one position after another, and against the explicit matrix of weights."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

import sightline.ops.linear as ops_linear
import sightline.ops.tiles as tiles
from sightline.core.probe import Probe
from sightline.ops import LinearState, linear_attention
from sightline.ops.linear import full_linear_attention
from tests.unchecked import unchecked

stepwise = partial(linear_attention, stepwise=True)
SHARED = ("shared", "shared constant", "shared position")
FORMS = ("plain", "constant", "position", "channel", "delta", "delta constant", "delta position", *SHARED)
NORMALISED = ("plain", "constant", "position", "channel")


class Case:
    """Inputs of `linear_attention` in one of its forms, a state included."""

    def __init__(self, form, length, seed=0, *, normaliser=False, packed=False, strong=1.0, dtype=torch.float64):
        generator = torch.Generator().manual_seed(seed)
        batch, groups, d_key, d_value = 2, 2, 3, 5
        heads = 3 * groups if form in SHARED else groups

        def normal(*shape):
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        q, k = normal(batch, groups, length, d_key), normal(batch, groups, length, d_key)
        if normaliser:
            q, k = q.exp(), k.exp()
        self.named = {"q": q, "k": k, "v": normal(batch, heads, length, d_value)}
        if form.startswith("delta"):
            self.named["k"] = k / k.norm(dim=3, keepdim=True)
            self.named["beta"] = normal(batch, heads, length).sigmoid()
        shape = {"constant": (heads,), "position": (batch, heads, length), "channel": (batch, heads, length, d_key)}
        if form.split()[-1] in shape:
            self.named["decay"] = -strong * normal(*shape[form.split()[-1]]).abs()
        self.named["memory"] = normal(batch, heads, d_key, d_value)
        if normaliser:
            self.named["keys"] = normal(batch, heads, d_key).exp()
        self.named = {name: x.to(dtype).requires_grad_() for name, x in self.named.items()}
        starts = torch.rand(batch, length, generator=generator) < 0.2
        self.rest = {"normaliser": normaliser, "starts": starts if packed else None}

    def run(self, function, named=None):
        """Outputs and the tensors of the final state."""
        named = dict(self.named if named is None else named)
        state = LinearState(named.pop("memory"), named.pop("keys", None))
        y, state = function(**named, **self.rest, state=state)
        return [y, *(part for part in state if part is not None)]

    def gradients(self, outputs):
        generator = torch.Generator().manual_seed(7)
        loss = sum((y * torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y)).sum() for y in outputs)
        return torch.autograd.grad(loss, list(self.named.values()), materialize_grads=True)


def equal(found, expected, tolerance=1e-10):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert torch.isfinite(b).all()
        error = (a - b).abs().max() / b.abs().max().clamp(min=1.0) if b.numel() else torch.zeros(())
        assert error <= tolerance


CASES = [pytest.param(form, False, id=form) for form in FORMS]
CASES += [pytest.param(form, True, id=f"{form} normalised") for form in NORMALISED]


@pytest.mark.parametrize(("form", "normaliser"), CASES)
@settings(max_examples=20)
@given(
    length=st.integers(0, 21),
    chunk=st.sampled_from([1, 2, 4, 8, 16]),
    packed=st.booleans(),
    strong=st.sampled_from([0.01, 1.0, 300.0]),
    seed=st.integers(0, 99),
)
def test_chunks_equal_single_positions_gradients_too(form, normaliser, length, chunk, packed, strong, seed):
    case = Case(form, length, seed, normaliser=normaliser, packed=packed, strong=strong)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ops_linear, "CHUNK", chunk)
        actual = case.run(linear_attention)
        gradients = case.gradients(actual)
    expected = case.run(stepwise)
    equal(actual, expected)
    equal(gradients, case.gradients(expected))


@pytest.mark.parametrize("length", [64, 65, 127, 200])
@pytest.mark.parametrize("form", FORMS)
def test_chunks_of_the_default_length(form, length):
    case = Case(form, length, packed=length == 127)
    actual, expected = case.run(linear_attention), case.run(stepwise)
    equal(actual, expected)
    equal(case.gradients(actual), case.gradients(expected))


@pytest.mark.parametrize("normaliser", [False, True], ids=["sum", "mean"])
@pytest.mark.parametrize("form", NORMALISED)
def test_equals_the_explicit_matrix_of_weights(monkeypatch, form, normaliser):
    """w_ts = Σ_c q_tc k_sc exp(decay_(s+1)c + … + decay_tc) for s <= t, rows divided by their sums where normalised."""
    monkeypatch.setattr(ops_linear, "CHUNK", 4)
    case = Case(form, 13, normaliser=normaliser)
    q, k, v = (case.named[name].detach() for name in "qkv")
    decay = case.named.get("decay", torch.zeros(2, dtype=torch.float64)).detach()
    if decay.dim() == 1:
        decay = decay[None, :, None].expand(2, 2, 13)
    decay = decay if decay.dim() == 4 else decay.unsqueeze(3).expand_as(q)
    expected = torch.zeros_like(v)
    for t in range(13):
        weights = torch.zeros(2, 2, 13, dtype=torch.float64)
        for s in range(t + 1):
            weights[:, :, s] = (q[:, :, t] * k[:, :, s] * decay[:, :, s + 1 : t + 1].sum(2).exp()).sum(2)
        if normaliser:
            weights = weights / weights.sum(2, keepdim=True)
        expected[:, :, t] = (weights.unsqueeze(3) * v).sum(2)
    decay = case.named.get("decay")
    y, _ = linear_attention(q, k, v, decay=None if decay is None else decay.detach(), normaliser=normaliser)
    equal([y], [expected])


def test_the_delta_rule_replaces_what_a_key_holds():
    """With beta = 1 and keys of length 1, reading a key gives the value written last, not those before."""
    k = torch.eye(4, dtype=torch.float64)[[0, 1, 0, 2, 1, 1, 3]].expand(1, 1, 7, 4)
    v = torch.randn(1, 1, 7, 3, dtype=torch.float64)
    y, state = linear_attention(k, k, v, beta=torch.ones(1, 1, 7, dtype=torch.float64))
    equal([y, state.memory], [v, v[:, :, [2, 5, 3, 6]]])


@pytest.mark.parametrize(("form", "normaliser"), CASES)
def test_any_cuts_give_what_the_whole_gives(form, normaliser):
    case = Case(form, 23, normaliser=normaliser, packed=True)
    expected = case.run(linear_attention)
    state = LinearState(case.named["memory"], case.named.get("keys"))
    outputs, at = [], 0
    for size in (5, 0, 1, 8, 2, 7):
        part = slice(at, at + size)
        inputs = {n: x if x.dim() == 1 else x[:, :, part] for n, x in case.named.items() if n not in ("memory", "keys")}
        y, state = linear_attention(**inputs, normaliser=normaliser, starts=case.rest["starts"][:, part], state=state)
        outputs.append(y)
        at += size
    actual = [torch.cat(outputs, 2), *(part for part in state if part is not None)]
    equal(actual, expected)
    equal(case.gradients(actual), case.gradients(expected))


@pytest.mark.parametrize("tile", [4, 8, 24, 64])
@pytest.mark.parametrize(("form", "normaliser"), CASES)
def test_the_size_of_a_tile_changes_nothing(monkeypatch, form, normaliser, tile):
    monkeypatch.setattr(ops_linear, "CHUNK", 4)
    case = Case(form, 23, normaliser=normaliser, packed=True)
    expected = case.run(stepwise)
    monkeypatch.setattr(tiles, "TILE", tile)
    for name in ("ROWS", "DELTA_ROWS"):
        monkeypatch.setattr(tiles, name, 1 if tile == 8 else 3)
    actual = case.run(linear_attention)
    equal(actual, expected)
    equal(case.gradients(actual), case.gradients(expected))
    with torch.no_grad():
        equal(case.run(linear_attention), expected)


@pytest.mark.slow
@pytest.mark.parametrize(("form", "normaliser"), CASES)
def test_first_and_second_derivatives(monkeypatch, form, normaliser):
    monkeypatch.setattr(ops_linear, "CHUNK", 2)
    case = Case(form, 5, normaliser=normaliser, packed=True)

    def call(*values):
        return tuple(case.run(linear_attention, dict(zip(case.named, values, strict=True))))

    values = tuple(case.named.values())
    assert torch.autograd.gradcheck(call, values, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, values, fast_mode=True)


@pytest.mark.parametrize("written_out", [True, False], ids=["written out", "recorded"])
@pytest.mark.parametrize("strong", [30.0, 1e4])
@pytest.mark.parametrize("form", ["constant", "position", "channel", "delta constant", "delta position", *SHARED[1:]])
def test_strong_decay_leaves_no_nan(monkeypatch, form, strong, written_out):
    """Decay of a whole chunk beyond what exp can hold: its inverse would be infinite, and 0 · inf NaN."""
    if not written_out:
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    case = Case(form, 130, strong=strong, dtype=torch.float32)
    outputs = case.run(linear_attention)
    for x in (*outputs, *case.gradients(outputs)):
        assert torch.isfinite(x).all()


@pytest.mark.parametrize("form", ["constant", "position", "delta position", *SHARED[1:]])
def test_a_strong_decay_leaves_later_weak_ones_exact(form):
    """Float32: after exp(-1e4) the positions that follow still weigh each other to float32's precision."""
    case = Case(form, 60, dtype=torch.float32)
    named = {name: x.detach().clone() for name, x in case.named.items()}
    if named["decay"].dim() > 1:
        named["decay"][:, :, 5] = -1e4
    y = case.run(linear_attention, named)[0]
    expected = case.run(stepwise, {name: x.double() for name, x in named.items()})[0]
    equal([y.double()], [expected], 1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("form", ["position", "channel", "delta position", "shared position"])
def test_a_strong_decay_to_come_leaves_the_past_bit_by_bit_the_same(form, dtype):
    """A chunk whose decay leaves the range of quotients is weighed otherwise, but not at the positions before."""
    case = Case(form, 60, strong=0.1, dtype=dtype)
    named = {name: x.detach().clone() for name, x in case.named.items()}
    y = case.run(linear_attention, named)[0]
    named["decay"][:, :, 41:43] = -1e3
    changed = case.run(linear_attention, named)[0]
    assert torch.equal(changed[:, :, :41], y[:, :, :41])
    equal([changed.double()], [case.run(stepwise, {n: x.double() for n, x in named.items()})[0]], 1e-6)


@pytest.mark.parametrize(("form", "normaliser"), CASES)
def test_the_recorded_and_the_written_out_backward_agree(monkeypatch, form, normaliser):
    monkeypatch.setattr(ops_linear, "CHUNK", 8)
    case = Case(form, 16, normaliser=normaliser, packed=True)
    actual = case.run(linear_attention)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    expected = case.run(linear_attention)
    equal(actual, expected)
    equal(case.gradients(actual), case.gradients(expected))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-6)], ids=str)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("form", ["plain", "constant", "position"])
def test_shared_queries_and_keys_equal_copied_ones(form, groups, dtype, tolerance):
    """Group g holds heads g H/G to (g + 1) H/G - 1, as Mamba-2 and grouped-query attention count them."""
    case = Case(f"shared {form}" if form != "plain" else "shared", 150, packed=True, strong=0.1, dtype=dtype)
    named = {name: x[:, :groups] if name in "qk" else x for name, x in case.named.items()}
    copied = {name: x.repeat_interleave(6 // groups, 1) if name in "qk" else x for name, x in named.items()}
    actual, expected = case.run(linear_attention, named), case.run(linear_attention, copied)
    equal(actual, expected, tolerance)
    for a, b in zip(case.gradients(actual), case.gradients(expected), strict=True):
        equal([a], [b], tolerance * b.abs().max().item())
    y, _ = linear_attention(named["q"], named["k"], named["v"])
    full = full_linear_attention(named["q"], named["k"], named["v"])
    equal([full[:, :, -1]], [y[:, :, -1]], 10 * tolerance)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_state_is_float32_in_16_bit_code(dtype):
    """Ten thousand equal keys and values: a 16-bit sum would stop growing long before."""
    ones = torch.ones(1, 1, 10_000, 1, dtype=dtype)
    y, state = linear_attention(ones, ones, ones)
    assert y.dtype == dtype
    assert state.memory.dtype == torch.float32
    assert state.memory.item() == 10_000
    with torch.autocast("cpu", torch.bfloat16):
        _, state = linear_attention(ones.float(), ones.float(), ones.float())
    assert state.memory.item() == 10_000


@pytest.mark.parametrize("how", ["chunks", "positions", "one", "listened"])
@pytest.mark.parametrize(("form", "normaliser"), CASES)
def test_autocast_changes_nothing(form, normaliser, how):
    case = Case(form, 1 if how == "one" else 9, normaliser=normaliser, dtype=torch.float32)
    probe = Probe("B H T S")
    if how == "listened":
        probe.register_forward_hook(lambda module, inputs, output: None)
    call = partial(linear_attention, stepwise=how == "positions", probe=probe)
    expected = case.run(call)
    with torch.autocast("cpu", torch.bfloat16):
        actual = case.run(call)
    for a, b in zip(actual, expected, strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    for a, b in zip(case.gradients(actual), case.gradients(expected), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("normaliser", [False, True], ids=["sum", "mean"])
@pytest.mark.parametrize("packed", [False, True], ids=["whole rows", "packed"])
def test_autocast_does_not_round_the_sum_over_a_document(packed, normaliser):
    """Ten thousand keys and values of 1 and one of 3: 10,003 has no bfloat16."""
    ones = torch.ones(1, 1, 10_001, 1)
    v = ones.clone()
    v[:, :, 5] = 3.0
    starts = torch.zeros(1, 10_001, dtype=torch.bool) if packed else None
    with torch.autocast("cpu", torch.bfloat16):
        y = full_linear_attention(ones, ones, v, normaliser=normaliser, starts=starts)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, torch.full_like(y, 10_003 / 10_001 if normaliser else 10_003), rtol=1e-6, atol=0)


@pytest.mark.parametrize("length", [1, 5])
def test_a_narrow_state_is_widened_to_the_inputs(length):
    q, k, v = torch.randn(3, 1, 1, length, 2, dtype=torch.float64)
    _, state = linear_attention(q, k, v, state=LinearState(torch.ones(1, 1, 2, 2)))
    assert state.memory.dtype == torch.float64
    equal([state.memory], [1 + k.transpose(2, 3) @ v])


@pytest.mark.parametrize("normaliser", [False, True], ids=["sum", "mean"])
@pytest.mark.parametrize("packed", [False, True], ids=["whole rows", "packed"])
def test_the_full_form_sums_over_whole_documents(packed, normaliser):
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.rand(2, 2, 9, size, generator=generator, dtype=torch.float64) for size in (3, 3, 5))
    starts = torch.rand(2, 9, generator=generator) < 0.4
    document = starts.cumsum(1) if packed else torch.zeros(2, 9)
    weights = torch.einsum("bhtk,bhsk->bhts", q, k) * (document[:, None, :, None] == document[:, None, None, :])
    if normaliser:
        weights = weights / weights.sum(3, keepdim=True)
    equal([full_linear_attention(q, k, v, normaliser=normaliser, starts=starts if packed else None)], [weights @ v])


def test_a_denominator_of_zero_gives_zeros_and_finite_gradients():
    q, k, v = (torch.ones(1, 1, 5, 2, dtype=torch.float64).requires_grad_() for _ in range(3))
    nothing = torch.zeros(1, 1, 5, 2, dtype=torch.float64)
    y, _ = linear_attention(q, k * nothing, v, normaliser=True)
    full = full_linear_attention(q, k * nothing, v, normaliser=True)
    assert not y.any()
    assert not full.any()
    for gradient in torch.autograd.grad(y.sum() + full.sum(), (q, k, v)):
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    "call", [linear_attention, stepwise, full_linear_attention], ids=["chunks", "positions", "full"]
)
def test_a_subnormal_denominator_counts_as_zero(call):
    """Its inverse is beyond the largest float32: outputs were infinite, and gradients NaN."""
    q, k, v = (torch.full((1, 1, 2, 1), size).requires_grad_() for size in (1e-20, 1e-20, 1.0))
    y = call(q, k, v, normaliser=True)
    y = y if isinstance(y, torch.Tensor) else y[0]
    for part in (y, *torch.autograd.grad(y.sum(), (q, k, v))):
        assert not part.any()


SCRIPT = """
import torch
from sightline.core.processes import peak_memory_bytes
from sightline.ops import linear_attention

torch.set_num_threads(1)
q, k, v = torch.rand(3, 1, 1, 2**20, 4)
decay = torch.full((1, 1, 2**20), -1e-3)
with torch.no_grad():
    linear_attention(q[:, :, :40000], k[:, :, :40000], v[:, :, :40000], decay=decay[:, :, :40000])
    before = peak_memory_bytes()
    y, state = linear_attention(q, k, v, decay=decay)
assert torch.isfinite(y).all()
print(peak_memory_bytes() - before)
"""


@pytest.mark.slow
def test_a_million_positions_in_bounded_memory():
    """The output alone takes 16 MiB; pairs of chunks of 64 positions for all of them would take 256 MiB."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 64 * 2**20


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"k": torch.zeros(1, 2, 3, 5)}, "expected q and k of shape"),
        ({"decay": torch.zeros(1, 2)}, "expected decay of shape"),
        ({"beta": torch.zeros(2)}, "expected beta of shape"),
        ({"beta": torch.zeros(1, 2, 3), "normaliser": True}, "has no normaliser"),
        ({"beta": torch.zeros(1, 2, 3), "decay": torch.zeros(1, 2, 3, 4)}, "not by channel"),
        ({"v": torch.zeros(1, 3, 3, 4)}, "3 heads of v cannot share 2 heads of q and k"),
        ({"v": torch.zeros(1, 4, 3, 4), "decay": torch.zeros(2)}, "expected decay of shape"),
        ({"v": torch.zeros(1, 4, 3, 4), "decay": torch.zeros(1, 4, 3, 4)}, "shared q and k"),
        ({"v": torch.zeros(1, 4, 3, 4), "beta": torch.zeros(1, 4, 3)}, "shared q and k"),
        ({"v": torch.zeros(1, 4, 3, 4), "normaliser": True}, "shared q and k"),
        ({"v": torch.zeros(2, 2, 3, 4)}, "expected q and k of shape"),
        ({"starts": torch.zeros(1, 3)}, "starts must be bool"),
        ({"state": LinearState(torch.zeros(1, 2, 4, 3))}, "expected a state of shape"),
        ({"state": LinearState(torch.zeros(1, 2, 4, 4)), "normaliser": True}, "no sum of keys"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_inputs_that_do_not_fit_are_refused(named, message):
    x = torch.zeros(1, 2, 3, 4)
    with pytest.raises(ValueError, match=message), unchecked():
        linear_attention(**{"q": x, "k": x, "v": x, **named})
