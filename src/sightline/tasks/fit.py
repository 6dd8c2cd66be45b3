"""Training a translation model from a corpus to a run directory: what `train` and the lab both call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.data.read import Corpus
from sightline.data.tokenizer import TokenizerPair
from sightline.tasks.config import TranslationConfig
from sightline.tasks.translation import TranslationTask
from sightline.training.loop import train
from sightline.training.state import Progress, TrainConfig, TrainResult


@dataclass(frozen=True)
class TranslationResult:
    """How a training ended, and the task with the weights of its best validation."""

    task: TranslationTask
    training: TrainResult


def train_translation(
    corpus: Corpus,
    config: TranslationConfig,
    run_dir: str | Path,
    train_config: TrainConfig,
    *,
    parameters: int | None = None,
    tokenizers: TokenizerPair | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    files: Callable[[TranslationTask], Mapping[str, str]] | None = None,
) -> TranslationResult:
    """Builds a task from the corpus, trains it within the budget and leaves a run in `run_dir`.

    Everything random derives from `train_config.seed`. `files(task)` gives texts to keep with the run, such as its
    config, once the sizes are settled. The other arguments are those of `TranslationTask.build` and `training.train`,
    and so is what it raises; a validation part must not be empty.
    """
    if not corpus.valid.sources:
        raise InputError("no validation pairs", where=corpus.name)
    seed = train_config.seed
    task = TranslationTask.build(corpus, config, seed=seed, parameters=parameters, tokenizers=tokenizers)
    result = train(
        task.model,
        task.loss,
        task.batches(corpus.train, seed=derive(seed, "order")),
        train_config,
        run_dir,
        validate=task.validator(corpus.valid),
        save_model=task.write,
        resume=resume,
        overwrite=overwrite,
        on_progress=on_progress,
        files=files(task) if files else None,
    )
    return TranslationResult(TranslationTask.load(Path(run_dir) / "best").to(task.device), result)
