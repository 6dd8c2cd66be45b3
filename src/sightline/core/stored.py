"""Results as JSON files with a schema version. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sightline.core.config import decode
from sightline.core.errors import InputError
from sightline.core.files import parse_json_object, read_regular, write_file
from sightline.core.json_text import finite, to_json

S = TypeVar("S", bound="SavedResults")


def version_first(plain: dict[str, Any]) -> dict[str, Any]:
    """The same fields, schema_version and command first, NaN and infinities as null."""
    first = {key: plain.pop(key) for key in ("schema_version", "command") if key in plain}
    return finite(first | plain)


@dataclass(frozen=True)
class SavedResults:
    """Results that are kept in a JSON file, with the version of its schema, which a subclass may have changed."""

    schema_version: int = field(default=1, kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, schema_version first, NaN and infinities as null."""
        return version_first(asdict(self))

    def save(self, path: Path) -> None:
        """Write the file `path`, whole or not at all."""
        write_file(path, to_json(self.to_dict(), indent=1) + "\n")

    @classmethod
    def load(cls: type[S], path: Path) -> S:
        """The results in the file `path`.

        Raises:
            InputError: "no such file"; "not valid JSON: …", and those of `of`.
        """
        return cls.of(parse_json_object(read_regular(path), where=path), where=str(path))

    @classmethod
    def of(cls: type[S], mapping: Mapping[str, Any], *, where: str = "results") -> S:
        """The results of which `to_dict` made the mapping.

        Raises:
            InputError: "expected schema_version 2, found 1"; the first field that is wrong.
        """
        if (version := mapping.get("schema_version")) != cls.schema_version:
            raise InputError(f"expected schema_version {cls.schema_version}, found {version!r}", where=where)
        return cls._decoded(mapping, where)

    @classmethod
    def _decoded(cls: type[S], mapping: Mapping[str, Any], where: str) -> S:
        return decode(cls, mapping, where=where)
