"""Bad labelled data: files and folders, and the message that each must give."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

Writer = Callable[[Path], object]


def parquet(**columns: list) -> Writer:
    return lambda path: pl.DataFrame(columns).write_parquet(path)


def png(path: Path, height: int = 4, width: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width), np.uint8)).save(path)


def png_bomb(path: Path) -> None:
    """A valid header of 30,000 × 30,000 pixels, and as many zeros in 1 MB."""
    path.parent.mkdir(parents=True, exist_ok=True)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10**7)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def folder(**files: bytes | Writer) -> Writer:
    """Files of a folder, `/` in their names written `__`."""

    def write(root: Path) -> None:
        root.mkdir()
        for name, content in files.items():
            path = root / name.replace("__", "/").replace("_dot_", ".")
            if isinstance(content, bytes):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            else:
                content(path)

    return write


def manifest(table: bytes, **files: bytes | Writer) -> Writer:
    def write(path: Path) -> None:
        folder(**files)(path.parent / "media")
        path.write_bytes(table)

    return write


# name of the case: (file, content or writer, the place after the path, the message, options)
CASES: dict[str, tuple[str, bytes | Writer, str, str, dict]] = {
    "no label column": (
        "a.csv",
        b"text,lable\nx,a\n",
        ":2",
        "no column 'label', did you mean 'lable'?; set --label-column",
        {},
    ),
    "no source": ("a.csv", b"label\na\n", ":2", "no column besides the labels", {}),
    "label as source": (
        "a.csv",
        b"text,label\nx,a\n",
        ":2",
        "'label' cannot be source and label at once",
        {"source_column": "label"},
    ),
    "no such source": (
        "a.csv",
        b"text,label\nx,a\n",
        ":2",
        "no column 'txt', did you mean 'text'?",
        {"source_column": "txt"},
    ),
    "no such split": ("a.csv", b"text,label\nx,a\n", ":2", "no column 'part'", {"split_column": "part"}),
    "strange split": (
        "a.csv",
        b"text,label,part\nx,a,tran\n",
        ":2",
        "'part' is 'tran', expected train",
        {"split_column": "part"},
    ),
    "header twice": ("a.csv", b"text,label,text\nx,a,y\n", ":1", "two columns are named 'text'", {}),
    "tsv header twice": ("a.tsv", b"label\tlabel\nx\ta\n", ":1", "two columns are named 'label'", {}),
    "key twice": ("a.jsonl", b'{"text":"a","text":"b","label":"c"}\n', ":1", "the key 'text' occurs twice", {}),
    "one class": (
        "a.csv",
        b"text,label\nx,a\ny,a\nz,a\n",
        "",
        "only one class, 'a': at least two are needed",
        {},
    ),
    "one class of many": ("a.csv", b"text,label\nx,\ny,\nz,\nw,\nv,\n", "", "no labels", {"label_separator": "|"}),
    "too few rows": ("a.csv", b"text,label\nx,a\ny,b\n", "", "2 different sources are too few to split", {}),
    "empty label": (
        "a.csv",
        b"text,label\nx,a\ny, \n",
        ":3",
        "the label is empty, or leave such rows out by --skip-bad",
        {},
    ),
    "null label": ("a.parquet", parquet(text=["x", "y"], label=["a", None]), ":2", "the label is empty", {}),
    "null text": ("a.parquet", parquet(text=["x", None], label=["a", "b"]), ":2", "'text' is empty", {}),
    "null text in JSON": ("a.jsonl", b'{"text": null, "label": "a"}\n', ":1", "'text' is empty", {}),
    "null split": (
        "a.parquet",
        parquet(text=["x"], label=["a"], part=pl.Series([None], dtype=pl.String)),
        ":1",
        "'part' is '', expected train",
        {"split_column": "part"},
    ),
    "fraction as label": ("a.jsonl", b'{"text":"x","label":0.5}\n', ":1", "found a number with a fraction", {}),
    "float label": ("a.parquet", parquet(text=["x"], label=[0.5]), ":1", "found a number with a fraction", {}),
    "object as label": ("a.jsonl", b'{"text":"x","label":{}}\n', ":1", "found a dict", {}),
    "label twice": ("a.csv", b"text,label\nx,a|a\n", ":2", "the label 'a' occurs twice", {"label_separator": "|"}),
    "list after single": (
        "a.jsonl",
        b'{"text":"x","label":"a"}\n{"text":"x","label":["a","b"]}\n',
        ":2",
        "a list of labels, but",
        {},
    ),
    "control character in a label": ("a.jsonl", b'{"text":"x","label":"a\\u001b[2J"}\n', ":1", "cannot be printed", {}),
    "endless label": ("a.csv", b"text,label\nx," + b"a" * 500 + b"\n", ":2", "the label is 500 characters long", {}),
    "NaN cell": ("a.csv", b"x1,x2,label\n1,2,a\n3,nan,b\n", ":3", "'x2' is nan: numbers must be finite", {}),
    "NaN in the first row": ("a.csv", b"x1,x2,label\nNaN,2,a\n", ":2", "'x1' is NaN: numbers must be finite", {}),
    "infinite cell": ("a.csv", b"x1,x2,label\n1,2,a\n3,-inf,b\n", ":3", "'x2' is -inf: numbers must be finite", {}),
    "too large for float32": (
        "a.csv",
        b"x1,x2,label\n1,2,a\n3,1e39,b\n",
        ":3",
        "'x2' is 1e39: numbers must be finite",
        {},
    ),
    "empty cell": ("a.csv", b"x1,x2,label\n1,2,a\n3,,b\n", ":3", "'x2' is empty, not a number", {}),
    "text among numbers": ("a.csv", b"x1,x2,label\n1,2,a\n3,abc,b\n", ":3", "'x2' is 'abc', not a number", {}),
    "grouped digits": ("a.csv", b"x1,x2,label\n1,2,a\n3,1_0,b\n", ":3", "'x2' is '1_0', not a number", {}),
    "a column of no number": ("a.csv", b"id,x1,label\nq,1,a\n", ":2", "'id' is 'q', not a number: set the column", {}),
    "null in parquet": ("a.parquet", parquet(x=[1.0, None], y=[1.0, 2.0], label=["a", "b"]), ":2", "'x' is empty", {}),
    "NaN in parquet": (
        "a.parquet",
        parquet(x=[1.0, float("nan")], y=[1.0, 2.0], label=["a", "b"]),
        ":2",
        "'x' is nan",
        {},
    ),
    "NaN in a list": (
        "a.parquet",
        parquet(x=[[1.0], [2.0, float("inf")]], label=["a", "b"]),
        ":2",
        "step 2 of 'x' is inf",
        {},
    ),
    "JSON NaN": ("a.jsonl", b'{"x":[1,NaN],"label":"a"}\n', ":1", "NaN is not a JSON value", {}),
    "JSON 1e999": (
        "a.jsonl",
        b'{"x":[1,1e999],"label":"a"}\n',
        ":1",
        "step 2 of 'x' is 1e999: numbers must be finite",
        {},
    ),
    "NaN in a list in CSV": (
        "a.csv",
        b'x,label\n"[1, NaN]",a\n',
        ":2",
        "step 2 of 'x' is NaN: numbers must be finite",
        {},
    ),
    "null in a list": ("a.jsonl", b'{"x":[1,null],"label":"a"}\n', ":1", "step 2 of 'x' is empty, not a number", {}),
    "true in a list": ("a.jsonl", b'{"x":[1,true],"label":"a"}\n', ":1", "step 2 of 'x' is 'True', not a number", {}),
    "empty list": ("a.jsonl", b'{"x":[],"label":"a"}\n', ":1", "'x' has no steps", {}),
    "ragged channels": (
        "a.jsonl",
        b'{"x":[[1,2],[3]],"label":"a"}\n',
        ":1",
        "step 2 of 'x' has 1 channel, the first one has 2",
        {},
    ),
    "ragged columns": ("a.jsonl", b'{"u":[1,2],"v":[3],"label":"a"}\n', ":1", "'v' has 1 step, 'u' has 2", {}),
    "other channels": (
        "a.jsonl",
        b'{"x":[[1,2]],"label":"a"}\n{"x":[[1]],"label":"b"}\n',
        ":2",
        "has 1 channel, the first one has 2",
        {},
    ),
    "list of texts": ("a.jsonl", b'{"x":["p","q"],"label":"a"}\n', ":1", "step 1 of 'x' is 'p', not a number", {}),
    "wrong range": (
        "a.csv",
        b"x1,x2,label\n1,2,a\n",
        ":2",
        "column range 'x2:x1' is reversed",
        {"source_column": "x2:x1"},
    ),
    "named twice": ("a.csv", b"x1,x2,label\n1,2,a\n", ":2", "a column is named twice", {"source_column": "x1,x1"}),
    "empty text": ("a.csv", b"text,label\nx,a\n ,b\n", ":3", "'text' is empty", {}),
    "number as text": (
        "a.jsonl",
        b'{"text":"x","label":"a"}\n{"text":7,"label":"a"}\n',
        ":2",
        "'text' must be a string",
        {},
    ),
    "short row": ("a.csv", b"text,label\nx\n", ":2", "expected 2 columns, found 1", {}),
    "header only": ("a.csv", b"text,label\n", "", "has a header but no rows", {}),
    "empty file": ("a.csv", b"", "", "is empty", {}),
    "invalid UTF-8": ("a.csv", b"text,label\nx,a\n\xff,b\n", ":3", "invalid UTF-8 at byte 1 (0xff)", {}),
    "broken parquet": ("a.parquet", b"PAR1 and no more", "", "broken parquet: ", {}),
    "bomb": ("a.csv.gz", gzip.compress(b"text,label\n" + b"a" * 20_000_000), "", "expands to more than 200 times", {}),
    "parquet bomb": (
        "a.parquet",
        parquet(text=["a" * 900] * 40_000, label=["b"] * 40_000),
        "",
        "expands to more than 200",
        {},
    ),
    "unknown suffix": ("a.xls", b"PK", "", "unknown format '.xls'", {}),
    "missing": ("a.csv", lambda path: None, "", "no such file", {}),
    "missing picture": ("a.csv", b"source,label\nphotos/7.png,a\n", ":2", "photos/7.png: no such file", {}),
    "picture of another suffix": (
        "a.csv",
        manifest(b"source,label\nmedia/a.png,a\nmedia/b.xyz,b\n", a_dot_png=png, b_dot_xyz=b"?"),
        ":3",
        "media/b.xyz: unknown kind of file '.xyz'",
        {},
    ),
    "broken picture": (
        "a.csv",
        manifest(b"source,label\nmedia/a.png,a\nmedia/b.png,b\n", a_dot_png=png, b_dot_png=b"\x89PNG\r\n\x1a\n"),
        ":3",
        "b.png: ",
        {},
    ),
    "picture bomb": (
        "a.csv",
        manifest(b"source,label\nmedia/a.png,a\nmedia/b.png,b\n", a_dot_png=png, b_dot_png=png_bomb),
        ":3",
        "has too many pixels",
        {},
    ),
    "pictures of two sizes": (
        "a.csv",
        manifest(b"source,label\nmedia/a.png,a\nmedia/b.png,b\n", a_dot_png=png, b_dot_png=lambda p: png(p, 5)),
        ":3",
        "the picture has 5 x 4 pixels, the first one has 4 x 4: make them alike by --picture.height=4",
        {},
    ),
    "broken sound": (
        "a.csv",
        manifest(b"source,label\nmedia/a.wav,a\n", a_dot_wav=b"RIFF\0\0\0\0WAVE"),
        ":2",
        "a.wav: ",
        {},
    ),
    "empty folder": ("d", folder(), "", "is an empty folder", {}),
    "file beside the classes": (
        "d",
        folder(a__1_dot_txt=b"x", b_dot_txt=b"y"),
        "/b.txt",
        "unexpected file next to the class folders",
        {},
    ),
    "empty class": ("d", folder(a__1_dot_txt=b"x", b=lambda p: p.mkdir()), "/b", "is an empty folder", {}),
    "parts as folders": (
        "d",
        folder(test__a__1_dot_txt=b"x", train__a__1_dot_txt=b"y"),
        "/test/a",
        "if the parts are folders",
        {},
    ),
    "two kinds of files": ("d", folder(a__1_dot_txt=b"x", b__1_dot_png=png), "/b/1.png", "is image, but", {}),
    "other files": ("d", folder(a__1_dot_pdf=b"x"), "/a/1.pdf", "unknown kind of file '.pdf'", {}),
    "one class folder": (
        "d",
        folder(a__1_dot_txt=b"x", a__2_dot_txt=b"y", a__3_dot_txt=b"z"),
        "",
        "only one class, 'a'",
        {},
    ),
    "empty text file": ("d", folder(a__1_dot_txt=b"x", b__1_dot_txt=b""), "/b/1.txt", "is empty", {}),
    "text file of bytes": ("d", folder(a__1_dot_txt=b"x", b__1_dot_txt=b"ok\n\xff"), "/b/1.txt:2", "invalid UTF-8", {}),
}
