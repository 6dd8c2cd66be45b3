"""Text to the letters of its words, for front ends that read words letter by letter: no vocabulary, no unknown word."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np

from sightline.core.errors import InputError
from sightline.data.tokens.tokenizer import lowercase_of, naming_texts

KIND = "letters"


@final
class Spelling:
    """The words of a text as bytes of UTF-8, each between a mark for its beginning and one for its end.

    Words are those of `Words`. A byte b is the letter b + 1, and 0 follows the end of a word. Of a word of more than
    `LENGTH` letters, both marks counted, the last bytes are left out: as in ELMo (Peters et al. 2018), but shorter.
    """

    LENGTH: ClassVar[int] = 32
    BEGIN: ClassVar[int] = 257
    END: ClassVar[int] = 258

    kind = KIND
    size = 259

    def __init__(self, lowercase: bool = False) -> None:
        self.lower_first = lowercase  # by `str.lower`, see `Tokenizer`

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The letters (T, LENGTH) of each text's words.

        Raises:
            InputError: as `Tokenizer.encode_batch` does.
        """
        with naming_texts(texts):
            return [
                np.stack([_letters(word) for word in words]) if words else np.zeros((0, self.LENGTH), np.int16)
                for words in map(self.pieces, texts)
            ]

    def pieces(self, text: str) -> list[str]:
        """The words of a text."""
        from tokenizers import pre_tokenizers

        text = text.lower() if self.lower_first else text
        return [word for word, _ in pre_tokenizers.Whitespace().pre_tokenize_str(text)]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types from which `from_dict` makes an equal one."""
        return {"kind": KIND, **({"lowercase": True} if self.lower_first else {})}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any], *, where: object = "tokenizer") -> Spelling:
        """The spelling that `to_dict` described.

        Raises:
            InputError: "tokenizer: not a spelling: expected 'kind' (letters) and 'lowercase'".
        """
        if mapping.get("kind") != KIND or set(mapping) - {"kind", "lowercase"}:
            raise InputError(f"not a spelling: expected 'kind' ({KIND}) and 'lowercase'", where=where)
        return cls(lowercase_of(mapping, where))


@functools.lru_cache(1 << 16)
def _letters(word: str) -> np.ndarray:
    content = [byte + 1 for byte in word.encode()[: Spelling.LENGTH - 2]]
    letters = np.zeros(Spelling.LENGTH, np.int16)
    letters[: len(content) + 2] = [Spelling.BEGIN, *content, Spelling.END]
    return letters
