"""Text to the ids of whole words, for models that only read: ids cannot be turned back into text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, final

from sightline.core.errors import InputError, one_line
from sightline.data.tokens.tokenizer import lowercase_of, naming_texts

if TYPE_CHECKING:
    import tokenizers

KIND = "word"
SPECIALS = ("<pad>", "<unk>")


@final
class Words:
    r"""The words of the training texts: runs of letters and digits, and of other characters but white space.

    The pattern is `\w+|[^\w\s]+`; characters or subwords suit languages without spaces between words better. A word
    that training lacks is `UNK`; `PAD` is never in a text. Backed by the `tokenizers` library.
    """

    PAD: ClassVar[int] = 0
    UNK: ClassVar[int] = 1

    kind = KIND

    def __init__(self, backend: tokenizers.Tokenizer, lowercase: bool = False) -> None:
        self._backend = backend
        self.lower_first = lowercase  # by `str.lower`, see `Tokenizer`
        self.size: int = backend.get_vocab_size()

    @classmethod
    def train(cls, texts: Iterable[str], size: int = 20_000, min_count: int = 1, lowercase: bool = False) -> Words:
        """The `size` most frequent words, both special ones counted, that occur at least `min_count` times.

        Raises:
            InputError: "a vocabulary of words needs at least 3, found size 2".
        """
        import tokenizers
        from tokenizers import models, pre_tokenizers, trainers

        if size <= len(SPECIALS):
            raise InputError(f"a vocabulary of words needs at least {len(SPECIALS) + 1}, found size {size}")
        backend = tokenizers.Tokenizer(models.WordLevel(unk_token=SPECIALS[cls.UNK]))
        backend.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(
            vocab_size=size, min_frequency=min_count, special_tokens=list(SPECIALS), show_progress=False
        )
        backend.train_from_iterator(map(str.lower, texts) if lowercase else iter(texts), trainer)
        description = json.loads(backend.to_str())
        description["added_tokens"] = []  # the text "<unk>" is three words
        return cls(tokenizers.Tokenizer.from_str(json.dumps(description)), lowercase)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text's words.

        Raises:
            InputError: as `Tokenizer.encode_batch` does.
        """
        with naming_texts(texts):
            lowered = [text.lower() for text in texts] if self.lower_first else list(texts)
            return [encoding.ids for encoding in self._backend.encode_batch_fast(lowered, add_special_tokens=False)]

    def pieces(self, text: str) -> list[str]:
        """The words of a text as the model sees them, one for each id, those that it does not know by `<unk>`."""
        return [self._backend.id_to_token(i) or SPECIALS[self.UNK] for i in self.encode_batch([text])[0]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types from which `from_dict` makes an equal vocabulary."""
        lowercase = {"lowercase": True} if self.lower_first else {}
        return {"kind": KIND, **lowercase, "tokenizer": json.loads(self._backend.to_str())}

    @classmethod
    def from_dict(cls, mapping: object, *, where: object = "tokenizer") -> Words:
        """The vocabulary that `to_dict` described.

        Raises:
            InputError: "tokenizer: not a vocabulary of words: …" for anything that is not such a description.
        """
        import tokenizers

        def refuse(problem: str) -> InputError:
            return InputError(f"not a vocabulary of words: {problem}", where=where)

        inner = mapping.get("tokenizer") if isinstance(mapping, Mapping) and mapping.get("kind") == KIND else None
        if not isinstance(inner, Mapping):
            raise refuse("expected 'kind' (word) and 'tokenizer'")
        lowercase = lowercase_of(mapping, where)
        model = inner.get("model")
        parts = {key: _kind(inner.get(key)) for key in ("normalizer", "pre_tokenizer", "post_processor", "decoder")}
        if not isinstance(model, Mapping) or model.get("type") != "WordLevel" or inner.get("added_tokens"):
            raise refuse("expected a WordLevel model without added tokens")
        if parts.pop("normalizer") not in (None, "Lowercase") or parts != {
            "pre_tokenizer": "Whitespace",
            "post_processor": None,
            "decoder": None,
        }:
            raise refuse("it uses other parts than `Words.train`")
        try:
            backend = tokenizers.Tokenizer.from_str(json.dumps(inner))
        except MemoryError:
            raise
        except Exception as error:  # tokenizers raises no narrower class
            raise refuse(one_line(error)) from None
        vocabulary = backend.get_vocab()
        if sorted(vocabulary.values()) != list(range(len(vocabulary))):
            raise refuse("the ids of its words have gaps")
        if [vocabulary.get(name) for name in SPECIALS] != [cls.PAD, cls.UNK]:
            raise refuse(f"its first words must be {' '.join(SPECIALS)}")
        return cls(backend, lowercase)


def _kind(part: object) -> object:
    return part.get("type", part) if isinstance(part, Mapping) else part
