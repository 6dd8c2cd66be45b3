#!/usr/bin/env bash
# transformers 5.24.0: by default, the decoder of FSMT sees the tokens to come, and ignores its padding mask.
#
# FSMTModel makes the causal mask and the padding mask of the decoder only with use_cache=False (modeling_fsmt.py, line
# 857). config.use_cache is True. With a loss from labels the model sets it to False itself; logits from
# decoder_input_ids, as for the score of a translation, are computed without any mask, and so are several
# decoder_input_ids with which generate begins.
#
# Why a good guess is wrong: the documentation of decoder_attention_mask says "Causal mask will also be used by default",
# BART, Marian, M2M100 and the others mask either way, and use_cache only saves time elsewhere. Pass use_cache=False
# whenever decoder_input_ids has more than one position.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 transformers==5.24.0
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PY'
import sys

import torch
import transformers

small = dict(d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4)
small |= dict(encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=64, pad_token_id=1)
configs = {
    "BART": transformers.BartConfig(vocab_size=40, **small),
    "FSMT": transformers.FSMTConfig(langs=["en", "de"], src_vocab_size=40, tgt_vocab_size=40, **small),
}
generator = torch.Generator().manual_seed(0)
source = torch.randint(3, 40, (1, 7), generator=generator)
target = torch.randint(3, 40, (1, 6), generator=generator)
other = target.clone()
other[:, -1] = (other[:, -1] - 3 + 5) % 37 + 3
change = {}
for name, config in configs.items():
    torch.manual_seed(0)
    model = transformers.AutoModelForSeq2SeqLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1 and weight.requires_grad:
                weight.normal_(0, 0.2)
        for cached in ({}, {"use_cache": False}):
            logits, changed = (model(source, decoder_input_ids=tokens, **cached).logits[:, :5] for tokens in (target, other))
            change[name, not cached] = float((changed - logits).abs().max() / logits.abs().max())
            how = "use_cache=False" if cached else "by default"
            print(f"{name}, {how}: another last token changes the logits before it by {change[name, not cached]:.0e}")
future = change.pop(("FSMT", True))
sys.exit(not (future > 0.01 and max(change.values()) < 1e-5))
PY
