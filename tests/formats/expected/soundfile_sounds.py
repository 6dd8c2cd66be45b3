"""Sounds as soundfile writes them: more than one channel, and other numbers than those of 16 bits."""

from tests.formats.cases import Case

NAMES = (
    "float.wav", "unsigned.wav", "24.wav", "extensible.wav", "double.aiff", "ulaw.au", "24.flac", "a.ogg", "a.mp3",
)  # fmt: skip
CASES = [
    Case(
        "clips.csv", "manifest of wav (8, 16 and 24 bits, floats), aiff, au, flac, Opus and mp3 in stereo",
        "transcription", [(((800,),), name) for name in NAMES],
    ),
]  # fmt: skip
