"""The choice of a front end in the tasks of the table: what is read, what is refused, and what attention looks at."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from sightline.core.errors import InputError
from sightline.lab.attention import attention_examples, attention_maps
from sightline.models.decoder import token_ends
from sightline.models.linear_forecasters import DLinearConfig
from sightline.parts.character_cnn import CharacterCNN
from sightline.parts.front_end_choice import FrontEndChoice, decode_choice, encode_choice
from sightline.parts.image_patches import Pixels
from sightline.parts.series_patches import SeriesPatches, SeriesWindows
from sightline.tasks.classification.config import ClassificationConfig, SeriesConfig
from sightline.tasks.forecasting.config import ForecastingConfig
from sightline.tasks.media.config import PictureConfig
from sightline.tasks.translation.task import TranslationTask
from tests.tasks.translation.small import config, corpus, untrained

CNN = replace(FrontEndChoice.named("character_cnn"), widths=(1, 2), filters=2)


def test_a_choice_takes_values_from_the_input_its_section_and_its_own_keys() -> None:
    picture = PictureConfig(8, 8, patch=4, mean=0.25)
    settings = ClassificationConfig(front_end=FrontEndChoice.named("pixels"), picture=picture)
    assert settings.fitted("image") == Pixels(8, 8, 3, "linear", "learned", 0.25)
    assert ClassificationConfig(front_end=CNN).fitted("text", vocabulary=7) == CharacterCNN(259, 15, (1, 2), 2)
    series = ClassificationConfig(series=SeriesConfig(patch=3)).fitted("series", channels=2)
    assert series == SeriesPatches(2, 3, 3, "zero")


def test_pictures_settle_the_side_of_patches_only_for_front_ends_that_cut_them() -> None:
    assert PictureConfig().settled([(3, 97, 89)], FrontEndChoice.named("pixels")).patch is None
    with pytest.raises(InputError, match="cannot be cut into 64 square patches or fewer"):
        PictureConfig().settled([(3, 97, 89)])
    with pytest.raises(InputError, match="cannot be cut into 64 square patches or fewer"):
        PictureConfig().settled([(3, 97, 89)], CNN)  # of other sources


@pytest.mark.parametrize("kind", ["series", "audio", "image"])
def test_a_front_end_for_another_kind_of_source_is_refused(kind: str) -> None:
    settings = ClassificationConfig(front_end=CNN, picture=PictureConfig(8, 8, patch=4))
    with pytest.raises(InputError, match="--front-end: 'character_cnn' reads letters of words, but the input is"):
        settings.fitted(kind, **({"channels": 1} if kind == "series" else {}))


def test_what_the_front_end_refuses_is_placed_at_its_key() -> None:
    with pytest.raises(InputError, match=r"front_end\.widths: must be 1 to 16 widths, found 0"):
        replace(CNN, widths=()).fit("tokens", {"words": {"letters": 9}})


@pytest.mark.parametrize("choice", [FrontEndChoice(), CNN], ids=str)
def test_a_choice_is_a_value(choice: FrontEndChoice) -> None:
    assert pickle.loads(pickle.dumps(choice)) == choice
    assert decode_choice(encode_choice(choice)) == choice


def test_windows_name_the_front_end_of_their_columns() -> None:
    choice = FrontEndChoice.named("series_patches")
    windows = ForecastingConfig(lookback=24, horizon=6, front_end=choice).windows(2, 0, 1)
    assert windows == SeriesWindows(24, 6, 2, 0, 1, {"name": "series_patches"})
    with pytest.raises(InputError, match="--front-end: a linear forecaster reads the values themselves: leave it out"):
        DLinearConfig().build(windows)


def test_attention_looks_at_the_words_that_are_read() -> None:
    task = untrained("bahdanau", front_end=CNN)
    assert task.trained.source_pieces("12 ab, 907 3") == ["12", "ab", ",", "907", "3"]
    (one, *_) = attention_maps(task, "12 ab, 907 3").maps
    assert {len(row) for row in one.weights} == {5}
    assert attention_examples(task, ["12 34", "1 2 3 4 5"]) == [1]


def test_language_models_refuse_front_ends_that_mix_positions_or_have_no_matrix_to_share() -> None:
    class MixedTokens(SeriesPatches):
        accepts = "tokens"

    with pytest.raises(
        InputError, match="--front-end: MixedTokens mixes positions: the model would see what it should"
    ):
        token_ends(MixedTokens(1), 9, 8, tie=False, scale=False)
    with pytest.raises(ValueError, match="a language model reads tokens, got CharacterCNN"):
        token_ends(CharacterCNN(9), 9, 8, tie=False, scale=False)


def test_embeddings_of_both_sides_are_only_shared_between_vocabularies() -> None:
    shared = config("transformer-2017", front_end=CNN)
    with pytest.raises(InputError, match=r"model\.tie: all needs one vocabulary for both sides, found CharacterCNN"):
        TranslationTask.create(corpus(), shared)
