"""The inputs of an exported model: names, examples and the sizes that may change, by the front end that reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig, InputKind
from sightline.data.tokens.spelling import Spelling
from sightline.parts.several import Masked

DrawInput = Callable[[Any, int, int, torch.Generator], Tensor]  # (front end, rows, length, generator)


def _tokens(front_end: Any, rows: int, length: int, generator: torch.Generator) -> Tensor:
    return torch.randint(front_end.vocabulary, (rows, length), generator=generator)


def _words(front_end: Any, rows: int, length: int, generator: torch.Generator) -> Tensor:
    most = min(getattr(front_end, "letters", Spelling.size), Spelling.size)
    letters = torch.randint(1, most, (rows, length, Spelling.LENGTH), generator=generator)
    ends = torch.randint(2, Spelling.LENGTH + 1, (rows, length, 1), generator=generator)
    return letters.masked_fill(torch.arange(Spelling.LENGTH) >= ends, 0)


def _series(front_end: Any, rows: int, length: int, generator: torch.Generator) -> Tensor:
    return torch.randn(rows, length, front_end.channels, generator=generator)


def _audio(front_end: Any, rows: int, length: int, generator: torch.Generator) -> Tensor:
    samples = front_end.window + length * front_end.hop * front_end.stride
    samples += -samples % (front_end.hop * front_end.stride)
    return 0.1 * torch.randn(rows, samples, generator=generator)


def _image(front_end: Any, rows: int, length: int, generator: torch.Generator) -> Tensor:
    size = rows, front_end.channels, front_end.height, front_end.width
    return torch.randint(256, size, generator=generator, dtype=torch.uint8)


def output_tokens(task: Any, rows: int, length: int) -> Tensor:
    """Some tokens (B, T) of the output's vocabulary."""
    return (torch.arange(rows * length) * 7 % (task.outputs - 4) + 4).view(rows, length)


@final
@dataclass(frozen=True)
class WindowInputs:
    """The inputs of a forecaster: of `values`, `past` and `known` those that it reads, by length and width."""

    sizes: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, source: Any) -> WindowInputs:
        """Those of the source of a task."""
        whole = source.lookback + source.horizon
        widths = {"values": source.channels, "past": source.past, "known": source.known}
        return cls({name: (whole if name == "known" else source.lookback, width) for name, width in widths.items()})

    def example(self, rows: int, length: int = 0) -> dict[str, Tensor]:
        """Random windows, whatever the length."""
        generator = torch.Generator().manual_seed(rows)
        sizes = {name: (rows, *size) for name, size in self.sizes.items() if size[1]}
        return {name: torch.randn(*size, generator=generator) for name, size in sizes.items()}

    @property
    def axes(self) -> dict[str, dict[int, str]]:
        """Of each input, the axes whose size may change."""
        return {name: {0: "batch"} for name in self.example(1)}

    def nested(self, inputs: Sequence[Tensor]) -> list[Tensor | None]:
        """The inputs as the model takes them, None for one that it does not read."""
        by_name = dict(zip(self.example(1), inputs, strict=True))
        return [by_name.get(name) for name in self.sizes]


DRAW: dict[InputKind, DrawInput] = {
    "tokens": _tokens,
    "words": _words,
    "series": _series,
    "audio": _audio,
    "image": _image,
}
FIXED: tuple[InputKind, ...] = ("image",)  # of one size: no mask


@final
@dataclass(frozen=True)
class SourceInputs:
    """The inputs of an encoder, in the order of its graph.

    names, front_ends: of each source
    joint: whether several sources are one input of the model
    """

    names: tuple[str, ...]
    front_ends: tuple[FrontEndConfig, ...]
    joint: bool

    @classmethod
    def of(cls, front_end: FrontEndConfig) -> SourceInputs:
        """Raises `InputError` where there is no example of such an input."""
        parts = getattr(front_end, "parts", None)
        ends = (front_end,) if parts is None else tuple(parts)
        for one in ends:
            if one.accepts not in DRAW:
                raise InputError(f"no graph reads {type(one).__name__}")
        names = ("source",) if len(ends) == 1 else tuple(f"source_{number}" for number in range(len(ends)))
        return cls(names, ends, parts is not None)

    @property
    def axes(self) -> dict[str, dict[int, str]]:
        """Of each input, the axes whose size may change."""
        axes: dict[str, dict[int, str]] = {}
        for name, front_end in zip(self.names, self.front_ends, strict=True):
            of_input = {0: "batch"} if front_end.accepts in FIXED else {0: "batch", 1: f"{name}_length"}
            axes[name] = of_input
            if front_end.accepts not in FIXED:
                axes[f"{name}_mask"] = of_input
        return axes

    def example(self, rows: int, length: int) -> dict[str, Tensor]:
        """Random inputs: the first row is as long as all, others are shorter, one is empty where there are three."""
        generator = torch.Generator().manual_seed(rows * length)
        inputs: dict[str, Tensor] = {}
        for name, front_end in zip(self.names, self.front_ends, strict=True):
            inputs[name] = values = DRAW[front_end.accepts](front_end, rows, length, generator)
            if front_end.accepts not in FIXED:
                size = values.shape[1]
                lengths = torch.tensor([size, (size + 1) // 2, 0, size - 1] * rows)[:rows]
                inputs[f"{name}_mask"] = torch.arange(size) < lengths.unsqueeze(1)
        return inputs

    def nested(self, inputs: list[Tensor]) -> tuple[Any, Tensor | None]:
        """Source and mask as the model takes them."""
        each, parts = iter(inputs), []
        for front_end in self.front_ends:
            values = next(each)
            parts.append(Masked(values, None if front_end.accepts in FIXED else next(each)))
        return (tuple(parts), None) if self.joint else (parts[0].values, parts[0].mask)

    def described(self) -> list[dict[str, Any]]:
        """For the runner: the kind of each source, and its inputs."""
        described = []
        for name, front_end in zip(self.names, self.front_ends, strict=True):
            mask = None if front_end.accepts in FIXED else f"{name}_mask"
            one: dict[str, Any] = {"kind": front_end.accepts, "input": name, "mask": mask}
            if front_end.accepts == "audio":
                hop: Any = front_end
                one |= {"dtype": "float32", "multiple": hop.hop * hop.stride}
            if front_end.accepts == "image":
                one["dtype"] = "uint8"
            described.append(one)
        return described
