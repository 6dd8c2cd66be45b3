"""Decay that depends on the input: GLA (Yang et al. 2024, § 4) and Mamba-2's SSD (Dao & Gu 2024, § 7), step by step."""

from __future__ import annotations

import numpy as np

from .retention import normalised
from .rows import documents, linear, sigmoid


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    out = np.zeros(x.shape)
    block = gla if config.variant == "gla" else ssd
    for row, positions in documents(x, mask, starts):
        if positions:
            for t, y in zip(positions, block(config, parameters, [x[row, t] for t in positions]), strict=True):
                out[row, t] = y
    return out


def gla(config, parameters, inputs):
    """S_t = diag(α_t) S_{t-1} + k_tᵀ v_t, o_t = q_t S_t, y_t = (LN(o_t) ∘ swish(W_r x_t + b_r)) W_O."""
    heads = config.heads
    states = [0.0] * heads
    for x in inputs:
        gate = linear(parameters, "decay_out", parameters["decay_in.weight"] @ x)
        alpha = sigmoid(gate) ** (1 / 16)
        projected = [np.split(linear(parameters, name, x), heads) for name in ("query", "key", "value")]
        outputs = []
        for head, (q, k, v, a) in enumerate(zip(*projected, np.split(alpha, heads), strict=True)):
            states[head] = a[:, None] * states[head] + k[:, None] * v[None, :]
            o = q @ states[head]
            outputs.append(normalised(o) * parameters["norm.weight"] + parameters["norm.bias"])
        gate = linear(parameters, "gate", x)
        yield linear(parameters, "out", gate * sigmoid(gate) * np.concatenate(outputs))


def ssd(config, parameters, inputs):
    """h_t = exp(-A Δ_t) h_{t-1} + Δ_t B_tᵀ u_t, y_t = C_t h_t + d u_t, then the gate and the norm."""
    heads = config.heads
    inner = parameters["out.weight"].shape[1]
    size = (parameters["read.weight"].shape[0] - inner) // 2
    states = [0.0] * heads
    read = [parameters["read.weight"] @ x for x in inputs]
    for t, x in enumerate(inputs):
        mixed = silu(convolved(config.convolution, parameters, "convolution", read, t))
        u, B, C = mixed[:inner], mixed[inner : inner + size], mixed[inner + size :]
        step = softplus(linear(parameters, "decay.step", x))
        decay = np.exp(-np.exp(parameters["decay.log_rate"]) * step)
        outputs = []
        for head, own in enumerate(np.split(u, heads)):
            states[head] = decay[head] * states[head] + step[head] * B[:, None] * own[None, :]
            outputs.append(C @ states[head] + parameters["skip"][head] * own)
        gated = np.concatenate(outputs) * silu(parameters["gate.weight"] @ x)
        yield parameters["out.weight"] @ (rms(gated, 1e-5) * parameters["norm.weight"])


def convolved(width, parameters, name, inputs, t):
    """Σ_i w_i ∘ x_{t-W+1+i} + b, with zeros before the first input; the input itself where the width is 0."""
    if not width:
        return inputs[t]
    total = parameters.get(f"{name}.bias", 0.0)
    for i in range(width):
        at = t - width + 1 + i
        if at >= 0:
            total = total + parameters[f"{name}.weight"][:, i] * inputs[at]
    return total


def silu(x):
    return x * sigmoid(x)


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0.0)


def rms(x, eps):
    """x over its root mean square."""
    return x / np.sqrt((x**2).mean() + eps)
