"""Subnormal numbers are flushed where it was asked for, in every thread, and nowhere else."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from sightline.cli import app
from sightline.core.subnormals import flush_subnormals, flushes_subnormals, subnormals_flushed
from sightline.mixers import MIXERS
from sightline.models.config import SizedConfig
from sightline.models.language_model import LanguageModelConfig
from sightline.models.recurrent_language_model import RecurrentLanguageModelConfig
from sightline.models.sequence_model import SequenceModel
from sightline.models.transformer import TransformerConfig
from sightline.parts.token_embedding import Tokens
from sightline.testing import check_mixer
from sightline.training.environment import environment
from sightline.training.loss import cross_entropy

LAWS = ("any chunks = whole", "packed = alone", "equals the reference")


def test_the_mode_is_that_of_the_block_and_is_recorded() -> None:
    assert not flushes_subnormals()
    with subnormals_flushed():
        assert flushes_subnormals()
        assert environment()["subnormals"] == "flushed"
    assert not flushes_subnormals()
    assert environment()["subnormals"] == "kept"


def test_a_program_that_flushes_already_still_does_afterwards() -> None:
    flush_subnormals()
    try:
        with subnormals_flushed():
            pass
        assert flushes_subnormals()
    finally:
        flush_subnormals(False)


IN_THREADS = """
import torch
from sightline.core.subnormals import subnormals_flushed
torch.set_num_threads(2)
small = torch.full((1_000_000,), 1e-38)
left = [int((small * 0.1 != 0).sum())]  # the threads have started
with subnormals_flushed():
    left.append(int((small * 0.1 != 0).sum()))
left.append(int((small * 0.1 != 0).sum()))
print(left)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads that run already are left as they are")
def test_threads_that_run_already_flush_too() -> None:
    done = subprocess.run([sys.executable, "-c", IN_THREADS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[1000000, 0, 1000000]"


def test_a_command_settles_its_own_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[str] = []
    monkeypatch.setattr(app, "settle", lambda: settled.append("yes"))
    for verb, times in (("eval", 1), ("predict", 1), ("report", 0)):
        settled.clear()
        arguments = [verb, "no/such/run"]
        assert app.main(arguments) == 2
        assert not settled, "called as a function, it leaves the mode of its process alone"
        monkeypatch.setattr(sys, "argv", ["sightline", *arguments])
        assert app.main() == 2
        assert len(settled) == times, verb


@pytest.mark.slow
@pytest.mark.parametrize("name", MIXERS)
def test_laws_hold_without_subnormals(name: str) -> None:
    with subnormals_flushed():
        report = check_mixer(MIXERS[name](), laws=LAWS)
        assert not (torch.tensor(1e-38) * 0.1), "the laws ran in this mode"
    assert all(result.passed is not False for result in report.results), report


def share_subnormal(model: torch.nn.Module, vocabulary: int) -> float:
    """The share of the first step's gradients that are subnormal."""
    tokens = torch.randint(1, vocabulary, (2, 12), generator=torch.Generator().manual_seed(0))
    outputs = model(tokens, None, tokens) if isinstance(model, SequenceModel) else model(tokens, None)[0]
    loss = cross_entropy(outputs, tokens.roll(-1, 1))
    (loss.total / loss.count).backward()
    sizes = torch.cat([p.grad.abs().flatten() for p in model.parameters() if p.grad is not None])
    return float(((sizes > 0) & (sizes < torch.finfo(sizes.dtype).tiny)).double().mean())


@pytest.mark.parametrize(
    "config",
    [
        TransformerConfig(),
        TransformerConfig(scale_embedding=False),
        TransformerConfig(scale_embedding=False, tie="all"),
        TransformerConfig(tie="none"),
        LanguageModelConfig(),
        RecurrentLanguageModelConfig(tie=True),
        RecurrentLanguageModelConfig(tie=False),
    ],
    ids=repr,
)
def test_initial_weights_give_no_subnormal_gradients(config: SizedConfig) -> None:
    torch.manual_seed(0)
    assert share_subnormal(config.resized(256).build(Tokens(2000), 2000), 2000) == 0.0


def test_embeddings_of_unit_variance_under_a_tied_head_would() -> None:
    torch.manual_seed(0)
    model = TransformerConfig(d_model=256, scale_embedding=False).build(Tokens(2000), 2000)
    torch.nn.init.normal_(model.decoder.embedding.weight)
    assert share_subnormal(model, 2000) > 0.01
