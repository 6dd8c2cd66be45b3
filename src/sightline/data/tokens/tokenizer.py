"""Text to token ids and back, without loss for any Unicode text.

Three kinds, all backed by the `tokenizers` library:

- `char`: one token per character seen in training; any other character is spelled as its UTF-8 bytes.
- `bpe`: byte-pair encoding over bytes (Sennrich et al. 2016, arXiv:1508.07909; bytes as in GPT-2).
- `unigram`: unigram language model over bytes (Kudo 2018, arXiv:1804.10959).

The special tokens live in the vocabulary only and are not registered with the library as "added tokens": the text `<s>`
is three ordinary characters, never token 1.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final, get_args

from sightline.core.errors import InputError, one_line
from sightline.core.files import write_file
from sightline.data.rows.files import check_file

if TYPE_CHECKING:
    import tokenizers

TokenizerKind = Literal["char", "bpe", "unigram"]
SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
SMALLEST = len(SPECIALS) + len(_BYTES)  # tokens of any vocabulary
# Components that a file may name: none of them has a pattern that could take exponential time.
_PARTS = {"Lowercase", "ByteLevel", "Sequence", "ByteFallback", "Fuse"}
_CHUNK = 10_000  # texts handed to the library at once: bounds the memory that its offset tables take


def byte_pairs_for(characters: int, per_token: int) -> int:
    """The size of a vocabulary of byte pairs with a token for each `per_token` characters of texts; 0 for too few."""
    size = characters // per_token
    return size if size > SMALLEST else 0


@final
class Tokenizer:
    """Token ids of one language.

    `decode(encode(text)) == text` for every text (lower-cased first with `lowercase`). Ids 0 to 3 are `PAD`, `BOS`,
    `EOS` and `UNK`; `encode` never produces them.

    lowercase: whether texts are lower-cased before they are encoded
    """

    PAD: ClassVar[int] = 0
    BOS: ClassVar[int] = 1
    EOS: ClassVar[int] = 2
    UNK: ClassVar[int] = 3

    def __init__(self, backend: tokenizers.Tokenizer, kind: TokenizerKind, lowercase: bool = False) -> None:
        if tuple(backend.id_to_token(i) for i in range(len(SPECIALS))) != SPECIALS:
            raise InputError(f"the first tokens of a vocabulary must be {' '.join(SPECIALS)}")
        self._backend = backend
        self.kind: TokenizerKind = kind
        self.size: int = backend.get_vocab_size()
        # `str.lower` sees the whole text: a capital sigma at the end of a word becomes ς. The library's normalizer, all
        # that a file of version 0.1.0 names, sees one letter at a time and makes it σ.
        self.lower_first = lowercase

    @classmethod
    def train(cls, texts: Iterable[str], kind: str = "char", size: int = 8000, lowercase: bool = False) -> Tokenizer:
        """Learn a vocabulary of at most `size` tokens (special tokens and the 256 bytes included) from `texts`.

        Raises:
            InputError: "unknown tokenizer kind 'word'; choose char, bpe or unigram", or "a vocabulary needs at least
                260 tokens (special tokens and bytes), found size 100".
        """
        if kind not in ("char", "bpe", "unigram"):
            raise InputError(f"unknown tokenizer kind {kind!r}; choose char, bpe or unigram")
        if size < SMALLEST:
            raise InputError(
                f"a vocabulary needs at least {SMALLEST} tokens (special tokens and bytes), found size {size}"
            )
        texts = map(str.lower, texts) if lowercase else texts
        backend = _char_backend(texts, size) if kind == "char" else _subword_backend(texts, kind, size)
        return cls(backend, kind, lowercase)

    @property
    def lowercase(self) -> bool:
        """Whether texts are lower-cased before they are encoded."""
        return self.lower_first or self._backend.normalizer is not None

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, without special tokens."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without special tokens.

        Raises:
            InputError: "text 3 contains an unpaired surrogate and cannot be encoded as UTF-8".
        """
        ids: list[list[int]] = []
        for start in range(0, len(texts), _CHUNK):
            chunk = list(texts[start : start + _CHUNK])
            with naming_texts(chunk, start + 1):
                lowered = [str.lower(text) for text in chunk] if self.lower_first else chunk
                encodings = self._backend.encode_batch_fast(lowered, add_special_tokens=False)
            ids.extend(encoding.ids for encoding in encodings)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; special tokens are skipped, bytes that are not UTF-8 become U+FFFD.

        Raises:
            InputError: "token 9999 is outside the vocabulary of 300".
        """
        kept = [int(i) for i in ids if int(i) >= len(SPECIALS) or int(i) < 0]
        for i in kept:
            if not 0 <= i < self.size:
                raise InputError(f"token {i} is outside the vocabulary of {self.size}")
        return self._backend.decode(kept, skip_special_tokens=False)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The text of each id for display: one string per id, special tokens by name.

        A piece that is only part of a character is shown by its bytes, e.g. `<E6>`.
        """
        return [self._piece(int(i)) for i in ids]

    def _piece(self, index: int) -> str:
        token = self.token(index)
        if index < len(SPECIALS):
            return token
        if self.kind == "char":
            return token if len(token) == 1 else f"<{token[3:5]}>"
        raw = self.raw(index)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return "".join(chr(byte) if byte < 128 else f"<{byte:02X}>" for byte in raw)

    def token(self, index: int) -> str:
        """A token as the vocabulary spells it: characters and `<0x0A>`, or the byte symbols of GPT-2."""
        token = self._backend.id_to_token(index) if 0 <= index < self.size else None
        if token is None:
            raise InputError(f"token {index} is outside the vocabulary of {self.size}")
        return token

    def raw(self, index: int) -> bytes:
        """The bytes of UTF-8 of a token, possibly part of a character; none for a special token."""
        token = self.token(index)
        if index < len(SPECIALS):
            return b""
        if self.kind == "char":
            return token.encode() if len(token) == 1 else bytes([int(token[3:5], 16)])
        return bytes(_byte_of_symbol()[symbol] for symbol in token)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types from which `from_dict` makes an equal tokenizer."""
        lowercase = {"lowercase": True} if self.lower_first else {}
        return {"kind": self.kind, **lowercase, "tokenizer": json.loads(self._backend.to_str())}

    @classmethod
    def from_dict(cls, mapping: object, *, where: object = "tokenizer") -> Tokenizer:
        """The tokenizer that `to_dict` described.

        Raises:
            InputError: "tokenizer: not a tokenizer: …" for anything that is not such a description.
        """
        import tokenizers

        if not isinstance(mapping, Mapping):
            raise InputError("not a tokenizer: expected a mapping", where=where)
        kind: Any = mapping.get("kind")
        if kind not in get_args(TokenizerKind) or not isinstance(mapping.get("tokenizer"), Mapping):
            raise InputError("not a tokenizer: expected 'kind' (char, bpe or unigram) and 'tokenizer'", where=where)
        lowercase = lowercase_of(mapping, where)
        inner = mapping["tokenizer"]
        expected = "Unigram" if kind == "unigram" else "BPE"
        model = inner.get("model")
        if inner.get("added_tokens") or not isinstance(model, Mapping) or model.get("type") != expected:
            raise InputError(f"not a {kind} tokenizer: expected a {expected} model without added tokens", where=where)
        parts = {name for key, part in inner.items() if key != "model" for name in _types(part)}
        if not parts <= _PARTS:
            raise InputError(f"not a sightline tokenizer: it uses {', '.join(sorted(parts - _PARTS))}", where=where)
        try:
            backend = tokenizers.Tokenizer.from_str(json.dumps(inner))
        except MemoryError:
            raise
        except Exception as error:  # tokenizers raises no narrower class
            raise InputError(f"not a tokenizer: {one_line(error)}", where=where) from None
        vocabulary = backend.get_vocab()
        if sorted(vocabulary.values()) != list(range(len(vocabulary))):
            raise InputError("not a tokenizer: the ids of its vocabulary have gaps", where=where)
        if not set(_BYTES if kind == "char" else _byte_of_symbol()) <= set(vocabulary):
            raise InputError("not a sightline tokenizer: some bytes have no token", where=where)
        return cls(backend, kind, lowercase)


@final
class TokenizerPair:
    """The source's and the target's tokenizer, one and the same when `shared`."""

    def __init__(self, source: Tokenizer, target: Tokenizer) -> None:
        self.source = source
        self.target = target

    @classmethod
    def train(
        cls,
        sources: Sequence[str],
        targets: Sequence[str],
        *,
        kind: str = "char",
        size: int = 8000,
        lowercase: bool = False,
        shared: bool = False,
    ) -> TokenizerPair:
        """Tokenizers of at most `size` tokens each; `shared` learns one from both sides."""
        if shared:
            both = Tokenizer.train([*sources, *targets], kind, size, lowercase)
            return cls(both, both)
        return cls(Tokenizer.train(sources, kind, size, lowercase), Tokenizer.train(targets, kind, size, lowercase))

    @property
    def shared(self) -> bool:
        """Whether both sides are one tokenizer."""
        return self.source is self.target

    def save(self, path: str | Path) -> None:
        """Write `tokenizer.json`, whole or not at all."""
        content: dict[str, Any] = {"format": 1, "shared": self.shared, "source": self.source.to_dict()}
        if not self.shared:
            content["target"] = self.target.to_dict()
        write_file(Path(path), json.dumps(content, ensure_ascii=False))

    @classmethod
    def load(cls, path: str | Path) -> TokenizerPair:
        """Read the file of `save`.

        Raises:
            InputError: "runs/x/tokenizer.json: not a tokenizer file: …".
        """
        content = read_tokenizer_file(Path(path))
        source = Tokenizer.from_dict(content.get("source", {}), where=path)
        target = source if content.get("shared") else Tokenizer.from_dict(content.get("target", {}), where=path)
        return cls(source, target)


def lowercase_of(mapping: object, where: object) -> bool:
    """The entry `lowercase` of a tokenizer's description, absent where texts are left as they are."""
    lowercase = mapping.get("lowercase", False) if isinstance(mapping, Mapping) else False
    if not isinstance(lowercase, bool):
        raise InputError(f"not a tokenizer: lowercase must be true or false, found {lowercase!r}", where=where)
    return lowercase


