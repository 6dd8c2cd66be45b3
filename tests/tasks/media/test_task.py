from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from sightline.core.config import override
from sightline.core.errors import InputError
from sightline.data.batches import Cursor
from sightline.data.tokens.tokenizer import Tokenizer
from sightline.decoding.engine import DecodingConfig
from sightline.models import ARCHITECTURES
from sightline.tasks.fit import train_task
from sightline.tasks.load import load, part_of_data
from sightline.tasks.media.config import PictureConfig, SoundConfig, parse_sources
from sightline.training.flops import shapes
from sightline.training.optim import OptimConfig
from sightline.training.state import TrainConfig
from tests.tasks.media.small import KINDS, RATE_HZ, manifests, run, tones


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return manifests(tmp_path_factory.mktemp("media"))


def untrained(kind, files, arch="bahdanau", **changes):
    config = run(kind, files[kind], arch, **changes)
    data = KINDS[kind].load_data(config)
    return KINDS[kind].build(data, config), data


@pytest.fixture(scope="module", params=KINDS)
def trained(request, files, tmp_path_factory):
    """A run long enough to learn its task, of each kind."""
    task, data = untrained(request.param, files)
    training = TrainConfig(
        budget="250steps", dtype="float32", validations=2, optim=OptimConfig(lr=1e-2, warmup_steps=10)
    )
    where = tmp_path_factory.mktemp("runs") / request.param
    return request.param, where, train_task(task, data, where, training), data


@pytest.mark.slow
def test_each_kind_is_learnt(trained):
    kind, _, result, data = trained
    found = result.task.measure(data.test)
    assert found.metrics["exact_match"] >= 0.8, found.outputs
    measured = result.task.baselines(data.train, data.valid, data.test)
    baselines = {baseline.name: baseline.metrics["exact_match"] for baseline in measured}
    assert found.metrics["exact_match"] > baselines["most frequent target"]
    if kind == "answering":
        assert found.metrics["exact_match"] > baselines["most frequent for the question"]
    assert found.references == data.test.targets
    names = result.task.metrics(data, run(kind, Path("x")))
    assert names[0] == ("cer" if kind == "transcription" else "exact_match")
    assert set(names) == found.items.keys()


@pytest.mark.slow
def test_what_was_saved_says_the_same(trained, tmp_path):
    _, where, result, data = trained
    task = load(where)
    assert type(task) is type(result.task)
    assert task.config == result.task.config
    assert task.measure(data.test).outputs == result.task.measure(data.test).outputs
    task.save(tmp_path / "copy")
    again = load(tmp_path / "copy")
    card = (tmp_path / "copy" / "README.md").read_text()
    assert f"{' and '.join(kind for _, kind in task.trained.columns.columns)} to text" in card
    for name, tensor in again.model.state_dict().items():
        assert torch.equal(tensor, task.model.state_dict()[name])
    assert again.run.corpus.sources == task.run.corpus.sources


@pytest.mark.slow
def test_files_are_answered_as_items_are(trained, files):
    kind, _, result, data = trained
    folder = files[kind].parent
    part = data.test
    column = part.columns[0]
    paths = [folder / column.shown(row) for row in range(len(part))]
    expected = list(result.task.measure(part).outputs)
    if kind == "answering":
        questions = list(zip(paths, part.columns[1].texts, strict=True))
        assert result.task.predict(questions) == expected
        lines = [f"{path}\t{text}" for path, text in questions]
        with pytest.raises(InputError, match=r"input 2: expected 2 values \(image, question\), found 1"):
            result.task.answer([lines[0], str(paths[0])])
    else:
        assert result.task.predict(paths) == expected
        lines = list(map(str, paths))
    answers = result.task.answer(lines)
    assert [answer.text for answer in answers] == expected
    assert answers[0].record["source"] == lines[0]
    assert result.task.answer([]) == []
    beam = result.task.answer(lines[:3], DecodingConfig(beam=3))
    assert all(b.record["score"] >= a.record["score"] - 1e-4 for a, b in zip(answers, beam, strict=False))
    with pytest.raises(InputError) as caught:
        result.task.predict([lines[0].split("\t"), ["nowhere.wav", *lines[0].split("\t")[1:]]])
    assert str(caught.value).startswith("input 2: nowhere.wav: ")


