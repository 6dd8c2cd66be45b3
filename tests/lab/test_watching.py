"""What is seen of models in training: against slow references, known values, and the training itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sightline.data.spaced import spaced
from sightline.data.text.batches import TextBatch
from sightline.data.text.corpus import load_text
from sightline.lab.reach import largest_singular_value, spectral_radius
from sightline.lab.saturation import softmax_statistics, weight_statistics
from sightline.lab.watching import NEAR, by_distance, watcher
from sightline.lab.watching import _of_decoder as read_decoder
from sightline.lab.watching import _of_forecaster as read_forecaster
from sightline.models import LANGUAGE_MODELS
from sightline.models.decoder import Decoder
from sightline.parts.heads import TokenHead
from sightline.parts.token_embedding import TokenEmbedding
from sightline.tasks.fit import train_task
from sightline.tasks.language.config import LanguageConfig
from sightline.tasks.language.task import LanguageTask
from sightline.training import TrainConfig
from tests.lab.test_reach import LinearRNN
from tests.tasks.classification import small
from tests.tasks.forecasting import small as windows
from tests.tasks.translation import small as pairs


def seen_of(task: Any, part: Any) -> dict[str, Any]:
    task.model.eval()
    return dict(watcher(task, part)(task.model))


@pytest.mark.parametrize("classes", [3, 8])
def test_a_linear_recurrence_has_the_gradient_of_the_product(classes: int) -> None:
    """∂ logits_T/∂x_{T-k} = V Uᵏ; of a document that began later nothing before its start counts."""
    torch.manual_seed(3)
    mixer = LinearRNN(torch.randn(6, 6) / math.sqrt(6))
    model = Decoder(TokenEmbedding(classes, 6), mixer, TokenHead(6, classes)).double()
    tokens = torch.randint(classes, (3, 9))
    starts = torch.zeros_like(tokens, dtype=torch.bool)
    batch = TextBatch(tokens, tokens, None, starts, (0, 1, 2))
    found = by_distance(read_decoder(model, batch))
    output = model.head(torch.eye(6).double()) - model.head(torch.zeros(6).double())  # Vᵀ, the bias taken off
    assert found["at"] == [0, 1, 2, 3, 4, 6, 8]
    for k, norm in zip(found["at"], found["norm"], strict=True):
        assert norm == pytest.approx((output.T @ mixer.weight_hidden.matrix_power(k)).norm().item(), rel=1e-9)
    starts[:, 5] = True
    late = by_distance(read_decoder(model, batch))
    assert late["norm"][:4] == found["norm"][:4]
    assert all(math.isnan(norm) for norm in late["norm"][5:])


def test_signs_estimate_the_norm_of_many_outputs() -> None:
    torch.manual_seed(4)
    model = Decoder(
        TokenEmbedding(500, 12), LinearRNN(torch.randn(12, 12) / math.sqrt(12)), TokenHead(12, 500)
    ).double()
    tokens = torch.randint(500, (16, 5))
    found = by_distance(read_decoder(model, TextBatch(tokens, tokens, None, None, tuple(range(16)))))
    output = model.head(torch.eye(12).double()) - model.head(torch.zeros(12).double())
    for k, norm in zip(found["at"], found["norm"], strict=True):
        exact = (output.T @ model.mixer.weight_hidden.matrix_power(k)).norm().item()
        assert norm == pytest.approx(exact, rel=0.25)  # the same eight signs for all rows: 12 dimensions at most


@pytest.mark.parametrize("width", [8, 100])
def test_spectra_are_those_of_all_eigenvalues(width: int) -> None:
    generator = torch.Generator().manual_seed(7)
    matrices = torch.randn(3, width, width, generator=generator) * torch.tensor([0.02, 0.1, 3.0])[:, None, None]
    matrices[1] = torch.linalg.qr(matrices[1]).Q
    expected = [max(abs(np.linalg.eigvals(one))) for one in matrices.double().numpy()]
    np.testing.assert_allclose(spectral_radius(matrices).numpy(), expected, rtol=0.01)
    singular = np.linalg.svd(matrices.double().numpy(), compute_uv=False)[:, 0]
    np.testing.assert_allclose(largest_singular_value(matrices).numpy(), singular, rtol=0.01)


def test_statistics_of_weights_are_those_of_their_logits() -> None:
    generator = torch.Generator().manual_seed(2)
    q, k = (torch.randn(2, 2, n, 4, generator=generator, dtype=torch.float64) for n in (3, 7))
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[1, 4:] = False
    options: dict[str, Any] = {"memory": True, "causal": False, "mask": mask}
    expected = softmax_statistics(q, k, 1.5, **options)
    hidden = ~mask[:, None, None]
    weights = (1.5 * q @ k.mT).masked_fill(hidden, -torch.inf).softmax(-1)
    for found, same in zip(weight_statistics(weights, ~hidden), expected, strict=True):
        np.testing.assert_allclose(np.sort(found), np.sort(same), atol=1e-9)


def made(arch: str) -> tuple[Any, Any]:
    if arch == "bilstm_attention":
        return small.untrained("text", arch), small.data("text").valid
    return pairs.untrained(arch), pairs.corpus().valid


QUERIES = (".query.weight", ".query.bias", ".energy.weight", ".key_projection.weight", "pooling.score.weight")


@pytest.mark.parametrize(("factor", "entropy", "gradient"), [(0.0, 1.0, None), (1e7, 0.0, 0.0)])
@pytest.mark.parametrize(
    ("arch", "over"),
    [
        ("transformer", ["self", "self", "memory"]),
        ("window", ["self", "self", "memory"]),
        ("bahdanau", ["memory"]),
        ("luong", ["memory"]),
        ("bilstm_attention", ["pooling"]),
    ],
)
def test_even_weights_have_entropy_1_and_saturated_ones_0(
    arch: str, over: list[str], factor: float, entropy: float, gradient: float | None
) -> None:
    task, part = made(arch)
    with torch.no_grad():
        for name, parameter in task.model.named_parameters():
            if name.endswith(QUERIES):
                parameter *= factor
    layers = seen_of(task, part)["attention"]
    assert [layer["over"] for layer in layers] == over
    for layer in layers:
        assert layer["entropy"][1] == pytest.approx(entropy, abs=1e-5)
        if gradient is not None:
            assert layer["gradient"][1] == pytest.approx(gradient, abs=1e-5)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_gates_are_those_of_every_step(cell: str) -> None:
    """Gates from the formulas, step by step over every row alone, at the positions after the first."""
    task, part = small.untrained("text", "bilstm_attention"), small.data("text").valid
    model = type(task.config.model)(cell, d_embedding=8, d_model=8).build(task.source, task.outputs)
    task.model = task.trained.model = model.eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 8  # so that some gates are shut or open
    batches = task.batches(part, seed=0)
    numbers = np.sort(np.concatenate(batches.plan(0)))
    batch = batches.batch(numbers[spaced(len(numbers), 8)])
    found = {(one["layer"].rpartition(".")[2], one["of"]): one for one in seen_of(task, part)["gates"]}
    layer = next(one for name, one in model.named_modules() if name.endswith(".forwards"))
    x, mask = model.front_end(batch.source, batch.source_mask)
    values: dict[str, list[Tensor]] = {}
    for row, length in enumerate(mask.sum(1).tolist()):
        state = layer.initial_state(1)
        for t in range(length):
            if t:
                for name, gate in reference(cell, layer, x[row, t], state.carried[0][0]).items():
                    values.setdefault(name, []).append(gate)
            _, state = layer.step(x[row, t : t + 1], state)
    assert values
    for name, gates in values.items():
        every = torch.stack(gates)
        low, high = (every < NEAR).double().mean().item(), (every > 1 - NEAR).double().mean().item()
        assert low + high > 0.05
        assert (found["forwards", name]["low"], found["forwards", name]["high"]) == pytest.approx((low, high), abs=2e-3)


def reference(cell: str, layer: Any, x: Tensor, hidden: Tensor) -> Mapping[str, Tensor]:
    """Gates (H,) of one step from the equations of the cells, blocks in torch's order."""
    names = {"lstm": ("input", "forget", "", "output"), "gru": ("reset", "update", ""), "rnn": ("hidden",)}[cell]
    width = len(hidden)
    found = {}
    for place, name in enumerate(names):
        rows = slice(place * width, (place + 1) * width)
        a = layer.weight_input[rows] @ x + layer.weight_hidden[rows] @ hidden + layer.bias[rows]
        found[name] = (1 + torch.tanh(a)) / 2 if cell == "rnn" else 1 / (1 + torch.exp(-a))
    return {name: gate for name, gate in found.items() if name}


