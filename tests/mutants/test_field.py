"""Violations found in other libraries' sequence modules: for each the bug planted here, and a law that kills it."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import attention, blocks, field, linear_family, recurrences, sparse  # noqa: F401 (importing them registers their bugs)
from .planting import MUTANTS

FINDINGS = Path(__file__).parents[2] / "findings"
# Every finding of these libraries is here but those of losses; torch's others are about speed, counting and drawing.
LIBRARIES = (
    "transformers", "compressive-generates", "local-attention", "memorizing", "mingru", "ncps", "performer",
    "recurrent-memory", "s5", "sinkhorn", "torch-encoder", "x-transformers",
)  # fmt: skip
LOSSES = {"transformers-negative-binomial-scales-twice", "transformers-regression-loss-mixes-rows"}

VIOLATIONS: tuple[tuple[str, str, str], ...] = (
    (
        "compressive-generates-from-other-layers",
        "the memory of each head passed to the next at every call",
        "any chunks = whole",
    ),
    ("local-attention-rotates-again", "keys of the cache turned again at every call", "step = parallel"),
    ("memorizing-retrieves-others", "places counted on together for all rows", "padding"),
    ("memorizing-xl-positions", "positions not continued from the state", "any chunks = whole"),
    ("mingru-minlstm-chunks", "a call of several positions continues from g(h) instead of h", "any chunks = whole"),
    ("torch-encoder-bias-as-mask", "a bias taken for a mask where no gradients are recorded", "purity of states"),
    ("ncps-timespans-mix-rows", "rows coupled through a batch mean", "batch order and size"),
    ("performer-causal-sees-future", "random features stabilised by a maximum over the future", "causality"),
    ("performer-counts-padding", "normaliser over the padding", "padding"),
    (
        "recurrent-memory-generates-otherwise",
        "steps see another part of the past than the whole call",
        "step = parallel",
    ),
    ("s5-liquid-state-decays-otherwise", "a state that is given decays once more", "any chunks = whole"),
    ("sinkhorn-attends-to-keys", "keys read in place of values", "equals the reference"),
    ("transformers-autoformer-mixes-rows", "heads take the values of another row", "batch order and size"),
    ("transformers-encoders-read-padding", "normaliser over the padding", "padding"),
    ("transformers-encoders-read-padding", "the convolution counts padding", "padding"),
    ("transformers-fsmt-sees-future", "off-by-one causality: sees one position ahead", "causality"),
    ("transformers-mask-float64-nan", "a fully masked row divides by zero", "content under the mask"),
    (
        "transformers-informer-sees-future",
        "the most active queries are chosen among later ones too",
        "causality",
    ),
    ("transformers-left-padding-changes", "a cache that forgets the mask of its prompt", "padding"),
    ("transformers-left-padding-changes", "the convolution counts padding", "padding"),
    ("transformers-left-padding-changes", "padding counted as positions", "padding"),
    ("transformers-left-padding-changes", "the second token after a padded prompt is one position late", "padding"),
    ("transformers-mamba-chunks-restart", "state ignored when more than one token is fed", "any chunks = whole"),
    (
        "transformers-mamba-mask-erases-token",
        "a mask beside a state that has begun erases real tokens",
        "any chunks = whole",
    ),
    ("transformers-minimax-beams-lose-state", "reorder misses one leaf: the cell", "select commutes"),
    ("transformers-nystromformer-mixes-rows", "rows coupled through a batch mean", "batch order and size"),
    ("transformers-packed-documents-leak", "documents leak into each other where a cache has keys", "packed = alone"),
    ("transformers-packed-documents-leak", "document starts ignored", "packed = alone"),
    ("transformers-packed-documents-leak", "the convolution reads the document before", "packed = alone"),
    ("transformers-patch-models-read-missing", "pad content leaks through 0 · NaN", "content under the mask"),
    ("transformers-recurrentgemma-half-cache", "half of the state kept on the module", "purity of states"),
    ("transformers-recurrentgemma-half-cache", "state kept on the module", "purity of states"),
    ("transformers-rotary-follows-longest", "random blocks of the longest document", "padding"),
    ("transformers-rwkv-mixes-rows", "rows mixed in a step of one position", "step = parallel"),
    ("transformers-steps-at-position-0", "positions not continued from the state", "step = parallel"),
    ("transformers-timesfm-clamps-by-batch", "a bound from the smallest number of all rows", "batch order and size"),
    ("transformers-time-step-unbounded", "a bound on numbers that a step leaves out", "step = parallel"),
    ("transformers-xlstm-state-bfloat16", "a state rounded to bfloat16 between calls", "step = parallel"),
    ("x-transformers-cache-with-shift", "the convolution forgets at a call", "step = parallel"),
    ("x-transformers-float64-nan", "a fully masked row divides by zero", "content under the mask"),
    ("x-transformers-prompt-lens-with-options", "the convolution counts padding", "padding"),
)


@pytest.mark.parametrize(("finding", "bug", "law"), VIOLATIONS, ids=lambda value: value.replace(" ", "-"))
def test_a_violation_of_the_field_is_a_bug_that_a_law_kills(finding: str, bug: str, law: str) -> None:
    assert (FINDINGS / f"{finding}.sh").exists()
    assert [law in mutant.laws for mutant in MUTANTS if mutant.bug == bug] == [True]


def test_every_violation_that_was_found_is_here() -> None:
    found = {path.stem for path in FINDINGS.glob("*.sh") if path.stem.startswith(LIBRARIES)}
    assert found - LOSSES == {finding for finding, _, _ in VIOLATIONS}


def test_every_bug_of_the_field_is_a_violation_that_was_found() -> None:
    own = {mutant.bug for mutant in MUTANTS if mutant.plant.__module__ == field.__name__}
    assert own <= {bug for _, bug, _ in VIOLATIONS}