@pytest.mark.slow
def test_sampling_does_not_depend_on_how_inputs_are_cut(trained, files):
    _, _, result, data = trained
    part = data.test.select(range(4))
    decoding = DecodingConfig(sample=True, temperature=3.0, seed=5)
    writer = result.task.trained

    def texts(decoding, rows, first=0):
        outputs = writer.write(writer.sources_of(part.select(rows)), decoding, first=first)
        return [output.text for output in outputs]

    whole = texts(decoding, range(4))
    assert whole == texts(decoding, [0, 1]) + texts(decoding, [2, 3], first=2)
    assert whole != texts(replace(decoding, seed=6), range(4))


def stepwise(task, part, row) -> tuple[float, int]:
    """Log-probability of an item's target and how many of its tokens rank first, token by token, the item alone."""
    labels = [*task.tokenizers.target.encode(part.targets[row]), Tokenizer.EOS]
    task.model.eval()
    with torch.no_grad():
        state = task.trained.begin(task.trained.sources_of(part.select([row])), [0])
        total, right, token = 0.0, 0, Tokenizer.BOS
        for label in labels:
            logits, state = task.model.step(torch.tensor([token]), state)
            total += logits[0].double().log_softmax(0)[label].item()
            right += int(logits[0].argmax()) == label
            token = label
    return total, right


# The tasks share their code: every architecture runs with one of them in `make quick`, with all in `make test`.
EACH_KIND = [pytest.param(kind, marks=() if kind == "captioning" else pytest.mark.slow) for kind in KINDS]


@pytest.mark.slow
@pytest.mark.parametrize("kind", EACH_KIND)
@pytest.mark.parametrize("arch", ["gru", "luong", "transformer", "gated_delta"])
def test_loss_is_that_of_predicting_token_by_token_each_item_alone(kind, arch, files):
    task, data = untrained(kind, files, arch)
    part = data.valid
    found = task.measure(part).metrics
    scores = [stepwise(task, part, row) for row in range(len(part))]
    tokens = sum(len(task.tokenizers.target.encode(target)) + 1 for target in part.targets)
    assert found["loss"] == pytest.approx(-sum(total for total, _ in scores) / tokens, rel=1e-4)
    assert found["token_accuracy"] == pytest.approx(sum(right for _, right in scores) / tokens)


@pytest.mark.parametrize("kind", EACH_KIND)
@pytest.mark.parametrize("arch", [name for name in ARCHITECTURES if name != "transformer-2017"])
def test_any_architecture_serves(kind, arch, files):
    task, data = untrained(kind, files, arch)
    batch, _ = next(task.batches(data.train, seed=0).stream(Cursor()))
    loss = task.loss(task.model.train(), batch)
    loss.total.backward()
    gradients = [parameter.grad for parameter in task.model.parameters()]
    assert loss.count == batch.tokens
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_a_preset_that_shares_embeddings_with_its_source_does_not_here():
    assert KINDS["captioning"].preset("transformer-2017").settings.model.tie == "target"
    with pytest.raises(InputError, match="all is for texts on both sides"):
        override(KINDS["captioning"].preset("transformer-2017"), {"model.tie": "all"})


@pytest.mark.parametrize("kind", KINDS)
def test_batches_go_on_where_they_stopped(kind, files):
    task, data = untrained(kind, files)

    def tensors(batch):
        several = not torch.is_tensor(batch.source)
        source = chain(*batch.source) if several else (batch.source, batch.source_mask)
        return [*source, batch.target, batch.target_mask]

    whole = list(islice(task.batches(data.train, seed=3).stream(Cursor()), 9))
    resumed = list(islice(task.batches(data.train, seed=3).stream(whole[4][1]), 4))
    for (batch, cursor), (other, following) in zip(resumed, whole[5:], strict=True):
        assert (batch.rows, cursor) == (other.rows, following)
        assert shapes(batch) == shapes(other)
        for mine, theirs in zip(tensors(batch), tensors(other), strict=True):
            assert mine is theirs is None or torch.equal(mine, theirs)
    assert [batch.rows for batch, _ in islice(task.batches(data.train, seed=4).stream(Cursor()), 9)] != [
        batch.rows for batch, _ in whole
    ]


