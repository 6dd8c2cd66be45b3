"""Manifests as items: divided and hashed by content; errors name the line."""

from __future__ import annotations

import gzip
import shutil
import struct
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from PIL import Image

from sightline.core.errors import InputError
from sightline.data.media.audio import AudioOptions
from sightline.data.media.columns import AudioReader, ImageReader, Store
from sightline.data.media.corpus import MediaReading
from sightline.data.media.images import ImageOptions

SOUNDS = MediaReading((("source", "audio"),), audio=AudioOptions(8000))
BOTH = MediaReading((("image", "image"), ("question", "text")), target="answer")


def noise(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(-9999, 9999, 200 + number).astype(np.int16)


@pytest.fixture
def clips(tmp_path):
    """A manifest of forty sounds, of which every four are the same."""
    rows = []
    for number in range(40):
        soundfile.write(tmp_path / f"{number}.wav", noise(number // 4), 8000)
        rows.append(f"{number}.wav,word {number // 4}")
    manifest = tmp_path / "clips.csv"
    manifest.write_text("source,target\n" + "\n".join(rows) + "\n")
    return manifest


def test_samples_and_targets_are_paired(clips):
    part, notes = SOUNDS.read(clips)
    assert notes == []
    assert len(part) == 40
    assert part.places[3] == f"{clips}:5"
    np.testing.assert_array_equal(part.columns[0].array(9), noise(2) / np.float32(32768))
    assert part.columns[0].shape(9) == (202,)
    assert part.targets[9] == "word 2"
    some = part.select([9, 0])
    assert some.targets == ("word 2", "word 0")
    np.testing.assert_array_equal(some.columns[0].array(1), part.columns[0].array(0))


def test_equal_sounds_are_never_on_both_sides(clips):
    corpus = SOUNDS.corpus(clips)
    assert sum(corpus.sizes.values()) == 40
    assert all(corpus.sizes.values())
    sides = [{part.digest(row) for row in range(len(part))} for part in (corpus.train, corpus.valid, corpus.test)]
    assert len(set.union(*sides)) == sum(map(len, sides)) == 10
    assert SOUNDS.corpus(clips, seed=1).test.targets != corpus.test.targets


def test_the_hash_is_of_the_content(clips, tmp_path):
    """Other files of the same samples are the same data; another sample, or another target, is not."""
    sha256 = SOUNDS.corpus(clips, clips, clips).sha256
    other = tmp_path / "other"
    other.mkdir()
    for number in range(40):
        soundfile.write(other / f"{number}.flac", noise(number // 4), 8000, subtype="PCM_16")
    text = clips.read_text().replace(".wav,", ".flac\t").replace("source,target", "source\ttarget")
    (other / "clips.tsv").write_text(text)
    assert SOUNDS.corpus(*[other / "clips.tsv"] * 3).sha256 == sha256
    (other / "clips.tsv").write_text(text.replace("word 9", "word 8"))
    assert SOUNDS.corpus(*[other / "clips.tsv"] * 3).sha256 != sha256
    (other / "clips.tsv").write_text(text)
    soundfile.write(other / "7.flac", noise(11), 8000, subtype="PCM_16")
    assert SOUNDS.corpus(*[other / "clips.tsv"] * 3).sha256 != sha256


def test_items_in_training_and_test_are_noted(clips, tmp_path):
    test = tmp_path / "test.csv"
    soundfile.write(tmp_path / "new.wav", noise(77), 8000)
    test.write_text("source,target\nnew.wav,x\n3.wav,word 0\n")
    corpus = SOUNDS.corpus(clips, test=test)
    assert corpus.notes == (f"1 of 2 test sources occurs in training too ({test}:3)",)


def test_bad_files_are_an_error_or_are_skipped_and_noted(clips):
    (clips.parent / "7.wav").unlink()
    shutil.copy(clips, clips.parent / "8.wav")
    with pytest.raises(InputError) as caught:
        SOUNDS.read(clips)
    assert (
        str(caught.value) == f"{clips}:9: {clips.parent / '7.wav'}: no such file, or leave such rows out by --skip-bad"
    )
    part, notes = MediaReading(SOUNDS.sources, audio=SOUNDS.audio, skip_bad=True).read(clips)
    assert len(part) == 38
    assert len(notes) == 1
    assert notes[0].startswith(f"{clips}: skipped 2 bad rows: {clips}:9: ")
    for number in range(40):
        (clips.parent / f"{number}.wav").unlink(missing_ok=True)
    with pytest.raises(InputError, match="no good row: 40 bad ones, first "):
        MediaReading(SOUNDS.sources, skip_bad=True).read(clips)


def test_limit_reads_no_further(clips):
    (clips.parent / "7.wav").unlink()
    part, _ = MediaReading(SOUNDS.sources, audio=SOUNDS.audio, limit=7).read(clips)
    assert len(part) == 7


@pytest.mark.parametrize("limit", [1, 2, 5, 300])
def test_a_limit_is_of_each_part_the_first_items_of_the_whole_data(limit, tmp_path):
    """A text beside the picture, so that the part goes by both, and every item twice."""
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "a.png")
    rows = [f"a.png,question {number // 2},{number}" for number in range(200)]
    (tmp_path / "asked.csv").write_text("image,question,answer\n" + "\n".join(rows) + "\n")
    whole = BOTH.corpus(tmp_path / "asked.csv")
    some = replace(BOTH, limit=limit).corpus(tmp_path / "asked.csv")
    for name, part in whole.parts.items():
        assert some.parts[name].targets == part.targets[:limit]
    tested = replace(BOTH, limit=limit).corpus(tmp_path / "asked.csv", test=tmp_path / "asked.csv")
    assert tested.test.targets == tuple(map(str, range(200)))[:limit]
    assert len(tested.valid) == min(limit, len(BOTH.corpus(tmp_path / "asked.csv", test=tmp_path / "asked.csv").valid))


def test_with_a_limit_files_are_read_until_each_part_has_enough(tmp_path):
    rows = []
    for number in range(60):
        soundfile.write(tmp_path / f"{number}.wav", noise(number), 8000)
        rows.append(f"{number}.wav,{number}")
    (tmp_path / "clips.csv").write_text("source,target\n" + "\n".join(rows) + "\n")
    needed = max(int(part.targets[0]) for part in SOUNDS.corpus(tmp_path / "clips.csv").parts.values())
    for number in range(needed + 1, 60):
        (tmp_path / f"{number}.wav").unlink()
    assert set(replace(SOUNDS, limit=1).corpus(tmp_path / "clips.csv").sizes.values()) == {1}
    (tmp_path / f"{needed}.wav").unlink()
    with pytest.raises(InputError, match="no such file"):
        replace(SOUNDS, limit=1).corpus(tmp_path / "clips.csv")


def test_what_does_not_fit_is_read_again(clips):
    kept, _ = SOUNDS.read(clips)
    again, _ = SOUNDS.read(clips, keep_bytes=2000)
    for row in range(40):
        np.testing.assert_array_equal(again.columns[0].array(row), kept.columns[0].array(row))
    soundfile.write(clips.parent / "39.wav", noise(3), 8000)
    kept.columns[0].array(39)
    with pytest.raises(InputError) as caught:
        again.columns[0].array(39)
    assert str(caught.value) == f"{clips}:41: {clips.parent / '39.wav'}: has changed since it was first read"


def test_several_sources(tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    manifest = tmp_path / "asked.jsonl"
    manifest.write_text('{"image": "a.png", "question": "What?", "answer": "A ramp."}\n')
    part, _ = BOTH.read(manifest)
    np.testing.assert_array_equal(part.columns[0].array(0), pixels.transpose(2, 0, 1))
    assert part.columns[1].texts == ("What?",)
    assert part.targets == ("A ramp.",)
    lower, _ = MediaReading(BOTH.sources, "answer", lowercase=True).read(manifest)
    assert (lower.columns[1].texts, lower.targets) == (("what?",), ("a ramp.",))


@pytest.fixture
def digits(tmp_path):
    values = np.arange(2 * 3 * 4, dtype=np.uint8)
    head = b"\0\0\x08\x03" + struct.pack(">III", 2, 3, 4)
    (tmp_path / "digits.gz").write_bytes(gzip.compress(head + values.tobytes()))
    return values.reshape(2, 3, 4)


def test_pictures_of_an_idx_file(digits, tmp_path):
    read = ImageReader(ImageOptions(colour="grey"))
    np.testing.assert_array_equal(read(tmp_path / "digits.gz#1"), digits[1][None])
    assert ImageReader(ImageOptions())(tmp_path / "digits.gz#0").shape == (3, 3, 4)
    with pytest.raises(InputError, match=r"digits\.gz: has no picture 2, only 2, counted from 0"):
        read(tmp_path / "digits.gz#2")
    with pytest.raises(InputError, match=r"digits\.gz: has 3 x 4 pixels, expected 4 x 4: set --picture"):
        ImageReader(ImageOptions((4, 4)))(tmp_path / "digits.gz#0")
    with pytest.raises(InputError, match=r"nowhere\.gz: no such file"):
        read(tmp_path / "nowhere.gz#0")
    (tmp_path / "labels").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 2) + b"\7\7")
    with pytest.raises(InputError, match="labels: contains no pictures but an array of 1 dimensions"):
        read(tmp_path / "labels#0")


@pytest.mark.parametrize("fit", ["stretch", "pad"])
@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_pictures_of_an_idx_file_are_fitted_as_those_of_other_files(digits, tmp_path, fit, colour):
    read = ImageReader(ImageOptions((6, 5), fit, colour, ground=9))
    for number, pixels in enumerate(digits):
        Image.fromarray(pixels).save(tmp_path / "one.png")
        np.testing.assert_array_equal(read(tmp_path / f"digits.gz#{number}"), read(tmp_path / "one.png"))


def test_a_name_with_a_number_sign_is_still_a_name(tmp_path):
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "track#1.png")
    assert ImageReader(ImageOptions())(tmp_path / "track#1.png").shape == (3, 2, 2)


def test_a_store_names_the_place_of_a_bad_file(tmp_path):
    with pytest.raises(InputError) as caught:
        Store(AudioReader(AudioOptions())).add(tmp_path / "a.wav", "input 3")
    assert str(caught.value) == f"input 3: {tmp_path / 'a.wav'}: no such file"
