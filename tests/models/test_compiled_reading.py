"""Readings of one source as machine code: the states of plain readings, for every length, plain readings otherwise."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.core.state import form, leaves, stored_leaves
from sightline.decoding.engine import DecodingConfig, decode
from sightline.models import compiled, machine_code, reading_code
from sightline.models.attentive import AttentiveConfig
from sightline.models.compiled_reading import CompiledReading, compile_reading_ahead, reading_of
from sightline.models.inference import for_inference
from sightline.models.reading_code import read_source
from sightline.models.traced_form import traced_form
from sightline.models.transformer import TransformerConfig
from sightline.parts.token_embedding import Tokens
from tests.models.steps import recorded_reading, stand_in_reading
from tests.unchecked import unchecked

BOS, EOS, VOCABULARY = 1, 2, 40


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with unchecked():  # while torch records a reading, sizes are symbols
        yield


def transformer(seed: int = 0, **settings):
    torch.manual_seed(seed)
    config = TransformerConfig(d_model=16, heads=2, layers=1, d_feed_forward=32, dropout=0.0, **settings)
    return config.build(Tokens(VOCABULARY), VOCABULARY).eval()


def source_of(length: int):
    return torch.randint(4, VOCABULARY, (1, length), generator=torch.Generator().manual_seed(length))


def contents(state):
    return list(leaves(state))


def same(state, other):
    """Whether two states have the same content, but for rounding."""
    pairs = zip(contents(state), contents(other), strict=True)
    return all(a.shape == b.shape and torch.allclose(a.float(), b.float(), atol=1e-5) for a, b in pairs)


def notes(caplog):
    return [record.message for record in caplog.records if record.name == "sightline"]


def greedy_of(model, reading, length):
    (one,) = decode(
        lambda _: reading(source_of(length), None), model.step, [length], DecodingConfig(), bos=BOS, eos=EOS,
        max_length=12,
    )  # fmt: skip
    return one


@pytest.mark.parametrize("settings", [
    {}, {"positions": "sinusoidal", "order": "post", "tie": "none"}, {"positions": "alibi"}, {"positions": "learned"},
], ids=["rotary", "2017", "alibi", "learned"])  # fmt: skip
def test_what_is_recorded_of_one_source_is_the_reading_of_every_length(settings, monkeypatch):
    """torch.export's program, run operation by operation: one program, the same states, tokens and scores."""
    programs = recorded_reading(monkeypatch)
    model = for_inference(transformer(**settings))
    reading = reading_of(model, "float32", (1,))
    with torch.inference_mode():
        for length in (7, 7, 2, 3, 40):
            state, expected = reading(source_of(length), None), read_source(model, source_of(length))
            assert same(state, expected)
            logits, expected_logits = (model.step(torch.tensor([BOS]), one)[0] for one in (state, expected))
            assert torch.allclose(logits, expected_logits, atol=1e-5)
    for length in (5, 9):
        one = greedy_of(model, reading, length)
        expected = greedy_of(model, lambda source, _: read_source(model, source), length)
        assert one.tokens == expected.tokens
        assert one.score == pytest.approx(expected.score, abs=1e-4)
    assert len(programs) == 1


def test_a_reading_that_loops_over_positions_stays_as_it_is(monkeypatch, caplog):
    programs = recorded_reading(monkeypatch)
    torch.manual_seed(0)
    model = for_inference(AttentiveConfig(d_model=16, dropout=0.0).build(Tokens(VOCABULARY), VOCABULARY).eval())
    reading = reading_of(model, "float32", (1,))
    with torch.inference_mode():
        for length in (6, 6, 4, 11):
            assert same(reading(source_of(length), None), read_source(model, source_of(length)))
    assert (programs, notes(caplog)) == ([], [])


def test_what_is_padded_or_several_takes_the_plain_reading(monkeypatch):
    calls = stand_in_reading(monkeypatch)
    model = for_inference(transformer())
    assert compile_reading_ahead(model, "float32", source_of(7))
    calls.clear()
    reading = reading_of(model, "float32", (1,))
    several = source_of(12).view(2, 6)
    mask = torch.ones(1, 6, dtype=torch.bool)
    mask[0, 4:] = False
    with torch.inference_mode():
        for source, hidden in ((several, None), (source_of(6), mask), (source_of(1), None)):
            state, expected = reading(source, hidden), read_source(model, source, hidden)
            assert all(map(torch.equal, contents(state), contents(expected)))
        assert calls == []
        reading(source_of(6), None)
        assert calls
    calls.clear()
    with torch.enable_grad():
        reading(source_of(6), None)
    assert calls == []