def test_batches_keep_their_bound_and_hold_each_item_once(files):
    task, data = untrained("transcription", files)
    batches = task.batches(data.train, seed=0)
    seen = []
    for batch in batches.epoch(0):
        frames = task.config.sound.front_end.length_out(batch.source.shape[1])
        assert len(batch.rows) * max(frames - 1, batch.target.shape[1]) <= task.config.batch_tokens
        for row, samples, mask in zip(batch.rows, batch.source, batch.source_mask, strict=True):
            np.testing.assert_array_equal(samples[mask], data.train.columns[0].array(row))
            assert not samples[~mask].any()
            seen.append(row)
    assert sorted(seen) == list(range(len(data.train)))


def test_items_that_are_too_long_are_named_by_line(files):
    task, data = untrained("transcription", files, batch_tokens=8)
    with pytest.raises(InputError, match=r"tones\.csv:\d+: has (\d+) positions, more than batch_tokens 8: set .*=\1"):
        task.batches(data.train, seed=0)
    assert task.measure(data.valid).metrics["loss"] > 0  # scoring takes whatever there is


@pytest.mark.slow
def test_sounds_at_another_rate_and_pictures_of_another_size_are_refused(files):
    task, _ = untrained("transcription", files)
    other = KINDS["transcription"].load_data(run("transcription", files["transcription"], **{"sound.rate_hz": 2000}))
    with pytest.raises(InputError) as caught:
        task.measure(other.test)
    assert (
        str(caught.value) == "sound.rate_hz: sounds were read at 2000 samples a second, the model was trained at 4000"
    )
    task, _ = untrained("captioning", files)
    small = run(
        "captioning", files["captioning"], **{"picture.height": 4, "picture.width": 4, "picture.fit": "stretch"}
    )
    part = KINDS["captioning"].read_part(small)
    with pytest.raises(InputError, match=r"quarters\.csv:2: has 1 x 4 x 4 values, the model was trained on 1 x 8 x 8"):
        task.measure(part)
    answering, data = untrained("answering", files)
    with pytest.raises(InputError, match="sources: expected sources of kind image, text, found image"):
        answering.measure(replace(data.test, columns=data.test.columns[:1]))


def test_pictures_of_several_sizes_need_one_to_be_named(files, tmp_path):
    shutil.copytree(files["captioning"].parent, tmp_path / "copy")
    manifest = tmp_path / "copy" / "quarters.csv"
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / "copy" / "0.png")
    config = run("captioning", manifest)
    data = KINDS["captioning"].load_data(config)
    with pytest.raises(InputError, match=r"the pictures have 2 sizes \(6 x 8, 8 x 8\): make them alike by --picture"):
        KINDS["captioning"].build(data, config)
    named = override(config, {"picture.height": 8, "picture.width": 8, "picture.fit": "pad"})
    task = KINDS["captioning"].build(KINDS["captioning"].load_data(named), named)
    assert (task.config.picture.height, task.config.picture.width) == (8, 8)


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (("pcture:img",), "sources: expected column:kind, kind being audio, image or text, found 'pcture:img'"),
        (("a:image", "a:text"), "sources: expected one or more different columns, found a, a"),
        ((), "sources: expected one or more different columns, found "),
        (("a:text",), "sources: expected a sound or a picture among them: texts alone are for translation"),
        (("a:imge",), "sources: expected column:kind, kind being audio, image or text, found 'a:imge', did you mean"),
    ],
)
def test_sources_that_cannot_be_meant(sources, message):
    with pytest.raises(InputError) as caught:
        parse_sources(sources)
    assert str(caught.value).startswith(message)


def test_sources_are_columns_with_kinds():
    assert parse_sources(("audio",)) == (("source", "audio"),)
    assert parse_sources(("my:clip:audio", "q:text")) == (("my:clip", "audio"), ("q", "text"))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: SoundConfig(stride=3), "stride: must be one of 1, 2, 4, 8, found 3"),
        (lambda: SoundConfig(max_s=0.0), "max_s: must be positive and finite, found 0.0"),
        (lambda: PictureConfig(height=3), "height: must be given together with width"),
        (lambda: PictureConfig(view="levels"), "view: levels are of grey: set colour to grey"),
        (lambda: PictureConfig(ground=256), "ground: must be from 0 to 255, found 256"),
    ],
)
def test_settings_that_cannot_be_meant(made, message):
    with pytest.raises(InputError) as caught:
        made()
    assert str(caught.value) == message