def read_tokenizer_file(path: Path) -> dict[str, Any]:
    """The JSON object in a tokenizer's file.

    Raises:
        InputError: "tokenizer.json: no such file", "tokenizer.json: not a tokenizer file of format 1", …
    """
    check_file(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"not a tokenizer file: {one_line(error)}", where=path) from None
    if not isinstance(content, dict) or content.get("format") != 1:
        raise InputError("not a tokenizer file of format 1", where=path)
    return content


def _char_backend(texts: Iterable[str], size: int) -> tokenizers.Tokenizer:
    """Byte-pair encoding without a merge, with byte fallback: a token per character."""
    import tokenizers
    from tokenizers import decoders, models

    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    frequent = sorted(counts, key=lambda char: (-counts[char], char))[: size - SMALLEST]
    vocabulary = {token: i for i, token in enumerate([*SPECIALS, *_BYTES, *sorted(frequent)])}
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True, unk_token=SPECIALS[3]))
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return backend


def _subword_backend(texts: Iterable[str], kind: TokenizerKind, size: int) -> tokenizers.Tokenizer:
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    common = {
        "vocab_size": size,
        "special_tokens": list(SPECIALS),
        "initial_alphabet": alphabet,
        "show_progress": False,
    }
    if kind == "bpe":
        backend, trainer = tokenizers.Tokenizer(models.BPE()), trainers.BpeTrainer(**common)
    else:
        backend = tokenizers.Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(unk_token=SPECIALS[3], **common)
    # The pattern of ByteLevel splits "<", "s" and ">" apart: no learned piece can spell a special token.
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.train_from_iterator(iter(texts), trainer)
    description = json.loads(backend.to_str())
    description["added_tokens"] = []
    if kind == "unigram":
        description["model"]["vocab"] = _without_chance(description["model"]["vocab"])
    return tokenizers.Tokenizer.from_str(json.dumps(description))