@pytest.mark.parametrize("arch", ["transformer", "lstm", "bahdanau"])
def test_a_watched_task_trains_the_same_weights(tmp_path: Any, arch: str) -> None:
    """With dropout, and all that the watcher attaches to the model."""
    config = TrainConfig(budget="5steps", validate_every=100, device="cpu", dtype="float32")
    corpus, trained = pairs.corpus(), []
    for watched in (False, True):
        task = pairs.untrained(arch)
        watch = watcher(task, corpus.valid) if watched else None
        result = train_task(task, corpus, tmp_path / str(watched), config, watch=watch)
        trained.append(task.model.state_dict())
    assert sum(record["event"] == "watch" for record in result.training.history) == 4  # after 1, 2, 4 and 5 steps
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in trained[0])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in task.model.modules())


def test_text_that_continues_is_watched_without_its_state(tmp_path: Any) -> None:
    """The state that the next batch begins with is not touched, nor is it read."""
    place = tmp_path / "a.txt"
    place.write_text("the cat sat on the mat and saw a rat\n" * 40)
    corpus = load_text(place)
    model = replace(LANGUAGE_MODELS["lstm"], d_model=8, layers=1)
    settings = LanguageConfig(arch="lstm", model=model, context=8, batch_tokens=32, bptt="stateful")
    task = LanguageTask.create(corpus, settings, seed=1)
    before = {name: tensor.clone() for name, tensor in task.model.state_dict().items()}
    watch = watcher(task, corpus.train)
    first, second = watch(task.model.eval()), watch(task.model)
    assert first == second
    assert {one["of"] for one in first["gates"]} == {"input", "forget", "output"}
    assert all(torch.equal(before[name], tensor) for name, tensor in task.model.state_dict().items())


