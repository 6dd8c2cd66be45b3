"""The laws of batch streams over every stream of the house, and planted bugs, of which each law finds its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sightline.core.errors import CheckFailed
from sightline.data.batches import START, BatchStream, Cursor, PairBatches, generator, in_batches
from sightline.data.series.corpus import fit_scaling, load_series
from sightline.data.series.windows import WindowBatches, make_windows
from sightline.data.text.batches import Lanes, PackedRows, TextBatch, TextBatches
from sightline.data.text.corpus import load_text
from sightline.data.tokens.text import TextTokenizer
from sightline.tasks.classification.batches import LabelledBatches
from sightline.tasks.classification.config import ClassificationRun
from sightline.tasks.forecasting.config import ForecastingRun
from sightline.tasks.language.config import LanguageRun
from sightline.tasks.media.batches import MediaBatches, MediaInputs
from sightline.tasks.media.config import MediaTextRun
from sightline.tasks.translation.config import TranslationRun
from sightline.testing.batches import BATCH_LAWS, StreamSubject, check_batches
from tests.tasks.media.small import KINDS, quarters
from tests.tasks.media.small import run as media_run

COUNT = 23


def pairs(folder: Path) -> StreamSubject:
    ids = [[5 + i] * (i * i % 11) for i in range(COUNT)]
    return StreamSubject(
        lambda size, seed: PairBatches(ids, ids[::-1], max_tokens=size, seed=seed),
        tuple(range(COUNT)), sizes=(12, 37, 10_000), run=TranslationRun,
    )  # fmt: skip


def labelled(folder: Path) -> StreamSubject:
    series = [np.full((1 + i * i % 7, 2), i, np.float32) for i in range(COUNT)]
    labels = np.arange(COUNT) % 3
    return StreamSubject(
        lambda size, seed: LabelledBatches(series, labels, batch_size=size, seed=seed),
        tuple(range(COUNT)), run=ClassificationRun,
    )  # fmt: skip


def windows(folder: Path) -> StreamSubject:
    data = load_series("builtin:ar?length=60&series=2")
    part, scaling = make_windows(data, 8, 5).train, fit_scaling(data)
    return StreamSubject(
        lambda size, seed: WindowBatches(part, scaling, size=size, seed=seed),
        tuple(range(len(part))), run=ForecastingRun,
    )  # fmt: skip


def media(folder: Path) -> StreamSubject:
    run = media_run("answering", quarters(folder, COUNT))
    task = KINDS["answering"].build(KINDS["answering"].load_data(run), run)
    part = task.read_part(run)
    inputs = MediaInputs(part.columns, task.config, task.tokenizers.source)
    targets = task.tokenizers.target.encode_batch(part.targets)
    least = max(*inputs.positions, *(len(ids) + 2 for ids in targets))
    return StreamSubject(
        lambda size, seed: MediaBatches(part, inputs, targets, max_tokens=size, seed=seed),
        tuple(range(COUNT)), sizes=(least, 5 * least + 1, 10_000), run=MediaTextRun,
    )  # fmt: skip


def text(kind: type[TextBatches]) -> Callable[[Path], StreamSubject]:
    def subject(folder: Path) -> StreamSubject:
        for number in range(12):
            (folder / f"{number}.txt").write_text("".join(f"{number} {i}. " for i in range(2 + number * 5 % 7)))
        part, tokenizer = load_text(folder, valid_share=0.0, test_share=0.0).train, TextTokenizer(None)
        labels = [i for document in part.texts() for i in [*tokenizer.encode(document).tolist(), TextTokenizer.EOS]]
        return StreamSubject(
            lambda size, seed: kind(part, tokenizer, length=5, rows=size // 5, seed=seed, group_bytes=60),
            tuple(labels), real_labels, sizes=(5, 35, 10_000), run=LanguageRun,
        )  # fmt: skip

    return subject


def real_labels(batch: TextBatch) -> list[int]:
    return (batch.labels.flatten() if batch.mask is None else batch.labels[batch.mask]).tolist()


STREAMS: dict[type[Any], Callable[[Path], StreamSubject]] = {
    PairBatches: pairs,
    LabelledBatches: labelled,
    WindowBatches: windows,
    MediaBatches: media,
    PackedRows: text(PackedRows),
    Lanes: text(Lanes),
}


def test_every_stream_is_in_the_table() -> None:
    kinds = {kind for base in (BatchStream, TextBatches) for kind in base.__subclasses__()}
    assert {kind for kind in kinds if kind.__module__.startswith("sightline.")} == set(STREAMS)


@pytest.mark.parametrize("law", BATCH_LAWS)
@pytest.mark.parametrize("kind", STREAMS, ids=lambda kind: kind.__name__)
def test_the_law_holds(kind: type[Any], law: str, tmp_path: Path) -> None:
    check_batches(STREAMS[kind](tmp_path), [law])


class Numbers(BatchStream[tuple[int, ...]]):
    """A stream of the user's own, over numbers."""

    count = COUNT

    def plan(self, epoch: int) -> list[np.ndarray]:
        return in_batches(generator(self.seed, epoch).permutation(self.count), self.size)

    def batch(self, rows: np.ndarray) -> tuple[int, ...]:
        return tuple(rows.tolist())


