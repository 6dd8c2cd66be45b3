"""Answers from an exported model: needs Python, numpy and onnxruntime, and the files beside this one.

    python run.py < inputs.txt      a line for each line: a translation, a continuation, a label with its probability
    python run.py series.csv [NAME] the next steps of a table of numbers, or of one of its series, as a table

A line is a text; for a model of series comma-separated numbers or a JSON list of rows; for one of sounds or pictures
the path of an .npy file with samples (T,) or pixels (C, H, W); several sources of one item are separated by tabs.
`ExportedModel` answers from Python. `export.json` describes the graphs, the state among them.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import unicodedata
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent
ROWS = 32  # answered together
SPECIALS = 4  # of a vocabulary: padding, start, end, unknown
NEW_TOKENS = 200  # of a continuation, at most
HOLES = ("", "nan", "na", "n/a", "null", "none", "-")  # cells without a number
CONTRACTION = re.compile("'(?:s|t|re|ve|m|ll|d)")
PIECE = re.compile("_?L+|_?N+|_?O+|[_S]+(?![LNO])|[_S]+")  # over kinds of characters, see `kind_of`
WORD = re.compile("W+|O+")
CIRCLED = re.compile("[\u24b6-\u24e9\U0001f130-\U0001f149\U0001f150-\U0001f169\U0001f170-\U0001f189]")  # letters too


def kind_of(character: str) -> str:
    """L letter, N number, _ space, S other white space, O anything else."""
    if character == " ":
        return "_"
    if character.isspace() and character not in "\x1c\x1d\x1e\x1f":
        return "S"
    return {"L": "L", "N": "N"}.get(unicodedata.category(character)[0], "O")


def word_kind_of(character: str) -> str:
    """W part of a word, S white space, O anything else."""
    category = unicodedata.category(character)
    if category[0] in "LM" or category in ("Nd", "Nl", "Pc") or character in "\u200c\u200d" or CIRCLED.match(character):
        return "W"
    return "S" if kind_of(character) in "_S" else "O"


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, and of other characters but white space."""
    return [text[m.start() : m.end()] for m in WORD.finditer("".join(map(word_kind_of, text)))]


def pieces_of(text: str) -> list[str]:
    """GPT-2's pieces: words and numbers with the space before them, runs of signs, white space."""
    kinds, pieces, at = "".join(map(kind_of, text)), [], 0
    while at < len(text):
        match = CONTRACTION.match(text, at) or PIECE.match(kinds, at)
        end = match.end() if match else at + 1
        pieces.append(text[at:end])
        at = end
    return pieces


