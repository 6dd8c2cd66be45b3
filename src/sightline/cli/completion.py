"""`sightline completion`: a script that completes commands and flags in a shell."""

from __future__ import annotations

from typing import Literal


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a script that completes the commands and flags of `sightline` in a shell.

    bash: `source <(sightline completion bash)` in ~/.bashrc; zsh: the same with zsh in ~/.zshrc, after compinit; fish:
    `sightline completion fish | source` in ~/.config/fish/config.fish.

    Args:
        shell: The shell to print the script for.
    """
    from sightline.cli.app import build

    print(build().generate_completion(prog_name="sightline", shell=shell))
