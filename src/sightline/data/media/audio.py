"""Sound files as one row of samples, decoded by libsndfile, checked before and during decoding.

Memory is never allocated by a header's claim: a file is decoded piece by piece, and a header that promises more than
the data has is an error, where libsndfile itself reports nothing. A header that was written into a pipe promises
nothing: what is there is read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from sightline.core.errors import InputError
from sightline.data.media.files import MediaFile, Opened
from sightline.data.media.lengths import Filled, sound_bytes, vorbis_frames
from sightline.data.media.mp3 import counted, is_mp3
from sightline.data.rows.columnar import no_stderr

SUFFIXES = {
    ".wav": ("WAV", "WAVEX", "RF64", "NIST"),  # NIST: the files of TIMIT
    ".mp3": ("MP3",),
    ".flac": ("FLAC",),
    **dict.fromkeys((".ogg", ".oga", ".opus"), ("OGG",)),
    **dict.fromkeys((".aiff", ".aif", ".aifc"), ("AIFF",)),
    **dict.fromkeys((".au", ".snd"), ("AU",)),
    ".caf": ("CAF",),
    ".w64": ("W64",),
    ".rf64": ("RF64",),
    **dict.fromkeys((".sph", ".nist"), ("NIST",)),
}
RATES_HZ = (1_000, 768_000)
MAX_CHANNELS = 64
LOUDEST = 1e6  # full scale is 1, and some tools write integers up to 2^15 as floats
_BLOCK_NUMBERS = 1 << 20  # decoded at a time, channels counted
_UNKNOWN = 1 << 62  # frames: libsndfile's count for a length that it does not know is larger
_SPARE_S = 0.1  # by which a stretch may end after its sound: durations in tables are rounded

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


def read_audio(source: Path | MediaFile, options: AudioOptions | None = None) -> np.ndarray:
    """The samples (T,) of a sound, float32, full scale ±1.

    Raises:
        InputError: "a.wav: is cut short: its header says 32000 bytes of sound, 15978 are there", "a.wav: sample 17 is
            NaN", "a.flac: lasts 75.0 s, more than max_s 60", "a.wav: cannot be read as sound: …".
        EnvironmentFault: "a.wav: no permission to read it".
    """
    options = options or AudioOptions()
    source = MediaFile.of(source)
    known = source.formats(SUFFIXES, "sound")
    with source.open() as file:
        try:
            samples, rate_hz = _decode(file, source, known, options)
        except InputError:
            raise
        except ValueError as error:  # of the counts of a container
            raise InputError(str(error), where=source.path) from None
    return _resampled(samples, rate_hz, options)


def sound_of(samples: np.ndarray, options: AudioOptions, where: object) -> np.ndarray:
    """The samples (T,) of a sound that is an array of the rate of the options, within the bounds of a file; float32.

    Raises:
        InputError: "input 3: sample 17 is NaN, expected numbers around ±1"; "input 3: contains no samples"; "input 3:
            lasts 75.0 s, more than max_s 60: …"; "input 3: expected samples (T,), found shape (2, 16000)".
    """
    if samples.ndim != 1:
        raise InputError(f"expected samples (T,), found shape {samples.shape}", where=where)
    if not len(samples):
        raise InputError("contains no samples", where=where)
    if len(samples) > options.max_s * options.rate_hz:
        raise _too_long(f"{len(samples) / options.rate_hz:.1f}", options, where)
    _check_samples(samples[:, None], 0, where)
    return samples.astype(np.float32)


def _decode(file: Opened, source: MediaFile, known: tuple[str, ...], options: AudioOptions) -> tuple[np.ndarray, int]:
    """One channel of samples at the file's own rate, and that rate."""
    import soundfile

    path = source.path
    length = sound_bytes(file)
    if length is not None and length.claimed is not None and length.claimed > length.present:
        raise InputError(
            f"is cut short: its header says {length.claimed} bytes of sound, {length.present} are there", where=path
        )
    content: Any = file
    file.seek(0)
    if length is not None and length.fill is not None:
        content = Filled(file, *length.fill)
    elif "MP3" in known and is_mp3(file.read(4)):
        file.seek(0)
        content = BytesIO(counted(file.read()))
    elif source.content is None:
        content = file.fileno()
    file.seek(0)
    try:
        with no_stderr(), soundfile.SoundFile(content, closefd=False) as sound:  # of the MP3 decoder
            if sound.format not in known:
                right = next((suffix for suffix, formats in SUFFIXES.items() if sound.format in formats), None)
                step = f"let it end in {right}" if right else "convert it to wav"
                raise InputError(f"is {sound.format} although its name ends in {path.suffix}: {step}", where=path)
            expected = _check_header(sound, source, options)
            samples = _mixed(sound, expected, options, path)
            expected = None if sound.format == "MP3" else expected  # an estimate
            rate_hz, subtype, container = sound.samplerate, sound.subtype, sound.format
    except soundfile.LibsndfileError as error:
        reason = " ".join(error.error_string.split()).removeprefix("Error : ").rstrip(".")
        raise source.unreadable(file, f"cannot be read as sound: {reason}") from None
    if container == "OGG" and source.duration_s is None and not source.start_s:
        expected = vorbis_frames(file, subtype) or expected
    if len(samples) < (expected or 0):
        raise InputError(f"is cut short or damaged: {expected} frames are named, {len(samples)} are there", where=path)
    if not len(samples):
        raise InputError("contains no samples", where=path)
    return samples, rate_hz


