"""The optimizer's settings for each architecture where nothing else is said."""

from __future__ import annotations

from sightline.training.optim import OptimConfig, paper_lr

RATES = {"rnn": 1e-3, "lstm": 3e-3, "gru": 4e-3, "bahdanau": 1e-2, "luong": 4e-3, "transformer": 4e-3}


def optim_preset(arch: str) -> OptimConfig:
    """The optimizer's settings for an architecture at its preset's size.

    For `transformer-2017` those of the paper, section 5.3; the others' rates were chosen on dates within a minute of
    one core (LOG.md), from few trials; those of `rnn` and `luong` were compared with no other, and the architectures
    that are one mechanism in a Transformer's place have the Transformer's.
    """
    if arch == "transformer-2017":
        return OptimConfig(
            lr=paper_lr(512, 4000),
            beta2=0.98,
            eps=1e-9,
            weight_decay=0.0,
            warmup_steps=4000,
            schedule="inverse_sqrt",
            clip_norm=None,
        )
    return OptimConfig(lr=RATES.get(arch, RATES["transformer"]))
