"""Names of files where a model reads texts: they are refused, since a name would be taken for the text itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sightline.core.errors import InputError
from sightline.data.labelled.choice import MEDIA
from sightline.data.rows.formats import FORMATS, suffix_of

_SUFFIXES = frozenset({".txt", *FORMATS, *MEDIA})
_MOST_CHARACTERS = 1000  # of a name that is looked up; no file system takes longer ones


def check_not_files(texts: Iterable[str], way: str) -> None:
    """Refuse texts that name a file, or data that is built in, or end as the files of data do.

    way: how to give texts or a file instead

    Raises:
        InputError: "reviews.csv: is a file, but a text is expected: …"; "reviewz.csv: no such file, and …".
    """
    for text in texts:
        if text.startswith("builtin:"):
            raise InputError(f"is built-in data, but a text is expected: {way}", where=text)
        if _names_file(text):
            kind = "folder" if Path(text).is_dir() else "file"
            raise InputError(f"is a {kind}, but a text is expected: {way}", where=text)
        if _ends_like_file(text):
            raise InputError(f"no such file, and not read as a text: {way}", where=text)


def check_not_paths(inputs: Any) -> None:
    """Refuse a `Path`, alone or in a list, and a single text that names a file of data.

    Raises:
        InputError: "reviews.csv: is a file, but a text is expected: …".
    """
    several = inputs if isinstance(inputs, list | tuple) else [inputs]
    paths = [one for one in several if isinstance(one, Path)]
    if isinstance(inputs, str) and _ends_like_file(inputs) and _names_file(inputs):
        paths = [Path(inputs)]
    if paths:
        raise InputError("is a file, but a text is expected: give its texts, as in table['text']", where=paths[0])


def _names_file(text: str) -> bool:
    """Whether there is a file of that name, with a suffix or in a folder: a word alone is a text."""
    path = Path(text)
    likely = path.suffix or len(path.parts) > 1
    if not likely or len(text) > _MOST_CHARACTERS or not text.isprintable():
        return False
    try:
        return path.exists()
    except OSError:  # its name is too long
        return False


def _ends_like_file(text: str) -> bool:
    return not any(map(str.isspace, text)) and suffix_of(Path(text)) in _SUFFIXES
