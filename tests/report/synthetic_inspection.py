"""Inspections without a model: texts, a series, a sound, an image, in which the weights follow a plain pattern."""

from __future__ import annotations

import numpy as np

from sightline.inspect.influence_map import InfluenceMap, InspectedInput, InspectedModel, InspectedOutput, Inspection

SOURCE = ["the", "black", "cat", "sat", "on", "the", "mat", ".", "</s>"]
TARGET = ["die", "schwarze", "Katze", "saß", "auf", "der", "Matte", ".", "</s>"]
MEANING = "Each row is a probability distribution over the columns: how the head mixes their values."
LIMITS = "It does not say how much an output would change without the column."


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def diagonal(heads: int, rows: int, columns: int, seed: int, *, causal: bool = False) -> np.ndarray:
    """Weights around the diagonal, each head at another distance and width."""
    random = np.random.default_rng(seed)
    row, column = np.arange(rows)[:, None] / max(rows, 1), np.arange(columns) / max(columns, 1)
    logits = np.stack(
        [
            -((row - column - 0.06 * head) ** 2) * 40 / (head + 1) + random.normal(0, 0.7, (rows, columns))
            for head in range(heads)
        ]
    )
    if causal:
        logits = np.where(np.arange(columns) > np.arange(rows)[:, None], -np.inf, logits)
    return softmax(logits)


def window(rows: int, width: int) -> np.ndarray:
    distance = np.arange(rows)[:, None] - np.arange(rows)
    return (distance >= width) & (distance > 0)


def translation(
    source: list[str] = SOURCE,
    target: list[str] = TARGET,
    *,
    layers: int = 2,
    heads: int = 4,
    name: str = "runs/transformer",
) -> Inspection:
    """A Transformer: encoder, decoder with a window, attention to the source, a signed gradient, an effect."""
    n, m = len(source), len(target)
    maps = []
    for layer in range(layers):
        encoder = diagonal(heads, n, n, layer)
        hidden = window(m, 4)
        decoder = np.where(hidden, 0.0, diagonal(heads, m, m, 10 + layer, causal=True))
        cross = diagonal(heads, m, n, 20 + layer)
        for path, kind, rows, columns, weights, skipped in [
            ("cross", "cross", "output", "source", cross, None),
            ("encoder", "self", "source", "source", encoder, None),
            ("decoder", "self", "output", "output", decoder, hidden),
        ]:
            probe = f"{path}.blocks.{layer}.mixer.weights"
            maps.append(
                InfluenceMap(
                    probe, layer, "softmax", kind, rows, columns, weights, skipped, meaning=MEANING, limits=LIMITS
                )
            )
    signed = np.random.default_rng(3).normal(0, 0.2, (1, m, n)) * diagonal(1, m, n, 4)
    effect = np.abs(diagonal(1, m, n, 5)) * 3.7
    maps += [
        InfluenceMap(
            "model", -1, "gradient", "cross", "output", "source", signed, None, True,
            "The change of the output's logit for a small step along the input's vector.",
            "A small gradient does not prove that a token is unused: the model may be saturated.",
        ),
        InfluenceMap(
            "model", -1, "effect", "cross", "output", "source", effect, None, False,
            "How much the log-probability of each output falls when a token is replaced.",
            "Of two tokens that can replace each other, neither seems to count.",
        ),
    ]  # fmt: skip
    probability = [0.5 + 0.49 * np.cos(i) ** 2 for i in range(m)]
    return Inspection(
        InspectedModel(name, "transformer", "translation", 1_234_567),
        InspectedInput("text", source, (" " if max(map(len, source[:-1])) > 1 else "").join(source[:-1])),
        InspectedOutput(target, ["<s>", *target[:-1]], probability),
        maps,
        notes=["jacobian: the model has no recurrent layer"],
        command=f"sightline inspect {name} 'the black cat sat on the mat .' -o page.html",
    )


def recurrent(source: list[str] = SOURCE, target: list[str] = TARGET) -> Inspection:
    """An LSTM: one map of Jacobian norms, without heads."""
    m, n = len(target), len(source)
    fading = np.exp(-np.abs(np.arange(n) - np.arange(m)[:, None] - 1) / 2.0)[None]
    one = InfluenceMap(
        "model", -1, "jacobian", "cross", "output", "source", fading, None, False,
        "The size of the output's derivative with respect to each input vector.",
        "It is about small changes of the input only.",
    )  # fmt: skip
    return Inspection(
        InspectedModel("runs/lstm", "lstm", "translation", 987_654),
        InspectedInput("text", source, " ".join(source[:-1])),
        InspectedOutput(target, [], [0.5] * m),
        [one],
        command="sightline inspect runs/lstm 'the black cat sat on the mat .'",
    )


def series() -> Inspection:
    """A forecast of 24 steps from 96 values of two channels, in patches of eight."""
    t = np.arange(120)
    values = np.stack([np.sin(t / 24 * 2 * np.pi) + 0.01 * t, 30 + 10 * np.cos(t / 12 * 2 * np.pi)], 1)
    weights = diagonal(2, 24, 12, 6)
    skipped = np.zeros((24, 12), bool)
    skipped[:, :2] = True
    return Inspection(
        InspectedModel("runs/forecast", "patch-transformer", "forecasting", 54_321),
        InspectedInput(
            "series", [f"{i}–{i + 7}" for i in range(0, 96, 8)], "ETTh1", [[i, i + 8] for i in range(0, 96, 8)],
            values=values[:96].astype(np.float32), channels=["oil temperature", "load"],
        ),
        InspectedOutput([f"+{i}" for i in range(1, 25)], values=values[96:].astype(np.float32)),
        [InfluenceMap("model", 0, "softmax", "cross", "output", "source", np.where(skipped, 0, weights), skipped,
                      meaning=MEANING, limits=LIMITS)],
        command="sightline inspect runs/forecast etth1.csv",
    )  # fmt: skip


