"""Random changes to real files: every reader answers with items or with one line, never with a traceback.

    python benchmarks/verify_readers.py --minutes 60
    python benchmarks/verify_readers.py --minutes 1 --only translation --seed 7
    python benchmarks/verify_readers.py --cpu-minutes 60

`--cpu-minutes` counts the time of the processor that this process and its children take, not that of a clock.

Two kinds of rounds take turns. *Changed files*: a file of `tests/formats/files`, with a few bytes flipped, cut out,
repeated, taken from another file, or replaced by bytes with a meaning in some format, is read with and without
`skip_bad`. Allowed are items, or an error that names a file and comes within ten seconds.
*Written tables*: a table of random cells, some of them empty, is written in each format by a library that is not ours,
and read with `skip_bad`: the items are the rows, those left out are counted. Exit status 5 where that did not hold;
the files of each failure are kept in `--keep`, by seed.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

sys.path.insert(0, str(Path(__file__).parent.parent))
from record import measured, write
from sightline.core.errors import CheckFailed, SightlineError
from sightline.data.pairs.corpus import read
from tests.formats.cases import FILES, Case, all_cases
from tests.formats.reading import ITEMS, run_of

RESULTS = Path(__file__).parent / "results" / "readers.json"
LONGEST_S = 10
TOKENS = [
    b'"', b"\t", b"\n", b"\r\n", b"\r", b";", b",", b"\0", b"\x1a", b"\xef\xbb\xbf", b"\xff\xfe", b"\xff",
    b"\\N", b"\\", b"NaN", b"1e999", b"-9999", b"null", b"[]", b"{}", b"[[", b"sep=;", b"@data", b"#", b" ",
    b"\xc3", b"\xed\xa0\x80", b"2024-02-30", b"20240101", b"9" * 40, b"source", b"target", b"text,label",
    b"<!--", b"&amp;", b"]]>", b"\x00" * 8, b"\xff" * 4, b"\x7f\xff\xff\xff", b"PAR1", b"RIFF",
]  # fmt: skip
CELLS = [
    "a",
    "b c",
    'say "no"',
    "é",
    "日本",
    "1,5",
    "a;b",
    "a\\b",
    "x\ty",
    "'",
    "#",
    "NaN",
    "null",
    "-1",
    "1e5",
    "😀",
    "0",
    "\u2028",
]


class TooSlow(BaseException):
    """A reader took longer than it may."""


def changed(content: bytes, others: list[bytes], random: random.Random) -> bytes:
    """The bytes with one to six random changes."""
    whole = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        at = random.randrange(len(whole) + 1)
        length = random.choice((1, 2, 8, 40, 400))
        part, other = whole[at : at + length], random.choice(others)
        start = random.randrange(len(other) + 1)
        match random.randrange(6):
            case 0 if part:
                whole[at] ^= 1 << random.randrange(8)
            case 1:
                del whole[at : at + length]
            case 2:
                whole[at:at] = part * random.choice((1, 2, 30))
            case 3:
                whole[at:at] = other[start : start + length]
            case 4:
                whole[at : at + random.choice((0, length))] = random.choice(TOKENS)
            case _:
                del whole[at if random.random() < 0.2 else len(whole) :]
    return bytes(whole)


def timed_out(*_: Any) -> None:
    raise TooSlow


def outcome(action: Callable[[], Any]) -> tuple[str, str]:
    """Whether items were read, the file was refused, or the reader failed; with the line or the traceback."""
    signal.setitimer(signal.ITIMER_PROF, LONGEST_S)  # of the processor: other work does not count
    try:
        action()
    except SightlineError as error:
        line = str(error)  # the command prints it as one printable line
        named = re.search(r"\.\w+", line) or str(getattr(error, "where", "")).startswith("--")
        return ("refused", line) if named and len(line) < 2000 else ("failed", f"names no file: {line!r}")
    except TooSlow:
        return "failed", f"longer than {LONGEST_S} s"
    except Exception:
        return "failed", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "read", ""


def change_a_file(cases: list[Case], random: random.Random, folder: Path) -> tuple[str, str, str]:
    """One changed file, read; returns the reader, the outcome and its text."""
    case = random.choice(cases)
    shutil.copytree(FILES / case.tool, folder, dirs_exist_ok=True)
    files = [path for path in folder.rglob("*") if path.is_file()]
    named = [path for path in files if path.name in case.file.split(",")] or files
    path = random.choice(named if random.random() < 0.9 else files)
    path.write_bytes(changed(path.read_bytes(), [file.read_bytes() for file in files], random))
    run = run_of(case, folder)
    if random.random() < 0.5 and "skip_bad" in run.data_keys:
        run = run.changed(skip_bad=True)
    result, text = outcome(lambda: ITEMS[case.task](run))
    return f"{case.task} {Path(case.file).suffix or 'folder'}", result, f"{case.id}\n{text}"


def written(columns: dict[str, list[str]], suffix: str, path: Path) -> None:
    """The table in a file, written by polars or by Python's own csv and json."""
    frame = pl.DataFrame(columns)
    rows = list(zip(*columns.values(), strict=True))
    if suffix in (".csv", ".tsv"):
        text = io.StringIO()
        writer = csv.writer(text, dialect="excel-tab" if suffix == ".tsv" else "excel")
        writer.writerows([list(columns), *rows])
        path.write_text(text.getvalue(), encoding="utf-8", newline="")
    elif suffix == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows))
    else:
        frame.write_parquet(path)


