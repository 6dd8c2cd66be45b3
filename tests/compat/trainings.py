"""One short training of every task through the command line, and what it leaves. Runs in a process of its own:

    python -m tests.compat.trainings OUT

Writes OUT/<name>/ (a run) for each training, OUT/compared/ (a comparison) and OUT/record.json. Small inputs are made
here, without randomness outside numpy's and the standard library's stable generators.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
from pathlib import Path

# Kernels that give the same bits on every processor of the family; read before torch is imported.
STABLE = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
SMALL = [*("--model.d_model", "16", "--max-steps", "6", "--seed", "3", "--dtype", "float32", "--device", "cpu", "-q"),
         *("--optim.warmup_steps", "100")]  # fmt: skip  # the default of version 0.1.0
SOUND = ["--sound.rate_hz", "4000", "--sound.mels", "12", "--sound.stride", "2"]
TRAININGS: dict[str, list[str]] = {
    "translation": ["--data", "pairs.tsv", "--arch", "bahdanau", "--tokenizer.kind", "bpe", "--tokenizer.size", "280"],
    "translation-dates": ["--data", "builtin:dates?size=400", "--arch", "transformer", "--model.heads", "2"],
    "classification": ["--task", "classification", "--data", "labels.csv", "--arch", "lstm"],
    "classification-images": [*("--data", "builtin:digits", "--arch", "linear", "--limit", "200", "--model.heads", "2"),
                              *("--picture.patch", "1")],  # the default of version 0.1.0
    "forecasting": [*("--data", "builtin:seasonal?length=600", "--arch", "gru", "--lookback", "48"),
                    *("--horizon", "12", "--loss", "quantile")],
    "language": [*("--task", "language", "--data", "text.txt", "--arch", "gated_linear", "--model.heads", "2"),
                 *("--context", "32", "--batch_tokens", "256")],
    "language-stateful": [*("--task", "language", "--data", "text.txt", "--arch", "gru", "--bptt", "stateful"),
                          *("--context", "32", "--batch_tokens", "256", "--tokenizer.kind", "bpe")],
    "transcription": ["--task", "transcription", "--data", "tones/tones.csv", "--arch", "gru", *SOUND],
    "captioning": [*("--task", "captioning", "--data", "quarters/quarters.csv", "--arch", "transformer"),
                   *("--sources", "image:image", "--target_column", "name", "--model.heads", "2"),
                   *("--picture.colour", "grey", "--picture.patch", "4")],
    "answering": [*("--task", "answering", "--data", "quarters/quarters.csv", "--arch", "bahdanau"),
                  *("--picture.colour", "grey", "--picture.patch", "4")],
}  # fmt: skip
# Trainings whose weights are those of version 0.1.0 to rounding alone, and why.
CHANGED = dict.fromkeys(
    ("classification-images", "captioning", "answering"), "learned positions and the vectors of sources decayed then"
) | {"translation": "Bahdanau's decoder was trained by plain operations then, which round otherwise"}
INPUTS: dict[str, list[str]] = {
    "translation": ["drei acht", "neun"],
    "translation-dates": ["3. Mai 1999", "July 4, 2001"],
    "classification": ["a fine red day", "the cold blue sea"],
    "classification-images": [],
    "forecasting": ["series.csv"],
    "language": ["the "],
    "language-stateful": ["the "],
    "transcription": ["tones/0.wav", "tones/1.wav"],
    "captioning": ["quarters/0.png", "quarters/1.png"],
    "answering": ["quarters/0.png\trow?", "quarters/1.png\tcolumn?"],
}


def write_inputs(folder: Path) -> None:
    """The files that the trainings read."""
    import math

    from tests.tasks.media.small import quarters, tones

    digits = ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"]
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    pairs = [(f"{digits[i // 10]} {digits[i % 10]}", f"{names[i // 10]} {names[i % 10]}") for i in range(100)]
    (folder / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in pairs), encoding="utf-8")
    things = ["day", "sea", "house", "road", "field", "hill", "tree"]
    labels = [(f"the {colour} {thing} {i % 3}", colour) for i in range(12) for colour in ("red", "blue")
              for thing in things]  # fmt: skip
    table = "text,label\n" + "".join(f"{text},{label}\n" for text, label in labels)
    (folder / "labels.csv").write_text(table, encoding="utf-8")
    lines = [f"the {a} {b} has {i} {c}s and the {c} has none." for i in range(10) for a in ("red", "old", "wet")
             for b in things for c in things[:4]]  # fmt: skip
    (folder / "text.txt").write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    values = [round(math.sin(t / 4) + t / 100, 4) for t in range(120)]
    rows = "".join(f"2024-01-{1 + t // 24:02d} {t % 24:02d}:00,{value},{-value}\n" for t, value in enumerate(values))
    (folder / "series.csv").write_text("time,s0,s1\n" + rows, encoding="utf-8")
    for name, make in (("tones", tones), ("quarters", quarters)):
        (folder / name).mkdir()
        make(folder / name, 60)


def weights_of(directory: Path) -> dict[str, str]:
    """The hash of every tensor of a saved model."""
    from safetensors.torch import load_file

    tensors = load_file(directory / "model.safetensors")
    return {name: hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:16]
            for name, tensor in sorted(tensors.items())}  # fmt: skip


def command(*arguments: str) -> str:
    """The output of a command, which must succeed."""
    from sightline.cli.app import main

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = main(list(arguments))
    if status:
        raise SystemExit(f"sightline {' '.join(arguments)}: exit status {status}")
    return printed.getvalue()


def trained(name: str, out: Path) -> dict[str, object]:
    """Trains one model in `out`/name; its weights, its losses and its answers."""
    command("train", *TRAININGS[name], *SMALL, "--out-dir", str(out / name), "--json")
    lines = [json.loads(line) for line in (out / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    return {"weights": weights_of(out / name / "last"), "losses": losses, "answers": answers(name, out / name)}


def answers(name: str, model: Path) -> list[object]:
    """The answers of a model to the inputs of its training's name."""
    if not INPUTS[name]:
        return []
    import sightline

    task = sightline.load(model)
    return [answer.record for answer in task.answer(INPUTS[name])]


def main(out: Path) -> None:
    """Everything, in order."""
    import torch

    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    os.chdir(out)
    write_inputs(out)
    record: dict[str, object] = {"torch": torch.__version__.split("+")[0]}
    record["trainings"] = {name: trained(name, out) for name in TRAININGS}
    if "--compare" in sys.argv:
        command("compare", "--data", "builtin:parity?size=300", "--archs", "gru,lstm", "--budget", "12steps", "--seeds",
                "2", "--search", "0", "--model.d_model", "8", "--out-dir", "compared", "-q")  # fmt: skip
    (out / "record.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.update(STABLE)
    main(Path(sys.argv[1]).resolve())
