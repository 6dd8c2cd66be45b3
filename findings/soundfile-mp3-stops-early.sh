#!/usr/bin/env bash
# soundfile 0.14.0 (libsndfile 1.2.2): an MP3 of varying bit rate without a Xing header is read in part, without a message.
#
# Without the header that counts the frames, the decoder guesses the length from the size of the file and the bit rate of
# the first frame. libsndfile takes the guess for the number of frames and ends there: of three seconds whose middle is
# silent, hardly more than one is returned. A constant bit rate makes the guess right.
#
# Why a good guess is wrong: the header is optional in MP3 (streams and recordings that are cut have none), players and sox
# read such files whole, and soundfile.read returns whole files of every other format, or raises.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.14.0 numpy
"$folder/venv/bin/python" - <<'PY'
import io
import re
import sys

import numpy as np
import soundfile

noise = 0.3 * np.random.default_rng(0).standard_normal((2, 16_000))
samples = np.concatenate([noise[0], np.zeros(16_000), noise[1]])


def mp3(mode):
    """The file with its first frame, which counts the others, and without it."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format="MP3", bitrate_mode=mode, compression_level=0.5)
    content = buffer.getvalue()
    first, second = [match.start() for match in re.finditer(rb"\xff\xf3", content)][:2]
    assert re.search(b"Xing|Info", content[first:second])
    return content, content[second:]


frames = {}
for mode in ("VARIABLE", "CONSTANT"):
    for name, content in zip(("with", "without"), mp3(mode), strict=True):
        frames[mode, name] = len(soundfile.read(io.BytesIO(content))[0])
        print(f"{mode.lower()} bit rate, {name} the frame that counts: {frames[mode, name]} of {len(samples)} samples")
whole = all(frames[key] >= len(samples) for key in frames if key != ("VARIABLE", "without"))
sys.exit(not (whole and frames["VARIABLE", "without"] < 0.9 * len(samples)))
PY
