"""Distillation of a swapped model: each new layer learns its predecessor's output, then the whole model its outputs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from sightline.core.errors import Diverged, InputError
from sightline.core.hooks import removed_after
from sightline.core.modes import evaluating
from sightline.core.seeds import derive
from sightline.data.batches import START
from sightline.lab.swap.results import SwapPlan
from sightline.training.loss import Loss
from sightline.training.optim import OptimConfig, build_optimizer, learning_rate
from sightline.training.step import Stepper

WARMUP = 0.1
HELD_OUT = 8  # batches of validation data on which the errors of layers are measured
Announce = Callable[[str], None]


@runtime_checkable
class Comparable(Protocol):
    """A task that says how far the outputs for a batch are from those of another model, a sum as its loss is."""

    def divergence(self, outputs: Any, reference: Any, batch: Any) -> Tensor: ...


class Passed(NamedTuple):
    """A call of a layer: its arguments and its output (B, T, D)."""

    args: tuple[Any, ...]
    output: Tensor


def applied(layer: Any, args: tuple[Any, ...]) -> Tensor:
    """The output (B, T, D) of a layer that begins with its own state, from the arguments of the one it replaces."""
    return layer(args[0], None, *args[2:])[0] if layer.causal else layer(*args)


@torch.no_grad()
def passed_through(task: Any, layers: Sequence[nn.Module], batch: Any) -> list[Passed]:
    """The inputs and outputs of each layer of the task's model for a batch, without dropout."""
    with evaluating(task.model), ExitStack() as stack:
        calls = [stack.enter_context(_called(layer)) for layer in layers]
        task.loss(task.model, batch)
    last = [of_layer[-1] for of_layer in calls]
    return [Passed(args, output[0] if isinstance(output, tuple) else output) for args, _, output in last]


@torch.no_grad()
def errors(task: Any, old: Sequence[nn.Module], new: Sequence[nn.Module], batches: Sequence[Any]) -> list[float]:
    """|y' - y|² / |y|² of each new layer's output y' from the old one's y, on what the old one reads."""
    sums = torch.zeros(len(old), 2, dtype=torch.float64)
    for batch in batches:
        for number, (one, layer) in enumerate(zip(passed_through(task, old, batch), new, strict=True)):
            with evaluating(layer):
                difference = applied(layer, one.args) - one.output
            sums[number] += torch.stack([part.double().square().sum().cpu() for part in (difference, one.output)])
    return (sums[:, 0] / sums[:, 1].clamp(min=torch.finfo(torch.float64).tiny)).tolist()


def held_out(task: Any, part: Any, seed: int) -> list[Any]:
    """Some batches of a part, on the device of the model."""
    stream = task.batches(part, seed=derive(seed, "held out")).stream(START)
    return [batch.to(task.device) for batch, _ in islice(stream, HELD_OUT)]


def match_layers(
    task: Any, old: Sequence[nn.Module], new: Sequence[nn.Module], part: Any, plan: SwapPlan, say: Announce
) -> list[nn.Module]:
    """Copies of the new layers, each trained alone to give what the old one gives for the same input.

    Parameters that do not require gradients, those of heads that stay, are left as they are. The inputs are those of
    the original model on its own training data; the loss is |y' - y|² / |y|² of a batch. Nothing but these copies
    changes, and no layer's training depends on the others.
    """
    layers = [copy.deepcopy(layer).train() for layer in new]
    config = OptimConfig(lr=plan.layer_lr, warmup=WARMUP)
    optimizers = [build_optimizer(layer, config) for layer in layers]
    stream = task.batches(part, seed=derive(plan.seed, "order")).stream(START)
    for step, (batch, _) in enumerate(islice(stream, plan.layer_steps)):
        rate = _rate(config, step, plan.layer_steps)
        calls = passed_through(task, old, batch.to(task.device))
        for number, (call, layer, optimizer) in enumerate(zip(calls, layers, optimizers, strict=True)):
            torch.manual_seed(derive(plan.seed, "dropout", step, number))
            loss = _layer_step(layer, optimizer, call, rate, config)
            if not loss < float("inf"):
                raise Diverged(f"step {step + 1} of the new layers: the loss is {loss}: try a lower --layer-lr")
        _tell(say, "new layers alone", step, plan.layer_steps)
    return [layer.eval() for layer in layers]


def _layer_step(layer: Any, optimizer: torch.optim.Optimizer, call: Passed, rate: float, config: OptimConfig) -> float:
    optimizer.zero_grad(set_to_none=True)
    with torch.enable_grad():
        error = (applied(layer, call.args) - call.output).square().sum()
        loss = error / call.output.square().sum().clamp(min=torch.finfo(call.output.dtype).tiny)
        loss.backward()
    if config.clip_norm is not None:
        nn.utils.clip_grad_norm_(layer.parameters(), config.clip_norm)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return float(loss.detach())


def tune(task: Any, original: Any, part: Any, plan: SwapPlan, say: Announce, what: str) -> None:
    """Trains all of a task's model on the task's loss plus `kl` times the divergence from the original's outputs.

    Raises:
        InputError: "tagging does not say how far outputs are from others: a task needs the method `divergence`".
        Diverged: "step 12 of layers 1, 2: the loss is nan: try a lower --tune-lr".
    """
    check_comparable(task)
    teacher = original.model.eval()

    def objective(model: nn.Module, batch: Any) -> Loss:
        with _called(model) as calls:
            loss = task.loss(model, batch)
        args, kwargs, outputs = calls[0]
        with torch.no_grad():
            reference = teacher(*args, **kwargs)
        return loss._replace(total=loss.total + plan.kl * task.divergence(outputs, reference, batch))

    config = OptimConfig(lr=plan.tune_lr, warmup=WARMUP)
    stepper = Stepper(task.model, objective, config, task.device, "float32")
    stream = task.batches(part, seed=derive(plan.seed, "order")).stream(START)
    for step, (batch, _) in enumerate(islice(stream, plan.tune_steps)):
        torch.manual_seed(derive(plan.seed, "dropout", step))
        fault = stepper.gradients(batch).fault
        if fault is not None:
            raise Diverged(f"step {step + 1} of {what}: {fault}: try a lower --tune-lr")
        stepper.update(_rate(config, step, plan.tune_steps))
        _tell(say, what, step, plan.tune_steps)
    task.model.eval()


def check_comparable(task: Any) -> None:
    """Raises `InputError` where a task cannot be tuned, see `tune`."""
    if not isinstance(task, Comparable):
        raise InputError(
            f"{task.name} does not say how far outputs are from others: a task needs the method `divergence`"
        )


@contextmanager
def _called(model: nn.Module) -> Iterator[list[tuple[tuple[Any, ...], Mapping[str, Any], Any]]]:
    """The calls of a model inside the block: arguments, by name too, and outputs."""
    calls: list[tuple[tuple[Any, ...], Mapping[str, Any], Any]] = []
    hook = model.register_forward_hook(
        lambda _, args, kwargs, outputs: calls.append((args, kwargs, outputs)), with_kwargs=True
    )
    with removed_after([hook]):
        yield calls


def _rate(config: OptimConfig, step: int, steps: int) -> float:
    return learning_rate(config, step, step / steps, WARMUP, float(steps))


def _tell(say: Announce, what: str, step: int, steps: int) -> None:
    if (step + 1) % max(1, steps // 4) == 0:
        say(f"{what}: step {step + 1} of {steps}")
