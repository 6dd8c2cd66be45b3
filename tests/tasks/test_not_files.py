"""The name of a file is never taken for a text, whatever the task; on standard input any text is one."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from sightline.core.errors import InputError
from sightline.tasks.not_files import check_not_files, check_not_paths
from sightline.testing import TaskSubject
from tests.tasks.subjects import SUBJECTS


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TaskSubject:
    return SUBJECTS[request.param](tmp_path_factory.mktemp("data"))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with files and a folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text("text,label\nred,a\n")
    (tmp_path / "word").write_text("x")
    (tmp_path / "notes.log").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "word").write_text("x")
    return tmp_path


@pytest.mark.parametrize("text", ["reviews.csv", "./reviews.csv", "folder/word", "notes.log"])
def test_a_file_is_named(files: Path, text: str) -> None:
    with pytest.raises(InputError, match=rf"^{text}: is a file, but a text is expected: say it$"):
        check_not_files(["a text", text], "say it")


@pytest.mark.parametrize("text", ["revews.csv", "a.tsv.gz", "a.PARQUET", "a.txt", "sounds/a.wav"])
def test_what_ends_like_a_file_of_data_is_named(files: Path, text: str) -> None:
    with pytest.raises(InputError, match="no such file, and not read as a text: say it"):
        check_not_files([text], "say it")


def test_built_in_data_is_named() -> None:
    with pytest.raises(InputError, match="builtin:digits: is built-in data, but a text is expected"):
        check_not_files(["builtin:digits"], "say it")


TEXTS = ["word", "folder", "3.14", "see reviews.csv now", "e.g.", "", " ", "/", "a" * 5000 + "/b", "a\nb.log", "…", "."]


@pytest.mark.parametrize("text", TEXTS)
def test_other_texts_are_texts(files: Path, text: str) -> None:
    check_not_files([text], "say it")
    check_not_paths(text)


def test_in_python_a_path_is_refused_and_a_column_of_texts_is_not(files: Path) -> None:
    for given in (Path("a text"), [Path("reviews.csv")], "reviews.csv"):
        with pytest.raises(
            InputError, match=r"is a file, but a text is expected: give its texts, as in table\['text'\]"
        ):
            check_not_paths(given)
    for given in ("absent.csv", ["reviews.csv"], pl.Series(["reviews.csv"])):
        check_not_paths(given)


def test_no_task_takes_a_path_for_an_input_that_it_is_not(subject: TaskSubject, files: Path) -> None:
    """A table of labelled texts is neither a text, nor a series, nor a sound: each task says so."""
    task = subject.built()
    for given in (Path("reviews.csv"), "reviews.csv"):
        with pytest.raises(InputError) as caught:
            task.predict(given)
        assert task.reads_texts == ("a text is expected" in str(caught.value))
