"""Schuster & Paliwal 1997: one recurrence over each document, another over the same document reversed."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import numpy as np

from .rows import documents


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    recurrence = import_module(f".{config.mixer}", __package__).reference
    options = SimpleNamespace(
        d_summary=None, forget_gate=True, heads=1, reset="after", candidate="positive", normalise=True
    )
    forwards = {n.removeprefix("forwards."): p for n, p in parameters.items() if n.startswith("forwards.")}
    backwards = {n.removeprefix("backwards."): p for n, p in parameters.items() if n.startswith("backwards.")}
    parts = None
    for row, positions in documents(x, mask, starts):
        document = x[row, positions][None]
        ahead = recurrence(options, forwards, document)
        back = recurrence(options, backwards, document[:, ::-1])[:, ::-1]
        both = np.concatenate([ahead, back], 2)
        if parts is None:
            parts = np.zeros((*x.shape[:2], both.shape[2]))
        parts[row, positions] = both[0]
    return parts
