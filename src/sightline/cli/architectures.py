"""The names of all architectures, written by docs/generate.py so that `--help` need not import torch."""

from __future__ import annotations

ARCHITECTURES = (
    "rnn", "lstm", "gru", "bahdanau", "luong", "transformer", "transformer-2017", "window", "block_sparse", "linear",
    "lru", "retention", "gated_linear", "min_gru", "min_lstm", "gated_delta", "hybrid", "bilstm_attention",
    "projection_attention", "dlinear", "nlinear",
)  # fmt: skip
ARCH_HELP = f"Architecture: {', '.join(ARCHITECTURES)}. Not all of them fit every task."
