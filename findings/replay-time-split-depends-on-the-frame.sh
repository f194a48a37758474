#!/usr/bin/env bash
# replay-rec (RePlay) 0.22.0: TimeSplitter with a share splits a Polars frame elsewhere than a pandas frame of the same rows, and within a day.
#
# Expected: one split for the same rows, whichever frame they come in, and nothing in the training part that is as late as what is held out, since
# the threshold is a time.
# Seen: with ten rows of three days and a share of .5, pandas holds out both later days, eight rows, and Polars five rows, one of which
# is of a day of which three rows are trained on. Where all times differ, both are alike.
# What it means for recvae: figures by RePlay on a share of the time compare only with the same kind of frame; `--split time` cuts at an instant,
# and all that has this time is held out. docs/evaluation.md says so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check replay-rec==0.22.0 numpy==2.4.6 pandas==2.3.3 polars==1.40.0
cat >"$folder/split.py" <<'PY'
import pandas as pd
import polars as pl
from replay.splitters import TimeSplitter

for days in [[1, 1, 2, 2, 2, 2, 3, 3, 3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]:
    rows = {"query_id": list(range(10)), "item_id": list(range(10)), "timestamp": days}
    for frame in [pd.DataFrame(rows), pl.DataFrame(rows)]:
        parts = TimeSplitter(time_threshold=0.5).split(frame)
        train, test = (sorted(part["timestamp"].to_list()) for part in parts)
        print(f"{type(frame).__module__.split('.')[0]}: days {train} to train on, {test} held out")
PY
"$folder/python/bin/python" "$folder/split.py" | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
pandas: days [1, 1] to train on, [2, 2, 2, 2, 3, 3, 3, 3] held out
polars: days [1, 1, 2, 2, 2] to train on, [2, 3, 3, 3, 3] held out
pandas: days [1, 2, 3, 4, 5] to train on, [6, 7, 8, 9, 10] held out
polars: days [1, 2, 3, 4, 5] to train on, [6, 7, 8, 9, 10] held out
OUT
