"""Steps as machine code: the outputs of plain steps, one code for all models of a form, plain steps otherwise."""

from __future__ import annotations

import gc
import importlib
import logging
import sys
import weakref
from copy import deepcopy

import pytest
import torch
from torch import nn

from sightline.core.caches import Growing, content_of
from sightline.core.errors import InputError
from sightline.core.state import select
from sightline.decoding.engine import DecodingConfig, decode
from sightline.models import compiled, machine_code, step_code
from sightline.models.attentive import AttentiveConfig
from sightline.models.compiled import check_compiler, compile_ahead, step_of
from sightline.models.inference import for_inference
from sightline.models.language_model import LanguageModelConfig
from sightline.models.traced_form import traced_form
from sightline.models.transformer import TransformerConfig
from sightline.parts.token_embedding import Tokens
from tests.models.steps import recorded, stand_in
from tests.unchecked import unchecked

BOS, EOS, VOCABULARY = 1, 2, 40


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with unchecked():  # while torch records a step, sizes are symbols
        yield


def language_model(seed: int = 0, **settings):
    torch.manual_seed(seed)
    config = LanguageModelConfig(d_model=32, layers=1, heads=2, dropout=0.0, **settings)
    return config.build(Tokens(VOCABULARY)).eval()


def logits_of(step, model, tokens):
    """Logits of each step after a prompt."""
    with torch.inference_mode():
        _, state = model(tokens[:, :5], model.initial_state(len(tokens)))
        outputs = []
        for token in tokens[:, 5:].unbind(1):
            logits, state = step(token, state)
            outputs.append(logits)
    return torch.stack(outputs, 1)


def tokens_of(rows: int, count: int = 45):
    return torch.randint(4, VOCABULARY, (rows, count), generator=torch.Generator().manual_seed(rows))


def notes(caplog):
    return [record.message for record in caplog.records if record.name == "sightline"]


def code_alone(monkeypatch):
    """Whatever the time of the code, it is used; and how often codes were compiled."""
    monkeypatch.setattr(step_code.StepCode, "is_faster", lambda *_: True)
    made, compile_ = [], machine_code._compile
    monkeypatch.setattr(machine_code, "_compile", lambda *a: (made.append(a), compile_(*a))[1])
    return made


@pytest.mark.slow
def test_a_language_model_gives_the_same_logits_and_one_code_serves_all_of_its_form(monkeypatch, caplog):
    made, tokens = code_alone(monkeypatch), tokens_of(1)
    caplog.set_level(logging.INFO, "sightline")
    for seed in (0, 1):
        model = for_inference(language_model(seed))
        expected = logits_of(model.step, model, tokens)
        step = step_of(model, "float32", (1,))
        given = logits_of(step, model, tokens)
        assert torch.allclose(given, expected, atol=1e-5)
        assert [code for codes in step.codes._codes.values() for code in codes if code] != []
    assert len(made) == 1
    assert notes(caplog) == ["compiling the step for 1 row, once on this machine: some 20 s"]

    # A state is a value: a second continuation of it does not see the first one.
    with torch.inference_mode():
        _, state = model(tokens[:, :5], model.initial_state(1))
        for token in tokens[0, 5:9]:
            _, state = step(token.view(1), state)
        first = step(tokens[:, 9], state)
        again = step(tokens[:, 10], state)
        assert torch.equal(step(tokens[:, 11], first[1])[0], step(tokens[:, 11], step(tokens[:, 9], state)[1])[0])
        assert torch.allclose(again[0], model.step(tokens[:, 10], state)[0], atol=1e-5)

    # Several rows take the plain step.
    two = tokens_of(2)
    assert torch.equal(logits_of(step, model, two), logits_of(model.step, model, two))
    assert len(made) == 1


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 3])
def test_weights_of_8_bits_are_compiled_as_they_are_written(rows, monkeypatch):
    made = code_alone(monkeypatch)
    model = for_inference(language_model(), "int8")
    step = step_of(model, "int8", (rows,))
    traced = traced_form(model, "int8")
    tokens = tokens_of(rows, 16)
    logits_of(step, model, tokens)
    assert len(made) == 1
    (code,) = [code for codes in step.codes._codes.values() for code in codes if code]
    with torch.inference_mode():
        _, state = model(tokens, model.initial_state(rows))
        given, after = code.run(tokens[:, 3], list(step_code.stored_leaves(state)))
        expected, later = traced.step(tokens[:, 3], state)
    for one, other in [(given, expected), *zip(after, step_code.stored_leaves(later), strict=True)]:
        one, other = content_of(one), content_of(other)
        assert (one - other).abs().max() <= (1e-5 if rows == 1 else 0.02) * other.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize("config", [
    TransformerConfig(d_model=16, heads=2, layers=1, d_feed_forward=32, dropout=0.0),
    AttentiveConfig(d_model=16, dropout=0.0),
], ids=["transformer", "bahdanau"])  # fmt: skip
def test_a_beam_of_a_source_finds_the_same_texts(config, monkeypatch):
    made = code_alone(monkeypatch)
    torch.manual_seed(0)
    model = for_inference(config.build(Tokens(VOCABULARY), VOCABULARY).eval())
    sources = tokens_of(2, 7)
    sizes = (7, 5)

    def texts(step, beam):
        return [
            decode(lambda _, s=source[None, :size]: model.initial_state(model.encode(s)), step, [size],
                   DecodingConfig(beam=beam), bos=BOS, eos=EOS, max_length=24)[0].tokens
            for source, size in zip(sources, sizes, strict=True)
        ]  # fmt: skip

    step = step_of(model, "float32", (3,))
    assert texts(step, 3) == texts(model.step, 3)
    assert len(made) == 1
    assert any(code for codes in step.codes._codes.values() for code in codes)


