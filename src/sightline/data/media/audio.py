"""Sound files as one row of samples: wav, flac and ogg by libsndfile, checked before and during decoding.

Memory is never allocated by a header's claim: a file is decoded piece by piece, and a header that promises more than
the data has is an error, where libsndfile itself reports nothing.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.rows.files import check_file

SUFFIXES = {".wav": ("WAV", "WAVEX", "RF64"), ".flac": ("FLAC",), ".ogg": ("OGG",), ".oga": ("OGG",), ".opus": ("OGG",)}
RATES_HZ = (1_000, 768_000)
MAX_CHANNELS = 64
LOUDEST = 1e6  # full scale is 1, and some tools write integers up to 2^15 as floats
_BLOCK_NUMBERS = 1 << 20  # decoded at a time, channels counted
_MAX_PAGE_BYTES = 27 + 255 + 255 * 255  # of an Ogg page (RFC 3533, § 6)
_UNKNOWN = (0, 0xFFFFFFFF)  # the length that programs write into a pipe

Mix = Literal["mean", "first", "refuse"]
Resampling = Literal["polyphase", "refuse"]


@final
@dataclass(frozen=True)
class AudioOptions:
    """Options for decoding sound into one row of samples.

    rate_hz: samples a second of the result
    mix: channels become one by their mean, the first one is taken, or more than one is an error
    resample: another rate is converted by a polyphase filter (`scipy.signal.resample_poly`), or is an error
    max_s: the longest sound that is read
    """

    rate_hz: int = 16_000
    mix: Mix = "mean"
    resample: Resampling = "polyphase"
    max_s: float = 60.0

    def __post_init__(self) -> None:
        low, high = RATES_HZ
        if not low <= self.rate_hz <= high:
            raise InputError(f"must be from {low} to {high}, found {self.rate_hz}", where="rate_hz")
        if not 0.0 < self.max_s < math.inf:
            raise InputError(f"must be positive and finite, found {self.max_s}", where="max_s")


def read_audio(path: Path, options: AudioOptions | None = None) -> np.ndarray:
    """The samples (T,) of a sound file, float32, full scale ±1.

    Raises:
        InputError: "a.wav: is cut short: its header says 16000 frames, 7989 are there", "a.wav: sample 17 is NaN",
            "a.flac: lasts 75.0 s, more than max_s 60", "a.wav: cannot be read as sound: …".
        EnvironmentFault: "a.wav: no permission to read it".
    """
    options = options or AudioOptions()
    check_file(path)
    known = SUFFIXES.get(path.suffix.lower())
    if known is None:
        raise InputError(
            f"unknown kind of sound {path.suffix!r}: the name must end in {', '.join(SUFFIXES)}", where=path
        )
    try:
        with path.open("rb", buffering=0) as file:
            samples, rate_hz = _decode(file, path, known, options)
    except PermissionError:
        raise EnvironmentFault(f"{path}: no permission to read it") from None
    except OSError as error:
        raise EnvironmentFault(f"{path}: cannot be read: {error.strerror or error}") from None
    return _resampled(samples, rate_hz, options, path)


def _decode(file: FileIO, path: Path, known: tuple[str, ...], options: AudioOptions) -> tuple[np.ndarray, int]:
    """One channel of samples at the file's own rate, and that rate."""
    import soundfile

    if not file.read(1):
        raise InputError("is empty", where=path)
    whole = _wav_frames(file, path) if "WAV" in known else None
    file.seek(0)
    try:
        with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
            if sound.format not in known:
                raise InputError(f"is {sound.format} although its name ends in {path.suffix}", where=path)
            _check_header(sound, options, path)
            samples = _mixed(sound, options, path)
            rate_hz, subtype = sound.samplerate, sound.subtype
    except soundfile.LibsndfileError as error:
        reason = " ".join(error.error_string.split()).removeprefix("Error : ").rstrip(".")
        raise InputError(f"cannot be read as sound: {reason}", where=path) from None
    if "OGG" in known:
        whole = _ogg_frames(file, path, subtype)
    if whole is not None and len(samples) < whole:
        raise InputError(f"is cut short or damaged: {whole} frames are named, {len(samples)} are there", where=path)
    if not len(samples):
        raise InputError("contains no samples", where=path)
    return samples, rate_hz