def _without_chance(vocabulary: list[list[Any]]) -> list[list[Any]]:
    """The vocabulary of a unigram model without the trainer's chance.

    Symbols that earned no score of their own get the lowest one plus steps of 0.0001, in an order that differs from run
    to run, and scores differ in their last bits: here such symbols share the lowest score, and scores are rounded.
    """
    specials, pieces = vocabulary[: len(SPECIALS)], vocabulary[len(SPECIALS) :]
    lowest = min(score for _, score in pieces)
    steps = 0.0001 * (len(_BYTES) + 1)
    scores = {
        piece: round(lowest if len(piece) == 1 and score < lowest + steps else score, 6) for piece, score in pieces
    }
    return [*specials, *([piece, scores[piece]] for piece in sorted(scores, key=lambda piece: (-scores[piece], piece)))]


def _byte_of_symbol() -> dict[str, int]:
    """GPT-2's table: printable bytes are themselves, the others the characters from U+0100 on, in order."""
    if not _SYMBOLS:
        printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        others = [byte for byte in range(256) if byte not in printable]
        _SYMBOLS.update({chr(byte): byte for byte in printable})
        _SYMBOLS.update({chr(0x100 + i): byte for i, byte in enumerate(others)})
    return _SYMBOLS


_SYMBOLS: dict[str, int] = {}


def _types(part: object) -> Iterator[str]:
    """The names of all components in a description."""
    if isinstance(part, Mapping):
        if "type" in part:
            yield str(part["type"])
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from _types(inner)


@contextmanager
def naming_texts(texts: Sequence[object], first: int = 1) -> Iterator[None]:
    """Name the text on which an encoder of these fails; `first` is the number of the first one.

    Raises:
        InputError: "text 3 is not text but int"; "text 3 contains an unpaired surrogate and cannot be encoded as
            UTF-8".
    """
    try:
        yield
    except (TypeError, UnicodeEncodeError):
        for number, text in enumerate(texts, first):
            _check_text(text, number)
        raise


def _check_text(text: object, number: int) -> None:
    if not isinstance(text, str):
        raise InputError(f"text {number} is not text but {type(text).__name__}") from None
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"text {number} contains an unpaired surrogate and cannot be encoded as UTF-8") from None
