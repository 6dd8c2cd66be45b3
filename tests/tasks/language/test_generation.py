"""Generated text equals that of a plain loop in any batch, up to a stop string or a limit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sightline.cli.stream import harmless
from sightline.core.errors import InputError
from sightline.data.text.corpus import load_text
from sightline.data.tokens.text import TextTokenizer
from sightline.decoding.engine import DecodingConfig
from sightline.models import LANGUAGE_MODELS
from sightline.models.decoder import Decoder
from sightline.parts.positions import position_limit
from sightline.tasks.language.config import LanguageConfig, TextTokenizerConfig
from sightline.tasks.language.generation import GenerationConfig, _Listener
from sightline.tasks.language.task import LanguageTask

PROMPTS = ["", "the cat", "日本", "x", "a much longer prompt than the others, with über in it"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_text("the cat sat on the mat, über 日本語 and so on.\n" * 50)
    return load_text(path)


def made(corpus, arch: str = "transformer", kind: str = "byte", **sizes) -> LanguageTask:
    model = replace(LANGUAGE_MODELS[arch], d_model=16, layers=1, dropout=0.0, **sizes)
    config = LanguageConfig(arch=arch, model=model, tokenizer=TextTokenizerConfig(kind, 300))
    return LanguageTask.create(corpus, config, seed=2)


def config(most: int = 12, **options) -> GenerationConfig:
    own = {key: options.pop(key) for key in ("samples", "stop", "truncate") if key in options}
    return GenerationConfig(DecodingConfig(max_length=most, **options), **own)


def plain(task: LanguageTask, prompt: str, most: int) -> list[int]:
    """Greedy decoding that reads everything again for each token."""
    tokens = [TextTokenizer.BOS, *task.tokenizer.encode(prompt).tolist()]
    written: list[int] = []
    while len(written) < most:
        logits = task.decoder.eval()(torch.tensor([tokens + written]), None)[0][0, -1]
        logits[[TextTokenizer.PAD, TextTokenizer.BOS, TextTokenizer.UNK]] = -torch.inf
        token = int(logits.argmax())
        if token == TextTokenizer.EOS:
            break
        written.append(token)
    return written


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["transformer", "lstm", "window", "gated_delta"])
def test_greedy_is_what_a_plain_loop_says_alone_and_in_a_batch(corpus, arch):
    task = made(corpus, arch)
    expected = [task.tokenizer.decode(plain(task, prompt, 12)) for prompt in PROMPTS]
    assert [actual.text for actual in task.generate(PROMPTS, config())] == expected
    assert [task.generate([prompt], config())[0].text for prompt in PROMPTS] == expected
    assert task.predict(PROMPTS[:2], DecodingConfig(max_length=12)) == expected[:2]


@pytest.mark.slow
def test_a_prompt_longer_than_what_is_read_at_a_time(corpus):
    task = made(corpus, "gru")
    prompt = "the cat sat " * 200
    expected = task.tokenizer.decode(plain(task, prompt, 5))
    assert task.generate([prompt, "the"], config(5))[0].text == expected


def test_a_seed_decides_and_every_output_has_its_own_stream(corpus):
    task = made(corpus)
    drawn = task.generate(["the", "cat"], config(sample=True, samples=3, seed=4))
    assert [one.prompt for one in drawn] == ["the"] * 3 + ["cat"] * 3
    assert len({one.text for one in drawn}) == 6
    assert task.generate(["the", "cat"], config(sample=True, samples=3, seed=4)) == drawn
    alone = task.generate(["cat"], config(sample=True, samples=3, seed=4), first=3)
    assert [one.text for one in alone] == [one.text for one in drawn[3:]]
    assert task.generate(["the", "cat"], config(sample=True, samples=3, seed=5)) != drawn


def test_samples_of_a_prompt_read_it_once(corpus, monkeypatch):
    task, rows = made(corpus), []
    of_model = Decoder.read
    monkeypatch.setattr(Decoder, "read", lambda self, x, *rest: rows.append(len(x)) or of_model(self, x, *rest))
    drawn = task.generate(["the", "a cat"], config(5, sample=True, samples=3))
    assert rows == [2]
    alone = [task.generate([one.prompt], config(5, sample=True), first=n)[0] for n, one in enumerate(drawn)]
    assert [one.text for one in alone] == [one.text for one in drawn]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["byte", "char", "bpe"])
@pytest.mark.parametrize("stop", [(), ("e",), ("sat", "\n"), ("zzz",)])
def test_pieces_as_they_come_add_up_to_the_text(corpus, kind, stop):
    task = made(corpus, kind=kind)
    pieces: dict[int, list[str]] = {i: [] for i in range(8)}
    result = task.generate(
        ["the", "x"],
        config(40, sample=True, samples=4, stop=stop, seed=1),
        on_text=lambda i, new: pieces[i].append(new),
    )
    for one, parts in zip(result, pieces.values(), strict=True):
        assert "".join(parts) == one.text
        assert not any(word in one.text for word in stop)
        assert one.ended in ("stop", "end", "limit")


def say(text: str, stop: tuple[str, ...]) -> tuple[str, list[str], bool]:
    """What a listener makes of a text that comes byte by byte."""
    shown: list[str] = []
    tokenizer = TextTokenizer(None)
    listener = _Listener(tokenizer, stop, 0, lambda _, new: shown.append(new))
    for token in tokenizer.encode(text).tolist():
        if listener.hear(token):
            break
    listener.finish()
    return listener.text, shown, listener.stopped


@pytest.mark.parametrize(
    ("text", "stop", "left"),
    [
        ("one\n\ntwo", ("\n\n",), "one"),
        ("ababac and", ("abac",), "ab"),
        ("über alles", ("ü",), ""),
        ("nothing here", ("END",), "nothing here"),
        ("almost EN", ("END",), "almost EN"),
        ("a b c", ("c", "b"), "a "),
        ("日本語だ", ("語だ",), "日本"),
    ],
)
def test_text_ends_before_a_stop_string_and_none_of_it_is_ever_shown(text, stop, left):
    result, shown, stopped = say(text, stop)
    assert result == left
    assert "".join(shown) == left
    assert stopped == (left != text)


def test_text_appears_at_once_where_it_cannot_be_part_of_a_stop_string():
    assert say("abc", ())[1] == ["a", "b", "c"]
    assert say("axybc", ("xyz",))[1] == ["a", "xyb", "c"]


def test_a_repetition_penalty_counts_the_prompt(corpus):
    task = made(corpus)
    greedy = config(1, sample=True, temperature=0.0)
    first = task.generate(["the"], greedy)[0].text
    prompt = first + "the"
    again = task.generate([prompt], greedy)[0].text
    other = task.generate([prompt], config(1, sample=True, temperature=0.0, repetition_penalty=1e6))[0].text
    if again in prompt:
        assert other not in prompt


@pytest.mark.slow
def test_learned_positions_are_a_limit_that_the_error_names(corpus):
    task = made(corpus, "transformer", positions="learned", heads=2)
    assert position_limit(task.model) == 1024
    assert position_limit(made(corpus).model) is None
    long = "the cat " * 127  # 1016 bytes
    assert len(task.generate([long], config(8))) == 1
    with pytest.raises(InputError, match="prompt 2 has 1016 tokens and 9 are to be added, but the model has 1024 posi"):
        task.generate(["x", long], config(9))
    cut = task.generate([long], config(100, truncate="left"))[0]
    assert cut.dropped == 92
    assert cut.text == task.generate([long[92:]], config(100))[0].text


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"samples": 0}, "must be at least 1, found 0"),
        ({"samples": 2}, "several outputs of a prompt need sampling"),
        ({"stop": ("",)}, "an empty stop string would end every text"),
    ],
)
def test_options_that_make_no_sense(options, problem):
    with pytest.raises(InputError, match=problem):
        config(**options)


def test_terminals_are_safe_and_line_ends_stay():
    assert harmless("a\nb\x1b[31mred\x07\u202e\tc") == "a\nbred\tc"
