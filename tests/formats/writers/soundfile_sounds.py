"""Sounds as soundfile writes them: more than one channel, and other numbers than those of 16 bits."""

import numpy
import soundfile

VERSION = f"soundfile {soundfile.__version__}"
KINDS = {  # format and encoding by file
    "float.wav": ("WAV", "FLOAT"), "unsigned.wav": ("WAV", "PCM_U8"), "24.wav": ("WAV", "PCM_24"),
    "extensible.wav": ("WAVEX", "PCM_16"), "double.aiff": ("AIFF", "DOUBLE"), "ulaw.au": ("AU", "ULAW"),
    "24.flac": ("FLAC", "PCM_24"), "a.ogg": ("OGG", "OPUS"), "a.mp3": ("MP3", "MPEG_LAYER_III"),
}  # fmt: skip
RATE = 16_000


def manifest(path):
    """A manifest of a sound of two channels in each kind of file."""
    tone = numpy.sin(numpy.arange(800) * 440 * 2 * numpy.pi / RATE) / 2
    for name, (kind, encoding) in KINDS.items():
        soundfile.write(path.with_name(name), numpy.stack([tone, -tone / 2], 1), RATE, encoding, format=kind)
    path.write_text("source,target\n" + "".join(f"{name},{name}\n" for name in KINDS))


FILES = {"clips.csv": manifest}
