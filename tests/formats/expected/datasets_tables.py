"""Tables as Hugging Face's datasets writes them."""

from tests.formats.cases import Case

PAIRS = [('sag "nein"', "no"), ("Zeile\nUmbruch", "line\ttab"), ("schlicht", "plain")]
NAMED = "the source is 'translation.de', the target is 'translation.en'"
CLASSES = ("names the classes of its numbers: cat, dog",)
CASES = [
    Case("translation.parquet", "parquet with translations", "translation", PAIRS, notes=(NAMED,)),
    Case("translation.jsonl", "JSON Lines with translations", "translation", PAIRS, notes=(NAMED,)),
    Case("saved.arrow", "Arrow, as `save_to_disk` writes it", "translation", PAIRS, notes=(NAMED,)),
    *(
        Case(file, f"{kind} with ClassLabel", "classification", [("one", ("dog",)), ("two", ("cat",))], notes=CLASSES)
        for file, kind in (("labelled.arrow", "Arrow"), ("labelled.feather", "Feather"))
    ),
]  # fmt: skip
