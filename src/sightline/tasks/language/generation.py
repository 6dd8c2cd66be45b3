"""Continuation of prompts by a language model, up to the end of the text, a stop string or a limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, final

import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.settings import check_in_range
from sightline.core.state import map_state
from sightline.data.tokens.text import TextTokenizer
from sightline.decoding.drafts import Draft, ModelDraft
from sightline.decoding.engine import DecodingConfig, Speculation, decode
from sightline.decoding.hypothesis import Hypothesis, state_device
from sightline.decoding.prompt import Prompted, after_prompt, extend_after_prompt
from sightline.decoding.speculate import DraftTally
from sightline.models.compiled import step_of
from sightline.models.decoder import Decoder
from sightline.models.inference import for_inference
from sightline.parts.positions import position_limit
from sightline.tasks.outcomes import Answer

NEW_TOKENS = 200  # by default
NEVER_WRITTEN = (TextTokenizer.PAD, TextTokenizer.BOS, TextTokenizer.UNK)
_CHUNK = 1024  # positions of a prompt read at a time
OnText = Callable[[int, str], None]  # the number of an output, and text that has been added to it


class Generated(NamedTuple):
    """One continuation of a prompt."""

    prompt: str
    text: str
    score: float  # the model's log-probability of the tokens, in nats
    tokens: int
    ended: Literal["end", "stop", "limit"]  # by the model, by a stop string, or cut off
    dropped: int = 0  # tokens of the prompt that were not read, with truncate="left"

    def answer(self) -> Answer:
        """The continuation as the answer to its prompt."""
        finished = self.ended != "limit"
        record = {"prompt": self.prompt, "output": self.text, "score": self.score, "finished": finished}
        return Answer(self.text, record, finished)


@final
@dataclass(frozen=True)
class GenerationConfig:
    """Settings of continuations: `decoding`, whose `max_length` limits new tokens, and `samples` outputs per prompt.

    stop: text ends before the first of these
    truncate: the treatment of a prompt that has, with the new tokens, more positions than the model: "error", or
        "left", which drops its beginning

    Raises:
        InputError: "samples: must be at least 1, found 0"; "stop: an empty stop string would end every text"; several
            outputs without sampling.
    """

    decoding: DecodingConfig = DecodingConfig()  # noqa: RUF009 (frozen)
    samples: int = 1
    stop: tuple[str, ...] = ()
    truncate: Literal["error", "left"] = "error"

    def __post_init__(self) -> None:
        check_in_range("samples", self.samples, at_least=1)
        if not all(self.stop):
            raise InputError("an empty stop string would end every text", where="stop")
        if self.samples > 1 and not self.decoding.sample:
            raise InputError("several outputs of a prompt need sampling: they would all be the same one")


def generate(
    model: Decoder,
    tokenizer: TextTokenizer,
    prompts: Sequence[str],
    config: GenerationConfig,
    *,
    first: int = 0,
    on_text: OnText | None = None,
    draft: Decoder | None = None,
    tally: DraftTally | None = None,
) -> list[Generated]:
    """`config.samples` continuations of each prompt, one after another.

    An empty prompt begins a document. `on_text` gets text as soon as it is certain: whole characters, and nothing that
    may turn out to belong to a stop string; with a beam when all is done. `first` is the first output's number in the
    random stream. `draft` is the model of the same tokens that drafts, and `tally` counts what becomes of drafts. The
    models must be in evaluation mode.

    Raises:
        InputError: "prompt 1 has 500 tokens and 200 are to be added, but the model has 512 positions: …".
    """
    decoding = config.decoding
    most = NEW_TOKENS if decoding.max_length is None else decoding.max_length
    models = [model] if draft is None else [model, draft]
    ids, dropped = _fitted(models, [tokenizer.encode(prompt).tolist() for prompt in prompts], most, config.truncate)
    rows = [row for row in range(len(prompts)) for _ in range(config.samples)]
    listeners = [_Listener(tokenizer, config.stop, number, on_text) for number in range(len(rows))]

    def watch(chosen: list[tuple[int, int]]) -> list[int]:
        return [row for row, token in chosen if listeners[row].hear(token)]

    model = for_inference(model, decoding.precision)
    drafter = None if draft is None else for_inference(draft, decoding.precision)

    def begin(model: Decoder, chosen: Sequence[int]) -> Prompted:
        return _read_once(model, ids, [rows[i] for i in chosen])

    def drafting(drafter: Decoder) -> Callable[[list[int]], Draft]:
        return lambda chosen: ModelDraft(drafter.step, drafter, begin(drafter, chosen).state)

    hypotheses = decode(
        lambda chosen: begin(model, chosen),
        after_prompt(step_of(model, decoding.precision, decoding.rows_alone)),
        [len(ids[row]) for row in rows],
        replace(decoding, max_length=most),
        bos=TextTokenizer.BOS,
        eos=TextTokenizer.EOS,
        max_length=most,
        banned=NEVER_WRITTEN,
        names=[first + number for number in range(len(rows))],
        prompts=[ids[row] for row in rows],
        watch=watch if decoding.beam == 1 else None,
        speculation=Speculation(extend_after_prompt(model), None if drafter is None else drafting(drafter), tally),
    )
    if decoding.beam > 1:
        for listener, hypothesis in zip(listeners, hypotheses, strict=True):
            any(listener.hear(token) for token in hypothesis.tokens)
    return [
        _generated(prompts[row], dropped[row], hypothesis, listener)
        for row, hypothesis, listener in zip(rows, hypotheses, listeners, strict=True)
    ]


def _generated(prompt: str, dropped: int, hypothesis: Hypothesis, listener: _Listener) -> Generated:
    """The continuation of a prompt, once its listener has heard all tokens."""
    listener.finish()
    ended = "stop" if listener.stopped else "end" if hypothesis.finished else "limit"
    return Generated(prompt, listener.text, hypothesis.score, len(hypothesis.tokens), ended, dropped)


def _fitted(
    models: Sequence[Decoder], ids: list[list[int]], most: int, truncate: str
) -> tuple[list[list[int]], list[int]]:
    """Prompts with the start token, cut to the models' positions, and the number of tokens that each has lost."""
    limits = (position_limit(model) for model in models)
    limit = min((limit for limit in limits if limit is not None), default=None)
    fitted, dropped = [], []
    for number, prompt in enumerate(ids, 1):
        cut = 0 if limit is None else max(0, len(prompt) + most - limit)  # the last token added is never read
        if cut and (truncate == "error" or cut > len(prompt)):
            raise InputError(
                f"prompt {number} has {len(prompt)} tokens and {most} are to be added, but the model has {limit} "
                "positions: ask for fewer with --max-new-tokens, or drop the prompt's beginning with --truncate=left"
            )
        fitted.append([TextTokenizer.BOS, *prompt[cut:]])
        dropped.append(cut)
    return fitted, dropped


