"""Results as JSON files with a schema version. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sightline.core.config import decode
from sightline.core.errors import InputError
from sightline.core.files import parse_json_object, read_regular, write_file
from sightline.core.json_text import finite, to_json

T = TypeVar("T")
S = TypeVar("S", bound="SavedResults")


def plain_results(results: Any) -> dict[str, Any]:
    """The fields of a dataclass as plain JSON types, schema_version and command first, NaN and infinities as null."""
    return version_first(asdict(results))


def version_first(plain: dict[str, Any]) -> dict[str, Any]:
    """The same fields, schema_version and command first, NaN and infinities as null."""
    first = {key: plain.pop(key) for key in ("schema_version", "command") if key in plain}
    return finite(first | plain)


def save_results(results: Any, path: Path) -> None:
    """Write the fields of a dataclass to the file `path`, whole or not at all."""
    write_file(path, to_json(plain_results(results), indent=1) + "\n")


def load_results(cls: type[T], path: Path, schema_version: int) -> T:
    """The dataclass that `save_results` wrote to the file `path`.

    Raises:
        InputError: "no such file"; "not valid JSON: …"; "expected schema_version 2, found 1"; the first field that is
            wrong.
    """
    return results_of(cls, parse_json_object(read_regular(path), where=path), schema_version, where=path)


def results_of(
    cls: type[T],
    mapping: Mapping[str, Any],
    schema_version: int,
    *,
    where: object,
    decoded: Callable[..., T] = decode,
) -> T:
    """The dataclass whose fields are in a mapping.

    Raises:
        InputError: "expected schema_version 2, found 1"; the first field that is wrong.
    """
    if (version := mapping.get("schema_version")) != schema_version:
        raise InputError(f"expected schema_version {schema_version}, found {version!r}", where=where)
    return decoded(cls, mapping, where=str(where))


@dataclass(frozen=True)
class SavedResults:
    """Results that are kept in a JSON file, with the version of its schema, which a subclass may have changed."""

    schema_version: int = field(default=1, kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, schema_version first, NaN and infinities as null."""
        return plain_results(self)

    def save(self, path: Path) -> None:
        """Write the file `path`, whole or not at all."""
        save_results(self, path)

    @classmethod
    def load(cls: type[S], path: Path) -> S:
        """The results in the file `path`; raises what `load_results` does."""
        return load_results(cls, path, cls.schema_version)
