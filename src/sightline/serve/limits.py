"""Everything that a server bounds, in one place: sizes, counts and times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from sightline.core.settings import CheckedConfig, key


@final
@dataclass(frozen=True)
class ServerLimits(CheckedConfig):
    """The bounds of a server; each refusal names the bound."""

    queue: int = key(256, "Inputs that may wait for one model; more are refused with 429.", at_least=1)
    batch_size: int = key(64, "Maximum number of inputs computed together.", at_least=1)
    wait_ms: float = key(2.0, "Milliseconds that a batch waits for more inputs.", at_least=0, at_most=1000)
    timeout_s: float = key(30.0, "Seconds after which an answer is given up, with 504.", above=0, at_most=3600)
    body_bytes: int = key(8 << 20, "Bytes of a request.", at_least=1024)
    bodies_bytes: int = key(128 << 20, "Bytes of all requests that are held at once.", at_least=1024)
    body_s: float = key(10.0, "Seconds in which a request must have arrived.", above=0)
    inputs: int = key(64, "Inputs of one request.", at_least=1)
    characters: int = key(20_000, "Characters of one text.", at_least=1)
    numbers: int = key(200_000, "Numbers of one series.", at_least=1)
    pixels: int = key(16_000_000, "Pixels of one picture, once decoded.", at_least=1)
    new_tokens: int = key(1024, "Tokens of one output.", at_least=1)
    beam: int = key(16, "Beam width.", at_least=1)
    samples: int = key(16, "Outputs of one prompt.", at_least=1)
    map_positions: int = key(400, "Characters of a text, or steps of a series, that maps are made of.", at_least=1)
    pages: int = key(16, "Pages of influence maps that are kept.", at_least=1)
    pages_bytes: int = key(64 << 20, "Bytes of all these pages.", at_least=1)
    connections: int = key(512, "Open connections; more are refused with 503.", at_least=1)

    def seconds(self, asked: float | None) -> float:
        """The seconds that a request may take which asks for so many, or for none."""
        return self.timeout_s if asked is None else min(asked, self.timeout_s)
