"""Configuration: YAML, environment and flags to frozen dataclasses, strictly.

An unknown key is an error that names the nearest known one; a wrong value is an error that names its place, the
expected type and the value: `config.yaml: optim.lr: expected a number, found 'fast'`. Files follow YAML 1.2, where
`1e-3` is a number and `no` is text. Precedence: default < file < environment < flag.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from sightline.core.errors import InputError
from sightline.core.scalars import NOTHING, SCALARS, Unfit, read_literal
from sightline.core.settings import NamedSection, default_of, flat_parts, keys_of, members_of, named_sections
from sightline.core.suggest import nearest, suggest
from sightline.core.yaml12 import dump_yaml, read_scalar, read_yaml, show

C = TypeVar("C")


class _Layer(NamedTuple):
    """One source of values.

    values: nested mappings
    place: how the source names a key, given its path
    text: its values are text, to be read as the field's type
    dashes: its keys are flags, spelled with dashes in errors
    """

    values: Any
    place: Callable[[tuple[str, ...]], str]
    text: bool = False
    dashes: bool = False

    def spelled(self, keys: str) -> str:
        """Keys in the text of an error, as the source spells them."""
        return keys.replace("_", "-") if self.dashes else keys


def decode(cls: type[C], mapping: Mapping[str, Any], *, where: str = "config.yaml", base: C | None = None) -> C:
    """An instance of the dataclass `cls` from a nested mapping, as YAML or JSON give it.

    Keys that the mapping leaves out keep the value of `base`, or their default. Fields may be bool, int, float, str,
    Path, Literal, None, tuples, lists, dicts by text, other such dataclasses, and unions of these.

    Raises:
        InputError: an unknown or missing key, a value of the wrong type, or one that the dataclass itself refuses:
            `config.yaml: optim.lrr: unknown key, did you mean 'lr'?`
    """
    return _build(cls, [_Layer(mapping, _in_file(where))], base, ())


def encode(config: Any) -> dict[str, Any]:
    """The dataclass as nested dicts of plain JSON types, which `decode` reads back to an equal instance."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        if field.name in flat_parts(type(config)):
            plain |= encode(getattr(config, field.name))
        elif field.init:
            plain[field.name] = _plain(getattr(config, field.name))
    return plain


def override(config: C, changes: Mapping[str, Any], *, prefix: str = "") -> C:
    """The dataclass with values changed by dotted key: `override(config, {"optim.lr": 3e-4})`.

    Text is converted to the type of the field, as flags need it; errors name the place `prefix` + key.

    Raises:
        InputError: as `decode`.
    """
    return _build(type(config), [_flags_layer(type(config), changes, prefix)], config, ())


def resolve(
    cls: type[C],
    *,
    base: C | None = None,
    file: Path | str | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    ignored: Collection[str] = (),
) -> C:
    """An instance of `cls` from all sources: default (or `base`) < YAML file < environment < flags by dotted key.

    The environment names a key in capitals, levels joined by two underscores: `SIGHTLINE_OPTIM__LR=3e-4`. All
    sources are merged before values are checked, so values that only fit together may come from different sources.
    What they say of the `ignored` keys, of the first level, is left out.

    Raises:
        InputError: as `decode`, with the place `config.yaml: optim.lr`, `SIGHTLINE_OPTIM__LR` or `--optim.lr`.
    """
    layers = [] if file is None else [_Layer(read_yaml(file), _in_file(str(file)))]
    if environ:
        layers.append(_environment_layer(cls, base, environ))
    if flags:
        layers.append(_flags_layer(cls, flags, "--"))
    if ignored:
        layers = [_without(layer, ignored) for layer in layers]
    return _build(cls, layers, base, ())


def to_yaml(config: Any) -> str:
    """The dataclass as YAML text that `parse_yaml` and `decode` read back to an equal instance."""
    return dump_yaml(encode(config))


def _in_file(where: str) -> Callable[[tuple[str, ...]], str]:
    return lambda path: f"{where}: {'.'.join(map(_printable, path))}" if path else where


def _printable(key: str) -> str:
    return key if key.isprintable() and len(key) <= 60 else show(key)


def _flags_layer(cls: type, changes: Mapping[str, Any], prefix: str) -> _Layer:
    return _Layer(
        _nested(cls, changes, prefix),
        lambda path: prefix + ".".join(map(_printable, path)) if path else "",
        text=True,
        dashes=prefix == "--",
    )


