"""The cost of a bare import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import sightline
from tests.tasks.translation import small


def test_import_sightline_loads_no_torch():
    code = "import sys, sightline; dir(sightline); sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_name_is_an_attribute_error():
    code = "import sightline; assert not hasattr(sightline, 'nonsense'); sightline.SequenceMixer"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_loads_and_there_are_no_others():
    assert set(sightline.__all__) == {*sightline._NAMES, "__version__"}
    assert all(getattr(sightline, name) is not None for name in sightline.__all__)


# What an answer does without: torch's compiler takes longer to import than torch itself, the others up to a second.
HEAVY = ("torch._dynamo", "torch._inductor", "scipy", "sklearn", "polars", "pandas", "matplotlib", "sacrebleu",
         "jinja2", "transformers", "huggingface_hub", "PIL", "soundfile", "rich.live")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["gru", "transformer", "bahdanau"])
def test_an_answer_imports_little(arch: str, tmp_path: Path) -> None:
    small.untrained(arch).save(tmp_path / "model")
    code = (
        f"import sys; sys.argv = ['sightline', 'predict', {str(tmp_path / 'model')!r}, '12']\n"
        "from sightline.cli.app import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        f"print('imported:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("imported: []\n")
