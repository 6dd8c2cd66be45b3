"""Data sets of GluonTS: JSON lines beside metadata.json; and a .tsf file that its reader understands."""

import gluonts
import numpy
import pandas
from gluonts.dataset.common import MetaData, TrainDatasets
from gluonts.dataset.jsonl import JsonLinesWriter
from gluonts.dataset.repository._tsf_reader import TSFReader

VERSION = f"gluonts {gluonts.__version__}"
MONASH = """# Series of the Monash archive, in the format of its definition
@relation tourism
@attribute series_name string
@attribute start_timestamp date
@frequency monthly
@horizon 2
@missing true
@equallength false
@data
T1:1979-11-01 00-00-00:1.5,2,?,4,5,6,7,8,9,10
T2:1980-01-01 00-00-00:10,20,30
"""


def entry(start, freq, target, **more):
    """One series."""
    return {"start": pandas.Period(start, freq), "target": numpy.array(target), **more}


def writer(freq, entries, *, use_gzip=False):
    """Writes a data set; the file asked for is the one of its training part."""

    def write(path):
        sets = TrainDatasets(metadata=MetaData(freq=freq, prediction_length=1), train=entries, test=[])
        sets.save(str(path.parent.parent), JsonLinesWriter(use_gzip=use_gzip), overwrite=True)

    return write


def monash(path):
    """The file, if GluonTS reads it so."""
    path.write_text(MONASH)
    _, (first, second) = TSFReader(path).read()
    assert [second["series_name"], *second["target"]] == ["T2", 10, 20, 30], second
    assert numpy.isnan(first["target"]).tolist() == [False, False, True, *[False] * 7], first


DAYS = [entry("2024-02-28", "D", [1.0, 2, 3], item_id="a"), entry("2024-02-29", "D", [4.0, 5, 6], item_id="b")]
FILES = {
    "days/train/data.json.gz": writer("D", DAYS, use_gzip=True),
    "hours/train/data.json": writer("h", [entry("2024-02-28 23:00", "h", [[1.0, 2], [3, 4]], item_id="a")]),
    "weeks/train/data.json": writer("W-SUN", [entry("2024-01-01", "W-SUN", [1.0, 2])]),
    "quarters/train/data.json": writer("Q-DEC", [entry("2023Q4", "Q-DEC", [1.0, float("nan"), 3])]),
    "years/train/data.json": writer("Y-DEC", [entry("2023", "Y-DEC", [1.0, 2], feat_static_cat=[3])]),
    "tourism.tsf": monash,
}
