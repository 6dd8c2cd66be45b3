"""Whether the first row of a table names its columns or is data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import islice

from sightline.data.rows.index import index_columns
from sightline.data.rows.numbers import is_number
from sightline.data.rows.record import Rows

_SAMPLED_ROWS = 200
_FEW, _REPEATED = 20, 5  # at most so many values, so many times each on average, are those of a category
_COMMON = 0.05  # a share of rows above which looking like a name says nothing
_WORD = re.compile(r"[^\W\d_]+")
_NAME = re.compile(r"[^\W\d](?:[\w.-]{0,30}\w)?")
_COMPOUND = re.compile(r"[a-z\d]+(?:[_.][a-z\d]+)+|[a-z]+(?:[A-Z][a-z]+)+")
# Words that columns are named with, in the tables of common tools and collections.
_WORDS = """
    abstract answer answers article audio body caption category clean client clip comment comments completion
    content context corrected correct description dest destination document duration en false file filename gender
    gold gloss headline highlights hypothesis id idx image incorrect index input inputs instruction label labels
    lang language left line locale locales meaning name noisy number original out output outputs paraphrase path
    pair phrase picture premise prompt query question questions rank raw reference response review right score
    segment sent sentence sentences sex side source sources speaker split src string summary tag tags target targets
    term test text texts tgt title token tokens train transcript transcription transl translated translation
    translations transliteration trg true type url utterance valid value word words wrong
"""
# Languages whose own name, and codes of three letters, name columns too.
_SPOKEN = """
    ar bg bn ca cs da de el en es et eu fa fi fr ga he hi hr hu id is it ja ko lt lv mt nl no pl pt ro ru sk sl sr sv
"""
_CODES = """
    ara bul ben cat ces cze dan deu ger ell gre eng spa est eus fas fin fra fre gle heb hin hrv hun ind isl ita jpn
    kor lit lav mlt nld dut nor pol por ron rum rus slk slo slv srp swe tha tur ukr vie zho chi
"""


@cache
def _words() -> frozenset[str]:
    return frozenset(_WORDS.split())


@cache
def languages() -> frozenset[str]:
    """The names of languages in English and, of the common ones, in themselves; and their codes."""
    from babel import Locale

    english = {code: name for code, name in Locale("en").languages.items() if len(code) <= 3 and name}
    own = [Locale(code).get_language_name() for code in _SPOKEN.split()]
    two = (code for code in english if len(code) == 2)
    return frozenset(_CODES.split()) | {name.lower() for name in (*two, *english.values(), *filter(None, own))}


def first_row_names(rows: Rows) -> bool | None:
    """Whether the first row of a table names its columns; None = it can be either.

    It does where a column below it has only numbers or numbers the rows; where its cells look like names and it has
    none of the few values that a column below it repeats; and where its cells are words that columns are named with,
    languages, or words joined as programs do (`text_en`), and the cells below some of them are not. It does not where
    a cell is empty, a number or twice there. Other single words over cells that are none can be either.
    """
    bare = rows.without_header()
    if bare is rows or index_columns(rows):
        return True
    first, *body = [list(record.cells.values()) for record in islice(bare.records(), _SAMPLED_ROWS) if record.cells]
    first = [(cell or "").strip() for cell in first]
    if not all(first) or len(set(first)) < len(first) or any(map(is_number, first)):
        return False
    below = [[str(row[place] or "").strip() for row in body] for place in range(len(first))]
    if any(cells and all(map(is_number, cells)) for cells in below):
        return True
    if all(map(_NAME.fullmatch, first)):
        few = [repeated(cells) for cells in below]
        if any(values and name not in values for name, values in zip(first, few, strict=True)):
            return True
    for looks_like, verdict in ((_names_a_column, True), (_COMPOUND.fullmatch, True), (_NAME.fullmatch, None)):
        if all(map(looks_like, first)):
            filled = [[cell for cell in cells if cell] for cells in below]
            if (
                any(sum(map(bool, map(looks_like, cells))) <= _COMMON * len(cells) for cells in filled if cells)
                or not body
            ):
                return verdict or (None if body else False)
    return False


def repeated(cells: Sequence[object]) -> set[object]:
    """The few values that a column repeats, such as labels; none in a column of other texts."""
    values = set(cells)
    return values if 1 < len(values) <= min(_FEW, len(cells) // _REPEATED) else set()


def _names_a_column(cell: str) -> bool:
    """Whether a cell consists of words that columns are named with, or is a language or its code."""
    if cell.lower() in languages() or re.fullmatch(r"[a-z]{2,3}[-_][A-Za-z]{2,4}", cell):
        return True
    words = [word.lower() for word in _WORD.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cell))]
    return 0 < len(words) <= 4 and all(word in _words() or word in languages() for word in words)
