"""Attention inside a recurrence: Bahdanau, Cho & Bengio 2015, appendix A, line by line; Luong et al. 2015 beside it.

Deviations of the mechanism from the appendix, followed here: biases are added, x_i is E y_{i-1}, and the
readout t̃ is maxout in d_model pairs without the softmax over words that follows it.
"""

from __future__ import annotations

import numpy as np

from .rows import documents, linear, real_memory, sigmoid, softmax


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    out = np.zeros(x.shape)
    for row, positions in documents(x, mask, starts):
        h = real_memory(memory, row)  # annotations h_1 … h_Tx
        inputs = [x[row, t] for t in positions]
        s = np.zeros(parameters["weight_hidden"].shape[1])
        if config.d_summary is not None:
            s = np.tanh(linear(parameters, "from_summary", memory.summary[row]))  # s_0 = tanh(W_s ←h_1)
        outputs = (
            bahdanau(parameters, inputs, h, s)
            if config.query == "previous"
            else luong(config, parameters, inputs, h, s)
        )
        for t, y in zip(positions, outputs, strict=True):
            out[row, t] = y
    return out


def bahdanau(parameters, inputs, h, s):
    """Appendix A.2.2 and A.1.2."""
    W_r, W_z, W = np.split(parameters["weight_input"], 3)
    U_r, U_z, U = np.split(parameters["weight_hidden"], 3)
    C_r, C_z, C = np.split(parameters["weight_context"], 3)
    b_r, b_z, b = np.split(parameters["bias"], 3)
    outputs = []
    for Ey in inputs:
        alpha = softmax([energy(parameters, s, h_j) for h_j in h])  # α_ij = exp(e_ij) / Σ_k exp(e_ik)
        c = sum(a * h_j for a, h_j in zip(alpha, h, strict=True))  # c_i = Σ_j α_ij h_j
        t = linear(parameters, "readout", np.concatenate([s, Ey, c]))  # t̃_i = U_o s_{i-1} + V_o E y_{i-1} + C_o c_i
        outputs.append([max(t[2 * j], t[2 * j + 1]) for j in range(len(t) // 2)])  # t_ij = max(t̃_i,2j-1, t̃_i,2j)
        z = sigmoid(W_z @ Ey + U_z @ s + C_z @ c + b_z)
        r = sigmoid(W_r @ Ey + U_r @ s + C_r @ c + b_r)
        candidate = np.tanh(W @ Ey + U @ (r * s) + C @ c + b)
        s = (1.0 - z) * s + z * candidate  # s_i = (1 - z_i) ∘ s_{i-1} + z_i ∘ s̃_i
    return outputs


def luong(config, parameters, inputs, h, s):
    """s_i first, then attention with s_i as the query and h̃_i = tanh(W_c [c_i ; s_i]) (Luong et al. 2015, eq. 5)."""
    W_r, W_z, W = np.split(parameters["weight_input"], 3)
    U_r, U_z, U = np.split(parameters["weight_hidden"], 3)
    b_r, b_z, b = np.split(parameters["bias"], 3)
    outputs, attentional = [], np.zeros(parameters["readout.weight"].shape[0])
    for word in inputs:
        x = np.concatenate([word, attentional]) if config.input_feeding else word
        z = sigmoid(W_z @ x + U_z @ s + b_z)
        r = sigmoid(W_r @ x + U_r @ s + b_r)
        candidate = np.tanh(W @ x + U @ (r * s) + b)
        s = (1.0 - z) * s + z * candidate
        if config.score == "additive":
            scores = [energy(parameters, s, h_j) for h_j in h]
        elif config.score == "general":
            scores = [s @ (parameters["key_projection.weight"] @ h_j) for h_j in h]  # s_iᵀ W_a h_j
        else:
            scores = [s @ h_j for h_j in h]
        alpha = softmax(scores)
        c = sum(a * h_j for a, h_j in zip(alpha, h, strict=True))
        attentional = np.tanh(parameters["readout.weight"] @ np.concatenate([c, s]))
        outputs.append(attentional)
    return outputs


def energy(parameters, s, h_j):
    """e_ij = v_aᵀ tanh(W_a s_{i-1} + U_a h_j), with a bias inside."""
    W_a, b_a = parameters["query_projection.weight"], parameters["query_projection.bias"]
    U_a, v_a = parameters["key_projection.weight"], parameters["energy.weight"][0]
    return v_a @ np.tanh(W_a @ s + U_a @ h_j + b_a)
