"""Tables as Hugging Face's datasets writes them."""

import shutil
import tempfile
from pathlib import Path

import datasets
from pyarrow import feather

VERSION = f"datasets {datasets.__version__}"
PAIRS = [
    {"de": 'sag "nein"', "en": "no"},
    {"de": "Zeile\nUmbruch", "en": "line\ttab"},
    {"de": "schlicht", "en": "plain"},
]
TRANSLATIONS = datasets.Dataset.from_dict(
    {"translation": PAIRS}, features=datasets.Features({"translation": datasets.Translation(["de", "en"])})
)


LABELLED = datasets.Dataset.from_dict(
    {"text": ["one", "two"], "label": [1, 0]},
    features=datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["cat", "dog"])}),
)


def saved(path: Path, data: datasets.Dataset = TRANSLATIONS) -> None:
    """The Arrow file that `save_to_disk` writes."""
    with tempfile.TemporaryDirectory() as folder:
        data.save_to_disk(folder)
        shutil.copy(next(Path(folder).glob("*.arrow")), path)


FILES = {
    "translation.parquet": TRANSLATIONS.to_parquet,
    "translation.jsonl": TRANSLATIONS.to_json,
    "saved.arrow": saved,
    "labelled.arrow": lambda path: saved(path, LABELLED),
    "labelled.feather": lambda path: feather.write_feather(LABELLED.data.table, path),
}
