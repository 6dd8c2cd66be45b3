"""A text as the program zstd compresses it."""

import subprocess

VERSION = subprocess.run(["zstd", "--version"], capture_output=True, text=True, check=True).stdout
VERSION = "zstd " + VERSION.split(" v")[1].split(",")[0]


def compress(path):
    """Two lines, by the program itself."""
    text = b"one line\nanother\n"
    path.write_bytes(subprocess.run(["zstd", "-c", "-q"], input=text, capture_output=True, check=True).stdout)


FILES = {"lines.txt.zst": compress}
