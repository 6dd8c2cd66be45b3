from __future__ import annotations

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from sacrebleu.metrics import BLEU, CHRF

from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.metrics import find_metric
from sightline.data.pairs.corpus import Pairs
from sightline.data.tokens.tokenizer import Tokenizer
from sightline.decoding.engine import DecodingConfig
from sightline.models import ARCHITECTURES
from sightline.tasks.fit import train_task
from sightline.tasks.load import load
from sightline.tasks.texts_out.scores import score_texts
from sightline.tasks.translation.config import TokenizerConfig, TranslationConfig
from sightline.tasks.translation.task import TranslationTask
from sightline.training.optim import OptimConfig
from sightline.training.state import TrainConfig
from tests.tasks.translation.small import config, corpus, pairs, untrained

TEXTS = ["7", "123", "", "40", "999", "5", "086"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run long enough to learn the task."""
    directory = tmp_path_factory.mktemp("runs") / "numbers"
    training = TrainConfig(
        budget="200steps", dtype="float32", validations=2, optim=OptimConfig(lr=1e-2, warmup_steps=10)
    )
    result = train_task(
        TranslationTask.create(corpus(), config("bahdanau", 32, batch_tokens=512), seed=training.seed),
        corpus(),
        directory,
        training,
    )
    return directory, result


def stepwise(task: TranslationTask, source: str, target: str) -> tuple[float, int]:
    """Log-probability of a target and how many of its tokens rank first, token by token through the contract."""
    ids = torch.tensor([task.tokenizers.source.encode(source)])
    labels = [*task.tokenizers.target.encode(target), Tokenizer.EOS]
    task.model.eval()
    with torch.no_grad():
        state = task.model.initial_state(task.model.encode(ids))
        total, right, token = 0.0, 0, Tokenizer.BOS
        for label in labels:
            logits, state = task.model.step(torch.tensor([token]), state)
            total += logits[0].double().log_softmax(0)[label].item()
            right += int(logits[0].argmax()) == label
            token = label
    return total, right


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_loss_and_accuracy_are_those_of_predicting_token_by_token(arch):
    task = untrained(arch)
    test = pairs([5, 123, 40, 999, 7])
    found = task.measure(test).metrics
    scores = [stepwise(task, source, target) for source, target in zip(*test.sides, strict=True)]
    tokens = sum(len(task.tokenizers.target.encode(target)) + 1 for target in test.targets)
    assert found["loss"] == pytest.approx(-sum(total for total, _ in scores) / tokens, rel=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(found["loss"]))
    assert found["token_accuracy"] == pytest.approx(sum(right for _, right in scores) / tokens)


def test_smoothing_changes_what_is_minimised_and_not_what_is_reported():
    plain, smooth = untrained("gru"), untrained("gru", label_smoothing=0.2)
    (batch,) = plain.in_order(Pairs(["12", "7"], ["bc", "h"]))
    plain.model.eval()
    first, second = plain.loss(plain.model, batch), smooth.loss(plain.model, batch)
    assert first.count == second.count == 5
    assert first.nll == second.nll == first.total
    logits = plain.model(batch.source, batch.source_mask, batch.target[:, :-1])[batch.target_mask[:, 1:]]
    labels = batch.target[:, 1:][batch.target_mask[:, 1:]]
    expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.2, reduction="sum")
    torch.testing.assert_close(second.total, expected)


@pytest.mark.slow
def test_a_short_training_learns_the_task(trained):
    _, result = trained
    assert result.task.measure(corpus().test).metrics["exact_match"] > 0.95
    assert result.training.steps == 200


def test_a_run_loads_as_its_best_model(trained):
    directory, result = trained
    found = load(directory)
    assert found.predict(TEXTS) == load(directory / "best").predict(TEXTS) == result.task.predict(TEXTS)
    assert found.data == "numbers: 800 pairs, sha256 of the data " + corpus().sha256


def test_a_run_without_a_best_model_loads_its_last(tmp_path):
    best, last = untrained("gru", seed=1), untrained("gru", seed=2)
    best.save(tmp_path / "best")
    last.save(tmp_path / "last")
    assert load(tmp_path).translate(TEXTS) == best.translate(TEXTS)
    shutil.rmtree(tmp_path / "best")
    assert load(tmp_path).translate(TEXTS) == last.translate(TEXTS)


def test_the_seed_decides_weights_and_nothing_else_is_drawn_from():
    torch.manual_seed(5)
    first = untrained("lstm", seed=1)
    torch.manual_seed(6)
    state = torch.random.get_rng_state()
    second, third = untrained("lstm", seed=1), untrained("lstm", seed=2)
    assert torch.equal(torch.random.get_rng_state(), state)
    for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert any(not torch.equal(a, b) for a, b in zip(first.model.parameters(), third.model.parameters(), strict=True))


def test_tokenizers_see_the_training_part_alone():
    whole = corpus()
    other = replace(whole, valid=Pairs(["8x"], ["i!"]), test=Pairs(["9y"], ["j?"]))
    built = TranslationTask.create(other, config("rnn")).tokenizers
    assert built.source.to_dict() == untrained("rnn").tokenizers.source.to_dict()
    assert built.target.pieces(built.target.encode("i!"))[1:] == ["<21>"]  # a byte: the character was never learned


def test_parameters_are_matched():
    task = TranslationTask.create(corpus(), config("gru"), parameters=40_000)
    assert task.parameters == pytest.approx(40_000, rel=0.25)
    assert task.config.model.d_model != 16


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_a_text_is_translated_alike_in_any_company(method, trained):
    task = trained[1].task
    decoding = {
        "greedy": DecodingConfig(),
        "beam": DecodingConfig(beam=3),
        "sample": DecodingConfig(sample=True, temperature=3.0, seed=2),
    }[method]
    together = task.translate(TEXTS, decoding)
    assert together[2] == ("", 0.0, True)  # no text, no output
    one_by_one = [task.translate([text], decoding, first=i)[0] for i, text in enumerate(TEXTS)]
    small = task.translate(TEXTS, replace(decoding, batch_size=2))
    for found in (one_by_one, small):
        assert [output.text for output in found] == [output.text for output in together]
        assert [output.score for output in found] == pytest.approx([o.score for o in together], abs=1e-4)


def test_translating_leaves_the_models_mode_alone_and_uses_no_dropout():
    task = untrained("transformer")
    for training in (True, False):
        task.model.train(training)
        assert task.predict(TEXTS) == task.predict(TEXTS)
        assert task.model.training is training


def favouring_specials() -> TranslationTask:
    """A model that finds padding, start and unknown tokens by far the likeliest."""
    task = untrained("rnn")
    (bias,) = (
        parameter
        for name, parameter in task.model.decoder.named_parameters()
        if name.endswith("bias") and parameter.shape == (task.tokenizers.target.size,)
    )
    with torch.no_grad():
        bias[[Tokenizer.PAD, Tokenizer.BOS, Tokenizer.UNK]] = 100.0
    return task


def test_guessing_the_padding_is_no_merit():
    assert favouring_specials().measure(pairs([5, 12, 345])).metrics["token_accuracy"] == 0.0


def test_special_tokens_are_never_in_outputs():
    task = favouring_specials()
    for decoding in (DecodingConfig(max_length=5), DecodingConfig(beam=2, max_length=5)):
        assert all(output.score < -50 for output in task.translate(["12", "345"], decoding))


def test_an_output_ends_at_the_limit_and_says_so():
    task = untrained("gru")
    cut = task.translate(["123"], DecodingConfig(max_length=1))
    assert len(task.tokenizers.target.encode(cut[0].text)) <= 1
    assert task.trained.longest_output >= 3 + 1


def test_corpus_scores_are_sacrebleus_and_add_up_from_items(trained):
    task, test = untrained("gru"), corpus().test
    outputs = trained[1].task.predict(test.sources[:50]) + task.predict(test.sources[50:])
    scores = score_texts(outputs, test.targets)
    assert scores.metrics["bleu"] == BLEU().corpus_score(outputs, [test.targets]).score
    assert scores.metrics["chrf"] == CHRF().corpus_score(outputs, [test.targets]).score
    assert scores.metrics["exact_match"] == sum(a == b for a, b in zip(outputs, test.targets, strict=True)) / 100
    assert scores.details["signatures"]["bleu"].startswith("nrefs:1|case:mixed|eff:no|tok:13a")


@pytest.mark.parametrize(("name", "metric"), [("bleu", BLEU()), ("chrf", CHRF())], ids=["bleu", "chrf"])
def test_the_score_of_a_resample_is_the_score_of_those_items(name, metric):
    references = [
        "the cat sat on the mat today",
        "a dog ran in the park",
        "we see what is far away",
        "one more line here",
    ]
    outputs = ["the cat sat on a mat today", "a dog ran in the dark park", "we see far away", "another line here"]
    rows = score_texts(outputs, references).items[name]
    chosen = [[0, 1, 2, 3], [0, 0, 1, 3], [2, 2, 2, 1]]
    expected = [
        metric.corpus_score([outputs[i] for i in some], [[references[i] for i in some]]).score for some in chosen
    ]
    weights = np.array([np.bincount(some, minlength=4) for some in chosen], float)
    np.testing.assert_allclose(find_metric(name).value(rows[None], weights)[0], expected, rtol=1e-12)


def test_a_validation_measures_what_an_evaluation_does(trained):
    task, valid = trained[1].task, corpus().valid
    task.model.eval()
    measured = task.validator(valid)(task.model).metrics
    assert measured == pytest.approx(task.measure(valid).metrics, rel=1e-5)


def test_items_are_in_the_order_of_the_pairs(trained):
    task, test = trained[1].task, corpus().test
    measured = task.measure(test)
    assert measured.references == tuple(test.targets)
    right = [output == reference for output, reference in zip(measured.outputs, test.targets, strict=True)]
    assert measured.items["exact_match"][:, 0].tolist() == right
    tokens = [len(ids) + 1 for ids in task.tokenizers.target.encode_batch(test.targets)]
    assert measured.items["loss"][:, 1].tolist() == tokens
    alone = [task.measure(Pairs([test.sources[i]], [test.targets[i]])).metrics["loss"] for i in range(5)]
    each = measured.items["loss"][:5]
    assert each[:, 0] / each[:, 1] == pytest.approx(alone, rel=1e-4)


def test_pairs_are_sampled_from_everywhere():
    chosen = TranslationTask.spaced(pairs(range(100)), 10)
    assert [int(source) // 10 for source in chosen.sources] == list(range(10))
    assert TranslationTask.spaced(pairs(range(5)), 10) == pairs(range(5))


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_saving_and_loading_change_nothing(arch, tmp_path):
    changes = {"label_smoothing": 0.1, "smoothing": "others", "batch_tokens": 333, "too_long": "skip"}
    task = untrained(arch, **changes)
    task.save(tmp_path / "model")
    assert sorted(os.listdir(tmp_path)) == ["model"]
    assert sorted(os.listdir(tmp_path / "model")) == ["README.md", "config.json", "model.safetensors", "tokenizer.json"]
    found = load(tmp_path / "model")
    assert (found.config, found.trained.longest_output, found.data) == (
        task.config,
        task.trained.longest_output,
        task.data,
    )
    assert found.translate(TEXTS) == task.translate(TEXTS)
    for (name, a), b in zip(task.model.state_dict().items(), found.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert not found.model.training


def test_saving_replaces_a_model_only_on_request(tmp_path):
    first, second = untrained("rnn", seed=1), untrained("rnn", seed=2)
    first.save(tmp_path / "model")
    with pytest.raises(InputError, match="already exists"):
        second.save(tmp_path / "model")
    assert load(tmp_path / "model").translate(TEXTS) == first.translate(TEXTS)
    second.save(tmp_path / "model", overwrite=True)
    assert load(tmp_path / "model").translate(TEXTS) == second.translate(TEXTS)
    (tmp_path / "thesis").mkdir()
    with pytest.raises(InputError, match="not a model directory"):
        second.save(tmp_path / "thesis", overwrite=True)


def test_a_failed_save_leaves_the_old_model_and_nothing_else(tmp_path, monkeypatch):
    task = untrained("rnn")
    task.save(tmp_path / "model")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sightline.tasks.translation.task.TokenizerPair.save", full)
    with pytest.raises(EnvironmentFault, match="No space left"):
        untrained("rnn", seed=3).save(tmp_path / "model", overwrite=True)
    assert os.listdir(tmp_path) == ["model"]
    assert load(tmp_path / "model").translate(TEXTS) == task.translate(TEXTS)


def test_presets_follow_their_paper():
    paper = TranslationConfig.preset("transformer-2017")
    assert paper.label_smoothing == 0.1
    assert paper.tokenizer == TokenizerConfig("bpe", shared=True)
    assert TranslationConfig.preset("lstm").label_smoothing == 0.0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: TranslationConfig.preset("lstmm"), "did you mean 'lstm'"),
        (lambda: TranslationConfig(arch="rnn", model=ARCHITECTURES["transformer"]), "TransformerConfig"),
        (lambda: config("rnn", label_smoothing=1.0), "label_smoothing"),
        (lambda: config("rnn", batch_tokens=0), "batch_tokens"),
        (lambda: TranslationTask.create(replace(corpus(), train=Pairs([], [])), config("rnn")), "no training pairs"),
        (lambda: untrained("rnn").measure(Pairs([], [])), "no pairs"),
        (lambda: TranslationTask.create(corpus(), config("transformer-2017", tokenizer=TokenizerConfig())), "shared"),
    ],
    ids=["unknown_architecture", "foreign_sizes", "smoothing", "batch", "empty_training", "empty_evaluation", "untied"],
)
def test_wrong_input_is_named(wrong, message):
    with pytest.raises(InputError, match=message):
        wrong()


def test_a_corpus_without_validation_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="no validation pairs"):
        train_task(untrained("rnn"), replace(corpus(), valid=Pairs([], [])), tmp_path / "run", TrainConfig())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arch", "changes", "message"),
    [
        ("transformer", {"heads": 3}, "--model: d_model = 16 is not divisible by heads = 3"),
        ("bahdanau", {"score": "general"}, "score: needs query = current, the attention of Luong et al. 2015"),
        ("bahdanau", {"input_feeding": True}, "input_feeding: needs query = current"),
    ],
)
def test_a_key_that_the_model_cannot_use_is_refused(arch: str, changes: dict[str, object], message: str) -> None:
    preset = config(arch)

    def created() -> TranslationTask:
        return TranslationTask.create(corpus(), replace(preset, model=replace(preset.model, **changes)))

    with pytest.raises(InputError, match=message):
        created()
