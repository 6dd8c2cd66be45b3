"""Running text to arrays of token ids, with the bytes of each token.

Bits per byte need the exact number of bytes behind a loss over tokens, and text that appears while it is generated
needs bytes, as one character may take several tokens.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, SupportsIndex, final

import numpy as np

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.files import write_file
from sightline.data.text.part import TextPart
from sightline.data.tokens.tokenizer import SPECIALS, Tokenizer, naming_texts, read_tokenizer_file

TextKind = Literal["byte", "char", "bpe", "unigram"]
_BYTES = 256


@final
class TextTokenizer:
    """Token ids of running text; ids 0 to 3 are PAD, BOS, EOS and UNK and never come from a text.

    `byte` has a token for each of the 256 bytes and learns nothing; the others are those of `Tokenizer`.
    """

    PAD, BOS, EOS, UNK = Tokenizer.PAD, Tokenizer.BOS, Tokenizer.EOS, Tokenizer.UNK

    def __init__(self, inner: Tokenizer | None, note: str = "") -> None:
        self.inner = inner
        self.note = note  # the description of its training data
        self.kind: TextKind = "byte" if inner is None else inner.kind
        self.size = len(SPECIALS) + _BYTES if inner is None else inner.size
        if inner is None:
            self.raw = [b""] * len(SPECIALS) + [bytes([byte]) for byte in range(_BYTES)]
        else:
            self.raw = [inner.raw(index) for index in range(inner.size)]
        self.bytes_of = np.array([len(raw) for raw in self.raw], dtype=np.int64)  # of each token
        self._characters = self._table()

    @property
    def lowercase(self) -> bool:
        """Whether text is lower-cased before it is encoded."""
        return self.inner is not None and self.inner.lowercase

    @classmethod
    def train(
        cls, part: TextPart, kind: str = "byte", size: int = 8000, lowercase: bool = False, sample_bytes: int = 1 << 24
    ) -> TextTokenizer:
        """Learns a vocabulary of at most `size` tokens from at most about `sample_bytes` of a part, evenly spaced.

        Raises:
            InputError: "unknown tokenizer kind 'word'; choose byte, char, bpe or unigram", and those of `Tokenizer`.
        """
        if kind not in ("byte", "char", "bpe", "unigram"):
            raise InputError(f"unknown tokenizer kind {kind!r}; choose byte, char, bpe or unigram", where="tokenizer")
        if kind == "byte":
            if lowercase:
                raise InputError("bytes have no case: choose char, bpe or unigram", where="tokenizer.lowercase")
            return cls(None)
        read_bytes = 0

        def texts() -> Iterator[str]:
            nonlocal read_bytes
            for fragment in part.fragments(part.sample(sample_bytes), sample_bytes):
                read_bytes += len(fragment.text.encode())
                yield fragment.text

        inner = Tokenizer.train(texts(), kind, size, lowercase)
        return cls(inner, f"learned from {read_bytes:,} of {number_of(part.size, 'byte')} of the {part.name} part")

    def encode(self, text: str) -> np.ndarray:
        """The ids (N,) int32 of a text, without special tokens.

        Raises:
            InputError: "text 1 contains an unpaired surrogate and cannot be encoded as UTF-8".
        """
        with naming_texts([text]):
            if self.inner is None:
                return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32) + len(SPECIALS)
            if self._characters is not None:
                ids = self._characters[np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)]
                if (ids >= 0).all():
                    return ids
        return np.array(self.inner.encode(text), dtype=np.int32)

    def decode(self, ids: Iterable[SupportsIndex]) -> str:
        """The text of ids; special tokens are skipped, bytes that are not UTF-8 become U+FFFD."""
        return b"".join(self.raw[index] for index in ids).decode("utf-8", "replace")

    def decoder(self) -> Appearing:
        """A decoder for tokens that come one by one, which gives whole characters."""
        return Appearing(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types from which `from_dict` makes an equal tokenizer."""
        if self.inner is None:
            return {"format": 1, "kind": "byte", "note": self.note}
        return {"format": 1, "note": self.note, **self.inner.to_dict()}

    @classmethod
    def from_dict(cls, mapping: object, *, where: object = "tokenizer") -> TextTokenizer:
        """The tokenizer that `to_dict` described.

        Raises:
            InputError: "tokenizer: not a tokenizer file of format 1", or what `Tokenizer.from_dict` raises.
        """
        if not isinstance(mapping, dict) or mapping.get("format") != 1:
            raise InputError("not a tokenizer file of format 1", where=where)
        note = mapping.get("note", "")
        if not isinstance(note, str):
            raise InputError("not a tokenizer: its note is not text", where=where)
        if mapping.get("kind") == "byte":
            return cls(None, note)
        inner = Tokenizer.from_dict(mapping, where=where)
        try:
            return cls(inner, note)
        except (ValueError, KeyError) as error:
            raise InputError(f"not a sightline tokenizer: it spells a token {error}", where=where) from None

    def save(self, path: Path) -> None:
        """Writes the tokenizer as JSON."""
        write_file(path, json.dumps(self.to_dict(), ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> TextTokenizer:
        """Reads the file of `save`.

        Raises:
            InputError: "tokenizer.json: no such file", "tokenizer.json: not a tokenizer file of format 1", …
        """
        return cls.from_dict(read_tokenizer_file(path), where=path)

    def _table(self) -> np.ndarray | None:
        """The id of each code point, -1 = spelled in bytes: for characters ten times as fast as the library."""
        if self.inner is None or self.inner.kind != "char" or self.lowercase:
            return None
        table = np.full(0x110000, -1, dtype=np.int32)
        spelled = {f"<0x{byte:02X}>" for byte in range(_BYTES)}
        for index in range(len(SPECIALS), self.size):
            piece = self.raw[index]
            if self.inner.token(index) not in spelled:
                table[ord(piece.decode())] = index
        return table


@final
class Appearing:
    """Text whose tokens come one by one: a character appears once its last byte has come."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._raw = tokenizer.raw
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The characters that `token` completes."""
        return self._decoder.decode(self._raw[token])

    def end(self) -> str:
        """The rest: U+FFFD for an incomplete character."""
        return self._decoder.decode(b"", True)
