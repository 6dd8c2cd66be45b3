#!/usr/bin/env bash
# transformers 5.24.0: YOSO ignores attention_mask, and the convolution of ConvBERT reads what stands under it.
#
# YosoSelfAttention expects a mask of 0 and -10000 and computes 1 + mask / 10000, as whole numbers (modeling_yoso.py,
# line 356), but is given one of 1 and 0: both become 1, so padding is attended to like any token, and outputs with the
# mask and without it are equal to the last bit. In ConvBERT the attention heads obey the mask; the convolutions beside
# them (modeling_convbert.py, lines 191 and 206) run over the padding too and change the last real tokens, in every layer
# a few more.
#
# Why a good guess is wrong: attention_mask is documented for both, "mask to avoid performing attention on padding token
# indices", and BERT, DeBERTa, Longformer and BigBird give a padded text the outputs of the text alone. A label for a
# text can depend on the longest text of its batch. Batch texts of one length.
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

small = dict(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
small |= dict(max_position_embeddings=64, pad_token_id=0)
configs = {
    "BERT": transformers.BertConfig(**small),
    "YOSO": transformers.YosoConfig(**small, use_expectation=True),
    "ConvBERT": transformers.ConvBertConfig(**small, embedding_size=32),
}
text = torch.randint(3, 40, (1, 8), generator=torch.Generator().manual_seed(0))
padded = torch.cat([text, torch.zeros(1, 6, dtype=torch.long)], 1)
mask = (padded != 0).long()
error, used = {}, {}
for name, config in configs.items():
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.2)
        alone = model(text, attention_mask=torch.ones_like(text)).last_hidden_state
        batch = model(padded, attention_mask=mask).last_hidden_state
        used[name] = not torch.equal(batch, model(padded).last_hidden_state)
    error[name] = float((batch[:, :8] - alone).abs().max() / alone.abs().max())
    print(f"{name}: padding changes the text's outputs by {error[name]:.0e}; the mask changes the outputs: {used[name]}")
right = error.pop("BERT") < 1e-5 and used == {"BERT": True, "YOSO": False, "ConvBERT": True}
sys.exit(not (right and min(error.values()) > 0.01))
PY
