"""The loss of implicit's ALS on numbers of plays, in the units of crates/recvae-core/src/models/als.rs.

Reads rows of user,item,plays whose ids are numbers from 0 on. A play count c becomes the confidence 1 + c / mean / alpha0, and the
regularisation is lambda / alpha0: then alpha0 / users times the loss of Hu, Koren and Volinsky is ours with nu = 0.
"""

import json
import sys
import time

import data  # first: sets the threads
import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares


def loss(confidences, users, items, alpha0, lambda_):
    """Over all pairs, of which those without plays have confidence 1 and are summed by the Gram matrices."""
    seen = confidences.tocoo()
    scores = np.einsum("nd,nd->n", users[seen.row], items[seen.col])
    every = ((users.T @ users) * (items.T @ items)).sum()
    fit = (seen.data * (1 - scores) ** 2).sum() - (scores**2).sum()
    return fit + every + lambda_ / alpha0 * ((users**2).sum() + (items**2).sum())


def main():
    data.ARGUMENTS.add_argument("--rows", required=True)
    data.ARGUMENTS.add_argument("--factors", type=int, required=True)
    data.ARGUMENTS.add_argument("--alpha0", type=float, required=True)
    data.ARGUMENTS.add_argument("--lambda", type=float, required=True, dest="lambda_")
    data.ARGUMENTS.add_argument("--epochs", type=int, required=True)
    arguments = data.ARGUMENTS.parse_args()
    rows = np.loadtxt(arguments.rows, delimiter=",", skiprows=1)
    users, items, plays = rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2]
    confidences = sp.csr_matrix((1 + plays / plays.mean() / arguments.alpha0, (users, items)))
    model = AlternatingLeastSquares(
        arguments.factors, regularization=arguments.lambda_ / arguments.alpha0, alpha=1.0, dtype=np.float64, use_cg=False,
        iterations=arguments.epochs, num_threads=arguments.threads, random_state=arguments.seed,
    )  # fmt: skip
    start = time.perf_counter()
    model.fit(confidences, show_progress=False)
    seconds = time.perf_counter() - start
    found = loss(confidences, model.user_factors, model.item_factors, arguments.alpha0, arguments.lambda_)
    json.dump({"loss": arguments.alpha0 * found / confidences.shape[0], "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    main()
