"""Sounds as sox writes them, into files and into a pipe."""

from tests.formats.cases import Case

FRAMES = {"mp3": 2304}  # whole frames, and the encoder's delay
KINDS = ("wav", "aiff", "au", "caf", "w64", "sph", "mp3", "flac", "ogg")
CASES = [
    Case(
        "clips.csv", "manifest of wav, aiff, au, caf, w64, sph, mp3, flac and ogg", "transcription",
        [(((FRAMES.get(kind, 800),),), kind) for kind in KINDS],
    ),
    Case("pipe.csv", "manifest of wav from a pipe", "transcription", [(((800,),), "pipe")]),
]  # fmt: skip
