#!/usr/bin/env bash
# irspack 0.5.2: split_dataframe_partial_user_holdout(rating_column=...) has the ratings of validation and test users alone; those of the
# users to train on are all 1.
#
# Expected: its docstring says that a rating is 1 where no column is given, so that with one the matrices of all three groups hold the ratings.
# Seen: of 60 users with the same ten rated items, the matrix of the 48 users to train on holds nothing but 1, and those of the 12 others hold
# 1 to 5. A model is trained on binary data and asked with histories that have weights, and iALS's loss, which weighs by them, is another one
# for the users it has not seen. df_to_sparse of the same package keeps the ratings.
# What it means for recvae: figures of weighted models by irspack on this split are those of models without weights; with `weighted` the values
# are those of the rows here, in training and in histories alike.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pandas==2.3.3 scipy==1.17.1 scikit-learn==1.9.1 optuna==5.0.0 \
  pydantic==2.14.4 colorlog==6.12.0 fastprogress==1.0.5
"$folder/python/bin/pip" install --quiet --disable-pip-version-check --no-deps irspack==0.5.2
cat >"$folder/split.py" <<'PY'
import numpy as np
import pandas as pd
from irspack.split import split_dataframe_partial_user_holdout
from irspack.utils import df_to_sparse

rows = pd.DataFrame([(user, item, 1.0 + item % 5) for user in range(60) for item in range(10)], columns=["user", "item", "stars"])
matrix, _, _ = df_to_sparse(rows, "user", "item", rating_column="stars")
print("df_to_sparse:", *np.unique(matrix.data))
parts, _ = split_dataframe_partial_user_holdout(rows, "user", "item", rating_column="stars", random_state=1)
for name, part in parts.items():
    print(f"{name}, {part.n_users} users:", *np.unique(part.X_all.data))
PY
"$folder/python/bin/python" "$folder/split.py" | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
df_to_sparse: 1.0 2.0 3.0 4.0 5.0
train, 48 users: 1.0
val, 6 users: 1.0 2.0 3.0 4.0 5.0
test, 6 users: 1.0 2.0 3.0 4.0 5.0
OUT
