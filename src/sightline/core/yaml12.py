"""YAML 1.2 in and out, where `1e-3` is a number, `no` is text and a repeated key is an error."""

from __future__ import annotations

import functools
import re
import reprlib
from pathlib import Path
from typing import Any

from sightline.core.errors import InputError

# The core schema of YAML 1.2: tag, pattern, possible first characters.
_SCALARS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """The mapping in a YAML 1.2 file; a repeated key is an error, and tags construct no objects.

    Raises:
        InputError: no such file, not UTF-8, not YAML (with the line), or not a mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise InputError("no such file", where=path) from error
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text (byte {error.start})", where=path) from error
    return parse_yaml(text, where=str(path))


def parse_yaml(text: str, *, where: str = "config.yaml") -> dict[str, Any]:
    """As `read_yaml`, from text."""
    import yaml

    try:
        loaded = yaml.load(text, Loader=_classes()[0])  # derives from SafeLoader
    except yaml.MarkedYAMLError as error:
        place = where if error.problem_mark is None else f"{where}:{error.problem_mark.line + 1}"
        raise InputError(f"not YAML: {error.problem}", where=place) from error
    except yaml.reader.ReaderError as error:
        raise InputError(f"not YAML: character {error.character:#x} is not allowed", where=where) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"not readable as YAML: {error}", where=where) from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise InputError(f"expected lines `key: value`, found {show(loaded)}", where=where)
    return loaded


def read_scalar(text: str) -> Any:
    """The number, truth value or null that YAML reads in a text; any other text is itself."""
    import yaml

    try:
        loaded = yaml.load(text, Loader=_classes()[0])  # derives from SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError):
        return text
    plain = isinstance(loaded, bool | int | float) or (loaded is None and bool(text.strip()))
    return loaded if plain else text


def dump_yaml(values: dict[str, Any]) -> str:
    """YAML text that `parse_yaml` reads back to equal values."""
    import yaml

    return yaml.dump(values, Dumper=_classes()[1], sort_keys=False, allow_unicode=True)


def show(value: Any) -> str:
    """The value on one line as YAML spells it; a long one is shortened in the middle."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    short = reprlib.Repr()
    short.maxstring, short.maxother, short.maxlong, short.maxlevel = 60, 60, 40, 3
    try:
        return short.repr(value)
    except ValueError:  # Python prints no integer of more than 4300 digits
        return "an integer of thousands of digits"


@functools.cache
def _classes() -> tuple[Any, Any]:
    """The loader and the dumper; PyYAML's own follow YAML 1.1."""
    import yaml

    class Loader(yaml.SafeLoader):
        def integer(self, node: Any) -> int:
            digits = self.construct_scalar(node)
            return int(digits, 16 if digits.startswith("0x") else 10)

        def mapping(self, node: Any) -> dict[Any, Any]:
            loaded = self.construct_mapping(node, deep=True)
            if len(loaded) < len(node.value):
                seen = set()
                for key, _ in node.value:
                    value = self.construct_object(key, deep=True)
                    if value in seen:
                        raise yaml.constructor.ConstructorError(
                            problem=f"key {show(value)} is repeated", problem_mark=key.start_mark
                        )
                    seen.add(value)
            return loaded

    class Dumper(yaml.SafeDumper):
        pass

    Loader.add_constructor("tag:yaml.org,2002:int", Loader.integer)
    Loader.add_constructor("tag:yaml.org,2002:map", Loader.mapping)
    for side in (Loader, Dumper):
        side.yaml_implicit_resolvers = {}
        for kind, pattern, first in _SCALARS:
            side.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(rf"(?:{pattern})\Z"), first)
    return Loader, Dumper
