"""Ways of reading data, by task: a file that shows each one's effect, and its items as `predict` takes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from sightline.testing import DataOption
from tests.tasks.media.small import QUARTERS, RATE_HZ, TONES_HZ

# Capitals, and a sigma that is at the end of a word or not.
WORDS = ["ΟΔΟΣ", "Σοφός", "σας", "ΣΑΣ", "Εις", "Cat", "DOG", "bird", "Ömer", "ÉTÉ"]


def table(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A tab-separated table."""
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in [header, *rows]), encoding="utf-8")
    return str(path)


def texts(count: int = 60) -> list[str]:
    """Different texts of one to three words."""
    random = np.random.default_rng(0)
    return list(dict.fromkeys(" ".join(random.choice(WORDS, 1 + row % 3)) for row in range(4 * count)))[:count]


def pairs(folder: Path) -> dict[str, DataOption]:
    sources = texts()
    rows = [(source[::-1].swapcase(), "x", source) for source in sources]
    data = table(folder / "pairs.tsv", ["out", "other", "in"], rows)
    columns = {"source_column": "in", "target_column": "out", "budget": "100steps"}
    options = {
        "columns": {},
        "lower case": {"lowercase": True},
        "lower case of pieces": {
            "budget": "250steps",
            "lowercase": True,
            "tokenizer.kind": "bpe",
            "tokenizer.size": 280,
        },
        "a shared lower-case tokenizer": {"tokenizer.lowercase": True, "tokenizer.shared": True},
        "cut while training": {"max_length": 6, "too_long": "truncate"},
    }
    return {name: DataOption({**columns, **keys}, data, sources) for name, keys in options.items()}


def counted_words(folder: Path) -> dict[str, DataOption]:
    """Pairs for models that read words: how many there are."""
    sources = texts()
    data = table(folder / "counted.tsv", ["source", "target"], [(one, str(len(one.split()))) for one in sources])
    options: dict[str, dict[str, Any]] = {
        "as they are": {},
        "lower case": {"lowercase": True},
        "a lower-case tokenizer": {"tokenizer.lowercase": True},
    }
    return {name: DataOption({"budget": "300steps", **keys}, data, sources) for name, keys in options.items()}


def labelled_texts(folder: Path, many: bool) -> dict[str, DataOption]:
    sources = texts()
    labels = [("upper" if source.isupper() else "mixed") + ("/short" * (len(source) < 6) * many) for source in sources]
    data = table(folder / "labels.tsv", ["class", "said"], list(zip(labels, sources, strict=True)))
    columns = {"label_column": "class", "source_column": "said"}
    columns |= {"label_separator": "/", "budget": "100steps"} if many else {}
    options = {
        "lower case": {"lowercase": True},
        "lower case of characters": {"lowercase": True, "text.kind": "char"},
        "cut": {"max_length": 1, "too_long": "truncate"},
    }
    return {name: DataOption({**columns, **keys}, data, sources) for name, keys in options.items()}


