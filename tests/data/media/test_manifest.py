"""Manifests of common tools: their columns are recognised, their files found, their stretches cut."""

from __future__ import annotations

import io
import json

import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import Image

from sightline.core.errors import InputError
from sightline.data.inputs import InputTable
from sightline.data.labelled.table import Reading, read_labelled
from sightline.data.media.audio import AudioOptions
from sightline.data.media.corpus import MediaReading
from sightline.data.media.files import MediaFile
from sightline.data.media.images import ImageOptions
from sightline.tasks.media.config import MediaTextConfig, SoundConfig
from sightline.tasks.media.sources import SourceColumns

SOUNDS = MediaReading((("source", "audio"),), audio=AudioOptions(8000))
PICTURES = MediaReading((("source", "image"),), image=ImageOptions(colour="grey"))
SAMPLES = np.random.default_rng(0).integers(-9999, 9999, 8000).astype(np.int16)


def sound(samples: np.ndarray = SAMPLES, kind: str = "FLAC") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 8000, format=kind, subtype="PCM_16")
    return buffer.getvalue()


def test_common_voice(tmp_path):
    """Its clips are in a folder of their own; `client_id`, the first column, is not a source."""
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.flac").write_bytes(sound())
    table = tmp_path / "train.tsv"
    table.write_text("client_id\tpath\tsentence\tup_votes\nx1\ta.flac\tGuten Tag.\t2\n")
    part, notes = MediaReading(SOUNDS.sources, audio=SOUNDS.audio, base=tmp_path / "clips").read(table)
    assert (part.targets, part.columns[0].shape(0)) == (("Guten Tag.",), (8000,))
    assert notes == [f"{table}: read the column 'path' as source and 'sentence' as target"]
    with pytest.raises(InputError, match=r"train\.tsv:2: .*a\.flac: no such file.*--base"):
        SOUNDS.read(table)


def test_nemo(tmp_path):
    (tmp_path / "a.flac").write_bytes(sound())
    rows = [{"audio_filepath": "a.flac", "duration": 1.0, "text": "all"},
            {"audio_filepath": "a.flac", "duration": 0.25, "offset": 0.5, "text": "some"}]  # fmt: skip
    for table in (tmp_path / "train.json", tmp_path / "train.jsonl"):
        table.write_text("".join(json.dumps(row) + "\n" for row in rows))
        part, notes = SOUNDS.read(table)
        np.testing.assert_array_equal(part.columns[0].array(0), SAMPLES / np.float32(32768))
        np.testing.assert_array_equal(part.columns[0].array(1), SAMPLES[4000:6000] / np.float32(32768))
        assert part.targets == ("all", "some")
        assert any("'offset' and 'duration'" in note for note in notes)
    table.write_text(json.dumps({**rows[1], "duration": -1}) + "\n")
    with pytest.raises(InputError, match=r":1: 'offset' 0\.5 and 'duration' -1\.0 are not a stretch of time"):
        SOUNDS.read(table)


def test_labels_of_stretches_as_nemo_writes_them(tmp_path):
    """Two labels of one sound: each row is read from 'offset' on for 'duration', not the whole file."""
    (tmp_path / "a.flac").write_bytes(sound())
    rows = [{"audio_filepath": "a.flac", "duration": 0.5, "offset": 0.25, "label": "speech"},
            {"audio_filepath": "a.flac", "duration": 0.25, "offset": 0.0, "label": "background"},
            {"audio_filepath": "a.flac", "duration": None, "label": "all"}]  # fmt: skip
    path = tmp_path / "train.json"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = read_labelled(path, Reading(audio=SOUNDS.audio))
    assert (table.kind, table.labels) == ("audio", [("speech",), ("background",), ("all",)])
    for source, expected in zip(table.sources, (SAMPLES[2000:6000], SAMPLES[:2000], SAMPLES), strict=True):
        np.testing.assert_array_equal(source, expected / np.float32(32768))
    assert table.notes() == [f"{path}: of each sound the stretch is read that 'offset' and 'duration' name"]
    inputs = InputTable(path)  # to predict
    files = [*inputs.each(inputs.open(), lambda record: inputs.file(record, "audio_filepath"))]
    sounds = [tmp_path / "a.flac"] * 3
    assert files == [MediaFile(sounds[0], None, 0.25, 0.5), MediaFile(sounds[1], None, 0.0, 0.25), str(sounds[2])]
    path.write_text(json.dumps({**rows[0], "offset": "x"}) + "\n")
    with pytest.raises(InputError, match=r"train\.json:1: 'offset' is 'x', not a number"):
        [*inputs.each(inputs.open(), lambda record: inputs.file(record, "audio_filepath"))]


