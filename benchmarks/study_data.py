"""The data sets by which defaults are chosen, and those that are held out for the last table.

`$DATA` in a key is the folder of real data ($SIGHTLINE_VERIFY_DATA, default ../shared/data), `$PREPARED` a folder into
which `prepare` writes files made from it, before each training.
"""

from __future__ import annotations

import csv
import gzip
import os
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sightline.data.media.images import read_idx

DATA, PREPARED = "$DATA", "$PREPARED"
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TESTED, VALIDATED = range(5), range(5, 10)  # recordings of each speaker and digit; 0 to 4 are the official test
DIGITS = {"train": slice(0, 1200), "valid": slice(1200, 1450), "test": slice(1450, None)}
PICTURES = {"train": 3000, "valid": 500, "test": 500}
MNIST_ITEMS = {"train": slice(0, 5000), "valid": slice(55_000, 56_000), "test": slice(0, 2000)}
QUESTIONS: dict[str, Callable[[int, int], str]] = {
    "left digit?": lambda left, right: WORDS[left],
    "right digit?": lambda left, right: WORDS[right],
    "sum?": lambda left, right: str(left + right),
    "which is larger?": lambda left, right: "left" if left > right else "right" if right > left else "neither",
}

Prepare = Callable[[Path, Path], None]


@dataclass(frozen=True, eq=False)
class DataSet:
    """One data set of the study.

    group: the factors that are varied on it, a key of `study_factors.GROUPS`
    items: about how many it has, of the task's unit
    metric: the one that ranks configurations on it
    keys: how the task reads it; needs: a folder of the real data; prepare: writes files from it
    held_out: never trained on while defaults are chosen
    """

    name: str
    task: str
    group: str
    items: int
    metric: str
    keys: Mapping[str, Any]
    needs: str = ""
    prepare: Prepare | None = None
    held_out: bool = False
    about: str = field(default="", kw_only=True)

    @property
    def is_there(self) -> bool:
        """Whether the real data that it needs is on this machine."""
        return not self.needs or (data_root() / self.needs).is_dir()

    def located(self, folder: Path) -> dict[str, Any]:
        """The keys with paths, after the files are prepared in `folder`."""
        root = data_root().resolve()
        if self.prepare is not None:
            self.prepare(root / self.needs, folder)
        places = ((DATA, str(root)), (PREPARED, str(folder)))
        return {name: _replaced(value, places) for name, value in self.keys.items()}


def data_root() -> Path:
    """The folder of real data."""
    return Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data"))


def _replaced(value: Any, places: Iterable[tuple[str, str]]) -> Any:
    for mark, place in places:
        value = value.replace(mark, place) if isinstance(value, str) else value
    return value


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def labelled_lines(name: str) -> Prepare:
    """Lines of a label, a space and a text as a table."""

    def prepare(source: Path, folder: Path) -> None:
        lines = (source / name).read_text(encoding="utf-8", errors="replace").splitlines()
        rows = [line.split(" ", 1) for line in lines if line[2:].strip()]  # some have a label alone
        write_table(folder / "texts.csv", ("label", "text"), rows)

    return prepare


def recordings(source: Path, folder: Path) -> None:
    """Tables of spoken digits: one with labels and parts, and one for each part with words."""
    rows: dict[str, list[tuple[str, str]]] = {"train": [], "valid": [], "test": []}
    for path in sorted((source / "recordings").glob("*.wav")):
        digit, _, number = path.stem.split("_")
        part = "test" if int(number) in TESTED else "valid" if int(number) in VALIDATED else "train"
        rows[part].append((str(path), digit))
    labelled = [(*row, part) for part in rows for row in rows[part]]
    write_table(folder / "labels.csv", ("source", "label", "part"), labelled)
    for part, items in rows.items():
        write_table(folder / f"{part}.csv", ("source", "target"), [(path, WORDS[int(digit)]) for path, digit in items])


