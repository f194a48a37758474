"""A file of `recvae synth` as a matrix: python to_npz.py FILE.csv FILE.npz.

Columns are in the order in which items are met, as our own reader has them."""

import sys

import numpy as np
import scipy.sparse as sp


def main(csv, npz):
    with open(csv, "rb") as file:
        assert file.readline() == b"user,item\n"
        numbers = file.read().translate(bytes.maketrans(b"\n", b","), b"ui")
    users, items = np.fromstring(numbers, dtype=np.int32, sep=",").reshape(-1, 2).T
    _, first, items = np.unique(items, return_index=True, return_inverse=True)
    column = np.empty(len(first), np.int32)
    column[np.argsort(first)] = np.arange(len(first))
    matrix = sp.csr_matrix((np.ones(len(users), np.float32), (users, column[items])))
    matrix.sort_indices()
    with open(npz, "wb") as file:
        sp.save_npz(file, matrix, compressed=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
