"""Tables as PostgreSQL's COPY writes them, by a server of one user in a temporary folder."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
# A server refuses to run as root.
USER = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
VERSION = subprocess.run([PROGRAMS / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
VERSION = "PostgreSQL " + VERSION.split()[2]
TABLE = r"""CREATE TABLE pairs (en text, de text, comment text);
INSERT INTO pairs VALUES ('say "no"', 'nein', NULL), (E'line\nbreak', E'Zeile\tTab', 'x'),
(E'back\\slash', 'plain', NULL);
SET timezone = 'Europe/Berlin';
CREATE TABLE load AS SELECT generate_series('2024-07-01 22:00'::timestamptz, '2024-07-02 01:00', '1 hour') AS measured,
generate_series(0, 3) AS v;
CREATE TABLE fine AS SELECT timestamp '2024-07-01' + n * interval '250 ms' AS at, n::numeric AS v
FROM generate_series(0, 3) AS n;
"""


def copy(options: str, path: Path, table: str = "pairs") -> None:
    """A table as COPY with these options writes it."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        if USER:
            shutil.chown(folder, "postgres")
        cluster, out = folder / "cluster", folder / "out"
        subprocess.run([*USER, PROGRAMS / "initdb", "-D", cluster, "-E", "UTF8", "--locale=C"], check=True, stdout=-3)
        commands = TABLE.replace("\n", " ").replace("; ", ";\n") + f"COPY {table} TO '{out}' {options};\n"
        single = [*USER, PROGRAMS / "postgres", "--single", "-D", cluster, "postgres"]
        subprocess.run(single, input=commands, text=True, check=True, stdout=-3, cwd=folder)
        shutil.copyfile(out, path)
    finally:
        shutil.rmtree(folder)


FILES = {
    "copy.tsv": lambda path: copy("", path),
    "copy_header.tsv": lambda path: copy("(HEADER)", path),
    "copy.csv": lambda path: copy("(FORMAT csv, HEADER)", path),
    "zone.csv": lambda path: copy("(FORMAT csv, HEADER)", path, "load"),
    "fine.tsv": lambda path: copy("(HEADER)", path, "fine"),
}
