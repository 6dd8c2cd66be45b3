"""The exports of each form of model: its graphs, and the facts that the runner needs beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.core.state import leaves
from sightline.data.tokens.tokenizer import Tokenizer
from sightline.export.onnx_graphs import Graph
from sightline.export.onnx_loops import with_loops
from sightline.export.onnx_parts import DecoderGraph, Start, Whole
from sightline.export.onnx_state import PAST, StateNames, named
from sightline.export.source_inputs import SourceInputs, WindowInputs, output_tokens
from sightline.tasks.task import Task

GraphFacts = dict[str, Any]
TOKENS = {"start": Tokenizer.BOS, "end": Tokenizer.EOS, "banned": [Tokenizer.PAD, Tokenizer.BOS, Tokenizer.UNK]}
INITIAL = "initial_state.npz"
FACTS = "export.json"  # beside the graphs
LONG = 150  # longer than the windows and blocks of the presets
COMPARED = (1, 1), (2, LONG)  # rows and length


@torch.no_grad()
def write_encoder_decoder(task: Task[Any, Any, Any], directory: Path) -> GraphFacts:
    """`encoder.onnx` gives the decoder's first state, `decoder.onnx` is a step."""
    trained: Any = getattr(task, "trained", None)
    model: Any = with_loops(task.stored_model)
    sources = SourceInputs.of(task.source)

    def state(rows: int, length: int, steps: int) -> Any:
        start = Start(model, sources.nested)
        memory = model.encode(*start.nest(list(sources.example(rows, length).values())))
        result = model.decoder.initial_state(rows, memory)
        for _ in range(steps):
            _, result = model.step(output_tokens(task, rows, 1)[:, 0], result)
        return result

    like = state(3, 5, 2)
    others = {"memory": state(3, 7, 2), PAST: state(3, 5, 3)}
    names = StateNames.of(like, model.step(output_tokens(task, 3, 1)[:, 0], like)[1], others)
    encoder = Graph(
        Start(model, sources.nested),
        sources.example(3, 5),
        sources.axes,
        tuple(f"state.{name}" for name in names.names),
        [sources.example(*size) for size in COMPARED],
    )
    decoder = _of_decoder(
        DecoderGraph(model.decoder, like, names), names, lambda *sizes: output_tokens(task, sizes[0], 1)[:, 0], state
    )
    written = _written(directory, {"encoder": encoder, "decoder": decoder})
    facts = {"tokens": TOKENS, "longest_output": trained.longest_output, "sources": sources.described()}
    sides = {"source": trained.tokenizers.source, "target": trained.tokenizers.target}
    return written | facts | {"vocabularies": {side: one.to_dict() for side, one in sides.items()}}


@torch.no_grad()
def write_decoder(task: Task[Any, Any, Any], directory: Path) -> GraphFacts:
    """`decoder.onnx` reads any number of tokens, or one at a time where the model has no such graph."""
    trained: Any = getattr(task, "trained", None)
    model = with_loops(trained.model)

    def state(rows: int, length: int, steps: int) -> Any:
        result = model.initial_state(rows)
        for _ in range(steps):
            _, result = model.step(output_tokens(task, rows, 1)[:, 0], result)
        return result

    like = state(3, 1, 2)
    others = {PAST: state(3, 1, 3)}
    names = StateNames.of(like, model.step(output_tokens(task, 3, 1)[:, 0], like)[1], others)
    initial = state(1, 1, 0)
    arrays: Any = {f"state.{name}": leaf.numpy() for name, leaf in named(initial)}
    np.savez(directory / INITIAL, **arrays)

    def tokens(rows: int, length: int, steps: int) -> Tensor:
        return output_tokens(task, rows, length)

    decoder = _of_decoder(DecoderGraph(model, like, names, chunk=True), names, tokens, state, {0: "batch", 1: "steps"})
    written = _written(directory, {"decoder": decoder})
    facts = {"tokens": TOKENS, "any_length": True, "initial_state": INITIAL}
    return written | facts | {"vocabularies": {"source": trained.tokenizer.to_dict()}}