def write_idx(path: Path, pictures: np.ndarray) -> None:
    """Grey pictures (N, H, W) as an idx file."""
    path.write_bytes(struct.pack(">IIII", 0x0803, *pictures.shape) + pictures.astype(np.uint8).tobytes())


def two_digits(folder: Path) -> dict[str, list[tuple[str, int, int]]]:
    """Pictures of two digits side by side, from scikit-learn's, which no two parts share: place, left and right."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    items = {}
    for number, (part, chosen) in enumerate(DIGITS.items()):
        pictures, labels = bunch.images[chosen] * (255 / 16), bunch.target[chosen]
        left, right = np.random.default_rng(number).integers(len(labels), size=(2, PICTURES[part]))
        file = folder / f"{part}-idx3-ubyte"
        write_idx(file, np.concatenate([pictures[left], pictures[right]], axis=2))
        pairs = zip(labels[left], labels[right], strict=True)
        items[part] = [(f"{file}#{row}", int(a), int(b)) for row, (a, b) in enumerate(pairs)]
    return items


def captions(_: Path, folder: Path) -> None:
    """Pictures of two digits with both names."""
    for part, items in two_digits(folder).items():
        rows = [(place, f"{WORDS[left]} {WORDS[right]}") for place, left, right in items]
        write_table(folder / f"{part}.csv", ("source", "target"), rows)


def questions(_: Path, folder: Path) -> None:
    """Pictures of two digits with a question about them."""
    for part, items in two_digits(folder).items():
        asked = np.random.default_rng(len(items)).integers(len(QUESTIONS), size=len(items))
        names = [list(QUESTIONS)[number] for number in asked]
        rows = [(item[0], name, QUESTIONS[name](*item[1:])) for item, name in zip(items, names, strict=True)]
        write_table(folder / f"{part}.csv", ("image", "question", "target"), rows)


def mnist(source: Path, folder: Path) -> None:
    """5,000 training, 1,000 validation and 2,000 test pictures, as files and a table."""
    rows = []
    for part, chosen in MNIST_ITEMS.items():
        prefix = "t10k" if part == "test" else "train"
        pictures = read_idx(source / f"{prefix}-images-idx3-ubyte.gz")[chosen]
        labels = read_idx(source / f"{prefix}-labels-idx1-ubyte.gz")[chosen]
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            path = folder / f"{part}-{number}.png"
            Image.fromarray(picture).save(path)
            rows.append((str(path), str(label), part))
    write_table(folder / "pictures.csv", ("source", "label", "part"), rows)


def lemmas(source: Path, folder: Path) -> None:
    """Word and part of speech to lemma, each pair once; words of the training part are left out of the others."""
    seen: set[tuple[str, ...]] = set()
    for part, name in (("train", "train"), ("valid", "dev"), ("test", "test")):
        rows: dict[tuple[str, str], None] = {}
        with gzip.open(source / f"en_ewt-ud-{name}.conllu.gz", "rt", encoding="utf-8") as file:
            for line in file:
                cells = line.split("\t")
                if len(cells) == 10 and cells[0].isdigit() and cells[1].isalpha():
                    rows.setdefault((f"{cells[1].lower()} {cells[3]}", cells[2].lower()))
        own = [row for row in rows if row[:1] not in seen]
        seen |= {row[:1] for row in own}
        write_table(folder / f"{part}.csv", ("source", "target"), own)


def _parts(suffix: str = "csv") -> dict[str, str]:
    keys = {"data": "train", "valid": "valid", "test": "test"}
    return {key: f"{PREPARED}/{part}.{suffix}" for key, part in keys.items()}


def _translated(part: str) -> str:
    return f"{DATA}/multi30k/{part}.de.gz,{DATA}/multi30k/{part}.en.gz"


TEXTS = {"data": f"{PREPARED}/texts.csv", "source_column": "text"}
WAVES = {"sound.rate_hz": 8000}

_ALL = (
    DataSet("reviews", "classification", "texts", 3_775, "accuracy", TEXTS, "customer_reviews",
            labelled_lines("custrev.all"), about="customer reviews, two classes"),
    DataSet("sst", "classification", "texts", 9_000, "accuracy",
            {"data": f"{DATA}/sst/sst_dataset.csv", "split_column": "exp_split", "source_column": "text"}, "sst",
            about="Stanford Sentiment, sentences, two classes"),
    DataSet("mpqa", "classification", "texts", 10_606, "accuracy", TEXTS, "mpqa", labelled_lines("mpqa.all"),
            held_out=True, about="phrases of opinion, two classes"),
    DataSet("digits-rows", "classification", "series", 1_797, "accuracy", {"data": "builtin:digits?as=rows"},
            about="scikit-learn's digits as 8 steps of 8 channels"),
    DataSet("digits-pixels", "classification", "series", 1_797, "accuracy", {"data": "builtin:digits?as=pixels"},
            about="the same as 64 steps"),
    DataSet("digits", "classification", "pictures", 1_797, "accuracy", {"data": "builtin:digits"},
            about="scikit-learn's digits, 8 × 8 pixels"),
    DataSet("mnist", "classification", "pictures", 8_000, "accuracy",
            {"data": f"{PREPARED}/pictures.csv", "split_column": "part", "source_kind": "image",
             "picture.colour": "grey"}, "mnist", mnist, held_out=True, about="8,000 digits of MNIST"),
    DataSet("spoken-labels", "classification", "sounds", 3_000, "accuracy",
            {"data": f"{PREPARED}/labels.csv", "split_column": "part", "source_kind": "audio", **WAVES}, "fsdd",
            recordings, about="spoken digits, ten classes"),
    DataSet("spoken-words", "transcription", "speech", 3_000, "exact_match", {**_parts(), **WAVES}, "fsdd",
            recordings, about="spoken digits, to words"),
    DataSet("captions", "captioning", "captions", 4_000, "exact_match", {**_parts(), "picture.colour": "grey"},
            prepare=captions, about="pictures of two digits, to their names"),
    DataSet("questions", "answering", "captions", 4_000, "exact_match",
            {**_parts(), "picture.colour": "grey", "sources": "image:image,question:text"}, prepare=questions,
            held_out=True, about="questions about pictures of two digits"),
    DataSet("multi30k", "translation", "pairs", 31_014, "bleu",
            {"data": _translated("train"), "valid": _translated("val"), "test": _translated("test_2016_flickr"),
             "lowercase": True}, "multi30k", about="captions, German to English"),
    DataSet("dates", "translation", "pairs", 12_000, "exact_match", {"data": "builtin:dates?size=10000"},
            about="dates as people write them, to ISO 8601"),
    DataSet("lemmas", "translation", "pairs", 20_000, "exact_match", _parts(), "ud_english_ewt", lemmas,
            held_out=True, about="English words with part of speech, to lemmas"),
    DataSet("shakespeare", "language", "running text", 40_000, "bits_per_byte",
            {"data": f"{DATA}/tinyshakespeare/input.txt"}, "tinyshakespeare", about="1.1 MB of plays"),
    DataSet("wikitext", "language", "running text", 4_000, "bits_per_byte",
            {"data": f"{DATA}/wikitext2/valid.txt", "test": f"{DATA}/wikitext2/test.txt"}, "wikitext2",
            held_out=True, about="1.1 MB of WikiText-2, tested on another 1.3 MB"),
    DataSet("etth1", "forecasting", "forecasts", 14_400, "mse",
            {"data": f"{DATA}/ett/ETTh1.csv", "split": "8640,2880,2880", "lookback": 96, "horizon": 96}, "ett",
            about="ETTh1, 7 columns by the hour, 96 steps ahead"),
    DataSet("seasonal", "forecasting", "forecasts", 4_000, "mse", {"data": "builtin:seasonal"},
            about="a season and noise"),
    DataSet("ar", "forecasting", "forecasts", 4_000, "mse", {"data": "builtin:ar"}, held_out=True,
            about="an autoregression"),
)  # fmt: skip
DATA_SETS = {one.name: one for one in _ALL}