@pytest.mark.parametrize("kind", ["image", "audio", "series"])
def test_other_inputs_are_watched_too(kind: Any) -> None:
    task = small.untrained(kind, "transformer")
    seen = seen_of(task, small.data(kind).valid)
    assert seen["attention"]
    assert (seen["gradients"] is None) == (kind == "image")  # a patch has no distance from the end


def forecaster(arch: str, **changes: Any) -> tuple[Any, Any]:
    """An untrained forecaster of two channels in float64, and eight windows."""
    task, data = windows.built(windows.small(arch, **changes))
    model = task.model.double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    batch = task.batches(data.valid, seed=0).batch(np.arange(8))
    return model, batch._replace(**{name: getattr(batch, name).double() for name in batch._fields[:4]})


def test_a_linear_forecaster_has_the_gradient_of_its_map() -> None:
    """∂y_1/∂x_{L-k} is a weight of the map; at the last value, which is taken off and put back, 1 - Σ of the others."""
    model, batch = forecaster("nlinear")
    found = by_distance(read_forecaster(model, batch))
    weights = model.map.weight[0, :, 0].detach().clone()  # (L,)
    weights[-1] += 1 - weights.sum()
    channels = batch.values.shape[2]
    for k, norm in zip(found["at"], found["norm"], strict=True):
        assert norm == pytest.approx(math.sqrt(channels) * weights[-1 - k].abs().item(), rel=1e-9)


@pytest.mark.parametrize("arch", ["transformer", "gru", "dlinear"])
@pytest.mark.parametrize("loss", ["mse", "quantile"])
def test_of_a_forecaster_the_first_step_is_read(arch: str, loss: str) -> None:
    """Against the forecast without a known future, which a model that is fed back must not need."""
    model, batch = forecaster(arch, loss=loss)
    values = batch.values.clone().requires_grad_()
    answer = model(values, batch.past, batch.known)
    first = answer[:, 0, :, answer.shape[3] // 2]  # (B, C)
    squares = sum(torch.autograd.grad(one.sum(), values, retain_graph=True)[0].square().sum(2) for one in first.T)
    found = by_distance(read_forecaster(model, batch))
    for k, norm in zip(found["at"], found["norm"], strict=True):
        assert norm == pytest.approx(squares.sqrt()[:, -1 - k].median().item(), rel=1e-6)


def test_a_forecaster_is_watched_while_it_trains() -> None:
    task, data = windows.built(windows.small("transformer"))
    seen = seen_of(task, data.valid)
    assert seen["attention"]
    assert seen["gradients"]["at"][:3] == [0, 1, 2]
    assert all(norm > 0 for norm in seen["gradients"]["norm"])


def test_patterns_of_blocks_are_named_as_left_out() -> None:
    task = pairs.untrained("block_sparse")
    seen = seen_of(task, pairs.corpus().valid)
    assert len(seen["left_out"]) == 2
    assert [layer["over"] for layer in seen["attention"]] == ["memory"]