def _read_once(model: Decoder, ids: Sequence[Sequence[int]], rows: Sequence[int]) -> Prompted:
    """`read_prompts` of the prompts `rows`, which may repeat; the model reads each once."""
    distinct = list(dict.fromkeys(rows))
    prompted = read_prompts(model, [ids[row] for row in distinct])
    if len(distinct) == len(rows):
        return prompted
    place = {row: number for number, row in enumerate(distinct)}
    with torch.inference_mode():
        index = torch.tensor([place[row] for row in rows], device=state_device(prompted))
        # Copies, not branches: each of many samples would compute with the tokens of all others, to hide them.
        return map_state(lambda x: x.index_select(0, index), prompted)


@torch.inference_mode()
def read_prompts(model: Decoder, ids: Sequence[Sequence[int]]) -> Prompted:
    """The state after prompts of any lengths, none empty, and the logits of the next tokens."""
    device = next(model.parameters()).device
    longest = max(map(len, ids))
    tokens = torch.zeros(len(ids), longest, dtype=torch.long)
    mask = torch.zeros(len(ids), longest, dtype=torch.bool)
    for row, prompt in enumerate(ids):  # padding is on the left, so that every row's last position is real
        tokens[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = True
    state: Any = model.initial_state(len(ids))
    logits: Tensor | None = None
    for start in range(0, longest, _CHUNK):
        here = slice(start, start + _CHUNK)
        real = None if mask.all() else mask[:, here].to(device)
        logits, state = model.read(tokens[:, here].to(device), state, real)
    return Prompted(logits, state)


@final
class _Listener:
    """One output as it grows."""

    def __init__(self, tokenizer: TextTokenizer, stop: Sequence[str], number: int, on_text: OnText | None) -> None:
        self._appearing = tokenizer.decoder()
        self._stop, self._number, self._on_text = stop, number, on_text
        self._reported = 0
        self.text = ""
        self.stopped = False

    def hear(self, token: int) -> bool:
        """Add a token; returns whether a stop string has ended the text."""
        self._add(self._appearing.push(token))
        return self.stopped

    def finish(self) -> None:
        """End the output."""
        if not self.stopped:
            self._add(self._appearing.end())
            self._tell(len(self.text))

    def _add(self, new: str) -> None:
        if not new:
            return
        longest = max(map(len, self._stop), default=1)
        begin = max(0, len(self.text) - longest + 1)
        self.text += new
        places = [place for stop in self._stop if (place := self.text.find(stop, begin)) >= 0]
        if places:
            self.text, self.stopped = self.text[: min(places)], True
            self._tell(len(self.text))
            return
        lengths = range(min(longest - 1, len(self.text)), 0, -1)  # of an end of the text with which a stop may begin
        held = next((n for n in lengths if any(stop.startswith(self.text[-n:]) for stop in self._stop)), 0)
        self._tell(len(self.text) - held)

    def _tell(self, end: int) -> None:
        if self._on_text is not None and end > self._reported:
            self._on_text(self._number, self.text[self._reported : end])
            self._reported = end
