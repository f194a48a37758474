#!/usr/bin/env bash
# lenskit 2025.8.1: LastFrac holds out the whole history of a user of whose items the share rounds to none.
#
# Expected: the docstring says that a share of each user's rows is selected; a fifth of one or two items rounds to none, so that such users stay
# in the training part, as they do by SampleFrac with the same share.
# Seen: users with one or two items lose all of them: the last 0 of a list are taken by [-0:], which is all of it. From three items on both
# methods hold out as many. The file of LensKit 2026.4.0, which asks for Python 3.12, has the same lines.
# What it means for recvae: figures by LensKit on the last share of each user ask for users of whom nothing is known, the more of them the
# shorter the histories are; `--split last` and `--split share` leave users with nothing to train on out of what is asked. PyTorch, which LensKit
# imports and a split does not use, is a stand-in here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pandas==2.3.3 pyarrow==26.0.1 scipy==1.17.1 humanize==4.17.0 \
  lazy-loader==0.6 more-itertools==11.2.1 pydantic==2.13.5 requests==2.34.2 rich==15.0.0 structlog==26.1.0 xopen==2.1.0
"$folder/python/bin/pip" install --quiet --disable-pip-version-check --no-deps lenskit==2025.8.1
cat >"$folder/split.py" <<'PY'
import sys
from unittest.mock import MagicMock

sys.modules["torch"] = MagicMock(Tensor=type("Tensor", (), {}))

import pandas as pd
from lenskit.data import from_interactions_df
from lenskit.splitting import LastFrac, SampleFrac, sample_users

plays = pd.DataFrame([(count, item, 1000 + item) for count in range(1, 9) for item in range(count)], columns=["user_id", "item_id", "timestamp"])
for method in [SampleFrac(0.2, rng=1), LastFrac(0.2)]:
    parts = sample_users(from_interactions_df(plays), 8, method, rng=1)
    held_out = sorted((int(key.user_id), len(items)) for key, items in parts.test)
    print(f"{type(method).__name__}: {', '.join(f'{test} of {count}' for count, test in held_out)}")
PY
"$folder/python/bin/python" -W ignore "$folder/split.py" | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
SampleFrac: 0 of 1, 0 of 2, 1 of 3, 1 of 4, 1 of 5, 1 of 6, 1 of 7, 2 of 8
LastFrac: 1 of 1, 2 of 2, 1 of 3, 1 of 4, 1 of 5, 1 of 6, 1 of 7, 2 of 8
OUT
