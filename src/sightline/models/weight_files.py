"""The weights in a model's directory: `model.safetensors`, or several such files and an index of them.

The layout of several files is that of Hugging Face's hub: `model-00001-of-00003.safetensors` and so on, and
`model.safetensors.index.json` with the file of each tensor. Which files there are, and their hashes, is for config.json
to say: the index names no other.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sightline.core.errors import EnvironmentFault, InputError, one_line
from sightline.core.files import parse_json_object, read_regular, write_file
from sightline.core.weights import HEADER_BYTES, check_safetensors

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
MOST_INDEX_BYTES = 1 << 26


@final
@dataclass(frozen=True)
class WeightHashes:
    """The SHA-256 of `main`, the only file of weights or the index, and of each file that the index names."""

    main: str
    shards: Mapping[str, str]


def write_weights(directory: Path, tensors: Mapping[str, Tensor], most_bytes: int | str | None = None) -> WeightHashes:
    """Write tensors, each once, to an existing directory: one file, or several of at most `most_bytes` ("5GB").

    A tensor that is larger has a file of its own.
    """
    if most_bytes is None:
        return WeightHashes(_write(directory / WEIGHTS, tensors), {})
    from huggingface_hub import split_torch_state_dict_into_shards

    split = split_torch_state_dict_into_shards(dict(tensors), max_shard_size=most_bytes)
    if not split.is_sharded:
        return WeightHashes(_write(directory / WEIGHTS, tensors), {})
    shards = {
        file: _write(directory / file, {name: tensors[name] for name in names})
        for file, names in split.filename_to_tensors.items()
    }
    content = json.dumps({"metadata": split.metadata, "weight_map": split.tensor_to_filename}, indent=2) + "\n"
    write_file(directory / INDEX, content)
    return WeightHashes(hashlib.sha256(content.encode()).hexdigest(), shards)


def _write(path: Path, tensors: Mapping[str, Tensor]) -> str:
    # As bytes, so that a full disk is an OSError and not an error of the format.
    content = safetensors.torch.save(dict(tensors), metadata={"format": "pt"})
    write_file(path, content)
    return hashlib.sha256(content).hexdigest()


@final
class OpenWeights:
    """Opened files of weights, their headers checked by the library: bounds, overlaps, full coverage; nothing loaded.

    main: the only file, or the index; shapes, dtypes: of each tensor, as the format names them
    """

    def __init__(self, main: Path, files: Mapping[Path, safe_open], hashes: Mapping[Path, str]) -> None:
        self.main, self._hashes = main, hashes
        self._places = {name: (path, file) for path, file in files.items() for name in file.keys()}  # noqa: SIM118
        slices = {name: file.get_slice(name) for name, (_, file) in self._places.items()}
        self.shapes: dict[str, tuple[int, ...]] = {name: tuple(one.get_shape()) for name, one in slices.items()}
        self.dtypes: dict[str, str] = {name: one.get_dtype() for name, one in slices.items()}

    def file(self, name: str) -> Path:
        """The file of a tensor."""
        return self._places[name][0]

    def tensor(self, name: str) -> Tensor:
        return self._places[name][1].get_tensor(name)

    def check_hashes(self, config: str) -> None:
        """Refuse files that are not those of which `config` has the hashes.

        Raises:
            InputError: "damaged: it is not the file that config.json was saved with".
        """
        for path, expected in self._hashes.items():
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                    raise InputError(f"damaged: it is not the file that {config} was saved with", where=path)


@contextmanager
def opened_weights(directory: Path, hashes: WeightHashes) -> Iterator[OpenWeights]:
    """The weights of a directory, in the files that the hashes name.

    Raises:
        InputError: a missing file, a pickle or an archive, a damaged header; an index that names other files, or not
            the tensors that they contain.
    """
    with ExitStack() as stack:
        if not hashes.shards:
            path = directory / WEIGHTS
            if not path.exists() and (directory / INDEX).exists():
                raise InputError("config.json lists no files of weights: save the model again", where=directory / INDEX)
            yield OpenWeights(path, {path: stack.enter_context(_opened(path))}, {path: hashes.main})
            return
        index = directory / INDEX
        named = _read_index(index, hashes.shards)
        files = {directory / name: stack.enter_context(_opened(directory / name)) for name in hashes.shards}
        for path, file in files.items():
            _check_names(path, file.keys(), named[path.name])
        paths = {directory / name: digest for name, digest in hashes.shards.items()}
        yield OpenWeights(index, files, {index: hashes.main, **paths})


def _read_index(path: Path, shards: Iterable[str]) -> dict[str, set[str]]:
    """The names of the tensors of each file."""
    places = parse_json_object(read_regular(path, MOST_INDEX_BYTES), where=path).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
        raise InputError("not an index of weights: expected 'weight_map', a file for each tensor", where=path)
    named: dict[str, set[str]] = {}
    for file in shards:
        if not SHARD.fullmatch(file):
            raise InputError(f"{file[:80]!r} is not the name of a file of weights", where=path)
        named[file] = set()
    for tensor, file in places.items():
        if file not in named:
            raise InputError(f"{file[:80]!r} is not a file that config.json lists", where=path)
        named[file].add(tensor)
    return named


def _check_names(path: Path, names: Iterable[str], named: set[str]) -> None:
    if different := sorted(named ^ set(names)):
        where = "is not in this file, where the index has it" if different[0] in named else "is not in the index"
        raise InputError(f"tensor {different[0]!r} {where}", where=path)


@contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
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
