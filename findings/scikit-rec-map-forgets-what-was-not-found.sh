#!/usr/bin/env bash
# scikit-rec 0.4.2: its MAP at k divides by the relevant items that the first k places have, so that a relevant item costs nothing if it is missed.
#
# Expected: average precision is divided by all relevant items of the user (trec_eval, ranx), or by k where that is less (Recommenders,
# RecBole); a list that has one of ten relevant items, in its first place, has .1 at 10.
# Seen: 1, as for a list that has all ten; NDCG and recall of the same package tell the two apart. A user with one relevant item has
# the same value under every definition.
# What it means for recvae: MAP by scikit-rec is above `map@k` wherever a relevant item is missed, and compares with no other program's;
# docs/evaluation.md says so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check --no-deps scikit-rec==0.4.2 numpy==1.26.4
cat >"$folder/map.py" <<'PY'
import numpy as np
from skrec.metrics.MAP import MAPMetric
from skrec.metrics.NDCG import NDCGMetric
from skrec.metrics.recall import RecallMetric

ranks = np.arange(20)[None]
for found in [1, 5, 10]:
    relevant = np.zeros((1, 20))
    relevant[0, :found] = relevant[0, 10 : 20 - found] = 1
    values = [metric().calculate(ranks, relevant, -1.0 * ranks, 10) for metric in (MAPMetric, NDCGMetric, RecallMetric)]
    print(f"the first {found} of 10 relevant items: MAP@10 {values[0]:.4f}, NDCG@10 {values[1]:.4f}, recall@10 {values[2]:.4f}")
PY
"$folder/python/bin/python" "$folder/map.py" | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
the first 1 of 10 relevant items: MAP@10 1.0000, NDCG@10 0.2201, recall@10 0.1000
the first 5 of 10 relevant items: MAP@10 1.0000, NDCG@10 0.6489, recall@10 0.5000
the first 10 of 10 relevant items: MAP@10 1.0000, NDCG@10 1.0000, recall@10 1.0000
OUT
