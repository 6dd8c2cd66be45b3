#!/usr/bin/env bash
# ruamel.yaml 0.19.1: in its mode for YAML 1.2, unquoted scalars still get types that YAML 1.2 does not have.
#
# 2020-01-01 becomes a date, 1_000 the integer 1000, 1_0.5 the number 10.5 and 0b11 the integer 3. The scalars = and <<
# raise ConstructorError. In the core schema of YAML 1.2 (section 10.3.2) all six are strings. The documentation lists
# what its 1.2 mode changes (yes, no, on and off, octal numbers, base 60, exponents) and does not name these.
#
# Why a good guess is wrong: ruamel.yaml is chosen for YAML 1.2, where "everything else is a string", and `no` is one
# indeed. In a configuration a run named 1_000 loses its name, a separator "=" cannot be read, and the first day of a
# split becomes an object that JSON cannot write. Another parser of YAML 1.2 reads the same file differently.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ruamel.yaml==0.19.1
"$folder/venv/bin/python" - <<'PY'
import sys

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError


def load(scalar):
    yaml = YAML(typ="safe")
    yaml.version = (1, 2)
    try:
        return yaml.load(f"value: {scalar}")["value"]
    except ConstructorError:
        return ConstructorError


values = {scalar: load(scalar) for scalar in ("no", "12:30", "2020-01-01", "1_000", "1_0.5", "0b11", "=", "<<")}
for scalar, value in values.items():
    print(f"{scalar:10} string in YAML 1.2, loaded as {value.__name__ if isinstance(value, type) else repr(value)}")
strings = [scalar for scalar, value in values.items() if isinstance(value, str)]
sys.exit(strings != ["no", "12:30"])
PY