@pytest.mark.parametrize("config", [
    TransformerConfig(d_model=16, heads=2, layers=1, d_feed_forward=32, dropout=0.0),
    TransformerConfig(d_model=16, heads=2, layers=1, d_feed_forward=32, dropout=0.0, positions="alibi"),
    AttentiveConfig(d_model=16, dropout=0.0),
], ids=["transformer", "alibi", "bahdanau"])  # fmt: skip
def test_what_is_recorded_of_a_beam_is_the_step(config, monkeypatch):
    """torch.export's program, run operation by operation, for branches of one row that end and fork, and for sources of
    two lengths.
    """
    programs = recorded(monkeypatch)
    torch.manual_seed(0)
    model = for_inference(config.build(Tokens(VOCABULARY), VOCABULARY).eval())
    step = step_of(model, "float32", (3,))
    for length in (7, 9):
        source, mask = tokens_of(1, length), torch.ones(1, length, dtype=torch.bool)
        token = torch.tensor([4, 5, 6])
        with torch.inference_mode():
            state = select(model.initial_state(model.encode(source, mask)), torch.tensor([0, 0, 0]))
            states = [state, state]
            for t in range(40):
                (logits, states[0]), (expected, states[1]) = step(token, states[0]), model.step(token, states[1])
                assert torch.allclose(logits, expected, atol=1e-5)
                index = torch.tensor([[0, 1, 2], [2, 0, 0], [1, 1, 1], [0, 2, 1]][t % 4])
                states = [select(one, index) for one in states]
                token = (token[index] * 7 + t) % VOCABULARY
        for one, other in zip(*map(step_code.stored_leaves, states), strict=True):
            assert torch.allclose(content_of(one).float(), content_of(other).float(), atol=1e-5)
    assert len(programs) == 1


def test_what_decides_about_the_code_is_part_of_its_name():
    def key(model, rows=1, precision="float32"):
        with torch.inference_mode():
            _, state = model(tokens_of(rows)[:, :5], model.initial_state(rows))
        leaves = list(step_code.stored_leaves(state))
        return step_code._name(model, tokens_of(rows)[:, 0], state, leaves, precision)

    model = language_model()
    assert key(model) == key(deepcopy(model)) == key(language_model(1))
    others = [key(model, rows=2), key(model, precision="bf16"), key(language_model(activation="swiglu"))]
    others += [key(language_model(positions="sinusoidal"))]
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    others.append(key(model))
    torch.set_num_threads(before)
    assert len({key(model), *others}) == len(others) + 1
    for part in model.modules():
        if isinstance(getattr(part, "eps", None), float):
            part.eps *= 2  # neither a weight nor a size
    assert key(model) not in [key(language_model()), *others]


