#!/usr/bin/env bash
# LibRecommender 1.5.2: its NDCG at k takes what the list itself has found for the ideal list, so that finding one more item can lower it.
#
# Expected: the ideal list has all relevant items of the user in front, as far as k goes; one more hit, in whatever place, raises NDCG.
# Seen: of ten relevant items, the one in the first place alone has NDCG@10 1, the same list with a second one in the tenth place .79, and nine
# of ten, from the second place on, .83. What was missed costs nothing, whereas what was found late does. MAP is divided by the hits, too.
# What it means for recvae: NDCG by LibRecommender is never below `ndcg@k` of the same lists, and a model whose lists have fewer hits can be its
# better one; the two agree where users have one relevant item each, or all was found. pandas and scikit-learn, which these metrics do not use, are
# stand-ins here, and the file with the metrics is run alone, as the package beside it needs TensorFlow or PyTorch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$folder/python/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps librecommender==1.5.2
cat >"$folder/ndcg.py" <<'PY'
import runpy
import sys
from importlib.metadata import distribution
from unittest.mock import MagicMock

import numpy as np

for name in ["pandas", "sklearn", "sklearn.metrics"]:
    sys.modules[name] = MagicMock()
metrics = runpy.run_path(str(distribution("librecommender").locate_file("libreco/evaluation/metrics.py")))


def usual(places):
    gains = 1 / np.log2(np.arange(2, 12))
    return gains[np.array(places) - 1].sum() / gains.sum()


relevant = np.arange(10)
for places in [[1], [1, 10], [5], [2, 3, 4, 5, 6, 7, 8, 9, 10], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]:
    ranked = np.arange(100, 110)
    ranked[np.array(places) - 1] = relevant[: len(places)]
    ndcg, average, recall = (metrics[f"{name}_at_k"](relevant, ranked, 10) for name in ("ndcg", "average_precision", "recall"))
    print(f"10 relevant, found in the places {places}: NDCG {ndcg:.4f}, AP {average:.4f}, recall {recall:.1f}; NDCG as usual {usual(places):.4f}")
one = [metrics["ndcg_at_k"](np.array([0]), np.roll(np.arange(10), place), 10) for place in (0, 4)]
print(f"1 relevant, found in the places 1 and 5: NDCG {one[0]:.4f}, {one[1]:.4f}")
PY
"$folder/python/bin/python" "$folder/ndcg.py" | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
10 relevant, found in the places [1]: NDCG 1.0000, AP 1.0000, recall 0.1; NDCG as usual 0.2201
10 relevant, found in the places [1, 10]: NDCG 0.7904, AP 0.6000, recall 0.2; NDCG as usual 0.2837
10 relevant, found in the places [5]: NDCG 0.3869, AP 0.2000, recall 0.1; NDCG as usual 0.0851
10 relevant, found in the places [2, 3, 4, 5, 6, 7, 8, 9, 10]: NDCG 0.8329, AP 0.7857, recall 0.9; NDCG as usual 0.7799
10 relevant, found in the places [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]: NDCG 1.0000, AP 1.0000, recall 1.0; NDCG as usual 1.0000
1 relevant, found in the places 1 and 5: NDCG 1.0000, 0.3869
OUT
