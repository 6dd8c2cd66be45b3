"""The flags of decoding that `sightline eval`, `predict` and `generate` share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, final

from cyclopts import Parameter

from sightline.core.errors import InputError
from sightline.core.precision import Precision


@Parameter(name="*")
@dataclass(frozen=True)
class SearchFlags:
    """How outputs are searched for, in what batches, and how precisely."""

    beam: Annotated[int, Parameter(help="Beam width; 1 is greedy decoding.")] = 1
    length_penalty: Annotated[
        float | None, Parameter(help="Alpha: the score of n tokens is divided by ((5 + n) / 6)^alpha.")
    ] = None
    batch_size: Annotated[int | None, Parameter(help="Maximum number of outputs decoded together.")] = None
    refill: Annotated[
        bool, Parameter(help="Let outputs enter a batch when others have ended, instead of when all have.")
    ] = False
    draft_tokens: Annotated[int | None, Parameter(help="Maximum number of tokens proposed at a time [default: 8].")] = (
        None
    )
    precision: Annotated[
        Precision | None,
        Parameter(
            help="Of the products of the model: float32, bf16 or int8; the narrower, the faster (int8 needs a CPU)."
        ),
    ] = None

    def settings(self) -> dict[str, Any]:
        """The settings of decoding that differ from their defaults.

        Raises:
            InputError: "--length-penalty: requires --beam 2 or more".
        """
        if self.length_penalty is not None and self.beam < 2:
            raise InputError("requires --beam 2 or more", where="--length-penalty")
        return _changed(self)


@final
@Parameter(name="*")
@dataclass(frozen=True)
class OutputFlags(SearchFlags):
    """Those of commands that answer inputs."""

    max_length: Annotated[int | None, Parameter(help="Maximum number of tokens of an output.")] = None
    draft: Annotated[
        Literal["none", "ngram"],
        Parameter(
            help="Who proposes tokens that the model checks several at a time: the output itself, and the prompt, "
            "where the last tokens occurred before (ngram), or nobody. Changes nothing but time."
        ),
    ] = "none"


@final
@Parameter(name="*")
@dataclass(frozen=True)
class SamplingFlags:
    """How outputs are sampled."""

    temperature: Annotated[
        float | None, Parameter(help="Sampling temperature; lower is more deterministic, 0 is greedy.")
    ] = None
    top_k: Annotated[int | None, Parameter(help="Sample only from the k most likely tokens.")] = None
    top_p: Annotated[
        float | None,
        Parameter(
            help="Sample only from the smallest set of most likely tokens whose probabilities sum to at least top_p."
        ),
    ] = None
    min_p: Annotated[
        float | None,
        Parameter(help="Keep tokens whose probability is at least min_p times that of the most likely one."),
    ] = None
    repetition_penalty: Annotated[
        float | None,
        Parameter(help="Penalty for tokens that are already in the prompt or output when sampling; 1 disables it."),
    ] = None
    seed: Annotated[int | None, Parameter(help="Seed of the sampling.")] = None

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


def _changed(flags: SearchFlags | SamplingFlags) -> dict[str, Any]:
    return {one.name: value for one in fields(flags) if (value := getattr(flags, one.name)) != one.default}
