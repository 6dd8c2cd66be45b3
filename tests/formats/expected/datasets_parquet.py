"""Parquet files as Hugging Face's datasets writes them."""

from tests.formats.cases import Case

NAMES = ("names the classes of its numbers: cat, dog",)
CASES = [
    Case(
        "pictures.parquet", "parquet with Image and ClassLabel", "classification",
        [((3, 2, 4), ("dog",)), ((3, 2, 4), ("cat",))], notes=NAMES,
    ),
    Case(
        "many.parquet", "parquet with lists of ClassLabel", "classification", [("one", ("cat", "dog")), ("two", ())],
        notes=NAMES,
    ),
    Case("texts.parquet", "parquet with labels without names", "classification", [("one", ("1",)), ("two", ("0",))]),
    Case(
        "captions.parquet", "parquet with Image and text", "captioning",
        [(((3, 2, 4),), "one"), (((3, 2, 4),), "two")],
        notes=("read the column 'image' as source and 'text' as target",),
    ),
    Case("sounds.parquet", "parquet with sounds and text", "transcription", [(((800,),), "one")]),
]  # fmt: skip