def test_new_sounds_of_a_manifest_are_its_stretches(tmp_path):
    (tmp_path / "a.flac").write_bytes(sound())
    path = tmp_path / "new.json"
    path.write_text('{"audio_filepath": "a.flac", "offset": 0.5, "duration": 0.25}\n')
    columns = SourceColumns([("source", "audio")], MediaTextConfig(sound=SoundConfig(rate_hz=8000)))
    (row,) = columns.in_table(InputTable(path))
    part = columns.part_of(row)
    np.testing.assert_array_equal(part.columns[0].array(0), SAMPLES[4000:6000] / np.float32(32768))


def test_sounds_inside_parquet(tmp_path):
    """As `datasets` writes an Audio column; files beyond what is kept are decoded again from their bytes."""
    table = tmp_path / "train.parquet"
    audio = [{"bytes": sound(), "path": "a.flac"}, {"bytes": sound(SAMPLES[:99], "WAV"), "path": None}]
    pl.DataFrame({"audio": audio, "transcription": ["one", "two"]}).write_parquet(table)
    for keep in (0, 1 << 20):
        part, notes = SOUNDS.read(table, keep_bytes=keep)
        assert part.targets == ("one", "two")
        np.testing.assert_array_equal(part.columns[0].array(0), SAMPLES / np.float32(32768))
        np.testing.assert_array_equal(part.columns[0].array(1), SAMPLES[:99] / np.float32(32768))
    assert notes == [f"{table}: read the column 'audio' as source and 'transcription' as target"]
    audio[1]["bytes"] = b"nothing"
    pl.DataFrame({"audio": audio, "transcription": ["one", "two"]}).write_parquet(table)
    with pytest.raises(InputError, match=r"train\.parquet:2: \(the source\): cannot be read as sound"):
        SOUNDS.read(table)


def test_pictures_inside_parquet_and_their_paths(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4)).save(buffer, "PNG")
    (tmp_path / "b.png").write_bytes(buffer.getvalue())
    table = tmp_path / "train.parquet"
    images = [{"bytes": buffer.getvalue(), "path": "a"}, {"bytes": None, "path": "b.png"}]
    pl.DataFrame({"image": images, "text": ["one", "two"]}).write_parquet(table)
    part, _ = PICTURES.read(table)
    assert part.columns[0].shown(0) == "a"
    for row in (0, 1):
        np.testing.assert_array_equal(part.columns[0].array(row)[0], np.arange(16).reshape(4, 4))


def test_deep_pictures_are_noted(tmp_path):
    Image.fromarray(np.array([[0, 4095]], np.uint16)).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("source,target\na.png,x\n")
    corpus = PICTURES.corpus(*[tmp_path / "t.csv"] * 3)
    assert corpus.describe().parts["train"]["source_levels"] == "0 to 15"
    assert any("set --picture.white 4095" in note for note in corpus.notes)


def test_what_is_named_is_taken(tmp_path):
    (tmp_path / "a.flac").write_bytes(sound())
    (tmp_path / "t.csv").write_text("path,text,sentence\na.flac,one,two\n")
    part, notes = MediaReading((("path", "audio"),), "text", audio=SOUNDS.audio).read(tmp_path / "t.csv")
    assert (part.targets, notes) == (("one",), [])
    assert SOUNDS.read(tmp_path / "t.csv")[0].targets == ("two",)


@pytest.mark.parametrize("name", ["a" * 300, "a" * 300 + "#1"])
def test_a_path_that_is_too_long(name, tmp_path):
    (tmp_path / "t.csv").write_text(f"source,target\n{name},x\n")
    for reading in (SOUNDS, PICTURES):
        with pytest.raises(InputError, match=r"t\.csv:2: "):
            reading.read(tmp_path / "t.csv")


def test_a_path_that_cannot_be_printed(tmp_path):
    (tmp_path / "t.csv").write_text("source,target\na\x1b.wav,x\n")
    with pytest.raises(InputError, match=r"t\.csv:2: the path 'a\\x1b\.wav' contains characters"):
        SOUNDS.read(tmp_path / "t.csv")


def test_what_is_too_small_to_train_on_is_described(tmp_path):
    (tmp_path / "a.flac").write_bytes(sound())
    (tmp_path / "t.csv").write_text("source,target\na.flac,x\n")
    corpus = SOUNDS.corpus(tmp_path / "t.csv", trainable=False)
    assert {name: part["items"] for name, part in corpus.describe().parts.items()} == {
        "train": 1,
        "valid": 0,
        "test": 0,
    }
    for refused in (corpus.check, lambda: SOUNDS.corpus(tmp_path / "t.csv")):
        with pytest.raises(InputError, match="1 different source cannot be split into 3 parts"):
            refused()
