"""Tokens that are left out of a text by a mask: the model then reads the text without them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sightline.models import LANGUAGE_MODELS
from sightline.tasks.language.task import LanguageTask
from tests.tasks import subjects

LEFT_OUT = [[0], [3], [2, 3, 5], [0, 1, 4], [6]]


@pytest.mark.parametrize("arch", LANGUAGE_MODELS)
@torch.no_grad()
def test_what_is_left_out_is_as_if_it_were_not_there(arch: str, tmp_path: Path) -> None:
    read = subjects.language(tmp_path).run
    model = LANGUAGE_MODELS[arch].resized(16)
    run = LanguageTask.preset(arch).changed(data=read.corpus.data, context=24, batch_tokens=96, model=model)
    task = LanguageTask.build(LanguageTask.load_data(run), run)
    task.model.double().eval()
    side = task.open_input("50 times").source
    ids = side.input
    for places in LEFT_OUT:
        kept = torch.ones_like(ids, dtype=torch.bool)
        kept[0, places] = False
        left = side.answer(ids[kept].unsqueeze(0))[0]  # (T', C)
        found = side.masked(ids, kept)[0]
        assert torch.allclose(found[kept[0]], left, atol=1e-12)
        for place in places:  # the answer after a token that is left out is the one after the token before it
            before = kept[0, :place].sum()
            if before:
                assert torch.allclose(found[place], left[before - 1], atol=1e-12)