def changed(directory: Path, change) -> None:
    path = directory / "config.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["options"].update(sources=["image:image"]), "settings for "),
        (lambda c: c["options"].update(sources=["image:picture"]), "sources: expected column:kind"),
        (lambda c: c["options"]["settings"].update(arch="gru"), "settings.arch: unknown key"),
        (lambda c: c["options"]["settings"]["picture"].update(patch=2), "settings for "),
        (lambda c: c["options"].update(longest_output=0), "longest_output: must be at least 1, found 0"),
        (lambda c: c["source"].update(parts=7), "expected the keys kind and parts"),
        (lambda c: c["source"]["parts"][0].update(kind="patch"), "source.parts[0]: unknown kind 'patch', did you mean"),
        (lambda c: c["source"]["parts"][0].update(patch=3), "source.parts[0]: patch: must divide height and width"),
        (lambda c: c["source"]["parts"].append({"kind": "several"}), "several sources cannot be a part of several"),
        (lambda c: c["source"]["parts"].clear(), "must be 1 to 16 sources, none of them several sources itself"),
        (lambda c: c["source"]["parts"][1].update(vocabulary=2**40), "tensor"),
        (lambda c: c.update(task="captioning"), ""),
    ],
)  # fmt: skip
def test_files_that_were_meddled_with_are_refused(change, message, files, tmp_path):
    task, _ = untrained("answering", files)
    task.save(tmp_path / "model")
    changed(tmp_path / "model", change)
    if not message:  # a model of several sources is one whatever its task is called
        assert load(tmp_path / "model").trained.columns.columns == task.trained.columns.columns
        return
    with pytest.raises(InputError) as caught:
        load(tmp_path / "model")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_without_its_run_reads_data_as_it_was_trained(files, tmp_path):
    """Its rate and its columns come from the model itself."""
    task, _ = untrained("transcription", files)
    task.save(tmp_path / "model")
    found = load(tmp_path / "model")
    part = part_of_data(found, tmp_path / "model", {"data": str(files["transcription"])})
    assert part.size == 200
    assert part.unit == "items"
    assert found.measure(part.items).metrics["loss"] > 0


@pytest.mark.slow
def test_costs_and_facts(files):
    task, data = untrained("transcription", files)
    costs = task.costs(data.test)
    assert costs.per == "token"
    assert costs.ms > 0
    assert costs.state_bytes > 0
    assert "positions and" in costs.state_of
    assert task.facts()["sources"] == "source (audio)"
    lengths = task.lengths(data.test)
    info = soundfile.info(str(files["transcription"].parent / task.sources(data.test)[0]))
    assert lengths[0] == round(1000 * info.frames / RATE_HZ)
    described = task.describe(data)
    assert described["positions"]["longest"] == max(
        task.config.sound.front_end.length_out(data.train.columns[0].shape(row)[0]) for row in range(len(data.train))
    )


def test_missing_data_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"--data: no data: give a manifest, a table with columns source and target"):
        KINDS["transcription"].load_data(KINDS["transcription"].preset("gru"))
    with pytest.raises(InputError, match="columns image, question and target"):
        KINDS["answering"].load_data(KINDS["answering"].preset("gru"))


def test_a_sound_of_no_known_word_is_still_answered(tmp_path):
    """What the model has never heard gets an output, cut off or not, never an error."""
    manifest = tones(tmp_path, 24)
    config = run("transcription", manifest)
    task = KINDS["transcription"].build(KINDS["transcription"].load_data(config), config)
    soundfile.write(tmp_path / "click.wav", np.ones(1), RATE_HZ)
    (answer,) = task.answer([str(tmp_path / "click.wav")], DecodingConfig(max_length=3))
    assert len(answer.text) <= 3
    assert answer.complete or len(answer.record["output"]) > 0
