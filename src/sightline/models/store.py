"""A model in a directory: `config.json`, `model.safetensors`, `README.md`.

Reading trusts nothing. No pickle is opened, no name is imported: the architecture is looked up in the table of its
form. Where that entry comes from a plugin, the file keeps the plugin's name and hash, and the model is refused until
its user has loaded the plugin. The model is first built without memory on torch's meta device and compared with the
tensors of the file, name by name and size by size, so that a config that claims billions of weights costs nothing to
refuse.
"""

from __future__ import annotations

import hashlib
import json
import math
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, final

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from sightline.core.config import decode, encode
from sightline.core.errors import EnvironmentFault, InputError, one_line
from sightline.core.files import parse_json_object, read_regular, write_file
from sightline.core.front_end import FrontEndConfig
from sightline.core.suggest import look_up
from sightline.core.weights import HEADER_BYTES, check_safetensors, own_tensors
from sightline.models import FORMS, SizedConfig
from sightline.models.plugins import NeededPlugin, check_loaded, used_plugins
from sightline.models.pruned import kept_heads, restore_heads
from sightline.models.sizes_only import sizes_only
from sightline.parts.front_ends import Source, decode_front_end, encode_front_end

FORMAT = 2
HARMLESS = 1_000  # of a size, however few numbers the file contains
MOST_SETTING = 1 << 31  # of a whole number that no size of a tensor bounds, such as a sampling rate
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
MOST_CONFIG_BYTES = 1 << 20
DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.bool: "BOOL", torch.int64: "I64"}


@final
@dataclass(frozen=True)
class Stored:
    """The contents of config.json. `options` belong to the task; the hash tells a damaged file from a whole one.

    The model is `FORMS[form][arch]` with the values of `model`, built for the front end `source` and `outputs`, then
    with the heads of `kept_heads` alone in the layers that it names (see `models.pruned`).
    """

    format: int
    task: str
    form: str
    arch: str
    model: dict[str, Any]
    source: dict[str, Any]
    outputs: int
    weights_sha256: str
    options: dict[str, Any] = field(default_factory=dict)
    plugins: list[NeededPlugin] = field(default_factory=list)
    kept_heads: dict[str, tuple[int, ...]] = field(default_factory=dict)


class LoadedModel(NamedTuple):
    """A loaded model and its description."""

    model: nn.Module
    form: str
    arch: str
    config: Any  # of the type that the table of the form has
    source: FrontEndConfig
    outputs: int
    task: str
    options: dict[str, Any]


def save_model(
    directory: Path,
    model: nn.Module,
    config: SizedConfig,
    source: Source,
    outputs: int,
    *,
    form: str,
    arch: str,
    task: str,
    options: Mapping[str, Any],
    card: str,
) -> None:
    """Writes the three files of `config.build(source, outputs)` in its current state into an existing directory.

    `form` and `arch` are the keys of the config's type in `FORMS`; `card` is README.md, a text for people.

    A directory that must be whole or absent is the caller's care: write it under another name, then rename it.
    """
    tensors = {name: tensor.cpu() for name, tensor in own_tensors(model).items()}
    # As bytes, so that a full disk is an OSError and not an error of the format.
    weights = safetensors.torch.save(tensors, metadata={"format": "pt"})
    stored = Stored(
        format=FORMAT,
        task=task,
        form=form,
        arch=arch,
        model=encode(config),
        source=encode_front_end(source),
        outputs=outputs,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        options=dict(options),
        plugins=used_plugins(form, arch, config),
        kept_heads=kept_heads(model),
    )
    content = encode(stored)
    for name in ("plugins", "kept_heads"):  # which earlier versions do not know
        if not content[name]:
            del content[name]
    write_file(directory / WEIGHTS, weights)
    write_file(directory / CONFIG, json.dumps(content, indent=2, allow_nan=False) + "\n")
    write_file(directory / CARD, card)


