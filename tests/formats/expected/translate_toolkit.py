"""Translation memories as translate-toolkit makes them from a gettext catalogue."""

from tests.formats.cases import Case

PAIRS = [("Open <file> & close", "<Datei> öffnen & schließen"), ("Two\nlines", "Zwei\nZeilen")]
CASES = [
    Case("memory.tmx", "TMX", "translation", PAIRS),
    Case("catalogue.xlf", "XLIFF 1.2", "translation", PAIRS, {"skip_bad": True}),
    Case("catalogue2.xliff", "XLIFF 2.0", "translation", PAIRS, {"skip_bad": True}),
]