def _environment_layer(cls: type, base: Any, environ: Mapping[str, str]) -> _Layer:
    """The variables that name a key of `cls`. Others belong to other commands, unless they look misspelt."""
    known = list(keys_of(cls))
    values = {}
    for variable, value in environ.items():
        if not variable.startswith("SIGHTLINE_"):
            continue
        key = variable.removeprefix("SIGHTLINE_").lower().replace("__", ".")
        if key.split(".")[0] in known:
            values[key] = value
        elif near := nearest(key.split(".")[0], known, cutoff=0.75):
            raise InputError(f"unknown key, did you mean SIGHTLINE_{near.upper()}?", where=variable)
    return _Layer(
        _nested(cls, values, ""), lambda path: "SIGHTLINE_" + "__".join(path).upper() if path else "", text=True
    )


def _nested(cls: type, changes: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """{"optim.lr": 1} as {"optim": {"lr": 1}}; the name alone of a `NamedSection` becomes its key."""
    tree: dict[str, Any] = {}
    sections, whole = named_sections(cls), set()
    for key, value in changes.items():
        path = (f"{key}.name" if key in sections else key).split(".")
        at: Any = tree
        for depth, parent in enumerate(path[:-1], 1):
            if tuple(path[:depth]) in whole:
                raise InputError("set both as a whole and by sub-key", where=prefix + key)
            at = at.setdefault(parent, {})
        if path[-1] in at:
            raise InputError("set both as a whole and by sub-key", where=prefix + key)
        at[path[-1]] = value
        whole.add(tuple(path))
    return tree


def _without(layer: _Layer, ignored: Collection[str]) -> _Layer:
    if not isinstance(layer.values, Mapping):
        return layer
    return layer._replace(values={key: value for key, value in layer.values.items() if key not in ignored})


def _build(cls: type[C], layers: list[_Layer], base: C | None, path: tuple[str, ...]) -> C:
    keys, parts = keys_of(cls), flat_parts(cls)
    for layer in layers:
        if not isinstance(layer.values, Mapping):
            raise InputError(
                f"expected the keys {layer.spelled(', '.join(keys))}, found {show(layer.values)}",
                where=layer.place(path),
            )
        for key in layer.values:
            if key not in keys:
                raise InputError(
                    f"unknown key{layer.spelled(_suggest(key, cls))}", where=layer.place((*path, str(key)))
                )
    arguments = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if not field.init:
            continue
        default = default_of(field) if base is None else getattr(base, field.name)
        if field.name in parts:
            arguments[field.name] = _build(parts[field.name], _only(layers, parts[field.name]), default, path)
            continue
        sources = [layer._replace(values=layer.values[field.name]) for layer in layers if field.name in layer.values]
        if sources:
            arguments[field.name] = _field(keys[field.name], sources, default, (*path, field.name), cls)
        elif default is not dataclasses.MISSING:
            arguments[field.name] = default
        else:
            where = layers[0].place(path) if layers else ""
            raise InputError(f"missing key {field.name!r}", where=where or cls.__name__)
    try:
        return cls(**arguments)
    except ValueError as error:
        raise _refusal(error, layers, path) from error


def _only(layers: list[_Layer], part: type) -> list[_Layer]:
    """The layers with the keys of a flat part alone."""
    keys = keys_of(part)
    return [layer._replace(values={key: layer.values[key] for key in layer.values if key in keys}) for layer in layers]


def _field(hint: Any, sources: list[_Layer], default: Any, path: tuple[str, ...], owner: type) -> Any:
    """The value of a field of `owner`: a dataclass from all layers together, anything else from the last one."""
    last = sources[-1]
    members = members_of(hint)
    nothing = last.values is None or (last.text and isinstance(last.values, str) and last.values.lower() in NOTHING)
    if nothing and type(None) in members and str not in members:
        return None
    base = default if dataclasses.is_dataclass(default) and not isinstance(default, type) else None
    nested = type(base) if base is not None else next((m for m in members if dataclasses.is_dataclass(m)), None)
    if nested is not None:
        layers = [layer for layer in sources if layer.values is not None]  # an empty section is ignored
        if issubclass(nested, NamedSection):
            base, layers = _named_section(nested, base, layers, path)
            _check_own_keys(base, layers, path, owner)
            nested = type(base)
        return _build(nested, layers, base, path)
    try:
        return _value(hint, last.values, last.text)
    except Unfit as error:
        raise InputError(f"expected {error}, found {show(last.values)}", where=last.place(path)) from None


def _named_section(
    section: type[NamedSection], base: NamedSection | None, layers: list[_Layer], path: tuple[str, ...]
) -> tuple[NamedSection, list[_Layer]]:
    """The section that the last layer with a name names, with its defaults, and the layers with every name as a key."""
    layers = [layer._replace(values=_with_name(layer)) for layer in layers]
    named = next((layer for layer in reversed(layers) if "name" in layer.values), None)
    if named is None:
        return base or section.named(None), layers
    name = named.values["name"]
    if base is not None and base.name == name:
        return base, layers
    try:
        return section.named(None if name is None else str(name)), layers
    except ValueError as error:
        raise InputError(str(error), where=named.place((*path, "name"))) from None


def _check_own_keys(section: NamedSection, layers: list[_Layer], path: tuple[str, ...], owner: type) -> None:
    """Refuse a key that only sections of other names have, and name these."""
    for layer in layers:
        for key in set(layer.values) - set(keys_of(type(section))):
            if names := type(section).names_with(key, owner):
                setting = f"{layer.place(path)}=" if layer.text else f"{path[-1]}: "
                has_none = f"{section.name} has no such key; " if section.name else ""
                raise InputError(f"{has_none}requires {setting}{' or '.join(names)}", where=layer.place((*path, key)))


def _with_name(layer: _Layer) -> dict[str, Any]:
    """The values of a layer for a `NamedSection`: a single value is the name, and text may say that there is none."""
    values = dict(layer.values) if isinstance(layer.values, Mapping) else {"name": layer.values}
    if layer.text and isinstance(values.get("name"), str) and values["name"].lower() in NOTHING:
        values["name"] = None
    return values


def _refusal(error: ValueError, layers: list[_Layer], path: tuple[str, ...]) -> InputError:
    """The error that the dataclass raised, placed where the value that it names came from."""
    message = str(error)
    named = getattr(error, "where", None)
    if named:
        name = named.split(".")[-1]
        for layer in reversed(layers):
            if name in layer.values:
                return InputError(message.removeprefix(f"{named}: "), where=layer.place((*path, name)))
    return InputError(message, where=(layers[-1].place(path) if layers else "") or None)


def _value(hint: Any, value: Any, text: bool) -> Any:
    """`value` as the type `hint`, converted from text if `text`. Raises `Unfit`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return read_scalar(value) if text and isinstance(value, str) else value
    if origin in (Union, types.UnionType):
        return _union(arguments, value, text)
    if origin is Literal:
        return read_literal(arguments, value, text)
    if origin in (tuple, list):
        return _sequence(origin, arguments, value, text)
    if origin in (dict, Mapping):
        return _dict(arguments, value, text)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _item(hint, value)
    reader = SCALARS.get(hint)
    if reader is None:
        raise TypeError(f"configuration fields of type {hint} are not supported")
    return reader(value, text)


def _item(hint: type, value: Any) -> Any:
    """A dataclass inside a tuple, list or dict, where it has no key of its own to report."""
    try:
        return _build(hint, [_Layer(value, _in_file(hint.__name__))], None, ())
    except InputError as error:
        raise Unfit(f"{hint.__name__} ({error})") from None


def _union(members: tuple[Any, ...], value: Any, text: bool) -> Any:
    expected = []
    for member in members:
        try:
            return _value(member, value, text)
        except Unfit as error:
            expected.append(str(error))
    raise Unfit(" or ".join(dict.fromkeys(expected)))


def _sequence(kind: type, arguments: tuple[Any, ...], value: Any, text: bool) -> Any:
    if text and isinstance(value, str):
        value = [part.strip() for part in value.split(",")] if value else []
    if not isinstance(value, (list, tuple)):
        raise Unfit("a list")
    if kind is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        items = () if arguments == ((),) else arguments
        if len(value) != len(items):
            raise Unfit(f"a list of {len(items)}")
    else:
        items = (arguments[0],) * len(value)
    read = []
    for index, (item, part) in enumerate(zip(items, value, strict=True)):
        try:
            read.append(_value(item, part, text))
        except Unfit as error:
            raise Unfit(f"{error} as item {index + 1}") from None
    return kind(read)


def _dict(arguments: tuple[Any, ...], value: Any, text: bool) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise Unfit("keys (text) and values")
    read = {}
    for key, part in value.items():
        try:
            read[key] = _value(arguments[1], part, text)
        except Unfit as error:
            raise Unfit(f"{error} under {key}") from None
    return read


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return encode(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a configuration contains only plain values, found {type(value).__name__}")


def _suggest(key: Any, cls: type) -> str:
    """A suggestion for an unknown `key`: a sibling, or a key of that name further down."""
    deeper = [dotted for dotted in _dotted(cls) if dotted.split(".")[-1] == key]
    if deeper and not nearest(str(key), keys_of(cls)):
        return f", did you mean {deeper[0]!r}?"
    return suggest(str(key), keys_of(cls))


def _dotted(cls: type, path: str = "") -> Iterator[str]:
    for name, hint in keys_of(cls).items():
        yield path + name
        for member in members_of(hint):
            if dataclasses.is_dataclass(member) and member is not cls:
                yield from _dotted(member, f"{path}{name}.")  # type: ignore[arg-type]
