"""Front ends for sound and pictures beyond their laws (tests/contract/test_front_ends.py): counts, places, values."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sightline.core.errors import InputError
from sightline.parts.audio_frames import AudioFrames
from sightline.parts.image_patches import ImagePatches, Pixels
from sightline.parts.positions import sinusoid
from sightline.parts.several import Masked, SeveralFrontEnd
from sightline.parts.spec_augment import SpecAugment, SpecAugmentConfig

WIDTH = 6
SOUNDS = {
    "stride 1": AudioFrames(8000, mels=20, stride=1, normalise="utterance"),
    "stride 2": AudioFrames(8000, mels=20, stride=2, normalise="none"),
    "stride 4": AudioFrames(8000, mels=20, stride=4, scale="htk"),
    "stride 8, augmented": AudioFrames(8000, mels=20, stride=8, normalise="level", augment=SpecAugmentConfig()),
}


def made(config):
    torch.manual_seed(0)
    return config.build(WIDTH).double().eval()


@pytest.fixture
def rows():
    """Five rows of 0 to 3000 samples, padded on the right."""
    lengths = torch.tensor([[3000], [1], [1777], [0], [640]])
    return torch.randn(5, 3000, dtype=torch.float64), torch.arange(3000) < lengths


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", SOUNDS)
def test_a_config_counts_the_positions(kind, rows):
    samples, mask = rows
    x, real = made(SOUNDS[kind])(samples, mask)
    assert x.shape == (5, SOUNDS[kind].length_out(3000), WIDTH)
    assert real.sum(1).tolist() == [SOUNDS[kind].length_out(length) for length in mask.sum(1).tolist()]
    assert (x[~real] == 0).all()


@pytest.mark.parametrize("kind", SOUNDS)
def test_padding_on_the_left_and_more_of_it_change_nothing(kind, rows):
    samples, mask = rows
    front_end = made(SOUNDS[kind])
    x, real = front_end(samples, mask)
    for left, right in ((77, 0), (0, 1234), (500, 3)):
        wider, more = front_end(F.pad(samples, (left, right)), F.pad(mask, (left, right)))
        assert (more[:, : real.shape[1]] == real).all()
        assert not more[:, real.shape[1] :].any()
        close(wider[:, : real.shape[1]], x)


def test_sound_without_samples_gives_no_positions():
    x, mask = made(SOUNDS["stride 4"])(torch.zeros(2, 0, dtype=torch.float64))
    assert x.shape == (2, 0, WIDTH)
    assert mask is None


def test_low_precision_keeps_the_spectrum(rows):
    """Under autocast the spectrogram stays in float32: its range is far beyond what bfloat16 tells apart."""
    samples, mask = rows
    torch.manual_seed(0)
    front_end = AudioFrames(8000, mels=20).build(WIDTH).eval()
    exact = front_end.log_mel(samples.float(), mask)[0]
    with torch.autocast("cpu", torch.bfloat16):
        low = front_end.log_mel(samples.float(), mask)[0]
    assert torch.equal(low, exact)


def test_spec_augment_blots_out_what_it_may():
    torch.manual_seed(0)
    augment = SpecAugment(bands=1, band_width=5, stretches=1, stretch_width=10, stretch_share=0.2).train()
    mask = torch.arange(40) < torch.tensor([40, 20, 3, 0]).repeat_interleave(200)[:, None]
    gone = augment(torch.ones(800, 40, 16), mask) == 0
    bands, stretches = gone.all(1).sum(1), gone.all(2)
    assert bands.max() == 5
    assert bands.min() == 0
    assert not (stretches & ~mask).any()
    longest = stretches.sum(1).view(4, 200).amax(1)
    assert longest.tolist() == [8, 4, 0, 0]  # 0.2 of 40, 20, 3 and 0 frames
    assert bands.float().mean() == pytest.approx(2.5, abs=0.2)
    assert torch.equal(augment.eval()(torch.ones(2, 40, 16)), torch.ones(2, 40, 16))


def test_patches_are_a_convolution_as_wide_as_its_stride():
    """Dosovitskiy et al. 2021, § 3.1: linear projection of flattened patches."""
    front_end = made(ImagePatches(12, 8, channels=3, patch=4, positions="none", mean=0.25, deviation=2.0))
    pictures = torch.rand(2, 3, 12, 8, dtype=torch.float64)
    x, mask = front_end(pictures)
    weight = front_end.embed.weight.view(WIDTH, 3, 4, 4)
    expected = F.conv2d((pictures - 0.25) / 2.0, weight, front_end.embed.bias, stride=4)  # (B, D, 3, 2)
    assert mask is None
    close(x, expected.flatten(2).transpose(1, 2))


@pytest.mark.parametrize(("size", "patch"), [((8, 12), 4), ((12, 24), 6), ((14, 14), 14), ((6, 2), 2)])
def test_a_stem_of_convolutions_gives_a_vector_for_each_patch(size, patch):
    front_end = made(ImagePatches(*size, channels=2, patch=patch, stem="convolution", positions="none"))
    pictures = torch.rand(3, 2, *size, dtype=torch.float64)
    x, _ = front_end(pictures)
    assert x.shape == (3, size[0] * size[1] // patch**2, WIDTH)
    close(front_end(pictures[[2, 0, 1]])[0], x[[2, 0, 1]])


def test_a_stem_of_convolutions_is_centred_on_its_patch():
    """Only the patch of a changed pixel and its neighbours change, and the patch itself does."""
    front_end = made(ImagePatches(16, 16, 1, 4, stem="convolution", positions="none"))
    pictures = torch.rand(1, 1, 16, 16, dtype=torch.float64)
    other = pictures.clone()
    other[0, 0, 6, 10] += 0.5  # in row 1, column 2 of the grid
    moved = (front_end(pictures)[0] - front_end(other)[0]).abs().amax(2).view(4, 4) > 1e-12
    assert moved[1, 2]
    assert not moved[3].any()
    assert not moved[:, 0].any()


def test_bytes_are_shares_of_255():
    front_end = made(ImagePatches(4, 4, 1, 2))
    pictures = torch.randint(0, 256, (2, 1, 4, 4), dtype=torch.uint8)
    close(front_end(pictures)[0], front_end(pictures.double() / 255)[0])


def test_pixels_are_in_order_of_rows():
    pictures = torch.rand(1, 2, 3, 5, dtype=torch.float64)
    front_end = made(Pixels(3, 5, channels=2, mean=0.0, deviation=1.0))
    x, _ = front_end(pictures)
    assert x.shape == (1, 15, WIDTH)
    close(x[0, 1 * 5 + 2], front_end.embed(pictures[0, :, 1, 2]))


def test_levels_have_a_vector_each():
    front_end = made(Pixels(2, 2, embedding="levels"))
    x, _ = front_end(torch.tensor([[[[0, 255], [7, 7]]]], dtype=torch.uint8))
    close(x[0], front_end.table.weight[[0, 255, 7, 7]])
    with pytest.raises(ValueError, match=r"levels are bytes, got torch.float32"):
        front_end(torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize("width", [6, 7])
def test_sinusoids_in_two_dimensions_tell_row_and_column(width):
    config = ImagePatches(6, 4, 1, 2, positions="sinusoidal")
    encoding = config.build(width).double().positions(torch.zeros(1, 6, width, dtype=torch.float64))[0]
    half = (width + 1) // 2
    for place in range(6):
        row, column = sinusoid(torch.tensor(place // 2), half, torch.float64), place % 2
        close(encoding[place, :half], row)
        close(encoding[place, half:], sinusoid(torch.tensor(column), width - half, torch.float64))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ImagePatches(9, 6), "patch: must divide height and width, found 16 for 9 x 6 pixels: choose 1, 3"),
        (lambda: ImagePatches(0, 28), "height: must be from 1 to 65536, found 0"),
        (lambda: ImagePatches(2**31, 16), "height: must be from 1 to 65536, found 2147483648"),
        (lambda: ImagePatches(16, 16, deviation=0.0), "deviation: must be positive and finite, found 0.0"),
        (
            lambda: ImagePatches(9, 9, patch=3, stem="convolution"),
            "patch: must be even for a stem of convolutions, found 3",
        ),
        (lambda: Pixels(8, 8, 3, "levels"), "embedding: levels need pictures of one channel, found 3"),
    ],
)  # fmt: skip
def test_sizes_that_make_no_patches(make, message):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message


def test_pictures_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"expected pictures of shape \(B, 1, 4, 4\), got \(2, 1, 4, 6\)"):
        made(ImagePatches(4, 4, 1, 2))(torch.zeros(2, 1, 4, 6))


def several():
    torch.manual_seed(0)
    return SeveralFrontEnd([made(ImagePatches(4, 4, 1, 2)), made(SOUNDS["stride 4"])]).double().eval()


def test_several_sources_are_several_stretches(rows):
    front_end, pictures = several(), torch.rand(5, 1, 4, 4, dtype=torch.float64)
    x, mask = front_end((Masked(pictures), Masked(*rows)))
    seen, _ = front_end.front_ends[0](pictures)
    heard, real = front_end.front_ends[1](*rows)
    assert torch.equal(mask, torch.cat([torch.ones(5, 4, dtype=torch.bool), real], 1))
    close(x[:, :4], seen + front_end.which[0])
    close(x[:, 4:][real], (heard + front_end.which[1])[real])
    assert (x[:, 4:][~real] == 0).all()


def test_several_sources_without_masks_have_none():
    front_end = SeveralFrontEnd([made(ImagePatches(4, 4, 1, 2)), made(Pixels(4, 4))])
    pictures = torch.rand(2, 1, 4, 4, dtype=torch.float64)
    x, mask = front_end((Masked(pictures), Masked(pictures)))
    assert x.shape == (2, 20, WIDTH)
    assert mask is None


def test_several_sources_must_be_as_many_as_their_front_ends(rows):
    with pytest.raises(ValueError, match="expected 2 sources, got 1"):
        several()((Masked(*rows),))