def test_a_model_with_hooks_keeps_its_reading(monkeypatch):
    calls = stand_in_reading(monkeypatch)
    model, heard = transformer(), []
    handle = model.encoder.encoder.register_forward_hook(lambda *_: heard.append(1))
    reading = reading_of(for_inference(model), "float32", (1,))
    with torch.inference_mode():
        for _ in range(3):
            reading(source_of(6), None)
    assert (len(heard), calls) == (3, [])
    assert not compile_reading_ahead(for_inference(model), "float32", source_of(7))
    handle.remove()
    assert isinstance(reading_of(for_inference(model), "float32", (1,)), CompiledReading)


def test_every_model_has_its_own_code(monkeypatch):
    recorded_reading(monkeypatch)
    models = [transformer(0), transformer(1)]
    for change in (False, True):
        if change:
            with torch.no_grad():
                models[0].encoder.front_end.embedding.weight.mul_(2.0)
        with torch.inference_mode():
            for model in map(for_inference, models):
                reading = reading_of(model, "float32", (1,))
                for _ in range(3):
                    assert same(reading(source_of(6), None), read_source(model, source_of(6)))
    with torch.inference_mode():
        first, second = (read_source(for_inference(model), source_of(6)) for model in models)
    assert not same(first, second)


def test_code_is_for_the_second_source_that_comes_alone_or_ahead(monkeypatch):
    calls = stand_in_reading(monkeypatch)
    models = [for_inference(transformer()), for_inference(transformer(1))]
    assert compile_reading_ahead(models[1], "float32", source_of(7))
    for model, first in zip(models, (0, 1), strict=True):
        reading = reading_of(model, "float32", (1,))
        for expected in (first, 1):
            calls.clear()
            with torch.inference_mode():
                reading(source_of(5), None)
            assert bool(calls) == bool(expected)
    assert reading_of(models[1], "float32", (1, 4)).codes is reading.codes


@pytest.mark.parametrize(("worse", "message"), [
    ("wrong", "the compiled reading of a source differs by"), ("slow", None), ("right", None)
])  # fmt: skip
def test_code_that_differs_or_is_slower_is_not_used(worse, message, monkeypatch, caplog):
    model = for_inference(transformer())
    calls = stand_in_reading(monkeypatch, added=1.0 if worse == "wrong" else 0.0, faster=worse != "slow")
    reading = reading_of(model, "float32", (1,))
    with torch.inference_mode():
        for length in (6, 6, 7, 6, 7):
            assert same(reading(source_of(length), None), read_source(model, source_of(length)))
    assert (len(calls) > 2) == (worse == "right")
    assert [note.rpartition(" by ")[0] + " by" for note in notes(caplog)] == [message] * bool(message)


def test_code_may_gain_for_short_sources_alone(monkeypatch):
    model = for_inference(transformer())
    calls = stand_in_reading(monkeypatch)
    monkeypatch.setattr(reading_code.ReadingCode, "is_faster", lambda _, plain, source: source.shape[1] < 16)
    reading = reading_of(model, "float32", (1,))
    with torch.inference_mode():
        for length in (6, 6, 30, 31):
            reading(source_of(length), None)
        calls.clear()
        for length in (5, 7, 20, 30):
            reading(source_of(length), None)
    assert [source.shape[1] for source in calls] == [5, 7]


def test_stored_code_that_differs_is_compiled_again(monkeypatch, caplog):
    model = for_inference(transformer())
    calls = stand_in_reading(monkeypatch, stale=True)
    reading = reading_of(model, "float32", (1,))
    with torch.inference_mode():
        for _ in range(4):
            assert same(reading(source_of(6), None), read_source(model, source_of(6)))
    assert len(calls) > 3
    assert notes(caplog) == []


