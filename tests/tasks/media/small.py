"""Jobs on sounds and pictures small enough to train in a test: name a tone, a bright quarter, or either when asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from sightline.core.config import override
from sightline.tasks.media.answering import AnsweringTask
from sightline.tasks.media.captioning import CaptioningTask
from sightline.tasks.media.transcription import TranscriptionTask

RATE_HZ = 4000
TONES_HZ = {"low": 300.0, "mid": 700.0, "high": 1500.0}
QUARTERS = {"nw": (0, 0), "ne": (0, 4), "sw": (4, 0), "se": (4, 4)}
KINDS = {"transcription": TranscriptionTask, "captioning": CaptioningTask, "answering": AnsweringTask}


def tones(folder: Path, count: int = 200, seed: int = 0) -> Path:
    """Sounds of one or two tones in noise, named by words."""
    random = np.random.default_rng(seed)
    rows = ["source,target"]
    for number in range(count):
        words = random.choice(list(TONES_HZ), 1 + number % 2).tolist()
        pieces = []
        for word in words:
            time = np.arange(int(RATE_HZ * random.uniform(0.08, 0.12))) / RATE_HZ
            pieces.append(random.uniform(0.2, 0.6) * np.sin(2 * np.pi * TONES_HZ[word] * time))
        samples = np.concatenate(pieces)
        soundfile.write(folder / f"{number}.wav", samples + 0.01 * random.standard_normal(len(samples)), RATE_HZ)
        rows.append(f"{number}.wav,{' '.join(words)}")
    manifest = folder / "tones.csv"
    manifest.write_text("\n".join(rows) + "\n")
    return manifest


def quarters(folder: Path, count: int = 200, seed: int = 0) -> Path:
    """Pictures with a bright quarter, named by it; and questions that ask for its row or its column."""
    random = np.random.default_rng(seed)
    rows = ["image,question,target,name"]
    for number in range(count):
        name = str(random.choice(list(QUARTERS)))
        top, left = QUARTERS[name]
        pixels = random.integers(0, 90, (8, 8))
        pixels[top : top + 4, left : left + 4] += 150
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
        asked = random.choice(["row?", "column?"])
        rows.append(f"{number}.png,{asked},{name[0] if asked == 'row?' else name[1]},{name}")
    manifest = folder / "quarters.csv"
    manifest.write_text("\n".join(rows) + "\n")
    return manifest


def run(kind: str, manifest: Path, arch: str = "bahdanau", **changes):
    """A small configuration of a task on its manifest."""
    preset = KINDS[kind].preset(arch)
    keys = {
        "data": str(manifest),
        "sound.rate_hz": RATE_HZ,
        "sound.mels": 12,
        "sound.stride": 2,
        "sound.augment": None,
        "picture.colour": "grey",
        "picture.patch": 4,
        "batch_tokens": 256,
        **changes,
    }
    if kind == "captioning":
        keys |= {"sources": "image:image", "target_column": "name"}
    small = override(preset, keys)
    model = small.settings.model.resized(16)
    if hasattr(model, "heads"):
        model = replace(model, heads=2, layers=1)
    return small.changed(model=model)


def manifests(folder: Path) -> dict[str, Path]:
    """A manifest for each task."""
    pictures = quarters(folder)
    return {"transcription": tones(folder), "captioning": pictures, "answering": pictures}
