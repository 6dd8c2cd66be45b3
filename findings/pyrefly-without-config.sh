#!/usr/bin/env bash
# pyrefly 1.4.1: without a configuration `pyrefly check` reports no error for `x: int = "a"` and exits with 0.
#
# It then uses the preset "basic", which checks neither assignments, arguments nor returns. With `--preset default`, or
# `[tool.pyrefly] preset = "default"`, the same file has three errors.
#
# Why a good guess is wrong: "0 errors" and exit status 0 read as "the types are right". The notice names the preset,
# not what it leaves out, and goes unread in CI.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyrefly==1.4.1
mkdir "$folder/plain" "$folder/default"
cat > "$folder/plain/a.py" <<'PY'
x: int = "a"


def name(number: int) -> str:
    return number


name("b")
PY
cp "$folder/plain/a.py" "$folder/default"
printf 'preset = "default"\n' > "$folder/default/pyrefly.toml"
for kind in plain default; do
  status=0
  (cd "$folder/$kind" && "$folder/venv/bin/pyrefly" check > out.txt 2>&1) || status=$?
  echo "$kind: exit status $status, $(grep -c '^ *ERROR' "$folder/$kind/out.txt" || true) errors"
done
[ "$(grep -c ERROR "$folder/plain/out.txt")" -eq 0 ] && [ "$(grep -c '^ *ERROR' "$folder/default/out.txt")" -eq 3 ]
