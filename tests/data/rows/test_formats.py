"""Formats of translators, treebanks and other libraries, as their specifications write them."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sightline.core.errors import InputError
from sightline.data.pairs.corpus import load_corpus, read_pairs
from sightline.data.rows import columnar
from sightline.data.rows.formats import open_rows
from sightline.data.text.corpus import load_text

TMX = """<?xml version="1.0"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="en" datatype="plaintext"/>
<body>
<tu tuid="1"><note>no text</note>
  <tuv xml:lang="de"><seg>Klick <bpt i="1">&lt;b&gt;</bpt>hier<ept i="1">&lt;/b&gt;</ept> &amp; da</seg></tuv>
  <tuv xml:lang="EN"><seg>Click <hi>here</hi> &amp; there</seg></tuv></tu>
<tu><tuv lang="de"><seg>zwei
Zeilen</seg></tuv><tuv lang="EN"><seg>two lines</seg></tuv></tu>
</body></tmx>"""
XLIFF_1 = """<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2"><file source-language="en"><body>
<group><trans-unit id="1"><source>Save <g id="1">all</g><ph id="2">%s</ph></source>
<target state="final">Alles sichern</target>
<alt-trans><source>Save</source><target>Sichern</target></alt-trans></trans-unit></group>
<trans-unit id="2"><source>Open</source><seg-source><mrk mtype="seg" mid="0">Open</mrk></seg-source>
<target><mrk mtype="seg" mid="0">Auf</mrk></target></trans-unit></body></file></xliff>"""
XLIFF_2 = """<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en" trgLang="de"><file id="f">
<unit id="1"><notes><note>no text</note></notes><segment><source>Hello <pc id="1">World</pc><ph id="2"/></source>
<target>Hallo Welt<cp hex="0041"/></target></segment><ignorable><source> </source></ignorable>
<segment><source>Bye</source><target>Tschüss</target></segment></unit></file></xliff>"""
UNITS = {
    "tmx": (TMX, ["Click here & there", "two lines"], ["Klick hier & da", "zwei\nZeilen"]),
    "xlf": (XLIFF_1, ["Save all", "Open"], ["Alles sichern", "Auf"]),
    "xliff": (XLIFF_2, ["Hello World", "Bye"], ["Hallo WeltA", "Tschüss"]),
}


@pytest.mark.parametrize("suffix", UNITS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_units(suffix: str, encoding: str, tmp_path: Path) -> None:
    content, sources, targets = UNITS[suffix]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content.encode(encoding))
    assert read_pairs(path).sides == (sources, targets)


def test_languages_of_a_memory_are_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.tmx"
    path.write_text(TMX)
    assert [record.line for record in open_rows(path).records()] == [5, 8]
    assert read_pairs(path, source_column="de", target_column="EN").targets[1] == "two lines"
    path.write_text(TMX.replace('lang="EN"><seg>two', 'lang="fr"><seg>deux'))
    with pytest.raises(InputError, match=r"which of the columns EN, de and fr is which\?"):
        read_pairs(path)
    with pytest.raises(InputError, match=r"a\.tmx:8: no key 'EN'"):
        read_pairs(path, source_column="de", target_column="EN")


@pytest.mark.parametrize(
    ("content", "place", "problem"),
    [
        ('<!DOCTYPE tmx [<!ENTITY a "b">]><tmx/>', ":1", "declares entities, which are not read"),
        ('<!DOCTYPE tmx [<!ENTITY a SYSTEM "other.xml">]>\n<tmx/>', ":1", "declares entities"),
        ('<!DOCTYPE tmx [<!ENTITY % a SYSTEM "x.dtd">]>\n<tmx/>', ":1", "declares entities"),
        ('<!DOCTYPE tmx SYSTEM "x.dtd">\n<tmx><tu><tuv><seg>&a;</seg></tuv></tu></tmx>', ":2", "uses the entity &a;"),
        ("<tmx><tu><tuv><seg>&a;</seg></tuv></tu></tmx>", ":1", "broken XML: undefined entity"),
        ("<tmx>\n<tu></tmx>", ":2", "broken XML: mismatched tag"),
        ("<tmx>\n", ":2", "broken XML: no element found"),
        ("<html><body/></html>", ":1", "is XML, but not tmx: its root is <html>"),
        ("source\ttarget\n", ":1", "broken XML: syntax error"),
        ('<?xml version="1.0" encoding="UTFF-8"?><tmx/>', ":1", "broken XML: unknown encoding: UTFF-8; save"),
        ("<tmx><body/></tmx>", "", "has a header but no rows"),
        ("", "", "is empty"),
    ],
)
def test_a_bad_memory_is_one_line(content: str, place: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tmx"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_pairs(path)
    assert str(caught.value).startswith(f"{path}{place}: {problem}")


def test_units_without_a_translation_are_named_or_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.xliff"
    path.write_text(XLIFF_2.replace("<target>Tschüss</target>", ""))
    with pytest.raises(InputError, match=r"a\.xliff:4: no key 'target'"):
        read_pairs(path)
    assert read_pairs(path, skip_bad=True).targets == ["Hallo WeltA"]


CONLLU = """# newdoc
# sent_id = 1
# text = Vámonos al mar.
# text_en = Let's go to the sea.
1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tVamos\tir\tVERB\t_\t_\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\t_\t_\t1\tobj\t_\t_
3-4\tal\t_\t_\t_\t_\t_\t_\t_\t_
3\ta\ta\tADP\t_\t_\t5\tcase\t_\t_
4\tel\tel\tDET\t_\t_\t5\tdet\t_\t_
5\tmar\tmar\tNOUN\t_\t_\t1\tobl\t_\tSpaceAfter=No
5.1\tvisto\tver\tVERB\t_\t_\t_\t_\t_\t_
6\t.\t.\tPUNCT\t_\t_\t1\tpunct\t_\t_

