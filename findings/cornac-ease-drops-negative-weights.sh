#!/usr/bin/env bash
# cornac 3.0.1: its EASE^R is not the closed form of the paper it names: negative weights become 0 unless posB=False is given.
#
# Expected: EASE(lamb=10) gives B = I - P / diag(P) with P = (X^T X + lamb I)^-1, as Steck (WWW 2019), equation 8. The paper
# has the form without negative weights as a row of its own, with lower accuracy.
# Seen: the fit without further options has no negative weight; with posB=False it is the closed form.
# What it means for recvae: figures of "EASE" by Cornac compare with ours only where posB=False was given; docs/evaluation.md says so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check cornac==3.0.1 numpy==2.4.6 scipy==1.17.1
cat >"$folder/ease.py" <<'PY'
import numpy as np
from cornac.data import Dataset
from cornac.models import EASE

rng = np.random.default_rng(1)
likes = (rng.random((300, 12)) < 0.3).astype(float)
likes[:, 1] = likes[:, 0] * (rng.random(300) < 0.9)
data = Dataset.from_uir([(f"u{user}", f"i{item}", 1.0) for user, item in zip(*np.nonzero(likes))], seed=1)
counts = data.matrix.T @ data.matrix
inverse = np.linalg.inv(counts.toarray() + 10 * np.eye(12))
paper = -inverse / np.diag(inverse)
np.fill_diagonal(paper, 0)
print(f"closed form: {(paper < 0).sum()} negative weights")
for options in [{}, {"posB": False}]:
    model = EASE(lamb=10, verbose=False, **options)
    model.fit(data)
    weights = np.asarray(model.B)
    same = np.abs(weights - paper).max() < 1e-12
    print(f"EASE({options}): {(weights < 0).sum()} negative weights, the closed form: {same}")
PY
"$folder/python/bin/python" "$folder/ease.py" | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
closed form: 10 negative weights
EASE({}): 0 negative weights, the closed form: False
EASE({'posB': False}): 10 negative weights, the closed form: True
OUT