class Fickle(nn.Module):
    """A model that no code can be made of: its state has another form at each reading."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(VOCABULARY))
        self.turns = iter(range(99))

    def encode(self, source, mask=None):
        return self.weight[source]

    def initial_state(self, memory):
        return (memory,) * (1 + next(self.turns) % 2)

    def __deepcopy__(self, memo):
        return Fickle()


def test_a_model_that_cannot_be_compiled_keeps_its_reading(caplog):
    model = Fickle()
    reading = reading_of(model, "float32", (1,))
    with torch.inference_mode():
        for _ in range(3):
            assert torch.equal(reading(source_of(6), None)[0], torch.eye(VOCABULARY)[source_of(6)])
            reading(source_of(6), None)
    (note,) = notes(caplog)
    assert note.startswith("the reading of a source cannot be compiled, and runs as it is: ")


def test_what_is_kept_for_a_model_goes_with_it(monkeypatch):
    stand_in_reading(monkeypatch)
    model = transformer()
    reading, gone = reading_of(model, "float32", (1,)), weakref.ref(model)
    with torch.inference_mode():
        states = [weakref.ref(leaf) for _ in range(3) for leaf in stored_leaves(reading(source_of(6), None))]
    gc.collect()
    assert [leaf() for leaf in states] == [None] * len(states)
    del model
    gc.collect()
    assert gone() is None
    with pytest.raises(RuntimeError, match=r"^the model of this reading is gone$"):
        reading(torch.tensor([[4, 5]]), torch.ones(1, 2, dtype=torch.bool))


def test_what_decides_about_the_code_is_part_of_its_name(monkeypatch):
    names: list[str] = []
    monkeypatch.setattr(reading_code, "machine_code", lambda name, *_, **__: names.append(name))

    def name(model, precision="float32", length=6):
        one = for_inference(model, precision)
        with torch.inference_mode():
            like = read_source(one, source_of(length))
        with pytest.raises(AttributeError):  # no code to make
            reading_code.reading_code(traced_form(one, precision), source_of(length), like, precision)
        return names[-1]

    assert name(transformer()) == name(transformer(1)) == name(transformer(), length=9)
    others = [name(transformer(), "bf16"), name(transformer(positions="alibi")), name(transformer(norm="rms"))]
    assert len({name(transformer()), *others}) == len(others) + 1


def test_where_nothing_can_be_compiled(monkeypatch):
    monkeypatch.setattr(compiled.shutil, "which", lambda _: None)
    with pytest.raises(InputError, match=r"^--compiled: needs a C\+\+ compiler: found neither g\+\+ nor clang\+\+$"):
        reading_of(transformer(), "float32", (1,))
    assert not isinstance(reading_of(transformer(), "float32"), CompiledReading)


@pytest.mark.parametrize("precision", ["float32", "bf16", "int8"])
def test_what_the_compiler_reads_gives_a_state_of_the_same_form(precision):
    model = for_inference(transformer(), precision)
    with torch.inference_mode():
        plain, written = (read_source(one, source_of(12)) for one in (model, traced_form(model, precision)))
    assert form(written) == form(plain)
    for one, other in zip(contents(written), contents(plain), strict=True):
        assert one.shape == other.shape
        assert not one.numel() or (one - other).abs().max() <= 0.05 * other.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bf16", "int8"])
def test_machine_code_reads_as_the_model_does_and_serves_all_of_its_form(precision, monkeypatch, caplog):
    monkeypatch.setattr(reading_code.ReadingCode, "is_faster", lambda *_: True)
    compilations, compile_ = [], machine_code._compile
    monkeypatch.setattr(machine_code, "_compile", lambda *a: (compilations.append(a), compile_(*a))[1])
    for seed in (0, 1):
        model = for_inference(transformer(seed, positions="sinusoidal", order="post", tie="none"), precision)
        traced = traced_form(model, precision)
        reading = reading_of(model, precision, (1,))
        with torch.inference_mode():
            for length in (7, 7, 2, 12, 40):
                state, written = reading(source_of(length), None), read_source(traced, source_of(length))
                assert list(map(torch.Tensor.size, contents(state))) == list(map(torch.Tensor.size, contents(written)))
                for one, other in zip(contents(state), contents(written), strict=True):
                    share = 1e-5 if precision == "float32" else 0.02
                    assert torch.allclose(
                        one, other, rtol=0.0, atol=share * max([1.0, *other.abs().flatten().tolist()])
                    )
        assert notes(caplog) == []
        if precision == "float32":
            for length in (5, 9):
                expected = greedy_of(model, lambda source, _, m=model: read_source(m, source), length)
                assert greedy_of(model, reading, length).tokens == expected.tokens
    assert len(compilations) == 1
