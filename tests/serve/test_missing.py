"""What a user is told where FastAPI is not installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from sightline.cli.app import main


@pytest.mark.skipif(find_spec("fastapi") is not None, reason="FastAPI is installed")
def test_the_command_says_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "runs/none"]) == 3
    assert capsys.readouterr().err.endswith(": pip install 'sightline[serve]'\n")
