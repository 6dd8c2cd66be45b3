"""One sound or picture: a file, bytes inside a table, or a stretch of a sound; errors name any other kind of file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any, TypeAlias, final

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.rows.files import check_file
from sightline.data.rows.texts import text_of

Suffixes = Mapping[str, tuple[str, ...]]  # the decoder's names of the formats of a suffix
Opened: TypeAlias = FileIO | BytesIO
_HEAD = 256  # bytes that tell a file's kind

_PICTURE = "save it as png or jpeg"
_SOUND = "convert its sound to wav, such as by ffmpeg -i NAME NAME.wav"
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (rb".{4}ftyp(heic|heix|hevc|heim|mif1|msf1)", "HEIC", _PICTURE),
    (rb".{4}ftypavi[fs]", "AVIF", _PICTURE),
    (rb".{4}ftypcrx |II\*\0.{4}CR|FUJIFILMCCD-RAW|IIR[OS]|IIU\0|MMOR", "a camera's RAW", _PICTURE),
    (rb".{4}ftypM4[AB]", "MPEG-4 sound (m4a)", _SOUND),
    (rb".{4}ftypqt", "a QuickTime video", _SOUND),
    (rb".{4}ftyp", "an MPEG-4 video (mp4)", _SOUND),
    (rb"\x1aE\xdf\xa3.{0,60}webm", "WebM", _SOUND),
    (rb"\x1aE\xdf\xa3", "Matroska", _SOUND),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media", _SOUND),
    (rb"#!AMR", "AMR sound", _SOUND),
    (rb"\xff[\xf0\xf1\xf8\xf9]", "AAC sound", _SOUND),
    (rb"RIFF.{4}AVI ", "an AVI video", _SOUND),
    (rb"8BPS", "a Photoshop file", _PICTURE),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000", _PICTURE),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL", _PICTURE),
    (rb"\0\0\x01\0", "an icon", _PICTURE),
    (rb"%PDF", "PDF", _PICTURE),
    (rb"version https://git-lfs", "a pointer of Git LFS, not the file itself", "run git lfs pull"),
    (rb"(?i)\s*(<\?xml[^>]*>\s*)?(<!--.*-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg", "SVG", _PICTURE),
    (rb"(?i)\s*<(!doctype )?html", "a web page", "download the file itself"),
    (rb"PK\x03\x04", "a zip archive", "unpack it"),
    (rb"\x1f\x8b", "gzip", "unpack it"),
    (rb"\xfd7zXZ\0", "xz", "unpack it"),
    (rb"BZh", "bzip2", "unpack it"),
    (rb"\x28\xb5\x2f\xfd", "zstd", "unpack it"),
    (rb"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (rb"\x89PNG", "PNG", "let its name end in .png"),
    (rb"\xff\xd8\xff", "JPEG", "let its name end in .jpg"),
    (rb"GIF8", "GIF", "let its name end in .gif"),
    (rb"RIFF.{4}WEBP", "WebP", "let its name end in .webp"),
    (rb"BM.{4}\0\0\0\0", "BMP", "let its name end in .bmp"),
    (rb"II\*\0|MM\0\*", "TIFF", "let its name end in .tif; a camera's RAW must be saved as png or jpeg"),
    (rb"(RIFF|RIFX|RF64).{4}WAVE", "WAV", "let its name end in .wav"),
    (rb"fLaC", "FLAC", "let its name end in .flac"),
    (rb"OggS", "OGG", "let its name end in .ogg"),
    (rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]", "MP3", "let its name end in .mp3"),
    (rb"FORM.{4}AIF[FC]", "AIFF", "let its name end in .aiff"),
)  # fmt: skip


@final
@dataclass(frozen=True)
class MediaFile:
    """One sound or picture.

    path: the file; where `content` is given, its name alone
    content: the bytes of a file inside a table
    start_s, duration_s: the stretch of a sound, in seconds; None = to its end
    """

    path: Path
    content: bytes | None = None
    start_s: float = 0.0
    duration_s: float | None = None

    @classmethod
    def of(cls, source: Path | MediaFile) -> MediaFile:
        """A path as the whole of its file; a `MediaFile` as it is."""
        return source if isinstance(source, MediaFile) else cls(source)

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """The content, once it is known to be that of a readable file and not empty.

        Raises:
            InputError: "a.wav: no such file", "a.wav: is empty", and other errors of `check_file`.
            EnvironmentFault: "a.png: no permission to read it".
        """
        if self.content is not None:
            if not self.content:
                raise InputError("is empty", where=self.path)
            yield BytesIO(self.content)
            return
        check_file(self.path)
        if not self.path.stat().st_size:
            raise InputError("is empty", where=self.path)
        try:
            with self.path.open("rb", buffering=0) as file:
                yield file
        except PermissionError:
            raise EnvironmentFault(f"{self.path}: no permission to read it") from None
        except OSError as error:
            raise EnvironmentFault(f"{self.path}: cannot be read: {error.strerror or error}") from None

    def formats(self, suffixes: Suffixes, what: str) -> tuple[str, ...]:
        """The formats that the name allows; of bytes inside a table all.

        Raises:
            InputError: "a.heic: is HEIC, not a picture that can be read: save it as png or jpeg".
        """
        if self.content is not None:
            return tuple(dict.fromkeys(name for names in suffixes.values() for name in names))
        suffix = self.path.suffix.lower()
        if suffix not in suffixes:
            with self.open() as file:
                file.seek(0)
                real = real_kind(file.read(_HEAD))
            names = ", ".join(suffixes)
            raise InputError(
                real or f"unknown kind of {what} {suffix!r}: the name must end in {names}", where=self.path
            )
        return suffixes[suffix]

    def unreadable(self, file: Opened, otherwise: str) -> InputError:
        """The error for content that the decoder refuses: its real kind, if known and another than the name's."""
        file.seek(0)
        real = real_kind(file.read(_HEAD))
        expected = f"end in {self.path.suffix.lower()}"
        return InputError(real if real and not real.endswith(expected) else otherwise, where=self.path)


