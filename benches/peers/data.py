"""What the peers share: threads, data, metrics, peak memory. Import it first: it sets the number of threads."""

import argparse
import json
import os
import pathlib
import sys

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument("--data", type=pathlib.Path, help="folder in the layout of the official scripts")
ARGUMENTS.add_argument("--csr", type=pathlib.Path, help="users x items, written by scipy.sparse.save_npz")
ARGUMENTS.add_argument("--users", type=int, help="with --csr: the first of them only")
ARGUMENTS.add_argument("--items", type=int, help="with --csr: the first of them only, and users who have any")
ARGUMENTS.add_argument("--threads", type=int, default=2)
ARGUMENTS.add_argument("--seed", type=int, default=1)
ARGUMENTS.add_argument("--json", help="file for the results, - for standard output")
_threads = str(ARGUMENTS.parse_known_args([a for a in sys.argv[1:] if a not in ("-h", "--help")])[0].threads)
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = _threads

import numpy as np  # noqa: E402
import scipy.sparse as sp  # noqa: E402


def _pairs(path):
    return np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.int64, ndmin=2).T


def _csr(uid, sid, shape):
    return sp.csr_matrix((np.ones(len(uid), np.float32), (uid, sid)), shape=shape)


def load(arguments):
    """Training users, and pairs (input, target) of validation and test users, `None` where there are none."""
    if arguments.csr:
        matrix = sp.load_npz(arguments.csr).tocsr().astype(np.float32)
        matrix.data[:] = 1
        if arguments.users or arguments.items:
            matrix = matrix[: arguments.users, : arguments.items]
            matrix = matrix[matrix.getnnz(axis=1) > 0]
        return matrix, None, None
    folder = arguments.data
    n_items = len((folder / "unique_sid.txt").read_text().splitlines())
    uid, sid = _pairs(folder / "train.csv")
    train = _csr(uid, sid, (uid.max() + 1, n_items))

    def held_out(name):
        both = [_pairs(folder / f"{name}_{part}.csv") for part in ("tr", "te")]
        uids = np.concatenate([pairs[0] for pairs in both])
        shape = (uids.max() + 1 - uids.min(), n_items)
        return tuple(_csr(uid - uids.min(), sid, shape) for uid, sid in both)

    return train, held_out("validation"), held_out("test")


def top_k(scores, k):
    """The k best items of each row, best first."""
    best = np.argpartition(-scores, k, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
    return np.take_along_axis(best, order, axis=1)


def ndcg(scores, target, k=100):
    """NDCG@k of each row; what was seen must be at minus infinity already."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    hits = np.take_along_axis(target.toarray(), top_k(scores, k), axis=1)
    ideal = np.array([discount[: min(n, k)].sum() for n in np.diff(target.indptr)])
    return (hits * discount).sum(axis=1) / ideal


def evaluate(scores_of, held_out, batch_size=500):
    """Mean NDCG@100 of `scores_of(dense histories)`."""
    values = []
    for first in range(0, held_out[0].shape[0], batch_size):
        history = held_out[0][first : first + batch_size]
        scores = scores_of(history.toarray())
        scores[history.nonzero()] = -np.inf
        values.append(ndcg(scores, held_out[1][first : first + batch_size]))
    return float(np.concatenate(values).mean())


def peak_mib():
    """Most memory that this process has had."""
    status = pathlib.Path("/proc/self/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024, 1)


def write(results, where):
    if where == "-":
        print(json.dumps(results))
    elif where:
        pathlib.Path(where).write_text(json.dumps(results, indent=1) + "\n")
