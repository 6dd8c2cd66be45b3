#!/usr/bin/env bash
# tokenizers 0.23.3: training the same Unigram model on the same text gives other token ids in every process.
#
# Pieces with equal scores come in a random order, and scores differ in their last bits; the trainer takes no seed.
# Four processes below give four lists, which contain the same pieces; BPE gives one list.
#
# Why a good guess is wrong: the algorithm has no random step, and BPE is reproducible. A model trained with one
# tokenizer cannot be used with the "same" tokenizer trained again, and a hash of the tokenizer differs between equal
# runs. Rounding the scores and sorting the pieces by score and text after training makes the ids reproducible.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
cat > "$folder/train.py" <<'PY'
import json
import sys

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

texts = [" ".join(f"w{i % k} na{i % (k + 3)}me th{i % 7}ing" for i in range(200)) for k in range(5, 40)]
options = {"vocab_size": 150, "show_progress": False}
if sys.argv[1] == "unigram":
    tokenizer = Tokenizer(models.Unigram())
    trainer = trainers.UnigramTrainer(unk_token="<unk>", special_tokens=["<unk>"], **options)
else:
    tokenizer, trainer = Tokenizer(models.BPE()), trainers.BpeTrainer(**options)
tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
tokenizer.train_from_iterator(texts, trainer)
print(json.dumps(sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])))
PY
for kind in unigram bpe; do
  for run in 1 2 3 4; do
    "$folder/venv/bin/python" "$folder/train.py" "$kind" >> "$folder/$kind.txt"
  done
  echo "$kind: 4 runs, $(sort -u "$folder/$kind.txt" | wc -l) different vocabularies"
done
[ "$(sort -u "$folder/unigram.txt" | wc -l)" -gt 1 ] && [ "$(sort -u "$folder/bpe.txt" | wc -l)" -eq 1 ]
