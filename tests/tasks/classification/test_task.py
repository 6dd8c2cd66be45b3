"""Classification: learning from every kind of source, metrics, saving, and wrong settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

import sightline
from sightline.core.errors import InputError
from sightline.data.labelled.corpus import load_labelled
from sightline.models import FORMS, NAMED_ENCODERS
from sightline.tasks.classification.config import ClassificationConfig, SeriesConfig, TextConfig
from sightline.tasks.classification.loss import class_weights, label_loss
from sightline.tasks.classification.task import ClassificationTask
from sightline.tasks.fit import train_task
from sightline.tasks.load import load
from sightline.tasks.media.config import PictureConfig
from sightline.training.optim import OptimConfig
from sightline.training.state import TrainConfig
from tests.tasks.classification.small import data, part, run, untrained

KINDS = ("text", "series", "audio", "image")
TRAINING = TrainConfig(budget="60steps", dtype="float32", validations=2, optim=OptimConfig(lr=1e-2, warmup_steps=5))


@pytest.fixture(scope="module", params=[*KINDS, "sets"])
def trained(request, tmp_path_factory):
    """A run long enough to learn from each kind of source, and from texts with any number of labels."""
    many = request.param == "sets"
    kind = "text" if many else request.param
    of = data(kind, many=many)
    directory = tmp_path_factory.mktemp("runs") / request.param
    return directory, of, train_task(ClassificationTask.build(of, run()), of, directory, TRAINING).task


def test_it_learns_and_its_measures_agree(trained):
    _, of, task = trained
    found = task.measure(of.test)
    assert found.metrics["accuracy"] > 0.9
    for metric in ("accuracy", "loss"):
        numerator, denominator = found.items[metric].sum(0)
        assert numerator / denominator == pytest.approx(found.metrics[metric])
    labelled = task.trained.label(of.test)
    assert ["|".join(one.labels) for one in labelled] == list(found.outputs)
    right = [one.labels == of_item for one, of_item in zip(labelled, of.test.labels, strict=True)]
    assert np.mean(right) == pytest.approx(found.metrics["accuracy"])
    if not task.many:
        assert all(sum(one.probabilities.values()) == pytest.approx(1) for one in labelled)
    assert json.loads(json.dumps(found.details)) == found.details
    assert not task.model.training
    validated = task.validator(of.test)(task.model).metrics
    assert {name: found.metrics[name] for name in validated} == pytest.approx(validated)


def test_a_saved_model_says_the_same(trained, tmp_path):
    directory, of, task = trained
    task.save(tmp_path / "model")
    for place in (directory, tmp_path / "model"):
        again = load(place)
        assert isinstance(again, ClassificationTask)
        assert again.trained.label(of.test) == task.trained.label(of.test)
        assert again.classes == task.classes
        assert again.trained.weights == task.trained.weights
        assert "Loading runs no code" in (tmp_path / "model" / "README.md").read_text()


def test_a_label_does_not_depend_on_what_else_is_asked(trained):
    _, of, task = trained
    alone = [task.trained.label(of.test.select([i]))[0] for i in range(5)]
    for one, among in zip(alone, task.trained.label(of.test), strict=False):
        assert one.labels == among.labels
        assert one.probabilities == pytest.approx(among.probabilities, abs=1e-4)


def test_baselines_are_measured_alike(trained):
    _, of, task = trained
    baselines = {baseline.name: baseline for baseline in task.baselines(of.train, of.valid, of.test)}
    assert baselines["most frequent class"].metrics["accuracy"] < 0.7
    linear = next(baseline for name, baseline in baselines.items() if "logistic" in name)
    assert linear.metrics["accuracy"] > 0.6
    assert set(linear.metrics) == set(task.measure(of.test).metrics)
    if not task.many:
        shares, tested = (np.bincount(p.numbers(of.classes), minlength=3) / len(p.labels) for p in (of.train, of.test))
        assert baselines["by chance"].metrics["accuracy"] == pytest.approx((shares * tested).sum())


def test_answers_to_texts():
    task = untrained()
    answers = task.answer(["the red sky", "", "blue"])
    assert answers[1].text == ""
    assert answers[1].record["label"] is None
    label, p = answers[0].text.split("\t")
    assert answers[0].record["label"] == label == task.predict(["the red sky"])[0]
    assert answers[0].record["probabilities"][label] == pytest.approx(float(p), abs=1e-4)
    assert task.answer([]) == []
    assert task.predict([]) == []


def test_answers_to_series_sounds_and_pictures(tmp_path):
    series = untrained("series")
    assert series.predict([[[1, 2], [3, 4]]]) == [series.answer(["[[1,2],[3,4]]"])[0].record["label"]]
    with pytest.raises(InputError, match="input 1: has 1 channels, the model reads 2"):
        series.answer(["1,2,3"])
    with pytest.raises(InputError, match="numbers must be finite"):
        series.answer(["1,nan"])
    with pytest.raises(InputError, match="input 1: step 1 of the series is inf: numbers must be finite"):
        series.predict([[[1.0, float("inf")]]])
    pictures = untrained("image")
    Image.fromarray(part("image", 1, 0).sources[0][0]).save(tmp_path / "a.png")
    assert pictures.predict([tmp_path / "a.png"]) == pictures.predict(part("image", 1, 0).sources)
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"b\.png: has 5 x 6 pixels, expected 6 x 6"):
        pictures.answer([str(tmp_path / "b.png")])
    with pytest.raises(InputError, match=r"nowhere\.wav: no such file"):
        untrained("audio").answer([str(tmp_path / "nowhere.wav")])


@pytest.mark.parametrize(
    ("arch", "pooling"),
    [
        (a, p)
        for a in FORMS["encoder"]
        for p in ("mean", "last", "cls", "additive")
        if a not in NAMED_ENCODERS or p != "cls"
    ],
)
def test_every_architecture_labels_with_every_pooling(arch, pooling):
    configured = run(arch)
    task = ClassificationTask.build(
        data(), configured.changed(model=replace(configured.settings.model, pooling=pooling))
    )
    batch, _ = next(task.batches(data().train, seed=0).stream())
    loss = task.loss(task.model, batch)
    loss.total.backward()
    assert loss.count == len(batch.rows)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in task.model.parameters())


def test_an_architecture_of_another_form_is_refused_with_the_reason():
    with pytest.raises(
        InputError,
        match="'bahdanau' is an encoder-decoder, which reads a source and writes a target, but classification",
    ):
        ClassificationTask.preset("bahdanau")
    with pytest.raises(InputError, match="unknown architecture 'lstmm', did you mean 'lstm'"):
        ClassificationTask.preset("lstmm")


def test_what_is_fitted_is_fitted_to_training_alone():
    of = data("series")
    changed = replace(of, test=replace(of.test, sources=[100 * source for source in of.test.sources]))
    assert ClassificationTask.build(of, run()).inputs.scaling == ClassificationTask.build(changed, run()).inputs.scaling
    steps = np.concatenate(of.train.sources)
    scaled = np.concatenate(ClassificationTask.build(of, run()).inputs.arrays(of.train.sources))
    np.testing.assert_allclose(scaled, (steps - steps.mean(0)) / steps.std(0), atol=1e-4)
    texts = replace(data(), test=replace(part("text", 5, 3), sources=["unseen words"] * 5))
    words = ClassificationTask.build(texts, run()).inputs.words
    assert words is not None
    assert words.encode_batch(["unseen red"])[0] == [1, *words.encode_batch(["red"])[0]]


def test_balanced_weights_are_scikit_learns():
    labels = np.array([0] * 7 + [1] * 2 + [2])
    config = replace(run().settings, class_weights="balanced")
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert class_weights(config, labels, ("a", "b", "c")) == pytest.approx(tuple(expected))
    sets = np.stack([labels == 0, labels == 2], 1)
    assert class_weights(config, sets, ("a", "c")) == pytest.approx((3 / 7, 9))


def test_given_weights():
    config = replace(run().settings, class_weights={"b": 3.0})
    assert class_weights(config, np.zeros(2, int), ("a", "b")) == (1.0, 3.0)
    hyphens = replace(config, class_weights={"a_b": 2.0, "b_c": 4})  # a class that has the name itself comes first
    assert class_weights(hyphens, np.zeros(2, int), ("a-b", "b_c", "b-c")) == (2.0, 4.0, 1.0)
    with pytest.raises(InputError, match=r"class_weights\.bb: no such class, did you mean 'b'"):
        class_weights(replace(config, class_weights={"bb": 1.0}), np.zeros(2, int), ("a", "b"))
    with pytest.raises(InputError, match=r"class_weights\.a: must be at least 0, found -1"):
        replace(config, class_weights={"a": -1.0})


def test_the_loss_is_torchs():
    logits, labels = torch.randn(6, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 0])
    weights = (1.0, 2.0, 0.5)
    plain = F.cross_entropy(logits, labels, reduction="sum")
    for given in (None, weights):
        for smoothing in (0.0, 0.1):
            found = label_loss(logits, labels, given, smoothing)
            weight = None if given is None else torch.tensor(given, dtype=torch.float64)
            expected = F.cross_entropy(logits, labels, weight, label_smoothing=smoothing, reduction="sum")
            torch.testing.assert_close(found.total, expected)
            torch.testing.assert_close(found.nll, plain)
            assert found.count == 6
    sets = torch.rand(6, 3) < 0.5
    found = label_loss(logits, sets, weights)
    p = torch.sigmoid(logits)
    terms = torch.where(sets, -torch.tensor(weights) * p.log(), -(1 - p).log())
    torch.testing.assert_close(found.total, terms.sum())
    torch.testing.assert_close(found.nll, torch.where(sets, -p.log(), -(1 - p).log()).sum())
    assert found.count == 18
    smooth = label_loss(logits, sets, None, 0.2).total
    torch.testing.assert_close(
        smooth, -(torch.where(sets, 0.9, 0.1) * p.log() + torch.where(sets, 0.1, 0.9) * (1 - p).log()).sum()
    )


@pytest.mark.parametrize(
    ("kind", "many", "chosen", "smoothing"),
    [
        ("series", False, None, 0.1),
        ("series", False, 0.0, 0.0),
        ("series", True, None, 0.0),
        ("text", False, None, 0.0),
    ],
)
def test_labels_of_series_are_smoothed_by_default(kind, many, chosen, smoothing):
    task = untrained(kind, many=many, label_smoothing=chosen)
    batch, _ = next(task.batches(data(kind, many=many).train, seed=0).stream())
    found = task.loss(task.model.eval(), batch)
    expected = label_loss(task.model(batch.source, batch.source_mask), batch.labels, None, smoothing)
    torch.testing.assert_close(found.total, expected.total)
    assert task.config.label_smoothing == smoothing


def test_weights_make_a_rare_class_count():
    of = data()
    task = ClassificationTask.build(of, run(class_weights={"red": 5.0}))
    batch, _ = next(task.batches(of.train, seed=0).stream())
    found = task.loss(task.model, batch)
    red = int((batch.labels == of.classes.index("red")).sum())
    assert 0 < red < len(batch.rows)
    assert found.nll < found.total.detach() < 5 * found.nll


@pytest.mark.parametrize("kind", ["text", "series"])
def test_items_that_are_too_long_raise_or_are_truncated(kind):
    of = data(kind)
    task = ClassificationTask.build(of, run(max_length=3))
    with pytest.raises(
        InputError, match=r"part 0:\d+: has \d+ (tokens|steps), more than max_length 3: raise it, or set"
    ):
        task.batches(of.train, seed=0)
    cut = ClassificationTask.build(of, run(max_length=3, too_long="truncate"))
    batch, _ = next(cut.batches(of.train, seed=0).stream())
    assert batch.source.shape[1] <= 3


def test_series_in_patches_and_pictures_as_pixels():
    patched = untrained("series", series=SeriesConfig(patch=4))
    assert (patched.inputs.front_end.patch, patched.inputs.front_end.stride) == (4, 4)
    pixels = untrained("image", picture=PictureConfig(view="pixels", colour="grey"))
    assert pixels.inputs.front_end.count == 36
    assert untrained("image").inputs.front_end.channels == 1
    long = data("series").train.sources[0].repeat(100, 0)
    wide = replace(data("series").train, sources=[long] * 120)
    assert ClassificationTask.build(replace(data("series"), train=wide), run()).inputs.front_end.patch > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_knows_how_it_was_trained(kind):
    task = untrained(kind)
    again = ClassificationTask.build(data(kind), task.run)
    assert again.config == task.config
    assert again.inputs.front_end == task.inputs.front_end


def test_sizes_are_matched():
    task = untrained(match="params=20k")
    assert task.parameters == pytest.approx(20_000, rel=0.2)


def test_character_and_subword_vocabularies(tmp_path):
    for kind in ("char", "bpe"):
        task = untrained(text=TextConfig(kind=kind, size=400))
        task.save(tmp_path / kind)
        assert load(tmp_path / kind).predict(["green sky"]) == task.predict(["green sky"])


def test_data_of_another_kind_is_refused():
    task = untrained()
    with pytest.raises(InputError, match="expected text with one label each, found series"):
        task.measure(data("series").test)
    with pytest.raises(InputError, match=r"part 9:0: the label 'purple' does not occur in training"):
        task.measure(replace(part("text", 1, 9), labels=[("purple",)]))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("classes", ["blue", "green"], "2 classes, but the model has 3 outputs"),
        ("classes", ["blue", "blue", "red"], "3 classes, but the model has 3 outputs"),
        ("weights", [1.0], "1 weights of 3 classes"),
        ("kind", "image", "a model of Tokens(vocabulary=12) does not read image"),
        ("kind", "video", "options: kind"),
        ("settings", {"arch": "lstm"}, "options.settings.arch: unknown key"),
        ("settings", {"batch_sise": 3}, "did you mean 'batch_size'"),
        ("classes", "many", "options: classes"),
    ],
)
def test_a_model_file_that_was_tampered_with(key, value, message, tmp_path):
    task = untrained()
    task.save(tmp_path / "model")
    place = tmp_path / "model" / "config.json"
    content = json.loads(place.read_text())
    content["options"][key] = value
    place.write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        load(tmp_path / "model")
    assert str(caught.value).startswith(str(place))
    assert message in str(caught.value)


def test_a_vocabulary_that_is_not_the_models(tmp_path):
    task = untrained()
    task.save(tmp_path / "model")
    untrained(text=TextConfig(size=5, min_count=1)).save(tmp_path / "other")
    place = tmp_path / "model" / "tokenizer.json"
    place.write_text((tmp_path / "other" / "tokenizer.json").read_text())
    with pytest.raises(InputError, match=r"tokenizer\.json: a vocabulary of 5 tokens, but the model reads"):
        load(tmp_path / "model")
    for content in ("{", '{"format": 7}', '{"format": 1, "source": {"kind": "word"}}'):
        place.write_text(content)
        with pytest.raises(InputError, match=r"tokenizer\.json: not a "):
            load(tmp_path / "model")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing: must be in"),
        ({"batch_size": 0}, "batch_size: must be at least 1"),
        ({"max_length": 0}, "max_length: must be at least 1"),
        ({"arch": "bahdanau"}, "'bahdanau' is an encoder-decoder"),
        ({"model": FORMS["encoder"]["gru"]}, r"model.pooling: labels are of whole items"),
        ({"arch": "bilstm_attention"}, "model: EncoderConfig is not the config of 'bilstm_attention'"),
    ],
)
def test_settings_that_cannot_be_meant(settings, message):
    base = run("gru").settings
    with pytest.raises(InputError, match=message):
        ClassificationConfig(**{**{name: getattr(base, name) for name in ("arch", "model")}, **settings})


@pytest.mark.slow
def test_a_resumed_training_is_the_uninterrupted_one(tmp_path):
    of = data()

    def weights(directory: Path, *budgets: str, edit: Callable[[TrainConfig], TrainConfig] = lambda c: c):
        for number, budget in enumerate(budgets):
            task = ClassificationTask.build(of, run())
            config = edit(replace(TRAINING, budget=budget, optim=OptimConfig(schedule="constant", warmup_steps=0)))
            train_task(task, of, directory, config, resume=number > 0)
        return load(directory / "last").model.state_dict()

    whole, parts = weights(tmp_path / "a", "12steps"), weights(tmp_path / "b", "5steps", "12steps")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_digits_as_pictures_and_as_rows():
    for form in ("image", "rows"):
        of = load_labelled(f"builtin:digits?as={form}", limit=200)
        task = ClassificationTask.build(of, run())
        batch, _ = next(task.batches(of.train, seed=0).stream())
        assert task.model(batch.source, batch.source_mask).shape == (16, 10)
        linear = next(g for g in task.baselines(of.train, of.valid, of.test) if g.name == "logistic regression")
        assert linear.metrics["accuracy"] > 0.8


def test_the_white_of_deep_pictures_is_stored_with_the_model(tmp_path):
    """Twelve bits in sixteen: a model that was trained with 4095 as white reads new pictures so, too."""
    for label in "ab":
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(8):
            values = np.random.default_rng(number + 8 * ord(label)).integers(0, 4096, (4, 4)).astype(np.uint16)
            values[0, 0] = 4095
            Image.fromarray(values).save(tmp_path / "data" / label / f"{number}.png")
    settings = {"picture.white": 4095, "picture.colour": "grey", "data_seed": 0}
    sightline.fit("classification", tmp_path / "data", "gru", "2steps", settings=settings).save(tmp_path / "model")
    model = sightline.load(tmp_path / "model")
    assert model.inputs.read(str(tmp_path / "data" / "a" / "0.png")).max() == 255


def test_missing_values_are_filled_in_use_as_in_training(tmp_path):
    lines = [f"{x},,{x + 2},{'a' if x % 2 else 'b'}" for x in range(20)]
    (tmp_path / "a.csv").write_text("x1,x2,x3,label\n0,1,3,a\n" + "\n".join(lines) + "\n")
    settings = {"series.missing": "linear"}
    sightline.fit("classification", tmp_path / "a.csv", "gru", "2steps", settings=settings).save(tmp_path / "model")
    inputs = sightline.load(tmp_path / "model").inputs
    for value in ("1,,3", "[1, null, 3]", [1.0, float("nan"), 3.0], np.array([1.0, np.nan, 3.0])):
        assert inputs.accept(value).tolist() == [[1], [2], [3]]