"""


def test_sentences_of_a_treebank(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu"
    path.write_text(CONLLU + CONLLU.replace("# text = Vámonos al mar.\n", ""))
    first, second = open_rows(path).records()
    assert (first.line, second.line) == (1, 15)
    assert first.cells == {
        "form": "Vamos nos a el mar .",
        "lemma": "ir nosotros a el mar .",
        "upos": "VERB PRON ADP DET NOUN PUNCT",
        "text": "Vámonos al mar.",
        "sent_id": "1",
        "text_en": "Let's go to the sea.",
    }
    assert second.cells["text"] == "Vámonos al mar."
    assert read_pairs(path, source_column="text", target_column="text_en").targets[0] == "Let's go to the sea."
    path.write_text("".join(CONLLU.replace("mar.", f"mar {i}.") for i in range(50)))
    assert load_text(path).sizes["train"] > 30
    path.write_text(CONLLU + "1\tno\n")
    with pytest.raises(InputError, match=r"a\.conllu:15: expected 10 columns, found 2 \(line 15\), or leave"):
        load_text(path)


ROWS = [{"source": "a\n", "target": "ü"}, {"source": "c", "target": "d"}]
JSON: dict[str, str] = {
    "one line": json.dumps(ROWS),
    "indented": json.dumps(ROWS, indent=2, ensure_ascii=False),
    "lines": "\n".join(map(json.dumps, ROWS)) + "\n",
    "pandas' columns": '{"source":{"0":"a\\n","1":"c"},"target":{"0":"\\u00fc","1":"d"}}',
    "lists": '{"source":["a\\n","c"],"target":["ü","d"]}',
    "a mark": "\ufeff" + json.dumps(ROWS) + "\n\n",
}


@pytest.mark.parametrize("form", JSON)
def test_json(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightline.data.rows.json_array._BLOCK", 3 if form in ("one line", "indented") else 1 << 16)
    path = tmp_path / "a.json"
    path.write_text(JSON[form], encoding="utf-8")
    assert [record.cells for record in open_rows(path).records()] == ROWS
    assert read_pairs(path).targets == ["ü", "d"]


def test_one_row_with_an_object_inside_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"translation": {"de": "a", "en": "b"}}\n')
    assert read_pairs(path) == read_pairs(path, source_column="translation.de", target_column="translation.en")


@pytest.mark.parametrize(
    ("content", "place", "problem"),
    [
        ('[\n{"source": "a", "target": "b"},\n{"source": "c" "target": 1}]', ":3", "bad JSON: Expecting ',' delimiter"),
        ('[\n{"source": "a", "target": "b"}\n', ":3", "the JSON is cut short"),
        ('[{"source": "a", "source": "b"}]', ":1", "the key 'source' occurs twice"),
        ('[{"source": NaN}]', ":1", "bad JSON: NaN is not a JSON value"),
        ('[{"source": "a", "target": "b"}] x', ":1", "bad JSON: 'x' after the end"),
        ('[\n"a"]', ":2", "expected a JSON object, found a string"),
        ("[" * 100_000, ":1", "the JSON is nested too deeply"),
        (
            '{\n"data": {"rows": []},\n"version": 1}',
            "",
            "is one JSON object: save it as an array of objects or as JSON",
        ),
        ('["\xff"]', ":1", "invalid UTF-8 (0xff)"),
        ("[]\n\xc3", ":2", "the file ends inside a character"),
        ("[]", "", "has a header but no rows"),
        ("", "", "is empty"),
    ],
)
def test_bad_json_is_one_line(content: str, place: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        read_pairs(path)
    assert str(caught.value).startswith(f"{path}{place}: {problem}")


def test_a_text_corpus_in_an_array_is_read_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block continues where the one before ended: the file is parsed once for each pass."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"text": f"text {i} " * 40} for i in range(2000)]))
    monkeypatch.setattr("sightline.data.text.readers.BLOCK_BYTES", 10_000)
    part = load_text(path, valid_share=0.0, test_share=0.0).train
    assert len(part.runs) == 1 < len(part.blocks)
    opened = 0
    original = type(open_rows(path)).records

    def records(self: Any, names: Any = None) -> Any:
        nonlocal opened
        opened += 1
        return original(self, names)

    monkeypatch.setattr(type(open_rows(path)), "records", records)
    texts = [fragment.text for number in range(len(part.blocks)) for fragment in part.read(number)]
    assert len(texts) == 2000
    assert opened == 1


ARROW: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "file": lambda frame, path: frame.write_ipc(path),
    "stream": lambda frame, path: frame.write_ipc_stream(path),
    "compressed": lambda frame, path: frame.write_ipc(path, compression="zstd"),
}


@pytest.mark.parametrize("suffix", [".arrow", ".feather"])
@pytest.mark.parametrize("form", ARROW)
def test_arrow(form: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    ARROW[form](pl.DataFrame({"translation": [{"de": "a", "en": "b"}] * 5}), path)
    corpus = load_corpus(path, valid=path, test=path)
    assert corpus.train.sides == (["a"] * 5, ["b"] * 5)
    assert "the source is 'translation.de', the target is 'translation.en'" in corpus.notes[0]


@pytest.mark.parametrize(
    ("content", "problem"), [(b"FEA1", "Feather version 1; write it as"), (b"a\tb\n", "broken ipc: ")]
)
def test_bad_arrow_is_one_line(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "a.feather"
    path.write_bytes(content)
    with pytest.raises(InputError, match=problem):
        read_pairs(path)


def test_a_file_that_ends_the_decoder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.feather"
    pl.DataFrame({"source": ["a"], "target": ["b"]}).write_ipc(path)
    crash = subprocess.CompletedProcess([], -signal.SIGABRT)
    monkeypatch.setattr(columnar.subprocess, "run", lambda *_, **__: crash)
    with pytest.raises(InputError, match=r"a\.feather: broken ipc: the decoder crashes on it; write the file again$"):
        read_pairs(path)


def test_a_content_is_tried_in_another_process_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    fine = subprocess.CompletedProcess([], 0)
    monkeypatch.setattr(columnar.subprocess, "run", lambda *command, **_: started.append(command) or fine)
    for name, value in (("a.arrow", 501), ("a.arrow", 501), ("b.feather", 501), ("a.arrow", 502)):
        pl.DataFrame({"x": [value]}).write_ipc(tmp_path / name)
        assert [record.cells for record in open_rows(tmp_path / name).records()] == [{"x": value}]
    assert len(started) == 2


def test_fields_of_a_struct_are_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"id": ["x"], "translation": [{"de": "a", "en": "b", "n": 1}]}).write_parquet(path)
    rows = open_rows(path)
    assert rows.columns == ("id", "translation")
    assert next(rows.records()).cells == {"id": "x", "translation": {"de": "a", "en": "b", "n": 1}}
    names = ["translation.en", "id"]
    assert next(rows.records(names)).cells == {"translation.en": "b", "id": "x"}
    assert rows.column("translation.de") == "translation.de"
    with pytest.raises(InputError, match=r"no column 'translation\.dee', did you mean 'translation\.de'\?"):
        rows.column("translation.dee")
    with pytest.raises(InputError, match=r"the column 'translation\.n' must contain strings, found Int64"):
        rows.require(["translation.n"], "strings")


def test_a_directory_is_told_from_a_table(tmp_path: Path) -> None:
    expected = r"^.*: is a directory, and a table is expected: give a file that ends in \.tsv, .*zst\)$"
    with pytest.raises(InputError, match=expected):
        open_rows(tmp_path)
