"""Bad labelled data ends in one line that names file and line; with `skip_bad` what can be skipped is counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.labelled.corpus import load_labelled
from sightline.data.labelled.table import Reading
from tests.data.labelled.malformed import CASES

TEN = b"".join(b"t%d,%s\n" % (i, b"ab"[i % 2 : i % 2 + 1]) for i in range(10))


@pytest.mark.parametrize("case", CASES)
def test_bad_data_is_one_line_with_its_place(case: str, tmp_path: Path) -> None:
    name, content, place, problem, options = CASES[case]
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    with pytest.raises(InputError) as caught:
        load_labelled(path, Reading(**options))
    message = str(caught.value)
    assert message.startswith(f"{path}{place}: ")
    assert problem in message
    assert message.isprintable()


def test_a_label_that_training_lacks_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label\n" + TEN)
    (tmp_path / "b.csv").write_bytes(b"text,label\nx,a\ny,ab\n")
    with pytest.raises(InputError, match=r"b\.csv:3: the label 'ab' does not occur in training, did you mean '"):
        load_labelled(tmp_path / "a.csv", test=tmp_path / "b.csv")


def test_parts_of_two_kinds(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label\n" + TEN)
    (tmp_path / "b.csv").write_bytes(b"x1,x2,label\n1,2,a\n")
    with pytest.raises(
        InputError, match=r"b\.csv \(test\): contains series with one label each, but .*a\.csv contains text"
    ):
        load_labelled(tmp_path / "a.csv", test=tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "no data: give"),
        ("builtin:digit", "builtin: unknown built-in data 'digit', did you mean 'digits'?"),
        ("builtin:digits?is=rows", "builtin:digits: unknown option 'is'; known: as, seed"),
        ("builtin:digits?as=row", "builtin:digits: as must be image, rows or pixels, found 'row'"),
        ("builtin:digits?seed=-1", "builtin:digits: seed must be from 0 to"),
    ],
)
def test_bad_names(name: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_labelled(name)
    assert str(caught.value).startswith(message)


def test_skip_bad_counts_what_can_be_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\n" + TEN * 2 + b"\xff,a\nshort\nx,\n")
    (note,) = [note for note in load_labelled(path, Reading(skip_bad=True)).notes if "skipped" in note]
    assert note.startswith(f"{path}: skipped 3 bad rows: {path}:22: invalid UTF-8")
    path.write_bytes(b"text,label\n ,a\n")
    with pytest.raises(InputError, match=r"no good row: 1 bad ones, first .*a\.csv:2: 'text' is empty"):
        load_labelled(path, Reading(skip_bad=True))


def test_a_folder_that_may_not_be_read_is_a_fault_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(EnvironmentFault, match="cannot be read: Permission denied"):
        load_labelled(tmp_path)


PIECES = [
    b"text,label\n",
    b"x1,x2,label\n",
    b"1,2,a\n",
    b"x,b\n",
    b"nan",
    b"[1",
    b'"',
    b"\t",
    b"\0",
    b"\xff",
    b"\n",
    b"]",
]
PIECES += [
    b'{"text": "x", "label": "a"}\n',
    b'{"x": [1, 2], "label": [',
    b"1e999",
    b"label\ttext\n",
    b"a\tb\n",
    b"{}\n",
]


@given(
    content=st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=6)), max_size=12).map(b"".join),
    suffix=st.sampled_from([".tsv", ".csv", ".jsonl", ".parquet"]),
    options=st.sampled_from([{}, {"skip_bad": True}, {"label_separator": "|"}, {"kind": "series"}, {"kind": "text"}]),
)
def test_no_file_at_all_gives_anything_but_items_or_one_line(
    content: bytes, suffix: str, options: dict, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz{suffix}"
    path.write_bytes(content)
    try:
        data = load_labelled(path, Reading(**options))
    except InputError as error:
        text = str(error)
    else:
        text = f"{path}: fine"
        assert len(data.train.sources) == len(data.train.labels) > 0
        assert len(data.classes) >= 2
    assert text.startswith(str(path))
    assert "\n" not in text
