"""Do exports to CTranslate2 write the tokens that we write? On Multi30k: a translator and a language model of English.

    make verify-ctranslate2
    make verify-ctranslate2 ARGS="--steps 100 --items 100"

Both are small Transformers that are trained for a few minutes, or loaded where they have been (`--runs`). Each is
exported as `sightline export` does it, and decodes the test part in CTranslate2 and here: greedily; with a beam over
outputs of one length, where both searches have the same rules; and with a beam over outputs that end where the model
ends them, where the rules differ (the engine keeps its width when an output ends). The engine divides the probability
of tokens that are not allowed among the others, which ours does not; over outputs of one length ours does here too.

Where tokens differ, our model scores both outputs: a tie is a choice between two tokens, or two outputs of a search,
whose log-probabilities differ by less than `TIE`. Exit status 5 if a greedy output or one of a beam over one length
differs otherwise, or the engine's score of an output is not ours.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from record import measured, write
from sightline.data.tokens.tokenizer import Tokenizer
from sightline.decoding.engine import DecodingConfig, decode
from sightline.decoding.prompt import after_prompt
from sightline.export import FORMATS, export
from sightline.export.ctranslate2 import vocabulary
from sightline.tasks.fit import train_run
from sightline.tasks.language.config import TextTokenizerConfig
from sightline.tasks.language.generation import read_prompts
from sightline.tasks.language.task import LanguageTask
from sightline.tasks.load import load
from sightline.tasks.texts_out.config import TokenizerConfig
from sightline.tasks.texts_out.writer import begin
from sightline.tasks.translation.task import TranslationTask
from sightline.training.progress import reporting

OUT = Path(__file__).parent / "results" / "ctranslate2.json"
BANNED = (Tokenizer.PAD, Tokenizer.BOS, Tokenizer.UNK)
TIE = 1e-4  # nats
BEAM, LENGTH, PROMPT = 4, 20, 3
SUPPRESSED = {"suppress_sequences": [["<pad>"], ["<s>"]], "disable_unk": True}


@dataclass(frozen=True)
class Search:
    """How outputs are searched for; `fixed`: all are LENGTH tokens long."""

    name: str
    beam: int
    fixed: bool


SEARCHES = (
    Search("greedy", 1, False),
    Search("greedy, one length", 1, True),
    Search(f"beam {BEAM}, one length", BEAM, True),
    Search(f"beam {BEAM}", BEAM, False),
)


class Subject(ABC):
    """A trained model here and in the engine."""

    name: str
    longest: int

    def __init__(self, task: Any, directory: Path) -> None:
        self.task, self.model = task, task.stored_model.eval()
        export(task, FORMATS["ctranslate2"], directory)

    @abstractmethod
    def ours(self, config: DecodingConfig, length: int, banned: Sequence[int], without: Sequence[int]) -> list[Any]:
        """The best hypothesis for each item; tokens of `without` are none of the model's."""

    def step(self, without: Sequence[int]) -> Any:
        def limited(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
            logits, state = self.model.step(tokens, state)
            return logits.index_fill(1, torch.tensor(without, dtype=torch.long), -torch.inf), state

        return limited

    @abstractmethod
    def theirs(self, **options: Any) -> list[tuple[tuple[int, ...], float]]:
        """The best output of the engine for each item, and its score: the sum of its log-probabilities."""

    @abstractmethod
    def chances(self, item: int, tokens: Sequence[int]) -> Tensor:
        """Log-probabilities (T + 1, V) of what follows each of the first tokens of an output for an item."""

    @torch.no_grad()
    def score(self, item: int, tokens: Sequence[int], length: int, without: Sequence[int] = ()) -> float:
        """Our log-probability of an output, its end included where it is shorter than the limit, among all tokens but
        those of `without`.
        """
        targets = [*tokens, Tokenizer.EOS][:length]
        chances = self.chances(item, tokens).double().index_fill(1, torch.tensor(without, dtype=torch.long), -torch.inf)
        return float(chances.log_softmax(-1)[range(len(targets)), targets].sum())

    @torch.no_grad()
    def gap(self, item: int, ours: Sequence[int], theirs: Sequence[int]) -> float:
        """How much likelier our token is than theirs where two outputs part."""
        first, second = [*ours, Tokenizer.EOS], [*theirs, Tokenizer.EOS]
        at = next(i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
        chances = self.chances(item, first[:at])[-1]
        return float(chances[first[at]] - chances[second[at]])


class Translation(Subject):
    name = "translation"

    def __init__(self, task: Any, directory: Path, items: int, sources: list[str]) -> None:
        import ctranslate2

        super().__init__(task, directory)
        self.longest = task.trained.longest_output
        self.sources = task.trained.sources_of(task.trained.part_of(sources[:items]))
        self.engine = ctranslate2.Translator(str(directory), device="cpu", compute_type="float32", intra_threads=1)
        self.names = vocabulary(task.trained.tokenizers.source)
        self.numbers = {name: number for number, name in enumerate(vocabulary(task.trained.tokenizers.target))}

    def ours(self, config: DecodingConfig, length: int, banned: Sequence[int], without: Sequence[int]) -> list[Any]:
        lengths = self.sources.positions
        return decode(
            lambda rows: begin(self.model, self.sources, rows), self.step(without), lengths, config,
            bos=Tokenizer.BOS, eos=Tokenizer.EOS, max_length=length, banned=banned,
        )  # fmt: skip

    def theirs(self, **options: Any) -> list[tuple[tuple[int, ...], float]]:
        tokens = [[self.names[number] for number in ids] for ids in self.sources.ids]
        results = self.engine.translate_batch(
            tokens, max_batch_size=64, max_input_length=0, return_scores=True, **SUPPRESSED, **options
        )
        return [(tuple(self.numbers[name] for name in one.hypotheses[0]), one.scores[0]) for one in results]

    def chances(self, item: int, tokens: Sequence[int]) -> Tensor:
        source, mask = self.sources.batch([item])
        return self.model(source, mask, torch.tensor([[Tokenizer.BOS, *tokens]])).log_softmax(-1)[0]


class Language(Subject):
    name, longest = "language", 40

    def __init__(self, task: Any, directory: Path, items: int, sources: list[str]) -> None:
        import ctranslate2

        super().__init__(task, directory)
        ids = [task.tokenizer.encode(text).tolist()[:PROMPT] for text in sources[:items]]
        self.prompts = [[Tokenizer.BOS, *one] for one in ids]
        self.engine = ctranslate2.Generator(str(directory), device="cpu", compute_type="float32", intra_threads=1)
        self.names = vocabulary(task.tokenizer)

    def ours(self, config: DecodingConfig, length: int, banned: Sequence[int], without: Sequence[int]) -> list[Any]:
        return decode(
            lambda rows: read_prompts(self.model, [self.prompts[row] for row in rows]),
            after_prompt(self.step(without)), list(map(len, self.prompts)), config, bos=Tokenizer.BOS,
            eos=Tokenizer.EOS, max_length=length, banned=banned, prompts=self.prompts,
        )  # fmt: skip

    def theirs(self, **options: Any) -> list[tuple[tuple[int, ...], float]]:
        limits = {"max_length": options.pop("max_decoding_length"), "min_length": options.pop("min_decoding_length", 0)}
        tokens = [[self.names[number] for number in prompt] for prompt in self.prompts]
        results = self.engine.generate_batch(
            tokens, max_batch_size=64, include_prompt_in_result=False, return_scores=True, **SUPPRESSED, **limits,
            **options,
        )  # fmt: skip
        return [(tuple(one.sequences_ids[0]), one.scores[0]) for one in results]

    def chances(self, item: int, tokens: Sequence[int]) -> Tensor:
        prompt = self.prompts[item]
        logits, _ = self.model(torch.tensor([[*prompt, *tokens]]), self.model.initial_state(1))
        return logits[0, len(prompt) - 1 :].log_softmax(-1)


@dataclass
class Agreement:
    """The outputs of one search. `gaps`: of outputs that differ, how much better ours is, in nats by our model.

    engine_error: the largest difference of the engine's score of an output and ours of the same tokens, per token
    """

    model: str
    search: str
    items: int
    same: int
    ties: int
    tokens: int
    gaps: list[float]
    engine_error: float
    same_rules: bool

    @property
    def holds(self) -> bool:
        return self.engine_error < TIE and (not self.same_rules or self.same + self.ties == self.items)

    def line(self) -> str:
        text = f"{self.model}, {self.search}: {self.same} of {self.items} outputs the same ({self.tokens:,} tokens)"
        text += f", {self.ties} ties; scores to {self.engine_error:.1e} a token"
        if not self.same_rules:
            better, worse = (sum(gap > TIE for gap in map(sign, self.gaps)) for sign in (float, lambda gap: -gap))
            text += f"; of the others ours is likelier {better} times, theirs {worse}"
        return text


def compare(subject: Subject, search: Search) -> Agreement:
    length = LENGTH if search.fixed else subject.longest
    config = DecodingConfig(beam=search.beam, **({"length_penalty": 0.0} if search.beam > 1 else {}))
    banned = [*BANNED, Tokenizer.EOS] if search.fixed else list(BANNED)
    ours = subject.ours(config, length, banned, banned if search.fixed else [])
    least = {"min_decoding_length": length} if search.fixed else {}
    theirs = subject.theirs(beam_size=search.beam, length_penalty=0.0, max_decoding_length=length, **least)
    result = Agreement(
        subject.name, search.name, len(ours), 0, 0, sum(len(one.tokens) for one in ours), [], 0.0,
        search.fixed or search.beam == 1,
    )  # fmt: skip
    for item, (one, (tokens, score)) in enumerate(zip(ours, theirs, strict=True)):
        allowed = subject.score(item, tokens, length, banned)
        result.engine_error = max(result.engine_error, abs(allowed - score) / (len(tokens) + 1))
        if one.tokens == tokens:
            result.same += 1
            continue
        scores = [
            subject.score(item, output, length, banned if search.fixed else []) for output in (one.tokens, tokens)
        ]
        gap = scores[0] - scores[1] if search.beam > 1 else subject.gap(item, one.tokens, tokens)
        result.gaps.append(gap)
        result.ties += abs(gap) < TIE
    return result


def trained(kind: Any, run: Any, directory: Path) -> Any:
    if (directory / "best").exists():
        return load(directory)
    data = kind.load_data(run)
    with reporting(run.training.metric) as on_progress:
        return train_run(kind.build(data, run), data, directory, run, on_progress=on_progress).task


def subjects(root: Path, runs: Path, directory: Path, steps: int, items: int) -> list[Subject]:
    def pair(name: str) -> str:
        return f"{root / name}.de.gz,{root / name}.en.gz"

    of_pairs = TranslationTask.preset("transformer").changed(
        data=pair("train"), valid=pair("val"), test=pair("test_2016_flickr"), lowercase=True, batch_tokens=2048,
        tokenizer=TokenizerConfig("bpe", size=4000, shared=True), budget=f"{steps}steps", validations=1,
        validation_outputs=1, validation_pairs=100,
    )  # fmt: skip
    of_pairs = of_pairs.changed(model=replace(of_pairs.settings.model, d_model=96))
    of_text = LanguageTask.preset("transformer").changed(
        data=str(root / "train.en.gz"), budget=f"{steps}steps", tokenizer=TextTokenizerConfig("bpe", size=2000),
        validations=1, validation_bytes=2000, context=64,
    )  # fmt: skip
    of_text = of_text.changed(model=replace(of_text.settings.model, d_model=96, layers=2))
    tested = TranslationTask.load_data(of_pairs.changed(limit=items)).test
    translator = trained(TranslationTask, of_pairs, runs / f"ctranslate2-translation-{steps}")
    writer = trained(LanguageTask, of_text, runs / f"ctranslate2-language-{steps}")
    return [
        Translation(translator, directory / "pairs-export", items, tested.sources),
        Language(writer, directory / "text-export", items, tested.targets),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    root = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data")) / "multi30k"
    results = []
    with tempfile.TemporaryDirectory() as name:
        for subject in subjects(root, options.runs, Path(name), options.steps, options.items):
            for search in SEARCHES:
                results.append(compare(subject, search))
                print(results[-1].line(), flush=True)
    found = [asdict(one) | {"holds": one.holds} for one in results]
    write(options.out, {"steps": options.steps, "items": options.items, "results": found, "environment": measured()})
    raise SystemExit(0 if all(one.holds for one in results) else 5)


if __name__ == "__main__":
    main()
