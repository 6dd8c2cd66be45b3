"""Inputs of requests as a task takes them: texts, numbers, and the bytes of sounds, pictures and tables.

No text of a request is ever taken for the name of a file: a model that reads files gets their bytes, and a table is
written under a name that the server chooses.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.media.files import MediaFile
from sightline.data.media.images import FORMATS
from sightline.serve.limits import ServerLimits
from sightline.serve.refusal import Refusal
from sightline.tasks.input_source import InputSource

MOST_RATE_HZ = 192_000
TABLE = "series.csv"


class TableContent(NamedTuple):
    """The bytes of a table of series."""

    content: bytes


def read_input(value: Any, sources: Mapping[str, InputSource], limits: ServerLimits, place: str) -> Any:
    """One input of a request; `sources` are those of the task.

    Raises:
        Refusal: 422 "inputs.0: expected a text, found a list"; 413 "inputs.0: has 30000 characters, at most 20000 are
            read".
    """
    if len(sources) == 1:
        return _READERS[next(iter(sources.values()))](value, limits, place)
    if not isinstance(value, Mapping) or set(value) != set(sources):
        actual = ", ".join(map(repr, value)) if isinstance(value, Mapping) else _kind(value)
        raise Refusal(422, f"{place}: expected an object with {', '.join(sources)}, found {actual[:200]}", param=place)
    return {name: _READERS[kind](value[name], limits, f"{place}.{name}") for name, kind in sources.items()}


def checked_text(value: Any, most: int, place: str) -> str:
    """A text of a request.

    Raises:
        Refusal: 422 "prompt: expected a text, found a number", "prompt: has a character that is not Unicode"; 413.
    """
    if not isinstance(value, str):
        raise Refusal(422, f"{place}: expected a text, found {_kind(value)}", param=place)
    if len(value) > most:
        raise Refusal(413, f"{place}: has {len(value)} characters, at most {most} are read", param=place)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refusal(
            422, f"{place}: contains half of a surrogate pair, which is not a character", param=place
        ) from None
    return value


def check_positions(one: Any, sources: Mapping[str, InputSource], most: int, place: str) -> None:
    """Refuse texts and series, as `read_input` gives them, whose maps would take too long: their time grows with the
    square of the positions. Pictures have few, sounds and tables as many as the model reads.

    Raises:
        Refusal: 413 "input: has 9000 steps, maps are made of at most 400".
    """
    parts = {"": one} if len(sources) == 1 else {f".{name}": part for name, part in one.items()}
    for (suffix, part), kind in zip(parts.items(), sources.values(), strict=True):
        if kind == "series" and isinstance(part, str):
            part = part.split(",")
        count = len(part) if kind in ("text", "series") else 0
        if count > most:
            what = "characters" if kind == "text" else "steps"
            field = f"{place}{suffix}"
            raise Refusal(413, f"{field}: has {count} {what}, maps are made of at most {most}", param=field)


@contextmanager
def as_files(inputs: Sequence[Any]) -> Iterator[list[Any]]:
    """The inputs, with a file instead of each table while the block runs; errors name no folder of the server."""
    with tempfile.TemporaryDirectory(prefix="sightline-serve-") as folder:
        written = []
        for number, one in enumerate(inputs):
            if isinstance(one, TableContent):
                path = Path(folder, str(number), TABLE)
                path.parent.mkdir()
                path.write_bytes(one.content)
                one = str(path)
            written.append(one)
        try:
            yield written
        except (InputError, EnvironmentFault) as error:
            message = str(error)
            for number in range(len(written)):
                message = message.replace(f"{Path(folder, str(number))}/", "")
            raise InputError(message) from None


def _text(value: Any, limits: ServerLimits, place: str) -> str:
    return checked_text(value, limits.characters, place)


def _series(value: Any, limits: ServerLimits, place: str) -> str | list[Any]:
    """Numbers as a list (T,) or (T, C), null where one is missing; or as a text, comma-separated or such a list."""
    if isinstance(value, str):
        text = checked_text(value, limits.body_bytes, place)
        if text.lstrip()[:1] != "[":
            _check_numbers(text.count(",") + 1, limits, place)
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise Refusal(422, f"{place}: the text is not a list in JSON", param=place) from None
    if not isinstance(value, list) or not value:
        raise Refusal(422, f"{place}: expected a list of numbers, found {_kind(value)}", param=place)
    rows = value if isinstance(value[0], list) else [value]
    count = 0
    for row in rows:
        if not isinstance(row, list) or not all(_is_number(one) for one in row) or len(row) != len(rows[0]):
            raise Refusal(422, f"{place}: expected numbers, or rows of equally many numbers", param=place)
        count += len(row)
        _check_numbers(count, limits, place)
    return value


def _check_numbers(count: int, limits: ServerLimits, place: str) -> None:
    if count > limits.numbers:
        raise Refusal(413, f"{place}: has more than {limits.numbers} numbers", param=place)


def _image(value: Any, limits: ServerLimits, place: str) -> MediaFile:
    from PIL import Image

    content = _content(value, place)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            width, height = picture.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        width = height = limits.pixels + 1
    except Exception:
        width = height = 0  # the model's reader says what is wrong with it
    if width * height > limits.pixels:
        raise Refusal(413, f"{place}: has too many pixels, at most {limits.pixels} are read", param=place)
    return MediaFile(Path("the picture"), content)


def _audio(value: Any, limits: ServerLimits, place: str) -> MediaFile:
    import soundfile

    content = _content(value, place)
    try:
        rate_hz = soundfile.info(io.BytesIO(content)).samplerate
    except Exception:
        rate_hz = 0  # the model's reader says what is wrong with it
    if rate_hz > MOST_RATE_HZ:
        raise Refusal(413, f"{place}: has {rate_hz} samples a second, at most {MOST_RATE_HZ} are read", param=place)
    return MediaFile(Path("the sound"), content)


def _table(value: Any, limits: ServerLimits, place: str) -> Any:
    """A table: its text, its bytes, or the numbers of one series."""
    if isinstance(value, str):
        return TableContent(checked_text(value, limits.body_bytes, place).encode())
    if isinstance(value, list):
        return _series(value, limits, place)
    return TableContent(_content(value, place))


_READERS: dict[InputSource, Callable[[Any, ServerLimits, str], Any]] = {
    "text": _text,
    "series": _series,
    "image": _image,
    "audio": _audio,
    "table": _table,
}


def _content(value: Any, place: str) -> bytes:
    """The bytes of {"base64": …}."""
    if not isinstance(value, Mapping) or set(value) != {"base64"} or not isinstance(value["base64"], str):
        raise Refusal(
            422, f'{place}: expected the bytes of a file, {{"base64": "…"}}, found {_kind(value)}', param=place
        )
    try:
        content = base64.b64decode(value["base64"], validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(422, f"{place}: is not valid base64", param=place) from None
    if not content:
        raise Refusal(422, f"{place}: the file is empty", param=place)
    return content


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300)


def _kind(value: Any) -> str:
    """A JSON value in words."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if value == []:
        return "an empty list"
    kinds = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return kinds.get(type(value), type(value).__name__)