def is_content(value: Any) -> bool:
    """Whether a cell contains a file itself, {bytes, path}, as Hugging Face's Image and Audio columns do."""
    return isinstance(value, dict) and "path" in value and "bytes" in value


def file_of(value: Any, what: str, folder: Path) -> MediaFile:
    """The file in a cell: its path, relative to `folder`, or its content with its path.

    Raises:
        ValueError: "the source must be a string, found a number", "the source is empty", "the path … contains
            characters that cannot be printed".
    """
    if is_content(value):
        value, content = value["path"], value["bytes"]
        if content is not None:
            return MediaFile(Path(Path(value).name if value else f"({what})"), content)
    path = text_of(value, what)
    if not path.isprintable():
        raise ValueError(f"the path {path[:80]!r} contains characters that cannot be printed")
    return MediaFile(folder / path)


def named_source(source: Any) -> Any:
    """A source as records name it: the path of a file whose bytes it is, in a row of several sources too."""
    if isinstance(source, MediaFile):
        return str(source.path)
    return [*map(named_source, source)] if isinstance(source, list | tuple) else source


def check_base(file: MediaFile) -> None:
    """Refuse the first file of a table where nothing of its folder is there.

    Raises:
        InputError: "clips/a.wav: no such file: set --base, the folder that paths are relative to".
    """
    if file.content is None and not os.path.exists(file.path) and "#" not in file.path.name:
        raise InputError("no such file: set --base, the folder that paths are relative to", where=file.path)


def real_kind(head: bytes) -> str:
    """The kind of a file from its first bytes, with the step that helps; "" where it is unknown."""
    for pattern, name, step in _KINDS:
        if re.match(pattern, head, re.DOTALL):
            return f"is {name}: {step}"
    return ""