def _check_header(sound: Any, options: AudioOptions, path: Path) -> None:
    """Refuse impossible headers, before anything is decoded."""
    low, high = RATES_HZ
    if not low <= sound.samplerate <= high:
        raise InputError(f"has {sound.samplerate} samples a second, expected {low} to {high}", where=path)
    if sound.channels > MAX_CHANNELS:
        raise InputError(f"has {sound.channels} channels, at most {MAX_CHANNELS} are read", where=path)
    if options.mix == "refuse" and sound.channels > 1:
        raise InputError(f"has {sound.channels} channels: choose mix=mean or mix=first", where=path)
    if options.resample == "refuse" and sound.samplerate != options.rate_hz:
        raise InputError(
            f"has {sound.samplerate} samples a second, expected {options.rate_hz}: set rate_hz or resample", where=path
        )
    if sound.frames > options.max_s * sound.samplerate:
        raise _too_long(f"{sound.frames / sound.samplerate:.1f}", options, path)


def _too_long(seconds: str, options: AudioOptions, path: Path) -> InputError:
    return InputError(f"lasts {seconds} s, more than max_s {options.max_s:g}: cut it or raise max_s", where=path)


def _mixed(sound: Any, options: AudioOptions, path: Path) -> np.ndarray:
    """All frames, decoded in blocks, as one channel."""
    blocks: list[np.ndarray] = []
    frames = 0
    block = max(1, _BLOCK_NUMBERS // sound.channels)
    while len(samples := sound.read(block, dtype="float32", always_2d=True)):  # (T, channels)
        _check_samples(samples, frames, path)
        blocks.append(samples[:, 0].copy() if options.mix == "first" else samples.mean(1, dtype=np.float32))
        frames += len(samples)
        if frames > options.max_s * sound.samplerate:  # more than the header promises
            raise _too_long(f"over {frames / sound.samplerate:.1f}", options, path)
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def _check_samples(samples: np.ndarray, before: int, path: Path) -> None:
    bad = ~(np.abs(samples) <= LOUDEST)  # NaN too
    if not bad.any():
        return
    frame, channel = (int(i) for i in np.argwhere(bad)[0])
    value = float(samples[frame, channel])
    shown = "NaN" if math.isnan(value) else f"{value:g}"
    raise InputError(f"sample {before + frame + 1} is {shown}, expected numbers around ±1", where=path)


def _resampled(samples: np.ndarray, rate_hz: int, options: AudioOptions, path: Path) -> np.ndarray:
    if rate_hz == options.rate_hz:
        return samples
    from scipy.signal import resample_poly

    common = math.gcd(rate_hz, options.rate_hz)
    converted = resample_poly(samples.astype(np.float64), options.rate_hz // common, rate_hz // common)
    return converted.astype(np.float32)


def _wav_frames(file: FileIO, path: Path) -> int | None:
    """The number of frames in the header of a wav file; None where it names no length.

    libsndfile silently shortens a data chunk that is longer than the file.
    """
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None  # libsndfile reports the format
    align = 0
    while len(chunk := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        if name == b"data":
            return size // align if align and size not in _UNKNOWN else None
        body = file.read(min(size, 16)) if name == b"fmt " else b""
        if len(body) >= 14:
            (align,) = struct.unpack_from("<H", body, 12)  # bytes of a frame
        file.seek(size + size % 2 - len(body), 1)
    return None


def _ogg_frames(file: FileIO, path: Path, subtype: str) -> int | None:
    """The number of frames in the last page of a Vorbis stream; None for other codecs, whose pages count otherwise.

    libsndfile silently leaves out pages that are damaged or missing.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - _MAX_PAGE_BYTES))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :] if b"OggS" in tail else b""
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    if len(page) < 27 or len(page) < 27 + page[26] + sum(segments) or not page[5] & 4:
        raise InputError("is cut short: its last Ogg page is missing", where=path)
    return struct.unpack_from("<q", page, 6)[0] if subtype == "VORBIS" else None
