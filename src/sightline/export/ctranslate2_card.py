"""README.md of an export to CTranslate2: what it is, and the lines of Python that use it."""

from __future__ import annotations

from typing import Any

from sightline.data.tokens.text import TextTokenizer
from sightline.data.tokens.tokenizer import SPECIALS, Tokenizer, TokenizerPair
from sightline.export.transformer_spec import LONGEST, reads_table
from sightline.parts.positions import position_limit
from sightline.tasks.task import Task

NEVER = [[SPECIALS[Tokenizer.PAD]], [SPECIALS[Tokenizer.BOS]]]  # <unk> has an option of its own
NEW_TOKENS = 200

HEAD = """# {arch} for CTranslate2: {job}

Exported from a model of sightline with {parameters:,} parameters, trained on {data}.

`model.bin` contains the weights, `config.json` the special tokens, the vocabularies the names of tokens, and
`tokenizer.json` sightline's tokenizers, which the `tokenizers` library reads:

```text
pip install ctranslate2 tokenizers
```

```python
{code}```

Greedy outputs are those of `sightline {command}`. {beams}

{positions}Another `compute_type`, such as "int8", is faster and rounds.
"""

ENCODER_DECODER = """import json

import ctranslate2
import tokenizers

with open("tokenizer.json", encoding="utf-8") as file:
    content = json.load(file)


def backend(side):
    return tokenizers.Tokenizer.from_str(json.dumps(content[side]["tokenizer"]))


reader, writer = backend("source"), backend({target!r})
translator = ctranslate2.Translator(".", device="cpu", compute_type="float32")
texts = ["a text", "another text"]
results = translator.translate_batch(
    [reader.encode(text{lower}).tokens for text in texts],
    beam_size=1,
    max_decoding_length={longest},
    max_input_length=0,
    suppress_sequences={never!r},
    disable_unk=True,
)
for result in results:
    ids = [writer.token_to_id(token) for token in result.hypotheses[0]]
    print(writer.decode(ids, skip_special_tokens=False))
"""

DECODER = """{imports}import ctranslate2
{opened}
generator = ctranslate2.Generator(".", device="cpu", compute_type="float32")
prompts = ["Once upon a time"]
results = generator.generate_batch(
    [[{bos!r}, *tokens(prompt)] for prompt in prompts],
    max_length={new},
    include_prompt_in_result=False,
    suppress_sequences={never!r},
    disable_unk=True,
)
for result in results:
    print(text(result.sequences[0]))
"""

OF_BYTES = """

def tokens(text):
    return [f"<0x{byte:02X}>" for byte in text.encode()]


def text(tokens):
    return bytes(int(token[3:5], 16) for token in tokens).decode("utf-8", "replace")

"""

OF_LIBRARY = """import tokenizers

with open("tokenizer.json", encoding="utf-8") as file:
    backend = tokenizers.Tokenizer.from_str(json.dumps(json.load(file)["tokenizer"]))


def tokens(text):
    return backend.encode(text{lower}).tokens


def text(tokens):
    ids = [backend.token_to_id(token) for token in tokens]
    return backend.decode(ids, skip_special_tokens=False)

"""

BEAMS = (
    "With a beam they can differ: the engine keeps its width when an output ends, where ours becomes narrower, and its "
    "length penalty is n^α, where ours is ((5 + n) / 6)^α."
)


def encoder_decoder_card(task: Task[Any, Any, Any], tokenizers: TokenizerPair, longest_output: int) -> str:
    """The README of an encoder-decoder."""
    code = ENCODER_DECODER.format(
        target="source" if tokenizers.shared else "target",
        lower=".lower()" if tokenizers.source.lower_first else "",
        longest=longest_output,
        never=NEVER,
    )
    return _card(task, code, "predict")


def decoder_card(task: Task[Any, Any, Any], tokenizer: TextTokenizer) -> str:
    """The README of a language model."""
    inner = tokenizer.inner
    opened = OF_BYTES if inner is None else OF_LIBRARY.format(lower=".lower()" if inner.lower_first else "")
    code = DECODER.format(
        imports="" if inner is None else "import json\n\n",
        opened=opened,
        bos=SPECIALS[Tokenizer.BOS],
        new=NEW_TOKENS,
        never=NEVER,
    )
    return _card(task, code, "generate")


def _card(task: Task[Any, Any, Any], code: str, command: str) -> str:
    most = position_limit(task.stored_model) or LONGEST
    limit = f"Most positions: {most:,}; beyond them the engine raises an error. "
    positions = limit if reads_table(task.config.model) else ""
    return HEAD.format(
        arch=task.arch,
        job=task.card().job,
        parameters=task.parameters,
        data=task.data.partition(", sha256")[0] or "unknown data",
        code=code,
        command=command,
        beams=BEAMS,
        positions=positions,
    )
