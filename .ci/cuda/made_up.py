"""What both peers of check:gpu begin with: their arguments, and interactions that are drawn at random."""

import argparse
import sys

import numpy as np
import torch
from scipy import sparse


def arguments(**more):
    """The shape of the data, the device, and `more` whole numbers with their defaults."""
    parser = argparse.ArgumentParser()
    for name in ("users", "items", "interactions"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--device", default="cuda")
    for name, default in more.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parsed = parser.parse_args()
    if parsed.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("torch finds no GPU")
    return parsed


def interactions(shape, random):
    """As many as `shape` says, but for those that are drawn twice: a sparse matrix of 1."""
    rows, columns = (random.randint(0, n, shape.interactions) for n in (shape.users, shape.items))
    train = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (shape.users, shape.items))
    train.data[:] = 1
    return train
