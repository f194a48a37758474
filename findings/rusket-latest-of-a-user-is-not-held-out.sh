#!/usr/bin/env bash
# rusket 0.1.101: leave_one_out_split holds out "the latest interaction" by times in f32, in which Unix seconds of today are 128 s apart.
#
# Expected: the docstring says that the latest interaction of each user is left out where a column of times is given; whole seconds are
# told apart, as they are by f64 and by i64.
# Seen: of 1,000 users, whose ten interactions lie within minutes of each other and stand in the order of time, hundreds have an earlier one
# held out, and what came after it is in the training part. The same rows with the first second as 0 are split as the docstring says.
# What it means for recvae: figures of "leave one out" by rusket may come from a model that has seen the future of sessions; here times are f64,
# which tells microseconds of today apart, and `--split last` takes the latest. docs/evaluation.md says so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check rusket==0.1.101 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1
cat >"$folder/split.py" <<'PY'
import numpy as np
import pandas as pd
from rusket.evaluation.splitting import leave_one_out_split

gaps = np.random.default_rng(0).integers(5, 60, (1000, 10))
seconds = np.arange(1000)[:, None] * 1000 + gaps.cumsum(axis=1)
plays = pd.DataFrame({"user": np.repeat(np.arange(1000), 10), "item": np.tile(np.arange(10), 1000), "time": seconds.ravel()})
for name, first in [("seconds since 1970", 1_700_000_000), ("seconds since the first", 0)]:
    moved = plays.assign(time=plays.time + first)
    train, test = leave_one_out_split(moved, "user", "item", "time")
    future = train.groupby("user").time.max() > test.groupby("user").time.max()
    print(f"{name}: {len(test)} held out, of {future.sum()} users a later one is in the training part")
PY
"$folder/python/bin/python" "$folder/split.py" | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
seconds since 1970: 1000 held out, of 751 users a later one is in the training part
seconds since the first: 1000 held out, of 0 users a later one is in the training part
OUT
