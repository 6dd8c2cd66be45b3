"""Sequences with known labels: right by another computation, longer in the test, the same for a seed."""

from __future__ import annotations

import pytest

from sightline.core.errors import InputError
from sightline.data.labelled.corpus import load_labelled


def labelled(name: str, part: str = "train") -> list[tuple[str, str]]:
    of = getattr(load_labelled(f"builtin:{name}"), part)
    return [(source, label) for source, (label,) in zip(of.sources, of.labels, strict=True)]


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_labels_are_right(part: str) -> None:
    for source, label in labelled("parity?size=300", part):
        assert label == ("odd" if source.split().count("1") % 2 else "even")
    for source, label in labelled("modular?size=300", part):
        assert int(label) == sum(map(int, source.split())) % 5
    for source, label in labelled("recall?size=300&length=8", part):
        *pairs, asked = source.split()
        assert dict(zip(pairs[::2], pairs[1::2], strict=True))[asked] == label
        assert len(set(pairs[::2])) == 8


@pytest.mark.parametrize("name", ["parity", "modular"])
def test_test_items_are_longer_than_any_of_training(name: str) -> None:
    def lengths(part: str) -> list[int]:
        return [sum(word.isdigit() for word in source.split()) for source, _ in labelled(f"{name}?size=2000", part)]

    longest = {"parity": 20, "modular": 10}[name]
    assert (min(lengths("train")), max(lengths("train"))) == (1, longest)
    assert max(lengths("valid")) == longest
    assert (min(lengths("test")), max(lengths("test"))) == (2 * longest + 1, 5 * longest)


def test_labels_are_even_in_number() -> None:
    for name, classes in (("parity", 2), ("modular", 5), ("recall", 16)):
        data = load_labelled(f"builtin:{name}?size=5000")
        assert len(data.classes) == classes
        counts = [sum(of_item == (label,) for of_item in data.train.labels) for label in data.classes]
        assert min(counts) > 0.8 * 5000 / classes


def test_a_seed_decides() -> None:
    first, same, other = (load_labelled(f"builtin:parity?size=100&seed={seed}").sha256 for seed in (1, 1, 2))
    assert first == same != other


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("parity?lenght=3", "builtin:parity: unknown option 'lenght', did you mean 'length'?"),
        ("parity?longest=30", "builtin:parity: longest must be from 41 to 10000, found '30'"),
        ("modular?size=1", "builtin:modular: size must be from 100 to 1000000, found '1'"),
        ("recall?length=65", "builtin:recall: length must be from 2 to 64, found '65'"),
        ("recall?longest=5", "builtin:recall: unknown option 'longest'"),
        ("partiy", "builtin: unknown built-in data 'partiy', did you mean 'parity'?"),
        ("x", "builtin: unknown built-in data 'x'; known: digits, parity, modular, recall"),
    ],
)
def test_bad_options(name: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_labelled(f"builtin:{name}")
    assert str(caught.value).startswith(message)
