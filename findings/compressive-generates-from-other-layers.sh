#!/usr/bin/env bash
# compressive-transformer-pytorch 0.4.0: generate moves the memories on by one layer with every token, so that layers
# read the memories of others, and leaves out the first tokens of what follows a prompt longer than a segment.
#
# With enhanced_recurrence, the default, a layer reads the memory of the layer above: the forward pass rolls the
# memories by one layer (compressive_transformer_pytorch.py, line 371). A call with less than seq_len tokens adds
# nothing and returns what it read, that is the rolled memories. generate passes them to the next call, which rolls them
# again (autoregressive_wrapper.py, line 81). So of a model with two layers every second token is predicted from
# memories of the wrong layers, and with n layers all tokens of a segment but one in n. At the end, generate cuts the
# whole prompt off a text that has only the rest of it behind its last whole segment: 40 tokens for 17 of prompt are the
# last 24.
#
# Why a good guess is wrong: a call with a whole segment, which is all that training has, replaces the memories by ones
# in order; the first token of each is right; a prompt of up to seq_len tokens has no memory yet and is cut off right;
# and the text goes on as one of the same model. Pass the memories from before the segment to each of its calls.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
install() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile "$@"; }
install torch==2.13.0
install numpy==2.4.6 compressive-transformer-pytorch==0.4.0 mogrifier==0.0.5
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import torch
from compressive_transformer_pytorch import AutoregressiveWrapper, CompressiveTransformer

SEGMENT, PROMPT, NEW = 8, 17, 40


def build(depth, **options):
    torch.manual_seed(0)
    return CompressiveTransformer(num_tokens=50, dim=32, seq_len=SEGMENT, depth=depth, heads=2, **options).eval()


def read(model, prompt):
    """The memories after all whole segments of the prompt, and its rest."""
    memories = None
    *whole, rest = prompt.split(SEGMENT, 1)
    for segment in whole:
        memories = model(segment, memories=memories)[1]
    return memories, rest


def most_probable(logits, thres=None):
    return torch.full_like(logits, float("-inf")).scatter(1, logits.argmax(-1, keepdim=True), 0)


def continue_by_hand(model, prompt):
    """The most probable tokens, each call with the memories of before the segment."""
    memories, text = read(model, prompt)
    tokens = []
    for _ in range(NEW):
        logits, later, _ = model(text, memories=memories)
        tokens.append(logits[:, -1].argmax(-1, keepdim=True))
        if text.shape[1] == SEGMENT:
            memories, text = later, tokens[-1]
        else:
            text = torch.cat([text, tokens[-1]], 1)
    return torch.cat(tokens, 1)


prompts = torch.randint(50, (100, PROMPT), generator=torch.Generator().manual_seed(0))
errors, other, lengths = {}, {}, set()
cases = {"2 layers": (2, True), "3 layers": (3, True), "2 layers, enhanced_recurrence=False": (2, False)}
with torch.no_grad():
    for name, (depth, enhanced) in cases.items():
        model = build(depth, enhanced_recurrence=enhanced)
        memories, _ = read(model, prompts)
        text = torch.randint(50, (len(prompts), SEGMENT - 1), generator=torch.Generator().manual_seed(1))
        whole = model(text, memories=memories)[0]
        errors[name] = []
        for length in range(1, SEGMENT):
            logits, memories, _ = model(text[:, :length], memories=memories)
            errors[name].append(float((logits[:, -1] - whole[:, length - 1]).abs().max()))
        row = ", ".join(f"{error:.1g}" for error in errors[name])
        print(f"{name}: logits of tokens 1 to 7 of a segment off by {row}")
        greedy = AutoregressiveWrapper(model).generate(prompts, NEW, filter_logits_fn=most_probable)
        lengths.add(greedy.shape[1])
        by_hand = continue_by_hand(model, prompts)[:, -greedy.shape[1] :]
        other[name] = int((greedy != by_hand).any(1).sum())
        print(f"  {other[name]} of {len(prompts)} prompts are continued otherwise than with the memories in order")
    print(f"tokens that generate returns of {NEW} after a prompt of {PROMPT}: {lengths}")
    short = prompts[:, :1]
    few = AutoregressiveWrapper(build(2)).generate(short, SEGMENT - 1, filter_logits_fn=most_probable)
    text = short
    for _ in range(SEGMENT - 1):
        text = torch.cat([text, build(2)(text)[0][:, -1].argmax(-1, keepdim=True)], 1)
    equal = bool((few == text[:, 1:]).all())
    print(f"prompts of 1 token, without memories: {few.shape[1]} of {SEGMENT - 1} tokens, the same {equal}")
two, three, without = errors.values()
second = all((error > 1e-3) == (place % 2 == 1) for place, error in enumerate(two))
third = all((error > 1e-3) == (place % 3 > 0) for place, error in enumerate(three))
right = max(without) < 1e-4 and other["2 layers, enhanced_recurrence=False"] == 0 and equal
cut = lengths == {NEW - PROMPT // SEGMENT * SEGMENT}
sys.exit(not (second and third and right and cut and min(other["2 layers"], other["3 layers"]) > 20))
PY