@torch.no_grad()
def write_encoder(task: Task[Any, Any, Any], directory: Path) -> GraphFacts:
    """`classifier.onnx` gives a number for each class."""
    trained: Any = getattr(task, "trained", None)
    sources = SourceInputs.of(task.source)
    graph = Graph(
        Whole(with_loops(task.stored_model), sources.nested),
        sources.example(3, 5),
        sources.axes,
        ("logits",),
        [sources.example(*size) for size in COMPARED],
    )
    written = _written(directory, {"classifier": graph})
    (source,) = described = sources.described()
    inputs = trained.inputs
    if inputs.scaling is not None:
        source["scaling"] = asdict(inputs.scaling)
    if task.config.max_length is not None and source["kind"] in ("tokens", "words", "series"):
        source["longest"] = task.config.max_length
    words = {} if inputs.words is None else {"source": inputs.words.to_dict()}
    return written | {"classes": trained.classes, "many": trained.many, "sources": described, "vocabularies": words}


@torch.no_grad()
def write_forecaster(task: Task[Any, Any, Any], directory: Path) -> GraphFacts:
    """`forecaster.onnx` gives scaled forecasts of scaled windows."""
    trained: Any = getattr(task, "trained", None)
    source: Any = task.source
    model, levels, windows = with_loops(task.stored_model), task.config.levels, WindowInputs.of(source)

    def predict(*inputs: Tensor | None) -> Tensor:
        y = model(*inputs)
        return y.sort(3).values if levels else y  # as `predictor_of` does

    module = Whole(predict, windows.nested)
    module.parts = model  # so that its weights belong to the graph
    example = windows.example
    graph = Graph(module, example(3), windows.axes, ("forecast",), [example(1), example(5)])
    fitted = trained.fitted
    scales = {
        name: {"columns": columns, "center": of[0], "spread": of[1]}
        for name, columns, of in (
            ("past", fitted.columns.past, fitted.past),
            ("known", fitted.columns.known, fitted.known),
        )
    }
    about = {
        "targets": fitted.columns.targets,
        "series": fitted.names,
        "series_column": fitted.columns.series,
        "every": fitted.every,
        "missing": fitted.columns.missing,
        "center": fitted.center,
        "spread": fitted.spread,
        "scale": fitted.scale,
        "lookback": source.lookback,
        "horizon": source.horizon,
        "levels": levels,
    }
    return _written(directory, {"forecaster": graph}) | {"forecast": about | scales}


WRITERS: dict[str, Callable[[Task[Any, Any, Any], Path], GraphFacts]] = {
    "encoder-decoder": write_encoder_decoder,
    "decoder": write_decoder,
    "encoder": write_encoder,
    "forecaster": write_forecaster,
}


def _of_decoder(
    module: Any,
    names: StateNames,
    tokens: Callable[[int, int, int], Tensor],
    state: Callable[[int, int, int], Any],
    axes: dict[int, str] | None = None,
) -> Graph:
    """The graph of a decoder, compared over states of several sizes, the first one among them."""

    def inputs(rows: int, length: int, steps: int) -> dict[str, Tensor]:
        of_state = zip(names.names, leaves(state(rows, length, steps)), strict=True)
        return {"tokens": tokens(rows, length, steps), **{f"state.{name}": leaf for name, leaf in of_state}}

    changed = (name for name, new in zip(names.names, names.changed, strict=True) if new)
    state_axes = {f"state.{name}": of for name, of in zip(names.names, names.axes, strict=True)}
    return Graph(
        module,
        inputs(3, 5, 2),
        {"tokens": axes or {0: "batch"}, **state_axes},
        ("logits", *(f"next.{name}" for name in changed)),
        [inputs(4, 4, 0), inputs(1, 1, 1), *(inputs(*size, LONG) for size in COMPARED)],
    )


def _written(directory: Path, graphs: dict[str, Graph]) -> GraphFacts:
    """Write the graphs; their files, inputs and outputs, with the names of sizes that may change."""
    described = {}
    for name, graph in graphs.items():
        graph.write(directory / f"{name}.onnx")
        inputs = {
            one: [graph.axes[one].get(axis, size) for axis, size in enumerate(tensor.shape)]
            for one, tensor in graph.inputs.items()
        }
        described[name] = {"file": f"{name}.onnx", "inputs": inputs, "outputs": list(graph.outputs)}
    return {"graphs": described}


def write_facts(directory: Path, facts: GraphFacts) -> None:
    """Write `export.json`."""
    text = json.dumps(facts, ensure_ascii=False, allow_nan=False, indent=1)
    (directory / FACTS).write_text(text + "\n", encoding="utf-8")
