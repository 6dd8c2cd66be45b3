"""Dependency arcs are read as the format says, and heads and offsets are scored against them."""

from __future__ import annotations

import gzip

import pytest
import torch

from sightline.core.errors import InputError
from sightline.inspect.arcs import arc_hits, best_offset, offset_hits, read_arcs

ROWS = [("1", "The", "2", "det"), ("2", "dog", "3", "nsubj"), ("3", "barks", "0", "root"), ("4", "loud", "3", "advmod")]


def conllu(rows):
    cells = [[number, word, "_", "_", "_", "_", head, relation, "_", "_"] for number, word, head, relation in rows]
    return "# text = x\n" + "".join("\t".join(each) + "\n" for each in cells) + "\n"


def test_words_heads_and_relations_are_read_and_ranges_skipped(tmp_path):
    split = [("1-2", "du", "_", "_"), ("1", "de", "3", "case"), ("2", "le", "3", "det:def"), ("3", "pain", "0", "root")]
    file = tmp_path / "a.conllu.gz"
    file.write_bytes(gzip.compress((conllu(ROWS) + conllu(split)).encode()))
    first, second = read_arcs(file)
    assert first[:3] == (["The", "dog", "barks", "loud"], [1, 2, -1, 2], ["det", "nsubj", "root", "advmod"])
    assert second.words == ["de", "le", "pain"]
    assert second.relations[1] == "det"  # without its subtype
    assert read_arcs(file, limit=1) == [first]
    assert (first.text, first.spans[1]) == ("The dog barks loud", (4, 7))
    assert (second.text, second.spans) == ("du pain", [(0, 2), (0, 2), (3, 7)])


def test_empty_nodes_are_left_out_and_texts_are_put_together_from_tokens(tmp_path):
    file = tmp_path / "a.conllu"
    file.write_text(
        "1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No\n"
        "1\tdo\t_\t_\t_\t_\t0\troot\t_\t_\n"
        "2\tn't\t_\t_\t_\t_\t1\tadvmod:neg\t_\t_\n"
        "2.1\tgo\t_\t_\t_\t_\t_\t_\t1:conj\t_\n"
        "3\t!\t_\t_\t_\t_\t1\tpunct\t_\t_\n"
    )
    (sentence,) = read_arcs(file)
    assert sentence == (["do", "n't", "!"], [-1, 0, 0], ["root", "advmod", "punct"], "don't!", [(0, 2), (2, 5), (5, 6)])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1\tThe\n\n", r"a\.conllu:1: expected 10 columns, found 2"),
        (conllu([("1", "The", "7", "det")]), r"a\.conllu:2: expected a head from 0 to 1, found '7'"),
        (conllu([("1", "The", "_", "det")]), r"a\.conllu:2: expected a head from 0 to 1, found '_'"),
        (conllu([("1", "The", "²", "det")]), r"a\.conllu:2: expected a head from 0 to 1, found '²'"),
        (conllu([("1", "The", "1", "det")]), r"a\.conllu:2: a word cannot be its own head"),
        (conllu([("x", "The", "0", "root")]), r"a\.conllu:2: expected the number of a word, found 'x'"),
        (conllu([("1", "The", "0", "root"), ("3", "dog", "1", "det")]), r"a\.conllu:3: expected word 2, found '3'"),
        (conllu([("2-3", "du", "_", "_"), *ROWS]), r"a\.conllu:2: expected words after 0, found '2-3'"),
        (conllu([("1-9", "du", "_", "_"), *ROWS]), r"a\.conllu:2: expected words after 0, found '1-9'"),
        (conllu([("1.1", "du", "_", "_")]), r"a\.conllu:2: a sentence without words"),
        ("# text = nothing\n\n", r"a\.conllu: has no sentences"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, text, problem):
    file = tmp_path / "a.conllu"
    file.write_text(text)
    with pytest.raises(InputError, match=problem):
        read_arcs(file)


def test_heads_and_offsets_by_hand(tmp_path):
    file = tmp_path / "a.conllu"
    file.write_text(conllu(ROWS))
    (sentence,) = read_arcs(file)
    assert best_offset([sentence]) == 1  # two of three arcs
    assert best_offset([sentence], "advmod") == -1
    assert offset_hits(sentence, 1).tolist() == [True, True, False]
    weights = torch.zeros(2, 4, 4)
    weights[0, [0, 1, 2, 3], [1, 2, 0, 2]] = 0.4
    weights[0] += 0.6 * torch.eye(4)  # most weight on the word itself, which heads nothing
    weights[1, :, 0] = 1.0
    weights[1, 0, 3] = 0.5  # the first word's own weight does not count
    assert arc_hits(weights, sentence).tolist() == [[True, True, True], [False, False, False]]
