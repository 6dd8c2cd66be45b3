"""Sampling: temperature, top-k, top-p, min-p and repetition penalty."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from sightline.core.doubles import precise
from sightline.core.seeds import derive
from sightline.core.settings import check_in_range
from sightline.decoding.choose import Chooser, Proposed
from sightline.decoding.greedy import Refill, unroll
from sightline.decoding.hypothesis import Hypothesis, Step, row_limits, state_device
from sightline.decoding.nucleus import nucleus
from sightline.decoding.outputs import BatchOutputs, Watch
from sightline.decoding.top import argmax

REPETITION = 0.01, 1e6  # the least and the largest penalty: logits stay finite in float32
# Logits whose distributions are computed at a time, for each thread: their copies in float64 stay in the caches, and in
# memory that the process has, while those of large batches would get new pages at every step.
AT_ONCE = 2**18
NO_TOKEN = -1


def sample(
    step: Step,
    state: Any,
    *,
    batch: int,
    bos: int,
    eos: int,
    max_length: int | Sequence[int],
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    seed: int = 0,
    rows: Sequence[int] | None = None,
    banned: Sequence[int] = (),
    watch: Watch | None = None,
    prompts: Tensor | None = None,
    refill: Refill | None = None,
) -> list[Hypothesis]:
    """Sample one sequence per row, token by token, from the model's distribution as modified by `distribution`.

    `temperature=0` is greedy decoding. Row i has its own random stream, derived from `seed` and `rows[i]` (default: i),
    so that its output does not depend on the rest of the batch. A token of probability zero is never sampled. `score`
    is the model's log-probability before any modification. `repetition_penalty` also covers the tokens `prompts`
    (B, P), where `NO_TOKEN` fills short rows up. The other arguments are as in `greedy`.

    Raises:
        InputError: an option out of range, e.g. "top_p: must be above 0 and at most 1, found 2.0".
    """
    sampler = Sampler(
        batch if rows is None else rows,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
        longest=max(row_limits(max_length, batch), default=0),
        prompts=prompts,
        device=state_device(state),
    )
    if sampler.size != batch:
        raise ValueError(f"expected {batch} row names, got {sampler.size}")
    outputs = BatchOutputs(sampler, batch, max_length, eos, banned, watch, state_device(state))
    return unroll(step, state, outputs, bos=bos, refill=refill)


@final
class Sampler(Chooser):
    """Draws tokens with random numbers that depend on the row's name and the token's place alone.

    `names` are those of the rows, or their number. The other options are those of `sample`; `longest` bounds the length
    of an output.
    """

    def __init__(
        self,
        names: Sequence[int] | int,
        *,
        temperature: float,
        top_k: int | None,
        top_p: float,
        min_p: float,
        repetition_penalty: float,
        seed: int,
        longest: int,
        prompts: Tensor | None = None,
        device: torch.device | None = None,
    ) -> None:
        check_in_range("temperature", temperature, at_least=0)
        check_truncation(top_k, top_p, min_p, repetition_penalty)
        names = range(names) if isinstance(names, int) else names
        self.size = len(names)
        # A subnormal number, which some threads take for 0, has the limit of a temperature of 0.
        self._temperature = 0.0 if temperature < sys.float_info.min else temperature
        self._penalty, self._prompts = repetition_penalty, prompts
        self._gaps = prompts is not None and prompts.numel() > 0 and bool((prompts == NO_TOKEN).any())
        self._truncation = {"top_k": top_k, "top_p": top_p, "min_p": min_p}
        self._draws = lambda purpose: _uniform(names, longest, seed, purpose, device or torch.device("cpu"))
        self._noise = self._draws("sampling")  # (B, T)
        self._of_drafts: tuple[Tensor, Tensor] | None = None

    def choose(
        self, logits: Tensor, rows: Tensor, counts: Tensor, generated: Tensor, proposed: Proposed | None = None
    ) -> Tensor:
        logits = self._penalised(logits, rows, counts, generated)
        if self._temperature == 0.0:
            return argmax(logits)
        noise = self._noise[rows, counts]
        if proposed is None or proposed.chances is None:
            # A proposal x that was not drawn is accepted with probability p(x), which is how often x is drawn.
            return self._drawn(logits, noise)
        chances = self._distribution(logits)
        return accept_or_draw(chances, proposed.chances, proposed.tokens, self._drafting[1][rows, counts], noise)

    def propose(self, logits: Tensor, rows: Tensor, counts: Tensor, generated: Tensor) -> Proposed:
        logits = self._penalised(logits, rows, counts, generated)
        if self._temperature == 0.0:
            return Proposed(argmax(logits))
        chances = self._distribution(logits)
        return Proposed(invert(chances, self._drafting[0][rows, counts]), chances)

    @property
    def _drafting(self) -> tuple[Tensor, Tensor]:
        """Random numbers (B, T) for the draws of a draft, and for their acceptance."""
        if self._of_drafts is None:
            self._of_drafts = self._draws("drafts"), self._draws("acceptance")
        return self._of_drafts

    def _drawn(self, logits: Tensor, noise: Tensor) -> Tensor:
        """Tokens (N,) for logits (N, V) and uniform numbers (N,)."""
        most = max(1, AT_ONCE * torch.get_num_threads() // logits.shape[1])  # rows
        if len(noise) <= most or logits.device.type != "cpu":
            return invert(self._distribution(logits), noise)
        parts = zip(logits.split(most), noise.split(most), strict=True)
        return torch.cat([invert(self._distribution(some), uniform) for some, uniform in parts])

    def _distribution(self, logits: Tensor) -> Tensor:
        return distribution(logits, temperature=self._temperature, **self._truncation)

    def _penalised(self, logits: Tensor, rows: Tensor, counts: Tensor, generated: Tensor) -> Tensor:
        if self._penalty == 1.0:
            return logits
        before = generated[rows, : int(counts.max()) if len(counts) else 0]  # (N, t)
        places = torch.arange(before.shape[1], device=before.device)
        before = torch.where(places < counts.unsqueeze(1), before, before[:, :1])  # each counts once
        if self._prompts is None:
            return penalise(logits, before, self._penalty)
        before = torch.cat([self._prompts[rows], before], 1)
        if not self._gaps:
            return penalise(logits, before, self._penalty)
        own = before.amax(1, keepdim=True)  # a token of the row, `NO_TOKEN` if it has none
        before = torch.where(before == NO_TOKEN, own, before).clamp(min=0)
        return torch.where(own == NO_TOKEN, logits, penalise(logits, before, self._penalty))


def _uniform(names: Sequence[int], longest: int, seed: int, purpose: str, device: torch.device) -> Tensor:
    """Numbers (B, T + 1) in [0, 1), each row from a stream of its own; the last column is for rows that have ended."""
    noise = torch.zeros(len(names), longest + 1, dtype=torch.float64)
    for i, name in enumerate(names):
        stream = torch.Generator().manual_seed(derive(seed, purpose, name))
        noise[i, :longest] = torch.rand(longest, generator=stream, dtype=torch.float64)
    return noise.to(precise(device)).to(device)


def accept_or_draw(chances: Tensor, drafted: Tensor, tokens: Tensor, acceptance: Tensor, noise: Tensor) -> Tensor:
    """Tokens (N,) distributed as `chances` (N, V) where `tokens` (N,) were drawn from `drafted` (N, V).

    Leviathan, Kalman & Matias 2023 (arXiv:2211.17192, § 2.3 and Algorithm 1): a token x with p(x) here and q(x) in the
    draft stays with probability min(1, p(x) / q(x)); else another one is drawn from norm(max(0, p - q)), which lacks x.
    By their appendix A.1 the result is distributed as p. `acceptance` and `noise` (N,) are uniform in [0, 1).
    """
    own, of_draft = (some.gather(1, tokens.unsqueeze(1)).squeeze(1) for some in (chances, drafted))
    accepted = acceptance * of_draft < own
    rest = (chances - drafted).clamp(min=0.0)
    # Where p = q nothing is left over, and rounding alone can refuse x.
    rest = torch.where(rest.sum(1, keepdim=True) > 0, rest, chances)
    return torch.where(accepted, tokens, invert(rest, noise))


def check_truncation(top_k: int | None, top_p: float, min_p: float, repetition_penalty: float) -> None:
    """Raise `InputError`, which names the option, if an option of `sample` is out of range."""
    check_in_range("top_k", top_k, at_least=1)
    check_in_range("top_p", top_p, above=0, at_most=1)
    check_in_range("min_p", min_p, at_least=0, at_most=1)
    check_in_range("repetition_penalty", repetition_penalty, at_least=REPETITION[0], at_most=REPETITION[1])


def penalise(logits: Tensor, generated: Tensor, penalty: float) -> Tensor:
    """Logits (N, V), those of the tokens `generated` (N, t) divided by `penalty` if positive, else multiplied by it.

    Keskar et al. 2019 (CTRL, arXiv:1909.05858, section 4.1) always divide, which favours repeated tokens with negative
    logits. Like most implementations, this one respects the sign: a penalty above 1 never favours repetition.
    """
    before = logits.gather(1, generated)
    return logits.scatter(1, generated, torch.where(before > 0, before / penalty, before * penalty))


def distribution(
    logits: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0, min_p: float = 0.0
) -> Tensor:
    """Probabilities (N, V) of softmax(logits / temperature), truncated and renormalised in this order:

    - top-k keeps the k most likely tokens (Fan et al. 2018, arXiv:1805.04833);
    - top-p keeps the smallest set of most likely tokens whose mass reaches p (Holtzman et al. 2020, arXiv:1904.09751);
    - min-p keeps tokens at least `min_p` times as likely as the most likely one (Nguyen et al. 2024, arXiv:2407.01082).
    """
    logits = logits.to(precise(logits.device))
    # Subtract the maximum first: a tiny temperature then sends the others to -inf and never gives inf - inf.
    logits = logits - logits.amax(1, keepdim=True)
    chances = (logits if temperature == 1.0 else logits.div_(temperature)).softmax(1)
    if (top_k is None or top_k >= chances.shape[1]) and top_p == 1.0 and min_p == 0.0:
        return chances
    if top_k is not None and top_k < chances.shape[1]:
        kept, places = chances.topk(top_k, 1)
        chances = torch.zeros_like(chances).scatter_(1, places, kept)
        chances = chances / chances.sum(1, keepdim=True)
    if top_p < 1.0:
        chances = nucleus(chances, top_p)
    if min_p > 0.0:
        chances = chances.masked_fill(chances < min_p * chances.amax(1, keepdim=True), 0.0)
    return chances / chances.sum(1, keepdim=True)


def invert(chances: Tensor, uniform: Tensor) -> Tensor:
    """Sample tokens (N,) from `chances` (N, V) by inverting the cumulative distribution at `uniform` (N,) in [0, 1)."""
    cumulative = chances.cumsum(1)
    target = uniform.unsqueeze(1) * cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, target, right=True).clamp(max=chances.shape[1] - 1)
    # Rounding in a parallel scan may raise the sum at a token of probability zero, which must not be sampled.
    possible = chances.gather(1, drawn) > 0
    if not possible.all():
        drawn = torch.where(possible, drawn, chances.argmax(1, keepdim=True))
    return drawn.squeeze(1)
