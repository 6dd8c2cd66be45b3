"""Log-mel frames against another library's filter bank and spectrogram, and against their formulas."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sightline.core.errors import InputError
from sightline.parts.audio_frames import AudioFrames
from sightline.parts.log_mel import LogMel, mel_filters, to_hertz, to_mel

SIZES = [(16_000, 512, 80, 0.0, 8000.0), (16_000, 400, 40, 133.0, 6854.0), (8000, 256, 23, 20.0, 4000.0)]


SAMPLES = np.random.default_rng(0).standard_normal(4000)
# Outputs of transformers 5.23; rewritten by `python -m tests.parts.test_log_mel` where the peers are installed.
STORED = Path(__file__).with_name("transformers_log_mel.npz")


def of_transformers() -> dict[str, np.ndarray]:
    """Filter banks and a spectrogram by transformers: as computed here where it is installed, else as stored."""
    try:
        from transformers import audio_utils
    except ImportError:
        with np.load(STORED) as stored:
            return dict(stored)
    result = {}
    for scale in ("slaney", "htk"):
        for rate, fft, mels, low, high in SIZES:
            bank = audio_utils.mel_filter_bank(fft // 2 + 1, mels, low, high, rate, norm="slaney", mel_scale=scale)
            result[f"filters {scale} {rate} {fft}"] = bank
        result[f"frames {scale}"] = audio_utils.spectrogram(
            SAMPLES,
            audio_utils.window_function(400, "hann", periodic=True),
            frame_length=400,
            hop_length=160,
            fft_length=512,
            power=2.0,
            center=False,
            mel_filters=audio_utils.mel_filter_bank(257, 40, 0.0, 8000.0, 16_000, norm="slaney", mel_scale=scale),
            mel_floor=1e-10,
            log_mel="log",
            dtype=np.float64,
        ).T
    return result


@pytest.fixture(scope="module")
def theirs() -> dict[str, np.ndarray]:
    return of_transformers()


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize(("rate", "fft", "mels", "low", "high"), SIZES)
def test_filters_are_those_of_transformers(theirs, rate, fft, mels, low, high, scale):
    expected = theirs[f"filters {scale} {rate} {fft}"]
    np.testing.assert_allclose(mel_filters(rate, fft, mels, low, high, scale), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_log_mel_is_the_spectrogram_of_transformers(theirs, scale):
    expected = theirs[f"frames {scale}"]
    actual, _ = LogMel(16_000, 400, 160, 40, scale=scale, normalise="none").double()(torch.tensor(SAMPLES)[None])
    assert len(expected) == 23
    np.testing.assert_allclose(actual[0, :23].numpy(), expected, rtol=1e-5, atol=1e-5)
    assert actual.shape == (1, 24, 40)  # they leave out the last frame, which ends in 80 zeros here


def test_mel_scales():
    """1000 Hz is 1000 mel (HTK book, eq. 5.13) and 15 mel (Slaney 1998), where 6400 Hz is 27 more."""
    assert to_mel(np.array([1000.0]), "htk")[0] == pytest.approx(1000.0, abs=0.05)
    np.testing.assert_allclose(to_mel(np.array([0.0, 200 / 3, 1000.0, 6400.0]), "slaney"), [0, 1, 15, 42], atol=1e-12)
    hertz = np.linspace(0, 20_000, 101)
    for scale in ("htk", "slaney"):
        np.testing.assert_allclose(to_hertz(to_mel(hertz, scale), scale), hertz, atol=1e-8)


def test_a_sine_shows_in_its_band_alone():
    rate, hertz = 16_000, 2000.0
    sine = 0.5 * torch.sin(2 * math.pi * hertz * torch.arange(16_000, dtype=torch.float64) / rate)[None]
    frames, _ = LogMel(rate, 512, 256, 20, normalise="none").double()(sine)
    edges = to_hertz(np.linspace(0.0, to_mel(np.array(8000.0), "slaney").item(), 22), "slaney")
    loudest = int(np.argmin(np.abs(edges[1:-1] - hertz)))
    inside = frames[0, :60]  # the last windows end in zeros, which spreads the energy
    assert (inside.argmax(1) == loudest).all()
    far = np.flatnonzero((edges[2:] < hertz - 200) | (edges[:-2] > hertz + 200))
    assert (inside[:, far].amax(1) < inside[:, loudest] - math.log(1e5)).all()


@pytest.mark.parametrize("samples", [0, 1, 399, 400, 401, 560, 561, 4000])
def test_every_sample_is_in_a_frame_and_no_frame_is_beyond(samples):
    log_mel = LogMel(16_000, 400, 160, 20)
    frames, mask = log_mel(torch.zeros(2, samples))
    assert mask is None
    count = frames.shape[1]
    assert count == log_mel.count(samples) == len(range(0, max(1, samples - 400 + 160), 160)) * (samples > 0)


def test_normalised_bands_have_mean_0_and_variance_1_over_real_frames():
    samples = torch.randn(3, 5000, dtype=torch.float64)
    mask = torch.arange(5000) < torch.tensor([[5000], [2500], [1400]])
    frames, real = LogMel(16_000, 400, 160, 20, normalise="utterance").double()(samples, mask)
    for row in range(3):
        own = frames[row][real[row]]
        torch.testing.assert_close(own.mean(0), torch.zeros(20, dtype=torch.float64), atol=1e-9, rtol=0)
        torch.testing.assert_close(own.var(0, correction=0), torch.ones(20, dtype=torch.float64), atol=1e-3, rtol=0)


def test_normalised_levels_keep_the_shape_of_the_spectrum():
    samples = torch.randn(2, 5000, dtype=torch.float64)
    mask = torch.arange(5000) < torch.tensor([[5000], [2500]])
    frames, real = LogMel(16_000, 400, 160, 20, normalise="level").double()(samples, mask)
    plain, _ = LogMel(16_000, 400, 160, 20, normalise="none").double()(samples, mask)
    for row in range(2):
        own, raw = frames[row][real[row]], plain[row][real[row]]
        assert own.mean().item() == pytest.approx(0.0, abs=1e-9)
        assert own.var(correction=0).item() == pytest.approx(1.0, abs=1e-3)
        torch.testing.assert_close(own, (raw - raw.mean()) / raw.std(correction=0), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("normalise", ["utterance", "level"])
def test_loudness_does_not_matter_once_normalised(normalise):
    samples = torch.randn(1, 5000, dtype=torch.float64)
    log_mel = LogMel(16_000, 400, 160, 20, normalise=normalise).double()
    torch.testing.assert_close(log_mel(samples)[0], log_mel(1e-2 * samples)[0], atol=1e-6, rtol=1e-6)


def test_silence_is_finite():
    for normalise in ("utterance", "level", "none"):
        frames, _ = LogMel(16_000, 400, 160, 20, normalise=normalise)(torch.zeros(1, 1000))
        assert frames.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 3}, "stride: must be one of 1, 2, 4, 8, found 3"),
        ({"mels": 0}, "mels: must be from 1 to 512, found 0"),
        (
            {"mels": 500},
            "mels: filter 1 of 500 contains no frequency of the spectrum: choose fewer mels or a longer window",
        ),
        ({"low_hz": 9000.0}, "mels: expected 0 <= low_hz < high_hz <= 8000, got 9000 and 8000"),
        ({"hop_ms": 50.0}, "expected hop_ms <= window_ms and from 1 to 65536 samples each, found 50 and 25 at 16000"),
        ({"window_ms": 1e9, "hop_ms": 1e8}, "expected hop_ms <= window_ms and from 1 to 65536 samples each"),
    ],
)
def test_settings_that_make_no_frames(options, message):
    with pytest.raises(InputError) as caught:
        AudioFrames(**options)
    assert str(caught.value).startswith(message)


def test_a_steady_tone_keeps_its_pitch():
    """Unlike with "utterance", after which nothing is left of a sound that does not change."""
    time = torch.arange(8000, dtype=torch.float64) / 16_000
    tones = torch.stack([torch.sin(2 * math.pi * hertz * time) for hertz in (500.0, 2000.0)])
    low, high = LogMel(16_000, 512, 256, 20).double()(tones)[0].mean(1).argmax(1).tolist()
    assert high > low + 3
    gone = LogMel(16_000, 512, 256, 20, normalise="utterance").double()(tones)[0]
    assert gone.mean(1).abs().max() < 1e-9


if __name__ == "__main__":
    np.savez_compressed(STORED, **of_transformers())
