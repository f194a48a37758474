"""EASE^R in NumPy, float32, as in the paper.

Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, arXiv 1905.03375, algorithm 1.
"""

import sys
import time

import data  # first: sets the threads
import numpy as np


def fit(x, lambda_):
    """The item x item matrix, and seconds of the Gram matrix and of the rest."""
    start = time.perf_counter()
    gram = (x.T @ x).toarray().astype(np.float32, copy=False)
    middle = time.perf_counter()
    diagonal = np.diag_indices_from(gram)
    gram[diagonal] += np.float32(lambda_)
    b = np.linalg.inv(gram)
    del gram
    b /= -np.diag(b)
    b[diagonal] = 0
    return b, {"gram_seconds": middle - start, "inverse_seconds": time.perf_counter() - middle}


def main():
    data.ARGUMENTS.add_argument("--lambda", type=float, default=500, dest="lambda_")
    arguments = data.ARGUMENTS.parse_args()
    train, validation, test = data.load(arguments)
    b, seconds = fit(train, arguments.lambda_)
    results = {"shape": train.shape, "interactions": int(train.nnz), "lambda": arguments.lambda_, **seconds}
    results["fit_seconds"] = sum(seconds.values())
    results["peak_mib"] = data.peak_mib()
    if validation:
        results["validation"], results["test"] = (data.evaluate(lambda x: x @ b, part) for part in (validation, test))
    print(results, file=sys.stderr)
    data.write(results, arguments.json)


if __name__ == "__main__":
    main()
