"""The flags of decoding that `sightline eval`, `predict` and `generate` share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, final

from sightline.cli.flag_groups import flag_group
from sightline.core.errors import InputError
from sightline.core.precision import Precision


@final
@flag_group
@dataclass(frozen=True)
class SearchFlags:
    """How outputs are searched for, in what batches, and how precisely.

    Args:
        beam: Beam width; 1 is greedy decoding.
        length_penalty: Alpha: the score of n tokens is divided by ((5 + n) / 6)^alpha.
        batch_size: Maximum number of outputs decoded together.
        refill: Fill the place of an output in a batch as soon as it has ended, instead of when all have.
        draft_tokens: With --draft: maximum number of tokens proposed at a time [default: 8].
        precision: Precision of the model's matrix products: float32, bf16 or int8; narrower is faster (int8 needs a
            CPU).
        compiled: Compile the decoding step for single inputs: takes about 20 s once on this machine, then decoding is
            faster. Needs a C++ compiler and a CPU.
    """

    beam: int = 1
    length_penalty: float | None = None
    batch_size: int | None = None
    refill: bool = False
    draft_tokens: int | None = None
    precision: Precision | None = None
    compiled: bool = False

    def settings(self) -> dict[str, Any]:
        """The settings of decoding that differ from their defaults.

        Raises:
            InputError: "--length-penalty: requires --beam 2 or more".
        """
        if self.length_penalty is not None and self.beam < 2:
            raise InputError("requires --beam 2 or more", where="--length-penalty")
        return _changed(self)


@final
@flag_group
@dataclass(frozen=True)
class OutputFlags:
    """Those of commands that answer inputs.

    Args:
        max_length: Maximum number of tokens of an output.
        draft: Source of proposed tokens, which the model checks several at a time: what followed the last tokens where
            they occurred before in the prompt and the output (ngram), or none. Changes only the time.
    """

    max_length: int | None = None
    draft: Literal["none", "ngram"] = "none"

    def settings(self) -> dict[str, Any]:
        """The settings of decoding that differ from their defaults."""
        return _changed(self)


@final
@flag_group
@dataclass(frozen=True)
class SamplingFlags:
    """How outputs are sampled.

    Args:
        temperature: Sampling temperature; lower is more deterministic, 0 is greedy.
        top_k: Sample only from the k most likely tokens.
        top_p: Sample only from the smallest set of most likely tokens whose probabilities sum to at least top_p.
        min_p: Keep tokens whose probability is at least min_p times that of the most likely one.
        repetition_penalty: Penalty for tokens that are already in the prompt or output when sampling; 1 disables it.
        seed: Sampling seed.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None

    def settings(self, sampled: bool, required: str) -> dict[str, Any]:
        """The settings of sampling that differ from their defaults.

        Raises:
            InputError: "--top-k: requires --sample", where outputs are not sampled.
        """
        settings = _changed(self)
        for name in settings:
            if not sampled:
                raise InputError(f"requires {required}", where=f"--{name.replace('_', '-')}")
        return settings


def _changed(flags: Any) -> dict[str, Any]:
    return {one.name: value for one in fields(flags) if (value := getattr(flags, one.name)) != one.default}
