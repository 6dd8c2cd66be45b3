"""Language models: exact code lengths in a given context, separate documents, training after a kill."""

from __future__ import annotations

import json
import lzma
import math
import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from sightline.core.errors import InputError
from sightline.data.batches import Cursor
from sightline.data.text.corpus import load_text
from sightline.data.text.part import TextPart
from sightline.data.tokens.text import TextTokenizer
from sightline.models import LANGUAGE_MODELS
from sightline.models.language_model import LanguageModelConfig
from sightline.tasks.fit import train_task
from sightline.tasks.language.config import LanguageConfig, LanguageRun, TextTokenizerConfig
from sightline.tasks.language.task import LanguageTask
from sightline.tasks.load import load, part_of_run
from sightline.tasks.recipe import resolve_run, run_files
from sightline.training.optim import OptimConfig
from sightline.training.state import TrainConfig

WORDS = ["the", "cat", "sat", "über", "日本", "x = y\n", "mat,"]


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    draw = random.Random(3)
    place = tmp_path_factory.mktemp("text") / "a.jsonl"
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(1, 40))) for _ in range(90)]
    place.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return place


@pytest.fixture(scope="module")
def corpus(path):
    return load_text(path)


def settings(arch: str = "transformer", **changes) -> LanguageConfig:
    model = replace(LANGUAGE_MODELS[arch], d_model=16, layers=1, dropout=0.0)
    if isinstance(model, LanguageModelConfig):
        model = replace(model, heads=2)
    return LanguageConfig(**{"arch": arch, "model": model, "context": 24, "batch_tokens": 96, **changes})


def made(corpus, arch: str = "transformer", **changes) -> LanguageTask:
    task = LanguageTask.create(corpus, settings(arch, **changes), seed=1)
    task.model.eval()
    return task


