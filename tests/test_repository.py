"""The repository must not contain large files, private paths or addresses."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Places where packages were fetched from, and paths on one machine, concern no one else.
FORBIDDEN = {
    "package registry": re.compile(
        r"(?:pypi|pythonhosted|download\.pytorch|anaconda|npmjs|artifactory)\.(?:org|com|io)|index-url", re.I
    ),
    "place on a machine": re.compile(r"(?<![\w.:/~-])/(?:home|Users|root|work|tmp|mnt|opt|srv)/[\w.-]"),
    "unfinished work": re.compile(r"\b(?:TODO|FIXME|XXX)\b"),
}


def tracked() -> list[str]:
    """The repository's files; of a copy without its history, all files of the source tree."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    folders = (ROOT / folder for folder in ("src", "tests", "docs"))
    return [str(path.relative_to(ROOT)) for folder in folders for path in folder.rglob("*.*") if path.is_file()]


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_no_file_mentions(kind):
    result = []
    for name in tracked():
        if name == "tests/test_repository.py":
            continue
        text = (ROOT / name).read_bytes().decode("utf-8", "ignore")
        for number, line in enumerate(text.split("\n"), 1):
            if match := FORBIDDEN[kind].search(line):
                result.append(f"{name}:{number}: {match[0]}")
    assert not result, "\n".join(result)


@pytest.mark.parametrize(
    "line", ["see /home/me/x", "'/tmp/a'", "https://pypi.org/simple", "--extra-index-url", "# TODO"]
)
def test_the_patterns_find_what_they_are_for(line):
    assert any(pattern.search(line) for pattern in FORBIDDEN.values())


@pytest.mark.parametrize(
    "line", ["a/home/b", "https://example.org/home/x", "~/tmp/x", "src/work/x", "the /tmp directory"]
)
def test_the_patterns_leave_other_text_alone(line):
    assert not any(pattern.search(line) for pattern in FORBIDDEN.values())


def test_no_large_and_no_pickled_file():
    for name in tracked():
        assert (ROOT / name).stat().st_size < 2**20, f"{name} is larger than a mebibyte"
        assert Path(name).suffix not in {".pt", ".pth", ".pkl", ".pickle", ".npy"}, name


def test_the_table_of_findings_has_a_row_for_each():
    rows = re.findall(r"^\| `([\w.-]+\.sh)` \|", (ROOT / "findings" / "README.md").read_text(encoding="utf-8"), re.M)
    assert sorted(rows) == sorted(path.name for path in (ROOT / "findings").glob("*.sh"))
