"""The programs of each form of model, each compared with the model when it is written."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from sightline.export.source_inputs import SourceInputs, WindowInputs, output_tokens
from sightline.export.torch_program import Program, ProgramInputs, check_equal, save
from sightline.export.torch_state import StateForm
from sightline.tasks.task import Task

STEPS = 3  # steps of a decoder that are compared
EXAMPLE, OTHERS = (3, 5), ((2, 9), (1, 1), (4, 70))  # rows and length: recorded, and compared

ProgramFacts = dict[str, Any]


@final
class ModelCall(nn.Module):
    """A function of a model and tensors, as a module: its weights belong to the program."""

    def __init__(self, model: nn.Module, function: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.model, self.function = model, function

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self.function(*tensors)


def write_encoder_decoder(task: Task[Any, Any, Any], directory: Path) -> ProgramFacts:
    """`encoder.pt2` gives the decoder's first state, `step.pt2` the next one, `forward.pt2` all logits of a target."""
    model: Any = _copied(task)
    sources, form = SourceInputs.of(task.source), StateForm()

    def begin(*tensors: Tensor) -> Any:
        return model.initial_state(model.encode(*sources.nested(list(tensors))))

    settle = StateForm.unsettled(begin(*sources.example(*EXAMPLE).values()))

    def settled(*tensors: Tensor) -> Any:
        state, rows = begin(*tensors), tensors[0].shape[0]
        if not settle:
            return state
        # Padding changes no state, but after it a window has its full size, and says how much of it is real.
        nothing = torch.zeros(rows, 1, dtype=torch.long)
        return model.decode(nothing, state, nothing.bool())[1]

    def forward(*tensors: Tensor) -> tuple[Tensor]:
        return (model(*sources.nested(list(tensors[:-1])), tensors[-1]),)

    def decode(rows: int, length: int) -> list[Tensor]:
        return _logits(model, begin(*sources.example(rows, length).values()), output_tokens(task, rows, STEPS))

    encoder = Program(
        "encoder", ModelCall(model, lambda *x: tuple(form.take(settled(*x)))), sources.example(*EXAMPLE), sources.axes
    )
    inputs = {**sources.example(*EXAMPLE), "target": output_tokens(task, EXAMPLE[0], 4)}
    axes = {**sources.axes, "target": {0: "batch", 1: "target_length"}}
    whole = Program("forward", ModelCall(model, forward), inputs, axes)
    facts = _write_decoder(task, directory, encoder, form, 0, decode, sources.example)

    def example(rows: int, length: int) -> ProgramInputs:
        return {**sources.example(rows, length), "target": output_tokens(task, rows, length + 2)}

    return {**facts, **_write_whole(directory, whole, "logits", example)}


