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


def torch_inverse(gram):
    """By the Cholesky factor, which needs no more than half the operations of a general inverse."""
    import torch

    torch.set_num_threads(data.ARGUMENTS.parse_args().threads)
    return torch.cholesky_inverse(torch.linalg.cholesky(torch.from_numpy(gram))).numpy()


INVERSES = {"numpy": np.linalg.inv, "scipy": scipy_inverse, "torch": torch_inverse}


def fit(x, lambda_, inverse=np.linalg.inv):
    """The item x item matrix, and seconds of the Gram matrix and of the rest."""
    start = time.perf_counter()
    gram = (x.T @ x).toarray().astype(np.float32, copy=False)
    seconds = {"gram_seconds": time.perf_counter() - start}
    diagonal = np.diag_indices_from(gram)
    gram[diagonal] += np.float32(lambda_)
    inverse(np.eye(2, dtype=np.float32))  # what is imported on the way does not count
    middle = time.perf_counter()
    b = inverse(gram)
    del gram
    b /= -np.diag(b)
    b[diagonal] = 0
    seconds["inverse_seconds"] = time.perf_counter() - middle
    return b, seconds


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
