"""Stanford Sentiment as Jain & Wallace 2019 have it: their sentences, and trainings with their settings."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.data.labelled.corpus import LabelledCorpus, load_labelled
from sightline.data.labelled.part import LabelledPart
from sightline.data.labelled.table import Reading
from sightline.tasks.classification.config import ClassificationRun, TextConfig
from sightline.tasks.classification.task import ClassificationTask
from sightline.tasks.fit import Trained, train_task
from sightline.training.progress import reporting

BILSTM, PROJECTION = "bilstm_attention", "projection_attention"
GATE, TEST_ITEMS = (0.79, 0.83), 1725  # of the BiLSTM's accuracy
SHORTEST = 5  # words; sentences need more
EPOCHS, VALIDATIONS = 8, 4  # at most; per epoch
PATIENCE = 6  # validations without improvement
# What the paper's code has and the presets have not: torch's initial values of the LSTM and its decay of squared
# gradients. The size of the embeddings, which are pretrained there, was chosen on the development part.
AS_PAPER: dict[str, dict[str, Any]] = {
    BILSTM: {"options": {"lstm": {"initial": "uniform"}}, "embedding_std": 0.3},
    PROJECTION: {"embedding_std": 0.3},
}
BETA2 = 0.999


def chosen(part: LabelledPart) -> LabelledPart:
    """The sentences of more than 5 words, without the longest ones."""
    lengths = [len(source.split()) for source in part.sources if isinstance(source, str)]
    return part.select(i for i, length in enumerate(lengths) if SHORTEST < length < max(lengths))


def sentences() -> LabelledCorpus:
    """The three published parts, under $SIGHTLINE_VERIFY_DATA (default ../shared/data)."""
    root = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data"))
    data = load_labelled(root / "sst" / "sst_dataset.csv", Reading(split_column="exp_split"))
    return replace(data, train=chosen(data.train), valid=chosen(data.valid), test=chosen(data.test))


def sst_run(
    data: LabelledCorpus,
    seed: int,
    arch: str = BILSTM,
    *,
    min_count: int = 1,
    patience: int = PATIENCE,
    beta2: float | None = None,
    **model: Any,
) -> ClassificationRun:
    """A training of a preset with the published settings; `model` changes keys of its model."""
    preset = ClassificationRun.preset(arch)
    batches = -(-len(data.train.sources) // preset.settings.batch_size)
    config: Any = preset.settings.model
    return preset.changed(
        model=replace(config, **model),
        text=TextConfig(min_count=min_count),
        optim=preset.training.optim if beta2 is None else replace(preset.training.optim, beta2=beta2),
        seed=seed,
        budget=f"{EPOCHS * batches}steps",
        validate_every=batches // VALIDATIONS,
        metric="accuracy",
        patience=patience,
        checkpoint_every_s=600.0,
        dtype="float32",
    )


def train_sst(task: ClassificationTask, data: LabelledCorpus, run: ClassificationRun, place: Path) -> Trained:
    """Train a task that was built for this run; what it returns has the weights of the best validation."""
    with reporting(run.training.metric) as on_progress:
        return train_task(task, data, place, run.training, on_progress=on_progress, overwrite=True)


def wrong_sizes(data: LabelledCorpus) -> list[str]:
    """What is wrong with the number of test items."""
    return [] if data.sizes["test"] == TEST_ITEMS else [f"{data.sizes['test']} test items, not {TEST_ITEMS}"]


def wrong_accuracy(mean: float) -> list[str]:
    """What is wrong with the BiLSTM's mean accuracy."""
    inside = GATE[0] <= mean <= GATE[1]
    return [] if inside else [f"a mean accuracy of {mean:.4f} is outside {GATE[0]} to {GATE[1]}"]