def write_decoder(task: Task[Any, Any, Any], directory: Path) -> ProgramFacts:
    """`prompt.pt2` reads tokens with a mask, `step.pt2` one more, `forward.pt2` tokens without a mask."""
    model, form = _copied(task), StateForm()

    def prompt(tokens: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        logits, state = model(tokens, model.initial_state(tokens.shape[0]), mask)
        return logits, *form.take(state)

    settle = StateForm.unsettled(model.initial_state(EXAMPLE[0]))

    def forward(tokens: Tensor) -> tuple[Tensor]:
        mask = torch.ones_like(tokens, dtype=torch.bool) if settle else None  # a window then has its full size
        return (model(tokens, model.initial_state(tokens.shape[0]), mask)[0],)

    def example(rows: int, length: int) -> ProgramInputs:
        real = torch.tensor([length, (length + 1) // 2, length - 1] * rows)[:rows].clamp(min=1)
        return {"tokens": output_tokens(task, rows, length), "mask": torch.arange(length) < real.unsqueeze(1)}

    def decode(rows: int, length: int) -> list[Tensor]:
        tokens, mask = example(rows, length).values()
        logits, state = model(tokens, model.initial_state(rows), mask)
        shown = logits.masked_fill(~mask.unsqueeze(2), 0.0)
        return [shown, *_logits(model, state, output_tokens(task, rows, STEPS))]

    both = {0: "batch", 1: "length"}
    reader = Program("prompt", ModelCall(model, prompt), example(*EXAMPLE), {"tokens": both, "mask": both})
    facts = _write_decoder(task, directory, reader, form, 1, decode, example)
    whole = Program("forward", ModelCall(model, forward), {"tokens": output_tokens(task, *EXAMPLE)}, {"tokens": both})
    return {**facts, **_write_whole(directory, whole, "logits", lambda *size: {"tokens": output_tokens(task, *size)})}


def write_encoder(task: Task[Any, Any, Any], directory: Path) -> ProgramFacts:
    """`forward.pt2` gives a number for each class."""
    model, sources = _copied(task), SourceInputs.of(task.source)

    def forward(*tensors: Tensor) -> tuple[Tensor]:
        return (model(*sources.nested(list(tensors))),)

    whole = Program("forward", ModelCall(model, forward), sources.example(*EXAMPLE), sources.axes)
    return _write_whole(directory, whole, "logits", sources.example)


def write_forecaster(task: Task[Any, Any, Any], directory: Path) -> ProgramFacts:
    """`forward.pt2` gives scaled forecasts of scaled windows."""
    model, levels, windows = _copied(task), task.config.levels, WindowInputs.of(task.source)

    def forward(*tensors: Tensor) -> tuple[Tensor]:
        y = model(*windows.nested(tensors))
        return (y.sort(3).values if levels else y,)

    whole = Program("forward", ModelCall(model, forward), windows.example(*EXAMPLE), windows.axes)
    return _write_whole(directory, whole, "forecast", windows.example)


WRITERS: dict[str, Callable[[Task[Any, Any, Any], Path], ProgramFacts]] = {
    "encoder-decoder": write_encoder_decoder,
    "decoder": write_decoder,
    "encoder": write_encoder,
    "forecaster": write_forecaster,
}


def _copied(task: Task[Any, Any, Any]) -> Any:
    """The model for programs: on the CPU, in float32 and without gradients."""
    return deepcopy(task.stored_model).cpu().float().eval().requires_grad_(False)


def _logits(model: Any, state: Any, tokens: Tensor) -> list[Tensor]:
    """The logits of steps over tokens (B, T)."""
    results = []
    for token in tokens.unbind(1):
        logits, state = model.step(token, state)
        results.append(logits)
    return results


def _write_decoder(
    task: Task[Any, Any, Any],
    directory: Path,
    first: Program,
    form: StateForm,
    before: int,
    decode: Callable[[int, int], list[Tensor]],
    example: Callable[[int, int], ProgramInputs],
) -> ProgramFacts:
    """Write the program that gives a state, after `before` other outputs, and the step; compare both by decoding."""
    begun = first.trace()
    start = save(begun, directory / f"{first.name}.pt2")
    state, axes = form.example(begun, start(*first.inputs.values())[before:])
    model: Any = first.module.model

    def following(token: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        logits, after = model.step(token, form.fill(tensors))
        return logits, *form.take(after)

    inputs = {"token": output_tokens(task, EXAMPLE[0], 1)[:, 0], **state}
    step = Program("step", ModelCall(model, following), inputs, {"token": {0: "batch"}, **axes})
    stepped = step.trace()
    advance = save(stepped, directory / "step.pt2")
    for rows, length in (EXAMPLE, *OTHERS):
        results = start(*example(rows, length).values())
        outputs, tensors = list(results[:before]), results[before:]
        for token in output_tokens(task, rows, STEPS).unbind(1):
            logits, *tensors = advance(token, *tensors)
            outputs.append(logits)
        for ours, theirs in zip(decode(rows, length), outputs, strict=True):
            if before and theirs.dim() == 3:
                theirs = theirs.masked_fill(~example(rows, length)["mask"].unsqueeze(2), 0.0)
            check_equal(first.name if theirs.dim() == 3 else "step", ours, theirs)
    names = ["logits"] * before + form.names
    return {
        first.name: first.describe(begun, names),
        "step": step.describe(stepped, ["logits", *form.names]),
    }


def _write_whole(
    directory: Path, whole: Program, output: str, example: Callable[[int, int], ProgramInputs]
) -> ProgramFacts:
    """Write a program without a state, and compare it."""
    program = whole.trace()
    run = save(program, directory / f"{whole.name}.pt2")
    for size in (EXAMPLE, *OTHERS):
        inputs = example(*size).values()
        check_equal(whole.name, whole.module(*inputs)[0], run(*inputs)[0])
    return {whole.name: whole.describe(program, [output])}
