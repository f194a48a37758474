"""EASE^R in NumPy, float32, as in the paper.

Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, arXiv 1905.03375, algorithm 1.
"""

import sys
import time

import data  # first: sets the threads
import numpy as np


def scipy_inverse(gram):
    """As in irspack 0.5.2's DenseSLIM; SciPy chooses the method by the structure that it finds."""
    from scipy import linalg

    return linalg.inv(gram, overwrite_a=True)


INVERSES = {"numpy": np.linalg.inv, "scipy": scipy_inverse}


def fit(x, lambda_, inverse=np.linalg.inv):
    """The item x item matrix, and seconds of the Gram matrix and of the rest."""
    start = time.perf_counter()
    gram = (x.T @ x).toarray().astype(np.float32, copy=False)
    middle = time.perf_counter()
    diagonal = np.diag_indices_from(gram)
    gram[diagonal] += np.float32(lambda_)
    b = inverse(gram)
    del gram
    b /= -np.diag(b)
    b[diagonal] = 0
    return b, {"gram_seconds": middle - start, "inverse_seconds": time.perf_counter() - middle}


def main():
    data.ARGUMENTS.add_argument("--lambda", type=float, default=500, dest="lambda_")
    data.ARGUMENTS.add_argument("--inverse", choices=INVERSES, default="numpy")
    arguments = data.ARGUMENTS.parse_args()
    train, validation, test = data.load(arguments)
    b, seconds = fit(train, arguments.lambda_, INVERSES[arguments.inverse])
    results = {"shape": train.shape, "interactions": int(train.nnz), "lambda": arguments.lambda_, **seconds}
    results["fit_seconds"] = sum(seconds.values())
    results["peak_mib"] = data.peak_mib()
    if validation:
        results["validation"], results["test"] = (data.evaluate(lambda x: x @ b, part) for part in (validation, test))
    print(results, file=sys.stderr)
    data.write(results, arguments.json)


if __name__ == "__main__":
    main()
