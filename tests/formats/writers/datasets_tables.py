"""Tables as Hugging Face's datasets writes them."""

import shutil
import tempfile
from pathlib import Path

import datasets

VERSION = f"datasets {datasets.__version__}"
PAIRS = [
    {"de": 'sag "nein"', "en": "no"},
    {"de": "Zeile\nUmbruch", "en": "line\ttab"},
    {"de": "schlicht", "en": "plain"},
]
TRANSLATIONS = datasets.Dataset.from_dict(
    {"translation": PAIRS}, features=datasets.Features({"translation": datasets.Translation(["de", "en"])})
)


def saved(path: Path) -> None:
    """The Arrow file that `save_to_disk` writes."""
    with tempfile.TemporaryDirectory() as folder:
        TRANSLATIONS.save_to_disk(folder)
        shutil.copy(next(Path(folder).glob("*.arrow")), path)


FILES = {
    "translation.parquet": TRANSLATIONS.to_parquet,
    "translation.jsonl": TRANSLATIONS.to_json,
    "saved.arrow": saved,
}
