"""A model in a directory: `config.json`, `model.safetensors` (or several files of weights), `README.md`.

Reading trusts nothing. No pickle is opened, no name is imported: the architecture is looked up in the table of its
form. Where that entry comes from a plugin, the file keeps the plugin's name and hash, and the model is refused until
its user has loaded the plugin. The model is first built without memory on torch's meta device and compared with the
tensors of the file, name by name and size by size, so that a config that claims billions of weights costs nothing to
refuse.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from sightline.core.config import decode, encode
from sightline.core.errors import InputError, one_line
from sightline.core.files import parse_json_object, read_regular, write_file
from sightline.core.front_end import FrontEndConfig
from sightline.core.suggest import look_up
from sightline.core.weights import own_tensors
from sightline.models import FORMS, SizedConfig
from sightline.models.plugins import NeededPlugin, check_loaded, used_plugins
from sightline.models.pruned import kept_heads, restore_heads
from sightline.models.sizes_only import sizes_only
from sightline.models.weight_files import WEIGHTS, OpenWeights, WeightHashes, opened_weights, write_weights
from sightline.parts.front_ends import Source, decode_front_end, encode_front_end

FORMAT = 2
HARMLESS = 1_000  # of a size, however few numbers the file contains
MOST_SETTING = 1 << 31  # of a whole number that no size of a tensor bounds, such as a sampling rate
CONFIG, CARD = "config.json", "README.md"
MOST_CONFIG_BYTES = 1 << 20
# Of models, by the names that config.json stores; and of tensors, by those of safetensors.
FLOATS = {name: getattr(torch, name) for name in ("float32", "float64", "float16", "bfloat16")}
DTYPES = {
    torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16", torch.bool: "BOOL",
    torch.int64: "I64",
}  # fmt: skip


@final
@dataclass(frozen=True)
class Stored:
    """The contents of config.json. `options` belong to the task; the hash tells a damaged file from a whole one.

    The model is `FORMS[form][arch]` with the values of `model`, built for the front end `source` and `outputs`, then
    with the heads of `kept_heads` alone in the layers that it names (see `models.pruned`), converted to `dtype`. Where
    the weights are in several files, `shards` has the hash of each, and `weights_sha256` is that of their index.
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
    dtype: Literal["float32", "float64", "float16", "bfloat16"] = "float32"
    shards: dict[str, str] = field(default_factory=dict)


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
    shard_bytes: int | str | None = None,
) -> None:
    """Writes the three files of `config.build(source, outputs)` in its current state into an existing directory.

    `form` and `arch` are the keys of the config's type in `FORMS`; `card` is README.md, a text for people. The weights
    are in one file, or in several of at most `shard_bytes` (see `weight_files.write_weights`).

    A directory that must be whole or absent is the caller's care: write it under another name, then rename it.
    """
    dtype = str(_dtype_of(model)).removeprefix("torch.")
    tensors = {name: tensor.cpu() for name, tensor in own_tensors(model).items()}
    hashes = write_weights(directory, tensors, shard_bytes)
    stored = Stored(
        format=FORMAT,
        task=task,
        form=form,
        arch=arch,
        model=encode(config),
        source=encode_front_end(source),
        outputs=outputs,
        weights_sha256=hashes.main,
        options=dict(options),
        plugins=used_plugins(form, arch, config),
        kept_heads=kept_heads(model),
        dtype=dtype,  # type: ignore[arg-type]
        shards=dict(hashes.shards),
    )
    content = encode(stored)
    for name, usual in (("plugins", []), ("kept_heads", {}), ("dtype", "float32"), ("shards", {})):
        if content[name] == usual:
            del content[name]  # earlier versions do not know it
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
    dtype = FLOATS[stored.dtype]
    with opened_weights(directory, WeightHashes(stored.weights_sha256, stored.shards)) as file:
        _check_plausible(stored, file.shapes, place)
        _check_tensors(_build_empty(config, source, stored, place), file, dtype)
        file.check_hashes(CONFIG)
        with torch.random.fork_rng(devices=[]):
            model = config.build(source, stored.outputs)
        restore_heads(model, stored.kept_heads)
        tensors = {name: file.tensor(name) for name in file.shapes}
        for name, tensor in tensors.items():
            if not tensor.isfinite().all():
                raise InputError(f"tensor {name!r} contains NaN or infinity", where=file.file(name))
    if dtype != torch.float32:
        model.to(dtype)
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


def _check_tensors(model: nn.Module, file: OpenWeights, dtype: torch.dtype) -> None:
    expected = own_tensors(model)
    for name in [*expected, *file.shapes]:
        if name not in file.shapes:
            raise InputError(f"tensor {name!r}, which the config asks for, is missing", where=file.main)
        if name not in expected:
            raise InputError(f"tensor {name!r} has no place in the model of the config", where=file.file(name))
        shape, kind = tuple(expected[name].shape), DTYPES[_stored_as(expected[name], dtype)]
        if file.shapes[name] != shape:
            raise InputError(
                f"tensor {name!r} has shape {file.shapes[name]}, the config asks for {shape}", where=file.file(name)
            )
        if file.dtypes[name] != kind:
            raise InputError(f"tensor {name!r} is {file.dtypes[name]}, expected {kind}", where=file.file(name))


def _stored_as(tensor: Tensor, dtype: torch.dtype) -> torch.dtype:
    """The dtype of a built tensor once the model has been converted to `dtype`; float32 leaves it as it is."""
    return dtype if tensor.is_floating_point() and dtype != torch.float32 else tensor.dtype


def _dtype_of(model: nn.Module) -> torch.dtype:
    """The dtype that a model has been converted to; float32 as long as its parameters have that.

    Raises:
        InputError: "tensors of bfloat16 and float32 are not saved: convert the model to one, …".
    """
    dtypes = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}
    if dtypes <= {torch.float32}:
        return torch.float32
    dtypes |= {tensor.dtype for tensor in own_tensors(model).values() if tensor.is_floating_point()}
    (first, *others) = sorted(dtypes, key=str)
    if others or first not in FLOATS.values():
        names = " and ".join(str(dtype).removeprefix("torch.") for dtype in (first, *others))
        raise InputError(
            f"tensors of {names} are not saved: convert the model to one of {', '.join(FLOATS)}, "
            "as by task.model.to(torch.bfloat16)"
        )
    return first
