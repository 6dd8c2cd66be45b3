"""Arrays inside JSON: dataclasses with arrays as plain JSON types and back. Imports no torch."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, make_dataclass
from functools import cache, reduce
from operator import or_
from types import GenericAlias, UnionType
from typing import Any, Literal, TypeVar, Union, final, get_args, get_origin, get_type_hints

import numpy as np

from sightline.core.config import decode

PackedNumbers = Literal["float16", "float32", "uint8", "bits"]
T = TypeVar("T")


@final
@dataclass(frozen=True)
class PackedArray:
    """An array in JSON: its numbers in C order, little-endian, as base64.

    numbers: the type of the numbers in `data`. `bits` are truth values, eight in a byte, the first the highest bit
    scale: every float16 is to be multiplied by it, a power of two; 1 unless the numbers would leave float16's range
    """

    shape: list[int]
    numbers: PackedNumbers
    data: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        count = math.prod(self.shape)
        expected = -(-count // 8) if self.numbers == "bits" else count * np.dtype(self.numbers).itemsize
        if len(self._bytes()) != expected:
            raise ValueError(f"an array of shape {self.shape} has {expected} bytes, found {len(self._bytes())}")

    def _bytes(self) -> bytes:
        try:
            return base64.b64decode(self.data, validate=True)
        except binascii.Error as error:
            raise ValueError(f"data: not base64: {error}") from None

    def array(self) -> np.ndarray:
        """The array: bool for bits, float32 for both floats."""
        if self.numbers == "bits":
            bits = np.unpackbits(np.frombuffer(self._bytes(), np.uint8), count=math.prod(self.shape))
            return bits.astype(bool).reshape(self.shape)
        numbers = np.frombuffer(self._bytes(), np.dtype(self.numbers).newbyteorder("<")).reshape(self.shape)
        if self.numbers == "uint8":
            return numbers.copy()
        return numbers.astype(np.float32) * np.float32(self.scale)


def packed(array: np.ndarray, numbers: PackedNumbers) -> PackedArray:
    """The array as JSON has it."""
    scale = 1.0
    if numbers == "bits":
        raw = np.packbits(array.astype(bool).ravel()).tobytes()
    else:
        if numbers == "float16" and array.size:
            scale = _scale(float(np.abs(array).max()))
            array = array / scale
        raw = np.ascontiguousarray(array, np.dtype(numbers).newbyteorder("<")).tobytes()
    return PackedArray(list(array.shape), numbers, base64.b64encode(raw).decode("ascii"), scale)


def _scale(largest: float) -> float:
    """The power of two by which float16 keeps its relative precision; 1 for numbers of the size of weights."""
    if largest == 0.0 or 2.0**-6 <= largest < 2.0**15:
        return 1.0
    return 2.0 ** (math.frexp(largest)[1] - 1)


def array_field(numbers: PackedNumbers, *, optional: bool = False) -> Any:
    """A dataclass field whose array is stored as `numbers`; None by default where it is optional."""
    metadata = {"numbers": numbers}
    return field(default=None, metadata=metadata) if optional else field(metadata=metadata)


def plain_with_arrays(value: Any) -> dict[str, Any]:
    """The dataclass as plain JSON types; its arrays must be declared by `array_field`."""
    return {one.name: _plain(getattr(value, one.name), one.metadata.get("numbers")) for one in fields(value)}


def _plain(value: Any, numbers: PackedNumbers | None) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if numbers is not None:
        return asdict(packed(value, numbers))
    if is_dataclass(value):
        return plain_with_arrays(value)
    if isinstance(value, Mapping):
        return {key: _plain(part, None) for key, part in value.items()}
    return [_plain(part, None) for part in value]


def decode_with_arrays(cls: type[T], mapping: Mapping[str, Any], *, where: str) -> T:
    """The dataclass of which `plain_with_arrays` made the mapping.

    Raises:
        InputError: the first field that is wrong, as `core.config.decode` says it.
    """
    return _unpacked(cls, decode(_stored(cls), mapping, where=where))


@cache
def _stored(cls: type) -> type:
    """The same dataclass with a `PackedArray` for each array."""
    hints = get_type_hints(cls)
    columns: list[Any] = []
    for one in fields(cls):
        hint = hints[one.name]
        if "numbers" in one.metadata:
            hint = PackedArray | None if one.default is None else PackedArray
        default: dict[str, Any] = {"kw_only": one.kw_only}
        if one.default is not MISSING:
            default["default"] = one.default
        if one.default_factory is not MISSING:
            default["default_factory"] = one.default_factory
        columns.append((one.name, _stored_hint(hint), field(**default)))
    return make_dataclass(cls.__name__, columns, frozen=True)


def _stored_hint(hint: Any) -> Any:
    if is_dataclass(hint) and hint is not PackedArray:
        return _stored(hint)
    origin: Any = get_origin(hint)
    arguments = tuple(_stored_hint(part) for part in get_args(hint))
    if origin in (Union, UnionType):
        return reduce(or_, arguments)
    return GenericAlias(origin, arguments) if origin in (list, dict) else hint


def _unpacked(cls: Any, stored: Any) -> Any:
    hints = get_type_hints(cls)
    return cls(**{one.name: _value(hints[one.name], getattr(stored, one.name)) for one in fields(cls)})


def _value(hint: Any, value: Any) -> Any:
    if isinstance(value, PackedArray):
        return value.array()
    inner = next((part for part in (hint, *get_args(hint)) if is_dataclass(part)), None)
    if isinstance(value, list):
        return [_value(get_args(hint)[0], part) for part in value]
    return _unpacked(inner, value) if inner is not None and is_dataclass(value) else value
