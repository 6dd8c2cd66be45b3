"""The numbers in the sentence about a claim are those of its result, at the places that are stored beside it."""

from __future__ import annotations

from dataclasses import asdict
from importlib import import_module

import pytest

from sightline.core.json_text import finite
from sightline.core.sourced import pointer, replace_sources, with_sources
from sightline.lab.claims import CLAIMS, contests
from sightline.lab.claims.claim import Claim, Effort
from tests.report.cells import NUMBER, CellText, wrong_pieces

BARE = ("of that at distance 1 ", "of 0.69 nats")  # the distance of the reference, and ln 2
MEASURED = [claim for claim in CLAIMS if claim.name in ("C7", "C8", "C10", "C11", "C13", "C14", "C15", "C19", "C20")]


@pytest.fixture
def hardly_trained(monkeypatch: pytest.MonkeyPatch):
    """Two steps for each training, after which all tasks count as learned, so that every number is in a sentence."""

    def few(fit):
        return lambda model, draw, recipe, *others: fit(model, draw, recipe._replace(steps=2), *others)

    for claim in MEASURED:
        module = import_module(f"sightline.lab.claims.{claim.function.partition(':')[0]}")
        if hasattr(module, "fit"):
            monkeypatch.setattr(module, "fit", few(module.fit))
        if hasattr(module, "contest"):
            learned = module.contest
            monkeypatch.setattr(module, "contest", lambda *each, of=learned: of(*each)._replace(learned=True))
    monkeypatch.setattr(contests, "fit", few(contests.fit))
    monkeypatch.setattr(contests, "TESTED", 20)
    monkeypatch.setattr("sightline.lab.claims.long_sentences.LEARNED", 0.0)
    monkeypatch.setattr("sightline.lab.claims.head_roles.LEARNED", 99.0)


@pytest.mark.slow
@pytest.mark.usefixtures("hardly_trained")
@pytest.mark.parametrize("claim", MEASURED, ids=lambda claim: claim.name)
def test_every_number_of_a_sentence_is_that_of_its_place(claim: Claim, tmp_path):
    result = claim.measure(Effort(quick=True, seeds=2, directory=tmp_path))
    pieces: list[CellText] = []
    with with_sources():
        text = result.text_with_places(())

    def one(number, places, how):
        pieces.append(CellText(number, tuple(f"c#{pointer(*place)}" for place in places), how, False))
        return ""

    rest = replace_sources(text, one)
    for bare in BARE:
        rest = rest.replace(bare, "")
    assert NUMBER.findall(rest) == []
    right, wrong = wrong_pieces(pieces, "c", finite(asdict(result)))
    assert wrong == []
    assert right >= len(pieces) > 2