def _check_header(sound: Any, source: MediaFile, options: AudioOptions) -> int | None:
    """Refuse impossible headers before anything is decoded; the number of frames to read, None = all there are.

    The sound is then at the first of them.
    """
    path = source.path
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
    known = sound.frames < _UNKNOWN
    start = round(source.start_s * sound.samplerate)
    frames = sound.frames - start if known else None
    if start and frames is not None and frames <= 0:
        raise InputError(
            f"lasts {sound.frames / sound.samplerate:.2f} s, but a stretch of it begins at {source.start_s:.2f} s",
            where=path,
        )
    if source.duration_s is not None:
        needed = round(source.duration_s * sound.samplerate)
        if frames is not None and needed > frames + _SPARE_S * sound.samplerate:
            raise InputError(
                f"lasts {sound.frames / sound.samplerate:.2f} s, but a stretch of it ends at "
                f"{source.start_s + source.duration_s:.2f} s",
                where=path,
            )
        frames = needed if frames is None else min(needed, frames)
    if frames is not None and frames > options.max_s * sound.samplerate:
        raise _too_long(f"{frames / sound.samplerate:.1f}", options, path)
    if start:
        sound.seek(start)
    return frames


def _too_long(seconds: str, options: AudioOptions, where: object) -> InputError:
    return InputError(f"lasts {seconds} s, more than max_s {options.max_s:g}: cut it or raise max_s", where=where)


def _mixed(sound: Any, most: int | None, options: AudioOptions, path: Path) -> np.ndarray:
    """All frames, or the next `most`, decoded in blocks, as one channel."""
    blocks: list[np.ndarray] = []
    frames = 0
    block = max(1, _BLOCK_NUMBERS // sound.channels)
    while size := block if most is None else min(block, max(most - frames, 0)):
        samples = _read(sound, size)
        if not len(samples):
            break
        _check_samples(samples, frames, path)
        blocks.append(samples[:, 0].copy() if options.mix == "first" else samples.mean(1, dtype=np.float32))
        frames += len(samples)
        if frames > options.max_s * sound.samplerate:  # more than the header promises
            raise _too_long(f"over {frames / sound.samplerate:.1f}", options, path)
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def _read(sound: Any, size: int) -> np.ndarray:
    """At most `size` frames (T, channels), float32."""
    import soundfile

    if sound.frames < _UNKNOWN:
        return sound.read(size, dtype="float32", always_2d=True)
    samples = np.full((size, sound.channels), np.nan, np.float32)
    try:
        return sound.read(size, always_2d=True, out=samples)
    except soundfile.LibsndfileError as error:
        if "psf_fseek" not in error.error_string:
            raise
        return samples[: int(np.isfinite(samples[:, 0]).sum())]  # read to the end, where libsndfile cannot seek


def _check_samples(samples: np.ndarray, before: int, where: object) -> None:
    bad = ~(np.abs(samples) <= LOUDEST)  # NaN too
    if not bad.any():
        return
    frame, channel = (int(i) for i in np.argwhere(bad)[0])
    value = float(samples[frame, channel])
    shown = "NaN" if math.isnan(value) else f"{value:g}"
    raise InputError(f"sample {before + frame + 1} is {shown}, expected numbers around ±1", where=where)


def _resampled(samples: np.ndarray, rate_hz: int, options: AudioOptions) -> np.ndarray:
    if rate_hz == options.rate_hz:
        return samples
    from scipy.signal import resample_poly

    common = math.gcd(rate_hz, options.rate_hz)
    converted = resample_poly(samples.astype(np.float64), options.rate_hz // common, rate_hz // common)
    return converted.astype(np.float32)