def write_a_table(random: random.Random, folder: Path) -> tuple[str, str, str]:
    """One written table, read; returns the reader, the outcome and its text."""
    suffix = random.choice((".csv", ".tsv", ".jsonl", ".parquet"))
    rows = random.choice((1, 2, 5, 50))
    cells = [[" ".join(random.choices(CELLS, k=random.choice((1, 1, 2, 4)))) for _ in range(rows)] for _ in range(2)]
    for row in range(1, rows):
        if random.random() < 0.1:
            cells[random.randrange(2)][row] = ""
    good = [row for row in zip(*cells, strict=True) if all(map(str.strip, row))]
    path = folder / f"table{suffix}"

    def read_back() -> None:
        written({"source": cells[0], "target": cells[1]}, suffix, path)
        table = read(path, skip_bad=True)
        items = list(zip(*table.pairs.sides, strict=True))
        if items != good or table.skipped != rows - len(good):
            raise ValueError(f"{rows} rows, {len(good)} good: {len(items)} items, {table.notes()}: {cells} {items}")

    result, text = outcome(read_back)
    return f"written {suffix}", "failed" if result == "refused" and good else result, text


def cpu_s() -> float:
    """Seconds of the processor that this process and its children have taken."""
    used = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    """Run rounds until the time is over, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lengths = parser.add_mutually_exclusive_group()
    lengths.add_argument("--minutes", type=float, default=60.0)
    lengths.add_argument("--cpu-minutes", type=float, help="minutes of the processor, children included")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="only the cases whose name contains this")
    parser.add_argument("--keep", type=Path, default=Path("failures"), help="where the files of failures go")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    signal.signal(signal.SIGPROF, timed_out)
    cases = [case for case in all_cases() if options.only in case.id]
    counts: Counter[tuple[str, str]] = Counter()
    clock = time.monotonic if options.cpu_minutes is None else cpu_s
    minutes = options.minutes if options.cpu_minutes is None else options.cpu_minutes
    began, began_cpu_s, number = clock(), cpu_s(), options.seed
    while clock() - began < 60 * minutes:
        drawn = random.Random(number)
        with tempfile.TemporaryDirectory() as name:
            table = not cases or (number % 4 == 0 and not options.only)
            args = (drawn, Path(name))
            reader, result, text = write_a_table(*args) if table else change_a_file(cases, *args)
            if result == "failed":
                print(f"seed {number}: {reader}: {text}", file=sys.stderr)
                shutil.copytree(name, options.keep / str(number), dirs_exist_ok=True)
        counts[reader, result] += 1
        number += 1
    readers = sorted({reader for reader, _ in counts})
    results = [
        {"reader": reader, **{result: counts[reader, result] for result in ("read", "refused", "failed")}}
        for reader in readers
    ]
    for row in results:
        print("  ".join(f"{value:>9}" if isinstance(value, int) else f"{value:<24}" for value in row.values()))
    write(
        options.out,
        {
            "minutes": None if options.cpu_minutes else minutes,
            "cpu_minutes": round((cpu_s() - began_cpu_s) / 60, 2),
            "seeds": [options.seed, number],
            "results": results,
            "environment": measured(),
        },
    )
    if any(row["failed"] for row in results):
        raise SystemExit(CheckFailed.exit_code)


if __name__ == "__main__":
    main()