def labelled_series(folder: Path) -> dict[str, DataOption]:
    random = np.random.default_rng(0)
    series = [(1000 + 50 * random.normal(size=(8 + row % 3, 2)) * (1 + row % 2)).round(3).tolist() for row in range(40)]
    rows = [{"values": one, "label": "wide" if row % 2 else "narrow"} for row, one in enumerate(series)]
    (folder / "series.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = str(folder / "series.jsonl")
    options: dict[str, dict[str, Any]] = {
        "scaled": {},
        "as they are": {"series.scale": False},
        "in patches": {"series.patch": 3, "series.stride": 2},
        "cut": {"max_length": 4, "too_long": "truncate"},
    }
    return {name: DataOption(keys, data, series) for name, keys in options.items()}


def labelled_files(folder: Path, kind: str) -> dict[str, DataOption]:
    paths, names = (sounds if kind == "audio" else pictures)(folder)
    data = table(
        folder / "files.tsv", ["source", "label"], list(zip([path.name for path in paths], names, strict=True))
    )
    chosen = SOUND_OPTIONS if kind == "audio" else PICTURE_OPTIONS
    return {name: DataOption(keys, data, paths) for name, keys in chosen.items()}


def media(folder: Path, kind: str) -> dict[str, DataOption]:
    paths, names = (sounds if kind == "transcription" else pictures)(folder)
    options = SOUND_OPTIONS if kind == "transcription" else PICTURE_OPTIONS
    asked = [f"{case} {'row?' if row % 2 else 'column?'}" for row, case in enumerate(["Which", "WHICH"] * len(paths))]
    rows = [
        (path.name, question, "ab"["row" in question] if kind == "answering" else name)
        for path, question, name in zip(paths, asked, names, strict=False)
    ]
    data = table(folder / f"{kind}.tsv", ["file", "asked", "says"], rows)
    inputs: list[Any] = list(paths)
    sources = "file:audio" if kind == "transcription" else "file:image"
    if kind == "answering":
        inputs, sources = list(zip(paths, asked, strict=False)), "file:image,asked:text"
        options = {"lower case": {**options["stretched"], "lowercase": True, "budget": "200steps"}}
    columns = {"sources": sources, "target_column": "says"}
    return {name: DataOption({**columns, **keys}, data, inputs) for name, keys in options.items()}


SOUND_OPTIONS: dict[str, dict[str, Any]] = {
    "resampled": {"sound.rate_hz": 2000},
    "the first channel": {"sound.mix": "first", "sound.normalise": "none"},
}
PICTURE_OPTIONS: dict[str, dict[str, Any]] = {
    "stretched": {"picture.height": 8, "picture.width": 8, "picture.fit": "stretch", "picture.patch": 4},
    "padded": {
        "picture.height": 12, "picture.width": 12, "picture.fit": "pad", "picture.ground": 200, "picture.colour": "rgb",
        "picture.patch": 4, "picture.mean": 0.3, "budget": "100steps",
    },
    "levels": {
        "picture.height": 4, "picture.width": 4, "picture.fit": "stretch", "picture.view": "levels",
        "picture.colour": "grey", "picture.patch": None,
    },
}  # fmt: skip


def sounds(folder: Path) -> tuple[list[Path], list[str]]:
    """Tones in one of two channels, and their names."""
    paths, names = [], []
    for row in range(36):
        name = list(TONES_HZ)[row % 3]
        tone = np.sin(2 * np.pi * TONES_HZ[name] * np.arange(600 + 10 * row) / RATE_HZ)
        paths.append(folder / f"tone{row}.wav")
        soundfile.write(paths[-1], np.stack([0.3 * tone, 0.2 * tone**2], 1), RATE_HZ)
        names.append(name)
    return paths, names


def pictures(folder: Path) -> tuple[list[Path], list[str]]:
    """Colour pictures of several sizes with a bright quarter, and its name."""
    random, paths, names = np.random.default_rng(0), [], []
    for row in range(36):
        name = list(QUARTERS)[row % 4]
        top, left = QUARTERS[name]
        pixels = random.integers(0, 90, (8, 8, 3))
        pixels[top : top + 4, left : left + 4] += 150
        paths.append(folder / f"quarter{row}.png")
        Image.fromarray(pixels.astype(np.uint8)).resize((8 + row % 3, 8)).save(paths[-1])
        names.append(name)
    return paths, names


def forecasts(folder: Path, model: dict[str, Any]) -> dict[str, DataOption]:
    """Series with gaps, uneven steps and columns that are not forecast; an input is what came before each horizon."""
    lookback, horizon, steps = 12, 3, 120
    values = 500 + 30 * np.sin(np.arange(steps) / 3)[:, None] + np.random.default_rng(0).normal(size=(steps, 2))
    days = (np.datetime64("2024-01-01") + np.arange(steps)).astype("datetime64[D]")
    known = np.arange(steps) % 7
    stamps = [f"{str(day)[8:]}/{str(day)[5:7]}/{str(day)[:4]}" for day in days]

    def written(name: str, until: int, ahead: int = 0) -> str:
        rows = [(stamps[t], *values[t].round(4), "no", known[t]) for t in range(until) if t != 5]
        rows += [(stamps[t], "", "", "no", known[t]) for t in range(until, until + ahead)]
        return table(folder / name, ["day", "a", "b", "word", "weekday"], rows)

    whole = written("days.tsv", steps)
    columns = {"time_column": "day", "time_format": "%d/%m/%Y", "targets": "a,b", "fill": "linear", "season": 7}
    common = {**columns, "lookback": lookback, "horizon": horizon, **model}
    origins = range(lookback, steps - horizon + 1)
    options: dict[str, tuple[dict[str, Any], int]] = {
        "scaled": ({}, 0),
        "as they are": ({"scale": "none", "targets": "b"}, 0),
        "known ahead": ({"known_covariates": "weekday"}, horizon),
    }
    read = {
        name: DataOption(
            {**common, **keys}, whole, [written(f"{origin}-{ahead}.tsv", origin, ahead) for origin in origins]
        )
        for name, (keys, ahead) in options.items()
    }
    return {**read, "a series that training did not have": unseen_series(folder, {**common, "targets": "a"})}


def unseen_series(folder: Path, keys: dict[str, Any]) -> DataOption:
    """A file whose only series has another name than that of training, and another level at its end."""
    lookback, horizon, steps = 12, 3, 60
    values = 500 + 30 * np.sin(np.arange(steps) / 3) + np.random.default_rng(0).normal(size=steps)

    def written(name: str, series: str, values: np.ndarray) -> str:
        rows = [(t, series, round(value, 4)) for t, value in enumerate(values)]
        return table(folder / name, ["step", "id", "a"], rows)

    data = written("seen.tsv", "seen", np.tile(values, 2))
    drifting = values * np.linspace(1, 50, steps)
    inputs = [written(f"unseen-{t}.tsv", "new", drifting[:t]) for t in range(lookback, steps - horizon + 1)]
    keys = {
        **keys,
        "time_column": "step",
        "time_format": "number",
        "series_column": "id",
        "model.instance_norm": "none",
    }
    return DataOption(keys, data, inputs, written("unseen.tsv", "new", drifting))


def running_text(folder: Path) -> dict[str, DataOption]:
    documents = texts()
    (folder / "texts.jsonl").write_text("".join(json.dumps({"said": text}) + "\n" for text in documents))
    data = str(folder / "texts.jsonl")
    options = {
        "bytes": {},
        "lower-case characters": {"tokenizer.kind": "char", "tokenizer.lowercase": True},
        "lower-case pieces": {"tokenizer.kind": "bpe", "tokenizer.size": 280, "tokenizer.lowercase": True},
    }
    return {name: DataOption({"column": "said", **keys}, data, documents) for name, keys in options.items()}
