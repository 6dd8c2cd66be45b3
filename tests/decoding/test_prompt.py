"""Going on from a prompt, watching tokens as they come, and what a prompt counts for."""

from __future__ import annotations

import pytest
import torch

from sightline.decoding.engine import DecodingConfig, decode
from sightline.decoding.greedy import greedy
from sightline.decoding.prompt import Prompted, after_prompt
from sightline.decoding.sample import penalise, sample
from sightline.tasks.language.generation import read_prompts
from tests.decoding.models import NAMES, check_same, continued, language_model, prompts
from tests.decoding.toys import EOS, Tree


def prompted(tree: Tree, prompt: list[int]) -> Prompted:
    """The tree's state after a prompt, the start token included."""
    state = tree.start()
    tokens = torch.full((tree.tables,), tree.bos)
    for token in [tree.bos, *prompt]:
        tokens = torch.full((tree.tables,), token)
        logits, state = tree.step(tokens, state)
    return Prompted(logits, state)


@pytest.mark.parametrize("options", [{}, {"sample": True}, {"beam": 3}], ids=["greedy", "sample", "beam"])
def test_an_empty_prompt_is_the_start(options):
    """After a prompt of the start token alone the decoders give what they give from the start."""
    tree = Tree(4, 6, tables=5, seed=3)
    config = DecodingConfig(**options)
    common = {"bos": tree.bos, "eos": EOS, "max_length": 5}
    whole = decode(tree.start, tree.step, [1] * 5, config, **common)

    def begin(rows):
        state = tree.start(rows)
        return Prompted(*tree.step(torch.full((len(rows),), tree.bos), state))

    assert decode(begin, after_prompt(tree.step), [1] * 5, config, **common) == whole


def test_greedy_goes_on_with_the_likeliest():
    tree = Tree(4, 6, tables=3, seed=1)
    state = prompted(tree, [2, 1])
    result = greedy(after_prompt(tree.step), state, batch=3, bos=EOS, eos=EOS, max_length=1)
    assert [hypothesis.tokens or (EOS,) for hypothesis in result] == [(int(i),) for i in state.logits.argmax(1)]


@pytest.mark.slow
@pytest.mark.parametrize("drawn", [False, True], ids=["greedy", "sample"])
def test_every_token_is_seen_and_a_row_may_be_ended(drawn):
    tree = Tree(5, 8, tables=6, seed=2)
    common = {"bos": tree.bos, "eos": EOS, "max_length": 7}
    config = DecodingConfig(sample=drawn)
    whole = decode(tree.start, tree.step, [1] * 6, config, **common)
    seen: dict[int, list[int]] = {row: [] for row in range(6)}

    def watch(new):
        for row, token in new:
            seen[row].append(token)
        return [row for row, _ in new if row % 2 and len(seen[row]) == 2]

    result = decode(tree.start, tree.step, [1] * 6, config, **common, watch=watch)
    for row, (cut, full) in enumerate(zip(result, whole, strict=True)):
        assert tuple(seen[row]) == cut.tokens
        if row % 2 and len(full.tokens) >= 2:
            assert cut.tokens == full.tokens[:2]
            assert not cut.finished
        else:
            assert cut == full


def test_watching_knows_sources_by_their_places_whatever_the_batches():
    tree = Tree(5, 6, tables=7, seed=4)
    seen: dict[int, list[int]] = {row: [] for row in range(7)}

    def watch(new):
        for row, token in new:
            seen[row].append(token)
        return []

    config = DecodingConfig(batch_size=2)
    result = decode(
        tree.start, tree.step, [3, 9, 1, 4, 9, 2, 8], config, bos=tree.bos, eos=EOS, max_length=5, watch=watch
    )
    assert [tuple(tokens) for tokens in seen.values()] == [hypothesis.tokens for hypothesis in result]


def test_a_beam_cannot_be_watched():
    tree = Tree(3, 3)
    with pytest.raises(ValueError, match="cannot be watched"):
        decode(tree.start, tree.step, [1], DecodingConfig(beam=2), bos=3, eos=0, max_length=2, watch=lambda new: [])


def test_tokens_of_the_prompt_count_as_repeated():
    logits = torch.tensor([[1.0, 3.0, 2.0, -1.0]])

    def step(tokens, state):
        return logits.expand(len(tokens), -1), state

    def first(prompts):
        options = {"repetition_penalty": 2.0, "temperature": 0.0, "max_length": 1, "bos": 0, "eos": 9}
        return sample(step, torch.zeros(1), batch=1, prompts=prompts, **options)[0].tokens

    assert first(None) == (1,)
    assert first(torch.tensor([[1]])) == (2,)  # 3 / 2 < 2
    assert first(torch.tensor([[1, 1, 2]])) == (1,)  # each counts once: 3 / 2 > 2 / 2
    assert torch.equal(penalise(logits, torch.tensor([[3]]), 2.0)[0], torch.tensor([1.0, 3.0, 2.0, -2.0]))


@pytest.mark.parametrize("texts", [[[], [], []], [[3, 4], [], [2]]], ids=["all", "one"])
def test_an_empty_prompt_has_no_token_to_penalise(texts):
    """A source decodes as it does alone, where nothing is said about prompts."""
    tree = Tree(5, 4, tables=3, scale=0.5)
    config = DecodingConfig(sample=True, repetition_penalty=5.0, seed=3)
    options = {"bos": 5, "eos": 0, "max_length": 4}
    together = decode(tree.start, tree.step, [1, 1, 1], config, prompts=texts, **options)
    for row in (row for row, text in enumerate(texts) if not text):
        (alone,) = decode(lambda _, row=row: tree.start([row]), tree.step, [1], config, names=[row], **options)
        assert together[row].tokens == alone.tokens


@pytest.mark.parametrize("draft", ["none", "ngram"])
def test_a_watch_that_only_listens_may_return_nothing(draft):
    model, texts = language_model("softmax"), prompts(3, seed=4)
    heard = []
    config = DecodingConfig(draft=draft, max_length=14)
    check_same(continued(model, texts, config, watch=heard.append), continued(model, texts, config))
    assert heard


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_costs_the_logits_of_its_last_position_alone(name):
    model, texts = language_model(name), prompts(3)
    longest = max(map(len, texts))
    projected: list[torch.Size] = []
    handle = model.head.register_forward_pre_hook(lambda _, inputs: projected.append(inputs[0].shape))
    try:
        logits = read_prompts(model, texts).logits
    finally:
        handle.remove()
    assert [shape[:-1] for shape in projected] == [(3,)]
    tokens = torch.tensor([[0] * (longest - len(text)) + text for text in texts])
    mask = torch.arange(longest) >= longest - torch.tensor([[len(text)] for text in texts])
    with torch.no_grad():
        whole, _ = model(tokens, None, mask)
    torch.testing.assert_close(logits, whole[:, -1], rtol=1e-12, atol=1e-12)
