"""A header is recognised, or the first row is data, or the user is asked."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from sightline.core.errors import InputError
from sightline.data.rows.formats import open_rows
from sightline.data.rows.header import first_row_names
from sightline.data.rows.text_columns import open_texts

SENTENCES = [
    ("ein Hund lief weg", "a dog ran away"),
    ("die Katze sitzt", "the cat sits"),
    ("um 9 Uhr", "at 9"),
]
WORDS = [("Hund", "dog"), ("Katze", "cat"), ("Haus", "house")]
NUMBERS = [("zwei", "2"), ("drei", "3")]


@pytest.mark.parametrize(
    ("first", "body", "names"),
    [
        (("de", "en"), SENTENCES, True),
        (("de", "en"), WORDS, True),
        (("DE", "EN"), WORDS, True),
        (("zh-CN", "pt_BR"), WORDS, True),
        (("eng_Latn", "fra_Latn"), WORDS, True),
        (("German", "English"), WORDS, True),
        (("Deutsch", "Français"), SENTENCES, True),
        (("src", "tgt"), WORDS, True),
        (("Source sentence", "Translation"), SENTENCES, True),
        (("question_text", "best_answer"), WORDS, True),
        (("inputText", "outputText"), SENTENCES, True),
        (("Wort", "Zahl"), NUMBERS, True),
        (("", "Wort", "Zahl"), [("0", "a", "b"), ("1", "c", "d")], True),
        (("Baum", "tree"), WORDS, False),
        (("Der Baum.", "The tree."), SENTENCES, False),
        (("OK", "OK"), SENTENCES, False),
        (("eins", "1"), NUMBERS, False),
        (("Berlin", "9 o'clock"), SENTENCES, False),
        (("Alpha", "Beta"), SENTENCES, None),
        (("description", "section"), [(f"text {n} of it", "libs" if n % 3 else "utils") for n in range(30)], True),
        (("Bier", "utils"), [(f"text {n} of it", "libs" if n % 3 else "utils") for n in range(30)], None),
        (("Lemma", "Bedeutung"), [("Hund", "ein Tier, das bellt"), ("Katze", "ein Tier, das schnurrt")], None),
        (("Deutsch", "German"), [("Deutsch", "German"), ("Englisch", "English")], False),
        (("Alpha", "Beta"), [], False),
    ],
)
def test_first_row(first: tuple[str, ...], body: list[tuple[str, ...]], names: bool | None, tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in (first, *body)))
    assert first_row_names(open_rows(path)) is names


def columns(path: Path, content: str, header: bool | None = None) -> tuple[list[str], tuple[str, ...]]:
    path.write_text(content)
    rows, texts = open_texts(path, [("source", None), ("target", None)], header)
    return [name for name, _ in texts], rows.notes


@pytest.mark.parametrize(
    ("content", "names", "note"),
    [
        ("de,en\na b,c d\n", ["de", "en"], "the source is 'de', the target is 'en'"),
        (",de,en\n0,a b,c d\n1,e,f\n", ["de", "en"], "the column '' only numbers the rows"),
        ("id,de,en\n7,a b,c d\n", ["de", "en"], "the source is 'de', the target is 'en'"),
        ("tgt,src\na b,c d\n", ["src", "tgt"], "the source is 'src', the target is 'tgt'"),
        ("id,question,context,answer\nx,a b,c d,e f\n", ["question", "answer"], "the source is 'question'"),
        ("path,sentence,gender\na.mp3,c d,male\n", ["path", "sentence"], "the target is 'sentence'"),
        ("word,number\nzwei,2\n", ["word", "number"], "the target is 'number'"),
        ("a b,c d\ne,f g\n", ["1", "2"], "no header: the first row is data, and its first cells are source and target"),
    ],
)
def test_source_and_target(content: str, names: list[str], note: str, tmp_path: Path) -> None:
    result, notes = columns(tmp_path / "a.csv", content)
    assert result == names
    assert any(note in one for one in notes)


def test_the_user_decides(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    content = "Alpha,Beta\na b,c d\n"
    either = r":1: are 'Alpha' and 'Beta' names of columns, or data\? Set --header or --no-header; for data other "
    with pytest.raises(InputError, match=either + "than pairs, set --task$"):
        columns(path, content)
    assert columns(path, content, True)[0] == ["Alpha", "Beta"]
    assert columns(path, content, False)[0] == ["1", "2"]
    with pytest.raises(
        InputError, match=r"columns de, en and fr is which\? Set --source-column and --target-column; for"
    ):
        columns(path, "de,en,fr\na b,c d,e f\n")
    path = tmp_path / "a.jsonl"
    with pytest.raises(InputError, match=r"a\.jsonl: names its columns itself: remove --no-header$"):
        columns(path, '{"de": "a", "en": "b"}\n', False)


def test_rows_that_name_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert columns(path, '{"de": "a", "n": 1, "en": "b"}\n')[0] == ["de", "en"]
    nested = ["translation.de", "translation.en"]
    content = '{"id": "0", "translation": {"de": "a", "en": "b"}}\n'
    with pytest.raises(InputError, match="which of the columns"):
        columns(path, content.replace('"0"', '"x"'))
    assert columns(path, content)[0] == nested
    rows = open_rows(path)
    assert [record.cells for record in rows.records(nested)] == [{nested[0]: "a", nested[1]: "b"}]


def test_columns_with_types(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"n": [1], "de": ["a"], "en": ["b"]}).write_parquet(path)
    rows, texts = open_texts(path, [("source", None), ("target", None)])
    assert [name for name, _ in texts] == ["de", "en"]
    assert rows.notes == ("the source is 'de', the target is 'en'",)


def test_numbers_without_a_header_are_no_pairs(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("1\t.5\t.6\n2\t.5\t.7\n3\t.5\t.8\n")
    with pytest.raises(InputError, match=r"a\.tsv: all columns are numbers, and none is chosen: set the task"):
        open_texts(path, [("source", None), ("target", None)])
    path.write_text("1\t.5\n2\t.6\n")  # may be pairs of numbers
    assert len(open_texts(path, [("source", None), ("target", None)])[1]) == 2
