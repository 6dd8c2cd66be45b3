"""Patches of series: PatchTST's count and content, and rows that end early as if they were alone."""

from __future__ import annotations

import pytest
import torch

from sightline.core.errors import InputError
from sightline.parts.front_ends import decode_front_end, encode_front_end
from sightline.parts.series_patches import SeriesPatches, SeriesWindows


def whole(patch: int, stride: int, padding: str = "repeat", channels: int = 1) -> torch.nn.Module:
    """A front end whose vectors are the patches themselves."""
    front_end = SeriesPatches(channels, patch, stride, padding).build(patch * channels)
    torch.nn.init.eye_(front_end.project.weight)
    torch.nn.init.zeros_(front_end.project.bias)
    return front_end


@pytest.mark.parametrize(("steps", "patches"), [(336, 42), (512, 64)])
def test_the_numbers_of_patches_that_patchtst_is_named_after(steps: int, patches: int) -> None:
    result, mask = SeriesPatches(1, 16, 8).build(4)(torch.randn(2, steps, 1))
    assert result.shape == (2, patches, 4)
    assert mask is None


def test_the_end_is_the_last_value_repeated() -> None:
    result, _ = whole(4, 2)(torch.arange(1.0, 8.0).reshape(1, 7, 1))
    assert result[0].tolist() == [[1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 7]]


def test_the_last_patch_is_completed_with_zeros() -> None:
    result, _ = whole(4, 3, "zero")(torch.arange(1.0, 9.0).reshape(1, 8, 1))
    assert result[0].tolist() == [[1, 2, 3, 4], [4, 5, 6, 7], [7, 8, 0, 0]]


def test_a_row_shorter_than_a_patch() -> None:
    assert whole(4, 2, "zero")(torch.tensor([[[3.0], [5.0]]]))[0][0].tolist() == [[3, 5, 0, 0]]
    assert whole(4, 2)(torch.tensor([[[3.0], [5.0]]]))[0][0].tolist() == [[3, 5, 5, 5], [5, 5, 5, 5]]


@pytest.mark.parametrize("padding", ["repeat", "zero"])
@pytest.mark.parametrize(("patch", "stride"), [(4, 2), (5, 3), (3, 3), (6, 1)])
def test_a_row_that_ends_early_has_the_patches_it_would_have_alone(padding: str, patch: int, stride: int) -> None:
    torch.manual_seed(0)
    front_end = SeriesPatches(2, patch, stride, padding).build(8)
    x = torch.randn(6, 23, 2)
    lengths = torch.tensor([23, 22, 13, 4, 1, 0])
    mask = torch.arange(23) < lengths[:, None]
    poisoned = x.masked_fill(~mask.unsqueeze(2), float("nan"))
    result, real = front_end(poisoned, mask)
    assert result.isfinite().all()
    for row, length in enumerate(lengths.tolist()):
        assert real[row].tolist() == sorted(real[row].tolist(), reverse=True)
        alone, _ = front_end(x[row : row + 1, :length])
        assert int(real[row].sum()) == alone.shape[1] == front_end.count(length)
        torch.testing.assert_close(result[row, : alone.shape[1]], alone[0])


def test_a_hole_is_refused() -> None:
    with pytest.raises(ValueError, match="row 1 has a hole"):
        SeriesPatches(1, 2, 2).build(4)(torch.zeros(2, 4, 1), torch.tensor([[True] * 4, [True, False, True, True]]))


@pytest.mark.parametrize("config", [SeriesPatches(3, 8, 4, "zero"), SeriesWindows(96, 24, 7, 1, 2)])
def test_a_front_end_is_written_and_read(config: object) -> None:
    assert decode_front_end(encode_front_end(config), where="x") == config


def test_sizes_that_cannot_be() -> None:
    with pytest.raises(InputError, match="stride: must be between 1 and the patch of 4 steps, found 5"):
        SeriesPatches(1, 4, 5).build(8)
    with pytest.raises(InputError, match="horizon: must be at least 1, found 0"):
        SeriesWindows(96, 0)