def byte_symbols() -> list[str]:
    """GPT-2's character for each byte: itself where it can be printed, or one from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


class RunnerVocabulary:
    """Text to the numbers that a model reads, and back; `stored` is from tokenizer.json."""

    def __init__(self, stored: dict[str, Any]) -> None:
        self.kind = stored["kind"]
        self.lowercase = bool(stored.get("lowercase"))
        inner = stored.get("tokenizer") or {}
        self.lower_letters = inner.get("normalizer") is not None  # of version 0.1.0
        model = inner.get("model") or {}
        self.symbols = byte_symbols()
        self.scores: dict[str, float] = dict(model["vocab"]) if self.kind == "unigram" else {}
        if self.kind == "byte":
            tokens = ["<pad>", "<s>", "</s>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
            self.ids = {token: i for i, token in enumerate(tokens)}
        elif self.kind == "unigram":
            self.ids = {token: i for i, (token, _) in enumerate(model["vocab"])}
        else:
            self.ids = dict(model.get("vocab", {}))
        self.tokens = {i: token for token, i in self.ids.items()}
        merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in model.get("merges", [])]
        self.ranks = {tuple(merge): rank for rank, merge in enumerate(merges)}
        self.known: dict[str, list[int]] = {}

    def encode(self, text: str) -> np.ndarray:
        """Ids (T,), or for a model that reads words by their letters (T, 32)."""
        text = text.lower() if self.lowercase else text
        text = "".join(map(str.lower, text)) if self.lower_letters else text
        if self.kind == "letters":
            return np.array([self._letters(word) for word in words_of(text)], np.int64).reshape(-1, 32)
        if self.kind == "word":
            return np.array([self.ids.get(word, 1) for word in words_of(text)], np.int64)
        if self.kind == "byte":
            return np.frombuffer(text.encode(), np.uint8).astype(np.int64) + SPECIALS
        if self.kind == "char":
            return np.array([i for character in text for i in self._character(character)], np.int64)
        return np.array([i for piece in pieces_of(text) for i in self._subwords(piece)], np.int64)

    def decode(self, ids: list[int], running: bool = False) -> str:
        """The text of ids; U+FFFD for bytes that are no character, and for all beside them but in a running text."""
        tokens = [self.tokens[i] for i in ids if i >= SPECIALS]
        if self.kind in ("bpe", "unigram"):
            byte_of = {symbol: byte for byte, symbol in enumerate(self.symbols)}
            return bytes(byte_of[symbol] for token in tokens for symbol in token).decode("utf-8", "replace")
        runs = []
        for characters, run in groupby(tokens, lambda token: len(token) == 1):
            if characters:
                runs.append("".join(run).encode())
                continue
            raw = bytes(int(token[3:5], 16) for token in run)
            try:
                raw.decode()
            except UnicodeDecodeError:
                raw = raw if running else ("\ufffd" * len(raw)).encode()
            runs.append(raw)
        return b"".join(runs).decode("utf-8", "replace")

    def _character(self, character: str) -> list[int]:
        if character in self.ids:
            return [self.ids[character]]
        return [self.ids[f"<0x{byte:02X}>"] for byte in character.encode()]

    def _letters(self, word: str) -> list[int]:
        letters = [257, *(byte + 1 for byte in word.encode()[:30]), 258]
        return letters + [0] * (32 - len(letters))

    def _subwords(self, piece: str) -> list[int]:
        if piece not in self.known:
            spelled = "".join(self.symbols[byte] for byte in piece.encode())
            self.known[piece] = [self.ids[part] for part in (self._best if self.scores else self._merged)(spelled)]
        return self.known[piece]

    def _merged(self, spelled: str) -> list[str]:
        """Byte-pair encoding: the earliest learned pair is joined, again and again."""
        parts, never = list(spelled), len(self.ranks)
        while len(parts) > 1:
            ranks = [self.ranks.get(pair, never) for pair in pairwise(parts)]
            at = min(range(len(ranks)), key=ranks.__getitem__)
            if ranks[at] == never:
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return parts

    def _best(self, spelled: str) -> list[str]:
        """The unigram model's most likely division."""
        longest = max(map(len, self.scores))
        best: list[tuple[float, int]] = [(0.0, 0)]
        for end in range(1, len(spelled) + 1):
            starts = range(max(0, end - longest), end)
            known = [(best[s][0] + self.scores[spelled[s:end]], s) for s in starts if spelled[s:end] in self.scores]
            best.append(max(known, key=lambda one: one[0]))
        parts, end = [], len(spelled)
        while end:
            start = best[end][1]
            parts.append(spelled[start:end])
            end = start
        return parts[::-1]


