"""Sentences as the library conllu writes them."""

from tests.formats.cases import Case

CASES = [Case("two.conllu", "CoNLL-U", "language", ["Don't go!", "It rains."])]