def load_model(directory: Path | str) -> LoadedModel:
    """The model in a directory, on the processor, in evaluation mode.

    Raises:
        InputError: one line with the file and what is wrong: missing, not JSON, an unknown key or architecture with
            the nearest known one, a plugin that is not loaded (no file loads one), a pickle or an archive (refused
            unread), truncated, tensors that are missing, left over or of other shapes than the config says, weights
            that are NaN or infinite.
    """
    directory = Path(directory)
    place = directory / CONFIG
    stored = decode(Stored, _read_config(place), where=str(place))
    if stored.format != FORMAT:
        raise InputError(f"format {stored.format} is unknown; this version reads format {FORMAT}", where=place)
    check_loaded(stored.plugins, where=place)
    presets = look_up(FORMS, stored.form, "form", where=place)
    preset = look_up(presets, stored.arch, "architecture", where=place)
    config: Any = decode(type(preset), stored.model, where=f"{place}: model")
    source = decode_front_end(stored.source, where=f"{place}: source")
    weights = directory / WEIGHTS
    with _opened(weights) as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        _check_plausible(stored, shapes, place)
        empty = _build_empty(config, source, stored, place)
        _check_tensors(empty, shapes, {name: file.get_slice(name).get_dtype() for name in shapes}, weights)
        _check_hash(weights, stored.weights_sha256)
        with torch.random.fork_rng(devices=[]):
            model = config.build(source, stored.outputs)
        restore_heads(model, stored.kept_heads)
        tensors = {name: file.get_tensor(name) for name in shapes}
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InputError(f"tensor {name!r} contains NaN or infinity", where=weights)
    model.load_state_dict(tensors, strict=False)  # `_check_tensors` was strict; tied tensors are stored once
    return LoadedModel(
        model.eval(), stored.form, stored.arch, config, source, stored.outputs, stored.task, stored.options
    )


def stored_task(directory: Path) -> str:
    """The name of the task that the model in a directory is for; raises as `load_model` does for its config.json."""
    place = directory / CONFIG
    name = _read_config(place).get("task")
    if not isinstance(name, str):
        raise InputError("names no task", where=place)
    return name


def _read_config(path: Path) -> dict[str, Any]:
    return parse_json_object(read_regular(path, MOST_CONFIG_BYTES), where=path)


@contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    """The safetensors file, its header checked by the library: bounds, overlaps, full coverage; nothing loaded yet."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError("not a regular file", where=path)
        with path.open("rb") as raw:
            check_safetensors(raw.read(HEADER_BYTES), where=path)
        with safe_open(path, framework="pt") as file:
            yield file
    except (FileNotFoundError, NotADirectoryError):
        raise InputError("no such file", where=path) from None
    except OSError as error:
        raise EnvironmentFault(f"{path}: {error.strerror or one_line(error)}") from error
    except SafetensorError as error:
        raise InputError(f"not a whole safetensors file: {one_line(error)}", where=path) from None


def _check_plausible(stored: Stored, shapes: Mapping[str, tuple[int, ...]], place: Path) -> None:
    """Refuses sizes too large for the file before anything is built: a billion layers would take for ever."""
    numbers = sum(math.prod(shape) for shape in shapes.values())
    settings = {f"source.{name}": value for name, value in stored.source.items() if name != "vocabulary"}
    for name, value in settings.items():
        if isinstance(value, int) and not 0 <= value <= MOST_SETTING:
            raise InputError(f"{name} is {value}, at most {MOST_SETTING:,} is possible", where=place)
    sizes = [("outputs", stored.outputs)]
    sizes += [(f"model.{name}", value) for name, value in stored.model.items() if isinstance(value, int)]
    sizes += [("source.vocabulary", stored.source["vocabulary"])] if "vocabulary" in stored.source else []
    for name, value in sizes:
        # Small values that shape no tensor, such as the width of a moving average, are harmless.
        most = len(shapes) if name.endswith("layers") else max(numbers, HARMLESS)
        if not 0 <= value <= most:
            what = "tensors" if name.endswith("layers") else "numbers"
            raise InputError(f"{name} is {value}, but {WEIGHTS} contains {most:,} {what}", where=place)


def _build_empty(config: SizedConfig, source: FrontEndConfig, stored: Stored, place: Path) -> nn.Module:
    """The model without memory for its weights; an error in its sizes or heads is the file's fault."""
    try:
        with sizes_only():
            model = config.build(source, stored.outputs)
    except MemoryError:
        raise
    except Exception as error:
        raise InputError(f"model: these sizes make no model: {one_line(error)}", where=place) from None
    try:
        with sizes_only():
            restore_heads(model, stored.kept_heads)
    except ValueError as error:
        raise InputError(f"kept_heads: {one_line(error)}", where=place) from None
    return model


def _check_tensors(
    model: nn.Module, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, str], where: Path
) -> None:
    expected = own_tensors(model)
    for name in [*expected, *shapes]:
        if name not in shapes:
            raise InputError(f"tensor {name!r}, which the config asks for, is missing", where=where)
        if name not in expected:
            raise InputError(f"tensor {name!r} has no place in the model of the config", where=where)
        if shapes[name] != tuple(expected[name].shape):
            raise InputError(
                f"tensor {name!r} has shape {shapes[name]}, the config asks for {tuple(expected[name].shape)}",
                where=where,
            )
        if dtypes[name] != DTYPES[expected[name].dtype]:
            raise InputError(f"tensor {name!r} is {dtypes[name]}, expected {DTYPES[expected[name].dtype]}", where=where)


def _check_hash(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != expected:
            raise InputError(f"damaged: it is not the file that {CONFIG} was saved with", where=path)
