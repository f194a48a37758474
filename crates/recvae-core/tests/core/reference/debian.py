"""Computes what `tests/core/reference.rs` expects of the shipped Debian data, by numpy and nothing of ours; writes debian.json beside it.

python3 debian.py          (numpy 2.4.6 and scipy 1.17.1 wrote what is committed)

Users and items are numbered as they first occur. User u is held out where u % 10 = 9: of those, every fifth item of the sorted
history (places 4, 9, 14, ...) is to be found and the others are given; all other users are trained on whole.
"""
import csv
import gzip
import json
from pathlib import Path

import numpy as np
import scipy.linalg
import scipy.sparse as sp

HERE = Path(__file__).parent
METRICS = {"ndcg@100": 100, "recall@20": 20, "recall@50": 50}


def data():
    users, items, histories = {}, {}, []
    with gzip.open(HERE / "../../data/debian-runtime-dependencies.csv.gz", "rt", newline="") as file:
        for row in csv.DictReader(file):
            user = users.setdefault(row["package"], len(users))
            item = items.setdefault(row["dependency"], len(items))
            if user == len(histories):
                histories.append(set())
            histories[user].add(item)
    return [sorted(history) for history in histories], len(items)


def matrix(histories, n_items):
    indptr = np.cumsum([0] + [len(history) for history in histories])
    indices = [item for history in histories for item in history]
    return sp.csr_matrix((np.ones(len(indices)), indices, indptr), shape=(len(histories), n_items))


def penalised(gram, penalties):
    """EASE^R and EDLAE: B = -P / diag(P) off the diagonal, with P the inverse of the Gram matrix plus penalties."""
    inverse = scipy.linalg.inv(gram + np.diag(penalties))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def evaluate(scores, given, targets):
    """Means over users; a higher score ranks first, among equals the item with the lower index."""
    values = {name: [] for name in METRICS}
    for row, history, target in zip(scores, given, targets):
        if not target:
            continue
        row = row.copy()
        row[history] = -np.inf
        best = np.argsort(-row, kind="stable")[:100]
        hits = np.isin(best, target)
        for name, k in METRICS.items():
            n = min(k, len(target))
            discounts = 1 / np.log2(np.arange(2, k + 2))
            value = (hits[:k] * discounts).sum() / discounts[:n].sum() if name.startswith("ndcg") else hits[:k].sum() / n
            values[name].append(value)
    return {name: float(np.mean(all_values)) for name, all_values in values.items()}


def main():
    histories, n_items = data()
    held_out = [history for user, history in enumerate(histories) if user % 10 == 9]
    train = matrix([history for user, history in enumerate(histories) if user % 10 != 9], n_items)
    given = [[item for place, item in enumerate(history) if place % 5 != 4] for history in held_out]
    targets = [[item for place, item in enumerate(history) if place % 5 == 4] for history in held_out]
    x = matrix(given, n_items)
    gram = (train.T @ train).toarray()
    counts = np.diag(gram)
    result = {"users": train.shape[0], "items": n_items, "interactions": int(train.nnz), "ease": [], "edlae": []}
    result["popularity"] = evaluate(np.tile(counts, (len(given), 1)), given, targets)
    for lam in [5.0, 50.0]:
        result["ease"].append({"lambda": lam, **evaluate(x @ penalised(gram, np.full(n_items, lam)), given, targets)})
    lam, dropout = 5.0, 0.25
    # Equation 9 of Steck, "Autoencoders that don't overfit towards the Identity", NeurIPS 2020.
    penalties = lam + dropout / (1 - dropout) * counts
    result["edlae"].append({"lambda": lam, "dropout": dropout, **evaluate(x @ penalised(gram, penalties), given, targets)})
    (HERE / "debian.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
