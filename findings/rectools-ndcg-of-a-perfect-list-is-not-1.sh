#!/usr/bin/env bash
# RecTools 0.19.0: NDCG of a list that cannot be better is below 1, because the ideal list is taken to be full of relevant items.
#
# Expected: a list of ten whose first item is the only relevant one has NDCG@10 1, as in the VAE papers and in ranx 0.3.21.
# Seen: .2201 (1 / sum of 1/log2(rank + 1) over ten ranks); 1 with divide_by_achievable=True. A user with ten or more relevant
# items has 1 either way, so the two differ most on sparse data.
# What it means for recvae: NDCG by RecTools compares with ours only with divide_by_achievable=True; docs/evaluation.md says so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check RecTools==0.19.0 numpy==1.26.4 pandas==2.3.3
cat >"$folder/ndcg.py" <<'PY'
import pandas as pd
from rectools import Columns
from rectools.metrics import NDCG

ranks = list(range(1, 11))
lists = pd.DataFrame({Columns.User: [1] * 10, Columns.Item: ranks, Columns.Rank: ranks})
for relevant in [1, 5, 10, 30]:
    held_out = pd.DataFrame({Columns.User: [1] * relevant, Columns.Item: list(range(1, relevant + 1))})
    plain, achievable = (NDCG(k=10, **options).calc(lists, held_out) for options in [{}, {"divide_by_achievable": True}])
    print(f"{relevant} relevant, all found as far as ten go: {plain:.4f}, achievable {achievable:.4f}")
PY
"$folder/python/bin/python" "$folder/ndcg.py" | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
1 relevant, all found as far as ten go: 0.2201, achievable 1.0000
5 relevant, all found as far as ten go: 0.6489, achievable 1.0000
10 relevant, all found as far as ten go: 1.0000, achievable 1.0000
30 relevant, all found as far as ten go: 1.0000, achievable 1.0000
OUT
