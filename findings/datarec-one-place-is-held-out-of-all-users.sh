#!/usr/bin/env bash
# datarec 1.5.7: LeaveOneOut starts its random numbers anew for each user, so that users with as many items lose the one in the same place.
#
# Expected: one interaction of each user is drawn at random, as its docstring says: of 60 users with the same ten items in the same order about
# six lose each of them.
# Seen: all 60 lose the same item, another one with another seed, and that item is in no training part at all. UserStratifiedHoldOut does the
# same. With all users' rows shuffled first, all ten items are held out.
# What it means for recvae: data in the order of items or of time, as exports are, give a held-out part that is no sample of them; `recvae split`
# draws for each user by itself, and `--split files` reads such parts as they are. docs/evaluation.md says so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check datarec==1.5.7 numpy==2.4.6 pandas==2.3.3
cat >"$folder/split.py" <<'PY'
import pandas as pd
from datarec import DataRec, RawData
from datarec.splitters.user_stratified import LeaveOneOut, UserStratifiedHoldOut

ordered = pd.DataFrame([(user, item) for user in range(60) for item in range(10)], columns=["user", "item"])
shuffled = ordered.sample(frac=1, random_state=1)
splitters = [LeaveOneOut(validation=False, seed=seed) for seed in (42, 1)] + [UserStratifiedHoldOut(test_ratio=0.1)]
for splitter in splitters:
    for name, rows in [("in order", ordered), ("shuffled", shuffled)]:
        parts = splitter.run(DataRec(RawData(rows.copy(), user="user", item="item")))
        test, train = (parts[part].data.iloc[:, 1].nunique() for part in ("test", "train"))
        print(f"{type(splitter).__name__}, seed {splitter.seed}, {name}: {test} of 10 items held out, {train} to train on")
PY
"$folder/python/bin/python" "$folder/split.py" | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
LeaveOneOut, seed 42, in order: 1 of 10 items held out, 9 to train on
LeaveOneOut, seed 42, shuffled: 10 of 10 items held out, 10 to train on
LeaveOneOut, seed 1, in order: 1 of 10 items held out, 9 to train on
LeaveOneOut, seed 1, shuffled: 10 of 10 items held out, 10 to train on
UserStratifiedHoldOut, seed 42, in order: 1 of 10 items held out, 9 to train on
UserStratifiedHoldOut, seed 42, shuffled: 10 of 10 items held out, 10 to train on
OUT