def code_lengths(task: LanguageTask, text: str, context: int, stride: int) -> list[float]:
    """-ln p of each label of a document, one forward pass a label, each with the tokens that it may see."""
    ids = task.tokenizer.encode(text).tolist()
    tokens, labels = [TextTokenizer.BOS, *ids], [*ids, TextTokenizer.EOS]
    found = []
    for place, label in enumerate(labels):
        if place < context:
            first = 0
        else:
            window = (place - context) // stride + 1  # windows after the first one
            first = min(window * stride, len(labels) - context)
        with torch.no_grad():
            logits, _ = task.decoder(torch.tensor([tokens[first : place + 1]]), None)
        found.append(-float(logits[0, -1].double().log_softmax(0)[label]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["byte", "char", "bpe"])
@pytest.mark.parametrize("stride", [None, 5])
def test_bits_per_byte_are_the_code_length_over_the_bytes(corpus, kind, stride):
    task = made(corpus, stride=stride, tokenizer=TextTokenizerConfig(kind, size=300))
    part = corpus.valid.select(range(4))
    texts = list(part.texts())
    each = [code_lengths(task, text, 24, stride or 24) for text in texts]
    nats, size = sum(map(sum, each)), sum(len(text.encode()) for text in texts)
    found = task.measure(part)
    assert found.metrics["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-5)
    assert found.metrics["loss"] == pytest.approx(nats / sum(map(len, each)), rel=1e-5)
    assert found.metrics["perplexity"] == pytest.approx(math.exp(nats / sum(map(len, each))), rel=1e-5)
    assert found.details["bytes"] == size
    assert found.items["bits_per_byte"][:, 1].tolist() == [len(text.encode()) for text in texts]
    assert found.items["bits_per_byte"][:, 0] == pytest.approx([sum(one) / math.log(2) for one in each], rel=1e-5)


@pytest.mark.parametrize("arch", ["lstm", "gated_linear", "transformer"])
def test_carried_evaluation_reads_each_document_whole(corpus, arch):
    part = corpus.valid.select(range(4))
    carried = made(corpus, arch, evaluate="carried").measure(part)
    whole = made(corpus, arch, context=4096, batch_tokens=4096).measure(part)
    assert carried.metrics["loss"] == pytest.approx(whole.metrics["loss"], rel=1e-5)
    assert carried.items["loss"] == pytest.approx(whole.items["loss"], rel=1e-4)


@pytest.mark.parametrize("arch", list(LANGUAGE_MODELS))
def test_documents_packed_into_a_row_cost_what_they_cost_alone(corpus, arch):
    """The training loss of rows that hold several whole documents is the sum of the documents' code lengths."""
    task = made(corpus, arch, context=16_384, batch_tokens=16_384)
    part = corpus.train.select(range(6))
    batch, following = next(task.batches(part, seed=0).stream(Cursor()))
    assert following.epoch == 1
    assert batch.starts is not None
    with torch.no_grad():
        packed = task.loss(task.model, batch)
    alone = task.measure(part).details
    assert packed.count == alone["tokens"]
    assert float(packed.nll) == pytest.approx(alone["nats"], rel=1e-4)


@pytest.mark.slow
def test_the_curve_is_the_mean_at_each_place(corpus):
    task = made(corpus)
    text = max(corpus.valid.texts(), key=len)
    number = list(corpus.valid.texts()).index(text)
    each = np.array(code_lengths(task, text, 24, 24))
    curve = task.measure(corpus.valid.select([number])).details["by_position"]
    assert sum(point["tokens"] for point in curve) == len(each)
    seen = np.array([place % 24 + 1 for place in range(len(each) // 24 * 24)])
    first = next(point for point in curve if point["last"] == 1)
    rest = len(each) % 24  # the last window reaches back and scores its end
    assert first["tokens"] == (seen == 1).sum()
    assert first["loss"] == pytest.approx(each[: len(each) - rest][seen == 1].mean(), rel=1e-5)


def test_xz_and_the_other_baselines_are_code_lengths(corpus):
    task = made(corpus)
    baselines = task.baselines(corpus.train, corpus.valid, corpus.test)
    found = {baseline.name: baseline.metrics["bits_per_byte"] for baseline in baselines}
    raw = "".join(corpus.test.texts()).encode()
    assert found["uniform"] == 8.0
    known = "".join(corpus.train.texts()).encode()
    size = max(4096, len(known) + len(raw))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": size}]
    both, alone = (len(lzma.compress(of, lzma.FORMAT_RAW, filters=filters)) for of in (known + raw, known))
    assert found["xz after training text"] == pytest.approx(8 * (both - alone) / len(raw), rel=0.01)
    assert found["xz after training text"] < 8 * len(lzma.compress(raw)) / len(raw)
    assert found["Kneser-Ney"] < found["byte pairs"]
    assert found["byte pairs"] < found["byte frequencies"] < 8.0
    assert found["byte frequencies"] > 0.9 * entropy(raw)


def test_baselines_read_lower_cased_text_where_models_do(tmp_path):
    """For a model that does not see case, text in random case is the same text in lower case."""
    draw = random.Random(0)
    words = ["the", "cat", "sat", "über", "мир", "mat,"]
    texts = [" ".join(draw.choices(words, k=300)) for _ in range(3)]
    texts = ["".join(draw.choice([letter.lower(), letter.upper()]) for letter in text) for text in texts]

    def code_lengths_of(texts: list[str], *, lowercase: bool) -> dict[str, float | None]:
        places = [tmp_path / f"{part}.txt" for part in ("train", "valid", "test")]
        for place, text in zip(places, texts, strict=True):
            place.write_text(text)
        of = load_text(places[0], valid=places[1], test=places[2])
        task = made(of, tokenizer=TextTokenizerConfig("bpe", size=300, lowercase=lowercase))
        return {one.name: one.metrics["bits_per_byte"] for one in task.baselines(of.train, of.valid, of.test)}

    read = code_lengths_of(texts, lowercase=True)
    assert read == code_lengths_of([text.lower() for text in texts], lowercase=False)
    assert read["Kneser-Ney"] < code_lengths_of(texts, lowercase=False)["Kneser-Ney"] - 0.5


def entropy(raw: bytes) -> float:
    counts = np.bincount(np.frombuffer(raw, dtype=np.uint8))
    share = counts[counts > 0] / len(raw)
    return float(-(share * np.log2(share)).sum())


def how(steps: int, **changes) -> TrainConfig:
    options = {"optim": OptimConfig(lr=1e-2, warmup_steps=2), "validations": 2, "seed": 5, "checkpoint_every_s": 1e-6}
    return TrainConfig(budget=f"{steps}steps", **{**options, **changes})


@pytest.mark.slow
@pytest.mark.parametrize("bptt", ["rows", "stateful"])
@pytest.mark.parametrize("arch", ["lstm", "gated_linear"])
def test_killed_and_resumed_is_as_if_nothing_had_happened(corpus, tmp_path, bptt, arch):
    def begin() -> LanguageTask:
        return LanguageTask.create(corpus, settings(arch, bptt=bptt), seed=1)

    class Killed(Exception):
        pass

    def kill(progress):
        if progress.step == 7 and not progress.validating:
            raise Killed

    whole = train_task(begin(), corpus, tmp_path / "whole", how(12)).task
    with pytest.raises(Killed):
        train_task(begin(), corpus, tmp_path / "cut", how(12), on_progress=kill)
    resumed = train_task(begin(), corpus, tmp_path / "cut", how(12), resume=True).task
    for (name, a), b in zip(whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert whole.measure(corpus.test).metrics == resumed.measure(corpus.test).metrics


def test_stateful_batches_cost_what_the_text_costs_when_read_on(corpus):
    """Without an update between them, the losses of a group's batches are those of each lane read once."""
    task = made(corpus, "gru", bptt="stateful", batch_tokens=48)
    part = corpus.train
    batches = [batch for batch, _ in first_epoch(task.batches(part, seed=0))]
    with torch.no_grad():
        losses = [task.loss(task.model, batch) for batch in batches]
        tokens, labels = (torch.cat([batch[i] for batch in batches], 1) for i in (0, 1))
        real, starts = torch.ones_like(tokens, dtype=torch.bool), torch.zeros_like(tokens, dtype=torch.bool)
        place = 0
        for batch in batches:
            here = slice(place, place := place + batch.tokens.shape[1])
            real[:, here] = True if batch.mask is None else batch.mask
            starts[:, here] = False if batch.starts is None else batch.starts
        logits, _ = task.decoder(tokens, None, None, starts)
    nats = -logits.log_softmax(2).gather(2, labels.unsqueeze(2)).squeeze(2)[real].sum()
    assert sum(loss.count for loss in losses) == int(real.sum())
    assert sum(float(loss.nll) for loss in losses) == pytest.approx(float(nats), rel=1e-4)


def first_epoch(batches):
    for batch, following in batches.stream(Cursor()):
        yield batch, following
        if following.epoch:
            return


@pytest.mark.slow
def test_training_learns_and_a_run_can_be_measured_again(path, tmp_path):
    flags = {"task": "language", "data": str(path), "arch": "lstm", "budget": "40steps", "context": "32",
             "batch_tokens": "512", "model.d_model": "32", "model.layers": "1", "device": "cpu",
             "optim.warmup_steps": "2", "optim.lr": "0.02"}  # fmt: skip
    run = resolve_run(file=None, environ={}, flags=flags)
    data = LanguageTask.load_data(run)
    untrained = LanguageTask.build(data, run)
    before = untrained.measure(data.test).metrics["bits_per_byte"]
    assert before == pytest.approx(math.log2(260), rel=0.15)  # every token about alike

    def files(task, settled):
        return run_files(run, data, task.sizes, settled)

    done = train_task(untrained, data, tmp_path / "run", run.training, files=files)
    after = done.task.measure(data.test).metrics
    assert after["bits_per_byte"] < 0.6 * before
    assert set(done.training.history[-2]) >= {"loss", "bits_per_byte", "perplexity"}
    again = load(tmp_path / "run")
    part = part_of_run(tmp_path / "run")
    assert part.unit == "documents"
    assert part.size == data.sizes["test"]
    assert again.measure(part.items).metrics == after
    assert again.predict(["the cat"]) == done.task.predict(["the cat"])


def test_a_stateful_run_is_saved_as_a_plain_model(corpus, tmp_path):
    task = made(corpus, "gru", bptt="stateful")
    task.save(tmp_path / "model")
    loaded = LanguageTask.load(tmp_path / "model")
    assert set(loaded.model.state_dict()) == set(task.decoder.state_dict())
    assert loaded.config == task.config
    assert loaded.measure(corpus.test).metrics == task.measure(corpus.test).metrics


@pytest.mark.parametrize(
    ("arch", "problem"),
    [
        ("bidirectional", "sees what it should predict: language modelling needs a causal architecture"),
        ("bahdanau", "is an encoder-decoder, which reads a source and writes a target, but language needs a decoder"),
        ("transfromer", "unknown architecture 'transfromer', did you mean 'transformer'?"),
    ],
)
def test_architectures_that_cannot_model_language(arch, problem):
    with pytest.raises(InputError, match=problem):
        LanguageTask.preset(arch)


def test_stateful_training_of_a_growing_state_is_refused(corpus):
    with pytest.raises(InputError, match="bptt: stateful training needs a state of fixed size"):
        made(corpus, "transformer", bptt="stateful")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"context": 0}, "context: must be at least 1, found 0"),
        ({"stride": 25}, "stride: must be between 1 and the context 24, found 25"),
        ({"validation_bytes": 0}, "validation_bytes: must be at least 1"),
        ({"model": LANGUAGE_MODELS["lstm"]}, "model: RecurrentLanguageModelConfig is not the config of 'transformer'"),
    ],
)
def test_settings_out_of_range(changes, problem):
    with pytest.raises(InputError) as caught:
        settings(**changes)
    assert problem in str(caught.value)


def test_a_model_directory_whose_vocabulary_does_not_fit(corpus, tmp_path):
    made(corpus).save(tmp_path / "model")
    other = TextTokenizer.train(corpus.train, "char", 300)
    other.save(tmp_path / "model" / "tokenizer.json")
    with pytest.raises(InputError, match=r"a vocabulary of \d+ tokens, but the model has 260 and 260"):
        LanguageTask.load(tmp_path / "model")


def test_a_tokenizer_is_learned_once_for_all_trainings_of_a_comparison(path, tmp_path):
    flags = {"task": "language", "data": str(path), "arch": "lstm", "tokenizer.kind": "bpe", "tokenizer.size": "300"}
    run = resolve_run(file=None, environ={}, flags=flags)
    data = LanguageTask.load_data(run)
    first = LanguageTask.build_prepared(data, run, tmp_path)
    files = list(tmp_path.iterdir())
    assert len(files) == 1
    again = LanguageTask.build_prepared(data, run, tmp_path)
    alone = LanguageTask.build(data, run)
    assert again.tokenizer.to_dict() == first.tokenizer.to_dict() == alone.tokenizer.to_dict()
    for a, b in zip(again.model.state_dict().values(), alone.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_column_of_running_text_is_refused(tmp_path):
    """It was read as text, separators and header too, whatever the column."""
    (tmp_path / "reviews.csv").write_text("id,review\n" + "".join(f'{i},"a text, number {i}"\n' for i in range(40)))
    (tmp_path / "more.jsonl").write_text("".join(f'{{"review": "text {i}"}}\n' for i in range(40)))

    def run(*names: str) -> LanguageRun:
        return LanguageTask.preset("gru").changed(
            data=",".join(str(tmp_path / name) for name in names), column="review"
        )

    problem = r"^column: .*reviews\.csv is read as running text, without a column 'review': for a document a row save"
    with pytest.raises(InputError, match=problem):
        run("reviews.csv").load()
    corpus = run("more.jsonl", "reviews.csv").load()
    assert sum(part.documents for part in corpus.parts.values()) == 41


def test_widths_are_matched(corpus):
    task = LanguageTask.create(corpus, settings("lstm"), parameters=60_000)
    assert task.parameters == pytest.approx(60_000, rel=0.2)


def test_built_in_text_is_a_language_task():
    run = resolve_run(file=None, environ={}, flags={"data": "builtin:stdlib", "arch": "gru"})
    assert run.task == "language"


def test_long_text_is_split_into_byte_pairs_and_short_text_into_bytes():
    auto = TextTokenizerConfig()
    short, long = (cast(TextPart, SimpleNamespace(size=size)) for size in (500_000, 1_000_000))
    assert auto.settled(short).kind == "byte"
    assert (auto.settled(long).kind, auto.settled(long).size) == ("bpe", 500)
    assert replace(auto, size=300).settled(long).size == 300
    assert replace(auto, lowercase=True).settled(short).kind == "char"
    assert all(TextTokenizerConfig(kind).settled(long).kind == kind for kind in ("byte", "char", "unigram"))
