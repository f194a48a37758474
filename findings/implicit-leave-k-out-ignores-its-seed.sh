#!/usr/bin/env bash
# implicit 0.7.3: leave_k_out_split(random_state=42) gives another split on every call, and refuses a RandomState.
#
# Expected: the same seed gives the same split, as train_test_split of the same module does; a numpy RandomState is taken.
# Seen: two calls with seed 42 differ, and a RandomState fails with "no attribute 'rand_int'".
# What it means for recvae: figures "with a fixed split" by that function cannot be repeated, and no test compares with them.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check implicit==0.7.3 numpy==2.4.6 scipy==1.17.1
cat >"$folder/split.py" <<'PY'
import numpy as np
import scipy.sparse as sparse
from implicit.evaluation import leave_k_out_split, train_test_split

likes = sparse.random(200, 50, 0.2, format="csr", random_state=0)
for name, split in [("train_test_split", train_test_split), ("leave_k_out_split", leave_k_out_split)]:
    first, second = (split(likes, random_state=42)[0] for _ in range(2))
    print(f"{name}: the same twice with seed 42: {(first != second).nnz == 0}")
try:
    leave_k_out_split(likes, random_state=np.random.RandomState(42))
    print("a RandomState is taken")
except AttributeError as error:
    print(f"a RandomState: {error}")
PY
"$folder/python/bin/python" "$folder/split.py" | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
train_test_split: the same twice with seed 42: True
leave_k_out_split: the same twice with seed 42: False
a RandomState: 'numpy.random.mtrand.RandomState' object has no attribute 'rand_int'
OUT
