#!/usr/bin/env bash
# recommenders 1.2.1: R-precision is the mean over those users alone for whom something was found; a user without a list counts as 0 in NDCG
# and is left out of precision, recall and MAP of the same call's data.
#
# Expected: all metrics are means over the same users, those with relevant items, and a user for whom nothing was found has 0. The docstring says
# that R-precision is recall at the R-th place, and equal to precision@k where users have more than k relevant items.
# Seen: where one of four users has all they could and three have nothing, R-precision is 1 and everything else .25. Where each has one relevant
# item, in the places 1 to 4, it is 1 as well: whoever has no hit in the first R places drops out. Where three of the four have no list, NDCG
# is .25, and precision, recall and MAP are 1.
# What it means for recvae: R-precision by Recommenders says how good the lists with a hit are, not how good the lists are. A program that
# gives no list to some users (cold ones) looks better there by recall and MAP than by NDCG; here every held-out user with something to find
# counts in every metric.
# scikit-learn, which these metrics do not use, is a stand-in here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 pandas==2.3.3
"$folder/python/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps recommenders==1.2.1
cat >"$folder/users.py" <<'PY'
import sys
from unittest.mock import MagicMock

sys.modules["sklearn"] = sys.modules["sklearn.metrics"] = MagicMock()

import pandas as pd
from recommenders.evaluation.python_evaluation import map_at_k, ndcg_at_k, precision_at_k, r_precision_at_k, recall_at_k


def rows(lists, column):
    triples = [(user, item, -float(place)) for user, items in lists.items() for place, item in enumerate(items)]
    return pd.DataFrame(triples, columns=["userID", "itemID", column])


found, missed = list(range(10)), list(range(100, 110))
late = {user: missed[:user] + [0] + missed[user:9] for user in range(4)}
cases = {
    "one user has all, three have no hit": (10, {0: found, 1: missed, 2: missed, 3: missed}),
    "one user has all, three have no list": (10, {0: found}),
    "one item each, in the places 1 to 4": (1, late),
}
for name, (relevant, lists) in cases.items():
    true = rows({user: found[:relevant] for user in range(4)}, "rating").assign(rating=1.0)
    values = [metric(true, rows(lists, "prediction"), k=10) for metric in (ndcg_at_k, precision_at_k, recall_at_k, map_at_k, r_precision_at_k)]
    print(name + ": " + ", ".join(f"{label} {value:.4f}" for label, value in zip(["NDCG", "precision", "recall", "MAP", "R-precision"], values)))
PY
"$folder/python/bin/python" -W ignore "$folder/users.py" | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
one user has all, three have no hit: NDCG 0.2500, precision 0.2500, recall 0.2500, MAP 0.2500, R-precision 1.0000
one user has all, three have no list: NDCG 0.2500, precision 1.0000, recall 1.0000, MAP 1.0000, R-precision 1.0000
one item each, in the places 1 to 4: NDCG 0.6404, precision 0.1000, recall 1.0000, MAP 0.5208, R-precision 1.0000
OUT