class ExportedModel:
    """An exported model; `form` is that of export.json."""

    def __init__(self, directory: Path = HERE) -> None:
        self.directory = directory
        self.facts = json.loads((directory / "export.json").read_text(encoding="utf-8"))
        self.form: str = self.facts["form"]
        vocabularies = self.facts.get("vocabularies") or {}
        self.source, self.target = (
            RunnerVocabulary(vocabularies[side]) if vocabularies.get(side) else None for side in ("source", "target")
        )
        self.graphs = {name: self._session(graph["file"]) for name, graph in self.facts["graphs"].items()}

    def answer(self, lines: list[str]) -> list[str]:
        """An answer for each line; those of similar length are computed together."""
        if self.form == "decoder":
            return [self.continuation(line) for line in lines]
        items = [self.read(line) for line in lines]
        answers = [""] * len(items)
        order = sorted((row for row, item in enumerate(items) if all(map(len, item))), key=lambda r: len(items[r][0]))
        for first in range(0, len(order), ROWS):
            rows = order[first : first + ROWS]
            inputs = self.batch([items[row] for row in rows])
            texts = self.texts(inputs) if self.form == "encoder-decoder" else self.labels(inputs)
            for row, text in zip(rows, texts):
                answers[row] = text
        return answers

    def read(self, line: str) -> list[np.ndarray]:
        """The arrays of one item, one for each of its sources."""
        sources = self.facts["sources"]
        cells = line.split("\t") if len(sources) > 1 else [line]
        if len(cells) != len(sources):
            raise SystemExit(f"expected {len(sources)} sources separated by tabs, found {len(cells)}: {line[:80]!r}")
        return [self._read(source, cell) for source, cell in zip(sources, cells)]

    def _read(self, source: dict[str, Any], cell: str) -> np.ndarray:
        if source["kind"] in ("tokens", "words"):
            if self.source is None:
                raise SystemExit("export.json has no vocabulary of sources")
            return self.source.encode(cell)[: source.get("longest")]
        if source["kind"] != "series":
            return np.load(cell, allow_pickle=False).astype(source["dtype"])
        values = json.loads(cell) if cell.lstrip()[:1] == "[" else [[float(x)] for x in cell.split(",")]
        series = np.array(values, np.float64)
        series = series[:, None] if series.ndim == 1 else series
        if source.get("scaling"):
            series = (series - np.array(source["scaling"]["mean"])) / np.array(source["scaling"]["deviation"])
        return series.astype(np.float32)[: source.get("longest")]

    def batch(self, items: list[list[np.ndarray]]) -> dict[str, np.ndarray]:
        """The inputs of a graph for some items, padded on the right."""
        inputs = {}
        for source, arrays in zip(self.facts["sources"], zip(*items)):
            if source["mask"] is None:
                inputs[source["input"]] = np.stack(arrays)
                continue
            longest = max(map(len, arrays))
            longest += -longest % source.get("multiple", 1)
            values = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), arrays[0].dtype)
            mask = np.zeros((len(arrays), longest), bool)
            for row, array in enumerate(arrays):
                values[row, : len(array)], mask[row, : len(array)] = array, True
            inputs |= {source["input"]: values, source["mask"]: mask}
        return inputs

    def texts(self, inputs: dict[str, np.ndarray]) -> list[str]:
        """The most likely token at every step, until a row ends."""
        state = self._run("encoder", inputs)
        rows, limit = len(next(iter(inputs.values()))), self.facts["longest_output"]
        tokens, written = np.full(rows, self.facts["tokens"]["start"]), [[] for _ in range(rows)]
        live = np.ones(rows, bool)
        for _ in range(limit):
            tokens, state = self.step(tokens, state)
            live &= tokens != self.facts["tokens"]["end"]
            for row in np.flatnonzero(live):
                written[row].append(int(tokens[row]))
            if not live.any():
                break
        return [self._decoded(ids) for ids in written]

    def step(self, tokens: np.ndarray, state: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The next tokens (B,) after tokens (B,), and the next state."""
        logits, state = self.read_tokens(tokens, state)
        return self.chosen(logits), state

    def read_tokens(self, tokens: np.ndarray, state: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Logits of what follows, and the next state: a tensor that a step does not change stays as it is."""
        outputs = self._run("decoder", {"tokens": tokens.astype(np.int64), **state})
        after = {f"state.{name[5:]}": value for name, value in outputs.items() if name.startswith("next.")}
        return outputs["logits"], {**state, **after}

    def chosen(self, logits: np.ndarray) -> np.ndarray:
        """The most likely permitted token of each row; of equal ones the lowest."""
        logits = logits.copy()
        logits[:, self.facts["tokens"]["banned"]] = -np.inf
        return logits.argmax(1)

    def continuation(self, prompt: str, most: int = NEW_TOKENS) -> str:
        """The continuation of a text by the model, up to its end or `most` tokens."""
        if self.source is None:
            raise SystemExit("export.json has no vocabulary")
        with np.load(self.directory / "initial_state.npz") as stored:
            state = {name: stored[name] for name in stored.files}
        ids, written = [self.facts["tokens"]["start"], *self.source.encode(prompt).tolist()], []
        if not self.facts["any_length"]:
            for token in ids[:-1]:
                _, state = self.read_tokens(np.array([[token]]), state)
            ids = ids[-1:]
        logits, state = self.read_tokens(np.array([ids]), state)
        while len(written) < most:
            token = int(self.chosen(logits[:, -1])[0])
            if token == self.facts["tokens"]["end"]:
                break
            written.append(token)
            logits, state = self.read_tokens(np.array([[token]]), state)
        return self.source.decode(written, running=True)

    def labels(self, inputs: dict[str, np.ndarray]) -> list[str]:
        """A label and its probability, or `a|b` and theirs where an item may have any number of them."""
        logits = self._run("classifier", inputs)["logits"].astype(np.float64)
        classes, answers = self.facts["classes"], []
        for row in logits:
            if self.facts["many"]:
                chances, places = 1.0 / (1.0 + np.exp(-row)), np.flatnonzero(row >= 0)
            else:
                chances, places = np.exp(row - row.max()), [int(row.argmax())]
                chances = chances / chances.sum()
            names, shares = "|".join(classes[i] for i in places), "|".join(f"{chances[i]:.4f}" for i in places)
            answers.append(f"{names}\t{shares}")
        return answers

    def forecast(self, table: Path, series: str = "") -> list[list[Any]]:
        """The next steps of a table of numbers: a header, then a row for each step with a value for each column.

        A row is a step. The last rows, whose targets are empty, are the future, for which covariates are known. Of a
        table with the column of series only those of `series` are read. It has the scale of the series of that name in
        training, any other that of its last steps.
        """
        (numbers, series), about = self._columns(table, series), self.facts["forecast"]
        end = 1 + int(max(np.flatnonzero(np.isfinite([numbers[x] for x in about["targets"]]).any(0)), default=-1))
        begin = end - about["lookback"]
        if begin < 0:
            raise SystemExit(f"{table}: has {end} steps with values, the model reads {about['lookback']}")

        def columns(names: list[str], last: int) -> np.ndarray:
            read = np.stack([numbers[name][begin:last] for name in names], 1)
            if len(read) < last - begin or not np.isfinite(read).all():
                raise SystemExit(f"{table}: {', '.join(names)}: the steps {begin + 1} to {last} need a number each")
            return read

        values = columns(about["targets"], end)
        center, spread = self._scale(values, series)
        inputs = {"values": ((values - center) / spread)[None].astype(np.float32)}
        for name, last in (("past", end), ("known", end + about["horizon"])):
            if (of := about[name])["columns"]:
                scaled = (columns(of["columns"], last) - np.array(of["center"])) / np.array(of["spread"])
                inputs[name] = scaled[None].astype(np.float32)
        y = self._run("forecaster", inputs)["forecast"][0].astype(np.float64)  # (H, C, Q)
        y = y * spread[None, :, None] + center[None, :, None]
        levels = about["levels"]
        names = [f"{t}_q{level:g}" if levels else t for t in about["targets"] for level in levels or [0.5]]
        return [["step", *names], *([step + 1, *of_step.ravel().tolist()] for step, of_step in enumerate(y))]

    def _columns(self, table: Path, series: str) -> tuple[dict[str, np.ndarray], str]:
        """The numbers (T,) of a series by column, NaN where there is none; and its name, which the only one has."""
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        about = self.facts["forecast"]
        names = (*about["targets"], *about["past"]["columns"], *about["known"]["columns"])
        if absent := [name for name in names if not rows or name not in rows[0]]:
            raise SystemExit(f"{table}: no rows with a column {absent[0]!r}, separated by commas")
        if (column := about.get("series_column")) in rows[0]:
            known = list(dict.fromkeys(row[column] for row in rows))
            series = series or known[0] * (len(known) == 1)
            if series not in known:
                raise SystemExit(f"{table}: choose a series: run.py {table.name} NAME, one of {', '.join(known[:9])}")
            rows = [row for row in rows if row[column] == series]
        cells = {name: [(row[name] or "").strip().lower() for row in rows] for name in names}
        numbers = {name: np.array([float("nan" if x in HOLES else x) for x in of]) for name, of in cells.items()}
        return {name: np.where(np.isin(x, about.get("missing", ())), np.nan, x) for name, x in numbers.items()}, series

    def _scale(self, values: np.ndarray, series: str) -> tuple[np.ndarray, np.ndarray]:
        about = self.facts["forecast"]
        if series in about["series"]:
            place = about["series"].index(series)
            return np.array(about["center"][place]), np.array(about["spread"][place])
        if about["scale"] == "none":
            return np.zeros(values.shape[1]), np.ones(values.shape[1])
        spread = values.std(0)
        return values.mean(0), np.where(spread > 1e-12 * np.abs(values).max(0), spread, 1.0)

    def _decoded(self, ids: list[int]) -> str:
        if self.target is None:
            raise SystemExit("export.json has no vocabulary of outputs")
        return self.target.decode(ids)

    def _run(self, graph: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        session = self.graphs[graph]
        known = {one.name for one in session.get_inputs()}
        outputs = [one.name for one in session.get_outputs()]
        return dict(zip(outputs, session.run(outputs, {name: x for name, x in inputs.items() if name in known})))

    def _session(self, file: str) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(self.directory / file, options, providers=["CPUExecutionProvider"])


def main(arguments: list[str]) -> None:
    """Answer the lines of the standard input, or of a file; a forecaster reads a table."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return
    model = ExportedModel()
    if model.form == "forecaster":
        if not arguments:
            raise SystemExit("expected a table: python run.py series.csv [NAME]")
        csv.writer(sys.stdout, lineterminator="\n").writerows(model.forecast(Path(arguments[0]), *arguments[1:2]))
        return
    text = Path(arguments[0]).read_text(encoding="utf-8") if arguments else sys.stdin.read()
    for answer in model.answer(text.removesuffix("\n").split("\n") if text else []):
        print(answer)


if __name__ == "__main__":
    main(sys.argv[1:])
