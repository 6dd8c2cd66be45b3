"""Translation memories as translate-toolkit makes them from a gettext catalogue."""

from importlib.metadata import version

from translate.storage import po, tmx, xliff, xliff2

VERSION = f"translate-toolkit {version('translate-toolkit')}"
CATALOGUE = b"""msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgid "Open <file> & close"
msgstr "<Datei> \xc3\xb6ffnen & schlie\xc3\x9fen"

msgid "Two\\nlines"
msgstr "Zwei\\nZeilen"

msgid "not translated"
msgstr ""
"""


def units():
    """The source and the target of every message."""
    return [(unit.source, unit.target) for unit in po.pofile.parsestring(CATALOGUE).units if not unit.isheader()]


def write_tmx(path):
    """As po2tmx: messages with a translation."""
    memory = tmx.tmxfile()
    for source, target in units():
        if target:
            memory.addtranslation(source, "en", target, "de")
    path.write_bytes(bytes(memory))


def write_xliff(path, kind):
    """All messages in one of the versions of XLIFF."""
    store = kind(sourcelanguage="en", targetlanguage="de")
    for source, target in units():
        unit = store.addsourceunit(source)
        if target:
            unit.target = target
    path.write_bytes(bytes(store))


FILES = {
    "memory.tmx": write_tmx,
    "catalogue.xlf": lambda path: write_xliff(path, xliff.xlifffile),
    "catalogue2.xliff": lambda path: write_xliff(path, xliff2.Xliff2File),
}
