"""Guides are what the model attends with, the adversary's loss is that of the paper, and planted bugs are found."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import jensenshannon

import sightline.inspect.retrained as retrained
from sightline.inspect.alternatives import (
    PooledAttention,
    adversarial_attention,
    permuted_attention,
    pooled_attention,
)
from sightline.inspect.record import recorded_attention
from sightline.models.encoder_model import EncoderConfig
from sightline.models.projection_encoder import ProjectionEncoderConfig
from sightline.models.recurrent_encoder import RecurrentEncoderConfig
from sst_readout import pooled_readout

SMALL = ProjectionEncoderConfig(d_embedding=6, d_model=8, embedding_std=1.0)
WORDS, LENGTH = 9, 6
TOKENS = torch.randint(1, WORDS, (4, LENGTH), generator=torch.Generator().manual_seed(0))
MASK = torch.arange(LENGTH) < torch.tensor([[6], [6], [5], [3]])


def drawn(seed, config=SMALL, classes=3):
    torch.manual_seed(seed)
    return config.build(WORDS, classes).double()


def distributions(seed, rows=5, places=7):
    """Weights (B, T), the last place empty in every second row, as under a mask."""
    logits = torch.randn(rows, places, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    logits[::2, -1] = -torch.inf
    return logits.softmax(1)


def answered(seed):
    return PooledAttention(distributions(seed), distributions(seed + 100, places=3))


def check_guide():
    model, guide = drawn(0), retrained.guide_of(drawn(1, RecurrentEncoderConfig(d_embedding=5, d_model=4)))
    for mask in (MASK, None):
        for training in (False, True):
            model.train(training)
            with retrained.guided(model, guide), recorded_attention(model) as found:
                model(TOKENS, mask)
            expected = guide(TOKENS, torch.ones_like(MASK) if mask is None else mask)
            assert torch.equal(found["pooling.weights"], expected)
            assert not expected.requires_grad


def check_even_guide_is_the_mean():
    model = drawn(0)
    mean = drawn(0, replace(SMALL, pooling="mean"))
    mean.load_state_dict({name: value for name, value in model.state_dict().items() if name in mean.state_dict()})
    with retrained.guided(model, retrained.even_guide):
        logits = model(TOKENS, mask=MASK)
    torch.testing.assert_close(logits, mean(TOKENS, MASK), rtol=1e-12, atol=1e-12)
    logits.square().sum().backward()
    mean(TOKENS, MASK).square().sum().backward()
    for name, parameter in mean.named_parameters():
        torch.testing.assert_close(model.get_parameter(name).grad, parameter.grad, rtol=1e-10, atol=1e-12)


def check_divergence():
    p, q = distributions(0), distributions(1)
    expected = stats.entropy(p.numpy(), q.numpy(), axis=1)
    torch.testing.assert_close(retrained.kullback_leibler(p, q), torch.from_numpy(expected), rtol=1e-10, atol=1e-12)


def check_loss():
    own, base, weight = answered(0), answered(1), 0.3
    change = 0.5 * np.abs(own.answers.numpy() - base.answers.numpy()).sum(1)
    expected = change - weight * stats.entropy(own.weights.numpy(), base.weights.numpy(), axis=1)
    torch.testing.assert_close(retrained.adversary_loss(own, base, weight), torch.from_numpy(expected))
    assert ((change >= 0) & (change <= 1)).all()


def check_seeds():
    maps = [distributions(seed) for seed in range(3)]
    found = retrained.seed_divergences(maps)
    assert found.shape == (3, 3, 5)
    assert torch.equal(found, found.transpose(0, 1))
    assert found.diagonal().abs().max() < 1e-12
    assert found.max() <= math.log(2)
    expected = jensenshannon(maps[0].numpy(), maps[2].numpy(), axis=1) ** 2
    torch.testing.assert_close(found[0, 2], torch.from_numpy(expected))


LAWS = {
    check.__name__: check
    for check in (check_guide, check_even_guide_is_the_mean, check_divergence, check_loss, check_seeds)
}


@pytest.mark.parametrize("law", LAWS)
def test_the_law(law):
    LAWS[law]()


def total(p, q):
    return (p - q).abs().sum(-1)


PLANTED = {
    "the divergence is from the model to the adversary": ("kullback_leibler", lambda kl: lambda p, q: kl(q, p),
                                                          ("check_divergence", "check_loss")),
    "the change is not halved": ("total_variation", lambda _: total, ("check_loss",)),
    "the divergence of seeds is in bits": ("jensen_shannon", lambda f: lambda p, q: f(p, q) / math.log(2),
                                           ("check_seeds",)),
    "the divergence of seeds has an order": ("jensen_shannon", lambda _: retrained.kullback_leibler,
                                             ("check_seeds",)),
    "padding shares the even weights": ("uniform_weights", lambda _: lambda m: torch.full(m.shape, 1 / m.shape[1]),
                                        ("check_even_guide_is_the_mean",)),
    "guide and own weights are mixed": ("replaced_attention", lambda f: lambda m, r: f(m, lambda n, w: r(n, w) * w),
                                        ("check_guide", "check_even_guide_is_the_mean")),
}  # fmt: skip


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_found(bug, monkeypatch):
    name, planted, laws = PLANTED[bug]
    monkeypatch.setattr(retrained, name, planted(getattr(retrained, name)))
    for law in laws:
        with pytest.raises(AssertionError):
            LAWS[law]()


def test_a_guide_is_not_trained_and_own_attention_gets_no_gradient():
    model, other = drawn(0), drawn(1)
    before = copy.deepcopy(other.state_dict())
    optimizer = torch.optim.Adam([*model.parameters(), *other.parameters()])
    with retrained.guided(model, retrained.guide_of(other)):
        model(TOKENS, MASK).square().sum().backward()
        optimizer.step()
    assert all(p.grad is None for p in (*other.parameters(), *model.pooling.parameters()))
    assert all(p.grad is not None for part in (model.front_end, model.encoder, model.head) for p in part.parameters())
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def test_after_the_block_a_model_attends_by_itself():
    model = drawn(0)
    before = model(TOKENS, MASK)
    with pytest.raises(ValueError, match=r"the guide gave weights \(4, 5\), where the model attends with \(4, 6\)"):
        with retrained.guided(model, lambda tokens, mask: torch.ones(4, 5)):
            model(TOKENS, MASK)
    assert torch.equal(model(TOKENS, MASK), before)


def test_a_model_without_pooled_attention_is_refused():
    model = EncoderConfig(d_model=8, heads=2, layers=1, pooling="cls").build(WORDS, 3)
    with pytest.raises(ValueError, match="expected one probe of pooled attention, found 0"):
        with retrained.guided(model, retrained.even_guide):
            pass
    with pytest.raises(ValueError, match="expected one probe of pooled attention, found 0"):
        retrained.train_adversary(drawn(0), model, lambda _: [(TOKENS, MASK)])


def trigger_at(generator, rows):
    """Sentences in which one of the words 1 to 3 decides, among words 4 to 8; its place, and the label."""
    tokens = torch.randint(4, WORDS, (rows, LENGTH), generator=generator)
    place = torch.randint(0, LENGTH, (rows,), generator=generator)
    label = torch.randint(0, 3, (rows,), generator=generator)
    return tokens.scatter_(1, place.unsqueeze(1), label.unsqueeze(1) + 1), label


@pytest.mark.parametrize(("sees", "least", "most"), [(True, 0.99, 1.0), (False, 0.0, 0.5)])
def test_a_guided_model_learns_what_its_guide_shows(sees, least, most):
    """With all weight on the word that decides it learns the task; with none there it cannot (chance is 1/3)."""
    model, generator = drawn(0), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)

    def guide(tokens, mask):
        chosen = ((tokens < 4) == sees) & mask
        return chosen / chosen.sum(1, keepdim=True)

    with retrained.guided(model, guide):
        for _ in range(60):
            tokens, label = trigger_at(generator, 32)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(tokens, None), label).backward()
            optimizer.step()
        tokens, label = trigger_at(generator, 300)
        share = (model(tokens, None).argmax(1) == label).double().mean()
    assert least <= share <= most


def free_words(epoch):
    """Batches of sentences that any one of their words decides: words 1 to 4 are of one class, 5 to 8 of the other."""
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(40):
        side = torch.randint(0, 2, (32, 1), generator=generator)
        yield torch.randint(1, 5, (32, LENGTH), generator=generator) + 4 * side, None


def imitated(divergence, epochs=4):
    base = drawn(0, classes=2)
    with torch.no_grad():  # answers by the side of the words, and attends to all of them alike
        base.front_end.embedding.weight[1:5] += 2.0
        base.front_end.embedding.weight[5:] -= 2.0
    adversary = drawn(1, classes=2)
    means = retrained.train_adversary(base, adversary, free_words, divergence=divergence, epochs=epochs, lr=0.02)
    tokens, _ = next(iter(free_words(99)))
    return means, retrained.compare_adversary(base, adversary, tokens, torch.ones_like(tokens, dtype=torch.bool))


@pytest.mark.slow
def test_an_adversary_attends_elsewhere_where_it_is_paid_for():
    """Any word decides, so that the answers can stay while the attention moves; without a weight it does not move."""
    without, free = imitated(0.0)
    paid, far = imitated(0.1)
    assert 0 <= without[-1] < without[0] < 0.05  # the loss is the change of the answers alone
    assert free.agrees.all()
    assert free.divergence.max() < 0.01
    assert paid[-1] < paid[0]
    assert far.divergence.mean() > 0.25
    assert far.divergence.max() <= math.log(2)
    assert far.change.mean() < 0.08
    assert ((far.change >= 0) & (far.change <= 1)).all()


def test_without_pressure_a_copy_stays_what_it_is():
    """λ = 0 and the same answers: no loss, no gradient, not one bit changed."""
    base = drawn(0)
    adversary = copy.deepcopy(base)
    means = retrained.train_adversary(base, adversary, lambda _: [(TOKENS, MASK)] * 3, divergence=0.0, epochs=2)
    assert means == [0.0, 0.0]
    before = base.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in adversary.state_dict().items())
    found = retrained.compare_adversary(base, adversary, TOKENS, MASK)
    assert not found.change.any()
    assert found.divergence.max() < 1e-12
    assert found.agrees.all()


def test_an_adversary_whose_loss_is_not_a_number_is_reported():
    base, adversary = drawn(0), drawn(1)
    adversary.head.linear.bias.data.fill_(torch.nan)
    with pytest.raises(retrained.Diverged, match="epoch 1: the adversary's loss is nan"):
        retrained.train_adversary(base, adversary, lambda _: [(TOKENS, MASK)])


@pytest.mark.parametrize("config", [SMALL, RecurrentEncoderConfig(d_embedding=5, d_model=4)])
def test_a_readout_gives_what_its_model_gives(config):
    model = drawn(0, config).eval()
    readout, x = pooled_readout(model, TOKENS, MASK)
    own = pooled_attention(model, TOKENS, MASK)
    torch.testing.assert_close(pooled_attention(readout, x, MASK), own, rtol=1e-12, atol=1e-12)
    results = []
    for subject, inputs in ((model, TOKENS), (readout, x)):
        generator = torch.Generator().manual_seed(0)
        changes = permuted_attention(subject, inputs, MASK, generator, 7)
        found = adversarial_attention(subject, inputs, MASK, generator, bound=0.05, starts=2, steps=15)
        results.append((changes, *found))
    for of_model, of_readout in zip(*results, strict=True):
        torch.testing.assert_close(of_readout, of_model, rtol=1e-7, atol=1e-9)
    assert results[0][0].max() > 0
    assert results[0][1].max() > 0
