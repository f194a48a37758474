#!/usr/bin/env bash
# recommenders 1.2.1: numpy_stratified_split(ratio=0.8) holds out 19 % of each user's items, and with .9 it is 9 %.
#
# Expected: its docstring calls ratio the part of the data to train on: 80 of a user's 100 items with .8, as python_stratified_split has it.
# Seen: 81, since the percentage to hold out is cut off after it was computed as (1 - 0.8) * 100 = 19.999999999999996; 91 with .9. Of the
# ratios in steps of 5 % these two alone are off, and a user with 13 items has two held out instead of three.
# What it means for recvae: a fold-in of 80 to 20 as in the VAE papers by that function has fewer items to find than that of `--split strong`,
# and longer histories; docs/evaluation.md says so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pandas==2.3.3 scikit-learn==1.9.1
"$folder/python/bin/pip" install --quiet --disable-pip-version-check --no-deps recommenders==1.2.1
cat >"$folder/split.py" <<'PY'
import numpy as np
import pandas as pd
from recommenders.datasets.python_splitters import numpy_stratified_split, python_stratified_split

for items in [100, 13]:
    for ratio in [0.7, 0.75, 0.8, 0.85, 0.9]:
        _, of_matrix = numpy_stratified_split(np.ones((10, items)), ratio=ratio)
        rows = pd.DataFrame({"userID": np.repeat(np.arange(10), items), "itemID": np.tile(np.arange(items), 10)})
        _, of_rows = python_stratified_split(rows, ratio=ratio)
        print(f"ratio {ratio}, {items} items: {of_matrix.sum() / 10:g} held out of a matrix, {len(of_rows) / 10:g} of rows")
PY
"$folder/python/bin/python" "$folder/split.py" | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
ratio 0.7, 100 items: 30 held out of a matrix, 30 of rows
ratio 0.75, 100 items: 25 held out of a matrix, 25 of rows
ratio 0.8, 100 items: 19 held out of a matrix, 20 of rows
ratio 0.85, 100 items: 15 held out of a matrix, 15 of rows
ratio 0.9, 100 items: 9 held out of a matrix, 10 of rows
ratio 0.7, 13 items: 4 held out of a matrix, 4 of rows
ratio 0.75, 13 items: 3 held out of a matrix, 3 of rows
ratio 0.8, 13 items: 2 held out of a matrix, 3 of rows
ratio 0.85, 13 items: 2 held out of a matrix, 2 of rows
ratio 0.9, 13 items: 1 held out of a matrix, 1 of rows
OUT
