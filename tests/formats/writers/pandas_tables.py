"""Tables as pandas writes them."""

import pandas

VERSION = f"pandas {pandas.__version__}"
PAIRS = pandas.DataFrame({"source": ['say "no"', "line\nbreak", "plain"], "target": ["nein", "Zeile\tTab", "schlicht"]})

FILES = {
    "pairs.csv": lambda path: PAIRS.to_csv(path, index=False),
}