def test_the_file_of_a_base_class_is_part_of_the_name(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    base = tmp_path / "own_base.py"
    base.write_text("from torch import nn\n\n\nclass Base(nn.Module):\n    factor = 2.0\n")
    (tmp_path / "own_part.py").write_text("from own_base import Base\n\n\nclass Part(Base):\n    pass\n")
    part = importlib.import_module("own_part").Part()

    def key():
        return step_code._name(part, torch.zeros(1), (), [], "float32")

    before = key()
    assert key() == before
    base.write_text(base.read_text().replace("2.0", "3.0"))
    assert key() != before
    for name in ("own_part", "own_base"):
        monkeypatch.delitem(sys.modules, name)


class Restless(nn.Module):
    """A decoder that no code can be made of: its state has another form after each step."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(VOCABULARY))

    def step(self, token, state):
        return self.weight[token], (state[0] + 1, None if state[1] is not None else state[0])


def test_a_model_that_cannot_be_compiled_keeps_its_step(caplog):
    model = Restless()
    step = step_of(model, "float32", (1,))
    state = (torch.zeros(1, 3), None)
    with torch.inference_mode():
        for token in range(8):
            logits, state = step(torch.tensor([token]), state)
            assert torch.equal(logits, model.weight[[token]])
            state = (state[0], None)
    assert notes(caplog) == ["the step cannot be compiled, and runs as it is: a step changes the form of the state"]


@pytest.mark.parametrize("worse", [False, True], ids=["right", "wrong"])
def test_the_first_token_is_read_by_the_code_for_later_ones_where_it_is_right(worse, monkeypatch):
    model = for_inference(language_model())
    calls = stand_in(monkeypatch)
    takes = step_code.StepCode.takes
    step = step_of(model, "float32", (1,))

    def read(count):
        state = model.initial_state(1)
        for token in tokens_of(1, count).unbind(1):
            logits, state = step(token, state)
        return logits

    with torch.inference_mode():
        read(6)
        (code,) = [code for codes in step.codes._codes.values() for code in codes if code]
        code._sizes = [["s", 1, 2, 16] if size else [1] for size in (1, 1, 0)]
        code._ranges, code._tracks = {"s": (2, sys.maxsize)}, [None] * 3
        code.takes = lambda leaves: takes(code, leaves)
        run = code.run
        code.run = lambda tokens, leaves: (run(tokens, leaves)[0] + worse, run(tokens, leaves)[1])
        for comparisons in (1, 0):
            calls.clear()
            logits = read(1)
            assert torch.allclose(logits, model.step(tokens_of(1, 1)[:, 0], model.initial_state(1))[0], atol=1e-5)
            assert len(calls) == 2 * (comparisons + (not worse))


def test_a_model_with_hooks_keeps_its_step():
    model, heard = language_model(), []
    handle = model.head.register_forward_hook(lambda *_: heard.append(1))
    step = step_of(for_inference(model), "float32", (1,))
    logits_of(step, model, tokens_of(1, 12))
    assert len(heard) == 8, "seven steps, and the prompt"
    handle.remove()
    assert step_of(for_inference(model), "float32", (1,)) != step


def test_no_state_is_kept(monkeypatch):
    model = for_inference(language_model())
    calls = stand_in(monkeypatch)
    step = step_of(model, "float32", (1,))
    with torch.inference_mode():
        _, state = model(tokens_of(1, 5), model.initial_state(1))
        for token in range(4, 9):
            _, state = step(torch.tensor([token]), state)
    assert calls
    content = [weakref.ref(leaf) for leaf in step_code.stored_leaves(state)]
    del state
    gc.collect()
    assert [leaf() for leaf in content] == [None] * len(content)


def test_what_is_compiled_ahead_is_all_that_is_compiled(monkeypatch):
    model = for_inference(language_model())
    calls = stand_in(monkeypatch)
    with torch.inference_mode():
        _, state = model(tokens_of(1, 5), model.initial_state(1))
    assert compile_ahead(model, "float32", (3, 1), state, 1) == ()  # sizes have not come twice
    another = for_inference(language_model(1))
    assert compile_ahead(another, "float32", (3, 1), another.initial_state(1), 8) == (1, 3)
    calls.clear()
    step = step_of(another, "float32", (1, 2, 3))
    with torch.inference_mode():
        _, single = another(tokens_of(1, 5), another.initial_state(1))
        for rows, count in ((1, 40), (3, 40), (2, 0)):
            state = select(single, torch.zeros(rows, dtype=torch.long))
            for token in tokens_of(rows, 40).unbind(1):
                _, state = step(token, state)
            assert len(calls) == count
            calls.clear()


@pytest.mark.parametrize(("worse", "message"), [
    ("wrong", "the compiled step differs by"), ("slow", None), ("right", None)
])  # fmt: skip
def test_code_that_differs_or_is_slower_is_not_used(worse, message, monkeypatch, caplog):
    model = for_inference(language_model())
    calls = stand_in(monkeypatch, added=1.0 if worse == "wrong" else 0.0, faster=worse != "slow")
    tokens = tokens_of(1)
    given = logits_of(step_of(model, "float32", (1,)), model, tokens)
    expected = logits_of(model.step, model, tokens)
    assert torch.allclose(given, expected, atol=1e-5)
    assert torch.equal(given, expected) or worse == "right"
    assert (len(calls) > 10) == (worse == "right")
    assert [note.rpartition(" by ")[0] + " by" for note in notes(caplog)] == [message] * bool(message)


def test_stored_code_that_differs_is_compiled_again(monkeypatch, caplog):
    model = for_inference(language_model())
    calls = stand_in(monkeypatch, stale=True)
    tokens = tokens_of(1)
    given = logits_of(step_of(model, "float32", (1,)), model, tokens)
    assert torch.allclose(given, logits_of(model.step, model, tokens), atol=1e-5)
    assert len(calls) > 10
    assert notes(caplog) == []


def test_what_is_kept_for_a_model_goes_with_it():
    model = language_model()
    step, gone = step_of(model, "float32", (1,)), weakref.ref(model)
    assert step_of(model, "float32", (1, 2)).codes is step.codes
    del model
    gc.collect()
    assert gone() is None
    with pytest.raises(RuntimeError, match=r"^the model of this step is gone$"):
        step(torch.tensor([4, 5]), None)


def test_where_nothing_can_be_compiled(monkeypatch):
    with pytest.raises(InputError, match=r"^--compiled: needs a CPU, found cuda$"):
        check_compiler(torch.device("cuda"))
    monkeypatch.setattr(compiled.shutil, "which", lambda _: None)
    with pytest.raises(InputError, match=r"^--compiled: needs a C\+\+ compiler: found neither g\+\+ nor clang\+\+$"):
        step_of(language_model(), "float32", (1,))
    model = language_model()
    assert step_of(model, "float32") == model.step


def test_room_is_contiguous_and_is_written_once():
    x = torch.arange(24.0).view(2, 3, 4)
    with torch.inference_mode():
        value = Growing(x.clone(), 2)
        buffer, after = value.room(1)
        assert buffer.shape == value.room_shape(1) == (5, 2, 3)
        assert buffer.is_contiguous()
        buffer[-1] = 7.0
        assert torch.equal(after.tensor[..., :4], x)
        assert (after.tensor[..., 4] == 7).all()
        assert after.follows(value, 1)
        assert not value.follows(after, 1)
        further = after.room(1)[0]
        assert further.untyped_storage().data_ptr() == buffer.untyped_storage().data_ptr()
        other = value.room(1)[0]  # what follows is taken
        assert other.untyped_storage().data_ptr() != buffer.untyped_storage().data_ptr()
        within = Growing.within(other, 2, 1)
        assert torch.equal(within.tensor, x)
        rows = select((Growing(x.clone(), 2),), torch.tensor([1, 1, 0]))[0]  # branches
        assert rows.room_shape(2) == (6, 3, 3)
        assert torch.equal(rows.room(2)[0][:4].movedim(0, 2), x[[1, 1, 0]])
