"""Sounds as sox writes them, into files and into a pipe."""

import re
import subprocess

VERSION = "sox " + re.findall(r"v([\d.]+)", subprocess.check_output(["sox", "--version"], text=True))[0]
KINDS = ("wav", "aiff", "au", "caf", "w64", "sph", "mp3", "flac", "ogg")
SYNTH = ["synth", "0.05", "sine", "440"]
RAW = ["-t", "raw", "-r", "16000", "-e", "signed", "-b", "16", "-c", "1", "-"]


def manifest(path):
    """A manifest of one sound in each kind of file."""
    for kind in KINDS:
        subprocess.run(["sox", "-n", "-r", "16000", "-b", "16", path.with_name(f"a.{kind}"), *SYNTH], check=True)
    path.write_text("source,target\n" + "".join(f"a.{kind},{kind}\n" for kind in KINDS))


def piped(path):
    """A wav file whose header was written before its length was known."""
    raw = subprocess.run(["sox", "-n", *RAW, *SYNTH], check=True, capture_output=True).stdout
    done = subprocess.run(["sox", *RAW, "-t", "wav", "-"], input=raw, check=True, capture_output=True)
    path.with_name("pipe.wav").write_bytes(done.stdout)
    path.write_text("source,target\npipe.wav,pipe\n")


FILES = {"clips.csv": manifest, "pipe.csv": piped}
