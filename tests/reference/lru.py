"""The linear recurrent unit (Orvieto et al. 2023, eq. 7 and appendix A), real and imaginary parts apart."""

from __future__ import annotations

import numpy as np

from .rows import documents


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    radius, phase = np.exp(-np.exp(parameters["nu"])), np.exp(parameters["theta"])
    re, im = radius * np.cos(phase), radius * np.sin(phase)
    gamma = np.exp(parameters["gamma"])
    B, C = parameters["weight_input"], parameters["weight_output"]
    out = np.zeros(x.shape)
    for row, positions in documents(x, mask, starts):
        h_re, h_im = np.zeros(len(re)), np.zeros(len(re))
        for t in positions:
            h_re, h_im = (
                re * h_re - im * h_im + gamma * (B[0::2] @ x[row, t]),
                re * h_im + im * h_re + gamma * (B[1::2] @ x[row, t]),
            )
            out[row, t] = C[:, 0::2] @ h_re + C[:, 1::2] @ h_im + parameters["skip"] * x[row, t]
    return out


def initial(config, parameters):
    """γ = √(1 - |λ|²) (§ 3.4), for the eigenvalues that were drawn."""
    radius = np.exp(-np.exp(parameters["nu"]))
    return {"gamma": (0.5 * np.log(1.0 - radius**2)).astype(np.float32)}