def sound() -> Inspection:
    """A spectrogram of 200 frames with a rising tone, of which a class is told."""
    frequency, frame = np.arange(64)[:, None], np.arange(200)
    tone = np.exp(-((frequency - 10 - frame / 5) ** 2) / 8) + 0.6 * np.exp(-((frequency - 20 - frame / 2.5) ** 2) / 12)
    noise = 0.1 * np.random.default_rng(8).random((64, 200))
    self_map = diagonal(4, 50, 50, 9)
    cross = softmax(-((np.arange(50) - 20) ** 2) / 40.0)[None, None]
    return Inspection(
        InspectedModel("runs/digits", "conformer", "classification", 321_000),
        InspectedInput(
            "audio", [f"{i * 0.04:.2f} s" for i in range(50)], "seven.wav", [[4 * i, 4 * i + 4] for i in range(50)],
            spectrogram=(tone + noise).astype(np.float32), frame_s=0.01,
        ),
        InspectedOutput(["seven"], probability=[0.93]),
        [
            InfluenceMap("pool.weights", 0, "softmax", "cross", "output", "source", cross, meaning=MEANING,
                         limits=LIMITS),
            InfluenceMap("encoder.weights", 0, "softmax", "self", "source", "source", self_map, meaning=MEANING,
                         limits=LIMITS),
        ],
        command="sightline inspect runs/digits seven.wav",
    )  # fmt: skip


def image() -> Inspection:
    """A digit of 28 × 28 pixels in 7 × 7 patches, with a class token before them."""
    y, x = np.mgrid[:28, :28]
    ring = np.exp(-((np.hypot(x - 13.5, y - 13.5) - 8) ** 2) / 4)
    pixels = (255 * ring).astype(np.uint8)[..., None]
    patches = ring.reshape(7, 4, 7, 4).mean((1, 3)).ravel()
    weights = softmax(5 * np.concatenate([[0.1], patches]))[None, None]
    near = np.hypot(*(np.indices((7, 7)).reshape(2, -1)[:, :, None] - np.indices((7, 7)).reshape(2, -1)[:, None]))
    logits = np.full((2, 50, 50), -1.0)
    logits[:, 1:, 1:] = -near * np.array([0.5, 1.5])[:, None, None]
    labels = ["class", *(f"row {r}, column {c}" for r in range(1, 8) for c in range(1, 8))]
    return Inspection(
        InspectedModel("runs/mnist", "vision-transformer", "classification", 42_000),
        InspectedInput("image", labels, "zero.png", pixels=pixels, grid=[7, 7]),
        InspectedOutput(["0"], probability=[0.99]),
        [
            InfluenceMap("model", 0, "rollout", "cross", "output", "source", weights, meaning=MEANING, limits=LIMITS),
            InfluenceMap("encoder.weights", 0, "softmax", "self", "source", "source", softmax(logits),
                         meaning=MEANING, limits=LIMITS),
        ],
        command="sightline inspect runs/mnist zero.png",
    )  # fmt: skip


def question() -> Inspection:
    """A picture of 2 × 2 patches and a question of two words, which one encoder reads."""
    pixels = np.kron(np.array([[230, 60], [90, 30]], np.uint8), np.ones((4, 4), np.uint8))[..., None]
    weights = np.array([[[0.4, 0.1, 0.05, 0.05, 0.35, 0.05], [0.1, 0.1, 0.1, 0.1, 0.1, 0.5]]])
    own = softmax(np.random.default_rng(5).normal(0, 1, (2, 6, 6)))
    return Inspection(
        InspectedModel("runs/answering", "transformer", "answering", 12_345),
        InspectedInput(
            "image", ["1, 1", "1, 2", "2, 1", "2, 2", "row", "?"], "0.png · row?",
            [[0, 1], [1, 2], [2, 3], [3, 4], [0, 0], [0, 0]], pixels=pixels, grid=[2, 2],
        ),
        InspectedOutput(["n", "</s>"], ["<s>", "n"], [0.9, 0.8]),
        [
            InfluenceMap("decoder.weights", 0, "softmax", "cross", "output", "source", weights, meaning=MEANING,
                         limits=LIMITS),
            InfluenceMap("encoder.weights", 0, "softmax", "self", "source", "source", own, meaning=MEANING,
                         limits=LIMITS),
        ],
        command="sightline inspect runs/answering $'0.png\\trow?'",
    )  # fmt: skip


def long(length: int = 2000) -> Inspection:
    """One head over `length` tokens, of which those before a window are skipped."""
    tokens = [f"w{i % 97}" for i in range(length)]
    distance = np.arange(length)[:, None] - np.arange(length)
    weights = np.where((distance >= 0) & (distance < 1200), 1.0 / (1 + np.abs(distance)), 0.0)
    weights[:, ::97] += 0.2 * (distance[:, ::97] >= 0)
    skipped = distance >= 1200
    one = InfluenceMap(
        "blocks.0.mixer.weights", 0, "softmax", "self", "source", "source", np.where(skipped, 0, weights)[None],
        skipped, meaning=MEANING, limits=LIMITS,
    )  # fmt: skip
    return Inspection(
        InspectedModel("runs/long", "transformer", "language modelling", 1_000_000),
        InspectedInput("text", tokens, " ".join(tokens[:40])),
        InspectedOutput([]),
        [one],
        command="sightline inspect runs/long text.txt",
    )
