"""The names of all architectures by task, written by docs/generate.py for what does not import torch."""

from __future__ import annotations

ARCHITECTURES_OF = {
    "translation": (
        "rnn", "lstm", "gru", "bahdanau", "luong", "transformer", "transformer-2017", "window", "block_sparse",
        "linear", "lru", "retention", "gated_linear", "min_gru", "min_lstm", "gated_delta", "hybrid",
    ),
    "transcription": (
        "rnn", "lstm", "gru", "bahdanau", "luong", "transformer", "transformer-2017", "window", "block_sparse",
        "linear", "lru", "retention", "gated_linear", "min_gru", "min_lstm", "gated_delta", "hybrid",
    ),
    "captioning": (
        "rnn", "lstm", "gru", "bahdanau", "luong", "transformer", "transformer-2017", "window", "block_sparse",
        "linear", "lru", "retention", "gated_linear", "min_gru", "min_lstm", "gated_delta", "hybrid",
    ),
    "answering": (
        "rnn", "lstm", "gru", "bahdanau", "luong", "transformer", "transformer-2017", "window", "block_sparse",
        "linear", "lru", "retention", "gated_linear", "min_gru", "min_lstm", "gated_delta", "hybrid",
    ),
    "classification": (
        "rnn", "lstm", "gru", "transformer", "window", "block_sparse", "linear", "lru", "retention", "gated_linear",
        "min_gru", "min_lstm", "gated_delta", "hybrid", "bilstm_attention", "projection_attention",
    ),
    "forecasting": (
        "dlinear", "nlinear", "rnn", "lstm", "gru", "transformer", "window", "block_sparse", "linear", "lru",
        "retention", "gated_linear", "min_gru", "min_lstm", "gated_delta", "hybrid",
    ),
    "language": (
        "rnn", "lstm", "gru", "transformer", "window", "block_sparse", "linear", "lru", "retention", "gated_linear",
        "min_gru", "min_lstm", "gated_delta", "hybrid",
    ),
}  # fmt: skip
