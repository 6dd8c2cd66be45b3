"""The matrix that a linear recurrence implies is exact, for every mechanism of the table that has one."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from sightline.core.probe import Probe
from sightline.inspect.record import attention_probes, recorded_attention
from sightline.mixers import MIXERS
from sightline.ops.linear import initial_linear_state, linear_attention
from sightline.testing import Subject

IMPLICIT = {
    f"{name}-{number}": config
    for name, kind in MIXERS.items()
    for number, config in enumerate(dict.fromkeys((kind(), *kind.examples())))
    if any(isinstance(part, Probe) and part.implicit for part in Subject(config).module().modules())
}
LENGTH, KEY, VALUE = 71, 3, 2  # of more than one chunk


def test_the_table_has_such_mechanisms_of_every_kind():
    assert {name.rpartition("-")[0] for name in IMPLICIT} >= {"linear", "retention", "gated_linear", "gated_delta"}


@pytest.mark.parametrize("name", IMPLICIT)
def test_the_matrix_times_the_values_is_the_output(name: str) -> None:
    subject = Subject(IMPLICIT[name])
    module, x = subject.module(), torch.randn(2, LENGTH, subject.d_model, dtype=torch.float64)
    plain = subject.whole(module, x)[0]
    with recorded_attention(module, signed=True) as recorded:
        by_matrix = subject.whole(module, x)[0]  # computed from what comes out of the probe
    (weights,) = recorded.values()
    assert weights.shape[2:] == (LENGTH, LENGTH)
    assert (by_matrix - plain).abs().max() <= 1e-10 * plain.abs().max().clamp(min=1.0)
    if subject.is_mixer:
        assert weights.triu(1).abs().max() == 0.0
    (probe,) = attention_probes(module, signed=True).values()
    handle = probe.register_forward_hook(lambda _module, _inputs, output: torch.zeros_like(output))
    without = subject.whole(module, x)[0]
    handle.remove()
    assert not torch.allclose(without, plain)  # the output depends on nothing but the matrix


FORMS = {
    "plain": {},
    "normalised": {"normaliser": True},
    "decay of heads": {"decay": (2,)},
    "decay of positions": {"decay": (1, 2, LENGTH)},
    "decay of channels": {"decay": (1, 2, LENGTH, KEY)},
    "delta": {"beta": True},
    "delta with decay": {"beta": True, "decay": (1, 2, LENGTH)},
    "shared keys": {"groups": 1, "decay": (1, 2, LENGTH)},
}


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_the_matrix_is_a_product_of_transitions(form: str, with_state: bool) -> None:
    options = dict(FORMS[form])
    groups, normaliser = options.pop("groups", 2), bool(options.get("normaliser"))
    q, k = torch.rand(2, 1, groups, LENGTH, KEY, dtype=torch.float64).unbind()
    v = torch.randn(1, 2, LENGTH, VALUE, dtype=torch.float64)
    if "decay" in options:
        options["decay"] = -torch.rand(options["decay"], dtype=torch.float64)
    if "beta" in options:
        options["beta"] = torch.rand(1, 2, LENGTH, dtype=torch.float64)
    state = initial_linear_state(1, 2, KEY, VALUE, normaliser=normaliser, like=v)
    if with_state:
        state = type(state)(*(None if part is None else torch.rand_like(part) for part in state))
    probe, seen = Probe("B H T S"), []
    probe.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    y, after = linear_attention(q, k, v, state=state, probe=probe, **options)
    expected, final = linear_attention(q, k, v, state=state, **options)
    assert torch.allclose(y, expected, rtol=0, atol=1e-10)
    assert torch.equal(after.memory, final.memory)
    (weights,) = seen
    keys = None if state.keys is None else state.keys
    assert torch.allclose(weights, by_transitions(q, k, options, keys), rtol=0, atol=1e-10)


def by_transitions(q: Tensor, k: Tensor, options: dict, keys: Tensor | None) -> Tensor:
    """A_ts = q_t M_t ⋯ M_{s+1} (beta_s k_sᵀ), by the definition, for every pair."""
    weights = torch.zeros(1, 2, LENGTH, LENGTH, dtype=q.dtype)
    q, k = (part.expand(-1, 2, -1, -1) for part in (q, k))
    decay, beta = options.get("decay"), options.get("beta")
    for head, s in itertools.product(range(2), range(LENGTH)):
        written = k[0, head, s] * (1.0 if beta is None else beta[0, head, s])
        for t in range(s, LENGTH):
            if t > s:
                if decay is not None:
                    written = (decay[head] if decay.dim() == 1 else decay[0, head, t]).exp() * written
                if beta is not None:
                    written = written - beta[0, head, t] * k[0, head, t] * (k[0, head, t] @ written)
            weights[0, head, t, s] = q[0, head, t] @ written
    if keys is not None:
        total = (q * (k.cumsum(2) + keys.unsqueeze(2))).sum(3, keepdim=True)
        weights = weights / total
    return weights