def numbers(kind: type[Numbers] = Numbers) -> StreamSubject:
    return StreamSubject(
        lambda size, seed: kind(("batch_size", size), seed=seed, shuffle=True),
        tuple(range(COUNT)), lambda batch: batch, run=ForecastingRun,
    )  # fmt: skip


class SkipsAfterAStop(Numbers):
    def stream(self, cursor: Cursor = START) -> Iterator[tuple[tuple[int, ...], Cursor]]:
        skipped = super().stream(cursor)
        if cursor != START:
            next(skipped)
        return skipped


class ContinuesWhereItWas(Numbers):
    running: Iterator[tuple[tuple[int, ...], Cursor]] | None = None

    def stream(self, cursor: Cursor = START) -> Iterator[tuple[tuple[int, ...], Cursor]]:
        self.running = self.running or super().stream(cursor)
        return self.running


class DrawsFromTorch(Numbers):
    def plan(self, epoch: int) -> list[np.ndarray]:
        return in_batches(torch.randperm(self.count).numpy(), self.size)


class DropsTheLastBatch(Numbers):
    def plan(self, epoch: int) -> list[np.ndarray]:
        plan = super().plan(epoch)
        return plan if len(plan[-1]) == self.size else plan[:-1] or plan


class RepeatsAnItem(Numbers):
    def plan(self, epoch: int) -> list[np.ndarray]:
        return in_batches(generator(self.seed, epoch).integers(0, self.count, self.count), self.size)


class FillsOneMore(Numbers):
    def plan(self, epoch: int) -> list[np.ndarray]:
        return in_batches(generator(self.seed, epoch).permutation(self.count), self.size + 1)


class EndsWithAnEmptyBatch(Numbers):
    def plan(self, epoch: int) -> list[np.ndarray]:
        return [*super().plan(epoch), np.zeros(0, np.int64)]


class NamesAnotherKey(Numbers):
    def __init__(self, size_key: tuple[str, int], *, seed: int, shuffle: bool) -> None:
        super().__init__(("batch_rows", size_key[1]), seed=seed, shuffle=shuffle)


class IgnoresTheSeed(Numbers):
    def plan(self, epoch: int) -> list[np.ndarray]:
        return in_batches(generator(0, epoch).permutation(self.count), self.size)


class IgnoresTheEpoch(Numbers):
    def plan(self, epoch: int) -> list[np.ndarray]:
        return in_batches(generator(self.seed).permutation(self.count), self.size)


class CountsItsItems(Numbers):
    def __len__(self) -> int:
        return self.count


class TakesAnyCursor(Numbers):
    def stream(self, cursor: Cursor = START) -> Iterator[tuple[tuple[int, ...], Cursor]]:
        return super().stream(cursor._replace(index=cursor.index % len(self)))


BUGS: dict[type[Numbers], str] = {
    SkipsAfterAStop: "resumes at every cursor",
    ContinuesWhereItWas: "resumes at every cursor",
    DrawsFromTorch: "the seed decides the order",
    DropsTheLastBatch: "every item once an epoch",
    RepeatsAnItem: "every item once an epoch",
    FillsOneMore: "any batch size",
    EndsWithAnEmptyBatch: "any batch size",
    NamesAnotherKey: "size_key is a key of the run",
    IgnoresTheSeed: "the seed decides the order",
    IgnoresTheEpoch: "the seed decides the order",
    CountsItsItems: "the length is that of an epoch",
    TakesAnyCursor: "cursors of other data are refused",
}


def test_a_stream_of_ones_own_obeys_the_laws() -> None:
    check_batches(numbers())


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: type[Numbers]) -> None:
    with pytest.raises(CheckFailed, match=BUGS[bug]):
        check_batches(numbers(bug), [BUGS[bug]])


def test_each_law_finds_a_bug() -> None:
    assert set(BUGS.values()) == set(BATCH_LAWS)


class HasTwoBugs(FillsOneMore, NamesAnotherKey):
    pass


def test_all_laws_that_fail_are_named() -> None:
    with pytest.raises(CheckFailed) as caught:
        check_batches(numbers(HasTwoBugs))
    assert str(caught.value) == (
        "any batch size: of size 1, a batch has 2 items; any batch size: of size 3, a batch has 4 items; "
        "size_key is a key of the run: ForecastingRun has no key 'batch_rows'"
    )
