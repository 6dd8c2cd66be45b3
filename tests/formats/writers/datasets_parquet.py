"""Parquet files as Hugging Face's datasets writes them."""

import io

import datasets
import numpy
import soundfile
from datasets import ClassLabel, Dataset, Features, List, Value
from PIL import Image

VERSION = f"datasets {datasets.__version__}"


def write(features, **columns):
    """A writer of these columns."""
    return lambda path: Dataset.from_dict(columns, features=Features(features)).to_parquet(path)


def sounds(path):
    """A column of sounds, whose storage is encoded here: the library's own encoder needs torch."""
    buffer = io.BytesIO()
    soundfile.write(buffer, numpy.sin(numpy.arange(800) / 9), 16_000, format="FLAC")
    columns = {"audio": [{"bytes": buffer.getvalue(), "path": "a.flac"}], "text": ["one"]}
    features = {"audio": {"bytes": Value("binary"), "path": Value("string")}, "text": Value("string")}
    write(features, **columns)(path)


PICTURES = [Image.new("RGB", (4, 2), (number, 0, 0)) for number in range(2)]
CLASSES = ClassLabel(names=["cat", "dog"])
FILES = {
    "pictures.parquet": write({"image": datasets.Image(), "label": CLASSES}, image=PICTURES, label=[1, 0]),
    "captions.parquet": write(
        {"image": datasets.Image(), "text": Value("string")}, image=PICTURES, text=["one", "two"]
    ),
    "texts.parquet": write({"text": Value("string"), "label": Value("int64")}, text=["one", "two"], label=[1, 0]),
    "many.parquet": write({"text": Value("string"), "label": List(CLASSES)}, text=["one", "two"], label=[[1, 0], []]),
    "sounds.parquet": sounds,
}
