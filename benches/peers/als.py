"""iALS by irspack and by implicit, and the loss of what they find.

The loss is that of crates/recvae-core/src/models/als.rs, per user, in float64. irspack minimises that very loss. implicit
weighs an interaction with c and every other pair with 1, and adds r (|W|^2 + |H|^2). With k = 1 + alpha0, c = k / alpha0 and
r = k lambda / alpha0 its loss at (sqrt(k) W, sqrt(k) H) is k^2 / alpha0 times ours at (W, H) with nu = 0, up to a constant: so it
is given these, and its vectors are divided by sqrt(k).
"""

import contextlib
import statistics
import sys
import time

import data  # first: sets the threads
import numpy as np
import scipy.sparse as sp


def loss(x, users, items, alpha0, lambda_, nu):
    users, items = users.astype(np.float64), items.astype(np.float64)
    seen = x.tocoo()
    fit = ((np.einsum("nd,nd->n", users[seen.row], items[seen.col]) - 1) ** 2).sum()
    every = alpha0 * ((users.T @ users) * (items.T @ items)).sum()

    def norms(vectors, counts, n_fixed):
        return lambda_ * ((counts + alpha0 * n_fixed) ** nu * (vectors**2).sum(axis=1)).sum()

    counts = np.asarray(x.sum(axis=1)).ravel(), np.asarray(x.sum(axis=0)).ravel()
    return (fit + every + norms(users, counts[0], x.shape[1]) + norms(items, counts[1], x.shape[0])) / x.shape[0]


def fold_in(x, items, alpha0, lambda_, nu):
    """The users of rows of interactions, exactly, in float64."""
    items = items.astype(np.float64)
    gram = alpha0 * items.T @ items
    users = np.empty((x.shape[0], items.shape[1]))
    for user in range(x.shape[0]):
        liked = items[x.indices[x.indptr[user] : x.indptr[user + 1]]]
        ridge = lambda_ * (len(liked) + alpha0 * items.shape[0]) ** nu
        matrix = gram + liked.T @ liked + ridge * np.eye(items.shape[1])
        users[user] = np.linalg.solve(matrix, liked.sum(axis=0))
    return users


def irspack(x, factors, alpha0, lambda_, nu, arguments):
    from irspack.recommenders.ials import IALSRecommender

    model = IALSRecommender(
        x, n_components=factors, alpha0=alpha0, reg=lambda_, nu=nu, train_epochs=arguments.epochs,
        n_threads=arguments.threads, random_seed=arguments.seed,
    )  # fmt: skip
    start = time.perf_counter()
    model.learn()
    seconds = (time.perf_counter() - start) / arguments.epochs
    return model.trainer.core_trainer.user, model.trainer.core_trainer.item, seconds


def implicit(x, factors, alpha0, lambda_, nu, arguments):
    from implicit.cpu.als import AlternatingLeastSquares

    if nu != 0:
        raise SystemExit("implicit knows no nu but 0")
    k = 1 + alpha0
    model = AlternatingLeastSquares(
        factors, regularization=k * lambda_ / alpha0, alpha=k / alpha0, iterations=arguments.epochs,
        num_threads=arguments.threads, random_state=arguments.seed,
    )  # fmt: skip
    seconds = []
    model.fit(sp.csr_matrix(x), show_progress=False, callback=lambda _, elapsed, __: seconds.append(elapsed))
    scale = np.sqrt(k)
    return model.user_factors / scale, model.item_factors / scale, statistics.median(seconds)


LIBRARIES = {"irspack": irspack, "implicit": implicit}


def main():
    data.ARGUMENTS.add_argument("--library", choices=LIBRARIES, required=True)
    data.ARGUMENTS.add_argument("--factors", type=int, default=64)
    data.ARGUMENTS.add_argument("--alpha0", type=float, default=0.2)
    data.ARGUMENTS.add_argument("--lambda", type=float, default=0.006, dest="lambda_")
    data.ARGUMENTS.add_argument("--nu", type=float, default=1)
    data.ARGUMENTS.add_argument("--epochs", type=int, default=16)
    arguments = data.ARGUMENTS.parse_args()
    train, _, test = data.load(arguments)
    weights = arguments.alpha0, arguments.lambda_, arguments.nu
    with contextlib.redirect_stdout(sys.stderr):  # irspack draws a bar
        users, items, seconds = LIBRARIES[arguments.library](train, arguments.factors, *weights, arguments)
    results = {"seconds": seconds, "loss": float(loss(train, users, items, *weights))}
    if test:
        position = {"done": 0}

        def scores(dense):
            rows = test[0][position["done"] : position["done"] + len(dense)]
            position["done"] += len(dense)
            return fold_in(rows, items, *weights) @ items.T.astype(np.float64)

        results["test"] = data.evaluate(scores, test)
    print(results, file=sys.stderr)
    data.write(results, arguments.json)


if __name__ == "__main__":
    main()
